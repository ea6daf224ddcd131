"""Rules of the logistic function and its kin: every spelling, its derivatives, binary losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import pytest
from closed_forms import FORMS, misses
from scipy import special

import symgraph as sg
from symgraph import Tensor, simplify
from symgraph.passes.pipeline import PIPELINES

z, y, w, a, b = (sg.vector(n, shape="n") for n in "zywab")
Unary = Callable[[Tensor], Tensor]

# fmt: off
SPELLINGS: dict[str, dict[str, Unary]] = {
    "sigmoid": {
        "quotient":     lambda v: 1 / (1 + sg.exp(-v)),
        "by exp":       lambda v: sg.exp(v) / (1 + sg.exp(v)),
        "exp first":    lambda v: sg.exp(v) / (sg.exp(v) + 1),
        "by tanh":      lambda v: 0.5 * (1 + sg.tanh(v / 2)),
        "by tanh, spread": lambda v: 0.5 + 0.5 * sg.tanh(0.5 * v),
        "by tanh, halved": lambda v: (sg.tanh(v / 2) + 1) / 2,
        "by where": lambda v: sg.where(
            v >= 0, 1 / (1 + sg.exp(-v)), sg.exp(v) / (1 + sg.exp(v))
        ),
        "complement":   lambda v: 1 - 1 / (1 + sg.exp(v)),
        "complement of complement": lambda v: 1 - (1 - sg.sigmoid(v)),
        "power":        lambda v: (1 + sg.exp(-v)) ** -1.0,
        "by log":       lambda v: sg.exp(-sg.log(1 + sg.exp(-v))),
        "named":        sg.sigmoid,
    },
    "softplus": {
        "log":          lambda v: sg.log(1 + sg.exp(v)),
        "log1p":        lambda v: sg.log1p(sg.exp(v)),
        "by maximum":   lambda v: sg.maximum(v, 0) + sg.log1p(sg.exp(-sg.abs(v))),
        "by maximum and log": lambda v: sg.maximum(v, 0) + sg.log(1 + sg.exp(-sg.abs(v))),
        "by relu":      lambda v: sg.relu(v) + sg.log(1 + sg.exp(-sg.abs(v))),
        "flipped":      lambda v: v + sg.log(1 + sg.exp(-v)),
        "by sigmoid":   lambda v: -sg.log(sg.sigmoid(-v)),
        "by complement": lambda v: -sg.log(1 - sg.sigmoid(v)),
        "by logaddexp": lambda v: sg.logaddexp(v, 0.0),
        "by where": lambda v: sg.where(
            v > 0, v + sg.log1p(sg.exp(-v)), sg.log1p(sg.exp(v))
        ),
        "sharpened":    lambda v: sg.log(1 + sg.exp(4 * (v / 4))),
        "named":        sg.softplus,
    },
    "log sigmoid": {
        "log":          lambda v: sg.log(1 / (1 + sg.exp(-v))),
        "by minimum":   lambda v: sg.minimum(v, 0) - sg.log1p(sg.exp(-sg.abs(v))),
        "difference":   lambda v: v - sg.log(1 + sg.exp(v)),
    },
    "slope": {
        "product":      lambda v: sg.sigmoid(v) * (1 - sg.sigmoid(v)),
        "of quotients": lambda v: 1 / (1 + sg.exp(-v)) * (1 - 1 / (1 + sg.exp(-v))),
        "difference":   lambda v: sg.sigmoid(v) - sg.sigmoid(v)**2,
        "quotient":     lambda v: sg.exp(-v) / (1 + sg.exp(-v))**2,
        "two sums":     lambda v: 1 / ((1 + sg.exp(v)) * (1 + sg.exp(-v))),
    },
    "tanh": {
        "quotient": lambda v: (sg.exp(v) - sg.exp(-v)) / (sg.exp(v) + sg.exp(-v)),
        "one exp":      lambda v: (sg.exp(2 * v) - 1) / (sg.exp(2 * v) + 1),
        "by expm1":     lambda v: sg.expm1(2 * v) / (sg.expm1(2 * v) + 2),
        "by sigmoid":   lambda v: 2 * sg.sigmoid(2 * v) - 1,
        "one minus":    lambda v: 1 - 2 / (1 + sg.exp(2 * v)),
        "sinh, cosh":   lambda v: sg.sinh(v) / sg.cosh(v),
        "named":        sg.tanh,
    },
    "sech squared": {
        "by tanh":      lambda v: 1 - sg.tanh(v)**2,
        "by cosh":      lambda v: 1 / sg.cosh(v)**2,
        "by exp":       lambda v: 4 / (sg.exp(v) + sg.exp(-v))**2,
    },
    "silu": {
        "quotient":     lambda v: v / (1 + sg.exp(-v)),
        "by exp":       lambda v: v * sg.exp(v) / (1 + sg.exp(v)),
        "named":        sg.silu,
    },
    "logit": {
        "odds":         lambda p: sg.log(p / (1 - p)),
        "difference":   lambda p: sg.log(p) - sg.log(1 - p),
        "by log1p":     lambda p: sg.log(p) - sg.log1p(-p),
        "odds against": lambda p: -sg.log(1 / p - 1),
        "named":        sg.logit,
    },
    "identity": {
        "logit":        lambda v: sg.logit(1 / (1 + sg.exp(-v))),
        "odds":         lambda v: sg.log(sg.sigmoid(v) / (1 - sg.sigmoid(v))),
        "difference":   lambda v: sg.log(sg.sigmoid(v)) - sg.log(1 - sg.sigmoid(v)),
        "softplus":     lambda v: sg.log(1 + sg.exp(v)) - sg.log(1 + sg.exp(-v)),
    },
    "entropy": {
        "Bernoulli": lambda v: -sg.sigmoid(v) * sg.log(sg.sigmoid(v))
                               - (1 - sg.sigmoid(v)) * sg.log(1 - sg.sigmoid(v)),
    },
}
# fmt: on
CASES = [(form, name) for form, spelled in SPELLINGS.items() for name in spelled]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("form", "name"), CASES)
def test_value_and_two_derivatives_at_extreme_points(form: str, name: str, dtype: str) -> None:
    scale = name == "two sums"  # one minus one is left of it near 0
    chosen = FORMS["slope, absolute"] if scale else FORMS[form]
    assert not misses(SPELLINGS[form][name], chosen, dtype)


@pytest.mark.parametrize("passes", [*PIPELINES, ()])
@pytest.mark.parametrize("form", [f for f in SPELLINGS if f not in ("slope",)])
def test_gradient_is_right_in_every_pipeline(form: str, passes: object) -> None:
    """Without rules on the derivative too: it is taken of the stable form."""
    wanted = FORMS[form]
    if form == "sech squared":  # one less one is left of it near 0, unless rules see to that
        wanted = replace(wanted, scale=1.0)
    for formula in SPELLINGS[form].values():
        assert not misses(formula, wanted, passes=passes, order=1, first=1)


def _same(v: Tensor) -> Tensor:
    return v


@pytest.mark.parametrize("form", ["sigmoid", "softplus", "tanh", "silu", "logit", "identity"])
def test_every_spelling_becomes_the_named_operation(form: str) -> None:
    named: Unary = SPELLINGS[form].get("named", _same)
    for name, formula in SPELLINGS[form].items():
        assert simplify(formula(z)) is simplify(named(z)), name


# ---- product trees -------------------------------------------------------------------------------

s = 1 / (1 + sg.exp(-z))
# fmt: off
TREES: dict[str, tuple[Tensor, Tensor]] = {
    "slope":           (y * s * (1 - s),                       y * sg.sigmoid(z) * sg.sigmoid(-z)),
    "weighted slope":  (s * (y * (1 - s)),            sg.sigmoid(z) * (y * sg.sigmoid(-z))),
    "scaled quotient": (a * sg.exp(z) / (1 + sg.exp(z)) / b,   a * sg.sigmoid(z) / b),
    "apart":           (a * sg.exp(z) * (b / (1 + sg.exp(z))), a * sg.sigmoid(z) * b),
    "divisor of many": (a / (b * (1 + sg.exp(z))),             a * sg.sigmoid(-z) / b),
    "y minus":         (y - y * s,                             y * sg.sigmoid(-z)),
    "sharpened":       (sg.exp(3 * z) / (1 + sg.exp(3 * z)),   sg.sigmoid(3 * z)),
    "unequal":         (sg.exp(z) / (sg.exp(z) + sg.exp(y)),   sg.sigmoid(z - y)),
    "of powers of two": (1 / (1 + 2.0**-z),                    sg.sigmoid(np.log(2) * z)),
    "odds":            (sg.sigmoid(z) / sg.sigmoid(-z),        sg.exp(z)),
    "square root":     (1 / sg.sqrt(1 + sg.exp(-z)),           sg.sqrt(sg.sigmoid(z))),
    "gelu by tanh": (
        0.5 * z * (1 + sg.tanh(0.75 * (z + 0.5 * z**2))), sg.sigmoid(1.5 * (z + 0.5 * z**2)) * z
    ),
}
# fmt: on


@pytest.mark.parametrize("name", TREES)
def test_product_tree_becomes(name: str) -> None:
    written, wanted = TREES[name]
    assert simplify(written) is simplify(wanted), sg.pprint(simplify(written))


@pytest.mark.parametrize("name", TREES)
def test_simplifying_a_tree_twice_changes_nothing(name: str) -> None:
    once = simplify(TREES[name][0])
    assert simplify(once) is once


@pytest.mark.parametrize("name", TREES)
def test_nan_in_a_tree_stays(name: str) -> None:
    graph = sg.Graph([simplify(TREES[name][0])])
    for v in graph.inputs:
        at = {u: np.array([np.nan if u is v else 0.5]) for u in graph.inputs}
        assert np.isnan(graph.outputs[0].eval(at, backend="reference")).all()


def test_tanh_that_is_used_otherwise_is_kept() -> None:
    """The derivative of a tanh layer needs the value already there, no second function."""
    h = sg.tanh(z)
    graph = sg.Graph([simplify(sg.grad(sg.sum(h**2), z))])
    assert graph.count("tanh") == 1 and graph.count("sigmoid") == 0


# ---- binary cross-entropy ------------------------------------------------------------------------

PROBABILITIES: dict[str, Unary] = {
    "quotient": lambda v: 1 / (1 + sg.exp(-v)),
    "exp": lambda v: sg.exp(v) / (1 + sg.exp(v)),
    "tanh": lambda v: 0.5 * (1 + sg.tanh(v / 2)),
    "named": sg.sigmoid,
}
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
# fmt: off
LOSSES: dict[str, Loss] = {
    "sum":         lambda p, t, v: sg.sum(-t * sg.log(p) - (1 - t) * sg.log(1 - p)),
    "minus mean":  lambda p, t, v: -sg.mean(t * sg.log(p) + (1 - t) * sg.log(1 - p)) * p.shape[0],
    "log1p":       lambda p, t, v: -sg.sum(t * sg.log(p) + (1 - t) * sg.log1p(-p)),
    "two sums":    lambda p, t, v: -sg.sum(t * sg.log(p)) - sg.sum((1 - t) * sg.log(1 - p)),
    "turned":      lambda p, t, v: sg.sum((t - 1) * sg.log(1 - p) - t * sg.log(p)),
    "odds":        lambda p, t, v: sg.sum(t * (sg.log(1 - p) - sg.log(p)) - sg.log(1 - p)),
    "named":       lambda p, t, v: sg.binary_cross_entropy(v, t, reduction="sum"),
}
# fmt: on


def _cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    """The sum of the losses, by SciPy."""
    losses = targets * special.log_expit(logits) + (1 - targets) * special.log_expit(-logits)
    return float(-np.sum(losses))


HARD = np.array([-1e4, 1e4, 1e4, -1e4, 40.0, -40.0, 0.0, 1.5])
TARGETS = np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.25, 0.5, 0.75])


@pytest.mark.parametrize("passes", ["default", "fast"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("spelled", PROBABILITIES)
def test_binary_cross_entropy_on_probabilities(spelled: str, loss: str, passes: str) -> None:
    cost = LOSSES[loss](PROBABILITIES[spelled](z), y, z)
    f = sg.function([z, y], cost, passes=passes, backend="reference")
    assert f.graph.count("exp", "log", "log1p", "sigmoid", "tanh") == 0
    want = _cross_entropy(HARD, TARGETS)
    np.testing.assert_allclose(f(HARD, TARGETS), want, rtol=1e-13)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("spelled", PROBABILITIES)
def test_its_gradient_is_sigmoid_minus_target(spelled: str, loss: str) -> None:
    gradient = simplify(sg.grad(LOSSES[loss](PROBABILITIES[spelled](z), y, z), z))
    if loss != "minus mean":
        assert gradient is sg.sigmoid(z) - y, sg.pprint(gradient)
    got = sg.function([z, y], gradient, backend="reference")(HARD, TARGETS)
    np.testing.assert_allclose(got, special.expit(HARD) - TARGETS, rtol=1e-13, atol=1e-16)


def test_gradient_of_the_divergence() -> None:
    t = sg.constant(np.linspace(0.1, 0.8, 8))
    p = PROBABILITIES["quotient"](z)
    cost = sg.sum(t * sg.log(t / p) + (1 - t) * sg.log((1 - t) / (1 - p)))
    value, slope = sg.function([z], [cost, sg.grad(cost, z)], backend="reference")(HARD)
    q = np.linspace(0.1, 0.8, 8)
    want = q * (np.log(q) - special.log_expit(HARD)) + (1 - q) * (
        np.log1p(-q) - special.log_expit(-HARD)
    )
    np.testing.assert_allclose(value, want.sum(), rtol=1e-13)
    np.testing.assert_allclose(slope, special.expit(HARD) - q, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize(
    ("cost", "wanted"),
    [
        (
            lambda p: -sg.mean(w * (y * sg.log(p) + (1 - y) * sg.log(1 - p))),
            "1 / n * w * (sigmoid(z) - y)",
        ),
        (lambda p: -sg.sum(0.25 * sg.log(p) + 0.75 * sg.log(1 - p)), "sigmoid(z) - 0.25"),
        (lambda p: -sg.sum(sg.log(p)), "-sigmoid(-z)"),
    ],
)
def test_weighted_and_literal_targets(cost: Unary, wanted: str) -> None:
    gradient = sg.pprint(simplify(sg.grad(cost(s), z)))
    assert gradient == wanted


def test_logistic_regression_by_hand() -> None:
    """One residual sigmoid(u) - y, and one product with the data."""
    x, v = sg.matrix("x", shape=("n", "d")), sg.vector("v", shape="d")
    p = 1 / (1 + sg.exp(-(x @ v)))
    gradient = sg.grad(-sg.mean(y * sg.log(p) + (1 - y) * sg.log(1 - p)), v)
    graph = sg.Graph([simplify(gradient)])
    assert graph.count("sigmoid") == 1 and graph.count("matmul") == 2
    rng = np.random.default_rng(5)
    data, at, labels = rng.normal(size=(6, 3)) * 1e4, rng.normal(size=3), rng.integers(0, 2, 6)
    got = gradient.eval({x: data, v: at, y: labels.astype(float)}, backend="reference")
    want = data.T @ (special.expit(data @ at) - labels) / 6
    np.testing.assert_allclose(got, want, rtol=1e-12, err_msg="seed 5")


def test_gradient_of_the_mean_loss_on_logits() -> None:
    """(sigmoid(z) - y) / n: one subtraction and one product, not two products."""
    slope = simplify(sg.grad(sg.mean(sg.softplus(z) - y * z), z))
    graph = sg.Graph([slope])
    assert [graph.count(op) for op in ("multiply", "subtract", "add")] == [1, 1, 0]


#: inverses of exp(v) - 1 and the like, with their derivatives
INVERSES: dict[str, tuple[Unary, Callable[[Any], Any]]] = {
    "of expm1": (lambda v: 1 / (sg.exp(v) - 1), lambda v: 1 / mpmath.expm1(v)),
    "exp above": (lambda v: sg.exp(v) / (sg.exp(v) - 1), lambda v: -1 / mpmath.expm1(-v)),
    "exp over expm1": (lambda v: sg.exp(v) / sg.expm1(v), lambda v: -1 / mpmath.expm1(-v)),
    "cosh over sinh": (lambda v: sg.cosh(v) / sg.sinh(v), lambda v: 1 / mpmath.tanh(v)),
}


@pytest.mark.parametrize("name", INVERSES)
def test_inverse_and_its_slope_far_out(name: str) -> None:
    build, truth = INVERSES[name]
    at = np.array([-1e4, -750.0, -30.0, -0.5, 0.5, 30.0, 750.0, 1e4])
    value = build(z)
    got = sg.function([z], [value, sg.grad(sg.sum(value), z)], backend="reference")(at)
    for order, found in enumerate(got):
        with mpmath.workdps(60):
            wanted = [_derived(truth, v, order) for v in at]
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-16)


def _derived(function: Callable[[Any], Any], at: float, order: int) -> float:
    if order == 0:
        return float(function(mpmath.mpf(at)))
    if abs(at) > 700:
        return 0.0
    return float(mpmath.diff(function, mpmath.mpf(at)))


@pytest.mark.parametrize("exponent", [0.5, 1.7, 2.0, 3.0])
def test_focal_loss(exponent: float) -> None:
    """(1 - s)**g log s and its gradient, finite and right where 1 - s is 0."""
    cost = -sg.sum((1 - s) ** exponent * sg.log(s))
    value, slope = sg.function([z], [cost, sg.grad(cost, z)], backend="reference")(HARD)
    q, level = special.expit(-HARD), special.log_expit(HARD)
    np.testing.assert_allclose(value, np.sum(q**exponent * -level), rtol=1e-12)
    want = q**exponent * (exponent * special.expit(HARD) * level - q)
    np.testing.assert_allclose(slope, want, rtol=1e-11, atol=1e-16)


def test_likelihood_of_bernoulli() -> None:
    cost = -sg.sum(sg.log(s**y * (1 - s) ** (1 - y)))
    value, slope = sg.function([z, y], [cost, sg.grad(cost, z)], backend="reference")(HARD, TARGETS)
    want = _cross_entropy(HARD, TARGETS)
    np.testing.assert_allclose(value, want, rtol=1e-13)
    np.testing.assert_allclose(slope, special.expit(HARD) - TARGETS, rtol=1e-13, atol=1e-16)


# ---- where rules stay away -----------------------------------------------------------------------

# fmt: off
KEPT: dict[str, Tensor] = {
    "other exponent":      sg.exp(z) * sg.sigmoid(z),
    "other weights":       (1 - y) * sg.sigmoid(z) - w * sg.sigmoid(-z),
    "other arguments":     (1 - y) * sg.sigmoid(z) - y * sg.sigmoid(w),
    "not one":             1.5 - sg.sigmoid(z),
    "softplus of another": y + sg.softplus(-z),
    "one and zero":        sg.sigmoid(z) * 1.5 + sg.sigmoid(-z),
    "relu of another":     sg.relu(y) + sg.softplus(-sg.abs(z)),
    "sums to one":         sg.sigmoid(z) + sg.sigmoid(-z),
}
# fmt: on


@pytest.mark.parametrize("name", KEPT)
def test_is_left_alone(name: str) -> None:
    def ops(x: Tensor) -> list[str]:
        return sorted(n.op.name for n in sg.Graph([x]).nodes if n.inputs)

    assert ops(simplify(KEPT[name])) == ops(KEPT[name])


#: derivatives that the rule for quotients would make 0 * inf
STEEP: dict[str, tuple[Unary, Unary]] = {
    "over exp":        (lambda v: v / sg.exp(v),             lambda v: sg.exp(-v) - v * sg.exp(-v)),
    "over a logistic": (lambda v: 1 / sg.sigmoid(v),         lambda v: -sg.exp(-v)),
    "Gumbel":          (lambda v: sg.exp(-sg.exp(v)),        lambda v: -sg.exp(v - sg.exp(v))),
}  # fmt: skip


@pytest.mark.parametrize("name", STEEP)
def test_slope_of_an_inverse_exponential(name: str) -> None:
    written, wanted = STEEP[name]
    at = np.array([-30.0, -1.0, 0.0, 2.0, 700.0, 800.0, 1e4])
    slope = sg.grad(sg.sum(written(z)), z)
    got = sg.function([z], slope, backend="reference")(at)
    want = sg.function([z], wanted(z), backend="reference")(at)
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-300)


def test_curvature_of_a_network_needs_no_other_function() -> None:
    """A product with the Hessian uses the two logistic functions that the gradient has."""
    inputs, weights, along = (sg.matrix(n, shape=(3, 3)) for n in ("X", "W", "D"))
    hidden = sg.sigmoid(sg.sigmoid(inputs @ weights) @ weights)
    slope = sg.grad(sg.sum(hidden * hidden), weights)
    graph = sg.Graph([simplify(sg.grad(sg.sum(slope * along), weights))])
    assert graph.count("sigmoid") == 4
    assert graph.count("tanh", "exp") == 0
