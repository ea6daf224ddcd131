"""Expressions on which the rules of the family norms fire."""

from __future__ import annotations

from rule_example import Example

import symgraph as sg
from symgraph import Tensor
from symgraph.functions.variables import number, size_value

__all__ = ["EXAMPLES"]


def _length(x: Tensor) -> Tensor:
    return sg.norm(x, axis=1)


def _squares(x: Tensor) -> Tensor:
    return sg.sum(sg.square(x), axis=1)


def _plus(x: Tensor, value: float) -> Tensor:
    return x + number(value, x.dtype)


# fmt: off
EXAMPLES: dict[str, Example] = {
    "sqrt_sum_square":     lambda x, y, z, k: sg.sqrt(_squares(x)),
    "sqrt_mean_square":    lambda x, y, z, k:
        sg.sqrt(_squares(x) / size_value(x.shape[0], x.dtype)),
    "sqrt_scaled_squares": lambda x, y, z, k: sg.sqrt(number(0.25, x.dtype) * _squares(x)),
    "sqrt_add_squares":    lambda x, y, z, k: sg.sqrt(sg.square(x) + sg.square(y)),
    "guarded_length":      lambda x, y, z, k:
        sg.where(sg.equal(_squares(x), 0), number(0, x.dtype), _length(x)),
    "square_norm":         lambda x, y, z, k: sg.square(_length(x)),
    "norm_negative":       lambda x, y, z, k: _length(-x),
    "norm_abs":            lambda x, y, z, k: _length(sg.abs(x)),
    "mean_square_less_squared_mean": lambda x, y, z, k:
        sg.mean(sg.square(x), axis=1) - sg.square(sg.mean(x, axis=1)),
    "mean_product_less_means": lambda x, y, z, k:
        sg.mean(x * y, axis=1) - sg.mean(x, axis=1) * sg.mean(y, axis=1),
    "difference_of_roots": lambda x, y, z, k: sg.sqrt(_plus(x, 1)) - sg.sqrt(x),
    "difference_of_reciprocals": lambda x, y, z, k: 1 / _plus(x, 1) - 1 / x,
}
# fmt: on
