"""Exponentials and logarithms as mathematics means them: overflow and cancellation on the way
removed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce

import numpy as np

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.op import Op
from symgraph.ops import elementwise as e
from symgraph.ops import index
from symgraph.ops import reduction as r
from symgraph.ops import shape as s
from symgraph.passes.rules.layout import replay
from symgraph.passes.rules.moving import MOVES
from symgraph.passes.rules.pattern import Const, Node, P, Var, literal_of
from symgraph.passes.rules.rule import FINITE_ONLY, STABILISING, Match, Rule
from symgraph.tensor import Tensor, apply

__all__ = ["EXPLOG", "stable_log"]

u, v, x, y = Var("u"), Var("v"), Var("x"), Var("y")
c = Const("c")


def _nonnegative(m: Match) -> bool:
    return m.facts.nonnegative(m.y)


def _unit(m: Match) -> bool:
    return m.x.op in (e.sigmoid, r.softmax)


# ---- logarithms reach through moves
# ----------------------------------------------------------------

_INDEXED = frozenset((s.slice_, index.gather))
_LAID_OUT = _INDEXED | MOVES | {s.broadcast_to}
_DEPTH = 8
_LOGARITHMS: dict[Op, Callable[[Tensor], Tensor]] = {
    r.softmax: lambda q: f.log_softmax(q.inputs[0], axis=q.attrs["axis"]),
    e.sigmoid: lambda q: f.negative(f.softplus(f.negative(q.inputs[0]))),
    e.exp: lambda q: q.inputs[0],
}


def stable_log(x: Tensor) -> Tensor | None:
    """log of an exponential, softmax or sigmoid, laid out or indexed somehow; None for others."""
    source = x
    for _ in range(_DEPTH):
        if source.op not in _LAID_OUT:
            break
        source = source.inputs[0]
    log = _LOGARITHMS.get(source.op)
    return None if log is None else replay(x, source, log(source))


def _log_of_indexed(m: Match) -> Tensor | None:
    """log of an indexed softmax is the indexed log-softmax."""
    return stable_log(m.node.inputs[0])


def _log_of_either(m: Match) -> Tensor | None:
    """log of a product or quotient with a softmax or a sigmoid, and nothing negative, in it."""
    inner = m.node.inputs[0]
    logs = [stable_log(i) for i in inner.inputs]
    if logs[0] is None and logs[1] is None:
        return None
    if not all(m.facts.nonnegative(i) for i in inner.inputs):
        return None
    first, second = [
        f.log(i) if known is None else known for i, known in zip(inner.inputs, logs, strict=True)
    ]
    return apply(e.add if inner.op is e.multiply else e.subtract, (first, second))


def _log_of_where(m: Match) -> Tensor | None:
    """log on the branches. The other branch is 1 where not chosen: the derivative there is 0."""
    chosen, first, second = m.node.inputs[0].inputs
    logs = stable_log(first), stable_log(second)
    if logs[0] is None and logs[1] is None:
        return None
    one = number(1, m.node.dtype)
    yes = f.log(f.where(chosen, first, one)) if logs[0] is None else logs[0]
    no = f.log(f.where(chosen, one, second)) if logs[1] is None else logs[1]
    return f.where(chosen, yes, no)


# ---- sums of exponentials, term by term ----------------------------------------------------------


def _exponents(x: Tensor, depth: int) -> list[Tensor] | None:
    """The logarithms of the terms of a sum of exponentials and positive literals."""
    if x.op is e.exp:
        return [x.inputs[0]]
    value = literal_of(x)
    if value is not None:
        return [number(math.log(value), x.dtype)] if 0 < value < math.inf else None
    if x.op is not e.add or depth == 0:
        return None
    terms = [_exponents(i, depth - 1) for i in x.inputs]
    return None if terms[0] is None or terms[1] is None else terms[0] + terms[1]


def _logsumexp_terms(m: Match) -> Tensor | None:
    terms = _exponents(m.node.inputs[0], _DEPTH)
    return None if terms is None else reduce(f.logaddexp, terms)


def _is_e(m: Match) -> bool:
    """Whether the literal base is Euler's number to within its last place."""
    value, dtype = literal_of(m.c), m.node.dtype
    if value is None or dtype.kind != "f":
        return False
    return bool(abs(float(value) - math.e) <= np.spacing(dtype.type(math.e)))


