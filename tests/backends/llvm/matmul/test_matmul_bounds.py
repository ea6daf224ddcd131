"""Nothing outside the operands is written, used, or even read."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from symgraph.backends.llvm.jit import Library
from symgraph.backends.llvm.matmul import MatmulKernel, call

Array = NDArray[Any]
Compiled = Callable[[str, int], tuple[Library, MatmulKernel]]
LaidOut = Callable[[Array, str, int, Any], tuple[Array, Array]]

FLOATS = {"float": np.float32, "double": np.float64}
SHAPES = ((1, 1, 7), (1, 50, 19), (50, 1, 19), (3, 5, 2), (15, 49, 17), (210, 70, 230))


@pytest.mark.parametrize("scalar", FLOATS)
def test_surroundings_stay_and_are_not_used(
    scalar: str, bits: int, layout: str, compiled: Compiled, laid_out: LaidOut
) -> None:
    rng, dtype = np.random.default_rng(12), FLOATS[scalar]
    for m, n, k in SHAPES:
        plain_a, plain_b = (rng.standard_normal(s).astype(dtype) for s in ((m, k), (k, n)))
        a, _ = laid_out(plain_a, layout, 0, np.nan)
        b, _ = laid_out(plain_b, layout, 1, np.nan)
        c, memory = laid_out(np.zeros((m, n), dtype), layout, 2, 77)
        call(*compiled(scalar, bits), c, a, b)
        np.testing.assert_allclose(c, plain_a @ plain_b, rtol=1e-3, atol=1e-3)
        c[...] = 77
        assert (memory == 77).all()


GUARDED = """
import ctypes, mmap, os, sys
import numpy as np
from symgraph.backends.llvm.builder import Module
from symgraph.backends.llvm.jit import host, load
from symgraph.backends.llvm.matmul import MatmulKernel, call, emit_matmul
from symgraph.backends.llvm.matmul.unrolled import Form, emit_unrolled

PAGE, keep = mmap.PAGESIZE, []
mprotect = ctypes.CDLL(None).mprotect
mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def fenced(shape, dtype, order, at_end):
    # An array that touches a page without access at its end, or at its beginning.
    count = int(np.prod(shape))
    size = -(-max(1, count * dtype.itemsize) // PAGE) * PAGE
    room = mmap.mmap(-1, size + 2 * PAGE)
    flat = np.frombuffer(room, np.uint8)
    for place in (0, size + PAGE):
        if mprotect(flat.ctypes.data + place, PAGE, 0):
            raise OSError("mprotect failed")
    start = PAGE + (size - count * dtype.itemsize if at_end else 0)
    keep.append((room, flat))
    items = flat[start : start + count * dtype.itemsize].view(dtype)
    items[...] = 1
    return items.reshape(shape, order=order)


for scalar, dtype in (("float", "f4"), ("double", "f8"), ("i16", "i2")):
    module = Module()
    kernel = emit_matmul(module, "product", scalar, host())
    library = load(str(module), host(), optimise=False)
    for m, n, k in ((1, 1, 7), (1, 50, 19), (50, 1, 19), (3, 5, 2), (15, 49, 17), (210, 70, 230)):
        for at_end in (False, True):
            for order in ("CCC", "FCC", "CFC", "CCF", "FFC"):
                c, a, b = (
                    fenced(s, np.dtype(dtype), o, at_end)
                    for s, o in zip(((m, n), (m, k), (k, n)), order)
                )
                call(library, kernel, c, a, b)
                assert (c == k).all(), (scalar, m, n, k, order)
    for m, n, k in ((2, 2, 2), (3, 3, 5), (5, 7, 2)):
        for at_end in (False, True):
            for turned in (False, True):
                shapes = ((3, m, n), (3, m, k), (3, n, k) if turned else (3, k, n))
                c, a, b = (fenced(s, np.dtype(dtype), "C", at_end) for s in shapes)
                b = b.swapaxes(1, 2) if turned else b
                strides = [s // a.itemsize for x in (a, b) for s in x.strides[1:]]
                module = Module()
                emit_unrolled(module, scalar, host(), Form(m, n, k, *strides))
                kernel = MatmulKernel("matmul", scalar, scalar, 0, 0)
                call(load(str(module), host(), optimise=False), kernel, c, a, b)
                assert (c == k).all(), (scalar, m, n, k, turned)
sys.stdout.flush()
os._exit(0)  # fenced pages must not be touched again, by anyone
"""


def test_fenced_operands(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMGRAPH_VECTOR_BITS", str(bits))
    ran = subprocess.run(
        [sys.executable, "-c", GUARDED], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
