"""softmax, log-softmax and log-sum-exp, however they are spelled.

A spelled softmax is exp(u) over sum(exp(u)). The sum may be kept, expanded, stretched or transposed
along; the division may be a product with the reciprocal; either may carry other factors, and the
exponential may be a power or have weights (see ``exponents``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.ops import elementwise as e
from symgraph.ops import leaves
from symgraph.ops import reduction as r
from symgraph.ops import shape as s
from symgraph.passes.facts import Facts
from symgraph.passes.rules.exponents import exponent, reduced_as, sum_of_exponentials
from symgraph.passes.rules.layout import Layout, aligned, is_one, layout, replay
from symgraph.passes.rules.pattern import Node, P, Var, literal_of, some_input
from symgraph.passes.rules.rule import FINITE_ONLY, STABILISING, Match, Rule
from symgraph.tensor import Tensor, apply

__all__ = ["SOFTMAX", "spelled_softmax"]

a, u, x, y = Var("a"), Var("u"), Var("x"), Var("y")
DEPTH = 4


# ---- a value beside its own reduction ------------------------------------------------------------


def _beside(value: Tensor, found: Layout, core: Tensor, rank: int) -> tuple[int, ...] | None:
    """The axes of ``core`` over which ``found`` reduces it, if the two line up in a result of
    ``rank``.

    ``value`` is core laid out somehow; ``found`` the reduction of core laid out somehow.
    """
    numerator = layout(value, core)
    if numerator.source is not core or numerator.stopped or found.stopped:
        return None
    reduced = found.source
    inner = layout(reduced.inputs[0], core)
    if inner.source is not core or inner.stopped or not _whole(inner, core):
        return None
    gone = reduced.attrs["axis"]
    kept = [inner.axes[k] for k in range(reduced.inputs[0].ndim) if k not in gone]
    above = aligned(numerator.axes, rank)
    below = [None if k is None else kept[k] for k in aligned(found.axes, rank)]
    over = tuple(sorted(_known([inner.axes[k] for k in gone])))
    for top, bottom in zip(above, below, strict=True):
        if bottom is None and top is not None and top not in over and not is_one(core.shape[top]):
            return None
        if bottom is not None and bottom != top:
            return None
    return over if set(over) <= set(_known(above)) and not set(over) & set(_known(below)) else None


def _whole(found: Layout, core: Tensor) -> bool:
    """Whether every element of ``core`` is there, once."""
    there = _known(found.axes)
    missing = set(range(core.ndim)) - set(there)
    return len(set(there)) == len(there) and all(is_one(core.shape[k]) for k in missing)


def _known(axes: Iterable[int | None]) -> list[int]:
    return [k for k in axes if k is not None]


# ---- softmax -------------------------------------------------------------------------------------


def spelled_softmax(
    value: Tensor, total: Tensor, rank: int, facts: Facts, vanishing: bool = False
) -> Tensor | None:
    """value / total, if value is an exponential and total its sum over some axes."""
    found = layout(total)
    if found.source.op is not r.sum_:
        return None
    core = layout(found.source.inputs[0]).source
    if layout(value, core).source is not core:
        return None
    axes, inside = _beside(value, found, core, rank), exponent(core, facts, vanishing)
    if not axes or inside is None:
        return None
    return replay(value, core, f.softmax(inside, axis=axes))


def _share(value: Tensor, total: Tensor, m: Match, depth: int) -> Tensor | None:
    """The same where value has other factors beside the exponential.

    A share too small for the format is lost before a factor a enlarges it: an error of at most
    |a| times the smallest number, beside an average of the order of a.
    """
    found = spelled_softmax(value, total, m.node.ndim, m.facts)
    if found is not None or not depth:
        return found
    if value.op in (e.negative, e.divide):
        inner = _share(value.inputs[0], total, m, depth - 1)
        return None if inner is None else apply(value.op, (inner, *value.inputs[1:]))
    if value.op is e.multiply:
        for first, second in (value.inputs, value.inputs[::-1]):
            inner = _share(second, total, m, depth - 1)
            if inner is not None:
                return apply(e.multiply, (first, inner))
    return None


def _softmax(m: Match) -> Tensor | None:
    """A quotient; the sum may have a factor, too, as a mean has."""
    value, total = m.node.inputs
    if layout(total).source.op is r.sum_:
        return _share(value, total, m, DEPTH)
    if total.op is not e.multiply:
        return None
    for factor, level in (total.inputs, total.inputs[::-1]):
        if layout(level).source.op is r.sum_:
            found = _share(value, level, m, DEPTH)
            if found is not None:
                return f.divide(found, factor)
    return None


def _exp_over_sum(m: Match) -> Tensor | None:
    """exp(u) / sum(exp(v)) is exp(u - logsumexp(v))."""
    known = sum_of_exponentials(m.node.inputs[1], m.facts)
    above = None if known is None else exponent(m.node.inputs[0], m.facts)
    if known is None or above is None:
        return None
    level = reduced_as(m.node.inputs[1], *known)
    return f.exp(f.subtract(above, level))


def _softmax_by_reciprocal(m: Match) -> Tensor | None:
    """exp(u) times one over the sum."""
    for value, inverse in (m.node.inputs, m.node.inputs[::-1]):
        quotient = layout(inverse)
        if quotient.source.op is not e.divide or literal_of(quotient.source.inputs[0]) != 1:
            continue
        total = replay(inverse, quotient.source, quotient.source.inputs[1])
        found = spelled_softmax(value, total, m.node.ndim, m.facts)
        if found is not None:
            return found
    return None


def _softmax_average(m: Match) -> Tensor | None:
    """sum(a exp(u)) / sum(exp(u)) is the sum of a times the softmax of u."""
    axes, total = m.s.attrs["axis"], m.s.inputs[0]
    inside = exponent(total, m.facts)
    if inside is None or m.t.attrs["axis"] != axes:
        return None
    for weight, value in ((m.a, m.x), (m.x, m.a)):
        if value is total and m.t.inputs[0].shape == value.shape:
            return f.sum(f.multiply(weight, f.softmax(inside, axis=axes)), axis=axes)
    return None


# ---- sums by products ----------------------------------------------------------------------------


def _all_ones(x: Tensor) -> bool:
    if x.op is not leaves.constant or x.size == 0:
        return literal_of(x) == 1
    value = x.attrs["value"]
    return bool(value.flat[0] == 1 and (value == 1).all())


def _sum_by_matmul(m: Match) -> Tensor | None:
    """An exponential times a matrix of ones is its sum along rows, or columns; each row alike."""
    for after in (True, False):
        x, ones = m.node.inputs if after else m.node.inputs[::-1]
        if not _all_ones(ones) or exponent(x, m.facts) is None:
            continue
        axis, facing = (x.ndim - 1, ones.ndim - 2) if after else (x.ndim - 2, ones.ndim - 1)
        if x.shape[axis] == ones.shape[facing]:
            return f.sum(x, axis=axis, keepdims=True)
    return None


# ---- log-sum-exp ---------------------------------------------------------------------------------


def _in_place(x: Tensor, axis: tuple[int, ...]) -> tuple[Tensor, tuple[int, ...]]:
    """What a sum of permuted terms adds up, and the axes, where that leaves the others in order."""
    if x.op is not s.permute_dims:
        return x, axis
    axes = x.attrs["axes"]
    kept = [p for k, p in enumerate(axes) if k not in axis]
    return (
        (x.inputs[0], tuple(sorted(axes[k] for k in axis))) if kept == sorted(kept) else (x, axis)
    )


_PER_UNIT = {e.log: 1.0, e.log2: 1 / math.log(2), e.log10: 1 / math.log(10)}


def _logsumexp(m: Match, vanishing: bool = False) -> Tensor | None:
    terms, axis = _in_place(m.s.inputs[0], m.s.attrs["axis"])
    inside = exponent(terms, m.facts, vanishing)
    if inside is None:
        return None
    level, unit = f.logsumexp(inside, axis=axis), _PER_UNIT[m.node.op]
    return level if unit == 1 else f.multiply(number(unit, m.node.dtype), level)


def _logsumexp_among_factors(m: Match) -> Tensor | None:
    """log of a product or a quotient with a sum of exponentials, and nothing negative, in it."""
    inner = m.node.inputs[0]
    levels = [sum_of_exponentials(i, m.facts) for i in inner.inputs]
    if all(known is None for known in levels) or not all(
        m.facts.nonnegative(i) for i in inner.inputs
    ):
        return None
    first, second = [
        f.log(i) if known is None else reduced_as(i, *known)
        for i, known in zip(inner.inputs, levels, strict=True)
    ]
    return apply(e.add if inner.op is e.multiply else e.subtract, (first, second))


# ---- log-softmax ---------------------------------------------------------------------------------


def _log_softmax(m: Match) -> Tensor | None:
    """x minus its own log-sum-exp."""
    return _spelled_log_softmax(m.node.inputs[0], m.node.inputs[1], m.node.ndim)


def _log_softmax_reversed(m: Match) -> Tensor | None:
    """The log-sum-exp of x minus x."""
    found = _spelled_log_softmax(m.node.inputs[1], m.node.inputs[0], m.node.ndim)
    return None if found is None else f.negative(found)


def _spelled_log_softmax(value: Tensor, level: Tensor, rank: int) -> Tensor | None:
    found = layout(level)
    if found.source.op is not r.logsumexp:
        return None
    core = layout(found.source.inputs[0]).source
    for candidate in (found.source.inputs[0], core):
        axes = _beside(value, found, candidate, rank)
        if axes:
            return replay(value, candidate, f.log_softmax(candidate, axis=axes))
    return None


def _normalised_again(m: Match) -> Tensor | None:
    """softmax or log-softmax of a log-softmax along the same axes."""
    axis = m.node.attrs["axis"]
    if m.node.inputs[0].attrs["axis"] != axis:
        return None
    return apply(m.node.op, (m.x,), tuple(m.node.attrs.items()))


LOGARITHMS = frozenset((e.log,))

# fmt: off
SOFTMAX: tuple[Rule, ...] = (
    Rule("softmax_quotient",   P.divide(x, y),                     _softmax, STABILISING),
    Rule("softmax_product",
        P.multiply(P.exp(u), y), _softmax_by_reciprocal, STABILISING),
    Rule("softmax_product_laid_out",
        P.multiply(P.permute_dims(x), y), _softmax_by_reciprocal, STABILISING),
    Rule("softmax_average",
        P.divide(P.sum(P.multiply(a, x)).named("t"), P.sum(y).named("s")), _softmax_average,
        STABILISING),
    Rule("softmax_average_by_reciprocal",
        P.multiply(P.sum(P.multiply(a, x)).named("t"), P.divide(1, P.sum(y).named("s"))),
        _softmax_average, STABILISING),
    Rule("exp_over_sum",       P.divide(x, y),                     _exp_over_sum, STABILISING),
    Rule("sum_of_exp_by_matmul", P.matmul(x, y),                   _sum_by_matmul, STABILISING,
        looks=some_input((leaves.constant, s.broadcast_to))),
    Rule("logsumexp_spelled",  P.log(P.sum(x).named("s")),         _logsumexp, STABILISING),
    # not before differentiating: the derivative by a weight that is zero is no exponential over it
    Rule("logsumexp_weighted", P.log(P.sum(x).named("s")),
        lambda m: _logsumexp(m, vanishing=True), FINITE_ONLY, sound=lambda m: True),
    Rule("logsumexp_base_2",   P.log2(P.sum(x).named("s")),        _logsumexp, STABILISING),
    Rule("logsumexp_base_10",  P.log10(P.sum(x).named("s")),       _logsumexp, STABILISING),
    Rule("logsumexp_among_factors",
        Node(LOGARITHMS, children=frozenset((e.multiply, e.divide))), _logsumexp_among_factors,
        STABILISING),
    Rule("log_softmax_spelled",
        P.subtract(x, P.expand_dims(y)), _log_softmax, STABILISING),
    Rule("log_softmax_vector",
        P.subtract(x, P.logsumexp(y)), _log_softmax, STABILISING),
    Rule("log_softmax_reversed",
        P.subtract(P.expand_dims(y), x), _log_softmax_reversed, STABILISING),
    Rule("log_softmax_reversed_vector",
        P.subtract(P.logsumexp(y), x), _log_softmax_reversed, STABILISING),
    Rule("log_of_softmax",
        P.log(P.softmax(x)), lambda m: f.log_softmax(m.x, axis=m.node.inputs[0].attrs["axis"]),
        STABILISING),
    Rule("softmax_of_log_softmax", P.softmax(P.log_softmax(x)),    _normalised_again, STABILISING),
    Rule("log_softmax_again",  P.log_softmax(P.log_softmax(x)),    _normalised_again, STABILISING),
)
# fmt: on
