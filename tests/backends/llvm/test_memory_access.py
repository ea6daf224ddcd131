"""Reads and writes stay inside their arrays: operands at the very end of a page, before a guard."""

from __future__ import annotations

import subprocess
import sys

import pytest

GUARDED = """
import ctypes, mmap
import numpy as np
import symgraph as sg

libc = ctypes.CDLL(None, use_errno=True)
PAGE = mmap.PAGESIZE

def guarded(values, front=False):
    '''The values in memory that ends (or begins) at a page no one may touch.'''
    size = -(-max(values.nbytes, 1) // PAGE) * PAGE
    memory = mmap.mmap(-1, size + 2 * PAGE)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for at in (base, base + PAGE + size):
        assert libc.mprotect(ctypes.c_void_p(at), PAGE, 0) == 0
    offset = PAGE if front else PAGE + size - values.nbytes
    array = np.frombuffer(memory, values.dtype, values.size, offset).reshape(values.shape)
    array[...] = values
    keep.append(memory)
    return array

keep = []
rng = np.random.default_rng(0)
"""

ELEMENTS = """
x = sg.tensor("x", shape=("n", "m"), dtype=DTYPE)
y = sg.tensor("y", shape=("m",), dtype=DTYPE)
f = sg.function([x, y], [sg.where(x == y, x, y), sg.max(x, axis=0), sg.argmax(x, axis=1),
                         sg.sum(x, axis=1), x[:, ::-1] != y, sg.concat([x.T, x.T], axis=1)])
for n, m in [(1, 1), (3, 5), (2, 17), (5, 33), (1, 129), (4, 0), (0, 4)]:
    for front in (False, True):
        a = guarded(rng.integers(0, 3, (n, m)).astype(DTYPE), front)
        b = guarded(rng.integers(0, 3, m).astype(DTYPE), front)
        if n and m:
            got = f(a, b)
            assert (got[1] == a.max(axis=0)).all() and (got[3] == a.sum(axis=1)).all()
        back = guarded(np.array(a[::-1, ::-1]), front)[::-1, ::-1]
        if n and m:
            f(back, b[::-1])
"""

INDEXED = """
x = sg.tensor("x", shape=("n",), dtype=DTYPE)
i = sg.tensor("i", shape=("k",), dtype="int64")
p = sg.tensor("p", shape=("n",), dtype="bool")
f = sg.function([x, i, p], [x[i], x.at[i].set(x[i]), x[p], sg.take(x, i % 2)])
for n in (2, 3, 16, 33):
    for k in (0, 1, 7, 40):
        for front in (False, True):
            a = guarded(rng.integers(0, 2, n).astype(DTYPE), front)
            index = guarded(rng.integers(-n, n, k), front)
            mask = guarded(rng.random(n) < 0.5, front)
            got = f(a, index, mask)
            assert (got[0] == a[index]).all() and (got[2] == a[mask]).all()
            bad = guarded(np.append(index, n + 10**9), front)
            try:
                f(a, bad, mask)
            except IndexError:
                continue
            raise AssertionError("an index out of range was accepted")
"""

PRODUCTS = """
a, b = sg.tensor("a", shape=("n", "k"), dtype=DTYPE), sg.tensor("b", shape=("k", "m"), dtype=DTYPE)
f = sg.function([a, b], [sg.tanh(a @ b), sg.cumulative_sum(a, axis=0), sg.softmax(a, axis=1)])
for n, k, m in [(1, 1, 1), (3, 5, 7), (17, 9, 33), (9, 50, 1), (1, 3, 65)]:
    for front in (False, True):
        x = guarded(rng.normal(size=(n, k)).astype(DTYPE), front)
        y = guarded(rng.normal(size=(k, m)).astype(DTYPE), front)
        assert np.allclose(f(x, y)[0], np.tanh(x @ y), rtol=1e-3, atol=1e-4)
        f(guarded(x.T.copy(), front).T, guarded(y.T.copy(), front).T)
"""

