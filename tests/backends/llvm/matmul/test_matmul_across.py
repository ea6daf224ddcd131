"""`matmul.across`: few rows against a B stored by columns, with the bits of a B stored by rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from symgraph.backends.llvm.builder import Builder, Module, Value, lanes_of
from symgraph.backends.llvm.jit import Library, Target, load
from symgraph.backends.llvm.matmul import MatmulKernel, call, emit_matmul, units

Array = NDArray[Any]
Compiled = Callable[[str, int], tuple[Library, MatmulKernel]]

FLOATS = {"float": np.float32, "double": np.float64}
#: Whole blocks; a rest of rows and columns; several cuts of K; rows that fill two tiles.
SHAPES = ((32, 144, 256), (19, 331, 200), (24, 203, 1700), (70, 900, 450))


def operands(scalar: str, shape: tuple[int, int, int], seed: int) -> tuple[Array, Array]:
    rng, (m, n, k) = np.random.default_rng(seed), shape
    a, b = (rng.standard_normal(s).astype(FLOATS[scalar]) for s in ((m, k), (n, k)))
    return a, b.T


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("scalar", FLOATS)
def test_values(scalar: str, bits: int, shape: tuple[int, int, int], compiled: Compiled) -> None:
    a, b = operands(scalar, shape, 71)
    c = np.full(shape[:2], np.nan, FLOATS[scalar])
    call(*compiled(scalar, bits), c, a, b)
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
    bound = 4 * float(np.finfo(a.dtype).eps) * shape[2] ** 0.5 * np.abs(a).max() * np.abs(b).max()
    assert np.abs(c - exact).max() <= bound * shape[2] ** 0.5


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("scalar", FLOATS)
def test_bits_of_ranges(
    scalar: str, bits: int, shape: tuple[int, int, int], compiled: Compiled
) -> None:
    a, b = operands(scalar, shape, 72)
    plain, c = np.empty(shape[:2], a.dtype), np.empty(shape[:2], a.dtype)
    call(*compiled(scalar, bits), plain, a, np.ascontiguousarray(b))
    total = units(*shape[:2], 1)
    assert isinstance(total, int)
    for cuts in ([], [1], [total // 2], list(range(1, total))):
        c[...] = np.nan
        call(*compiled(scalar, bits), c, a, b, cuts=cuts)
        assert c.tobytes() == plain.tobytes(), cuts


def test_neighbours_of_c_stay(bits: int, compiled: Compiled) -> None:
    m, n, k = 19, 331, 200
    a, b = operands("float", (m, n, k), 73)
    wide = np.full((m + 2, n + 9), 7, np.float32)
    call(*compiled("float", bits), wide[1:-1, 4:-5], a, b)
    inside = wide[1:-1, 4:-5].copy()
    wide[1:-1, 4:-5] = 7
    assert (wide == 7).all()
    np.testing.assert_allclose(inside, a @ b, rtol=1e-3, atol=1e-4)


def test_epilogue_sees_rows(bits: int, target: Callable[[int], Target]) -> None:
    def moved(
        b: Builder, acc: Value, row: Value, col: Value, mask: Value | None, extra: list[Value]
    ) -> Value:
        """2 * acc + row + 1000 * col of the first lane."""
        index = b.add(row, b.mul(col, b.i64(1000)))
        return b.fadd(
            b.fadd(acc, acc), b.splat(b.cast("sitofp", index, "double"), lanes_of(acc.type))
        )

    module = Module()
    kernel = emit_matmul(module, "moved", "double", target(bits), epilogue=moved)
    library, lanes = load(str(module), target(bits), optimise=False), bits // 64
    a, b = operands("double", (24, 203, 450), 74)
    c = np.empty((24, 203))
    call(library, kernel, c, a, b)
    first = np.arange(203) // lanes * lanes
    expected = 2 * (a @ b) + np.arange(24)[:, None] + 1000.0 * first
    np.testing.assert_allclose(c, expected, rtol=1e-9, atol=1e-9)
