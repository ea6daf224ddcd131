"""Losses: one number an example, then their mean or sum. Cross-entropies take logits."""

from __future__ import annotations

from typing import Any

from symgraph.errors import DTypeError, ShapeError, UsageError
from symgraph.functions.axes import one_axis
from symgraph.functions.creation import iota
from symgraph.functions.elementwise import (
    abs,
    multiply,
    negative,
    relu,
    softplus,
    square,
    where,
    xlogy,
)
from symgraph.functions.index import getitem
from symgraph.functions.reduction import log_softmax, mean, sum
from symgraph.functions.shape import expand_dims, moveaxis
from symgraph.functions.variables import as_tensor, promoted
from symgraph.sizes import Dim
from symgraph.tensor import Tensor, describe
from symgraph.types import broadcast_shapes, shape_text

__all__ = [
    "binary_cross_entropy", "cross_entropy", "hinge", "huber", "kl_div", "l2_penalty", "mae", "mse",
]  # fmt: skip

REDUCTIONS = ("mean", "sum", "none")


def _reduced(losses: Tensor, reduction: str, what: str) -> Tensor:
    if reduction not in REDUCTIONS:
        raise UsageError(f"{what}: reduction={reduction!r} is not one of 'mean', 'sum', 'none'")
    return mean(losses) if reduction == "mean" else sum(losses) if reduction == "sum" else losses


def _pair(what: str, a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Two operands of one floating dtype and shapes that agree."""
    x, y = promoted(what, a, b, floating=True)
    if x.ndim != y.ndim and x.ndim and y.ndim:
        raise ShapeError(
            f"{what}: shapes {shape_text(x.shape)} and {shape_text(y.shape)} differ in rank; "
            f"{describe(x)} and {describe(y)} must match element by element"
        )
    broadcast_shapes(what, [x.shape, y.shape], [])
    return x, y


# ---- classification ------------------------------------------------------------------------------


def cross_entropy(logits: Any, targets: Any, /, axis: int = -1, reduction: str = "mean") -> Tensor:
    """The cross-entropy between targets and softmax(logits) over ``axis``, from the logits.

    ``targets`` are integer labels (the shape of the logits without ``axis``) or probabilities (the
    shape of the logits). The mean is over examples.

    Raises:
        DTypeError, ShapeError, UsageError: the targets do not fit. IndexRangeError, when called: a
        label is out of range.
    """
    scores = as_tensor(logits, "cross_entropy")
    chosen = as_tensor(targets, "cross_entropy")
    if scores.ndim == 0:
        raise ShapeError("cross_entropy: the logits are a scalar and have no axis of classes")
    k = one_axis("cross_entropy", axis, scores.ndim, scores)
    if chosen.dtype.kind == "b":
        raise DTypeError(
            "cross_entropy: the targets are bool; integer labels or probabilities are needed"
        )
    if chosen.dtype.kind in "iu" and not chosen.type.weak:
        losses = negative(_picked(log_softmax(scores, axis=k), chosen, k))
    else:
        losses = _soft(scores, chosen, k)
    return _reduced(losses, reduction, "cross_entropy")


def _soft(scores: Tensor, targets: Tensor, axis: int) -> Tensor:
    scores, targets = _pair("cross_entropy", scores, targets)
    return negative(sum(multiply(targets, log_softmax(scores, axis=axis)), axis=axis))


def _picked(x: Tensor, labels: Tensor, axis: int) -> Tensor:
    """The element of each example that its label names."""
    if labels.ndim != x.ndim - 1:
        raise ShapeError(
            f"cross_entropy: integer labels of shape {shape_text(labels.shape)} for logits of "
            f"shape {shape_text(x.shape)}; one label an example is wanted (or probabilities)"
        )
    rows = moveaxis(x, axis, -1)
    broadcast_shapes("cross_entropy", [labels.shape, rows.shape[:-1]], [])
    places = [_along(n, rows.ndim - 2 - a) for a, n in enumerate(rows.shape[:-1])]
    return getitem(rows, (*places, labels))


def _along(length: Dim, later: int) -> Tensor:
    line = iota(length)
    return expand_dims(line, tuple(range(1, later + 1))) if later else line


def binary_cross_entropy(logits: Any, targets: Any, /, reduction: str = "mean") -> Tensor:
    """The cross-entropy between targets in [0, 1] and sigmoid(logits), element by element.

    Both terms are softplus of the logits, so nothing overflows and nothing cancels.
    """
    z, t = _pair("binary_cross_entropy", logits, targets)
    losses = t * softplus(-z) + (1 - t) * softplus(z)
    return _reduced(losses, reduction, "binary_cross_entropy")


def hinge(scores: Any, targets: Any, /, reduction: str = "mean") -> Tensor:
    """max(0, 1 - target * score) for targets -1 and 1."""
    s, t = _pair("hinge", scores, targets)
    return _reduced(relu(1 - t * s), reduction, "hinge")


def kl_div(p: Any, q: Any, /, axis: int = -1, reduction: str = "mean") -> Tensor:
    """The divergence sum(p log(p / q)) of distributions along ``axis``; 0 log 0 is 0 (eq. 3.50)."""
    a, b = _pair("kl_div", p, q)
    return _reduced(sum(xlogy(a, a) - xlogy(a, b), axis=axis), reduction, "kl_div")


# ---- regression ----------------------------------------------------------------------------------


def mse(predictions: Any, targets: Any, /, reduction: str = "mean") -> Tensor:
    """The squared error, averaged over all elements (eq. 5.4)."""
    y, t = _pair("mse", predictions, targets)
    return _reduced(square(y - t), reduction, "mse")


def mae(predictions: Any, targets: Any, /, reduction: str = "mean") -> Tensor:
    """The absolute error, averaged over all elements."""
    y, t = _pair("mae", predictions, targets)
    return _reduced(abs(y - t), reduction, "mae")


def huber(predictions: Any, targets: Any, /, delta: float = 1.0, reduction: str = "mean") -> Tensor:
    """Half the squared error up to ``delta``, linear beyond; smooth in value and slope."""
    y, t = _pair("huber", predictions, targets)
    error = abs(y - t)
    losses = where(error <= delta, 0.5 * square(y - t), delta * (error - 0.5 * delta))
    return _reduced(losses, reduction, "huber")


def l2_penalty(parameters: Any, /) -> Tensor:
    """The sum of squares of all elements of the parameters (eq. 6.56, 7.4 without its factor)."""
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    if not given:
        raise UsageError("l2_penalty: no parameters")
    total = sum(square(given[0]))
    for p in given[1:]:
        total = total + sum(square(p))
    return total
