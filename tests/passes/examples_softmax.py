"""Expressions on which the rules of the family softmax fire."""

from __future__ import annotations

from collections.abc import Callable

from rule_example import Example, node

import symgraph as sg
from symgraph import Tensor
from symgraph.functions.creation import iota
from symgraph.functions.variables import number
from symgraph.ops import index

__all__ = ["EXAMPLES"]


def _rows(x: Tensor) -> Tensor:
    return sg.exp(x) / sg.sum(sg.exp(x), axis=1, keepdims=True)


def _top(x: Tensor) -> Tensor:
    return sg.max(x, axis=1, keepdims=True)


def _picked(x: Tensor, k: Tensor) -> Tensor:
    """A gradient with respect to what labels picked: added to zeros at (0, k[0]), (1, k[1]), ..."""
    zeros = sg.zeros(x.shape, dtype=x.dtype)
    return node(index.scatter_add, zeros, x[:, 0], iota(x.shape[0]), k, axes=(0, 1))


def _hot(k: Tensor) -> Tensor:
    inside = node(index.gather, iota(3), k, axes=(0,))
    return sg.equal(sg.expand_dims(inside, 1), iota(3))


def _weighted(q: Tensor, y: Tensor, rows: bool = False) -> Tensor:
    return q * sg.sum((y / q) * q, axis=1 if rows else None, keepdims=rows)


def _softmax_backprop(
    x: Tensor, y: Tensor, exp: Callable[[Tensor], Tensor] = sg.exp, factor: Tensor | None = None
) -> Tensor:
    """What differentiating a spelled softmax leaves; the outer exponential may have a factor."""
    total = sg.sum(exp(x), axis=1, keepdims=True)
    value = exp(x) if factor is None else factor * exp(x)
    return value * (y / total - sg.expand_dims(sg.sum(y * (sg.softmax(x) / total), axis=1), 1))


def _tangent(x: Tensor, y: Tensor) -> Tensor:
    """The derivative of the softmax of x along y: its rows add up to 0."""
    return _cotangent(sg.softmax(x), y)


def _rows_sum(x: Tensor) -> Tensor:
    return sg.sum(x, axis=1, keepdims=True)


def _targets(x: Tensor) -> Tensor:
    """A distribution over the columns that says so."""
    return sg.softmax(x)


def _cotangent(q: Tensor, g: Tensor) -> Tensor:
    return q * (g - sg.sum(g * q, axis=1, keepdims=True))


def _with_ties(t: Tensor, x: Tensor) -> Tensor:
    """A gradient by logits beside what the maximum that was subtracted adds to it."""
    ties = x == _top(x)
    count = sg.maximum(sg.sum(ties.astype(x.dtype), axis=1), 1)
    return t + sg.where(ties, (-sg.sum(t, axis=1) / count)[:, None], number(0, x.dtype))


