"""Sums along rows, kept, and averages of a cotangent under a softmax: sum(g * q)."""

from __future__ import annotations

from collections import Counter

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.ops import elementwise as e
from symgraph.ops import reduction as r
from symgraph.passes.facts import Facts
from symgraph.passes.rules.coefficients import coefficient
from symgraph.passes.rules.layout import MOVING, constant_along, layout
from symgraph.tensor import Tensor

__all__ = ["factors_of", "is_own_average", "is_tangent", "normalised_part", "row_sum_of"]

DEPTH = 8


def row_sum_of(total: Tensor, terms: Tensor) -> tuple[int, ...] | None:
    """The axes, if ``total`` is the sum of ``terms`` with the summed axes kept."""
    if total.op is not r.sum_ and total.op not in MOVING:
        return None
    found = layout(total)
    if found.source.op is not r.sum_ or found.source.inputs[0] is not terms or found.stopped:
        return None
    axes: tuple[int, ...] = found.source.attrs["axis"]
    places = iter(range(terms.ndim))
    kept = tuple(None if k in axes else next(places) for k in range(terms.ndim))
    return axes if found.axes == kept else None


def is_own_average(total: Tensor, g: Tensor, q: Tensor, sign: int) -> bool:
    """Whether ``total`` is sign times the sum of g * q, kept, along the axes of the softmax q."""
    found = layout(total)
    if found.source.op is not r.sum_:
        return False
    terms = found.source.inputs[0]
    if row_sum_of(total, terms) != q.attrs["axis"]:
        return False
    (one, above), (two, below) = factors_of(terms), factors_of(g)
    return one == sign * two and above == below + Counter([(q, 1)])


def factors_of(x: Tensor) -> tuple[float, Counter[tuple[Tensor, int]]]:
    """A product as a literal and its other factors, each with 1, or -1 for a scalar's divisor."""
    literal, found, waiting = 1.0, Counter[tuple[Tensor, int]](), [x]
    for _ in range(4 * DEPTH):
        if not waiting:
            break
        x = waiting.pop()
        scale = coefficient(x)
        if scale is not None:
            literal *= scale[0]
            found.update([] if scale[1] is None else [(scale[1], -1)])
        elif x.op is e.negative:
            literal = -literal
            waiting.append(x.inputs[0])
        elif x.op is e.multiply:
            waiting.extend(x.inputs)
        else:
            found[x, 1] += 1
    found.update((x, 1) for x in waiting)
    return literal, found


def is_tangent(x: Tensor, axes: tuple[int, ...]) -> bool:
    """Whether x is q * (g - sum(g * q)) for a softmax q along ``axes``: its rows add up to 0."""
    if x.op is not e.multiply:
        return False
    for q, d in (x.inputs, x.inputs[::-1]):
        if q.op is not r.softmax or q.attrs["axis"] != axes or d.op not in (e.add, e.subtract):
            continue
        if q.shape != x.shape:
            continue
        sign = 1 if d.op is e.add else -1
        if any(is_own_average(total, g, q, -sign) for g, total in (d.inputs, d.inputs[::-1])):
            return True
    return False


def normalised_part(
    x: Tensor, axes: tuple[int, ...], facts: Facts, depth: int = DEPTH
) -> tuple[Tensor, Tensor] | None:
    """A factor of each row and rows that sum to one along ``axes``, if x is their product."""
    if facts.sums_to_one(x, axes):
        return number(1, x.dtype), x
    if depth == 0 or x.op not in (e.multiply, e.divide):
        return None
    orders = (x.inputs, x.inputs[::-1]) if x.op is e.multiply else (x.inputs[::-1],)
    for factor, rows in orders:
        if rows.shape != x.shape or not constant_along(factor, axes, x.ndim):
            continue
        found = normalised_part(rows, axes, facts, depth - 1)
        if found is not None:
            one = found[1] is rows
            if x.op is e.divide:
                return f.divide(found[0], factor), found[1]
            return factor if one else f.multiply(factor, found[0]), found[1]
    return None
