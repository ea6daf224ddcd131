"""Losses as users write them: their gradients come out as a hand derivation would have them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy import special

import symgraph as sg
from symgraph import Graph, Tensor, simplify

Array = np.ndarray[Any, Any]

N = 5
z, p, v = (sg.matrix(name, shape=("n", 4)) for name in "zpv")
x, y, w = (sg.vector(name, shape="n") for name in "xyw")
k, m = sg.vector("k", shape="n", dtype="int64"), sg.vector("m", shape="n", dtype="bool")
rows = sg.arange(z.shape[0])


def _softmax(z: Tensor) -> Tensor:
    e = sg.exp(z - sg.max(z, axis=1, keepdims=True))
    return e / sg.sum(e, axis=1, keepdims=True)


def _picked(q: Tensor) -> Tensor:
    return q[rows, k]


def _less_labels(z: Tensor) -> Tensor:
    return sg.softmax(z) - sg.one_hot(k, 4)


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss, by what it is differentiated, and the gradient of a hand derivation."""

    value: Callable[[], Tensor]
    by: Tensor
    gradient: Callable[[], Tensor]


def _huber() -> Tensor:
    a = sg.abs(x - y)
    return sg.sum(sg.where(a <= 1.0, 0.5 * (x - y) * (x - y), a - 0.5))


def _masked_mean() -> Tensor:
    return -sg.sum(sg.where(m, _picked(sg.log(_softmax(z))), 0.0)) / sg.sum(m.astype("float64"))


def _masked_weight() -> Tensor:
    return sg.where(m, -1 / sg.sum(m.astype("float64")), 0.0)[:, None]


def _with_entropy() -> Tensor:
    q = _softmax(z)
    return sg.sum(_picked(sg.log(q))) - 0.1 * sg.sum(q * sg.log(q))


def _with_entropy_gradient() -> Tensor:
    q, log_q = sg.softmax(z), sg.log_softmax(z)
    level = sg.sum(-0.1 * (q * log_q), axis=1, keepdims=True)
    return q * (-0.1 * log_q - level) + (sg.one_hot(k, 4) - q)


# fmt: off
LOSSES: dict[str, Loss] = {
    "masked": Loss(
        lambda: -sg.sum(sg.where(m, _picked(sg.log(_softmax(z))), 0.0)), z,
        lambda: m.astype("float64")[:, None] * _less_labels(z)),
    "masked rows": Loss(
        lambda: -sg.sum(sg.where(m[:, None], sg.one_hot(k, 4) * sg.log(_softmax(z)), 0.0)), z,
        lambda: m.astype("float64")[:, None] * _less_labels(z)),
    "masked mean": Loss(
        _masked_mean, z, lambda: _masked_weight() * (sg.one_hot(k, 4) - sg.softmax(z))),
    "weighted": Loss(
        lambda: -sg.sum(w * _picked(sg.log(_softmax(z)))), z,
        lambda: w[:, None] * _less_labels(z)),
    "perplexity": Loss(
        lambda: sg.exp(-sg.sum(_picked(sg.log(_softmax(z))))), z,
        lambda: sg.exp(-sg.sum(_picked(sg.log_softmax(z)))) * _less_labels(z)),
    "entropy bonus": Loss(_with_entropy, z, _with_entropy_gradient),
    "huber": Loss(_huber, x, lambda: sg.where(sg.abs(x - y) <= 1.0, x - y, sg.sign(x - y))),
    "chosen logistic": Loss(
        lambda: -sg.sum(sg.log(sg.where(m, sg.sigmoid(x), sg.sigmoid(-x)))), x,
        lambda: sg.where(m, -sg.sigmoid(-sg.where(m, x, -x)), sg.sigmoid(x))),
    "logistic of parts": Loss(
        lambda: sg.sum(sg.maximum(x, 0.0) - x * y + sg.log(1 + sg.exp(-sg.abs(x)))), x,
        lambda: sg.sigmoid(x) - y),
}
# fmt: on


def _values(used: list[Tensor], scale: float) -> dict[Tensor, Array]:
    rng = np.random.default_rng(11)
    drawn: dict[Tensor, Array] = {
        z: scale * rng.normal(size=(N, 4)), p: rng.normal(size=(N, 4)),
        x: scale * rng.normal(size=N), y: rng.random(N), w: rng.normal(size=N),
        k: np.array([0, 3, 2, -4, 1]), m: np.array([True, False, True, True, False]),
    }  # fmt: skip
    return {v: drawn[v] for v in used}


def _used(*outputs: Tensor) -> list[Tensor]:
    graph = Graph(list(outputs))
    return [v for v in (z, p, x, y, w, k, m) if v in graph]


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_the_one_derived_by_hand(name: str) -> None:
    loss = LOSSES[name]
    assert simplify(sg.grad(loss.value(), loss.by)) is simplify(loss.gradient())


@pytest.mark.parametrize("backend", ["reference", "llvm"])
@pytest.mark.parametrize("name", LOSSES)
def test_gradient_agrees_with_differences(name: str, backend: str) -> None:
    loss = LOSSES[name]
    value, slope = loss.value(), sg.grad(loss.value(), loss.by)
    values = _values(_used(value), 1.0)
    f = sg.function(list(values), value, backend="reference", passes=())
    got = sg.function(list(values), slope, backend=backend)(*values.values())
    want = np.zeros_like(values[loss.by])
    for at in np.ndindex(*want.shape):
        ends = []
        for step in (1e-6, -1e-6):
            moved = {v: a.copy() for v, a in values.items()}
            moved[loss.by][at] += step
            ends.append(f(*moved.values()))
        want[at] = (ends[0] - ends[1]) / 2e-6
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_stays_finite_at_steep_values(name: str) -> None:
    loss = LOSSES[name]
    slope = sg.grad(loss.value(), loss.by)
    values = _values(_used(slope), 1e3)
    got = np.asarray(sg.function(list(values), slope, backend="reference")(*values.values()))
    assert np.isfinite(got).all() or name == "perplexity"


