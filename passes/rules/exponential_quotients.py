"""Quotients of sums of exponentials: logistic functions and hyperbolic tangents, and inverses."""

from __future__ import annotations

import math

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.ops import elementwise as e
from symgraph.passes.facts import Facts
from symgraph.passes.rules.exponential_sums import (
    SUMS,
    Term,
    gap_of,
    log_of_terms,
    scaled,
    terms_of,
)
from symgraph.passes.rules.pattern import literal_of
from symgraph.passes.rules.rule import Match
from symgraph.tensor import Tensor

__all__ = ["DIVISORS", "exponential_power", "exponential_quotient", "real_quotient"]

#: what may be, or have as a factor, a sum of exponentials
DIVISORS = SUMS | {e.square, e.sqrt}

#: what is below this in float32 too has an inverse that is a normal number
NORMAL = 1e37


def exponential_quotient(m: Match) -> Tensor | None:
    """A quotient whose divisor is, or has as a factor, a sum of exponentials.

    A product takes its place only where it overflows no earlier: 0 / exp(-740) is 0.
    """
    return _quotient(m, careful=True)


def real_quotient(m: Match) -> Tensor | None:
    """The same in real arithmetic, whose products are as large as they have to be."""
    return _quotient(m, careful=False)


def _quotient(m: Match, careful: bool) -> Tensor | None:
    top, bottom = m.node.inputs
    if bottom.op not in DIVISORS:
        return None
    below = terms_of(bottom, m.facts)
    if below is not None:
        above = _over(top, m.facts)
        found = None if above is None else _share(above, below)
        if found is not None:
            return found
    inverse = _inverse(bottom, m.facts, below)
    if inverse is not None:
        if careful and not _rises(top, inverse, m):
            return None
        return inverse if literal_of(top) == 1 else f.multiply(top, inverse)
    if bottom.op is not e.multiply:
        return None
    for part, rest in (bottom.inputs, bottom.inputs[::-1]):
        inverse = _inverse(part, m.facts, terms_of(part, m.facts))
        if inverse is not None and not (careful and m.facts.magnitude(inverse) > 1):
            return f.divide(f.multiply(top, inverse), rest)
    return None


def _rises(top: Tensor, inverse: Tensor, m: Match) -> bool:
    """Whether top * inverse is finite where the quotient is."""
    value = literal_of(top)
    return (value is not None and abs(value) >= 1) or m.facts.magnitude(inverse) <= NORMAL


def _over(top: Tensor, facts: Facts) -> list[Term] | None:
    value = literal_of(top)
    if value is not None:
        return [Term(float(value), None)] if value != 0 and math.isfinite(value) else None
    return terms_of(top, facts)


def _share(above: list[Term], below: list[Term]) -> Tensor | None:
    """A quotient of sums with the same exponentials in them."""
    if len(above) == 1:
        return _share_of_one(above[0], below)
    if len(above) != 2 or len(below) != 2:
        return None
    factors = {t.exponent: t.factor for t in above}
    first, second = [factors.get(t.exponent) for t in below]
    if first is None or second is None:
        return None
    return _ratio(first / below[0].factor, second / below[1].factor, below)


def _share_of_one(t: Term, below: list[Term]) -> Tensor | None:
    own = next((k for k, other in enumerate(below) if other.exponent is t.exponent), None)
    if own is None:
        return _of_other(t, below)
    if len(below) == 2:
        return _part(t.factor / below[own].factor, below[own], below[1 - own])
    if t.exponent is None or not _all_positive(below):
        return None
    level = log_of_terms(below)
    return None if level is None else scaled(t.factor, f.exp(f.subtract(t.exponent, level)))


def _of_other(t: Term, below: list[Term]) -> Tensor | None:
    """A term over a sum of others: the exponential of a difference."""
    if t.exponent is None:
        return None
    if len(below) == 1 and below[0].exponent is not None:
        gap = f.subtract(t.exponent, below[0].exponent)
        return scaled(t.factor / below[0].factor, f.exp(gap))
    level = log_of_terms(below) if _all_positive(below) else None
    return None if level is None else scaled(t.factor, f.exp(f.subtract(t.exponent, level)))


def _part(factor: float, one: Term, other: Term) -> Tensor | None:
    """factor * one / (one + other)."""
    if one.factor > 0 and other.factor > 0:
        return scaled(factor, f.sigmoid(gap_of(one, other)))
    if one.factor * other.factor < 0 and one.exponent is not None:
        gap = gap_of(Term(-other.factor, other.exponent), one)
        return f.divide(number(-factor, gap.dtype), f.expm1(gap))
    return None


def _ratio(first: float, second: float, below: list[Term]) -> Tensor | None:
    """(first * p + second * q) / (p + q) where first is -second: a hyperbolic tangent."""
    if first != -second:
        return None
    one, other = below
    if one.exponent is None:
        one, other, first = other, one, second
    if one.factor > 0 and other.factor > 0:
        return scaled(first, f.tanh(scaled(0.5, gap_of(one, other))))
    if one.factor * other.factor < 0:
        gap = gap_of(one, Term(-other.factor, other.exponent))
        return f.divide(number(first, gap.dtype), f.tanh(scaled(0.5, gap)))
    return None


def _all_positive(terms: list[Term]) -> bool:
    return len(terms) > 1 and all(t.factor > 0 for t in terms)


def _inverse(x: Tensor, facts: Facts, terms: list[Term] | None) -> Tensor | None:
    """1 / x for a sum of exponentials, its square, root or power, without overflow."""
    if terms is not None:
        return _inverse_of_sum(terms)
    if x.op is e.square or x.op is e.sqrt:
        inner = _inverse(x.inputs[0], facts, terms_of(x.inputs[0], facts))
        return None if inner is None else (f.square if x.op is e.square else f.sqrt)(inner)
    if x.op is e.power and literal_of(x.inputs[1]) is not None:
        inner = _inverse(x.inputs[0], facts, terms_of(x.inputs[0], facts))
        return None if inner is None else f.pow(inner, x.inputs[1])
    return None


def _inverse_of_sum(terms: list[Term]) -> Tensor | None:
    if len(terms) == 1:
        (t,) = terms
        assert t.exponent is not None
        return scaled(1 / t.factor, f.exp(f.negative(t.exponent)))
    if not _all_positive(terms):
        return None
    constant = [t for t in terms if t.exponent is None]
    if len(terms) == 2 and constant:
        (other,) = [t for t in terms if t.exponent is not None]
        return scaled(1 / constant[0].factor, f.sigmoid(gap_of(constant[0], other)))
    level = log_of_terms(terms)
    return None if level is None else f.exp(f.negative(level))


def exponential_power(m: Match) -> Tensor | None:
    """A sum of exponentials to a negative power."""
    value = literal_of(m.c)
    if value is None or not -math.inf < value < 0:
        return None
    inverse = _inverse(m.x, m.facts, terms_of(m.x, m.facts))
    return None if inverse is None else f.pow(inverse, number(-value, m.node.dtype))
