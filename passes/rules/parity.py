"""Odd and even functions: signs leave their operands; and log(cosh(u)), even and tiny at 0."""

from __future__ import annotations

import math

import numpy as np

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.ops import elementwise as e
from symgraph.passes.rules.exponential_sums import opposite, scale_of, scaled
from symgraph.passes.rules.pattern import Const, Node, P, Var, literal_of
from symgraph.passes.rules.rule import EXACT, FINITE_ONLY, Match, Rule
from symgraph.tensor import Tensor, apply

__all__ = ["PARITY"]

c, u, v, x = Const("c"), Var("u"), Var("v"), Var("x")

ODD = frozenset(
    (e.tanh, e.sin, e.tan, e.sinh, e.asin, e.asinh, e.atan, e.atanh, e.erf, e.cbrt)
)  # fmt: skip


def _of_negative(m: Match) -> Tensor:
    """g(-x) is -g(x)."""
    return f.negative(apply(m.node.op, m.node.inputs[0].inputs))


def _negative_of(m: Match) -> Tensor | None:
    """-g(c x), for a negative literal c, is g(-c x)."""
    (odd,) = m.node.inputs
    (inner,) = odd.inputs
    if inner.op not in (e.multiply, e.divide) or scale_of(inner)[0] > 0 or not m.alone(odd):
        return None
    return apply(odd.op, (scaled(-1, inner),))


# ---- log(cosh(u)) --------------------------------------------------------------------------------


def _is_log_cosh(m: Match) -> bool:
    """Whether the literal is -log(2) to within its last place, and the exponents are u and -u."""
    value, dtype = literal_of(m.c), m.node.dtype
    if value is None or m.u.shape != m.node.shape or not opposite(m.u, m.v):
        return False
    return bool(abs(float(value) + math.log(2)) <= np.spacing(dtype.type(math.log(2))))


def _log_cosh(m: Match) -> Tensor:
    """log(1 + 2 sinh(u/2)**2) near 0, where logaddexp(u, -u) - log(2) cancels."""
    level = m.v if scale_of(m.u)[0] < 0 else m.u
    size = f.abs(level)
    near = f.less(size, number(1, size.dtype))
    half = f.multiply(number(0.5, size.dtype), f.where(near, level, number(0, size.dtype)))
    small = f.log1p(f.multiply(number(2, size.dtype), f.square(f.sinh(half))))
    large = f.add(m.c, f.add(size, f.softplus(scaled(-2, size))))
    return f.where(near, small, large)


# fmt: off
PARITY: tuple[Rule, ...] = (
    Rule("odd_of_negative", Node(ODD, children=frozenset((e.negative,))), _of_negative, EXACT),
    Rule("negative_of_odd", Node(frozenset((e.negative,)), children=ODD), _negative_of, EXACT),
    Rule("cosh_negative",   P.cosh(P.negative(x)),                 P.cosh(x), EXACT),
    # not before differentiating: the derivative of the sum of exponentials is tanh as it stands
    Rule("log_cosh",        P.add(c, P.logaddexp(u, v)),           _log_cosh, FINITE_ONLY,
        _is_log_cosh, sound=lambda m: True),
)
# fmt: on
