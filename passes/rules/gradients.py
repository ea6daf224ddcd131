"""What differentiating softmax, cross-entropy and their kin leaves behind, in closed form.

The derivative of a softmax q with the cotangent g is q * (g - sum(g * q)). Where g has q for a
divisor, as the derivative of log q has, the divisor cancels: h - q * sum(h) with h = g * q.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from symgraph import functions as f
from symgraph.ops import elementwise as e
from symgraph.ops import index
from symgraph.ops import reduction as r
from symgraph.ops import shape as s
from symgraph.passes.facts import Facts, one_hot_axes
from symgraph.passes.rules.averages import (
    factors_of,
    is_own_average,
    normalised_part,
    row_sum_of,
)
from symgraph.passes.rules.coefficients import coefficient, negated
from symgraph.passes.rules.labels import picked_rows
from symgraph.passes.rules.layout import constant_along, layout
from symgraph.passes.rules.pattern import P, Var, literal_of
from symgraph.passes.rules.rule import EXACT, FINITE_ONLY, STABILISING, Match, Rule
from symgraph.passes.rules.softmax_factors import SOFTMAX_FACTORS, is_masked, with_input
from symgraph.tensor import Tensor

__all__ = ["GRADIENTS"]

a, b, q, t, u, x, y = (Var(n) for n in "abqtuxy")
DEPTH = 8


# ---- weighted averages ---------------------------------------------------------------------------


def _weighted_quotient(m: Match) -> Tensor | None:
    """q times the sum of (a / q) q is q times the sum of a; a NaN in q still shows."""
    axes = m.q.attrs["axis"]
    if m.s.attrs["axis"] != axes or m.a.shape != m.q.shape:
        return None
    return f.multiply(m.q, f.sum(m.a, axis=axes, keepdims=m.q.ndim > len(axes)))


# ---- a divisor that the softmax cancels ----------------------------------------------------------

Divisor = Callable[[Tensor], bool]


def _backprop(m: Match) -> Tensor | None:
    """q * (g - sum(g * q)), either way round, where q is a divisor in all of g."""
    sign = 1 if m.d.op is e.add else -1
    for k, (g, total) in enumerate((m.d.inputs, m.d.inputs[::-1])):
        if g.shape != m.q.shape or not is_own_average(total, g, m.q, -sign):
            continue
        h = _times(g, m.q, m.facts, DEPTH)
        if h is not None:
            part = f.multiply(m.q, f.sum(h, axis=m.q.attrs["axis"], keepdims=True))
            return f.subtract(part, h) if k == 1 and sign == -1 else f.subtract(h, part)
    return None


def _times(g: Tensor, q: Tensor, facts: Facts, depth: int) -> Tensor | None:
    """g times q where q, or the element of q that a label picks, is a divisor in each term of g."""
    if literal_of(g) == 0:
        return g
    if depth == 0:
        return None
    if g.op is e.divide and g.inputs[1] is q:
        return f.broadcast_to(g.inputs[0], g.shape)
    if g.op in (e.negative, e.divide):
        return with_input(g, 0, _times(g.inputs[0], q, facts, depth - 1))
    if g.op in (e.add, e.subtract):
        first = with_input(g, 0, _times(g.inputs[0], q, facts, depth - 1))
        return with_input(first, 1, _times(g.inputs[1], q, facts, depth - 1))
    if g.op is e.where and is_masked(g):
        inner = _times(g.inputs[1], q, facts, depth - 1)
        inner = inner if inner is not None else _at_label(g.inputs[1], g.inputs[0], q, facts)
        return with_input(g, 1, inner)
    return _times_product(g, q, facts, depth - 1) if g.op is e.multiply else None


def _times_product(g: Tensor, q: Tensor, facts: Facts, depth: int) -> Tensor | None:
    for k, part in enumerate(g.inputs):
        inner = _times(part, q, facts, depth) if literal_of(part) is None else None
        other = g.inputs[1 - k]
        if inner is None and other.op is e.astype:
            inner = _at_label(part, other.inputs[0], q, facts)
        if inner is not None:
            return with_input(g, k, inner)
    return None


def _at_label(value: Tensor, hot: Tensor, q: Tensor, facts: Facts) -> Tensor | None:
    """A value of each row times the q that its label picks, which is a divisor of it."""
    found = one_hot_axes(hot)
    if found is None or hot.shape != q.shape or (found[0],) != q.attrs["axis"]:
        return None
    axis, labels, n = found
    if not facts.in_range(labels, n) or not constant_along(value, (axis,), q.ndim):
        return None
    return _without_divisor(value, lambda d: _picks(d, q, hot, labels, axis), DEPTH)


def _without_divisor(x: Tensor, divides: Divisor, depth: int) -> Tensor | None:
    if depth == 0:
        return None
    if x.op is e.divide and divides(x.inputs[1]):
        return f.broadcast_to(x.inputs[0], x.shape)
    if x.op in (e.negative, e.divide, s.expand_dims):
        return with_input(x, 0, _without_divisor(x.inputs[0], divides, depth - 1))
    if x.op is e.multiply:
        for k in (0, 1):
            inner = _without_divisor(x.inputs[k], divides, depth - 1)
            if inner is not None:
                return with_input(x, k, inner)
    return None


def _picks(d: Tensor, q: Tensor, hot: Tensor, labels: Tensor, axis: int) -> bool:
    """Whether d holds for each row, in order, the element of q at the row's label."""
    found = layout(d)
    if found.stopped or [k for k in found.axes if k is not None] != list(range(found.source.ndim)):
        return False
    if found.source.op is r.sum_:
        return found.source.attrs["axis"] == (axis,) and _is_pick(found.source.inputs[0], q, hot)
    rows = picked_rows(found.source)
    if rows is None or found.source.inputs[0] is not q or rows[0] != axis:
        return False
    return list(rows[2]) == sorted(rows[2]) and _same_labels(rows[1], labels)


