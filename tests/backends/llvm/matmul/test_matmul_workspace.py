"""`matmul.workspace`: what a caller is told to provide suffices, and is small for small products."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from symgraph.backends.llvm.builder import Builder, Module, Value
from symgraph.backends.llvm.jit import Target, host, load
from symgraph.backends.llvm.matmul import argument_table, emit_matmul, units, workspace_bytes
from symgraph.backends.llvm.matmul.blocking import blocking
from symgraph.backends.llvm.matmul.workspace import largest_workspace
from symgraph.sizes import Dim, Size, evaluate, symbol, symbols_of

Array = NDArray[Any]
LaidOut = Callable[[Array, str, int, Any], tuple[Array, Array]]
DTYPES = {"float": np.float32, "double": np.float64, "i16": np.int16}
SHAPES = (
    *((1, 1, 9), (1, 700, 40), (600, 1, 5000), (1, 1, 5000), (1, 33, 70)),
    *((3, 5, 2), (17, 50, 90), (40, 600, 300), (97, 600, 900), (24, 230, 1300), (5, 6, 0)),
)
GUARD = 4096


def same(
    b: Builder, acc: Value, row: Value, col: Value, mask: Value | None, extra: list[Value]
) -> Value:
    return acc


def strides(x: Array) -> tuple[Dim, Dim]:
    return x.strides[0] // x.itemsize, x.strides[1] // x.itemsize


def run_guarded(address: int, kernel: Any, operands: list[Array], size: int) -> None:
    """Run with exactly ``size`` bytes of workspace; the memory around it must stay."""
    memory = np.full(size + 64 + 2 * GUARD, 0xA5, np.uint8)
    start = GUARD + -(memory.ctypes.data + GUARD) % 64
    table = argument_table(kernel, *operands, memory[start:])
    run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    run(address)(table.ctypes.data, 0, 1 << 40)
    assert (memory[:start] == 0xA5).all()
    assert (memory[start + size :] == 0xA5).all(), operands[0].shape


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("scalar", DTYPES)
def test_no_more_is_used_than_was_asked_for(
    scalar: str,
    fused: bool,
    bits: int,
    layout: str,
    target: Callable[[int], Target],
    laid_out: LaidOut,
) -> None:
    rng, module, dtype = np.random.default_rng(51), Module(), DTYPES[scalar]
    chosen = target(bits)
    kernel = emit_matmul(module, "f", scalar, chosen, epilogue=same if fused else None)
    library = load(str(module), chosen, optimise=False)
    for m, n, k in SHAPES:
        a, _ = laid_out(rng.integers(-3, 4, (m, k)).astype(dtype), layout, 0, 7)
        b, _ = laid_out(rng.integers(-3, 4, (k, n)).astype(dtype), layout, 0, 7)
        c = np.empty((m, n), dtype)
        size = workspace_bytes(scalar, chosen, (m, n, k), strides(a), strides(b), fused=fused)
        assert isinstance(size, int)
        assert size <= largest_workspace(blocking(scalar, chosen), fused=fused)
        run_guarded(library.address("f"), kernel, [c, a, b], size)
        np.testing.assert_array_equal(c, a @ b)


@pytest.mark.parametrize("scalar", ["float", "double"])
def test_sizes_known_later_are_no_smaller(scalar: str) -> None:
    for m, n, k in SHAPES:
        names = (symbol("m"), symbol("n"), symbol("k"))
        for unknown in range(8):
            shape = tuple(
                s if unknown >> i & 1 else d
                for i, (s, d) in enumerate(zip(names, (m, n, k), strict=True))
            )
            values = {
                atom: d for s, d in zip(names, (m, n, k), strict=True) for atom in symbols_of(s)
            }
            strides = ((shape[2], 1), (1, shape[2]))
            for left in strides:
                for fused in (False, True):
                    found = workspace_bytes(scalar, host(), shape, left, (shape[1], 1), fused=fused)
                    there = found if isinstance(found, int) else evaluate(found, values)
                    known = workspace_bytes(
                        scalar,
                        host(),
                        (m, n, k),
                        tuple(evaluate(d, values) for d in left),
                        (n, 1),
                        fused=fused,
                    )
                    assert there >= known, (shape, left, fused)


def test_small_products_need_little() -> None:
    by_rows: tuple[Dim, Dim] = (64, 1)
    assert workspace_bytes("float", host(), (16, 64, 64), by_rows, by_rows) <= 1 << 12
    packed = workspace_bytes("float", host(), (16, 64, 64), by_rows, (1, 64))
    assert isinstance(packed, int) and packed <= 1 << 15
    n: Size = symbol("n")
    found = workspace_bytes("float", host(), (n, 64, 64), by_rows, by_rows, fused=True)
    (atom,) = symbols_of(n)
    assert evaluate(found, {atom: 16}) <= 1 << 16
