"""Epilogues see every finished element once, at its row and column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from symgraph.backends.llvm.builder import Builder, Module, Value, lanes_of
from symgraph.backends.llvm.jit import Target, load
from symgraph.backends.llvm.matmul import call, emit_matmul

Array = NDArray[Any]
LaidOut = Callable[[Array, str, int, Any], tuple[Array, Array]]


def lane_by_lane(
    b: Builder, pointer: Value, first: Value, mask: Value | None, like: Value
) -> Value:
    """Load scalars ``first`` + lane where the mask holds, with plain branches."""
    assert mask is not None
    out = Value("zeroinitializer", like.type)
    for lane in range(lanes_of(like.type)):
        on, before = b.extract(mask, lane), out

        def loaded(lane: int = lane, before: Value = before) -> list[Value]:
            place = b.gep("double", pointer, b.add(first, b.i64(lane)))
            return [b.insert(before, b.load("double", place), lane)]

        def kept(before: Value = before) -> list[Value]:
            return [before]

        (out,) = b.choose(on, loaded, kept)
    return out


def bias_relu(
    b: Builder, acc: Value, row: Value, col: Value, mask: Value | None, extra: list[Value]
) -> Value:
    """max(acc + bias[col], 0) + 1000 * row; extra[0] is the address of the bias."""
    bias = lane_by_lane(b, b.emit("ptr", f"inttoptr {extra[0]} to ptr"), col, mask, acc)
    moved, zero = b.fadd(acc, bias), b.const(acc.type, 0.0)
    kept = b.select(b.fcmp("ogt", moved, zero), moved, zero)
    rows = b.splat(b.emit("double", f"sitofp {row} to double"), lanes_of(acc.type))
    return b.fadd(kept, b.fmul(rows, b.const(acc.type, 1000.0)))


@pytest.mark.parametrize("accumulate", [False, True])
def test_bias_and_relu(
    accumulate: bool, bits: int, layout: str, target: Callable[[int], Target], laid_out: LaidOut
) -> None:
    rng, module = np.random.default_rng(10), Module()
    kernel = emit_matmul(module, "dense", "double", target(bits), epilogue=bias_relu, extra_args=1)
    lib = load(str(module), target(bits))
    shapes = ((13, 29, 5), (16, 48, 7), (9, 33, 600), (1, 40, 9), (40, 1, 9), (1, 1, 9), (5, 6, 0))
    for m, n, k in shapes:
        a, b, bias = (rng.standard_normal(s) for s in ((m, k), (k, n), n))
        before = rng.standard_normal((m, n))
        c, _ = laid_out(before, layout, 0, 0)
        call(lib, kernel, c, a, b, accumulate=accumulate, extra=[bias.ctypes.data])
        plain = a @ b + bias + (before if accumulate else 0)
        expected = np.maximum(plain, 0) + 1000.0 * np.arange(m)[:, None]
        np.testing.assert_allclose(c, expected, rtol=1e-12, atol=1e-12)


def test_two_kernels_in_one_module(bits: int, target: Callable[[int], Target]) -> None:
    rng, module = np.random.default_rng(11), Module()
    plain = emit_matmul(module, "plain", "double", target(bits))
    twice = emit_matmul(
        module, "twice", "double", target(bits), epilogue=lambda b, acc, *_: b.fadd(acc, acc)
    )
    lib = load(str(module), target(bits))
    a, b, c = rng.standard_normal((7, 8)), rng.standard_normal((8, 9)), np.empty((2, 7, 9))
    call(lib, plain, c[0], a, b)
    call(lib, twice, c[1], a, b)
    np.testing.assert_array_equal(c[1], 2 * c[0])


def test_every_block_knows_its_place(bits: int, target: Callable[[int], Target]) -> None:
    rng, module = np.random.default_rng(12), Module()
    kernel = emit_matmul(module, "dense", "double", target(bits), epilogue=bias_relu, extra_args=1)
    lib = load(str(module), target(bits), optimise=False)
    m, n, k = 230, 1200, 130
    a, b, bias = (rng.standard_normal(s) for s in ((m, k), (k, n), n))
    c = np.empty((m, n))
    call(lib, kernel, c, a, b, extra=[bias.ctypes.data])
    expected = np.maximum(a @ b + bias, 0) + 1000.0 * np.arange(m)[:, None]
    np.testing.assert_allclose(c, expected, rtol=1e-12, atol=1e-11)
