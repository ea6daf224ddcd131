"""Expressions on which the rules of the family arithmetic fire."""

from __future__ import annotations

from rule_example import Example, node

import symgraph as sg
from symgraph import Tensor
from symgraph.functions.variables import number, size_value
from symgraph.ops import shape as s

__all__ = ["EXAMPLES"]


def _wide(x: Tensor, rows: int = 2) -> Tensor:
    return node(s.broadcast_to, sg.sum(x), shape=(rows, 3))


def _per_size(x: Tensor) -> Tensor:
    """A scalar factor 1 / n with the n of x."""
    return 1 / size_value(x.shape[0], x.dtype)


# fmt: off
EXAMPLES: dict[str, Example] = {
    # ---- arithmetic ------------------------------------------------------------------------------
    "literal_first":      lambda x, y, z, k: x * number(3, x.dtype),
    "commuted_twin":      lambda x, y, z, k: sg.where(x > 0, sg.multiply(x, y), sg.multiply(y, x)),
    "sum_negative":       lambda x, y, z, k: sg.sum(-x, axis=1),
    "square_sqrt":        lambda x, y, z, k: sg.square(sg.sqrt(sg.abs(x))),
    "abs_nonnegative":    lambda x, y, z, k: sg.abs(sg.exp(x)),
    "relu_nonnegative":   lambda x, y, z, k: sg.relu(sg.exp(x)),
    "pow_half":           lambda x, y, z, k: sg.pow(sg.abs(x), number(0.5, x.dtype)),
    "size_arithmetic":    lambda x, y, z, k: size_value(x.shape[0]) + size_value(x.shape[0]),
}
# fmt: on
