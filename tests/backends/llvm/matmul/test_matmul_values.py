"""Float products against NumPy in higher precision, over shapes, layouts, accumulation, batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from symgraph.backends.llvm.jit import Library
from symgraph.backends.llvm.matmul import (
    MatmulKernel,
    call,
)

Array = NDArray[Any]
Compiled = Callable[[str, int], tuple[Library, MatmulKernel]]
LaidOut = Callable[[Array, str, int, Any], tuple[Array, Array]]

FLOATS = {"float": np.float32, "double": np.float64}
SHAPES = (
    (1, 1, 1),
    (1, 1, 5000),
    (1, 67, 33),
    (67, 1, 33),
    (1, 1500, 40),
    (9, 47, 16),
    (5, 3, 2),
    (17, 66, 801),
    (193, 50, 20),
    (300, 1100, 30),
    (70, 330, 410),
)


def assert_close(c: Array, a: Array, b: Array, before: Array | None = None) -> None:
    """``c`` is ``a @ b`` (plus ``before``) within the error bound of K additions in order."""
    wide = np.longdouble if c.dtype == np.float64 and c.size < 2e4 else np.float64
    exact, size = a.astype(wide) @ b.astype(wide), np.abs(a) @ np.abs(b)
    if before is not None:
        exact, size = exact + before, size + np.abs(before)
    terms = a.shape[-1] + 2
    bound = terms * np.finfo(c.dtype).eps * size
    assert c.shape == exact.shape
    assert np.all(np.abs(c - exact) <= bound)


@pytest.mark.parametrize("scalar", FLOATS)
def test_random_shapes_and_layouts(
    scalar: str, bits: int, compiled: Compiled, laid_out: LaidOut
) -> None:
    rng = np.random.default_rng(1)
    layouts = ("rows", "columns", "strided", "strided columns", "reversed", "mirrored")
    for _ in range(60):
        m, n, k = (int(x) for x in rng.integers(1, 68, 3))
        shapes = ((m, n), (m, k), (k, n))
        c, a, b = (
            laid_out(rng.standard_normal(s).astype(FLOATS[scalar]), rng.choice(layouts), 0, 0)[0]
            for s in shapes
        )
        call(*compiled(scalar, bits), c, a, b)
        assert_close(c, a, b)


@pytest.mark.parametrize("scalar", FLOATS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_paths(scalar: str, bits: int, shape: tuple[int, int, int], compiled: Compiled) -> None:
    rng, (m, n, k) = np.random.default_rng(2), shape
    dtype = FLOATS[scalar]
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    c = np.full((m, n), np.nan, dtype)
    call(*compiled(scalar, bits), c, a, b)
    assert_close(c, a, b)


@pytest.mark.parametrize("scalar", FLOATS)
def test_accumulate(
    scalar: str, bits: int, layout: str, compiled: Compiled, laid_out: LaidOut
) -> None:
    rng, dtype = np.random.default_rng(3), FLOATS[scalar]
    for m, n, k in ((13, 29, 900), (1, 40, 7), (40, 1, 7), (1, 1, 70)):
        a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
        before = rng.standard_normal((m, n)).astype(dtype)
        c, _ = laid_out(before, layout, 0, 0)
        call(*compiled(scalar, bits), c, a, b, accumulate=True)
        assert_close(c, a, b, before)


@pytest.mark.parametrize("shape", [(3, 70), (1, 9), (9, 1), (1, 1)], ids=str)
def test_no_inner_size(shape: tuple[int, int], bits: int, compiled: Compiled) -> None:
    m, n = shape
    a, b = np.empty((m, 0), np.float32), np.empty((0, n), np.float32)
    c = np.full(shape, 7, np.float32)
    call(*compiled("float", bits), c, a, b, accumulate=True)
    assert (c == 7).all()
    call(*compiled("float", bits), c, a, b)
    assert (c == 0).all()


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0), (1, 0), (0, 1)], ids=str)
def test_empty_result(shape: tuple[int, int], bits: int, compiled: Compiled) -> None:
    m, n = shape
    whole = np.full((6, 6), 7.0)
    call(*compiled("double", bits), whole[:m, :n], np.ones((m, 3)), np.ones((3, n)))
    assert (whole == 7).all()


def test_no_batch(bits: int, compiled: Compiled) -> None:
    lib, kernel = compiled("double", bits)
    c = np.full((2, 5, 5), 7.0)
    call(lib, kernel, c[:0], np.ones((5, 5)), np.ones((5, 5)))
    assert (c == 7).all()


@pytest.mark.parametrize("scalar", FLOATS)
def test_batches(scalar: str, bits: int, compiled: Compiled) -> None:
    rng, dtype = np.random.default_rng(4), FLOATS[scalar]
    a = rng.standard_normal((2, 1, 3, 5, 4)).astype(dtype)[:, :, ::-1]
    b = rng.standard_normal((4, 1, 4, 6)).astype(dtype)
    c = np.empty((2, 4, 3, 5, 6), dtype)
    call(*compiled(scalar, bits), c, a, b)
    assert_close(c, a, b)


def test_special_values(bits: int, compiled: Compiled) -> None:
    a = np.array([[np.inf, 0.0], [np.nan, 1.0], [1e308, 1.0]])
    b = np.array([[1.0, 0.0, 1e10], [2.0, 3.0, 0.0]])
    c = np.empty((3, 3))
    call(*compiled("double", bits), c, a, b)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(c, np.einsum("ik,kj->ij", a, b))
