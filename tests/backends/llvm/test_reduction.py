"""Reductions: identities, positions, ties and NaN, at every length around a vector."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph as sg
from symgraph.backends.llvm.reduction import RULES, is_compensated, is_ordered
from symgraph.ops import reduction as r
from symgraph.types import DTYPES

LENGTHS = (0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 65, 1030)


def test_only_float_sums_and_products_have_an_order() -> None:
    ordered = {(op.name, d.name) for op in RULES for d in DTYPES.values() if is_ordered(op, d)}
    assert ordered == {(op, d) for op in ("sum", "prod") for d in ("float32", "float64")}
    assert is_compensated(r.sum_, DTYPES["float32"]) and not is_compensated(
        r.prod, DTYPES["float32"]
    )


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int8", "uint16"])
def test_extremes_and_their_positions_at_every_length(dtype: str, axis: int) -> None:
    x = sg.tensor("x", shape=("n", "m"), dtype=dtype)
    f = sg.function(
        [x],
        [
            sg.max(x, axis=axis),
            sg.min(x, axis=axis),
            sg.argmax(x, axis=axis),
            sg.argmin(x, axis=axis),
        ],
    )
    rng = np.random.default_rng(1)
    for n in LENGTHS[1:]:
        a = rng.integers(0, 4, (n, 3) if axis == 0 else (3, n)).astype(dtype)  # many ties
        wanted = [fn(a, axis=axis) for fn in (np.max, np.min, np.argmax, np.argmin)]
        for got, want in zip(f(a), wanted, strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("n", LENGTHS)
def test_integer_sums_and_counts_wrap_as_numpy(n: int) -> None:
    x = sg.tensor("x", shape=("n",), dtype="int64")
    f = sg.function([x], [sg.sum(x), sg.prod(x), sg.any(x > 90), sg.all(x > -99)])
    a = np.random.default_rng(n).integers(-100, 100, n)
    wanted = [a.sum(), a.prod(), (a > 90).any(), (a > -99).all()]
    assert [v.item() for v in f(a)] == [v.item() for v in wanted]


@pytest.mark.parametrize("place", [0, 5, 16, 40])
def test_nan_wins_an_extreme_and_its_first_place(place: int) -> None:
    x = sg.vector("x")
    a = np.arange(41.0)
    a[[place, 40]] = np.nan
    highest, where, least = sg.function([x], [sg.max(x), sg.argmax(x), sg.min(x)])(a)
    assert np.isnan(highest) and np.isnan(least) and where == place


def test_zeros_are_ordered_by_sign() -> None:
    x = sg.vector("x")
    f = sg.function([x], [sg.max(x), sg.min(x)])
    for n in (2, 17, 64):
        a = np.zeros(n)
        a[::2] = -0.0
        high, low = f(a)
        assert not np.signbit(high) and np.signbit(low)
