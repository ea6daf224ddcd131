"""exp(u) times terms divided by its sum: what differentiating a softmax spelled out leaves."""

from __future__ import annotations

from symgraph import functions as f
from symgraph.ops import elementwise as e
from symgraph.ops import index
from symgraph.ops import reduction as r
from symgraph.ops import shape as s
from symgraph.passes.facts import Facts
from symgraph.passes.rebuild import rebuilt
from symgraph.passes.rules.layout import layout
from symgraph.passes.rules.pattern import P, Var, literal_of
from symgraph.passes.rules.rule import STABILISING, Match, Rule
from symgraph.passes.rules.softmax import spelled_softmax
from symgraph.tensor import Tensor, apply

__all__ = ["SOFTMAX_FACTORS", "is_masked", "with_input"]

a, b, u, y = Var("a"), Var("b"), Var("u"), Var("y")
DEPTH = 8


def with_input(x: Tensor | None, k: int, new: Tensor | None) -> Tensor | None:
    if x is None or new is None:
        return None
    return rebuilt(x, (*x.inputs[:k], new, *x.inputs[k + 1 :]))


def _softmax_factor(m: Match) -> Tensor | None:
    """exp(u) times terms that all have one over its sum as a factor: softmax(u) times the rest.

    This is what differentiating a softmax spelled as exp over sum leaves behind.
    """
    value = m.e
    if value.op is e.power and literal_of(value.inputs[0]) is None:
        return None
    total = _denominator(m.y, layout(value).source, m.node.ndim)
    if total is None:
        return None
    found = spelled_softmax(value, total, m.node.ndim, m.facts)
    rest = None if found is None else _quotient(m.y, total, m.facts, DEPTH)
    return None if found is None or rest is None else _weighted(found, rest, m.facts)


def _scaled_softmax_factor(m: Match) -> Tensor | None:
    """The same with a scalar at the exponential, as the derivative of 2**u has."""
    found = None if m.a.ndim else _softmax_factor(m)
    return None if found is None else f.multiply(m.a, found)


def _weighted(q: Tensor, rest: Tensor, facts: Facts) -> Tensor:
    """q times the rest; term by term where terms may differ by more than the largest number.

    A cotangent with a divisor, which may be q, stays whole for ``softmax_backprop`` to find.
    """
    terms = rest.inputs
    whole = rest.op not in (e.add, e.subtract) or all(facts.bounded(i) for i in terms)
    if whole or any(_divided(i, DEPTH) for i in terms):
        return f.multiply(q, rest)
    return apply(rest.op, tuple(f.multiply(q, i) for i in terms))


def _divided(x: Tensor, depth: int) -> bool:
    """Whether a factor of x is divided by anything but a scalar."""
    if depth == 0 or x.op not in _FACTORED:
        return False
    if x.op is e.divide and x.inputs[1].ndim:
        return True
    return any(_divided(i, depth - 1) for i in x.inputs)


_FACTORED = frozenset(
    (e.divide, e.multiply, e.negative, e.where, s.expand_dims, s.broadcast_to, index.scatter_add)
)


def _denominator(x: Tensor, core: Tensor, rank: int) -> Tensor | None:
    """A sum of ``core`` by which something in x is divided, at the rank of the whole."""
    level = [(x, x)]  # a node, and the expand_dims above it if it has fewer axes
    for _ in range(DEPTH):
        following: list[tuple[Tensor, Tensor]] = []
        for node, above in level:
            if node.op is e.divide and _sums(node.inputs[1], core):
                if node.ndim == rank:
                    return node.inputs[1]
                if above.op is s.expand_dims and node.inputs[1].ndim == above.inputs[0].ndim:
                    return f.expand_dims(node.inputs[1], above.attrs["axes"])
            if node.op in _TRANSPARENT:
                over = node if node.op is s.expand_dims and node.ndim == rank else above
                following.extend((i, over) for i in node.inputs)
        level = following[:DEPTH]
    return None


def _sums(x: Tensor, core: Tensor) -> bool:
    """Whether x is a sum of ``core``, both laid out somehow."""
    total = layout(x).source
    return total.op is r.sum_ and layout(total.inputs[0]).source is core


_TRANSPARENT = frozenset(
    (e.add, e.subtract, e.multiply, e.divide, e.negative, e.where, r.sum_, s.expand_dims)
)


def _quotient(x: Tensor, total: Tensor, facts: Facts, depth: int) -> Tensor | None:
    """x without the factor 1 / total that every term of it has; None if one lacks it, or where a
    product without it may overflow.
    """
    if depth == 0 or x.op not in _TRANSPARENT:
        return None
    ins = x.inputs

    def without(k: int, total: Tensor = total) -> Tensor | None:
        return with_input(x, k, _quotient(ins[k], total, facts, depth - 1))

    if x.op is e.divide and ins[1] is total:
        return f.broadcast_to(ins[0], x.shape)
    if x.op in (e.divide, e.negative):
        return without(0)
    if x.op is e.where:
        return without(1) if is_masked(x) else None
    if x.op is e.multiply:
        first = without(0)
        new = without(1) if first is None else first
        safe = new is not None and any(_shrinks(i, total, facts) for i in new.inputs)
        return new if safe else None
    if x.op is s.expand_dims:
        same = total.op is s.expand_dims and total.attrs["axes"] == x.attrs["axes"]
        return without(0, total.inputs[0]) if same else None
    if x.op is r.sum_:
        wide = total.ndim or not ins[0].ndim
        return without(0, f.expand_dims(total, x.attrs["axis"]) if wide else total)
    return with_input(without(0), 1, _quotient(ins[1], total, facts, depth - 1))


def _shrinks(x: Tensor, total: Tensor, facts: Facts) -> bool:
    """Whether a product with x overflows no sooner than its other factor, or that over the
    total.
    """
    if x.op is e.divide and layout(x.inputs[1]).source is layout(total).source:
        x = x.inputs[0]
    low, high = facts.interval(x)
    span = facts.scale(x) if x.ndim == 0 else None
    return -1 <= low <= high <= 1 or (span is not None and span[1] <= 1)


def is_masked(x: Tensor) -> bool:
    """Whether x is a selection or 0."""
    return x.op is e.where and literal_of(x.inputs[2]) == 0


# fmt: off
SOFTMAX_FACTORS: tuple[Rule, ...] = (
    Rule("softmax_factor",
        P.multiply(P.exp(u).named("e"), y), _softmax_factor, STABILISING),
    Rule("softmax_factor_base_2",
        P.multiply(P.exp2(u).named("e"), y), _softmax_factor, STABILISING),
    Rule("softmax_factor_base",
        P.multiply(P.pow(b, u).named("e"), y), _softmax_factor, STABILISING),
    Rule("softmax_factor_scaled",
        P.multiply(P.multiply(a, P.exp2(u).named("e")), y), _scaled_softmax_factor, STABILISING),
)
# fmt: on
