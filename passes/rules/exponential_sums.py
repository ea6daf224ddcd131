"""Sums of exponentials with literal or positive weights: their terms, their logarithm, quotients.

``1 + exp(u)``, ``exp(u) - exp(v)``, ``2 * cosh(u)``, ``expm1(u)`` and ``3 + 2**u`` all are such
sums. Seen term by term they need one rule, not one a spelling.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.ops import elementwise as e
from symgraph.ops import reduction as r
from symgraph.passes.facts import Facts
from symgraph.passes.rules.exponents import reduced_as, sum_of_exponentials
from symgraph.passes.rules.layout import layout
from symgraph.passes.rules.pattern import literal_of
from symgraph.passes.rules.rule import Match
from symgraph.tensor import Tensor

__all__ = [
    "EXPONENTIALS", "SUMS", "Term", "gap_of", "guarded_gap", "log_of_terms", "opposite",
    "scale_of", "scaled", "shifted", "terms_of",
    "without_shift",
]  # fmt: skip

DEPTH, LIMIT = 8, 16


@dataclass(frozen=True, slots=True)
class Term:
    """``factor * exp(exponent)``; a plain number where there is no exponent."""

    factor: float
    exponent: Tensor | None


#: operations whose results may be sums of exponentials
SUMS = frozenset(
    (
        e.add,
        e.subtract,
        e.multiply,
        e.divide,
        e.negative,
        e.exp,
        e.exp2,
        e.expm1,
        e.cosh,
        e.sinh,
        e.power,
    )
)


#: those that are exponentials by name
EXPONENTIALS = SUMS - {e.add, e.subtract, e.multiply, e.divide, e.negative}


def terms_of(x: Tensor, facts: Facts, plus: float = 0) -> list[Term] | None:
    """x + plus as a sum of exponentials, at least one with an exponent; None for anything else."""
    found = _terms(x, facts, DEPTH)
    if found is None or len(found) > LIMIT:
        return None
    merged = _merged([*found, Term(plus, None)])
    if len(merged) == 1 and _is_total(x):
        return None  # softmax and log-sum-exp have rules of their own
    return merged if any(t.exponent is not None for t in merged) else None


def _merged(terms: list[Term]) -> list[Term]:
    """One term for each exponent; those that cancel are gone."""
    totals: dict[Tensor | None, float] = {}
    for t in terms:
        totals[t.exponent] = totals.get(t.exponent, 0.0) + t.factor
    return [Term(c, u) for u, c in totals.items() if c != 0]


def _terms(x: Tensor, facts: Facts, depth: int) -> list[Term] | None:
    value = literal_of(x)
    if value is not None:
        return [Term(float(value), None)] if math.isfinite(value) else None
    known = _exponential(x)
    if known is not None or depth == 0:
        return known
    if x.op is e.negative:
        return _times(-1, _terms(x.inputs[0], facts, depth - 1))
    if x.op in (e.add, e.subtract):
        first, second = [_terms(i, facts, depth - 1) for i in x.inputs]
        if first is None or second is None or len(first) + len(second) > LIMIT:
            return None
        return (
            first + [replace(t, factor=-t.factor) for t in second]
            if x.op is e.subtract
            else (first + second)
        )
    if x.op in (e.multiply, e.divide):
        return _weighted(x, facts, depth - 1)
    known_sum = sum_of_exponentials(x, facts)
    return None if known_sum is None else [Term(1, reduced_as(x, *known_sum))]


def _is_total(x: Tensor) -> bool:
    """Whether x is a literal times a sum along axes, laid out somehow."""
    return layout(scale_of(x)[1]).source.op is r.sum_


def _exponential(x: Tensor) -> list[Term] | None:
    """The terms of an operation that is an exponential by name."""
    u = x.inputs[-1] if x.inputs else x
    if x.op is e.exp:
        return [Term(1, u)]
    if x.op is e.exp2:
        return [Term(1, scaled(math.log(2), u))]
    if x.op is e.expm1:
        return [Term(1, u), Term(-1, None)]
    if x.op in (e.cosh, e.sinh):
        return [Term(0.5, u), Term(0.5 if x.op is e.cosh else -0.5, f.negative(u))]
    if x.op is e.power and x.dtype.kind == "f":
        base = literal_of(x.inputs[0])
        if base is not None and 0 < base < math.inf and base != 1:
            return [Term(1, scaled(math.log(base), u))]
    return None


def _times(factor: float, terms: list[Term] | None) -> list[Term] | None:
    return None if terms is None else [replace(t, factor=factor * t.factor) for t in terms]


def _weighted(x: Tensor, facts: Facts, depth: int) -> list[Term] | None:
    """A sum of exponentials times, or over, a literal or a value never zero nor negative."""
    pairs = [x.inputs] if x.op is e.divide else [x.inputs, x.inputs[::-1]]
    for inner, weight in pairs:
        value = literal_of(weight)
        if value is not None and math.isfinite(value) and value != 0:
            return _times(1 / value if x.op is e.divide else value, _terms(inner, facts, depth))
        if value is None and inner.op in EXPONENTIALS and _firm(weight, facts):
            log = f.log(weight)
            level = f.negative(log) if x.op is e.divide else log
            return [_raised(t, level) for t in _exponential(inner) or ()]
    return None


def _raised(t: Term, level: Tensor) -> Term:
    return Term(t.factor, level if t.exponent is None else f.add(t.exponent, level))


def _firm(weight: Tensor, facts: Facts) -> bool:
    """Whether a weight is positive, also as computed; an exponential would rather be a term."""
    return weight.op not in EXPONENTIALS and facts.positive(weight) and facts.nonzero(weight)


# ---- exponents -----------------------------------------------------------------------------------


def scaled(factor: float, u: Tensor) -> Tensor:
    """factor * u, left alone where the factor is 1; literals join where they stay moderate."""
    c, core = scale_of(u)
    if 1e-30 < abs(c * factor) < 1e30:
        factor, u = c * factor, core
    if factor == 1:
        return u
    return f.negative(u) if factor == -1 else f.multiply(number(factor, u.dtype), u)


def shifted(u: Tensor, by: float) -> Tensor:
    """u + by, left alone where that is nothing."""
    return u if by == 0 else f.add(u, number(by, u.dtype))


def opposite(u: Tensor, v: Tensor) -> bool:
    """Whether v is written as -u: by a sign, by a literal factor, or as the difference reversed."""
    if u.op is e.subtract and v.op is e.subtract:
        return u.inputs[0] is v.inputs[1] and u.inputs[1] is v.inputs[0]
    for one, other in ((u, v), (v, u)):
        if one.op is e.add and other.op is e.subtract and _moved(one, other):
            return True
    (c, x), (d, y) = scale_of(u), scale_of(v)
    return c == -d and x is y


def _moved(total: Tensor, difference: Tensor) -> bool:
    """Whether the one is c + x and the other -c - x, for a literal c."""
    value = literal_of(difference.inputs[0])
    if value is None:
        return False
    return any(
        rest is difference.inputs[1] and literal_of(c) == -value
        for c, rest in (total.inputs, total.inputs[::-1])
    )


def scale_of(u: Tensor) -> tuple[float, Tensor]:
    """u as a literal times something."""
    sign = 1.0
    if u.op is e.negative:
        sign, u = -1.0, u.inputs[0]
    if u.op in (e.multiply, e.divide):
        for factor, rest in (u.inputs, u.inputs[::-1]) if u.op is e.multiply else [u.inputs[::-1]]:
            value = literal_of(factor)
            if value is not None and value != 0 and math.isfinite(value):
                return sign * (value if u.op is e.multiply else 1 / value), rest
    return sign, u


# ---- the logarithm of a sum ----------------------------------------------------------------------


def log_of_terms(terms: Sequence[Term]) -> Tensor | None:
    """The logarithm of a sum of exponentials without overflow or underflow on the way.

    None where the sum is never positive.
    """
    more = [t for t in terms if t.factor > 0]
    less = [replace(t, factor=-t.factor) for t in terms if t.factor < 0]
    if not more:
        return None
    if not less:
        return _log_of_sum(more)
    if len(more) == 1 and more[0].exponent is None:
        return _log_of_complement(more[0].factor, less)
    if len(more) == len(less) == 1:
        log = math.log(more[0].factor)
        level = _exponent(more[0])
        return shifted(f.add(level, f.log1mexp(gap_of(less[0], more[0], True))), log)
    level = _log_of_sum(more)
    if len(less) == 1 and less[0].exponent is None:
        return f.add(level, f.log1mexp(shifted(f.negative(level), math.log(less[0].factor))))
    return f.add(level, f.log1mexp(guarded_gap(_log_of_sum(less), level)))


def gap_of(one: Term, other: Term, guarded: bool = False) -> Tensor:
    """The logarithm of the quotient of two terms; ``guarded``: 0 for two equal infinities."""
    log = math.log(one.factor / other.factor)
    u, v = one.exponent, other.exponent
    if v is None:
        return shifted(_exponent(one), log)
    if u is None:
        return shifted(f.negative(v), log)
    if opposite(u, v):
        return shifted(scaled(2, u), log)
    return shifted(guarded_gap(u, v) if guarded else f.subtract(u, v), log)


def guarded_gap(u: Tensor, v: Tensor) -> Tensor:
    """u - v; 0 for two equal infinities."""
    both = f.logical_and(f.equal(u, v), f.isinf(u))
    return f.where(both, number(0, u.dtype), f.subtract(u, v))


def _exponent(t: Term) -> Tensor:
    assert t.exponent is not None
    return t.exponent


def _log_of_complement(whole: float, less: list[Term]) -> Tensor:
    """log(whole - sum)."""
    log = math.log(whole)
    return shifted(f.log1mexp(shifted(_log_of_sum(less), -log)), log)


def _log_of_sum(terms: list[Term]) -> Tensor:
    """The logarithm where every factor is positive; one that all share is taken out."""
    common = terms[0].factor if len({t.factor for t in terms}) == 1 else 1.0
    logs = [math.log(t.factor / common) for t in terms]
    dtype = next(t.exponent.dtype for t in terms if t.exponent is not None)
    levels = [
        number(log, dtype) if t.exponent is None else shifted(t.exponent, log)
        for t, log in zip(terms, logs, strict=True)
    ]
    levels.sort(key=lambda u: literal_of(u) is not None)
    if len(levels) == 2 and literal_of(levels[1]) == 0:
        return shifted(f.softplus(levels[0]), math.log(common))
    return shifted(reduce(f.logaddexp, levels), math.log(common))


# ---- logarithms that were shifted by hand --------------------------------------------------------


def without_shift(m: Match) -> Tensor | None:
    """m + logaddexp(x - m, y - m), where m is the larger or the smaller one of them."""
    for shift, sum_ in (m.node.inputs, m.node.inputs[::-1]):
        if sum_.op is not e.logaddexp and sum_.op is not e.softplus:
            continue
        level = shift.inputs[0] if shift.op is e.stop_gradient else shift
        if level.op not in (e.maximum, e.minimum):
            continue
        parts = [_unshifted(i, shift) for i in _leaves(sum_)]
        known = [p for p in parts if p is not None]
        if len(known) == len(parts):
            total = known[0]
            for p in known[1:]:
                total = f.logaddexp(total, p)
            return total
    return None


def _leaves(x: Tensor) -> list[Tensor]:
    """The operands of nested logaddexp."""
    found: list[Tensor] = []
    stack = [x]
    while stack and len(found) < 2 * DEPTH:
        node = stack.pop()
        if node.op is e.logaddexp:
            stack.extend(reversed(node.inputs))
        else:
            found.append(node)
    return [*found, *stack]


def _unshifted(x: Tensor, shift: Tensor) -> Tensor | None:
    if x.op is e.subtract and x.inputs[1] is shift:
        return x.inputs[0]
    if x.op is e.negative and x.inputs[0] is shift:
        return number(0, x.dtype)
    return None