CLOSE = """
table = sg.tensor("table", shape=("r", "m"), dtype=DTYPE)
i = sg.tensor("i", shape=("k",), dtype="int64")
rows = sg.function([table, i], table[i] * 1)
for n, m in [(1, 1), (2, 3), (33, 4), (70, 2), (3, 130), (40, 9)]:
    x = sg.tensor("x", shape=("n", m), dtype=DTYPE)
    y = x * 1 if DTYPE != "bool" else x
    z = sg.exp(sg.astype(x, "float32"))
    f = sg.function([x], [y[:, ::2], y[:, ::3], y[:, ::4], y[::2, ::-1], y[:, -1],
                          x.T[::3] == x.T[::3], sg.max(x, axis=1),
                          sg.argmax(x, axis=1), sg.sum(x, axis=1), z / sg.sum(z, axis=1)[:, None]])
    for front in (False, True):
        a = guarded(rng.integers(1, 3, (n, m)).astype(DTYPE), front)
        got = f(a)
        for left, right in zip(got, [a[:, ::2], a[:, ::3], a[:, ::4], a[::2, ::-1], a[:, -1]]):
            assert (left == right).all()
        assert (got[6] == a.max(axis=1)).all() and (got[8] == a.sum(axis=1)).all()
        f(guarded(a.T.copy(), front).T)
        index = rng.integers(-n, n, 7)
        assert (rows(a, index) == a[index]).all()
        for bad in (n, -n - 1, 10**12):
            try:
                rows(a, np.append(index, bad))
            except IndexError:
                continue
            raise AssertionError("an index out of range was accepted")
"""


def run(program: str, **environment: str) -> None:
    """Run the program in a process of its own; it must end well."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", program],
        env={"PATH": "/usr/bin:/bin", **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def for_dtypes(program: str, dtypes: tuple[str, ...]) -> str:
    body = "\n".join("    " + line for line in program.splitlines())
    return f"{GUARDED}\nfor DTYPE in {dtypes!r}:\n{body}\n"


def test_the_guard_guards() -> None:
    """One element past the end kills the process, so the tests below can fail."""
    touch = "a = guarded(np.ones(3))\nctypes.string_at(a.ctypes.data, a.nbytes + 1)\n"
    done = subprocess.run([sys.executable, "-c", GUARDED + touch], capture_output=True, check=False)
    assert done.returncode < 0


@pytest.mark.parametrize("bits", ["128", "512"])
def test_elementwise_and_reductions_stay_inside(bits: str) -> None:
    dtypes = ("float64", "float32", "int64", "int32", "int16", "uint8", "bool")
    run(for_dtypes(ELEMENTS, dtypes), SYMGRAPH_VECTOR_BITS=bits)


@pytest.mark.parametrize("bits", ["128", "512"])
def test_elements_picked_from_vectors_and_short_rows_stay_inside(bits: str) -> None:
    dtypes = ("float64", "float32", "int32", "uint8", "bool")
    run(for_dtypes(CLOSE, dtypes), SYMGRAPH_VECTOR_BITS=bits)


def test_indexing_stays_inside() -> None:
    run(for_dtypes(INDEXED, ("float64", "float32", "int16", "uint8", "bool")))


def test_products_and_scans_stay_inside() -> None:
    run(for_dtypes(PRODUCTS, ("float64", "float32")))


def test_odd_sizes_under_a_checking_allocator() -> None:
    """Outputs and the arena have no byte written past their ends (PYTHONMALLOC=debug)."""
    program = (
        "import numpy as np, symgraph as sg, gc\n"
        "x = sg.tensor('x', shape=('n', 'm')); p = sg.tensor('p', shape=('n',), dtype='bool')\n"
        "w = sg.shared(np.ones(7), name='w')\n"
        "f = sg.function([x, p], [sg.softmax(x, axis=1), x[p], sg.sum(x), sg.exp(x).T @ x],\n"
        "                updates={w: w * 2 + 1})\n"
        "for n in range(9):\n"
        "    for m in range(1, 20, 3):\n"
        "        a = np.ones((n, m)); kept = np.arange(n) % 2 == 0\n"
        "        out = f(a, kept)\n"
        "        assert out[1].shape == (kept.sum(), m)\n"
        "        del out; gc.collect()\n"
    )
    run(program, PYTHONMALLOC="debug")
