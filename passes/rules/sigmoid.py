"""The logistic function, softplus, tanh and their kin in products, sums and quotients."""

from __future__ import annotations

import math
from collections.abc import Callable

from symgraph import functions as f
from symgraph.op import Op
from symgraph.ops import elementwise as e
from symgraph.passes.rules.binary_weights import SIGMOIDS, weights_join
from symgraph.passes.rules.exponential_quotients import (
    DIVISORS,
    exponential_power,
    exponential_quotient,
    real_quotient,
)
from symgraph.passes.rules.exponential_sums import (
    opposite,
    scale_of,
    scaled,
)
from symgraph.passes.rules.pattern import Const, Kind, Node, P, Var, literal_of
from symgraph.passes.rules.product_trees import (
    BRANCHES,
    Factor,
    factors_of,
    joined,
    may_hold,
)
from symgraph.passes.rules.rule import FINITE_ONLY, NORMWISE, STABILISING, Match, Rule
from symgraph.passes.rules.tails import TAIL_FACTORS, TAIL_FORMS, join_tails
from symgraph.tensor import Tensor

__all__ = ["DIVIDING", "SIGMOID"]

u, v, x, y = (Var(n) for n in "uvxy")
c, d = Const("c"), Const("d")

# ---- factors that belong together ----------------------------------------------------------------


def _join_exponentials(one: Factor, other: Factor) -> Tensor | None:
    """exp(u) with exp(v), with sigmoid(-u) or its square."""
    p, q = one.node, other.node
    if one.power < 0:
        return None
    if p.op is not e.exp:
        below = q.op is e.exp and other.power < 0
        return _join_sigmoid(f.negative(q.inputs[0]), one) if below else None
    level = p.inputs[0]
    if q.op is e.exp:
        same = p.shape == q.shape or not p.ndim or not q.ndim
        both = f.add if other.power > 0 else f.subtract
        return f.exp(both(level, q.inputs[0])) if same else None
    return _join_sigmoid(level, other)


def _join_sigmoid(level: Tensor, other: Factor) -> Tensor | None:
    if other.power < 0:
        return None
    q = other.node
    inner = q.inputs[0] if q.op is e.square else q
    if inner.op is not e.sigmoid or not opposite(inner.inputs[0], level):
        return None
    found = f.sigmoid(level)
    return found if inner is q else f.multiply(found, inner)


def _join_odds(one: Factor, other: Factor) -> Tensor | None:
    """sigmoid(u) over sigmoid(-u) is exp(u); sinh(u) and cosh(u) on two sides of a bar are tanh."""
    p, q = one.node, other.node
    if one.power == other.power:
        return None
    if p.op is q.op is e.sigmoid and opposite(p.inputs[0], q.inputs[0]):
        return f.exp(p.inputs[0])
    if p.op is e.sinh and q.op is e.cosh and p.inputs[0] is q.inputs[0]:
        return f.tanh(p.inputs[0])
    return None


def _join_expm1(one: Factor, other: Factor) -> Tensor | None:
    """expm1(u) over exp(u), or times exp(-u), is -expm1(-u); so it is below a fraction bar."""
    p, q = one.node, other.node
    inner = p.inputs[0] if p.op is e.square else p
    if inner.op is not e.expm1 or q.op is not e.exp:
        return None
    u, v = inner.inputs[0], q.inputs[0]
    if not (opposite(u, v) if one.power == other.power else u is v):
        return None
    found = f.negative(f.expm1(f.negative(u)))
    return found if inner is p else f.multiply(found, inner)


JOINS: tuple[Callable[[Factor, Factor], Tensor | None], ...] = (
    _join_exponentials,
    _join_odds,
    _join_expm1,
    join_tails,
)
FACTORS = frozenset((e.exp, e.expm1, e.sigmoid, e.square, e.sinh, e.cosh)) | TAIL_FACTORS


def _join(one: Factor, other: Factor) -> Tensor | None:
    for join in JOINS:
        found = join(one, other)
        if found is not None:
            return found
    return None


def _joins_safely(m: Match) -> Tensor | None:
    """Factors joined to an exponential only where it overflows no earlier than their product."""
    return joined(m, FACTORS, lambda one, other: _safe_join(m, one, other))


def _safe_join(m: Match, one: Factor, other: Factor) -> Tensor | None:
    found = _join(one, other)
    if found is None or found.op is not e.exp or _shrinks(other, m):
        return found
    rest = [t for t in factors_of(m.node) if t.path not in (one.path, other.path)]
    return found if all(map(_grows, rest)) or m.facts.interval(found)[1] <= LARGEST else None


