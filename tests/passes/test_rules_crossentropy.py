"""Cross-entropy in many spellings: closed forms of its gradient and its Hessian-vector product,
right at logits of any size, in every pipeline and in both precisions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy import special

import symgraph as sg
from symgraph import Graph, Tensor
from symgraph.passes.simplify import simplify

Array = np.ndarray[Any, Any]
CLASSES = 4


# ---- log-probabilities ---------------------------------------------------------------------------


def _rows(x: Tensor) -> Tensor:
    return sg.sum(x, axis=1, keepdims=True)


def _top(z: Tensor) -> Tensor:
    return sg.max(z, axis=1, keepdims=True)


def _share(e: Tensor) -> Tensor:
    return e / _rows(e)


# fmt: off
LOGS: dict[str, Callable[[Tensor], Tensor]] = {
    "named":           sg.log_softmax,
    "log of named":    lambda z: sg.log(sg.softmax(z)),
    "quotient":        lambda z: sg.log(_share(sg.exp(z))),
    "reciprocal":      lambda z: sg.log(sg.exp(z) * (1 / _rows(sg.exp(z)))),
    "difference":      lambda z: z - sg.log(_rows(sg.exp(z))),
    "maximum":         lambda z: sg.log(_share(sg.exp(z - _top(z)))),
    "stopped maximum": lambda z: sg.log(_share(sg.exp(z - sg.stop_gradient(_top(z))))),
    "long":            lambda z: z - _top(z) - sg.log(_rows(sg.exp(z - _top(z)))),
    "transposed":      lambda z: sg.log((sg.exp(z).T / sg.sum(sg.exp(z), axis=1)).T),
    "by matmul":       lambda z: sg.log(sg.exp(z) / (sg.exp(z) @ sg.ones((4, 1), dtype=z.dtype))),
    "powers of two":   lambda z: sg.log(_share(sg.exp2(z * float(1 / np.log(2))))),
    "kept level":      lambda z: z - (sg.log(_rows(sg.exp(z - _top(z)))) + _top(z)),
}
# fmt: on


# ---- costs ---------------------------------------------------------------------------------------


def _picked(log_q: Tensor, k: Tensor) -> Tensor:
    return log_q[sg.arange(log_q.shape[0]), k]


def _hot(k: Tensor, like: Tensor) -> Tensor:
    return sg.one_hot(k, CLASSES, dtype=like.dtype)


def _compared(k: Tensor) -> Tensor:
    return k[:, None] == sg.arange(CLASSES)


@dataclass(frozen=True)
class Cost:
    """A cost of log-probabilities, labels and soft targets; its weights of rows and targets.

    With these the gradient is ``weight * (q * sum(target) - target)``.
    """

    of: Callable[[Tensor, Tensor, Tensor], Tensor]
    weight: Callable[[int], Any]
    target: Callable[[Array, Array], Array]


def _one_hot(k: Array, p: Array) -> Array:
    return np.eye(CLASSES)[k]


def _per_row(n: int) -> float:
    return 1 / n


def _smooth(k: Array, p: Array) -> Array:
    return np.asarray(0.9 * np.eye(CLASSES)[k] + 0.1 / CLASSES)


LABELS = np.array([1, 0, 3, 2, 1])
WEIGHTS = np.array([0.5, 1.0, 2.0, 1.5])

# fmt: off
COSTS: dict[str, Cost] = {
    "indexed": Cost(lambda log_q, k, p: -sg.mean(_picked(log_q, k)), _per_row, _one_hot),
    "along": Cost(
        lambda log_q, k, p: -sg.mean(sg.take_along_axis(log_q, k[:, None], axis=1)),
        _per_row, _one_hot),
    "one-hot": Cost(
        lambda log_q, k, p: -sg.mean(_rows(_hot(k, log_q) * log_q)), _per_row, _one_hot),
    "identity": Cost(
        lambda log_q, k, p: -sg.sum(sg.eye(CLASSES, dtype=log_q.dtype)[k] * log_q) / k.shape[0],
        _per_row, _one_hot),
    "compared": Cost(
        lambda log_q, k, p: -sg.sum(_compared(k).astype(log_q.dtype) * log_q),
        lambda n: 1.0, _one_hot),
    "selected": Cost(
        lambda log_q, k, p: -sg.sum(sg.where(_compared(k), log_q, 0.0)), lambda n: 1.0, _one_hot),
    "class weights": Cost(
        lambda log_q, k, p: -sg.mean(sg.constant(WEIGHTS, log_q.dtype)[k] * _picked(log_q, k)),
        _per_row, lambda k, p: WEIGHTS[k][:, None] * np.eye(CLASSES)[k]),
    "masked": Cost(
        lambda log_q, k, p: -sg.sum(sg.where(k > 0, _picked(log_q, k), 0.0)),
        lambda n: LABELS[:, None] > 0, _one_hot),
    "smoothed": Cost(
        lambda log_q, k, p: -sg.mean(_rows((0.9 * _hot(k, log_q) + 0.1 / CLASSES) * log_q)),
        _per_row, _smooth),
    "smoothed by means": Cost(
        lambda log_q, k, p: -sg.mean(0.9 * _picked(log_q, k) + 0.1 * sg.mean(log_q, axis=1)),
        _per_row, _smooth),
    "soft": Cost(lambda log_q, k, p: -sg.sum(p * log_q), lambda n: 1.0, lambda k, p: p),
    "mean of all": Cost(
        lambda log_q, k, p: -sg.mean(log_q), lambda n: 1 / (CLASSES * n),
        lambda k, p: np.ones_like(p)),
}
# fmt: on


# ---- right at every size, order and precision ----------------------------------------------------


def _logits(dtype: str) -> Array:
    huge = 1e300 if dtype == "float64" else 1e30
    rows = [
        [1e4, -1e4, 0.0, 9999.0],
        [huge, -huge, 0.0, huge / 2],
        [-huge, -huge, -huge, -huge],
        [0.3, -1.2, 2.0, 0.1],
        [0.0, -1000.0, 1000.0, 700.0],
    ]
    return np.array(rows, dtype)


def _values(cost: Cost, z: Array, p: Array, v: Array) -> tuple[Array, Array, Array]:
    """Cost, gradient and Hessian-vector product in closed form, in double precision."""
    wide, soft, along = (a.astype("float64") for a in (z, p, v))
    q, log_q = special.softmax(wide, axis=1), special.log_softmax(wide, axis=1)
    target, weight = cost.target(LABELS, soft), cost.weight(len(z))
    total = target.sum(axis=1, keepdims=True)
    value = np.asarray(-np.sum(weight * np.where(target == 0, 0.0, target * log_q)))
    spread = along - np.sum(q * along, axis=1, keepdims=True)
    return value, weight * (q * total - target), weight * total * q * spread


CASES = [
    *((log, cost) for log in LOGS for cost in ("indexed", "soft")),
    *((log, cost) for log in ("named", "quotient") for cost in COSTS),
]


@pytest.mark.parametrize("passes", ["strict", "default", "fast"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("log", "cost"), sorted(set(CASES)))
def test_right_at_logits_of_any_size(log: str, cost: str, dtype: str, passes: str) -> None:
    z, p, v = (sg.matrix(name, shape=("n", CLASSES), dtype=dtype) for name in "zpv")
    k = sg.vector("k", shape="n", dtype="int64")
    spelled = COSTS[cost].of(LOGS[log](z), k, p)
    outputs = [sg.grad(spelled, z), sg.hvp(spelled, z, v), spelled]
    f = sg.function([z, p, v, k], outputs, passes=passes, backend="reference")
    rng = np.random.default_rng(7)
    logits = _logits(dtype)
    soft, along = (rng.uniform(0.1, 1, size=(5, CLASSES)).astype(dtype) for _ in range(2))
    gradient, product, value = f(logits, soft, along, LABELS)
    want_value, want_gradient, want_product = _values(COSTS[cost], logits, soft, along)
    tolerance = 2e-6 if dtype == "float32" else 1e-14
    np.testing.assert_allclose(gradient, want_gradient, rtol=20 * tolerance, atol=4 * tolerance)
    np.testing.assert_allclose(product, want_product, rtol=20 * tolerance, atol=4 * tolerance)
    if passes != "strict" or log == "named":  # strict computes what is written
        np.testing.assert_allclose(value, want_value, rtol=20 * tolerance)


def test_machine_code_agrees_with_the_closed_form() -> None:
    z, p, v = (sg.matrix(name, shape=("n", CLASSES)) for name in "zpv")
    k = sg.vector("k", shape="n", dtype="int64")
    cost = COSTS["indexed"].of(LOGS["quotient"](z), k, p)
    f = sg.function([z, v, k], [sg.grad(cost, z), sg.hvp(cost, z, v), cost])
    along = np.random.default_rng(8).normal(size=(5, CLASSES))
    gradient, product, value = f(_logits("float64"), along, LABELS)
    want = _values(COSTS["indexed"], _logits("float64"), along, along)
    np.testing.assert_allclose(value, want[0], rtol=1e-13)
    np.testing.assert_allclose(gradient, want[1], rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(product, want[2], rtol=1e-13, atol=1e-14)


# ---- closed forms --------------------------------------------------------------------------------

COUNTED = ("softmax", "log_softmax", "logsumexp", "exp", "log", "max", "scatter_add")
z = sg.matrix("z", shape=("n", CLASSES))
p = sg.matrix("p", shape=("n", CLASSES))
v = sg.matrix("v", shape=("n", CLASSES))
k = sg.vector("k", shape="n", dtype="int64")


def _counts(expression: Tensor, *more: str) -> dict[str, int]:
    graph = Graph([expression])
    return {name: n for name in (*COUNTED, *more) if (n := graph.count(name))}


def _mean_difference() -> Tensor:
    count = sg.sum(sg.ones_like(k.astype("float64")))
    return (1 / count) * (sg.softmax(z) - sg.one_hot(k, 4))


@pytest.mark.parametrize("cost", ["indexed", "along", "one-hot", "identity"])
@pytest.mark.parametrize("log", LOGS)
def test_gradient_by_labels_is_q_minus_one_hot(log: str, cost: str) -> None:
    gradient = sg.grad(COSTS[cost].of(LOGS[log](z), k, p), z)
    got, want = simplify([gradient, _mean_difference()])
    assert got is want


#: Spellings whose derivative as written does not come down to q - p: a transpose between the
#: exponential and its sum.
BEYOND_REPAIR = ("transposed",)


@pytest.mark.parametrize("cost", ["indexed", "along", "one-hot", "identity"])
@pytest.mark.parametrize("log", [log for log in LOGS if log not in BEYOND_REPAIR])
def test_raw_gradient_by_labels_is_repaired(log: str, cost: str) -> None:
    gradient = sg.grad(COSTS[cost].of(LOGS[log](z), k, p), z, stabilise=False)
    got, want = simplify([gradient, _mean_difference()])
    assert got is want


@pytest.mark.parametrize("log", LOGS)
def test_one_softmax_serves_the_product_with_the_hessian(log: str) -> None:
    product = simplify(sg.hvp(-sg.sum(_picked(LOGS[log](z), k)), z, v))
    q = sg.softmax(z)
    assert product is simplify(q * (v - sg.sum(v * q, axis=1, keepdims=True)))
    assert _counts(product) == {"softmax": 1}


@pytest.mark.parametrize("cost", COSTS)
def test_no_logarithm_or_exponential_is_left(cost: str) -> None:
    spelled = COSTS[cost].of(LOGS["long"](z), k, p)
    for derivative in (sg.grad(spelled, z), sg.hvp(spelled, z, v)):
        assert _counts(simplify(derivative)) == {"softmax": 1}


def test_smoothed_targets_sum_to_one() -> None:
    smooth = COSTS["smoothed"].of(sg.log_softmax(z), k, p)
    assert _counts(simplify(sg.grad(smooth, z)), "sum") == {"softmax": 1}
    assert _counts(simplify(sg.hvp(smooth, z, v)), "sum") == {"softmax": 1, "sum": 1}


def test_mean_of_all_has_no_leftover_factor() -> None:
    gradient = simplify(sg.grad(-sg.mean(sg.log_softmax(z)), z))
    assert _counts(gradient, "sum") == {"softmax": 1}
    q = special.softmax(_logits("float64"), axis=1)
    np.testing.assert_allclose(
        gradient.eval({z: _logits("float64")}, backend="reference"), (4 * q - 1) / 20, atol=1e-15
    )


def test_entropy_and_divergence() -> None:
    log_q, log_p = LOGS["quotient"](z), LOGS["quotient"](p)
    entropy = simplify(sg.grad(-sg.sum(sg.exp(log_q) * log_q), z))
    assert _counts(entropy) == {"softmax": 1, "log_softmax": 1}
    divergence = sg.sum(sg.exp(log_p) * (log_p - log_q))
    assert simplify(sg.grad(divergence, z)) is sg.softmax(z) - sg.softmax(p)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradient_by_a_layer_of_logits(dtype: str) -> None:
    x, w = sg.matrix("x", shape=("n", 3), dtype=dtype), sg.matrix("w", shape=(3, 4), dtype=dtype)
    b = sg.vector("b", shape=4, dtype=dtype)
    cost = -sg.mean(_picked(LOGS["maximum"](x @ w + b), k))
    gradients = simplify(sg.grad(cost, [w, b]))
    assert Graph(gradients).count("softmax", "exp", "log", "max") == 1
    rng = np.random.default_rng(9)
    xs, ws, bs = (1e3 * rng.normal(size=s).astype(dtype) for s in ((5, 3), (3, 4), (4,)))
    f = sg.function([x, w, b, k], gradients, backend="reference")
    error = (special.softmax(xs.astype(float) @ ws + bs, axis=1) - np.eye(4)[LABELS]) / 5
    tolerance = 1e-3 if dtype == "float32" else 1e-9
    got_w, got_b = f(xs, ws, bs, LABELS)
    np.testing.assert_allclose(got_w, xs.T.astype(float) @ error, atol=tolerance * 1e3)
    np.testing.assert_allclose(got_b, error.sum(axis=0), atol=tolerance)


logits = sg.tensor("logits", shape=("t", "b", CLASSES))
labels = sg.tensor("labels", shape=("t", "b"), dtype="int32")
STEPS, BATCH = logits.shape[:2]

# fmt: off
#: the negative log-likelihood of labels in every step of sequences (section 10.2)
SEQUENCES: dict[str, Callable[[Tensor], Tensor]] = {
    "indexed": lambda q: -sg.sum(sg.log(q)[sg.arange(STEPS)[:, None], sg.arange(BATCH), labels]),
    "indexed first": lambda q: (
        -sg.sum(sg.log(q[sg.arange(STEPS)[:, None], sg.arange(BATCH), labels]))
    ),
    "along": lambda q: -sg.sum(sg.take_along_axis(sg.log(q), labels[..., None], axis=-1)),
    "one-hot": lambda q: -sg.sum(sg.one_hot(labels, CLASSES) * sg.log(q)),
    "identity": lambda q: -sg.sum(sg.sum(sg.eye(CLASSES)[labels] * sg.log(q), axis=-1)),
}
# fmt: on


@pytest.mark.parametrize("stabilise", [True, False])
@pytest.mark.parametrize("cost", SEQUENCES.values(), ids=SEQUENCES)
def test_sequence_of_labels(cost: Callable[[Tensor], Tensor], stabilise: bool) -> None:
    e = sg.exp(logits - sg.max(logits, axis=-1, keepdims=True))
    spelled = cost(e / sg.sum(e, axis=-1, keepdims=True))
    gradient = simplify(sg.grad(spelled, logits, stabilise=stabilise))
    assert gradient is simplify(sg.softmax(logits) - sg.one_hot(labels, CLASSES))
    steep = 1e4 * np.random.default_rng(12).normal(size=(3, 2, CLASSES))
    chosen = np.array([[0, 1], [3, 2], [-1, 0]], "int32")
    got = gradient.eval({logits: steep, labels: chosen}, backend="reference")
    want = special.softmax(steep, axis=-1) - np.eye(CLASSES)[chosen]
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-15)
    value = spelled.eval({logits: steep, labels: chosen}, backend="reference")
    log_q = special.log_softmax(steep, axis=-1)
    np.testing.assert_allclose(value, -np.sum(np.eye(CLASSES)[chosen] * log_q), rtol=1e-14)


# ---- temperature: a maximum below a scale --------------------------------------------------------


@pytest.mark.parametrize("scale", ["product", "quotient"])
@pytest.mark.parametrize("stabilise", [True, False])
def test_maximum_below_a_temperature_leaves_no_ties(scale: str, stabilise: bool) -> None:
    t = sg.scalar("t")
    below = z - _top(z)
    heated = below * t if scale == "product" else below / t
    gradient = sg.grad(-sg.mean(_picked(sg.log(_share(sg.exp(heated))), k)), z, stabilise=stabilise)
    assert Graph([simplify(gradient)]).count("equal", "where") <= 1  # the labels
    f = sg.function([z, t, k], gradient, backend="reference")
    rows, rate = np.array([[2.0, 2.0, -1.0, 0.0], [1e4, 1e4, 3.0, 0.0]]), 0.5
    beta = rate if scale == "product" else 1 / rate
    want = beta / 2 * (special.softmax(beta * rows, axis=1) - np.eye(4)[[1, 2]])
    np.testing.assert_allclose(f(rows, rate, np.array([1, 2])), want, rtol=1e-12, atol=1e-15)


def test_gradient_by_the_temperature_is_the_mathematical_one() -> None:
    t = sg.scalar("t")
    cost = sg.sum(p * sg.softmax((z - _top(z)) * t))
    f = sg.function([z, p, t], sg.grad(cost, t), backend="reference")
    rng = np.random.default_rng(10)
    zs, ps = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    q = special.softmax(0.7 * zs, axis=1)
    want = np.sum(ps * q * (zs - np.sum(q * zs, axis=1, keepdims=True)))
    np.testing.assert_allclose(f(zs, ps, 0.7), want, rtol=1e-12)


# ---- scaled costs of soft targets ----------------------------------------------------------------

COUNT, w = sg.sum(sg.ones_like(k.astype("float64"))), sg.vector("w", shape="n")
TARGETS = {"promised": sg.assume_normalised(p, axis=1), "softmax": sg.softmax(p)}

#: what the sum of each row counts, and the factor of q - p that it leaves
SCALED: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[], Tensor]]] = {
    "mean": (sg.mean, lambda: 1 / COUNT),
    "tenth": (lambda rows: 0.1 * sg.sum(rows), lambda: sg.constant(0.1)),
    "half over n": (lambda rows: 0.5 * sg.mean(rows), lambda: 0.5 / COUNT),
    "sum over n": (lambda rows: sg.sum(rows) / COUNT, lambda: 1 / COUNT),
    "weights": (lambda rows: sg.sum(w * rows), lambda: w[:, None]),
}


@pytest.mark.parametrize("passes", ["default", "fast"])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("cost", SCALED)
def test_scaled_gradient_by_soft_targets_is_q_minus_p(cost: str, target: str, passes: str) -> None:
    soft, (spelled, factor) = TARGETS[target], SCALED[cost]
    gradient = sg.grad(-spelled(sg.sum(soft * sg.log_softmax(z), axis=1)), z)
    got, want = simplify([gradient, factor() * (sg.softmax(z) - soft)], passes=passes)
    assert got is want


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("cost", SCALED)
def test_scaled_derivatives_by_soft_targets_are_right(cost: str, target: str) -> None:
    soft, spelled = TARGETS[target], SCALED[cost][0]
    whole = -spelled(sg.sum(soft * sg.log_softmax(z), axis=1))
    rng = np.random.default_rng(21)
    zs, vs, ws = rng.normal(size=(5, 4)), rng.normal(size=(5, 4)), rng.normal(size=5)
    ps = special.softmax(rng.normal(size=(5, 4)), axis=1)
    values = {z: zs, p: ps, v: vs, w: ws}
    q, given = special.softmax(zs, axis=1), ps if target == "promised" else special.softmax(ps, 1)
    scale = {"mean": 0.2, "tenth": 0.1, "half over n": 0.1, "sum over n": 0.2}.get(cost)
    rows = ws[:, None] if scale is None else scale
    used = sg.sum(p) + sg.sum(w)
    f = sg.function(
        [z, p, v, w], [sg.grad(whole, z), sg.hvp(whole, z, v), used], backend="reference"
    )
    gradient, product, _ = f(*values.values())
    np.testing.assert_allclose(gradient, rows * (q - given), rtol=1e-12, atol=1e-14)
    want = rows * q * (vs - np.sum(q * vs, axis=1, keepdims=True))
    np.testing.assert_allclose(product, want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("cost", SCALED)
def test_scaled_cost_of_any_weights_keeps_their_sum(cost: str) -> None:
    whole = -SCALED[cost][0](sg.sum(p * sg.log_softmax(z), axis=1))
    assert _counts(simplify(sg.grad(whole, z)), "sum") == {"softmax": 1, "sum": 1}


# ---- where it must not fire ----------------------------------------------------------------------


def test_unnormalised_targets_keep_their_sum() -> None:
    assert _counts(simplify(sg.grad(COSTS["soft"].of(sg.log_softmax(z), k, p), z)), "sum") == {
        "softmax": 1,
        "sum": 1,
    }


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_wrong_with_targets_and_logits_shows(bad: float) -> None:
    soft = sg.softmax(p)
    cost = -sg.sum(soft * LOGS["quotient"](z))
    f = sg.function([z, p, v], [sg.grad(cost, z), sg.hvp(cost, z, v)], backend="reference")
    clean, spoiled = np.zeros((2, 4)), np.zeros((2, 4))
    spoiled[0, 1] = bad
    for logits, targets in ((clean, spoiled), (spoiled, clean)):
        gradient, product = f(logits, targets, np.ones((2, 4)))
        assert np.isnan(gradient[0]).all() or bad == np.inf
        assert np.isnan(product[0]).all() or bad == np.inf
        assert np.isfinite(gradient[1]).all() and np.isfinite(product[1]).all()


def test_own_sum_that_is_not_zero_stays() -> None:
    ties = z == _top(z)
    whole = sg.softmax(z) - 2 * sg.one_hot(k, 4)
    again = whole + sg.where(ties, -sg.sum(whole, axis=1, keepdims=True), 0.0)
    assert "max" in _counts(simplify(again))


# ---- signs and scales ----------------------------------------------------------------------------


def test_scaled_costs_are_differences_without_a_sign() -> None:
    rate, w = sg.scalar("rate"), sg.vector("w", shape="n")
    picked = _picked(sg.log_softmax(z), k)
    for cost in (-rate * sg.mean(picked), -sg.sum(w * picked), -sg.sum(w * picked) / sg.sum(w)):
        for stabilise in (True, False):
            gradient = simplify(sg.grad(cost, z, stabilise=stabilise))
            assert _counts(gradient, "subtract", "negative", "add") == {"softmax": 1, "subtract": 1}
        assert "negative" not in _counts(simplify(sg.hvp(cost, z, v)), "negative")


def test_opposite_scales_join_where_nothing_overflows() -> None:
    third = float(1 / 3)
    joined = simplify(third * sg.softmax(z) - third * sg.softmax(p))
    assert Graph([joined]).count("multiply") == 1
    wide = simplify(third * z + (-third) * p)  # z - p may overflow
    rows = np.full((1, 4), 1.5e308)
    assert np.isfinite(wide.eval({z: rows, p: -rows}, backend="reference")).all()


def test_weights_that_never_vanish_may_be_of_any_form() -> None:
    weight = sg.softplus(p) + 1e-3
    level = sg.log(sg.sum(weight * sg.exp(z), axis=1))
    assert _counts(simplify(level))["logsumexp"] == 1
    steep = np.array([[1e3, -1e3, 999.0, 0.0]])
    low = np.array([[-1e3, 5.0, 0.0, 1.0]])
    values = {z: steep, p: low}
    b = np.logaddexp(0, low) + 1e-3
    np.testing.assert_allclose(
        level.eval(values, backend="reference"), special.logsumexp(steep, b=b, axis=1), rtol=1e-14
    )
    slope = sg.grad(sg.sum(level), p).eval(values, backend="reference")
    share = special.softmax(steep + np.log(b), axis=1)
    np.testing.assert_allclose(slope, share / b * special.expit(low), rtol=1e-11, atol=1e-300)
