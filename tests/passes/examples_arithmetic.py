"""Expressions on which the rules of the family arithmetic fire."""

from __future__ import annotations

import examples_norms
import examples_powers
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
    **examples_powers.EXAMPLES,
    **examples_norms.EXAMPLES,
    # ---- arithmetic ------------------------------------------------------------------------------
    "literal_first":      lambda x, y, z, k: x * number(3, x.dtype),
    "commuted_twin":      lambda x, y, z, k: sg.where(x > 0, sg.multiply(x, y), sg.multiply(y, x)),
    "sum_negative":       lambda x, y, z, k: sg.sum(-x, axis=1),
    "size_arithmetic":    lambda x, y, z, k: size_value(x.shape[0]) + size_value(x.shape[0]),
}
# fmt: on