def _is_pick(x: Tensor, q: Tensor, hot: Tensor) -> bool:
    if x.op is e.where and is_masked(x):
        return x.inputs[0] is hot and x.inputs[1] is q
    pairs = (x.inputs, x.inputs[::-1]) if x.op is e.multiply else ()
    return any(i is q and j.op is e.astype and j.inputs[0] is hot for i, j in pairs)


def _same_labels(labels: Tensor, checked: Tensor) -> bool:
    """Whether ``checked`` is ``labels`` after the check of their range."""
    gathered = layout(checked)
    if gathered.source.op is not index.gather:
        return False
    first, second = layout(labels), layout(gathered.source.inputs[1])
    orders = [[k for k in found.axes if k is not None] for found in (first, second, gathered)]
    straight = all(order == sorted(order) for order in orders)
    return straight and first.source is second.source


def _weighted_difference(m: Match) -> Tensor | None:
    """a * q - where(t, a, 0) is a * (q - t) for a softmax q, and the other way round."""
    chosen = m.node.inputs[0] if m.node.inputs[1] is m.y else m.node.inputs[1]
    literal, found = factors_of(m.y)
    own_literal, own = factors_of(m.a)
    left = found - own
    if literal != own_literal or own - found or left.total() != 1:
        return None
    ((q, power),) = left
    if q.op is not r.softmax or power != 1 or not (m.t.shape == q.shape == m.node.shape):
        return None
    hot = f.astype(m.t, m.node.dtype)
    inside = f.subtract(q, hot) if m.node.inputs[1] is chosen else f.subtract(hot, q)
    return f.multiply(m.a, inside)


def _less_own_share(m: Match) -> Tensor | None:
    """h - q * sum(h) with a multiple of q as a term of h: that term cancels."""
    if m.q.op is not r.softmax or row_sum_of(m.y, m.x) != m.q.attrs["axis"]:
        return None
    if m.x.op not in (e.add, e.subtract) or m.x.shape != m.q.shape:
        return None
    for own, rest in (m.x.inputs, m.x.inputs[::-1]):
        if rest.shape == m.q.shape and _is_multiple(own, m.q):
            negated = m.x.op is e.subtract and rest is m.x.inputs[1]
            part = f.multiply(m.q, f.sum(rest, axis=m.q.attrs["axis"], keepdims=True))
            return f.subtract(
                *((rest, part) if (m.node.inputs[0] is m.x) != negated else (part, rest))
            )
    return None


def _is_multiple(x: Tensor, q: Tensor) -> bool:
    """Whether x is q times a literal of moderate magnitude."""
    literal, found = factors_of(x)
    return 1e-30 <= abs(literal) <= 1e30 and found == Counter([(q, 1)])


# ---- scales and signs ----------------------------------------------------------------------------


def _opposite(m: Match) -> bool:
    if m.a.ndim or m.b.ndim or m.node.dtype.kind != "f":
        return False
    one, two = coefficient(m.a), coefficient(m.b)
    return (
        one is not None
        and two is not None
        and one[1] is two[1]
        and one[0] == -two[0]
        and two[0] > 0
    )


def _safely(m: Match) -> bool:
    """Whether the difference of x and y overflows only where their multiples did."""
    bounded = m.facts.bounded(m.x) and m.facts.bounded(m.y)
    return bounded and m.facts.safe_scale(m.b, m.node.shape)


