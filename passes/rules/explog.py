"""Exponentials and logarithms as mathematics means them: overflow and cancellation on the way
removed.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.op import Op
from symgraph.ops import elementwise as e
from symgraph.ops import index
from symgraph.ops import reduction as r
from symgraph.ops import shape as s
from symgraph.passes.rules.exponential_sums import (
    EXPONENTIALS,
    SUMS,
    Term,
    log_of_terms,
    opposite,
    scale_of,
    scaled,
    shifted,
    terms_of,
    without_shift,
)
from symgraph.passes.rules.exponents import power_level
from symgraph.passes.rules.layout import layout, replay
from symgraph.passes.rules.moving import MOVES
from symgraph.passes.rules.pattern import Const, Node, P, Var, literal_of, near_input
from symgraph.passes.rules.rule import EXACT, FINITE_ONLY, ROUNDING, STABILISING, Match, Rule
from symgraph.tensor import Tensor, apply

__all__ = ["EXPLOG", "stable_log"]

a, b, u, v, x, y = (Var(n) for n in "abuvxy")
c = Const("c")

#: the logarithms, and what one unit of each is worth in natural ones
UNITS = {e.log: 1.0, e.log1p: 1.0, e.log2: 1 / math.log(2), e.log10: 1 / math.log(10)}
LOGS = frozenset(UNITS)
PLAIN_LOGS = LOGS - {e.log1p}


def _nonnegative(m: Match) -> bool:
    return m.facts.nonnegative(m.x)


def _unit(m: Match) -> bool:
    return m.x.op in (e.sigmoid, r.softmax)


# ---- logarithms of what is known by its logarithm ------------------------------------------------

_INDEXED = frozenset((s.slice_, index.gather))
_LAID_OUT = _INDEXED | MOVES | {s.broadcast_to}
_DEPTH = 8
_LOGARITHMS: dict[Op, Callable[[Tensor], Tensor]] = {
    r.softmax: lambda q: f.log_softmax(q.inputs[0], axis=q.attrs["axis"]),
    e.sigmoid: lambda q: f.negative(f.softplus(f.negative(q.inputs[0]))),
    e.exp: lambda q: q.inputs[0],
    e.exp2: lambda q: scaled(math.log(2), q.inputs[0]),
    e.erfc: lambda q: f.log_erfc(q.inputs[0]),
}


def stable_log(x: Tensor) -> Tensor | None:
    """log of an exponential, softmax, sigmoid or erfc, laid out or indexed somehow; or None."""
    source = x
    for _ in range(_DEPTH):
        if source.op not in _LAID_OUT:
            break
        source = source.inputs[0]
    log = _LOGARITHMS.get(source.op)
    return None if log is None else replay(x, source, log(source))


def _in_units(m: Match, log: Tensor | None) -> Tensor | None:
    """A natural logarithm to the base of the root."""
    return None if log is None else scaled(UNITS[m.node.op], log)


def _log_of_known(m: Match) -> Tensor | None:
    return _in_units(m, stable_log(m.node.inputs[0]))


def _log_of_either(m: Match) -> Tensor | None:
    """log of a product or quotient, term by term.

    Where one factor is positive, being known by its logarithm, the sign is the other's; else both
    must never be negative. Literals are split off only from what is known by its logarithm.
    """
    inner = m.node.inputs[0]
    factor, rest = _without_literals(inner)
    if rest is not inner and factor > 0 and _holds_known(rest, _DEPTH // 2):
        return _in_units(m, shifted(f.log(rest), math.log(factor)))
    logs = [stable_log(i) for i in inner.inputs]
    if logs[0] is None and logs[1] is None and not _splits(inner, m):
        return None
    first, second = [
        f.log(i) if known is None else known for i, known in zip(inner.inputs, logs, strict=True)
    ]
    if inner.op is e.divide and logs[1] is None and not m.facts.nonnegative(inner.inputs[1]):
        return None  # a zero below the bar may be -0.0
    return _in_units(m, apply(e.add if inner.op is e.multiply else e.subtract, (first, second)))


def _without_literals(x: Tensor) -> tuple[float, Tensor]:
    """x as a literal times what has no literal factor at its top."""
    total = 1.0
    for _ in range(_DEPTH):
        factor, core = scale_of(x)
        if core is x or not 1e-30 < abs(total * factor) < 1e30:
            break
        total, x = total * factor, core
    return total, x


def _splits(x: Tensor, m: Match) -> bool:
    """Whether a product or quotient of two factors whose logarithms are not known is split."""
    if not all(m.facts.nonnegative(i) for i in x.inputs):
        return False
    if any(_holds_known(i, _DEPTH // 2) for i in x.inputs):
        return True
    # the logarithms of two numbers close to each other would cancel
    return x.op is e.multiply and all(literal_of(i) is None for i in x.inputs)


def _holds_known(x: Tensor, depth: int) -> bool:
    """Whether a product has a factor that is known by its logarithm."""
    if x.op in (e.multiply, e.divide) and depth:
        return any(_holds_known(i, depth - 1) for i in x.inputs)
    return stable_log(x) is not None


def _log_of_magnitude(m: Match) -> Tensor | None:
    """log |a b|, term by term."""
    inner = m.x
    if inner.op is not e.multiply or any(literal_of(i) is not None for i in inner.inputs):
        return None
    first, second = [f.log(f.abs(i)) for i in inner.inputs]
    return f.add(first, second)


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


def _log_of_power(m: Match) -> Tensor | None:
    """log(x**c) is c log|x| for even literals c, and c log x for x >= 0.

    Others are kept: an odd power may underflow to a zero, whose logarithm is not NaN.
    """
    base, exponent = m.node.inputs[0].inputs
    known = stable_log(base)
    if known is not None:
        return _in_units(m, power_level(exponent, known))
    value = literal_of(exponent)
    if value is None or not math.isfinite(value) or value == 0 or base.dtype.kind != "f":
        return None
    if value % 2 == 0:
        return _in_units(m, scaled(float(value), f.log(f.abs(base))))
    if not m.facts.nonnegative(base):
        return None
    return _in_units(m, scaled(float(value), f.log(base)))


def _is_their_product(product: Tensor, x: Tensor, y: Tensor) -> bool:
    """Whether one is x * y, up to signs: the masks of a power are for 0 times an infinity."""
    if product.op is e.negative:
        product = product.inputs[0]
    if product.op is not e.multiply:
        return False
    wanted = {_unsigned(x), _unsigned(y)}
    return {_unsigned(i) for i in product.inputs} == wanted


def _unsigned(x: Tensor) -> Tensor:
    return x.inputs[0] if x.op is e.negative else x


def _log_prod(m: Match) -> Tensor:
    """The sum of logarithms; NaN where the product is negative."""
    axis = m.node.inputs[0].attrs["axis"]
    if m.facts.nonnegative(m.x):
        return f.sum(f.log(m.x), axis=axis)
    total = f.sum(f.log(f.abs(m.x)), axis=axis)
    negative = f.less(f.prod(f.sign(m.x), axis=axis), 0)
    return f.where(negative, number(float("nan"), m.node.dtype), total)


# ---- sums of exponentials ------------------------------------------------------------------------


def _log_of_sum(m: Match) -> Tensor | None:
    """The logarithm of a sum of exponentials, term by term."""
    inner = m.node.inputs[0]
    plus = 1 if m.node.op is e.log1p else 0
    terms = terms_of(inner, m.facts, plus)
    if terms is not None and len(terms) > 1 and any(_cancels(i, m) for i in _besides_one(m.node)):
        return None  # log1p(sinh(x)) is accurate as it is
    return None if terms is None else _in_units(m, log_of_terms(terms))


def _besides_one(log: Tensor) -> list[Tensor]:
    """What a logarithm adds to 1."""
    (inner,) = log.inputs
    if log.op is e.log1p:
        return [inner]
    if inner.op is not e.add:
        return []
    pairs = (inner.inputs, inner.inputs[::-1])
    return [rest for one, rest in pairs if literal_of(one) == 1]


def _cancels(x: Tensor, m: Match) -> bool:
    """Whether a sum of exponentials has terms of both signs."""
    terms = terms_of(x, m.facts) or ()
    return len({t.factor > 0 for t in terms}) > 1


def _difference(m: Match) -> Tensor | None:
    """Sums of exponentials that cancel: c (exp(u) - 1), c (exp(u) - exp(-u)), (exp(u) - 1) + 1."""
    if _power_near(m.node):
        return None  # 2**k - 1 is exact where k is an integer
    terms = terms_of(m.node, m.facts)
    if terms is None or any(map(_totals, terms)):
        return None
    if len(terms) == 1 and terms[0].exponent is not None:
        return scaled(terms[0].factor, f.exp(terms[0].exponent))
    if len(terms) != 2 or terms[0].factor != -terms[1].factor:
        return None
    one, other = terms if terms[0].exponent is not None else terms[::-1]
    assert one.exponent is not None
    if other.exponent is None:
        return scaled(one.factor, f.expm1(one.exponent))
    if opposite(one.exponent, other.exponent):
        return scaled(2 * one.factor, f.sinh(one.exponent))
    return None


def _totals(t: Term) -> bool:
    """Whether a term is a sum along axes: with it, a difference is as accurate as it stands."""
    return t.exponent is not None and layout(t.exponent).source.op is r.logsumexp


def _power_near(x: Tensor) -> bool:
    """Whether a power of a literal is among the operands of x, or one operation below."""
    near = [*x.inputs, *(j for i in x.inputs for j in i.inputs)]
    return any(i.op is e.exp2 or (i.op is e.power and _whole(i.inputs[0])) for i in near)


def _whole(x: Tensor) -> bool:
    value = literal_of(x)
    return value is not None and float(value).is_integer()


# ---- powers --------------------------------------------------------------------------------------


def _is_e(m: Match) -> bool:
    """Whether the literal base is Euler's number to within its last place."""
    value, dtype = literal_of(m.c), m.node.dtype
    if value is None or dtype.kind != "f":
        return False
    return bool(abs(float(value) - math.e) <= np.spacing(dtype.type(math.e)))


