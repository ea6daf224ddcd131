"""Columns in tiles: right at every size, and in the order of a walk down one column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from stages import both, native

import symgraph as sg

Array = np.ndarray[Any, Any]
X = sg.tensor("x", shape=("n", "m"), dtype="float32")
COLUMNS = (1, 5, 15, 16, 17, 31, 33, 64, 255, 257, 1023, 1025, 2100)
ROWS = (1, 7, 8, 9, 16, 40)


def values(*shape: int) -> Array:
    rng = np.random.default_rng(sum(shape))
    return (rng.normal(size=shape) * 10.0 ** rng.integers(-3, 3, shape)).astype("float32")


@pytest.mark.parametrize("columns", COLUMNS)
def test_reductions_of_columns_at_every_size(columns: int) -> None:
    w = sg.tensor("w", shape=("m",), dtype="float32")
    y = X * w
    outputs = [
        sg.sum(y, axis=0), sg.max(X, axis=0), sg.argmax(X, axis=0), sg.any(X > 0, axis=0), y,
        sg.mean(X, axis=0) - w,
    ]  # fmt: skip
    compiled, reference = both([X, w], outputs)
    for rows in ROWS:
        a, b = values(rows, columns), values(columns)
        with np.errstate(all="ignore"):
            wanted = reference(a, b)
        for got, want in zip(compiled(a, b), wanted, strict=True):
            np.testing.assert_allclose(got, want, rtol=2e-5, atol=0.05)


def test_columns_of_nothing() -> None:
    outputs = [sg.sum(X, axis=0), sg.prod(X, axis=0), sg.any(X > 0, axis=0), sg.mean(X, axis=0)]
    compiled, reference = both([X], outputs)
    for got, want in zip(compiled(values(0, 33)), reference(values(0, 33)), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("rows", [9, 100, 20_000])
def test_a_column_is_added_alike_in_a_tile_and_alone(rows: int) -> None:
    a = values(rows, 70)
    tiled = native([X], sg.sum(X, axis=0), passes=())(a)
    for few in (2, 3, 70):
        x = sg.tensor("x", shape=("n", few), dtype="float32")
        alone = native([x], sg.sum(x, axis=0), passes=())(np.ascontiguousarray(a[:, :few]))
        assert alone.tobytes() == tiled[:few].tobytes()


def test_columns_of_two_reduced_axes() -> None:
    x = sg.tensor("x", shape=("a", "b", "c"))
    compiled, reference = both([x], [sg.sum(x, axis=(0, 1)), sg.max(x, axis=(0, 1))])
    for shape in ((3, 5, 70), (2, 17, 9), (1, 1, 1100), (300, 100, 3), (4, 0, 40)):
        if 0 in shape:
            continue
        a = np.random.default_rng(1).normal(size=shape)
        for got, want in zip(compiled(a), reference(a), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-11)


def test_columns_of_turned_and_strided_memory() -> None:
    f = native([X], [sg.sum(X, axis=0), sg.min(X, axis=0)])
    a = values(90, 130)
    wanted = f(a)
    for other in (np.asfortranarray(a), np.repeat(a, 2, axis=1)[:, ::2], a[::-1].copy()[::-1]):
        for got, want in zip(f(other), wanted, strict=True):
            assert got.tobytes() == want.tobytes()
