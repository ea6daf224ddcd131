"""Products one vector wide: the bits of the general product, in every layout, and no other memory.

The oracle for bits is the general kernel, which the other tests hold against NumPy.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from symgraph.backends.llvm.builder import Module
from symgraph.backends.llvm.jit import Library, Target, load
from symgraph.backends.llvm.matmul import MatmulKernel, argument_table, call, workspace_bytes
from symgraph.backends.llvm.matmul.finish import SIGNATURE
from symgraph.backends.llvm.matmul.tile import emit_tile, is_tile

Array = NDArray[Any]
Compiled = Callable[[str, int], tuple[Library, MatmulKernel]]
LaidOut = Callable[[Array, str, int, Any], tuple[Array, Array]]

FLOATS = ctypes.POINTER(ctypes.c_float)
TYPES = {"float": "f4", "double": "f8", "i1": "?", "i16": "i2", "i64": "i8"}


@functools.cache
def tile(scalar: str, chosen: Target) -> Library:
    module = Module()
    emit_tile(module, scalar, chosen)
    return load(str(module), chosen, optimise=False)


def operands(scalar: str, shape: tuple[int, int, int], seed: int) -> tuple[Array, Array]:
    rng, (m, n, k) = np.random.default_rng(seed), shape
    left, right = (rng.standard_normal(s) * 9 for s in ((m, k), (k, n)))
    if scalar == "i1":
        return left > 9, right > 9
    return left.astype(TYPES[scalar]), right.astype(TYPES[scalar])


def shapes(scalar: str, chosen: Target, layout: str) -> list[tuple[int, int, int]]:
    """Sizes of this path among a few; B apart from rows may have few items."""
    lanes = chosen.lanes(8 * np.dtype(TYPES[scalar]).itemsize)
    sizes = [(m, n, k) for m in (2, 8, 19, 48) for n in (2, 3, lanes) for k in (0, 1, 3, 8, 50)]
    b_col = 1 if layout == "rows" else 2
    return [s for s in sizes if is_tile(scalar, chosen, s, b_col, 1)]


@pytest.mark.parametrize("scalar", TYPES)
def test_bits_are_those_of_the_general_product(
    scalar: str,
    bits: int,
    layout: str,
    compiled: Compiled,
    laid_out: LaidOut,
    target: Callable[[int], Target],
) -> None:
    library, kernel = compiled(scalar, bits)
    alone = MatmulKernel("matmul", scalar, kernel.storage, kernel.workspace_bytes, 0)
    for shape in shapes(scalar, target(bits), layout):
        a, b = operands(scalar, shape, 8)
        filler = np.nan if scalar in ("float", "double") else 1
        plain = np.zeros(shape[:2], a.dtype)
        call(library, kernel, plain, a, b)
        left = laid_out(a, layout, 1, filler)[0] if shape[2] else a
        right = laid_out(b, layout, 3, filler)[0] if shape[2] else b
        c, memory = laid_out(np.zeros_like(plain), "rows", 1, 1)
        call(tile(scalar, target(bits)), alone, c, left, right)
        assert c.tobytes() == plain.tobytes(), shape
        c[...] = 1
        assert (memory == 1).all(), shape


@pytest.mark.parametrize("apart", [False, True])
def test_workspace_suffices_and_no_unit_is_no_work(
    apart: bool, bits: int, target: Callable[[int], Target]
) -> None:
    n = target(bits).lanes(32)
    a, b = operands("float", (19, n, 64 // n), 9)
    b = np.asfortranarray(b) if apart else b
    left, right = ((x.strides[0] // 4, x.strides[1] // 4) for x in (a, b))
    size = workspace_bytes("float", target(bits), (19, n, 64 // n), left, right)
    assert isinstance(size, int)
    memory, c = np.full(size + 128, 7, np.uint8), np.full((19, n), 5, a.dtype)
    start = -memory.ctypes.data % 64
    kernel = MatmulKernel("matmul", "float", "float", size, 0)
    table = argument_table(kernel, c, a, b, memory[start : start + size])
    run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(
        tile("float", target(bits)).address("matmul")
    )
    assert run(table.ctypes.data, 0, 0) == 0
    assert (c == 5).all()
    assert run(table.ctypes.data, 0, 1) == 0
    np.testing.assert_allclose(c, a.astype(float) @ b, rtol=1e-5, atol=1e-4)
    assert (memory[start + size :] == 7).all()
    assert (memory[:start] == 7).all()


@pytest.mark.parametrize("apart", [False, True])
def test_an_epilogue_gets_the_finished_block(
    apart: bool, bits: int, target: Callable[[int], Target]
) -> None:
    n = target(bits).lanes(32)
    a, b = operands("float", (19, n, 64 // n), 10)
    b = np.asfortranarray(b) if apart else b
    c, plain = np.full((19, n), 5, a.dtype), np.empty((19, n), a.dtype)
    left, right = ((x.strides[0] // 4, x.strides[1] // 4) for x in (a, b))
    size = workspace_bytes("float", target(bits), (19, n, 64 // n), left, right, fused=True)
    assert isinstance(size, int)
    memory, seen = np.full(size + 128, 7, np.uint8), list[tuple[int, ...]]()

    def doubled(_: int, tile: int, tile_row: int, out: int, *rest: int) -> None:
        rows, cols = rest[2:4]
        sums = np.ctypeslib.as_array(ctypes.cast(tile, FLOATS), (rows, tile_row))[:, :cols]
        np.ctypeslib.as_array(ctypes.cast(out, FLOATS), (rows, rest[0]))[:, :cols] = 2 * sums
        seen.append(rest)

    kinds = {"ptr": ctypes.c_void_p, "i64": ctypes.c_int64, "i1": ctypes.c_bool}
    callback = ctypes.CFUNCTYPE(None, *(kinds[kind] for kind, _ in SIGNATURE))(doubled)
    address = ctypes.cast(callback, ctypes.c_void_p).value or 0
    start = -memory.ctypes.data % 64
    kernel = MatmulKernel("matmul.fused", "float", "float", size, 1)
    room = memory[start : start + size]
    table = argument_table(kernel, c, a, b, room, extra=[address])
    run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    library = tile("float", target(bits))
    assert run(library.address("matmul.fused"))(table.ctypes.data, 0, 0) == 0
    assert not seen
    assert run(library.address("matmul.fused"))(table.ctypes.data, 0, 1) == 0
    assert seen == [(n, 1, 19, n, 0, 0, 0, 1)]
    table = argument_table(kernel, plain, a, b, room, extra=[0])
    assert run(library.address("matmul"))(table.ctypes.data, 0, 1) == 0
    assert c.tobytes() == (2 * plain).tobytes()
    assert (memory[start + size :] == 7).all()
