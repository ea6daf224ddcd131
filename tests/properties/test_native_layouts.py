"""However the arguments lie in memory: the same bits as from contiguous ones, and NumPy's values.

Sizes lie around those of vectors, blocks and units.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from agreement import allowances, assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import FLOATS, Example, examples
from test_native_bits import SETTINGS, compiled
from variants import assert_same_bits, outcome

import symgraph as sg
from symgraph.backends.llvm import jit

Array = np.ndarray[Any, Any]
LANES = jit.host().lanes(32)
EDGES = tuple(
    sorted({k * LANES + d for k in (1, 2, 4) for d in (-1, 0, 1)} | {0, 1, 1023, 1024, 1025})
)
SHAPES = tuple(s for n in EDGES for s in ((n,), (2, n), (n, 3)))


class Marked(np.ndarray[Any, Any]):
    """A subclass of NumPy's array."""


def spread(a: Array) -> Array:
    """Every other element of a larger array along each axis."""
    room = np.full([2 * n + 1 for n in a.shape], 85).astype(a.dtype)
    room[tuple(slice(1, None, 2) for _ in a.shape)] = a
    return room[tuple(slice(1, None, 2) for _ in a.shape)]


def reversed_(a: Array) -> Array:
    back = tuple(slice(None, None, -1) for _ in a.shape)
    return a[back].copy()[back]


def shifted(a: Array, by: int) -> Array:
    """The array ``by`` bytes behind an address of its own."""
    room = np.zeros(a.nbytes + by, np.uint8)
    out = room[by:].view(a.dtype).reshape(a.shape)
    out[...] = a
    return out


def frozen(a: Array) -> Array:
    out = a.copy()
    out.flags.writeable = False
    return out


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "fortran": np.asfortranarray,
    "spread": spread,
    "reversed": reversed_,
    "next element": lambda a: shifted(a, a.dtype.itemsize),
    "unaligned": lambda a: shifted(a, 1),
    "read-only": frozen,
    "swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "subclass": lambda a: a.view(Marked),
}


def check(f: sg.Function, arrays: list[Array], laid: list[Array]) -> None:
    for a, b in zip(arrays, laid, strict=True):
        np.testing.assert_array_equal(a, b)
    before = [a.tobytes() for a in laid]
    assert_same_bits(outcome(f, laid), outcome(f, arrays))
    assert [a.tobytes() for a in laid] == before, "an argument was written to"


@settings(max_examples=60, **SETTINGS)
@given(examples(shapes=SHAPES, first=FLOATS), st.lists(st.sampled_from([*LAYOUTS]), min_size=3))
def test_layouts_do_not_matter(example: Example, layouts: list[str]) -> None:
    laid = [LAYOUTS[name](a) for name, a in zip(layouts, example.arrays, strict=False)]
    check(compiled(example), example.arrays, laid)


@settings(max_examples=60, **SETTINGS)
@given(examples(shapes=SHAPES, first=FLOATS, steps=10))
def test_native_code_agrees_with_numpy_around_the_vector_width(example: Example) -> None:
    reference = compiled(example, backend="reference")
    want, got = outcome(reference, example.arrays), outcome(compiled(example), example.arrays)
    if isinstance(want, tuple) or isinstance(got, tuple):
        assert want[0] is got[0] or 0 in [a.size for a in example.arrays]
        return
    for g, w, allowed in zip(got, want, allowances(reference, example.arrays), strict=True):
        assert_close(g, w, allowed)


def functions(dtype: str) -> sg.Function:
    """Kernels of every kind over two matrices."""
    x = sg.tensor("x", shape=("n", "m"), dtype=dtype)
    y = sg.tensor("y", shape=("n", "m"), dtype=dtype)
    if dtype == "bool":
        outs = [x & ~y, sg.any(x, axis=0), sg.all(y, axis=1), sg.count_nonzero(x), x.T | y.T]
        return sg.function([x, y], [*outs, sg.concat([x, y], axis=1)], passes=())
    outs = [x * y - x, sg.sum(x, axis=0), sg.sum(y, axis=1), sg.max(x), x.T + y.T, sg.sum(x * y)]
    outs += [sg.argmax(y, axis=0), sg.concat([x, y], axis=1), x[::-1, ::-1] - y, x @ y.T]
    if dtype.startswith("float"):
        outs += [sg.softmax(x, axis=1), sg.softmax(y, axis=0), sg.cumulative_sum(x, axis=0)]
    return sg.function([x, y], outs, passes=())


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "bool"])
def test_overlapping_and_stretched_arguments(dtype: str) -> None:
    f, rng = functions(dtype), np.random.default_rng(5)
    for n in EDGES:
        for shape in ((n, 3), (2, n)):
            room = rng.integers(0, 2 if dtype == "bool" else 9, (shape[0] + 2, shape[1] + 2))
            room = room.astype(dtype)
            x, y = room[1:-1, 1:-1], room[2:, :-2]
            for a, b in ((x, y), (x, x), (y.T.copy().T, x[::-1])):
                check(f, [a.copy(), b.copy()], [a, b])
            row = np.broadcast_to(room[0, : shape[1]], shape)
            column = np.broadcast_to(room[: shape[0], :1], shape)
            one = np.broadcast_to(room[0, 0], shape)
            for a, b in ((row, column), (column, one), (one, row)):
                check(f, [a.copy(), b.copy()], [a, b])


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_arguments_that_are_the_memory_of_shared_variables(dtype: str) -> None:
    rng = np.random.default_rng(6)
    x = sg.tensor("x", shape=("n",), dtype=dtype)
    for n in EDGES:
        start = rng.integers(0, 9, n).astype(dtype)
        w, v = sg.shared(start.copy()), sg.shared(start[::-1].copy())
        updates = {w: w * 2 + x[::-1], v: v + w}
        f = sg.function([x], [sg.sum(x), w + x], updates, passes=())
        memory = w.get_value(borrow=True)
        got = f(memory)
        np.testing.assert_array_equal(got[0], start.sum())
        np.testing.assert_array_equal(got[1], start + start)
        np.testing.assert_array_equal(w.get_value(), start * 2 + start[::-1])
        np.testing.assert_array_equal(v.get_value(), start[::-1] + start)