def _shrinks(t: Factor, m: Match) -> bool:
    """Whether a factor is at most 1, so that taking it into another makes no product larger."""
    low, high = m.facts.interval(t.node)
    return high <= 1 if t.power > 0 else low >= 1


LARGEST = 1e300


def _grows(t: Factor) -> bool:
    """Whether a factor is a literal that makes no product smaller."""
    value = literal_of(t.node)
    return value is not None and (abs(value) >= 1 if t.power > 0 else 0 < abs(value) <= 1)


# ---- complements ---------------------------------------------------------------------------------

Form = Callable[[Tensor], Tensor]


def _minus_tanh(u: Tensor) -> Tensor:
    """-tanh(u), as the tanh of -u where u has a negative literal factor."""
    if scale_of(u)[0] < 0:
        return f.tanh(scaled(-1, u))
    return f.negative(f.tanh(u))


#: for w (1 + r g) the operation g, the number r, and what 1 + r g is
FORMS: dict[Op, dict[float, Form]] = {
    e.sigmoid: {
        -1: lambda u: f.sigmoid(f.negative(u)),
        -2: lambda u: _minus_tanh(scaled(0.5, u)),
    },
    e.tanh: {
        1: lambda u: 2 * f.sigmoid(scaled(2, u)),
        -1: lambda u: 2 * f.sigmoid(scaled(-2, u)),
    },
    **TAIL_FORMS,
}
CORES = frozenset(FORMS)


def _complement(m: Match) -> Tensor | None:
    """w + w r g in closed form, for literals w and for any w; a tanh must serve nothing else."""
    found = _affine(m.node)
    if found is None:
        return None
    weight, whole, factor, core = found
    form = FORMS[core.op].get(factor / whole)
    if form is None or (core.op is e.tanh and not m.alone(core)):
        return None
    new = scaled(whole, form(core.inputs[0]))
    return new if weight is None else f.multiply(weight, new)


def _may_complement(kinds: tuple[Kind, ...]) -> bool:
    """Whether an operand may be an operation of the table, weighted by the other one or so that
    the other is a literal.
    """
    return any(_may_weigh(whole, core) for whole, core in (kinds, kinds[::-1]))


def _may_weigh(whole: Kind, core: Kind) -> bool:
    if core.op is e.negative:
        return core.ops[0] in CORES or core.ops[0] is e.multiply
    weighted = core.op is e.multiply and not CORES.isdisjoint(core.ops)
    if whole.marks is not None:
        return weighted or core.op in CORES
    return weighted and whole.op in core.ops


def _affine(node: Tensor) -> tuple[Tensor | None, float, float, Tensor] | None:
    """(w, a, b, g) where the sum or difference is w (a + b g)."""
    signs = (1.0, -1.0) if node.op is e.subtract else (1.0, 1.0)
    for k in (0, 1):
        whole, (sign, weight, core) = node.inputs[k], _weighted_core(node.inputs[1 - k])
        if core is None:
            continue
        a, b = signs[k], signs[1 - k] * sign
        if weight is whole:
            return weight, a, b, core
        value, factor = literal_of(whole), 1 if weight is None else literal_of(weight)
        if value and factor and math.isfinite(value) and math.isfinite(factor):
            return None, a * value, b * factor, core
    return None


def _weighted_core(x: Tensor) -> tuple[float, Tensor | None, Tensor | None]:
    """(sign, w, g) where x is sign * w * g for an operation g of the table."""
    sign = 1.0
    if x.op is e.negative:
        sign, x = -1.0, x.inputs[0]
    if x.op in FORMS:
        return sign, None, x
    if x.op is e.multiply:
        for weight, core in (x.inputs, x.inputs[::-1]):
            if core.op in FORMS:
                return sign, weight, core
    return sign, None, None


def _joined_literals(m: Match) -> Tensor | None:
    """2 * (c * s), for values that cannot overflow: so that a complement is seen."""
    one, other = literal_of(m.c), literal_of(m.d)
    if m.x.op not in FORMS or one is None or other is None:
        return None
    product = float(one) * float(other)
    return scaled(product, m.x) if 1e-30 < abs(product) < 1e30 else None


def _own_square(m: Match) -> Tensor:
    """s - s**2 is s (1 - s)."""
    return f.multiply(m.x, f.sigmoid(f.negative(m.x.inputs[0])))


def _one_minus_tanh_squared(m: Match) -> Tensor:
    twice = scaled(2, m.u)
    return 4 * (f.sigmoid(twice) * f.sigmoid(f.negative(twice)))


# ---- softplus ------------------------------------------------------------------------------------


