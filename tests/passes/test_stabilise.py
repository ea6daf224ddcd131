"""Stabilised values and derivatives: finite and right where the formula as written is not
(N04-N08, F10-F13).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import special

import symgraph as sg
from symgraph import Tensor
from symgraph.passes.pipeline import PIPELINES
from symgraph.passes.stabilise import stabilised

x = sg.vector("x", shape="n")
Unary = Callable[[Tensor], Tensor]
EDGE = np.array([-1e4, -800.0, -40.0, -1.0, 0.0, 1.0, 40.0, 800.0, 1e4])


def _expit(v: np.ndarray) -> np.ndarray:
    return np.asarray(special.expit(v))


# fmt: off
#: formula, its value, its derivative
FORMULAS: dict[str, tuple[Unary, Callable[..., np.ndarray], Callable[..., np.ndarray]]] = {
    "softplus": (
        lambda v: sg.log(1 + sg.exp(v)),
        lambda v: np.logaddexp(v, 0),
        _expit,
    ),
    "softplus by log1p": (
        lambda v: sg.log1p(sg.exp(v)),
        lambda v: np.logaddexp(v, 0),
        _expit,
    ),
    "sigmoid": (
        lambda v: 1 / (1 + sg.exp(-v)),
        _expit,
        lambda v: _expit(v) * _expit(-v),
    ),
    "sigmoid by exp": (
        lambda v: sg.exp(v) / (1 + sg.exp(v)),
        _expit,
        lambda v: _expit(v) * _expit(-v),
    ),
    "log sigmoid": (
        lambda v: sg.log(1 / (1 + sg.exp(-v))),
        special.log_expit,
        lambda v: _expit(-v),
    ),
    "log of complement": (
        lambda v: sg.log(1 - 1 / (1 + sg.exp(-v))),
        lambda v: special.log_expit(-v),
        lambda v: -_expit(v),
    ),
    "log exp":           (lambda v: sg.log(sg.exp(v)),                 lambda v: v, np.ones_like),
    "tanh": (
        lambda v: (sg.exp(v) - sg.exp(-v)) / (sg.exp(v) + sg.exp(-v)),
        np.tanh,
        lambda v: 4 * _expit(2 * v) * _expit(-2 * v),
    ),
    "silu": (
        lambda v: v / (1 + sg.exp(-v)),
        lambda v: v * _expit(v),
        lambda v: _expit(v) + v * _expit(v) * _expit(-v),
    ),
    "silu by exp": (
        lambda v: v * sg.exp(v) / (1 + sg.exp(v)),
        lambda v: v * _expit(v),
        lambda v: _expit(v) + v * _expit(v) * _expit(-v),
    ),
    "tanh by sigmoid": (
        lambda v: 2 / (1 + sg.exp(-2 * v)) - 1,
        np.tanh,
        lambda v: 4 * _expit(2 * v) * _expit(-2 * v),
    ),
    "tanh by one exp": (
        lambda v: (sg.exp(2 * v) - 1) / (sg.exp(2 * v) + 1),
        np.tanh,
        lambda v: 4 * _expit(2 * v) * _expit(-2 * v),
    ),
    "slope of sigmoid": (
        lambda v: sg.exp(-v) / (1 + sg.exp(-v)) ** 2,
        lambda v: _expit(v) * _expit(-v),
        lambda v: -_expit(v) * _expit(-v) * np.tanh(v / 2),
    ),
    "power of e": (
        lambda v: 1 / (1 + math.e**-v),
        _expit,
        lambda v: _expit(v) * _expit(-v),
    ),
    "log cosh": (
        lambda v: sg.log(sg.cosh(v)),
        lambda v: np.logaddexp(v, -v) - np.log(2),
        np.tanh,
    ),
    "log of three terms": (
        lambda v: sg.log(3 + sg.exp(v) + sg.exp(-v)),
        lambda v: special.logsumexp([np.full_like(v, np.log(3)), v, -v], axis=0),
        lambda v: (
            special.softmax([np.full_like(v, np.log(3)), v, -v], axis=0) * [[0], [1], [-1]]
        ).sum(axis=0),
    ),
    "log of a choice": (
        lambda v: sg.log(sg.where(v > 0.5, 1 / (1 + sg.exp(-v)), 1 - 1 / (1 + sg.exp(-v)))),
        lambda v: special.log_expit(np.where(v > 0.5, v, -v)),
        lambda v: np.where(v > 0.5, _expit(-v), -_expit(v)),
    ),
    "softplus inverse":  (lambda v: sg.log(sg.exp(sg.softplus(v)) - 1), lambda v: v, np.ones_like),
}
# fmt: on


@pytest.mark.parametrize("name", FORMULAS)
def test_value_is_repaired_in_default(name: str) -> None:
    formula, value, _ = FORMULAS[name]
    at = EDGE[2:] if name == "softplus inverse" else EDGE
    got = sg.function([x], formula(x), backend="reference")(at)
    np.testing.assert_allclose(got, value(at), rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("name", [n for n in FORMULAS if n not in ("softplus inverse",)])
@pytest.mark.parametrize("passes", [*PIPELINES, ()])
def test_derivative_is_right_in_every_pipeline(name: str, passes: str) -> None:
    formula, _, derivative = FORMULAS[name]
    g = sg.function([x], sg.grad(sg.sum(formula(x)), x), passes=passes, backend="reference")(EDGE)
    np.testing.assert_allclose(g, derivative(EDGE), rtol=1e-12, atol=1e-16)


def test_strict_returns_the_value_as_written() -> None:
    f = sg.function([x], sg.log(1 + sg.exp(x)), passes="strict", backend="reference")
    assert np.isinf(f(np.array([1e4])))[0]


@pytest.mark.parametrize(("name", "tiny"), [("log1p", 1e-20), ("expm1", 1e-20)])
def test_cancellation_is_removed(name: str, tiny: float) -> None:
    formula = {"log1p": sg.log(1 + x), "expm1": sg.exp(x) - 1}[name]
    assert sg.function([x], formula, backend="reference")(np.array([tiny]))[0] == tiny


def test_log_of_a_product_of_many_probabilities() -> None:
    value = sg.log(sg.prod(x)).eval({x: np.full(1000, 0.1)}, backend="reference")
    np.testing.assert_allclose(value, 1000 * np.log(0.1), rtol=1e-13)


@pytest.mark.parametrize(
    ("signs", "want"), [((-1, -1), np.log(6)), ((-1, 1), np.nan), ((0, 1), -np.inf)]
)
def test_log_of_a_product_keeps_its_sign(signs: tuple[int, int], want: float) -> None:
    value = sg.log(sg.prod(x)).eval({x: np.array([2.0, 3.0]) * signs}, backend="reference")
    np.testing.assert_allclose(value, want)


# ---- classification ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("passes", [*PIPELINES, ()])
def test_hand_written_cross_entropy_has_its_gradient_everywhere(passes: str, dtype: str) -> None:
    z, k = sg.matrix("z", shape=("n", 3), dtype=dtype), sg.vector("k", shape="n", dtype="int64")
    q = sg.exp(z) / sg.sum(sg.exp(z), axis=1, keepdims=True)
    cost = -sg.sum(sg.log(q)[sg.arange(z.shape[0]), k])
    logits = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4], [1, 2, 3]], dtype)
    labels = np.array([1, 0, 2])
    got = sg.function([z, k], sg.grad(cost, z), passes=passes, backend="reference")(logits, labels)
    assert got.dtype == dtype
    want = special.softmax(logits.astype(float), axis=1) - np.eye(3)[labels]
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6 if dtype == "float32" else 1e-15)


# fmt: off
#: the probability of the label k in the rows of z
PICKED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "one-hot":       lambda q, k: sg.sum(sg.one_hot(k, 3) * q, axis=1),
    "compared": lambda q, k: (
        sg.sum((k[:, None] == sg.arange(3)).astype("float64") * q, axis=1)
    ),
    "chosen":        lambda q, k: sg.sum(sg.where(k[:, None] == sg.arange(3), q, 0.0), axis=1),
    "reciprocal":    lambda q, k: 1 / (1 / q[sg.arange(q.shape[0]), k]),
}
TOTALS: dict[str, Callable[[Tensor], Tensor]] = {
    "sum":           lambda e: sg.sum(e, axis=1, keepdims=True),
    "matmul":        lambda e: e @ sg.ones((3, 1)),
    "vector":        lambda e: (e @ sg.ones(3))[:, None],
    "from the left": lambda e: sg.expand_dims(sg.ones(3) @ e.T, 1),
}
# fmt: on


@pytest.mark.parametrize("total", TOTALS)
@pytest.mark.parametrize("picked", PICKED)
def test_picked_probability_has_its_gradient_everywhere(picked: str, total: str) -> None:
    z, k = sg.matrix("z", shape=("n", 3)), sg.vector("k", shape="n", dtype="int64")
    q = sg.exp(z) / TOTALS[total](sg.exp(z))
    logits, labels = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4], [1, 2, 3]]), np.array([1, 0, 2])
    cost = -sg.sum(sg.log(PICKED[picked](q, k)))
    got = sg.function([z, k], sg.grad(cost, z), backend="reference")(logits, labels)
    want = special.softmax(logits, axis=1) - np.eye(3)[labels]
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-15)


def test_label_out_of_range_picks_nothing() -> None:
    z, k = sg.matrix("z", shape=("n", 3)), sg.vector("k", shape="n", dtype="int64")
    value = sg.log(PICKED["compared"](sg.softmax(z), k))
    f = sg.function([z, k], value, backend="reference")
    np.testing.assert_allclose(f(np.zeros((3, 3)), [-1, 1, 3]), [-np.inf, -np.log(3), -np.inf])


def test_divergence_of_hand_written_ratio() -> None:
    z, w = sg.vector("z", shape=3), sg.vector("w", shape=3)
    p, q = sg.softmax(z), sg.softmax(w)
    f = sg.function([z, w], sg.sum(p * sg.log(p / q)), backend="reference")
    np.testing.assert_allclose(f([1000.0, 0.0, 0.0], [0.0, 1000.0, 0.0]), 1000)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("passes", [*PIPELINES, ()])
def test_second_order_is_finite_and_right(passes: str, dtype: str) -> None:
    z, v = sg.vector("z", shape=3, dtype=dtype), sg.vector("v", shape=3, dtype=dtype)
    q = sg.exp(z) / sg.sum(sg.exp(z))
    h = sg.function([z, v], sg.hvp(-sg.log(q[1]), z, v), passes=passes, backend="reference")
    for logits in ([1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [0.5, -1.0, 2.0]):
        at, along = np.array(logits, dtype), np.array([1.0, -2.0, 0.5], dtype)
        s = special.softmax(at.astype(float))
        want = s * along - s * (s @ along)
        np.testing.assert_allclose(h(at, along), want, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("passes", ["default", "fast"])
def test_naive_binary_cross_entropy_becomes_the_logit_form(passes: str) -> None:
    z, y = sg.vector("z", shape="n"), sg.vector("y", shape="n")
    s = 1 / (1 + sg.exp(-z))
    cost = -y * sg.log(s) - (1 - y) * sg.log(1 - s)
    f = sg.function([z, y], cost, passes=passes, backend="reference")
    assert f.graph.count("exp", "log", "sigmoid") == 0
    np.testing.assert_array_equal(
        f([-1000.0, 1000.0, 1000.0, -1000.0], [1.0, 0.0, 1.0, 0.0]), [1000, 1000, 0, 0]
    )


@pytest.mark.parametrize("passes", [*PIPELINES, ()])
def test_bernoulli_loss_from_logits(passes: str) -> None:
    z, y = sg.vector("z", shape="n"), sg.vector("y", shape="n")
    cost = sg.softplus((1 - 2 * y) * z)
    f = sg.function([z, y], [cost, sg.grad(sg.sum(cost), z)], passes=passes, backend="reference")
    value, slope = f(np.array([1e3, -1e3, 1e3, -1e3]), np.array([1.0, 1.0, 0.0, 0.0]))
    np.testing.assert_array_equal(value, [0, 1000, 1000, 0])
    np.testing.assert_array_equal(slope, [0, -1, 1, 0])


# ---- cut points ----------------------------------------------------------------------------------


def test_targets_are_not_looked_through() -> None:
    e = sg.exp(x)
    g = sg.grad(sg.sum(sg.log(1 + e)), e)  # d/de log(1 + e), not of softplus
    np.testing.assert_allclose(g.eval({x: np.log([1.0, 3.0])}, backend="reference"), [0.5, 0.25])


def test_constants_are_not_looked_through() -> None:
    e = sg.exp(x)
    g = sg.grad(sg.sum(x * sg.log(1 + e)), x, consider_constant=[e])
    np.testing.assert_allclose(g.eval({x: np.array([0.0])}, backend="reference"), [np.log(2)])


def test_stable_expression_comes_back_itself() -> None:
    cost = sg.sum(sg.tanh(x) * 1.0)
    (same,) = stabilised([cost], [x])
    assert same is cost


def test_stop_gradient_elsewhere_keeps_its_meaning() -> None:
    g = sg.grad(sg.sum(sg.log(1 + sg.exp(sg.stop_gradient(x))) * x), x)
    np.testing.assert_allclose(g.eval({x: np.array([0.0])}, backend="reference"), [np.log(2)])


def test_unmatched_stopped_shift_is_kept() -> None:
    """log sum exp(x - [m]) + m with one m stopped and one not has another derivative than
    logsumexp.
    """
    m = sg.max(x)
    cost = sg.log(sg.sum(sg.exp(x - sg.stop_gradient(m)))) + m
    at = np.array([0.3, 1.7, -0.2])
    want = special.softmax(at) + (at == at.max())
    np.testing.assert_allclose(sg.grad(cost, x).eval({x: at}, backend="reference"), want)
