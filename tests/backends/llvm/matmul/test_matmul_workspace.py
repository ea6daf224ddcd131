"""`matmul.workspace`: what a caller must provide suffices, and is small for small products."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from symgraph.backends.llvm.builder import Builder, Module, Value
from symgraph.backends.llvm.jit import Target, host, load
from symgraph.backends.llvm.matmul import argument_table, emit_matmul, workspace_bytes
from symgraph.backends.llvm.matmul.blocking import blocking
from symgraph.backends.llvm.matmul.workspace import largest_workspace
from symgraph.sizes import Atom, Dim, Size, evaluate, symbol, symbols_of

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


def at(dims: tuple[Dim, Dim], values: dict[Atom, int]) -> tuple[int, int]:
    return evaluate(dims[0], values), evaluate(dims[1], values)


def run_guarded(address: int, kernel: Any, operands: tuple[Array, Array, Array], size: int) -> None:
    """Run with exactly ``size`` bytes of workspace; the memory around it must stay."""
    memory = np.full(size + 64 + 2 * GUARD, 0xA5, np.uint8)
    start = GUARD + -(memory.ctypes.data + GUARD) % 64
    table = argument_table(kernel, *operands, room=memory[start:])
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
        run_guarded(library.address("f"), kernel, (c, a, b), size)
        np.testing.assert_array_equal(c, a @ b)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("scalar", ["float", "double"])
def test_sizes_known_later_need_no_less(scalar: str, fused: bool) -> None:
    names = [symbol(name) for name in "mnk"]
    for sizes in SHAPES:
        values = {a: d for s, d in zip(names, sizes, strict=True) for a in symbols_of(s)}
        for unknown in itertools.product((False, True), repeat=3):
            m, n, k = (s if u else d for u, s, d in zip(unknown, names, sizes, strict=True))
            orders: list[list[tuple[Dim, Dim]]] = [[(k, 1), (1, m)], [(n, 1), (1, k)]]
            for left, right in itertools.product(*orders):
                asked = workspace_bytes(scalar, host(), (m, n, k), left, right, fused=fused)
                known = workspace_bytes(
                    scalar, host(), sizes, at(left, values), at(right, values), fused=fused
                )
                assert evaluate(asked, values) >= evaluate(known, {}), (m, n, k, left, right)


def test_small_products_need_little() -> None:
    by_rows: tuple[Dim, Dim] = (64, 1)
    for right, most in ((by_rows, 1 << 12), ((1, 64), 1 << 15)):
        found = workspace_bytes("float", host(), (16, 64, 64), by_rows, right)
        assert evaluate(found, {}) <= most
    n: Size = symbol("n")
    found = workspace_bytes("float", host(), (n, 64, 64), by_rows, by_rows, fused=True)
    (atom,) = symbols_of(n)
    assert evaluate(found, {atom: 16}) <= 1 << 16