def _sign_inside(m: Match) -> Tensor | None:
    return negated(m.y) if m.y.op is e.multiply else None


def _plus_negated(m: Match) -> Tensor | None:
    """x - (-c / n) * y is x + (c / n) * y."""
    new = negated(m.y) if m.y.op is e.multiply else None
    return None if new is None else f.add(m.x, new)


def _is_softmax(m: Match) -> bool:
    return m.q.op is r.softmax


def _normalised(m: Match) -> bool:
    """Whether m.y is the sum, and it is known to be one, of m.t."""
    axes = row_sum_of(m.y, m.t)
    return axes is not None and m.facts.sums_to_one(m.t, axes)


def _scaled_normalised(m: Match) -> Tensor | None:
    """c * p - q * sum(c * p) is c * (p - q) where p adds up to one, and the other way round."""
    axes = row_sum_of(m.y, m.t)
    if axes is None or m.q.op is not r.softmax or m.q.shape != m.t.shape:
        return None
    found = normalised_part(m.t, axes, m.facts)
    if found is None:
        return None
    scale, p = found
    first, second = (p, m.q) if m.node.inputs[0] is m.t else (m.q, p)
    new = negated(scale)
    if new is not None:
        scale, first, second = new, second, first
    return f.multiply(scale, f.subtract(first, second))


SOFT = P.softmax(u).named("q")
WEIGHTED = P.sum(P.multiply(P.divide(a, SOFT), SOFT)).named("s")

# fmt: off
GRADIENTS: tuple[Rule, ...] = (
    *SOFTMAX_FACTORS,
    Rule("softmax_weighted_quotient", P.multiply(SOFT, P.expand_dims(WEIGHTED)), _weighted_quotient,
        STABILISING),
    Rule("softmax_weighted_quotient_vector", P.multiply(SOFT, WEIGHTED), _weighted_quotient,
        STABILISING),
    Rule("softmax_backprop",
        P.multiply(SOFT, P.subtract(x, y).named("d")), _backprop, STABILISING),
    Rule("softmax_backprop_sum",
        P.multiply(SOFT, P.add(x, y).named("d")), _backprop, STABILISING),
    # ---- q - p (section 6.5.9) -------------------------------------------------------------------
    Rule("times_positive_quotient_minus",
        P.multiply(q, P.subtract(P.divide(a, q), b)), P.subtract(a, P.multiply(q, b)), STABILISING,
        lambda m: m.facts.positive(m.q)),
    Rule("minus_times_positive_quotient",
        P.multiply(q, P.subtract(b, P.divide(a, q))), P.subtract(P.multiply(q, b), a), STABILISING,
        lambda m: m.facts.positive(m.q)),
    Rule("times_positive_quotient_plus",
        P.multiply(q, P.add(P.divide(a, q), b)), P.add(a, P.multiply(q, b)), STABILISING,
        lambda m: m.facts.positive(m.q)),
    Rule("minus_normalised",
        P.subtract(t, P.multiply(q, y)), P.subtract(t, q), STABILISING, _normalised),
    Rule("normalised_minus",
        P.subtract(P.multiply(q, y), t), P.subtract(q, t), STABILISING, _normalised),
    Rule("minus_scaled_normalised",
        P.subtract(t, P.multiply(q, y)), _scaled_normalised, STABILISING),
    Rule("scaled_normalised_minus",
        P.subtract(P.multiply(q, y), t), _scaled_normalised, STABILISING),
    Rule("normalised_factor",
        P.multiply(P.multiply(t, x), y), P.multiply(t, x), STABILISING,
        lambda m: m.t.op is r.softmax and _normalised(m)),
    Rule("weighted_shares_less_labels",
        P.subtract(P.multiply(x, b).named("y"), P.where(t, a, 0)), _weighted_difference,
        STABILISING),
    Rule("weighted_labels_less_shares",
        P.subtract(P.where(t, a, 0), P.multiply(x, b).named("y")), _weighted_difference,
        STABILISING),
    Rule("less_own_share",     P.subtract(x, P.multiply(q, y)),    _less_own_share, STABILISING),
    Rule("own_share_less",     P.subtract(P.multiply(q, y), x),    _less_own_share, STABILISING),
    # ---- scales and signs ------------------------------------------------------------------------
    Rule("opposite_scales",
        P.add(P.multiply(a, x), P.multiply(b, y)), P.multiply(b, P.subtract(y, x)), FINITE_ONLY,
        _opposite, sound=_safely),
    Rule("subtract_negative_scale",
        P.subtract(x, P.multiply(a, b).named("y")), _plus_negated, EXACT),
    Rule("negative_scale",     P.negative(P.multiply(a, b).named("y")), _sign_inside, EXACT),
)
# fmt: on