# fmt: off
EXAMPLES: dict[str, Example] = {
    # ---- row functions ---------------------------------------------------------------------------
    "softmax_quotient":   lambda x, y, z, k: _rows(x),
    "softmax_product": lambda x, y, z, k: (
        sg.exp(x) * (1 / sg.sum(sg.exp(x), axis=1, keepdims=True))
    ),
    "softmax_product_laid_out": lambda x, y, z, k: sg.exp(x).T * (1 / sg.sum(sg.exp(x), axis=1)),
    "softmax_average": lambda x, y, z, k: (
        sg.sum(sg.sigmoid(y) * sg.exp(x), axis=1) / sg.sum(sg.exp(x), axis=1)
    ),
    "softmax_average_by_reciprocal": lambda x, y, z, k: (
        sg.sum(sg.sigmoid(y) * sg.exp(x), axis=1) * (1 / sg.sum(sg.exp(x), axis=1))
    ),
    "softmax_mixes": lambda x, y, z, k: (
        (sg.exp(x) @ sg.constant([[1.0], [2.0], [3.0]], x.dtype))
        / sg.sum(sg.exp(x), axis=1, keepdims=True)
    ),
    "exp_over_sum":       lambda x, y, z, k: sg.exp(x) / sg.sum(sg.exp(y), axis=1, keepdims=True),
    "sum_of_exp_by_matmul": lambda x, y, z, k: sg.exp(x) @ sg.ones((3, 2), dtype=x.dtype),
    "log_of_exp_product": lambda x, y, z, k: sg.log(sg.exp(x) @ sg.exp(y[0, :])),
    "logsumexp_spelled":  lambda x, y, z, k: sg.log(sg.sum(sg.exp(x), axis=1)),
    "logsumexp_weighted": lambda x, y, z, k: sg.log(sg.sum(sg.abs(y) * sg.exp(x), axis=1)),
    "weighted_share": lambda x, y, z, k: (
        1 / _rows_sum(sg.abs(y) * sg.exp(x)) * sg.abs(y) * sg.exp(x)
    ),
    "exp_over_weighted_sum": lambda x, y, z, k: (
        sg.exp(z) * (1 / _rows_sum(sg.abs(y) * sg.exp(x)))
    ),
    "logsumexp_base_2":   lambda x, y, z, k: sg.log2(sg.sum(sg.exp2(x), axis=1)),
    "logsumexp_base_10":  lambda x, y, z, k: sg.log10(sg.sum(sg.exp(x), axis=1)),
    "logsumexp_among_factors": lambda x, y, z, k: sg.log(0.25 * sg.sum(sg.exp(x), axis=1)),
    "log_softmax_spelled": lambda x, y, z, k: x - sg.logsumexp(x, axis=1, keepdims=True),
    "log_softmax_vector": lambda x, y, z, k: x.T - sg.logsumexp(x, axis=1),
    "log_softmax_reversed": lambda x, y, z, k: sg.logsumexp(x, axis=1, keepdims=True) - x,
    "log_softmax_reversed_vector": lambda x, y, z, k: sg.logsumexp(x, axis=1) - x.T,
    "log_of_softmax":     lambda x, y, z, k: sg.log(sg.softmax(x)),
    "softmax_of_log_softmax": lambda x, y, z, k: sg.softmax(sg.log_softmax(x)),
    "log_softmax_again":  lambda x, y, z, k: sg.log_softmax(sg.log_softmax(x)),
    # ---- shifts ----------------------------------------------------------------------------------
    "softmax_shift":      lambda x, y, z, k: sg.softmax(x - _top(x)),
    "softmax_shift_scaled": lambda x, y, z, k: sg.softmax(0.5 * (x - _top(x))),
    "softmax_any_shift":  lambda x, y, z, k: sg.softmax(x - y[:, :1]),
    "softmax_any_shift_scaled": lambda x, y, z, k: sg.softmax((x - y[:, :1]) / 3.0),
    "logsumexp_shift":    lambda x, y, z, k: sg.logsumexp(x - _top(x), axis=1) + sg.max(x, axis=1),
    "logsumexp_shift_kept": lambda x, y, z, k: (
        sg.logsumexp(x - _top(x), axis=1, keepdims=True) + _top(x)
    ),
    "logsumexp_shift_taken": lambda x, y, z, k: (
        sg.logsumexp(x + _top(x), axis=1, keepdims=True) - _top(x)
    ),
    "logsumexp_less_picked": lambda x, y, z, k: (
        sg.logsumexp(x - _top(x), axis=1) - (x - _top(x))[sg.arange(x.shape[0]), k]
    ),
    # ---- labels ----------------------------------------------------------------------------------
    "one_hot_write":      lambda x, y, z, k: _picked(x, k),
    "one_hot_sum":        lambda x, y, z, k: (
        sg.sum(((k - 1)[:, None] == sg.arange(3)).astype(x.dtype), axis=1)
    ),
    "log_of_picked": lambda x, y, z, k: (
        sg.log(sg.sum(sg.where((k - 1)[:, None] == sg.arange(3), sg.sigmoid(x), 0.0), axis=1))
    ),
    "log_of_picked_product": lambda x, y, z, k: (
        sg.log(sg.sum(sg.one_hot(k, 3, dtype=x.dtype) * sg.softmax(x), axis=1))
    ),
    "picked_sum": lambda x, y, z, k: (
        sg.sum(sg.where(_hot(k), x[:, :1], number(0, x.dtype)), axis=1)
    ),
    "picked_scale": lambda x, y, z, k: sg.where(_hot(k), number(3, x.dtype), number(0, x.dtype)),
    "picked_negative": lambda x, y, z, k: sg.where(_hot(k), -x, number(0, x.dtype)),
    "picked_negative_scale": lambda x, y, z, k: (
        sg.where(_hot(k), number(-3, x.dtype) * x, number(0, x.dtype))
    ),
    "row_of_identity": lambda x, y, z, k: sg.eye(3, dtype=x.dtype)[k],
    "one_hot_weighted_sum": lambda x, y, z, k: sg.sum(
        sg.tanh(x)[:, :1] * sg.one_hot(k, 3, dtype=x.dtype), axis=1
    ),
    "softmax_factor_base_2": lambda x, y, z, k: _softmax_backprop(x, y, sg.exp2),
    "softmax_factor_base": lambda x, y, z, k: _softmax_backprop(
        x, y, lambda v: number(3, v.dtype) ** v
    ),
    "softmax_factor_scaled": lambda x, y, z, k: _softmax_backprop(
        x, y, sg.exp2, number(3, x.dtype)
    ),
    # ---- gradients -------------------------------------------------------------------------------
    "softmax_factor":     lambda x, y, z, k: _softmax_backprop(x, y),
    "softmax_weighted_quotient": lambda x, y, z, k: _weighted(sg.softmax(x), y, rows=True),
    "softmax_weighted_quotient_vector": lambda x, y, z, k: _weighted(sg.softmax(x, axis=None), y),
    "softmax_backprop":   lambda x, y, z, k: _cotangent(sg.softmax(x), y / sg.softmax(x)),
    "softmax_backprop_sum": lambda x, y, z, k: (
        sg.softmax(x) * (-(y / sg.softmax(x)) + _rows_sum(y / sg.softmax(x) * sg.softmax(x)))
    ),
    "times_positive_quotient_minus": lambda x, y, z, k: sg.softplus(x) * (y / sg.softplus(x) - z),
    "minus_times_positive_quotient": lambda x, y, z, k: sg.softplus(x) * (z - y / sg.softplus(x)),
    "times_positive_quotient_plus":  lambda x, y, z, k: sg.softplus(x) * (y / sg.softplus(x) + z),
    "minus_normalised": lambda x, y, z, k: (
        sg.softmax(x) - y * sg.sum(sg.softmax(x), axis=1, keepdims=True)
    ),
    "normalised_minus": lambda x, y, z, k: (
        y * sg.sum(sg.softmax(x), axis=1, keepdims=True) - sg.softmax(x)
    ),
    "minus_scaled_normalised": lambda x, y, z, k: (
        -number(0.5, x.dtype) * _targets(y)
        - sg.softmax(x) * _rows_sum(-number(0.5, x.dtype) * _targets(y))
    ),
    "scaled_normalised_minus": lambda x, y, z, k: (
        sg.softmax(x) * _rows_sum(z[:, :1] * _targets(y)) - z[:, :1] * _targets(y)
    ),
    "normalised_factor": lambda x, y, z, k: (
        sg.softmax(x) * y * sg.sum(sg.softmax(x), axis=1, keepdims=True)
    ),
    "weighted_shares_less_labels": lambda x, y, z, k: (
        y[:, :1] * sg.softmax(x) - sg.where(_hot(k), y[:, :1], 0.0)
    ),
    "weighted_labels_less_shares": lambda x, y, z, k: (
        sg.where(_hot(k), y[:, :1], 0.0) - y[:, :1] * sg.softmax(x)
    ),
    "less_own_share": lambda x, y, z, k: (
        (number(-0.5, x.dtype) * sg.softmax(x) + sg.tanh(z))
        - sg.softmax(x) * _rows_sum(number(-0.5, x.dtype) * sg.softmax(x) + sg.tanh(z))
    ),
    "own_share_less": lambda x, y, z, k: (
        sg.softmax(x) * _rows_sum(sg.tanh(z) - sg.softmax(x)) - (sg.tanh(z) - sg.softmax(x))
    ),
    "scaled_difference_beside": lambda x, y, z, k: number(3, x.dtype) * (x - x) + (x * y + z),
    "difference_beside": lambda x, y, z, k: x - x + (x * y + z),
    "sum_of_zero_sum": lambda x, y, z, k: sg.sum(
        _tangent(x, y) + sg.tanh(z) * _tangent(x, y), axis=1
    ),
    "sum_less_zero_sum": lambda x, y, z, k: sg.sum(
        sg.tanh(z) * _tangent(x, y) - _tangent(x, y), axis=1
    ),
    "opposite_scales":    lambda x, y, z, k: number(-3, x.dtype) * x + number(3, x.dtype) * y,
    "subtract_negative_scale": lambda x, y, z, k: x - number(-3, x.dtype) * y,
    "negative_scale":     lambda x, y, z, k: -(number(-3, x.dtype) * y),
    # ---- totals of rows --------------------------------------------------------------------------
    "sum_of_labels": lambda x, y, z, k: (
        sg.sum(0.9 * sg.one_hot(k, 3, dtype=x.dtype) + 0.1 / 3, axis=1)
    ),
    "sum_normalised":     lambda x, y, z, k: sg.sum(sg.softmax(x), axis=1),
    "plus_zero_sum": lambda x, y, z, k: _with_ties(sg.softmax(x) - sg.one_hot(k, 3, x.dtype), x),
}
# fmt: on
