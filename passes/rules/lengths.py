"""Divisors that quotients keep: what is divided by a length stays within [-1, 1]."""

from __future__ import annotations

from symgraph.ops import elementwise as e
from symgraph.ops import reduction as r
from symgraph.ops import shape as s
from symgraph.tensor import Tensor

__all__ = ["is_length"]

_LENGTHS = frozenset((e.hypot, r.norm))
_MOVES = frozenset((s.broadcast_to, s.expand_dims, s.squeeze, s.reshape))

#: more moves and products than rules leave above one another
DEPTH = 4


def is_length(x: Tensor, depth: int = DEPTH) -> bool:
    """Whether x is a hypot or a norm, perhaps moved or stretched, or has one for a factor.

    Its square is a sum of squares, which overflows long before the length does; so quotients by
    lengths are neither joined nor taken apart.
    """
    if x.op in _LENGTHS:
        return True
    within = x.op is e.multiply or x.op in _MOVES
    return within and depth > 0 and any(is_length(i, depth - 1) for i in x.inputs)
