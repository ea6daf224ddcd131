"""Tails of distributions: error functions without cancellation, underflow or overflow."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.op import Op
from symgraph.ops import elementwise as e
from symgraph.passes.rules.exponential_sums import guarded_gap, scale_of
from symgraph.passes.rules.pattern import P, Var
from symgraph.passes.rules.product_trees import Factor
from symgraph.passes.rules.rule import FINITE_ONLY, STABILISING, Match, Rule
from symgraph.tensor import Tensor

__all__ = ["TAILS", "TAIL_FACTORS", "TAIL_FORMS", "join_tails"]

u, v, x = Var("u"), Var("v"), Var("x")

#: for 1 + r g the operation g, the number r, and what it is of g's operand
TAIL_FORMS: dict[Op, dict[float, Callable[[Tensor], Tensor]]] = {
    e.erf: {-1: f.erfc, 1: lambda x: f.erfc(f.negative(x))},
    e.erfc: {-1: f.erf, -0.5: lambda x: 0.5 * f.erfc(f.negative(x))},
}
TAIL_FACTORS = frozenset((e.exp, e.erfc, e.erfcx))


def _squares(u: Tensor, x: Tensor) -> int:
    """1 where u is x**2, -1 where it is -(x**2), 0 otherwise; to within rounding of literals."""
    (factor, square), (c, core) = scale_of(u), scale_of(x)
    if square.op is not e.square:
        return 0
    d, base = scale_of(square.inputs[0])
    near = 4 * float(np.finfo(x.dtype).eps) * c * c
    if base is not core or abs(abs(factor) * d * d - c * c) > near:
        return 0
    return 1 if factor > 0 else -1


def join_tails(one: Factor, other: Factor) -> Tensor | None:
    """exp(x**2) with erfc(x), and exp(-x**2) with erfcx(x), above or below the fraction bar."""
    p, q = one.node, other.node
    if q.op is e.exp and other.power < 0 < one.power and p.op in (e.erfc, e.erfcx):
        wanted = -1 if p.op is e.erfc else 1
        matches = _squares(q.inputs[0], p.inputs[0]) == wanted
        return (f.erfcx if p.op is e.erfc else f.erfc)(p.inputs[0]) if matches else None
    if p.op is not e.exp or one.power < 0 or q.op not in (e.erfc, e.erfcx):
        return None
    wanted = other.power if q.op is e.erfc else -other.power
    if _squares(p.inputs[0], q.inputs[0]) != wanted:
        return None
    new = (f.erfcx if q.op is e.erfc else f.erfc)(q.inputs[0])
    return new if other.power > 0 else f.divide(number(1, p.dtype), new)


def _log_of_half(m: Match) -> Tensor:
    """log(erfc(x) / 2), a normal distribution function: near 1 by the other tail."""
    small = f.log1p(-0.5 * f.erfc(f.negative(m.x)))
    return f.where(m.x < 0, small, f.log_erfc(m.x) - math.log(2))


# ---- logarithms of probabilities of intervals ----------------------------------------------------


def _log_sigmoid_difference(m: Match) -> Tensor:
    """s(u) - s(v) is s(u) s(-v) (1 - exp(v - u))."""
    levels = f.negative(f.add(f.softplus(f.negative(m.u)), f.softplus(m.v)))
    return f.add(levels, f.log1mexp(guarded_gap(m.v, m.u)))


# fmt: off
TAILS: tuple[Rule, ...] = (
    Rule("log_erfc",        P.log(P.erfc(x)),                      P.log_erfc(x), STABILISING),
    Rule("log1p_erf",       P.log1p(P.erf(x)),                     P.log_erfc(P.negative(x)),
        STABILISING),
    Rule("log1p_minus_erf", P.log1p(P.negative(P.erf(x))),         P.log_erfc(x), STABILISING),
    Rule("log_half_erfc",   P.log(P.multiply(0.5, P.erfc(x))),     _log_of_half, STABILISING),
    Rule("log_sigmoid_difference",
        P.log(P.subtract(P.sigmoid(u), P.sigmoid(v))), _log_sigmoid_difference, STABILISING),
    Rule("erf_plus_erfc",   P.add(P.erf(x), P.erfc(x)),
        lambda m: number(1, m.node.dtype), FINITE_ONLY, sound=lambda m: m.facts.nan_free(m.x)),
)
# fmt: on
