"""Differences that cancel: roots less what is under them, cosh less one, logarithms of neighbours.

Where the difference does not cancel it stays, in a form that these rules do not match again. The
branch of a ``where`` that is not taken has no part in derivatives, so only values must be safe.
"""

from __future__ import annotations

import numpy as np

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.passes.rules.pattern import Const, P, Var, literal_of
from symgraph.passes.rules.rule import STABILISING, Build, Match, Rule, floating
from symgraph.tensor import Tensor

__all__ = ["ROOTS"]

x, y = Var("x"), Var("y")
c = Const("c")


def _lost(x: Tensor) -> float:
    """A number beside which one is lost."""
    return 2.0 ** (np.finfo(x.dtype).nmant + 2)


def _moderate(value: float, x: Tensor) -> bool:
    """Whether a number and its square are far from the ends of x's dtype."""
    limits = np.finfo(x.dtype)
    return bool(float(limits.tiny) ** 0.25 < abs(value) < float(limits.max) ** 0.25)


def _negated(build: Build) -> Build:
    def negative(m: Match) -> Tensor | None:
        found = build(m)
        return None if found is None else f.negative(found)

    return negative


# ---- hypotenuses ---------------------------------------------------------------------------------


def _hypot_less_leg(m: Match) -> Tensor | None:
    """hypot(x, y) - x."""
    leg, other = literal_of(m.x), literal_of(m.y)
    if leg is not None:
        return _hypot_less_literal(m, float(leg))
    if other is not None and _moderate(float(other), m.node):
        square = number(float(other) ** 2, m.node.dtype)
        near = f.divide(square, f.add(m.a, m.x))
        return f.where(f.greater_equal(m.x, 0), near, f.add(m.a, f.abs(m.x)))
    return _hypot_less_any_leg(m)


def _hypot_less_any_leg(m: Match) -> Tensor:
    """y^2 / (h + x) where x is the longer leg, by y / x, because h may overflow where this does
    not.
    """
    other, slope = f.abs(m.y), f.divide(m.y, m.x)
    share = f.divide(slope, f.add(1, f.hypot(number(1, m.node.dtype), slope)))
    plain = f.subtract(m.a, f.minimum(m.x, 1 + 2 * other))
    return f.where(f.greater(m.x, other), f.multiply(m.y, share), plain)


def _hypot_less_literal(m: Match, leg: float) -> Tensor | None:
    """hypot(c, y) - c is y^2 / (hypot(c, y) + c); far away c is lost beside it."""
    if leg <= 0 or not _moderate(leg, m.node):
        return None
    far = f.greater(f.abs(m.y), number(leg * _lost(m.node), m.node.dtype))
    share = f.divide(m.y, f.add(m.a, number(leg, m.node.dtype)))
    return f.where(far, m.a, f.multiply(m.y, share))


def _hypot_plus_literal(m: Match) -> Tensor | None:
    leg, shift = literal_of(m.x), literal_of(m.c)
    if leg is None or shift is None or shift != -leg:
        return None
    return _hypot_less_literal(m, float(leg))


# ---- roots of quadratics -------------------------------------------------------------------------


def _root_less(root: Tensor, c: Tensor, x: Tensor) -> Tensor:
    """sqrt(x^2 + c) - x, whose root is given: c / (root + x) where x^2 is the larger part.

    Where x^2 overflows the root is |x| sqrt(1 + c / x^2).
    """
    share, length = f.divide(c, x), f.abs(x)
    scaled = f.multiply(length, f.sqrt(f.add(1, f.divide(share, x))))
    overflows = f.logical_and(f.isinf(root), f.less(f.abs(share), length))
    safe = f.where(overflows, scaled, root)
    near = f.divide(share, f.add(1, f.divide(safe, x)))
    return f.where(f.less(f.abs(share), x), near, f.subtract(safe, x))


def _may_be_positive(m: Match) -> bool:
    return floating(m) and m.facts.interval(m.x)[1] > 0


def _may_be_negative(m: Match) -> bool:
    """Arguments of inverse hyperbolic functions, with a literal under the root, are left alone."""
    return floating(m) and m.facts.interval(m.x)[0] < 0 and literal_of(m.y) is None


def _less_x(m: Match) -> Tensor:
    return _root_less(m.a, m.y, m.x)


def _less_x_below(m: Match) -> Tensor:
    return _root_less(m.a, f.negative(m.y), m.x)


def _plus_x(m: Match) -> Tensor:
    return _root_less(m.a, m.y, f.negative(m.x))


def _plus_x_below(m: Match) -> Tensor:
    return _root_less(m.a, f.negative(m.y), f.negative(m.x))


def _less_x_one(m: Match) -> Tensor:
    """The root of (x - 1) (1 + x), which is x^2 - 1."""
    return _root_less(m.a, number(-1, m.node.dtype), m.x)


# ---- exponentials, logarithms, reciprocals -------------------------------------------------------


def _four_squares(factor: float) -> Build:
    """``factor`` sinh(x / 2)^2."""
    return lambda m: factor * f.square(f.sinh(0.5 * m.x))


