"""Expressions on which the rules of the family powers fire."""

from __future__ import annotations

from rule_example import Example

import symgraph as sg
from symgraph import Tensor
from symgraph.functions.variables import number

__all__ = ["EXAMPLES"]


def _pow(x: Tensor, exponent: float) -> Tensor:
    return sg.pow(x, number(exponent, x.dtype))


# fmt: off
EXAMPLES: dict[str, Example] = {
    "pow_minus_two":      lambda x, y, z, k: _pow(x, -2),
    "pow_whole":          lambda x, y, z, k: _pow(x, 5) + _pow(y, -3),
    "pow_whole_integer":  lambda x, y, z, k: sg.pow(k, number(3, k.dtype)),
    "pow_half":           lambda x, y, z, k: _pow(sg.abs(x), 0.5),
    "pow_minus_half":     lambda x, y, z, k: _pow(sg.abs(x), -0.5),
    "pow_one_and_a_half": lambda x, y, z, k: _pow(sg.abs(x), 1.5),
    "pow_pow":            lambda x, y, z, k: _pow(_pow(sg.exp(x), 1.25), 0.75),
    "square_sqrt":        lambda x, y, z, k: sg.square(sg.sqrt(sg.abs(x))),
    "cbrt_pow":           lambda x, y, z, k: sg.cbrt(_pow(x, 3)),
    "abs_nonnegative":    lambda x, y, z, k: sg.abs(sg.exp(x)),
    "relu_nonnegative":   lambda x, y, z, k: sg.relu(sg.exp(x)),
    "sign_positive":      lambda x, y, z, k: sg.sign(sg.exp(x)),
}
# fmt: on