def _power_of_known(m: Match) -> Tensor | None:
    """A power of what is known by its logarithm; squares and the like are fine as they are."""
    value = literal_of(m.c)
    if value is None or not math.isfinite(value) or m.node.dtype.kind != "f":
        return None
    if value == 0 or (value in (1, 2, 3, 4) and m.x.op is not e.exp):
        return None
    log = stable_log(m.x)
    return None if log is None else f.exp(scaled(float(value), log))


def _exp_of_log(m: Match) -> bool:
    """Whether exp(c log x) is x**c: c not zero, and x not negative."""
    value = literal_of(m.c)
    return value is not None and value != 0 and math.isfinite(value) and _nonnegative(m)


def _sole_exponential(m: Match) -> bool:
    return m.alone(m.node.inputs[0])


# fmt: off
EXPLOG: tuple[Rule, ...] = (
    # ---- inverses --------------------------------------------------------------------------------
    Rule("log2_exp2",       P.log2(P.exp2(x)),                     x, STABILISING),
    Rule("log10_pow10",     P.log10(P.pow(10, x)),                 x, STABILISING),
    Rule("exp_log",         P.exp(P.log(x)),                       x, FINITE_ONLY,
        sound=_nonnegative),
    Rule("exp2_log2",       P.exp2(P.log2(x)),                     x, FINITE_ONLY,
        sound=_nonnegative),
    Rule("exp_minus_log",   P.exp(P.negative(P.log(x))),           P.divide(1, x), FINITE_ONLY,
        sound=_nonnegative),
    Rule("exp_times_log",   P.exp(P.multiply(c, P.log(x))),        P.pow(x, c), FINITE_ONLY,
        lambda m: literal_of(m.c) not in (0, None), sound=_exp_of_log),
    Rule("expm1_log1p",     P.expm1(P.log1p(x)),                   x, FINITE_ONLY,
        sound=_nonnegative),
    Rule("exp_log_softmax",
        P.exp(P.log_softmax(x)), lambda m: f.softmax(m.x, axis=m.node.inputs[0].attrs["axis"]),
        STABILISING),
    Rule("exp_minus_softplus", P.exp(P.negative(P.softplus(x))),   P.sigmoid(P.negative(x)),
        STABILISING),
    Rule("expm1_softplus",  P.expm1(P.softplus(x)),                P.exp(x), STABILISING),
    Rule("logit_sigmoid",   P.logit(P.sigmoid(x)),                 x, STABILISING),
    Rule("sigmoid_logit",   P.sigmoid(P.logit(x)),                 x, FINITE_ONLY, sound=_unit),
    # ---- sums of exponentials --------------------------------------------------------------------
    Rule("log_of_exponentials", Node(LOGS, children=SUMS),         _log_of_sum, STABILISING),
    Rule("log1p_of_total",
        Node(frozenset((e.log1p,)), children=frozenset((r.sum_, s.expand_dims))), _log_of_sum,
        STABILISING),
    Rule("exponentials_cancel",
        Node(frozenset((e.add, e.subtract)), children=SUMS - {e.add, e.subtract, e.divide}),
        _difference, STABILISING, looks=near_input(EXPONENTIALS)),
    Rule("logaddexp_zero",  P.logaddexp(x, 0),                     P.softplus(x), STABILISING),
    Rule("logaddexp_shift",
        Node(frozenset((e.add,)), children=frozenset((e.logaddexp, e.softplus))), without_shift,
        STABILISING),
    Rule("infinite_opposites",
        P.logical_and(P.equal(x, P.negative(x)), P.isinf(x)),
        lambda m: number(False, m.node.dtype), EXACT),
    # ---- near one --------------------------------------------------------------------------------
    Rule("log_one_plus",    P.log(P.add(1, x)),                    P.log1p(x), STABILISING),
    Rule("log_one_minus",   P.log(P.subtract(1, x)),               P.log1p(P.negative(x)),
        STABILISING),
    Rule("log_odds",        P.log(P.divide(x, P.subtract(1, x))),  P.logit(x), STABILISING),
    Rule("log_odds_against", P.log(P.subtract(P.divide(1, x), 1)), P.negative(P.logit(x)),
        STABILISING),
    Rule("log_odds_difference", P.subtract(P.log(x), P.log1p(P.negative(x))), P.logit(x),
        STABILISING),
    Rule("twice_atanh",     P.subtract(P.log1p(x), P.log1p(P.negative(x))),
        P.multiply(2, P.atanh(x)), STABILISING),
    Rule("twice_atanh_quotient", P.log(P.divide(P.add(1, x), P.subtract(1, x))),
        P.multiply(2, P.atanh(x)), STABILISING),
    Rule("asinh_spelled",   P.log(P.add(x, P.hypot(1, x))),        P.asinh(x), STABILISING),
    Rule("acosh_spelled",   P.log(P.add(x, P.sqrt(P.subtract(P.square(x), 1)))), P.acosh(x),
        STABILISING),
    # ---- powers ----------------------------------------------------------------------------------
    Rule("power_of_e",      P.pow(c, x),                           P.exp(x), STABILISING, _is_e),
    Rule("power_of_two",    P.pow(2, x),                           P.exp2(x), ROUNDING,
        lambda m: m.node.dtype.kind == "f"),
    Rule("square_of_exp",   P.square(P.exp(u)),                    P.exp(P.multiply(2, u)),
        STABILISING, _sole_exponential),
    Rule("sqrt_of_exp",     P.sqrt(P.exp(u)),                      P.exp(P.multiply(0.5, u)),
        STABILISING),
    Rule("power_of_known",  P.pow(x, c),                           _power_of_known, STABILISING),
    Rule("x_log_x",         P.multiply(x, P.log(x)),               P.xlogy(x, x), FINITE_ONLY),
    Rule("power_of_logarithm",
        P.where(P.logical_or(P.logical_and(P.equal(0, x), P.isinf(u)),
                             P.logical_and(P.isinf(x), P.equal(0, u))), 0, y),
        y, FINITE_ONLY, lambda m: _is_their_product(m.y, m.x, m.u),
        sound=lambda m: m.facts.finite(m.x) and m.facts.finite(m.u)),
    # ---- logarithms of products ------------------------------------------------------------------
    Rule("log_of_known",
        Node(PLAIN_LOGS, children=_LAID_OUT | frozenset(_LOGARITHMS)), _log_of_known, STABILISING),
    Rule("log_of_reciprocal", P.log(P.divide(1, x)),               P.negative(P.log(x)),
        STABILISING, _nonnegative),
    Rule("log_of_either",
        Node(PLAIN_LOGS, children=frozenset((e.multiply, e.divide))), _log_of_either, STABILISING),
    Rule("log_of_magnitude", P.log(P.abs(x)),                      _log_of_magnitude, STABILISING),
    Rule("log_prod",        P.log(P.prod(x)),                      _log_prod, STABILISING),
    Rule("log_square",
        P.log(P.square(x)), lambda m: 2 * f.log(f.abs(m.x)), STABILISING),
    Rule("log_sqrt",        P.log(P.sqrt(x)),                      P.multiply(0.5, P.log(x)),
        STABILISING),
    Rule("log_of_power",
        Node(PLAIN_LOGS, children=frozenset((e.power,))), _log_of_power, STABILISING),
    Rule("log_of_where",
        Node(frozenset((e.log,)), children=frozenset((e.where,))), _log_of_where, STABILISING),
)
# fmt: on
