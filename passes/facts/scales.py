"""Scalars made of literals and sizes: how large they are, and which sizes they need."""

from __future__ import annotations

import math
from typing import Any

from symgraph.ops import elementwise as e
from symgraph.ops import leaves
from symgraph.sizes import Dim, Size, lower_bound, symbols_of
from symgraph.tensor import Tensor

__all__ = ["SAFE", "Span", "factors_of", "scale_of"]

#: bounds on the magnitude of a scalar made of literals and sizes, and the sizes it depends on
Span = tuple[float, float, frozenset[Any]]

#: what may be multiplied in any order without overflow or underflow on the way
SAFE = (1e-30, 1e30)


def factors_of(shape: tuple[Dim, ...]) -> set[Any]:
    """The sizes that are factors of the number of elements: where one is 0 there are none."""
    found: set[Any] = set()
    for d in shape:
        if isinstance(d, Size) and len(d.terms) == 1:
            found |= {atom for atom, _ in d.terms[0][0]}
    return found


def scale_of(x: Tensor, parts: list[Span | None]) -> Span | None:
    """Bounds of |x| from those of its inputs; None where x is not made of literals and sizes."""
    if x.op is leaves.constant:
        value = x.attrs["value"]
        if value.size != 1 or value.dtype.kind != "f" or not math.isfinite(value.item()):
            return None
        size = abs(float(value.item()))
        return size, size, frozenset()
    if x.op is leaves.size:
        return _size(x.attrs["dim"])
    if x.op not in (e.multiply, e.divide, e.negative):
        return None
    known = [p for p in parts if p is not None]
    if len(known) < len(parts):
        return None
    if x.op is e.negative:
        return known[0]
    (a, b, one), (c, d, two) = known
    if x.op is e.multiply:
        return a * c, b * d, one | two
    return (a / d, b / c, one | two) if c > 0 else None


def _size(dim: Dim) -> Span | None:
    """A size is at least 1 where its symbols are: products are; ``n - 1`` is not known to be."""
    if not isinstance(dim, Size):
        return None
    low = lower_bound(dim)
    if low is not None and low > 0:
        return float(low), 2.0**63, frozenset()
    if len(dim.terms) == 1 and dim.terms[0][1] > 0:
        atoms = {atom.kind for atom, _ in dim.terms[0][0]}
        if atoms <= {"symbol", "count"}:
            return 1.0, 2.0**63, frozenset(symbols_of(dim))
    return None
