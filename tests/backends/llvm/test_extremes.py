"""Extremes of floating-point numbers and their positions: NaN, infinities and signed zeros at every
place of a row, against NumPy and the sign rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgraph as sg

Array = np.ndarray[Any, Any]
#: Around half a vector, a vector, and two.
LENGTHS = (1, 2, 3, 4, 5, 8, 9, 16, 17, 31, 32, 33, 70)
SPECIAL = (np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0)


def extremes(axis: int | None, dtype: str, shape: tuple[Any, ...] = ("n", "m")) -> sg.Function:
    x = sg.tensor("x", shape=shape, dtype=dtype)
    outputs = [f(x, axis=axis) for f in (sg.max, sg.min, sg.argmax, sg.argmin)]
    return sg.function([x], outputs)


def wanted(a: Array, axis: int | None) -> list[Array]:
    """NumPy's, but +0 is above -0."""
    high, low = np.max(a, axis=axis), np.min(a, axis=axis)
    plus = np.any((a == 0) & ~np.signbit(a), axis=axis)
    minus = np.any((a == 0) & np.signbit(a), axis=axis)
    high = np.where(high == 0, np.where(plus, 0.0, -0.0), high)
    low = np.where(low == 0, np.where(minus, -0.0, 0.0), low)
    places = np.argmax(a, axis=axis), np.argmin(a, axis=axis)
    return [high, low, *(np.asarray(p) for p in places)]


def check(f: sg.Function, a: Array, axis: int | None) -> None:
    for got, want in zip(f(a), wanted(a, axis), strict=True):
        np.testing.assert_array_equal(got, want)
        numbers = ~np.isnan(want)
        np.testing.assert_array_equal(np.signbit(got)[numbers], np.signbit(want)[numbers])


@pytest.mark.parametrize("axis", [0, 1, None])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_values_at_every_place(dtype: str, axis: int | None) -> None:
    """Rows (or columns) of few different numbers, with special values: seed 8."""
    rng, f = np.random.default_rng(8), extremes(axis, dtype)
    for m in LENGTHS:
        a = rng.choice([*SPECIAL, 1.0, -1.0], size=(40, m)).astype(dtype)
        b = np.where(rng.random((40, m)) < 0.8, rng.choice([-2.0, -0.0]), a).astype(dtype)
        for array in (a, b, np.abs(b), -np.abs(b)):
            check(f, array.T.copy() if axis == 0 else array, axis)


@pytest.mark.parametrize("m", LENGTHS)
def test_rows_of_declared_length(m: int) -> None:
    """Seed 9."""
    rng = np.random.default_rng(9)
    a = rng.choice([*SPECIAL, 1.0], size=(50, m)).astype("float32")
    check(extremes(1, "float32", ("n", m)), a, 1)


@pytest.mark.parametrize("value", SPECIAL)
def test_one_value_in_many_chunks(value: float) -> None:
    a = np.full((1, 40_000), value, "float32")
    check(extremes(1, "float32", (1, "n")), a, 1)
    check(extremes(None, "float32"), a, None)


@pytest.mark.parametrize("place", [0, 16_383, 16_384, 30_000, 39_999])
def test_the_first_nan_of_several_chunks(place: int) -> None:
    a = np.linspace(-1.0, 1.0, 40_000)
    a[[place, 39_999]] = np.nan
    a[0] = np.inf if place else np.nan
    check(extremes(None, "float64", (1, "n")), a[None], None)
