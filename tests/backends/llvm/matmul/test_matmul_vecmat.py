"""`matmul.vecmat` and `matmul.dots`: a vector with a matrix, in one order for all layouts."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from symgraph.backends.llvm.builder import Module
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.matmul.blocking import Blocking, blocking
from symgraph.backends.llvm.matmul.dots import emit_dot, emit_dots, emit_gather
from symgraph.backends.llvm.matmul.vecmat import emit_axpy, emit_sums
from symgraph.backends.llvm.matmul.workspace import largest_workspace

Array = NDArray[Any]
Open = Callable[[Module, int], Any]
DTYPES: dict[str, np.dtype[Any]] = {"float": np.dtype("f4"), "double": np.dtype("f8")}


def in_order(blk: Blocking, x: Array, t: Array) -> Array:
    """The partial sums of small integers: k goes to sum k // group % partials."""
    out = np.zeros((blk.partials, t.shape[1]), x.dtype)
    for k in range(len(x)):
        out[k // blk.group % blk.partials] += x[k] * t[k]
    return out


@pytest.mark.parametrize("scalar", DTYPES)
def test_both_directions_fill_the_same_partial_sums(
    scalar: str, bits: int, target: Callable[[int], Target], opened: Open
) -> None:
    rng, module, blk = np.random.default_rng(32), Module(), blocking(scalar, target(bits))
    by_columns, by_rows = emit_axpy(module, blk), emit_dots(module, blk)
    run, dtype = opened(module, bits), DTYPES[scalar]
    depth, count = 6 * blk.lanes + (3 if blk.masks else 0), 2 * blk.lanes
    x = rng.integers(-9, 9, depth).astype(dtype)
    t = rng.integers(-9, 9, (depth, count)).astype(dtype)
    partial = np.zeros((blk.partials, count), dtype)
    run(by_columns, partial, t, count, x, depth, count)
    np.testing.assert_array_equal(partial, in_order(blk, x, t))
    partial[...] = 0
    run(by_rows, partial, t.T.copy(), depth, x, depth, count)
    np.testing.assert_array_equal(partial, in_order(blk, x, t))


@pytest.mark.parametrize("scalar", DTYPES)
def test_sums_and_a_single_dot(
    scalar: str, bits: int, target: Callable[[int], Target], opened: Open
) -> None:
    rng, module, blk = np.random.default_rng(33), Module(), blocking(scalar, target(bits))
    sums, dot = emit_sums(module, blk), emit_dot(module, blk)
    run, dtype = opened(module, bits), np.dtype(DTYPES[scalar])
    depth, count = blk.run + 77, blk.lanes + 3
    x = rng.standard_normal(2 * depth).astype(dtype)[::2]
    t = rng.standard_normal((depth, count)).astype(dtype)
    size = largest_workspace(blk, fused=False)
    memory = np.empty(size + 64, np.uint8)
    room = memory[-memory.ctypes.data % 64 :][:size]
    out = room.view(dtype)
    run(sums, room, x, 2, t, 1, count, depth, count)
    exact = x.astype(np.float64) @ t.astype(np.float64)
    bound = 2 * np.finfo(dtype).eps * (np.abs(x).astype(np.float64) @ np.abs(t))
    assert (np.abs(out[:count] - exact) <= bound).all()
    run(dot, room, x, 2, t, count, depth)
    assert abs(out[0] - exact[0]) <= bound[0]


def test_gather_copies_only_what_is_spread(
    bits: int, target: Callable[[int], Target], opened: Open
) -> None:
    module = Module()
    name = emit_gather(module, blocking("double", target(bits)))
    run, x, room = opened(module, bits), np.arange(12.0), np.zeros(4)
    assert run(name, x, 1, 4, room, returns=ctypes.c_int64) == x.ctypes.data
    assert (room == 0).all()
    assert run(name, x, 3, 4, room, returns=ctypes.c_int64) == room.ctypes.data
    assert (room == x[::3]).all()