def _flipped_softplus(m: Match) -> Tensor | None:
    """u + softplus(-u) is softplus(u); softplus(u) - u is softplus(-u)."""
    left, right = m.node.inputs
    if m.node.op is e.subtract:
        if left.op is e.softplus and left.inputs[0] is right:
            return f.softplus(f.negative(right))
        same = right.op is e.softplus and right.inputs[0] is left
        return f.negative(f.softplus(f.negative(left))) if same else None
    for one, other in ((left, right), (right, left)):
        if other.op is e.softplus and opposite(other.inputs[0], one):
            return f.softplus(one)
    return None


def _softplus_difference(m: Match) -> Tensor | None:
    return m.u if opposite(m.u, m.v) else None


def _sigmoid_difference(m: Match) -> Tensor | None:
    """A tanh beside two logistic functions that others use as well would be work added."""
    if not opposite(m.u, m.v) or not any(map(m.alone, m.node.inputs)):
        return None
    return f.tanh(scaled(0.5, m.u))


BINARY = frozenset((e.add, e.subtract))

#: before differentiating: the derivative of y exp(-u) has no exp(u) above and below a bar
DIVIDING: tuple[Rule, ...] = (
    Rule(
        "quotient_derived", Node(frozenset((e.divide,)), children=DIVISORS), real_quotient,
        STABILISING,
    ),
)  # fmt: skip

# fmt: off
SIGMOID: tuple[Rule, ...] = (
    # ---- quotients of sums of exponentials -------------------------------------------------------
    Rule("quotient_of_exponentials",
        Node(frozenset((e.divide,)), children=DIVISORS), exponential_quotient, STABILISING),
    Rule("real_quotient_of_exponentials",
        Node(frozenset((e.divide,)), children=DIVISORS), real_quotient, FINITE_ONLY),
    Rule("negative_power_of_exponentials", P.pow(x, c),            exponential_power, STABILISING),
    # ---- products --------------------------------------------------------------------------------
    Rule("factors_join",
        Node(frozenset((e.multiply, e.divide)), children=FACTORS | BRANCHES),
        _joins_safely, STABILISING, looks=may_hold(FACTORS)),
    Rule("exponentials_join",
        Node(frozenset((e.multiply, e.divide)), children=FACTORS | BRANCHES),
        lambda m: joined(m, FACTORS, _join), FINITE_ONLY, looks=may_hold(FACTORS)),
    # ---- complements -----------------------------------------------------------------------------
    Rule("complement",      Node(BINARY, children=CORES | {e.multiply, e.negative}), _complement,
        STABILISING, looks=_may_complement),
    Rule("literals_of_bounded", P.multiply(c, P.multiply(d, x)),   _joined_literals, STABILISING),
    Rule("own_square",      P.subtract(x, P.square(x)),            _own_square, STABILISING,
        lambda m: m.x.op is e.sigmoid, looks=lambda kinds: kinds[0].op is e.sigmoid),
    Rule("one_minus_tanh_squared",
        P.subtract(1, P.square(P.tanh(u))), _one_minus_tanh_squared, STABILISING,
        lambda m: m.alone(m.node.inputs[1].inputs[0])),
    Rule("log1p_sigmoid",
        P.log1p(P.negative(P.sigmoid(x))), P.negative(P.softplus(x)), STABILISING),
    # ---- softplus --------------------------------------------------------------------------------
    Rule("softplus_spelled",
        P.add(P.relu(x), P.softplus(P.negative(P.abs(x)))), P.softplus(x), STABILISING),
    Rule("softplus_spelled_by_maximum",
        P.add(P.maximum(x, 0), P.softplus(P.negative(P.abs(x)))), P.softplus(x), STABILISING),
    Rule("log_sigmoid_spelled",
        P.subtract(P.minimum(x, 0), P.softplus(P.negative(P.abs(x)))),
        P.negative(P.softplus(P.negative(x))), STABILISING),
    Rule("softplus_flipped",
        Node(BINARY, children=frozenset((e.softplus,))), _flipped_softplus, STABILISING),
    Rule("softplus_difference",
        P.subtract(P.softplus(u), P.softplus(v)), _softplus_difference, STABILISING),
    Rule("sigmoid_difference",
        P.subtract(P.sigmoid(u), P.sigmoid(v)), _sigmoid_difference, STABILISING),
    # ---- the gradient of the binary cross-entropy ------------------------------------------------
    Rule("weights_join",
        Node(BINARY, children=frozenset((e.sigmoid, e.multiply, e.divide))), weights_join,
        NORMWISE, looks=may_hold(SIGMOIDS)),
)
# fmt: on