# ---- second derivatives --------------------------------------------------------------------------


def _entropy(z: Tensor) -> Tensor:
    return -sg.sum(_softmax(z) * sg.log(_softmax(z)))


def _divergence(z: Tensor) -> Tensor:
    return sg.sum(_softmax(z) * (sg.log(_softmax(z)) - sg.log_softmax(p)))


@pytest.mark.parametrize("cost", [_entropy, _divergence])
def test_no_difference_of_a_value_with_itself_is_left(cost: Callable[[Tensor], Tensor]) -> None:
    product = simplify(sg.hvp(cost(z), z, v))
    same = [n for n in Graph([product]).nodes if n.op.name == "subtract" and _alike(n)]
    assert not same
    assert Graph([product]).count("sum") == 3  # v, the logarithms, and the two together


def _alike(x: Tensor) -> bool:
    return x.inputs[0] is x.inputs[1]


@pytest.mark.parametrize("cost", [_entropy, _divergence])
def test_products_with_the_hessian_agree_with_differences(
    cost: Callable[[Tensor], Tensor],
) -> None:
    slope = sg.function([z, p], sg.grad(cost(z), z) + 0 * p, backend="reference")
    rng = np.random.default_rng(4)
    at, targets, way = (rng.normal(size=(3, 4)) for _ in range(3))
    f = sg.function([z, p, v], sg.hvp(cost(z), z, v) + 0 * p, backend="reference")
    h = 1e-5
    want = (slope(at + h * way, targets) - slope(at - h * way, targets)) / (2 * h)
    np.testing.assert_allclose(f(at, targets, way), want, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_directions_show_in_products_with_the_hessian(bad: float) -> None:
    f = sg.function([z, v], sg.hvp(_entropy(z), z, v), backend="reference")
    way = np.ones((2, 4))
    way[0, 1] = bad
    got = f(np.zeros((2, 4)), way)
    assert not np.isfinite(got[0]).any()
    assert np.isfinite(got[1]).all()


# ---- what must stay ------------------------------------------------------------------------------


def test_difference_with_itself_stays_where_it_may_be_all_that_shows() -> None:
    kept = simplify((x - x) + y)
    assert kept.op.name == "add"
    value = kept.eval({x: np.array([np.inf, 1.0]), y: np.ones(2)}, backend="reference")
    np.testing.assert_array_equal(value, [np.nan, 1])


def test_large_cotangents_of_a_spelled_softmax_do_not_overflow() -> None:
    """exp(z) * (g / s - sum(...)) keeps its terms apart: g minus its average may overflow."""
    e = sg.exp(z)
    cost = sg.sum(p * (e / sg.sum(e, axis=1, keepdims=True)))
    slope = sg.grad(cost, z, stabilise=False)
    assert Graph([simplify(slope)]).count("softmax") == 1
    g = np.array([[1.7e308, -1.7e308, 0.0, 0.0]])
    logits = np.array([[40.0, 0.0, 0.0, 0.0]])
    got = slope.eval({z: logits, p: g}, backend="reference")
    q = special.softmax(logits, axis=1)
    want = 2 * (q * (g / 2 - np.sum(g / 2 * q, axis=1, keepdims=True)))
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got[0, 1:], want[0, 1:], rtol=1e-12)


def test_weights_that_are_not_the_same_stay_apart() -> None:
    hot = sg.one_hot(k, 4, dtype="bool")
    apart = simplify(w[:, None] * sg.softmax(z) - sg.where(hot, y[:, None], 0.0))
    assert Graph([apart]).count("where") == 1


def test_masks_of_opposite_rows_meet_only_under_one_condition() -> None:
    other = simplify(sg.where(m, x, 0.0) - sg.where(y > 0, 0.0, w))
    assert Graph([other]).count("where") == 2
    one = simplify(sg.where(m, x, 0.0) - sg.where(m, 0.0, w))
    assert Graph([one]).count("where", "subtract") == 1


def test_tiny_losses_of_the_logistic_keep_their_value() -> None:
    """The value is not rewritten: log(1 + exp(-x)) at x = 89 is 2e-39, the difference 0."""
    loss = sg.maximum(x, 0.0) - x * y + sg.log(1 + sg.exp(-sg.abs(x)))
    got = loss.eval({x: np.array([89.0]), y: np.array([1.0])}, backend="reference")
    np.testing.assert_allclose(got, np.exp(-89.0), rtol=1e-13)


@pytest.mark.parametrize("base", [2.0, 3.0, 10.0])
def test_spelled_powers_come_down_to_a_softmax_in_raw_derivatives(base: float) -> None:
    e = base**z
    cost = -sg.sum(_picked(sg.log(e / sg.sum(e, axis=1, keepdims=True))))
    slope = simplify(sg.grad(cost, z, stabilise=False))
    assert Graph([slope]).count("exp", "exp2", "pow", "log", "divide") == 0
    values = _values([z, k], 300.0)
    q = special.softmax(np.log(base) * values[z], axis=1)
    want = np.log(base) * (q - np.eye(4)[values[k]])
    got = slope.eval(values, backend="reference")
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-15)
