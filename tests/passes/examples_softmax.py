"""Expressions on which the rules of the family softmax fire."""

from __future__ import annotations

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


def _softmax_backprop(x: Tensor, y: Tensor) -> Tensor:
    total = sg.sum(sg.exp(x), axis=1, keepdims=True)
    return sg.exp(x) * (y * (1 / total) - sg.expand_dims(sg.sum(y * (y / total), axis=1), 1))


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
    "softmax_weighted_quotient": lambda x, y, z, k: _weighted(sg.softmax(x), y, rows=True),
    "softmax_weighted_quotient_vector": lambda x, y, z, k: _weighted(sg.softmax(x, axis=None), y),
    "softmax_factor":     lambda x, y, z, k: _softmax_backprop(x, y),
    "sum_of_exp_by_matmul": lambda x, y, z, k: sg.exp(x) @ sg.ones((3, 2), dtype=x.dtype),
    "sum_of_exp_by_matmul_first": lambda x, y, z, k: (
        sg.ones((2, 3), dtype=x.dtype) @ sg.exp(x).T
    ),
    "logsumexp_spelled":  lambda x, y, z, k: sg.log(sg.sum(sg.exp(x), axis=1)),
    "logsumexp_scaled":   lambda x, y, z, k: sg.log(0.25 * sg.sum(sg.exp(x), axis=1)),
    "log_softmax_spelled": lambda x, y, z, k: x - sg.logsumexp(x, axis=1, keepdims=True),
    "log_softmax_vector": lambda x, y, z, k: x.T - sg.logsumexp(x, axis=1),
    "log_softmax_reversed": lambda x, y, z, k: sg.logsumexp(x, axis=1, keepdims=True) - x,
    "log_softmax_reversed_vector": lambda x, y, z, k: sg.logsumexp(x, axis=1) - x.T,
    "log_of_softmax":     lambda x, y, z, k: sg.log(sg.softmax(x)),
    "softmax_shift":      lambda x, y, z, k: sg.softmax(x - _top(x)),
    "softmax_shift_added": lambda x, y, z, k: sg.softmax(x + number(3, x.dtype)),
    "softmax_any_shift":  lambda x, y, z, k: sg.softmax(x - y[:, :1]),
    "softmax_any_shift_added": lambda x, y, z, k: sg.softmax(x + y[:, :1]),
    "log_softmax_shift":  lambda x, y, z, k: sg.log_softmax(x - _top(x)),
    "log_softmax_shift_added": lambda x, y, z, k: sg.log_softmax(x + number(3, x.dtype)),
    "logsumexp_shift":    lambda x, y, z, k: sg.logsumexp(x - _top(x), axis=1) + sg.max(x, axis=1),
    "logsumexp_shift_kept": lambda x, y, z, k: (
        sg.logsumexp(x - _top(x), axis=1, keepdims=True) + _top(x)
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
    # ---- gradients -------------------------------------------------------------------------------
    "times_positive_quotient_minus": lambda x, y, z, k: sg.softplus(x) * (y / sg.softplus(x) - z),
    "minus_times_positive_quotient": lambda x, y, z, k: sg.softplus(x) * (z - y / sg.softplus(x)),
    "times_positive_quotient_plus":  lambda x, y, z, k: sg.softplus(x) * (y / sg.softplus(x) + z),
    "minus_normalised": lambda x, y, z, k: (
        sg.softmax(x) - y * sg.sum(sg.softmax(x), axis=1, keepdims=True)
    ),
    "normalised_minus": lambda x, y, z, k: (
        y * sg.sum(sg.softmax(x), axis=1, keepdims=True) - sg.softmax(x)
    ),
}
# fmt: on
