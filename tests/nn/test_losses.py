"""Losses: values against NumPy and SciPy, gradients in closed form, extremes, misuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from nn_backend import run
from scipy import special

import symgraph as sg
from symgraph.errors import DTypeError, ShapeError, UsageError

RNG = np.random.default_rng(8)
Z = RNG.normal(size=(5, 3)) * 2
LABELS = np.array([2, 0, 1, 1, 2])
P = special.softmax(RNG.normal(size=(5, 3)), axis=1)


def _wanted(losses: Any, reduction: str) -> Any:
    if reduction == "none":
        return losses
    return np.mean(losses) if reduction == "mean" else np.sum(losses)


# ---- cross-entropy -------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("kind", ["int64", "int32", "uint8"])
def test_cross_entropy_of_labels(kind: str, reduction: str) -> None:
    z, y = sg.matrix("z"), sg.vector("y", dtype=kind)
    wanted = _wanted(-special.log_softmax(Z, axis=1)[np.arange(5), LABELS], reduction)
    found = run([z, y], sg.cross_entropy(z, y, reduction=reduction), Z, LABELS.astype(kind))
    np.testing.assert_allclose(found, wanted, rtol=1e-13)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_of_probabilities(reduction: str) -> None:
    z, p = sg.matrix("z"), sg.matrix("p")
    wanted = _wanted(-(P * special.log_softmax(Z, axis=1)).sum(axis=1), reduction)
    np.testing.assert_allclose(
        run([z, p], sg.cross_entropy(z, p, reduction=reduction), Z, P), wanted, rtol=1e-13
    )


def test_cross_entropy_gradient_is_q_minus_p() -> None:
    z, y = sg.matrix("z"), sg.vector("y", dtype="int64")
    g = sg.grad(sg.cross_entropy(z, y, reduction="sum"), z)
    wanted = special.softmax(Z, axis=1) - np.eye(3)[LABELS]
    np.testing.assert_allclose(run([z, y], g, Z, LABELS), wanted, rtol=1e-12, atol=1e-15)


def test_cross_entropy_gradient_of_unnormalised_targets_is_q_times_their_sum_minus_p() -> None:
    z, p = sg.matrix("z"), sg.matrix("p")
    g = sg.grad(sg.cross_entropy(z, p, reduction="sum"), z)
    weights = RNG.uniform(size=(5, 3)) * 3
    wanted = special.softmax(Z, axis=1) * weights.sum(axis=1, keepdims=True) - weights
    np.testing.assert_allclose(run([z, p], g, Z, weights), wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_cross_entropy_along_any_axis(axis: int) -> None:
    logits = RNG.normal(size=(3, 3, 3))
    labels = RNG.integers(0, 3, (3, 3))
    z, y = sg.tensor3("z"), sg.matrix("y", dtype="int64")
    lp = special.log_softmax(logits, axis=axis)
    picked = np.take_along_axis(lp, np.expand_dims(labels, axis), axis).squeeze(axis)
    found = run([z, y], sg.cross_entropy(z, y, axis=axis, reduction="none"), logits, labels)
    np.testing.assert_allclose(found, -picked, rtol=1e-13)


def test_cross_entropy_of_one_example() -> None:
    z, y = sg.vector("z"), sg.scalar("y", dtype="int64")
    np.testing.assert_allclose(
        run([z, y], sg.cross_entropy(z, y), Z[0], 2), -special.log_softmax(Z[0])[2], rtol=1e-13
    )


def test_cross_entropy_at_extreme_logits() -> None:
    z, y = sg.matrix("z", (2, 3)), np.array([0, 1])
    loss = sg.cross_entropy(z, y, reduction="none")
    g = sg.grad(sg.sum(loss), z)
    at = np.array([[1000.0, 0.0, -1000.0], [1000.0, 0.0, -1000.0]])
    values, slopes = run([z], [loss, g], at)
    np.testing.assert_array_equal(values, [0.0, 1000.0])
    np.testing.assert_array_equal(slopes, [[0, 0, 0], [1, -1, 0]])


def test_a_label_out_of_range_raises_when_called() -> None:
    z, y = sg.matrix("z"), sg.vector("y", dtype="int64")
    with pytest.raises(IndexError, match="3"):
        run([z, y], sg.cross_entropy(z, y), Z, np.array([0, 1, 2, 3, 0]))


# ---- binary cross-entropy ------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_binary_cross_entropy(reduction: str) -> None:
    z, t = sg.vector("z"), sg.vector("t")
    logits, targets = RNG.normal(size=6), np.array([0.0, 1.0, 0.3, 1.0, 0.0, 0.9])
    losses = -(targets * special.log_expit(logits) + (1 - targets) * special.log_expit(-logits))
    found = run([z, t], sg.binary_cross_entropy(z, t, reduction=reduction), logits, targets)
    np.testing.assert_allclose(found, _wanted(losses, reduction), rtol=1e-13)


@pytest.mark.parametrize("logit", [-1000.0, -40.0, 0.0, 40.0, 1000.0])
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_binary_cross_entropy_keeps_its_digits(logit: float, target: float) -> None:
    z = sg.scalar("z")
    loss = sg.binary_cross_entropy(z, target)
    side = logit if target == 0 else -logit
    wanted = np.logaddexp(0, side) if side > -30 else np.exp(side)
    value, slope = run([z], [loss, sg.grad(loss, z)], logit)
    np.testing.assert_allclose(value, wanted, rtol=1e-13)
    np.testing.assert_allclose(slope, special.expit(side) * (1 if target == 0 else -1), rtol=1e-13)


def test_binary_cross_entropy_takes_bool_targets() -> None:
    z, t = sg.vector("z"), sg.vector("t", dtype="bool")
    found = run([z, t], sg.binary_cross_entropy(z, t, reduction="none"), [0.5, 0.5], [True, False])
    np.testing.assert_allclose(found, np.logaddexp(0, [-0.5, 0.5]), rtol=1e-14)


# ---- the others ----------------------------------------------------------------------------------

A, B = RNG.normal(size=(4, 3)) * 2, RNG.normal(size=(4, 3))
SIGNS = np.where(B > 0, 1.0, -1.0)
Q = special.softmax(RNG.normal(size=(5, 3)), axis=1)


def _huber(a: Any, b: Any) -> Any:
    d = np.abs(a - b)
    return np.where(d <= 0.7, 0.5 * d * d, 0.7 * d - 0.5 * 0.49)


Formula = Callable[[Any, Any], Any]
OTHERS: list[tuple[str, Callable[..., Any], Any, Any, Formula, Formula]] = [
    ("mse", sg.nn.mse, A, B, lambda a, b: (a - b) ** 2, lambda a, b: 2 * (a - b)),
    ("mae", sg.nn.mae, A, B, lambda a, b: np.abs(a - b), lambda a, b: np.sign(a - b)),
    (
        "huber", lambda a, b, **k: sg.nn.huber(a, b, delta=0.7, **k), A, B, _huber,
        lambda a, b: np.clip(a - b, -0.7, 0.7),
    ),
    (
        "hinge", sg.nn.hinge, A, SIGNS, lambda a, b: np.maximum(0, 1 - a * b),
        lambda a, b: np.where(a * b < 1, -b, 0),
    ),
    (
        "kl_div", sg.nn.kl_div, P, Q, lambda a, b: special.rel_entr(a, b).sum(axis=1),
        lambda a, b: np.log(a / b) + 1,
    ),
]  # fmt: skip


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", [o[0] for o in OTHERS])
def test_value(name: str, reduction: str) -> None:
    build, a, b, losses, _ = next(o[1:] for o in OTHERS if o[0] == name)
    x, y = sg.matrix("x"), sg.matrix("y")
    found = run([x, y], build(x, y, reduction=reduction), a, b)
    np.testing.assert_allclose(found, _wanted(losses(a, b), reduction), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", [o[0] for o in OTHERS])
def test_gradient_in_closed_form(name: str) -> None:
    build, a, b, _, slope = next(o[1:] for o in OTHERS if o[0] == name)
    x, y = sg.matrix("x"), sg.matrix("y")
    found = run([x, y], sg.grad(build(x, y, reduction="sum"), x), a, b)
    np.testing.assert_allclose(found, slope(a, b), rtol=1e-12, atol=1e-14)


def test_kl_of_equal_distributions_and_zero_entries() -> None:
    p, q = sg.vector("p"), sg.vector("q")
    kl = sg.nn.kl_div(p, q)
    assert run([p, q], kl, [0.0, 0.25, 0.75], [0.0, 0.25, 0.75]) == 0
    assert run([p, q], kl, [0.0, 1.0], [0.5, 0.5]) == np.log(2)


def test_l2_penalty_sums_over_all_parameters() -> None:
    w, b = sg.matrix("w"), sg.vector("b")
    penalty = sg.nn.l2_penalty([w, b])
    found = run([w, b], [penalty, sg.grad(penalty, w)], A, B[0])
    np.testing.assert_allclose(found[0], (A * A).sum() + (B[0] ** 2).sum(), rtol=1e-13)
    np.testing.assert_array_equal(found[1], 2 * A)


# ---- misuse --------------------------------------------------------------------------------------

_Z, _Y = sg.matrix("z", ("m", 3)), sg.vector("y", "m", dtype="int64")
_FOUR = sg.matrix("t", ("m", 4))


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: sg.cross_entropy(_Z, _Y, reduction="avg"), UsageError, "reduction='avg'"),
        (lambda: sg.cross_entropy(_Z, _Y[:, None]), ShapeError, "one label an example"),
        (lambda: sg.cross_entropy(_Z, sg.vector("t")), ShapeError, "differ in rank"),
        (lambda: sg.cross_entropy(_Z, _Y > 0), DTypeError, "targets are bool"),
        (lambda: sg.cross_entropy(1.0, 0), ShapeError, "logits are a scalar"),
        (lambda: sg.cross_entropy(_Z, _Y, axis=2), ShapeError, "axis 2 is out of range"),
        (lambda: sg.cross_entropy(_Z, _FOUR), ShapeError, r"\(m, 3\) and \(m, 4\)"),
        (lambda: sg.nn.mse(_Z, sg.vector("t")), ShapeError, "mse: shapes .* differ in rank"),
        (lambda: sg.nn.l2_penalty([]), UsageError, "no parameters"),
    ],
)  # fmt: skip
def test_misuse(build: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build()