def _log_ratio_of_neighbours(m: Match) -> Tensor:
    """log1p(x) - log(x) is log1p(1 / x), which is of use above 1 and may overflow below."""
    above = f.log1p(f.divide(number(1, m.node.dtype), m.x))
    if m.facts.interval(m.x)[0] >= 1:
        return above
    plain = f.subtract(f.log1p(m.x), f.log(f.minimum(m.x, 2)))
    return f.where(f.greater(m.x, 1), above, plain)


def _one_less_reciprocal(m: Match) -> Tensor | None:
    """1 - 1 / (1 + x) is x / (1 + x), and 1 / (1 + 1 / x) where x is larger than 1."""
    one = number(1, m.node.dtype)
    low, high = m.facts.interval(m.x)
    if low >= 1:
        return None
    near = f.divide(m.x, m.a)
    if low >= -1 and high <= 1:
        return near
    far = f.divide(one, f.add(one, f.divide(one, m.x)))
    return f.where(f.greater(f.abs(m.x), one), far, near)


HYPOT = P.hypot(x, y).named("a")
SUM_ROOT = P.sqrt(P.add(P.square(x), y)).named("a")
DIFFERENCE_ROOT = P.sqrt(P.subtract(P.square(x), y)).named("a")
FACTORED_ROOT = P.sqrt(P.multiply(P.subtract(x, 1.0), P.add(1.0, x))).named("a")
GROWTH, DECAY = P.exp(x), P.exp(P.negative(x))
AFTER_ONE = P.divide(1.0, P.add(1.0, x).named("a"))

# fmt: off
ROOTS: tuple[Rule, ...] = (
    # ---- hypotenuses -----------------------------------------------------------------------------
    Rule("hypot_less_leg", P.subtract(HYPOT, x), _hypot_less_leg, STABILISING, _may_be_positive),
    Rule("leg_less_hypot",
        P.subtract(x, HYPOT), _negated(_hypot_less_leg), STABILISING, _may_be_positive),
    Rule("hypot_plus_literal", P.add(HYPOT, c), _hypot_plus_literal, STABILISING, floating),
    # ---- roots of quadratics ---------------------------------------------------------------------
    Rule("root_less_x",       P.subtract(SUM_ROOT, x), _less_x, STABILISING, _may_be_positive),
    Rule("x_less_root",
        P.subtract(x, SUM_ROOT), _negated(_less_x), STABILISING, _may_be_positive),
    Rule("root_less_x_below",
        P.subtract(DIFFERENCE_ROOT, x), _less_x_below, STABILISING, _may_be_positive),
    Rule("x_less_root_below",
        P.subtract(x, DIFFERENCE_ROOT), _negated(_less_x_below), STABILISING, _may_be_positive),
    Rule("root_plus_x",       P.add(SUM_ROOT, x), _plus_x, STABILISING, _may_be_negative),
    Rule("root_plus_x_below",
        P.add(DIFFERENCE_ROOT, x), _plus_x_below, STABILISING, _may_be_negative),
    Rule("minus_x_less_root",
        P.subtract(P.negative(x), SUM_ROOT), _negated(_plus_x), STABILISING, _may_be_negative),
    Rule("minus_x_less_root_below",
        P.subtract(P.negative(x), DIFFERENCE_ROOT), _negated(_plus_x_below), STABILISING,
        _may_be_negative),
    Rule("factored_root_less_x",
        P.subtract(FACTORED_ROOT, x), _less_x_one, STABILISING, _may_be_positive),
    Rule("x_less_factored_root",
        P.subtract(x, FACTORED_ROOT), _negated(_less_x_one), STABILISING, _may_be_positive),
    # ---- exponentials ----------------------------------------------------------------------------
    Rule("cosh_less_one",     P.subtract(P.cosh(x), 1.0), _four_squares(2), STABILISING),
    Rule("one_less_cosh",     P.subtract(1.0, P.cosh(x)), _four_squares(-2), STABILISING),
    Rule("exponentials_less_two",
        P.subtract(P.add(GROWTH, DECAY), 2.0), _four_squares(4), STABILISING),
    Rule("growth_less_two_and_decay",
        P.add(P.subtract(GROWTH, 2.0), DECAY), _four_squares(4), STABILISING),
    Rule("decay_less_two_and_growth",
        P.add(P.subtract(DECAY, 2.0), GROWTH), _four_squares(4), STABILISING),
    Rule("mean_exponentials_less_one",
        P.subtract(P.multiply(0.5, P.add(GROWTH, DECAY)), 1.0), _four_squares(2), STABILISING),
    # ---- logarithms and reciprocals --------------------------------------------------------------
    Rule("log_ratio_of_neighbours",
        P.subtract(P.log1p(x), P.log(x)), _log_ratio_of_neighbours, STABILISING),
    Rule("log_ratio_of_neighbours_below",
        P.subtract(P.log(x), P.log1p(x)), _negated(_log_ratio_of_neighbours), STABILISING),
    Rule("one_less_reciprocal",
        P.subtract(1.0, AFTER_ONE), _one_less_reciprocal, STABILISING, floating),
    Rule("reciprocal_less_one",
        P.subtract(AFTER_ONE, 1.0), _negated(_one_less_reciprocal), STABILISING, floating),
)
# fmt: on
