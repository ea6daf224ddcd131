"""Arithmetic of many bits: precision that grows, casts, integers, limits, what has no value."""

from __future__ import annotations

import sys
from typing import Any

import mpmath
import numpy as np
import pytest

import symgraph as sg
from symgraph.backends.precise import evaluate_precisely, rounded
from symgraph.backends.precise.evaluate import difference
from symgraph.errors import ShapeError, UnsupportedError, UsageError
from symgraph.graph import Graph
from symgraph.op import Op
from symgraph.tensor import Tensor, apply


def value(expression: Tensor, values: dict[Tensor, Any], precision: int | None = None) -> Any:
    (found,) = evaluate_precisely(Graph([expression]), values, precision)
    return found


x = sg.scalar("x")
v = sg.vector("v", shape="n")


def test_precision_grows_until_two_results_agree() -> None:
    tiny = (1 + x) - 1
    assert float(value(tiny, {x: np.array(1e-300)}, 256)) == 0
    assert float(value(tiny, {x: np.array(1e-300)})) == 1e-300


def test_exponentials_far_apart_are_told_apart() -> None:
    found = value(sg.log(1 + sg.exp(x)), {x: np.array(-700.0)})
    assert mpmath.almosteq(found[()], mpmath.exp(-700), rel_eps=1e-15)


def test_row_functions_keep_what_the_largest_hides() -> None:
    found = value(sg.log_softmax(v), {v: np.array([0.0, -1000.0])}, 256)
    assert mpmath.almosteq(found[0], -mpmath.exp(-1000), rel_eps=1e-15)


def test_conversions_between_floats_change_nothing() -> None:
    narrow = sg.astype(sg.astype(x, "float32"), "float64")
    assert float(value(narrow, {x: np.array(0.1)})) == 0.1


def test_conversions_to_integers_cut_off_and_saturate() -> None:
    given = np.array([2.9, -2.9, 1e300, -np.inf, np.nan])
    found = value(sg.astype(v, "int8"), {v: given})
    assert found.dtype == np.int8 and found.tolist() == [2, -2, 127, -128, 0]


def test_integers_wrap_around() -> None:
    k = sg.vector("k", shape="n", dtype="int8")
    found = value(k * k, {k: np.array([100, 3], np.int8)})
    assert found.dtype == np.int8 and found.tolist() == [16, 9]


def test_symbolic_sizes_and_empty_arrays() -> None:
    assert float(value(sg.sum(v) / v.shape[0], {v: np.array([1.0, 3.0])})) == 2
    with pytest.raises(ShapeError, match="the max of nothing does not exist"):
        value(sg.max(v), {v: np.zeros(0)})
    assert float(value(sg.expand_dims(v, 0) @ sg.expand_dims(v, 1), {v: np.zeros(0)})[0, 0]) == 0


def test_sizes_born_on_the_way() -> None:
    picked = v[v > 0]
    found = value(sg.sum(picked) * 2, {v: np.array([1.0, -1.0, 2.0])})
    assert float(found) == 6


def test_nan_and_infinities_follow_their_limits() -> None:
    given = {v: np.array([np.inf, -np.inf, np.nan])}
    assert [float(t) for t in value(sg.sigmoid(v), given)[:2]] == [1, 0]
    assert mpmath.isnan(value(sg.max(v), given)[()])
    assert mpmath.isnan(value(sg.sum(v), given)[()])


@pytest.mark.parametrize("at", [1e10, 1e15, 1e100, 1e300])
def test_the_tail_of_erfc_at_any_distance(at: float) -> None:
    found = value(sg.log(sg.erfc(x)), {x: np.array(at)})
    with mpmath.workdps(60):
        far = -(mpmath.mpf(at) ** 2) - mpmath.log(mpmath.mpf(at)) - mpmath.log(mpmath.pi) / 2
    assert mpmath.almosteq(found[()], far, rel_eps=1e-15)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_rounding_is_to_nearest_at_every_size(dtype: str) -> None:
    rng = np.random.default_rng(5)
    limits = np.finfo(dtype)
    exponents = rng.integers(limits.minexp - limits.nmant - 2, limits.maxexp - 1, 300)
    pairs = zip(rng.random(300), exponents, strict=True)
    plain = [mpmath.ldexp(mpmath.mpf(f), int(k)) for f, k in pairs]
    got = rounded(np.array(plain, object), dtype)
    step = np.spacing(np.abs(got)).astype(float)
    assert all(
        abs(mpmath.mpf(float(g)) - p) <= mpmath.mpf(s) / 2
        for g, p, s in zip(got, plain, step, strict=True)
    )


def test_rounding_overflows_to_infinity() -> None:
    big = np.array([mpmath.mpf(10) ** 39, -(mpmath.mpf(10) ** 400), mpmath.nan], object)
    assert rounded(big, "float32").tolist()[:2] == [np.inf, -np.inf]
    assert np.isnan(rounded(big, "float32")[2])


def test_difference_of_equal_infinities_and_nans_is_nothing() -> None:
    assert difference(np.inf, mpmath.inf) == 0 and difference(np.nan, mpmath.nan) == 0
    assert mpmath.isinf(difference(np.nan, mpmath.mpf(1)))
    assert difference(1.5, mpmath.mpf(1)) == 0.5


def test_an_operation_of_the_users_own_is_refused_by_name() -> None:
    twice = Op("twice", lambda types, attrs, equations: types[0], lambda a: 2 * a)
    with pytest.raises(UnsupportedError, match=r"twice \(made at test_precise.py:\d+\)"):
        value(apply(twice, (x,)), {x: np.array(1.0)})


def test_a_missing_value_is_named() -> None:
    with pytest.raises(UsageError, match="no value was given for x"):
        value(x + 1, {})


def test_without_mpmath_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [m for m in sys.modules if m.startswith("symgraph.backends.precise.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mpmath", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'symgraph\[audit\]'"):
        value(x + 1, {x: np.array(1.0)})
