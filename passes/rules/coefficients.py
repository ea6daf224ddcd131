"""Literal factors of scalars and products, and the signs that they hide."""

from __future__ import annotations

import numpy as np

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.ops import elementwise as e
from symgraph.passes.rules.pattern import literal_of
from symgraph.tensor import Tensor, apply
from symgraph.types import DType

__all__ = ["coefficient", "negated", "normal"]

DEPTH = 4


def normal(value: float, dtype: DType) -> bool:
    """Whether a product of literals is a literal again: any integer, a normal number of a float
    type.
    """
    if dtype.kind != "f":
        return True
    limits = np.finfo(dtype)
    return float(limits.tiny) <= abs(value) <= float(limits.max)


def coefficient(x: Tensor) -> tuple[float, Tensor | None] | None:
    """A scalar as a literal over a divisor (None for 1); None for another value."""
    value = literal_of(x)
    if value is not None:
        return float(value), None
    if x.op is e.divide and x.ndim == 0:
        above = literal_of(x.inputs[0])
        return None if above is None else (float(above), x.inputs[1])
    return None


def negated(x: Tensor, depth: int = DEPTH) -> Tensor | None:
    """-x, if a negative literal among the factors of x gives up its sign for it; bit for bit."""
    if depth == 0 or x.dtype.kind != "f":
        return None
    found = coefficient(x)
    if found is not None and x.ndim == 0:
        if not found[0] < 0:
            return None
        scale = number(-found[0], x.dtype)
        return scale if found[1] is None else f.divide(scale, found[1])
    if x.op is not e.multiply:
        return None
    for k, factor in enumerate(x.inputs):
        new = negated(factor, depth - 1)
        if new is not None:
            return apply(e.multiply, (new, x.inputs[1]) if k == 0 else (x.inputs[0], new))
    return None
