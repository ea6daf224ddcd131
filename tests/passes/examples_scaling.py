"""Expressions on which the rules of the family scaling fire."""

from __future__ import annotations

from rule_example import Example, node

import symgraph as sg
from symgraph import Tensor
from symgraph.functions.variables import number, size_value
from symgraph.ops import shape as s

__all__ = ["EXAMPLES"]


def _wide(x: Tensor, rows: int = 2) -> Tensor:
    return node(s.broadcast_to, sg.sum(x), shape=(rows, 3))


def _per_size(x: Tensor, top: int = 1) -> Tensor:
    """A scalar factor 1 / n with the n of x."""
    return top / size_value(x.shape[0], x.dtype)


# fmt: off
EXAMPLES: dict[str, Example] = {
    # ---- scaling ---------------------------------------------------------------------------------
    "sum_chain":          lambda x, y, z, k: sg.sum(sg.sum(x, axis=1), axis=0),
    "sum_constant":       lambda x, y, z, k: sg.sum(_wide(x), axis=1),
    "sum_scaled":         lambda x, y, z, k: sg.sum(number(3, x.dtype) * x, axis=1),
    "divide_by_size":     lambda x, y, z, k: x / size_value(x.shape[0], x.dtype),
    "scale_rises":        lambda x, y, z, k: y * (_per_size(x) * x),
    "scales_join":        lambda x, y, z, k: number(3, x.dtype) * (_per_size(x) * x),
    "factor_difference":  lambda x, y, z, k: _per_size(x) * x - _per_size(x) * y,
    "factor_sum":         lambda x, y, z, k: _per_size(x) * x + _per_size(x) * y,
    "factor_opposites":   lambda x, y, z, k: _per_size(x) * x + _per_size(x, -1) * y,
    "flip_difference":    lambda x, y, z, k: number(-3, x.dtype) * (x - y),
    "flip_difference_over": lambda x, y, z, k: (-1 / size_value(x.shape[0], x.dtype)) * (x - y),
    "add_scaled":         lambda x, y, z, k: x + number(2, x.dtype) * x,
    "add_both_scaled":    lambda x, y, z, k: number(3, x.dtype) * x + number(2, x.dtype) * x,
    # ---- sums and products of any length ---------------------------------------------------------
    "sum_terms_integer":  lambda x, y, z, k: k + 3 - k * 2 + k * k - k,
    "sum_literals":       lambda x, y, z, k: x + number(2, x.dtype) + y + number(3, x.dtype),
    "sum_terms":          lambda x, y, z, k: x + y + number(2, x.dtype) * x,
    "sum_shared_factor":  lambda x, y, z, k: x * y + z + x * (y + z),
    "sum_shared_factors": lambda x, y, z, k: x * y + z * x * y,
    "product_factors_integer": lambda x, y, z, k: 2 * k * 3 * k,
    "product_factors":    lambda x, y, z, k: x * y / z * z,
}
# fmt: on
