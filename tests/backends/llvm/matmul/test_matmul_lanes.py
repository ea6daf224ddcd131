"""`matmul.lanes`: transposes, trees and masks of vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from symgraph.backends.llvm.builder import Builder, Module
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.matmul.blocking import Blocking, blocking
from symgraph.backends.llvm.matmul.lanes import (
    add,
    interleave,
    lane_mask,
    load_lanes,
    masked_store,
    multiply_add,
    tree_sum,
    vector,
)

Open = Callable[[Module, int], Any]
POINTERS = [("ptr", "out"), ("ptr", "source")]


def function(blk: Blocking, extra: list[tuple[str, str]] | None = None) -> Builder:
    """``void f(out, source, ...)``."""
    return Builder(Module(), "f", "void", [*POINTERS, *(extra or [])])


def run(b: Builder, bits: int, opened: Open, *args: Any) -> None:
    """Compile what ``b`` wrote, and call it."""
    b.ret()
    opened(b.module, bits)("f", *args)


@pytest.mark.parametrize("rows", [2, 4])
def test_interleave_transposes_in_blocks(
    rows: int, bits: int, target: Callable[[int], Target], opened: Open
) -> None:
    blk = blocking("float", target(bits))
    b = function(blk)
    loads = [b.load(vector(blk), b.gep("float", b.args[1], i * blk.lanes), 4) for i in range(rows)]
    for i, value in enumerate(interleave(b, loads, rows)):
        b.store(value, b.gep("float", b.args[0], i * blk.lanes), 4)
    source = np.arange(rows * blk.lanes, dtype=np.float32).reshape(rows, blk.lanes)
    out = np.empty_like(source)
    run(b, bits, opened, out, source)
    blocks = source.reshape(rows, blk.lanes // rows, rows)
    np.testing.assert_array_equal(out, blocks.transpose(2, 1, 0).reshape(out.shape))


def test_tree_sum_adds_halves(bits: int, target: Callable[[int], Target], opened: Open) -> None:
    blk = blocking("double", target(bits))
    b = function(blk)
    terms = [b.load("double", b.gep("double", b.args[1], i)) for i in range(4)]
    b.store(tree_sum(b, blk, terms), b.args[0])
    source, out = np.array([1.0, 1e16, -1.0, -1e16]), np.empty(1)
    run(b, bits, opened, out, source)
    assert out[0] == (source[0] + source[2]) + (source[1] + source[3])


def test_masks_guard_memory(bits: int, target: Callable[[int], Target], opened: Open) -> None:
    blk = blocking("float", target(bits))
    for count in range(blk.lanes + 2) if blk.masks else ():
        b = function(blk, [("i64", "count")])
        mask = lane_mask(b, blk, b.args[2])
        value = load_lanes(b, blk, b.args[1], b.i64(0), mask)
        masked_store(b, add(b, blk, value, value), b.args[0], mask, 4)
        source, out = np.ones(blk.lanes + 1, np.float32), np.full(blk.lanes + 1, 7, np.float32)
        run(b, bits, opened, out, source, count)
        assert (out == [2 if i < min(count, blk.lanes) else 7 for i in range(blk.lanes + 1)]).all()


def test_products_are_fused_where_the_target_can(
    bits: int, target: Callable[[int], Target], opened: Open
) -> None:
    blk = blocking("double", target(bits))
    b = function(blk)
    x, y, z = (b.load(vector(blk), b.gep("double", b.args[1], i * blk.lanes), 8) for i in range(3))
    b.store(multiply_add(b, blk, x, y, z), b.args[0], 8)
    tiny = 2.0**-30
    source = np.repeat([1 + tiny, 1 - tiny, -1.0], blk.lanes)
    out = np.empty(blk.lanes)
    run(b, bits, opened, out, source)
    assert (out == (-(2.0**-60) if blk.fused else 0.0)).all()