def _log_prod(m: Match) -> Tensor:
    """The sum of logarithms; NaN where the product is negative."""
    axis = m.node.inputs[0].attrs["axis"]
    if m.facts.nonnegative(m.x):
        return f.sum(f.log(m.x), axis=axis)
    total = f.sum(f.log(f.abs(m.x)), axis=axis)
    negative = f.less(f.prod(f.sign(m.x), axis=axis), 0)
    return f.where(negative, number(float("nan"), m.node.dtype), total)


SLOPE = P.multiply(P.sigmoid(u), P.sigmoid(P.negative(u)))

# fmt: off
EXPLOG: tuple[Rule, ...] = (
    # ---- inverses --------------------------------------------------------------------------------
    Rule("log_exp",        P.log(P.exp(x)),                        x, STABILISING),
    Rule("exp_log",
        P.exp(P.log(x)), x, FINITE_ONLY, sound=lambda m: m.facts.nonnegative(m.x)),
    Rule("log1p_expm1",    P.log1p(P.expm1(x)),                    x, STABILISING),
    Rule("expm1_log1p",
        P.expm1(P.log1p(x)), x, FINITE_ONLY, sound=lambda m: m.facts.nonnegative(m.x)),
    Rule("exp_log_softmax",
        P.exp(P.log_softmax(x)), lambda m: f.softmax(m.x, axis=m.node.inputs[0].attrs["axis"]),
        STABILISING),
    Rule("logit_sigmoid",  P.logit(P.sigmoid(x)),                  x, STABILISING),
    Rule("sigmoid_logit",  P.sigmoid(P.logit(x)),                  x, FINITE_ONLY, sound=_unit),
    Rule("log_odds",       P.log(P.divide(x, P.subtract(1, x))),   P.logit(x), STABILISING),
    # ---- near one --------------------------------------------------------------------------------
    Rule("log_one_plus_exp",  P.log(P.add(1, P.exp(u))),           P.softplus(u), STABILISING),
    Rule("log1p_exp",         P.log1p(P.exp(u)),                   P.softplus(u), STABILISING),
    Rule("log_exp_plus_exp",  P.log(P.add(P.exp(u), P.exp(v))),    P.logaddexp(u, v), STABILISING),
    Rule("logsumexp_of_terms", P.log(P.add(x, y)),                 _logsumexp_terms, STABILISING),
    Rule("log_of_cosh",
        P.log(P.cosh(x)), P.subtract(P.logaddexp(x, P.negative(x)), math.log(2)), STABILISING),
    Rule("log_one_plus",      P.log(P.add(1, x)),                  P.log1p(x), STABILISING),
    Rule("log_one_minus",
        P.log(P.subtract(1, x)), P.log1p(P.negative(x)), STABILISING),
    Rule("exp_minus_one",     P.subtract(P.exp(x), 1),             P.expm1(x), STABILISING),
    Rule("exp_plus_minus_one", P.add(P.exp(x), -1),                P.expm1(x), STABILISING),
    Rule("one_minus_exp",
        P.subtract(1, P.exp(x)), P.negative(P.expm1(x)), STABILISING),
    Rule("log_expm1",
        P.log(P.expm1(x)), P.add(x, P.log(P.negative(P.expm1(P.negative(x))))), STABILISING),
    # ---- sigmoid ---------------------------------------------------------------------------------
    Rule("one_over_exp",
        P.divide(1, P.exp(u)), P.exp(P.negative(u)), STABILISING),
    Rule("exp_over_exp",
        P.divide(P.exp(u), P.exp(v)), P.exp(P.subtract(u, v)), STABILISING),
    Rule("power_of_e",        P.pow(c, x),                         P.exp(x), STABILISING, _is_e),
    Rule("sigmoid_quotient",
        P.divide(1, P.add(1, P.exp(u))), P.sigmoid(P.negative(u)), STABILISING),
    Rule("sigmoid_exp_quotient", P.divide(P.exp(u), P.add(1, P.exp(u))), P.sigmoid(u), STABILISING),
    Rule("tanh_by_expm1",
        P.divide(P.expm1(u), P.add(1, P.exp(u))), P.tanh(P.multiply(0.5, u)), STABILISING),
    Rule("tanh_by_minus_expm1",
        P.divide(P.negative(P.expm1(u)), P.add(1, P.exp(u))),
        P.negative(P.tanh(P.multiply(0.5, u))), STABILISING),
    Rule("sigmoid_exp_product_quotient",
        P.divide(P.multiply(y, P.exp(u)), P.add(1, P.exp(u))), P.multiply(y, P.sigmoid(u)),
        STABILISING),
    Rule("sigmoid_slope_quotient",
        P.divide(P.exp(u), P.square(P.add(1, P.exp(u)))), SLOPE, STABILISING),
    Rule("sigmoid_slope_product_quotient",
        P.divide(P.multiply(y, P.exp(u)), P.square(P.add(1, P.exp(u)))), P.multiply(y, SLOPE),
        STABILISING),
    Rule("over_one_plus_exp",
        P.divide(y, P.add(1, P.exp(u))), P.multiply(y, P.sigmoid(P.negative(u))), STABILISING),
    Rule("over_one_plus_exp_squared",
        P.divide(y, P.square(P.add(1, P.exp(u)))),
        P.multiply(y, P.square(P.sigmoid(P.negative(u)))), STABILISING),
    Rule("exp_times_sigmoid",
        P.multiply(P.exp(u), P.sigmoid(P.negative(u))), P.sigmoid(u), STABILISING),
    Rule("exp_minus_times_sigmoid",
        P.multiply(P.exp(P.negative(u)), P.sigmoid(u)), P.sigmoid(P.negative(u)), STABILISING),
    Rule("one_minus_sigmoid",
        P.subtract(1, P.sigmoid(x)), P.sigmoid(P.negative(x)), STABILISING),
    Rule("log_sigmoid",
        P.log(P.sigmoid(x)), P.negative(P.softplus(P.negative(x))), STABILISING),
    Rule("log1p_sigmoid",
        P.log1p(P.negative(P.sigmoid(x))), P.negative(P.softplus(x)), STABILISING),
    Rule("log_sigmoid_odds",
        P.log(P.divide(P.sigmoid(x), P.sigmoid(P.negative(x)))), x, STABILISING),
    Rule("log_sigmoid_odds_against",
        P.log(P.divide(P.sigmoid(P.negative(x)), P.sigmoid(x))), P.negative(x), STABILISING),
    Rule("exp_share",
        P.divide(P.exp(u), P.add(P.exp(u), P.exp(v))), P.sigmoid(P.subtract(u, v)), STABILISING),
    Rule("tanh_spelled",
        P.divide(P.subtract(P.exp(x), P.exp(P.negative(x))), P.add(P.exp(x), P.exp(P.negative(x)))),
        P.tanh(x), STABILISING),
    Rule("softplus_difference",
        P.subtract(P.softplus(x), P.softplus(P.negative(x))), x, STABILISING),
    # ---- products and quotients ------------------------------------------------------------------
    Rule("log_of_reciprocal",
        P.log(P.divide(1, y)), P.negative(P.log(y)), STABILISING, _nonnegative),
    Rule("log_exp_over",
        P.log(P.divide(P.exp(u), y)), P.subtract(u, P.log(y)), STABILISING, _nonnegative),
    Rule("log_over_exp",
        P.log(P.divide(y, P.exp(u))), P.subtract(P.log(y), u), STABILISING, _nonnegative),
    Rule("log_times_exp",
        P.log(P.multiply(P.exp(u), y)), P.add(u, P.log(y)), STABILISING, _nonnegative),
    Rule("log_prod",          P.log(P.prod(x)),                    _log_prod, STABILISING),
    Rule("log_square",
        P.log(P.square(x)), lambda m: 2 * f.log(f.abs(m.x)), STABILISING),
    Rule("log_of_indexed",
        Node(frozenset((e.log,)), children=_INDEXED), _log_of_indexed, STABILISING),
    Rule("log_of_either",
        Node(frozenset((e.log,)), children=frozenset((e.multiply, e.divide))), _log_of_either,
        STABILISING),
    Rule("log_of_where",
        Node(frozenset((e.log,)), children=frozenset((e.where,))), _log_of_where, STABILISING),
)
# fmt: on
