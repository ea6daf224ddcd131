"""The bits of a result depend on sizes and target only: not on layout, alignment or batching."""

from __future__ import annotations

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
SHAPES = (
    (1, 1, 4500),
    (1, 45, 4200),
    (45, 1, 67),
    (1, 3, 5),
    (30, 70, 50),
    (200, 130, 61),
    (30, 70, 900),
)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("scalar", FLOATS)
def test_layout_never_shows(
    scalar: str,
    bits: int,
    shape: tuple[int, int, int],
    layout: str,
    compiled: Compiled,
    laid_out: LaidOut,
) -> None:
    rng, (m, n, k) = np.random.default_rng(5), shape
    dtype, product = FLOATS[scalar], compiled(scalar, bits)
    a, b = (rng.standard_normal(s).astype(dtype) for s in ((m, k), (k, n)))
    a[0, :], b[:, 0] = -0.0, np.copysign(b[:, 0], 1)
    plain, zeros = np.empty((m, n), dtype), np.zeros((m, n), dtype)
    call(*product, plain, a, b)
    c, _ = laid_out(zeros, layout, 1, 0)
    call(*product, c, a, b)
    assert c.tobytes() == plain.tobytes()
    call(*product, c, laid_out(a, layout, 1, np.nan)[0], b)
    assert c.tobytes() == plain.tobytes()
    call(*product, c, a, laid_out(b, layout, 3, np.nan)[0])
    assert c.tobytes() == plain.tobytes()


def test_batch_entry_is_a_product(bits: int, compiled: Compiled) -> None:
    rng, product = np.random.default_rng(6), compiled("float", bits)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in ((4, 9, 50), (50, 33)))
    together, alone = np.empty((4, 9, 33), np.float32), np.empty((9, 33), np.float32)
    call(*product, together, a, b)
    call(*product, alone, a[2], b)
    assert together[2].tobytes() == alone.tobytes()


def test_long_sum_is_accurate(bits: int, compiled: Compiled) -> None:
    rng, k = np.random.default_rng(7), 1_000_000
    a, b = np.ones((1, k), np.float32), rng.random((k, 1), np.float32)
    c = np.empty((1, 1), np.float32)
    call(*compiled("float", bits), c, a, b)
    exact = b.astype(np.float64).sum()
    assert abs(float(c[0, 0]) - exact) <= 64 * np.finfo(np.float32).eps * exact
