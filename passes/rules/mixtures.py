"""Products of exponentials with matrices and vectors: averages under a softmax, and logarithms of
weighted sums.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from symgraph import functions as f
from symgraph.ops import elementwise as e
from symgraph.ops import product as p
from symgraph.ops import reduction as r
from symgraph.ops import shape as s
from symgraph.passes.rebuild import rebuilt
from symgraph.passes.rules.exponents import exponent, reduced_as
from symgraph.passes.rules.layout import MOVING, is_one, layout, reshaped
from symgraph.passes.rules.pattern import Kind, Node, P, Var
from symgraph.passes.rules.product_trees import BRANCHES, factors_of
from symgraph.passes.rules.rule import FINITE_ONLY, STABILISING, Match, Rule
from symgraph.passes.rules.softmax import spelled_softmax
from symgraph.tensor import Tensor, apply

__all__ = ["MIXTURES"]

u, y = Var("u"), Var("y")
LIMIT = 8


def _product(x: Tensor) -> Tensor | None:
    """The product of matrices that x is, perhaps without axes of length one."""
    inner = x.inputs[0] if x.op is s.squeeze else x
    return inner if inner.op is p.matmul else None


def _sides(product: Tensor) -> Iterator[tuple[int, Tensor, int]]:
    """Each factor with its place, and the axis that is summed."""
    left, right = product.inputs
    yield 0, left, left.ndim - 1
    yield 1, right, right.ndim - 2


def _softmax_mixes(m: Match) -> Tensor | None:
    """(exp(u) @ a) / sum(exp(u)) is softmax(u) @ a, on either side of the product."""
    mixed, total = m.node.inputs
    product = _product(mixed)
    if product is None or m.node.shape != mixed.shape:
        return None
    if mixed is not product and total.ndim:
        if total.ndim != mixed.ndim:
            return None
        total = f.expand_dims(total, mixed.attrs["axes"])
    for place, value, axis in _sides(product):
        if total.ndim and (total.ndim != value.ndim or not is_one(total.shape[axis])):
            continue
        share = spelled_softmax(value, total, value.ndim, m.facts)
        if share is None or share.shape != value.shape:
            continue
        factors = (share, product.inputs[1]) if place == 0 else (product.inputs[0], share)
        new = apply(p.matmul, factors)
        return new if mixed is product else rebuilt(mixed, (new,))
    return None


def _log_of_product(m: Match) -> Tensor | None:
    """log of exponentials times a vector of weights, or of other exponentials: a log-sum-exp."""
    product = _product(m.node.inputs[0])
    if product is None or any(i.ndim != 2 for i in product.inputs):
        return None
    for place, value, axis in _sides(product):
        weights = product.inputs[1 - place]
        if not is_one(weights.shape[1 - place]):
            continue
        if value.shape[axis] != weights.shape[place]:
            continue
        other = f.permute_dims(weights, (1, 0)) if place else f.squeeze(weights, 1)
        inside = exponent(f.multiply(value, other), m.facts)
        if inside is not None:
            return reshaped(f.logsumexp(inside, axis=axis, keepdims=True), m.node.shape)
    return None


# ---- weights that may be zero --------------------------------------------------------------------


def _weighted_share(m: Match) -> Tensor | None:
    """w * exp(u) over its sum, its factors in any order and one more of them: a softmax."""
    parts = list(factors_of(m.node))
    if len(parts) > LIMIT:
        return None
    for below in parts:
        total = layout(below.node).source
        if below.power > 0 or total.op is not r.sum_:
            continue
        wanted = Counter((t.node, t.power) for t in factors_of(total.inputs[0]))
        own = Counter((t.node, t.power) for t in parts if t is not below)
        rest = list((own - wanted).elements())
        if wanted - own or len(rest) > 1 or _signs(m.node) or _signs(total.inputs[0]):
            continue
        share = spelled_softmax(total.inputs[0], below.node, m.node.ndim, m.facts, vanishing=True)
        if share is None or share.shape != m.node.shape:
            continue
        for node, power in rest:
            share = (f.multiply if power > 0 else f.divide)(share, node)
        return share if share.shape == m.node.shape else None
    return None


def _signs(x: Tensor, depth: int = LIMIT) -> bool:
    """Whether a product tree holds a change of sign, as far down as its factors are looked for."""
    if x.op is e.negative or not depth:
        return x.op is e.negative
    return x.op in BRANCHES and any(_signs(i, depth - 1) for i in x.inputs)


def _over_weighted_sum(m: Match) -> Tensor | None:
    """exp(u) times one over a weighted sum of exponentials."""
    found = layout(m.y)
    if found.source.op is not r.sum_:
        return None
    inside = exponent(found.source.inputs[0], m.facts, vanishing=True)
    return None if inside is None else f.exp(m.u - reduced_as(m.y, found, inside))


def _may_share(inputs: tuple[Kind, ...]) -> bool:
    """Whether a total, or a tree that might hold one, stands among the factors."""
    return any(
        i.op in TOTALS or (i.op in BRANCHES and not _WITHIN.isdisjoint(i.ops)) for i in inputs
    )


#: what a sum, laid out beside its terms, is made by
TOTALS = MOVING | {r.sum_}

_WITHIN = TOTALS | BRANCHES

# fmt: off
MIXTURES: tuple[Rule, ...] = (
    Rule("softmax_mixes",
        Node(frozenset((e.divide,)), children=frozenset((p.matmul, s.squeeze))), _softmax_mixes,
        STABILISING),
    Rule("log_of_exp_product",
        Node(frozenset((e.log,)), children=frozenset((p.matmul, s.squeeze))), _log_of_product,
        STABILISING),
    Rule("weighted_share",
        Node(frozenset((e.multiply, e.divide))), _weighted_share, FINITE_ONLY,
        sound=lambda m: True, looks=_may_share),
    Rule("exp_over_weighted_sum", P.multiply(P.exp(u), P.divide(1, y)), _over_weighted_sum,
        FINITE_ONLY, sound=lambda m: True),
)
# fmt: on
