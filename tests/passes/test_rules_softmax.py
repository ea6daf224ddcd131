"""softmax, log-softmax and log-sum-exp however they are spelled, and cross-entropy gradients
(6.5.9).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import special

import symgraph as sg
from symgraph import Graph, Tensor
from symgraph.passes.simplify import simplify

Spelling = Callable[[Tensor], Tensor]
HIDDEN = ("input", "constant")


def _ops(expression: Tensor) -> list[str]:
    return [n.op.name for n in Graph([expression]).nodes if n.op.name not in HIDDEN]


def _over_sum(e: Tensor) -> Tensor:
    return e / sg.sum(e, axis=1, keepdims=True)


def _top(z: Tensor) -> Tensor:
    return sg.max(z, axis=1, keepdims=True)


def _stopped(z: Tensor) -> Tensor:
    return sg.stop_gradient(_top(z))


# fmt: off
SOFTMAX: dict[str, Spelling] = {
    "keepdims":        lambda z: sg.exp(z) / sg.sum(sg.exp(z), axis=1, keepdims=True),
    "new axis":        lambda z: sg.exp(z) / sg.sum(sg.exp(z), axis=1)[:, None],
    "reshaped":        lambda z: sg.exp(z) / sg.sum(sg.exp(z), axis=1).reshape((-1, 1)),
    "stretched": lambda z: (
        sg.exp(z) / sg.broadcast_to(sg.sum(sg.exp(z), axis=1, keepdims=True), z.shape)
    ),
    "transposed":      lambda z: (sg.exp(z).T / sg.sum(sg.exp(z), axis=1)).T,
    "of transposed":   lambda z: (sg.exp(z.T) / sg.sum(sg.exp(z.T), axis=0)).T,
    "reciprocal":      lambda z: sg.exp(z) * (1 / sg.sum(sg.exp(z), axis=1, keepdims=True)),
    "power":           lambda z: sg.sum(sg.exp(z), axis=1, keepdims=True) ** -1 * sg.exp(z),
    "maximum":         lambda z: _over_sum(sg.exp(z - _top(z))),
    "stopped maximum": lambda z: _over_sum(sg.exp(z - sg.stop_gradient(_top(z)))),
    "global maximum":  lambda z: _over_sum(sg.exp(z - sg.max(z))),
    "constant":        lambda z: _over_sum(sg.exp(z - 5.0)),
    "einsum":          lambda z: sg.exp(z) / sg.einsum("ij->i", sg.exp(z))[:, None],
    "log domain":      lambda z: sg.exp(z - sg.log(sg.sum(sg.exp(z), axis=1, keepdims=True))),
    "logsumexp":       lambda z: sg.exp(z - sg.logsumexp(z, axis=1, keepdims=True)),
}
LOGSUMEXP: dict[str, Spelling] = {
    "plain":           lambda z: sg.log(sg.sum(sg.exp(z), axis=1)),
    "maximum":         lambda z: sg.log(sg.sum(sg.exp(z - _top(z)), axis=1)) + sg.max(z, axis=1),
    "maximum first":   lambda z: _top(z)[:, 0] + sg.log(sg.sum(sg.exp(z - _top(z)), axis=1)),
    "kept": lambda z: (
        (sg.log(sg.sum(sg.exp(z - _top(z)), axis=1, keepdims=True)) + _top(z))[:, 0]
    ),
    "stopped": lambda z: (
        (_stopped(z) + sg.log(sg.sum(sg.exp(z - _stopped(z)), axis=1, keepdims=True)))[:, 0]
    ),
    "constant":        lambda z: 3.0 + sg.log(sg.sum(sg.exp(z - 3.0), axis=1)),
}
LOG_SOFTMAX: dict[str, Spelling] = {
    "log of softmax":  lambda z: sg.log(sg.softmax(z)),
    "difference":      lambda z: z - sg.log(sg.sum(sg.exp(z), axis=1, keepdims=True)),
    "shifted": lambda z: (
        (z - _top(z)) - sg.log(sg.sum(sg.exp(z - _top(z)), axis=1, keepdims=True))
    ),
    "transposed":      lambda z: sg.log(sg.softmax(z).T).T,
}
# fmt: on

z = sg.matrix("z", shape=("n", 4))
STEEP = np.array([[1e4, -1e4, 0.0, 9999.0], [1.0, 2.0, 3.0, -4.0], [-1e3, -1e3, -1e3, -1e3]])


@pytest.mark.parametrize("spelling", SOFTMAX.values(), ids=SOFTMAX)
def test_spelled_softmax(spelling: Spelling) -> None:
    assert simplify(spelling(z)) is sg.softmax(z)


@pytest.mark.parametrize("spelling", SOFTMAX.values(), ids=SOFTMAX)
def test_log_of_spelled_softmax(spelling: Spelling) -> None:
    assert simplify(sg.log(spelling(z))) is sg.log_softmax(z)


@pytest.mark.parametrize("spelling", LOGSUMEXP.values(), ids=LOGSUMEXP)
def test_spelled_logsumexp(spelling: Spelling) -> None:
    assert simplify(spelling(z)) is sg.logsumexp(z, axis=1)


@pytest.mark.parametrize("spelling", LOG_SOFTMAX.values(), ids=LOG_SOFTMAX)
def test_spelled_log_softmax(spelling: Spelling) -> None:
    assert simplify(spelling(z)) is sg.log_softmax(z)


def test_softmax_of_a_row() -> None:
    row = z[0]
    assert "softmax" in _ops(simplify(sg.exp(row) / sg.sum(sg.exp(row))))


def test_softmax_over_all_axes() -> None:
    assert simplify(sg.exp(z) / sg.sum(sg.exp(z))) is sg.softmax(z, axis=(0, 1))


@pytest.mark.parametrize(
    "indexed",
    [
        lambda q, k: q[sg.arange(q.shape[0]), k],
        lambda q, k: sg.take_along_axis(q, k[:, None], axis=1),
        lambda q, k: q[1:, ::2],
        lambda q, k: q.T[1:].reshape((-1,)),
        lambda q, k: sg.take(q, k, axis=0),
    ],
    ids=["labels", "take_along_axis", "slice", "transposed", "take"],
)
def test_log_reaches_softmax_through_indexing(indexed: Callable[[Tensor, Tensor], Tensor]) -> None:
    k = sg.vector("k", shape="n", dtype="int64")
    ops = _ops(simplify(sg.log(indexed(SOFTMAX["keepdims"](z), k))))
    assert "log_softmax" in ops and "log" not in ops and "softmax" not in ops


def test_other_sums_are_no_softmax() -> None:
    y = sg.matrix("y", shape=("n", 4))
    for total in (
        sg.sum(sg.exp(y), axis=1, keepdims=True),
        sg.sum(sg.square(z), axis=1, keepdims=True),
    ):
        assert "softmax" not in _ops(simplify(sg.exp(z) / total))


def test_sum_over_another_axis_is_no_row_softmax() -> None:
    square = sg.matrix("s", shape=(4, 4))
    out = simplify(sg.exp(square) / sg.sum(sg.exp(square), axis=1))  # divides columns by row sums
    assert "softmax" not in _ops(out)


def test_maximum_of_another_array_is_no_shift() -> None:
    y = sg.matrix("y", shape=("n", 4))
    assert "max" in _ops(simplify(sg.softmax(z - _top(y))))


def test_shift_that_varies_along_the_axis_stays() -> None:
    assert "subtract" in _ops(simplify(sg.softmax(z - sg.max(z, axis=0))))


@pytest.mark.parametrize("passes", ["default", "fast"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_spelled_values_are_stable(passes: str, dtype: str) -> None:
    v = sg.matrix("v", shape=("n", 4), dtype=dtype)
    outputs = [SOFTMAX["keepdims"](v), sg.log(SOFTMAX["maximum"](v)), LOGSUMEXP["plain"](v)]
    got = sg.function([v], outputs, passes=passes, backend="reference")(STEEP.astype(dtype))
    wide = STEEP.astype(dtype).astype("float64")
    want = [
        special.softmax(wide, axis=1),
        special.log_softmax(wide, axis=1),
        special.logsumexp(wide, axis=1),
    ]
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-6, atol=1e-30)


# ---- q - p ---------------------------------------------------------------------------------------

ARITHMETIC = (
    "subtract",
    "multiply",
    "divide",
    "exp",
    "log",
    "sum",
    "log_softmax",
    "softmax",
    "scatter_add",
)


def _arithmetic(expression: Tensor) -> list[str]:
    return sorted(name for name in _ops(expression) if name in ARITHMETIC)


def _cross_entropy(q: Tensor, p: Tensor) -> Tensor:
    return -sg.sum(p * sg.log(q))


@pytest.mark.parametrize("stabilise", [True, False])
@pytest.mark.parametrize("spelling", ["keepdims", "reciprocal", "new axis", "stopped maximum"])
def test_gradient_is_q_times_total_minus_p(spelling: str, stabilise: bool) -> None:
    p = sg.matrix("p", shape=("n", 4))
    gradient = sg.grad(_cross_entropy(SOFTMAX[spelling](z), p), z, stabilise=stabilise)
    g, want = simplify([gradient, sg.softmax(z) * sg.sum(p, axis=1, keepdims=True) - p])
    assert g is want
    assert _arithmetic(g) == ["multiply", "softmax", "subtract", "sum"]


@pytest.mark.parametrize("stabilise", [True, False])
def test_gradient_for_targets_that_do_not_sum_to_one(stabilise: bool) -> None:
    p = sg.matrix("p", shape=("n", 4))
    g = sg.function(
        [z, p],
        sg.grad(_cross_entropy(SOFTMAX["keepdims"](z), p), z, stabilise=stabilise),
        backend="reference",
    )
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(3, 4)), rng.uniform(size=(3, 4))
    want = special.softmax(logits, axis=1) * targets.sum(axis=1, keepdims=True) - targets
    np.testing.assert_allclose(g(logits, targets), want, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("stabilise", [True, False])
def test_gradient_for_a_softmax_as_target_is_q_minus_p(stabilise: bool) -> None:
    t = sg.matrix("t", shape=("n", 4))
    g = simplify(
        sg.grad(_cross_entropy(SOFTMAX["keepdims"](z), sg.softmax(t)), z, stabilise=stabilise)
    )
    assert g is sg.softmax(z) - sg.softmax(t)


def _picked(log_q: Tensor, k: Tensor) -> Tensor:
    return log_q[sg.arange(log_q.shape[0]), k]


def _along(log_q: Tensor, k: Tensor) -> Tensor:
    return sg.take_along_axis(log_q, k[:, None], axis=1)


@pytest.mark.parametrize("pick", [_picked, _along])
@pytest.mark.parametrize("mean", [sg.mean, sg.sum])
def test_gradient_for_integer_labels_is_q_minus_one_hot(
    pick: Callable[[Tensor, Tensor], Tensor], mean: Callable[[Tensor], Tensor]
) -> None:
    k = sg.vector("k", shape="n", dtype="int64")
    g = simplify(sg.grad(-mean(pick(sg.log(SOFTMAX["keepdims"](z)), k)), z))
    assert _arithmetic(g) == sorted(
        ["softmax", "subtract"] + (["divide", "multiply"] if mean is sg.mean else [])
    )


def test_gradient_for_labels_is_right_and_still_checks_them() -> None:
    k = sg.vector("k", shape="n", dtype="int64")
    cost = -sg.mean(_picked(sg.log_softmax(z), k))
    g = sg.function([z, k], sg.grad(cost, z), backend="reference")
    logits, labels = np.random.default_rng(1).normal(size=(3, 4)), np.array([0, 3, -1])
    want = (special.softmax(logits, axis=1) - np.eye(4)[[0, 3, 3]]) / 3
    np.testing.assert_allclose(g(logits, labels), want, rtol=1e-12)
    with pytest.raises(IndexError, match="index 4 is out of range"):
        g(logits, np.array([0, 4, 1]))


def test_gradient_for_one_hot_targets_is_q_minus_p() -> None:
    k = sg.vector("k", shape="n", dtype="int64")
    cost = _cross_entropy(SOFTMAX["keepdims"](z), sg.one_hot(k, 4))
    gradient = simplify(sg.grad(cost, z))
    assert _arithmetic(gradient) == ["softmax", "subtract"]
    logits, labels = np.random.default_rng(2).normal(size=(3, 4)), np.array([2, -1, 0])
    value = sg.function([z, k], gradient, backend="reference")(logits, labels)
    want = special.softmax(logits, axis=1) - np.eye(4)[labels]
    np.testing.assert_allclose(value, want, rtol=1e-12, atol=1e-15)


def test_gradient_for_a_comparison_counts_labels_out_of_range_as_zero() -> None:
    k = sg.vector("k", shape="n", dtype="int64")
    p = (k[:, None] == sg.arange(4)).astype("float64")  # unlike one_hot, a row may be empty
    gradient = simplify(sg.grad(_cross_entropy(SOFTMAX["keepdims"](z), p), z))
    assert _arithmetic(gradient) == ["multiply", "softmax", "subtract"]
    logits, labels = np.random.default_rng(2).normal(size=(3, 4)), np.array([2, -1, 7])
    value = sg.function([z, k], gradient, backend="reference")(logits, labels)
    want = special.softmax(logits, axis=1) - np.eye(4)[[2, 0, 0]]
    want[1:] = 0  # no label, no cost
    np.testing.assert_allclose(value, want, rtol=1e-12, atol=1e-15)


def test_gradient_for_declared_targets_is_q_minus_p() -> None:
    p = sg.assume_normalised(sg.matrix("p", shape=("n", 4)), axis=1)
    gradient = simplify(sg.grad(_cross_entropy(SOFTMAX["keepdims"](z), p), z))
    assert _arithmetic(gradient) == ["softmax", "subtract"]
    other = sg.assume_normalised(sg.matrix("p", shape=("n", 4)), axis=0)
    kept = simplify(sg.grad(_cross_entropy(SOFTMAX["keepdims"](z), other), z))
    assert _arithmetic(kept) == ["multiply", "softmax", "subtract", "sum"]


def test_repeated_picks_accumulate() -> None:
    k = sg.matrix("k", shape=("n", 2), dtype="int64")  # two labels a row: no one-hot form
    cost = sg.sum(sg.take_along_axis(z, k, axis=1))
    g = sg.function([z, k], sg.grad(cost, z), backend="reference")
    value = g(np.zeros((2, 4)), np.array([[1, 1], [0, 3]]))
    np.testing.assert_array_equal(value, [[0, 2, 0, 0], [1, 0, 0, 1]])


def test_weighted_labels() -> None:
    k, w = sg.vector("k", shape="n", dtype="int64"), sg.vector("w", shape="n")
    cost = -sg.sum(w * _picked(sg.log_softmax(z), k))
    gradient = simplify(sg.grad(cost, z))
    assert "scatter_add" not in _ops(gradient)
    logits, labels, weights = (
        np.random.default_rng(3).normal(size=(3, 4)),
        np.array([1, 0, 2]),
        np.array([1.0, 2, 3]),
    )
    value = sg.function([z, k, w], gradient, backend="reference")(logits, labels, weights)
    want = (special.softmax(logits, axis=1) - np.eye(4)[labels]) * weights[:, None]
    np.testing.assert_allclose(value, want, rtol=1e-12)


def test_labels_of_a_sequence() -> None:
    logits, k = sg.tensor("l", shape=("b", "t", 4)), sg.tensor("k", shape=("b", "t"), dtype="int64")
    log_q = sg.log_softmax(logits)
    gradient = simplify(sg.grad(-sg.sum(sg.take_along_axis(log_q, k[..., None], axis=-1)), logits))
    assert _arithmetic(gradient) == ["softmax", "subtract"]
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(2, 3, 4)), rng.integers(0, 4, (2, 3))
    value = sg.function([logits, k], gradient, backend="reference")(x, y)
    np.testing.assert_allclose(value, special.softmax(x, axis=-1) - np.eye(4)[y], rtol=1e-12)
