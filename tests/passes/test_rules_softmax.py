"""softmax, log-softmax and log-sum-exp however they are spelled, and cross-entropy gradients
(6.5.9).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    "column of ones":  lambda z: sg.exp(z) / (sg.exp(z) @ np.ones((4, 1))),
    "vector of ones":  lambda z: sg.exp(z) / (sg.exp(z) @ np.ones(4))[:, None],
    "moved axes": lambda z: sg.moveaxis(
        sg.exp(sg.moveaxis(z, 0, 1)) / sg.sum(sg.exp(sg.moveaxis(z, 0, 1)), axis=0), 0, 1
    ),
    "einsum of a quotient": lambda z: sg.einsum("ij,i->ij", sg.exp(z), 1 / sg.sum(sg.exp(z), 1)),
    "maximum and constant": lambda z: _over_sum(sg.exp(z - _top(z) + 1.0)),
    "halved twice":    lambda z: _over_sum(sg.exp(0.5 * (2.0 * z - _top(2.0 * z)))),
    "inverse powers":  lambda z: _over_sum(1 / sg.exp(-z)),
    "minimum of minus": lambda z: _over_sum(sg.exp(-(-z - sg.min(-z, axis=1, keepdims=True)))),
    "exp of log-softmax": lambda z: sg.exp(sg.log_softmax(z)),
    "softmax again":   lambda z: sg.softmax(sg.log_softmax(z)),
    "over its mean":   lambda z: sg.exp(z) / sg.mean(sg.exp(z), axis=1, keepdims=True) / 4.0,
    "with a factor":   lambda z: 0.5 * (2.0 * sg.exp(z)) / sg.sum(sg.exp(z), 1, keepdims=True),
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
    "product": lambda z: sg.log(sg.exp(_top(z)) * sg.sum(sg.exp(z - _top(z)), 1, keepdims=True))[
        :, 0
    ],
    "global maximum":  lambda z: sg.max(z) + sg.log(sg.sum(sg.exp(z - sg.max(z)), axis=1)),
    "transposed":      lambda z: sg.log(sg.sum(sg.exp(z).T, axis=0)),
    "by matmul":       lambda z: sg.log(sg.exp(z) @ np.ones(4)),
    "of minus": lambda z: (
        sg.log(sg.sum(sg.exp(sg.min(-z, axis=1, keepdims=True) - -z), axis=1)) - sg.min(-z, axis=1)
    ),
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


# ---- other bases, weights, temperatures ----------------------------------------------------------

W = np.array([0.1, 0.2, 0.0, 0.7])
t = sg.scalar("t")

# fmt: off
#: spelled log-sum-exps with what they are: weights b and rate a in log(sum(b * exp(a * z)))
SCALED: dict[str, tuple[Spelling, Any, float, float]] = {
    "exp2":            (lambda z: sg.log(sg.sum(sg.exp2(z), axis=1)), 1, np.log(2), 1),
    "log2 of exp2":    (lambda z: sg.log2(sg.sum(sg.exp2(z), axis=1)), 1, np.log(2), 1 / np.log(2)),
    "log10 of powers": (lambda z: sg.log10(sg.sum(10.0**z, axis=1)), 1, np.log(10), 1 / np.log(10)),
    "small base":      (lambda z: sg.log(sg.sum(0.5**z, axis=1)), 1, -np.log(2), 1),
    "free energy":     (lambda z: -sg.log(sg.sum(sg.exp(-z), axis=1)), 1, -1, -1),
    "mean":            (lambda z: sg.log(sg.mean(sg.exp(z), axis=1)), 0.25, 1, 1),
    "weights":         (lambda z: sg.log(sg.sum(W * sg.exp(z), axis=1)), W, 1, 1),
    "column of weights": (lambda z: sg.log(sg.exp(z) @ W), W, 1, 1),
    "mask": (
        lambda z: sg.log(sg.sum(sg.constant(W > 0).astype("float64") * sg.exp(z), 1)), W > 0, 1, 1),
    "selection": (
        lambda z: sg.log(sg.sum(sg.where(sg.constant(W > 0), sg.exp(z), 0.0), 1)), W > 0, 1, 1),
    "over a literal":  (lambda z: sg.log(sg.sum(sg.exp(z) / 8.0, axis=1)), 0.125, 1, 1),
    "scaled maximum": (
        lambda z: (
            3.0 * sg.max(z, axis=1) + sg.log(sg.sum(sg.exp(3.0 * (z - _top(z))), axis=1))
        ), 1, 3, 1),
}
# fmt: on


@pytest.mark.parametrize(("spelling", "b", "a", "scale"), SCALED.values(), ids=SCALED)
def test_scaled_logsumexp(spelling: Spelling, b: Any, a: float, scale: float) -> None:
    level = spelling(z)
    assert {"logsumexp"} == {"exp", "exp2", "pow", "log", "max", "logsumexp"} & set(
        _ops(simplify(level))
    )
    got = level.eval({z: STEEP}, backend="reference")
    want = special.logsumexp(a * STEEP, b=b * np.ones(4), axis=1)
    np.testing.assert_allclose(got, scale * want, rtol=1e-13)
    slope = sg.grad(sg.sum(level), z).eval({z: STEEP}, passes="strict", backend="reference")
    with np.errstate(divide="ignore"):
        shares = special.softmax(a * STEEP + np.log(b * np.ones(4)), axis=1)
    np.testing.assert_allclose(slope, scale * a * shares, rtol=1e-11, atol=1e-300)


def test_mixture_of_normal_densities() -> None:
    logits, m = sg.vector("logits", shape=4), sg.vector("m", shape=4)
    density = sg.exp(-0.5 * sg.square(z - m)) / float(np.sqrt(2 * np.pi))
    level = sg.log(sg.sum(sg.softmax(logits) * density, axis=1))
    assert "logsumexp" in _ops(simplify(level)) and "log" not in _ops(simplify(level))
    far, mix = np.array([[1e3, -1e3, 50.0, 0.0]] * 2), np.array([0.0, 1000.0, -1000.0, 1.0])
    values = {z: far, logits: mix, m: np.zeros(4)}
    exponents = special.log_softmax(mix) - 0.5 * far**2 - 0.5 * np.log(2 * np.pi)
    want = special.logsumexp(exponents, axis=1)
    np.testing.assert_allclose(level.eval(values, backend="reference"), want, rtol=1e-13)
    slope = sg.grad(sg.sum(level), m).eval(values, backend="reference")
    share = special.softmax(exponents, axis=1)
    np.testing.assert_allclose(slope, np.sum(share * far, axis=0), rtol=1e-12)


def test_weights_of_unknown_sign_stay() -> None:
    y = sg.matrix("y", shape=("n", 4))
    for weight in (y, sg.constant(np.array([1.0, -1.0, 1.0, 1.0]))):
        ops = _ops(simplify(sg.log(sg.sum(weight * sg.exp(z), axis=1))))
        assert "log" in ops and "logsumexp" not in ops
    assert "pow" in _ops(simplify(sg.log(sg.sum((-2.0) ** z, axis=1))))


def test_masked_softmax_of_an_exponential() -> None:
    chosen = sg.matrix("chosen", shape=("n", 4), dtype="bool")
    for kept in (sg.where(chosen, sg.exp(z), 0.0), chosen.astype("float64") * sg.exp(z)):
        q = _over_sum(kept)
        assert "softmax" in _ops(simplify(q)) and "exp" not in _ops(simplify(q))
        rows = np.array([[1, 0, 1, 0], [0, 1, 1, 1], [0, 0, 0, 0]], bool)
        got = q.eval({z: STEEP, chosen: rows}, backend="reference")
        want = special.softmax(np.where(rows, STEEP, -np.inf)[:2], axis=1)
        np.testing.assert_allclose(got[:2], want, rtol=1e-13)
        assert np.isnan(got[2]).all()  # 0 / 0: nothing to choose from


def test_quotient_by_the_sum_of_other_exponentials_is_one_exponential() -> None:
    k = sg.vector("k", shape="n", dtype="int64")
    total = sg.sum(sg.exp(z), axis=1)
    picked = sg.exp(z)[sg.arange(z.shape[0]), k] / total
    value = picked.eval({z: STEEP, k: np.array([3, 1, 0])}, backend="reference")
    want = special.softmax(STEEP, axis=1)[np.arange(3), [3, 1, 0]]
    np.testing.assert_allclose(value, want, rtol=1e-12)
    logs = sg.log(picked).eval({z: STEEP, k: np.array([1, 1, 0])}, backend="reference")
    np.testing.assert_allclose(
        logs, special.log_softmax(STEEP, axis=1)[np.arange(3), [1, 1, 0]], rtol=1e-13
    )


def test_average_under_a_softmax() -> None:
    values = np.random.default_rng(11).normal(size=(4, 2))
    mixed = (sg.exp(z) @ values) / sg.sum(sg.exp(z), axis=1, keepdims=True)
    assert simplify(mixed) is simplify(sg.softmax(z) @ values)
    got = mixed.eval({z: STEEP}, backend="reference")
    np.testing.assert_allclose(got, special.softmax(STEEP, axis=1) @ values, rtol=1e-12)


def test_documented_values_at_infinities() -> None:
    inf = np.inf
    rows = np.array([[-inf] * 4, [0, inf, 1, 2], [-inf, 0, -inf, 0], [0, np.nan, 1, 2]])
    level = LOGSUMEXP["plain"](z).eval({z: rows}, backend="reference")
    np.testing.assert_allclose(level, [-inf, inf, np.log(2), np.nan])
    q = SOFTMAX["keepdims"](z).eval({z: rows}, backend="reference")
    np.testing.assert_allclose(q[2], [0, 0.5, 0, 0.5])
    assert np.isnan(q[0]).all() and np.isnan(q[3]).all()


# ---- shifts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [lambda x: x * t, lambda x: x / t, lambda x: 3.0 * x])
def test_maximum_below_a_scale_goes_in_fast_only(scale: Spelling) -> None:
    q = sg.softmax(scale(z - _top(z)))
    assert "max" in _ops(simplify(q)) and "max" not in _ops(simplify(q, "fast"))
    assert simplify(q, "fast") is simplify(sg.softmax(scale(z)), "fast")


def test_exact_halving_needs_no_maximum() -> None:
    assert simplify(sg.softmax(0.5 * (z - _top(z)))) is simplify(sg.softmax(0.5 * z))


def test_huge_logits_with_a_scaled_maximum_stay_finite() -> None:
    rows = np.array([[1e300, 1e300, 0.0, -1e300]])
    q = sg.softmax((z - _top(z)) * t)
    np.testing.assert_array_equal(
        q.eval({z: rows, t: np.array(1e10)}, backend="reference"), [[0.5, 0.5, 0, 0]]
    )


def test_any_row_shift_goes_in_fast() -> None:
    b = sg.vector("b", shape="n")
    shifted = sg.softmax(z + b[:, None])
    assert simplify(shifted, "fast") is sg.softmax(z)
    assert "add" in _ops(simplify(shifted))


def test_softmax_of_a_softmax_stays() -> None:
    assert simplify(sg.softmax(sg.softmax(z))) is sg.softmax(sg.softmax(z))


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
