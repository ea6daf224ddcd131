"""Sums of exponentials along axes beside other terms, and exponentials times vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import symgraph as sg
from symgraph import Graph, Tensor, simplify

Value = Callable[[Tensor, Tensor], Tensor]
POINTS = ((1000.0, 0.0, -3.0), (-1000.0, -1001.0, -2000.0), (1e-8, 0.0, -1e-8), (3e37, -3e37, 0.0))
W = (2.0, 0.5, 1.5)
mp = mpmath.mp


def _exps(v: list[Any]) -> list[Any]:
    return [mpmath.exp(i) for i in v]


def _dot(a: list[Any], b: list[Any]) -> Any:
    return mpmath.fsum(p * q for p, q in zip(a, b, strict=True))


# fmt: off
#: what was written; and what it means, for lists of exact numbers
MEANINGS: dict[str, tuple[Value, Callable[[list[Any], list[Any]], Any]]] = {
    "log of one more":   (lambda v, w: sg.log(1 + sg.sum(sg.exp(v))),
                          lambda v, w: mpmath.log1p(sum(_exps(v)))),
    "log1p":             (lambda v, w: sg.log1p(sg.sum(sg.exp(v))),
                          lambda v, w: mpmath.log1p(sum(_exps(v)))),
    "log of some more":  (lambda v, w: sg.log(2.5 + 2 * sg.sum(sg.exp(v))),
                          lambda v, w: mpmath.log(2.5 + 2 * sum(_exps(v)))),
    "log with another":  (lambda v, w: sg.log(sg.sum(sg.exp(v)) + sg.exp(v[0] + 1)),
                          lambda v, w: mpmath.log(sum(_exps(v)) + mpmath.exp(v[0] + 1))),
    "log of two sums":   (lambda v, w: sg.log(sg.sum(sg.exp(v)) + sg.sum(sg.exp(w))),
                          lambda v, w: mpmath.log(sum(_exps(v)) + sum(_exps(w)))),
    "log of a product":  (lambda v, w: sg.log(sg.exp(v) @ sg.exp(w)),
                          lambda v, w: mpmath.log(_dot(_exps(v), _exps(w)))),
    "log of literals":   (lambda v, w: sg.log(sg.exp(v) @ np.array([1.0, 0.5, 3.0], v.dtype)),
                          lambda v, w: mpmath.log(_dot(_exps(v), [1, mpmath.mpf(0.5), 3]))),
    "log of powers":     (lambda v, w: sg.log(sg.sum(sg.exp(v) ** w[0])),
                          lambda v, w: mpmath.log(sum(_exps([i * w[0] for i in v])))),
    "average":           (lambda v, w: sg.exp(v) @ w / sg.sum(sg.exp(v)),
                          lambda v, w: _dot(_exps(v), w) / sum(_exps(v))),
    "average, turned":   (lambda v, w: w @ sg.exp(v) / sg.sum(sg.exp(v)),
                          lambda v, w: _dot(_exps(v), w) / sum(_exps(v))),
    "share beside zero": (lambda v, w: (sg.exp(v) / (1 + sg.sum(sg.exp(v))))[1],
                          lambda v, w: mpmath.exp(v[1]) / (1 + sum(_exps(v)))),
    "share of zero":     (lambda v, w: 1 / (1 + sg.sum(sg.exp(v))),
                          lambda v, w: 1 / (1 + sum(_exps(v)))),
    "share of one":      (lambda v, w: sg.exp(w[0]) / (sg.exp(w[0]) + sg.sum(sg.exp(v))),
                          lambda v, w: mpmath.exp(w[0]) / (mpmath.exp(w[0]) + sum(_exps(v)))),
}
# fmt: on


def _slope(meaning: Callable[[list[Any], list[Any]], Any], at: list[Any], k: int) -> Any:
    """A central difference in many digits."""
    step = mpmath.mpf(10) ** -100
    moved = [[*at[:k], at[k] + s, *at[k + 1 :]] for s in (step, -step)]
    w = [mpmath.mpf(i) for i in W]
    return (meaning(moved[0], w) - meaning(moved[1], w)) / (2 * step)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("passes", ["default", "fast"])
@pytest.mark.parametrize("name", MEANINGS)
def test_value_and_gradient_at_extreme_points(name: str, passes: str, dtype: str) -> None:
    written, meaning = MEANINGS[name]
    v, w = (sg.vector(i, shape=3, dtype=dtype) for i in "vw")
    value = written(v, w)
    program = sg.function([v, w], [value, sg.grad(value, v)], passes=passes, backend="reference")
    for point in POINTS[:3]:
        at = np.array(point, dtype)
        got = program(at, np.array(W, dtype))
        with mpmath.workdps(3000 if abs(at).max() > 1 else 300):
            exact = [mpmath.mpf(float(i)) for i in at]
            wanted = float(meaning(exact, [mpmath.mpf(i) for i in W]))
            slopes = [float(_slope(meaning, exact, k)) for k in range(3)]
        eps = float(np.finfo(dtype).eps)
        tiny = 4 * float(np.finfo(dtype).tiny)
        scale = max(1.0, abs(at).max())  # an exponent is known to eps of its magnitude
        np.testing.assert_allclose(got[0], wanted, rtol=8 * eps * scale, atol=tiny)
        np.testing.assert_allclose(got[1], slopes, rtol=8 * eps * scale, atol=max(tiny, 8 * eps))


X = sg.matrix("X", shape=("m", "n"))
x, y = sg.vector("x", shape="n"), sg.vector("y", shape="m")

# fmt: off
FORMS: dict[str, tuple[Tensor, Tensor]] = {
    "attention, row by row": (
        (sg.exp(X) @ x) / sg.sum(sg.exp(X), axis=1), sg.softmax(X, axis=1) @ x),
    "attention, columns": (
        (y @ sg.exp(X)) / sg.sum(sg.exp(X), axis=0), y @ sg.softmax(X, axis=0)),
    "attention, one query": (sg.exp(x) @ X.T / sg.sum(sg.exp(x)), sg.softmax(x) @ X.T),
    "attention, matrices": (
        sg.exp(X) @ X.T / sg.sum(sg.exp(X), axis=1, keepdims=True), sg.softmax(X, axis=1) @ X.T),
    "rows and one": (
        sg.log(1 + sg.sum(sg.exp(X), axis=1)), sg.softplus(sg.logsumexp(X, axis=1))),
    "rows by a vector": (sg.log(sg.exp(X) @ sg.exp(x)), sg.logsumexp(X + x, axis=1)),
    "a vector by columns": (
        sg.log(sg.exp(y) @ sg.exp(X)), sg.logsumexp(X + y[:, None], axis=0)),
    "difference": (sg.sum(sg.exp(x)) - 1, sg.sum(sg.exp(x)) - 1),
    "another's sum": (
        (sg.exp(X) @ x) / sg.sum(sg.exp(X), axis=0)[0],
        (sg.exp(X) @ x) / sg.sum(sg.exp(X), axis=0)[0]),
    "weights of any sign": (sg.log(sg.exp(x) @ x), sg.log(sg.exp(x) @ x)),
    "two matrices": (sg.log(sg.exp(X) @ sg.exp(X.T)), sg.log(sg.exp(X) @ sg.exp(X.T))),
}
# fmt: on


@pytest.mark.parametrize("name", FORMS)
def test_becomes(name: str) -> None:
    written, wanted = FORMS[name]
    once = simplify(written)
    assert once is simplify(wanted), sg.pprint(once)
    assert simplify(once) is once


def test_sum_of_other_rows_is_no_softmax() -> None:
    square = sg.matrix("S", shape=(3, 3))
    value = (sg.exp(square) @ sg.vector("q", shape=3)) / sg.sum(sg.exp(square), axis=0)
    assert Graph([simplify(value)]).count("softmax") == 0


def test_nan_and_infinite_inputs() -> None:
    v = sg.vector("v", shape=2)
    f = sg.function([v], sg.log(1 + sg.sum(sg.exp(v))), backend="reference")
    assert np.isnan(f([np.nan, 0.0]))
    assert f([np.inf, 0.0]) == np.inf
    assert f([-np.inf, -np.inf]) == 0


@pytest.mark.parametrize("weigh", ["abs", "square"])
@pytest.mark.parametrize("point", [(1000.0, 0.0, -3.0), (1.0, 0.0, -3.0), (-1000.0, -1001.0, 2.0)])
@pytest.mark.parametrize("weight", [2.0, 0.0])
def test_weights_that_may_be_zero(
    weigh: str, point: tuple[float, float, float], weight: float
) -> None:
    v, w = sg.vector("v", shape=3), sg.vector("w", shape=3)
    value = sg.log(sg.sum((sg.abs(w) if weigh == "abs" else w**2) * sg.exp(v)))
    f = sg.function([v, w], [value, *sg.grad(value, [v, w])], backend="reference")
    at = [weight, 1.0, 3.0]
    with np.errstate(over="ignore", invalid="ignore"):
        got = f(point, at)
    with mpmath.workdps(1000):
        power = 1 if weigh == "abs" else 2
        terms = [mpmath.mpf(c) ** power * mpmath.exp(p) for c, p in zip(at, point, strict=True)]
        total = mpmath.fsum(terms)
        shares = [float(t / total) for t in terms]
        wanted = float(mpmath.log(total))
    np.testing.assert_allclose(got[0], wanted, rtol=1e-13)
    np.testing.assert_allclose(got[1], shares, rtol=1e-12, atol=1e-300)
    known = np.array(at) != 0  # by a weight of zero the slope may be beyond the largest number
    by_weight = power * np.array(shares)[known] / np.array(at)[known]
    np.testing.assert_allclose(got[2][known], by_weight, rtol=1e-12, atol=1e-300)


def test_all_weights_zero() -> None:
    v, w = sg.vector("v", shape=2), sg.vector("w", shape=2)
    f = sg.function([v, w], sg.log(sg.sum(sg.abs(w) * sg.exp(v))), backend="reference")
    assert f([1.0, 2.0], [0.0, 0.0]) == -np.inf
    assert np.isnan(f([1.0, 2.0], [np.nan, 0.0]))
