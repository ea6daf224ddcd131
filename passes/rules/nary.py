"""Sums of any length and nesting: terms gathered once, at the top; those of products join them.

The engine offers a tree of one family of operations (say ``add``, ``subtract`` and ``negative``)
when something else uses its top; inner nodes have no other users. Gathering is linear in the tree,
and a tree is rebuilt only where something merges, in the order of first appearance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from symgraph.functions.variables import number
from symgraph.ops import elementwise as e
from symgraph.ops import leaves
from symgraph.ops import shape as s
from symgraph.passes.rules.coefficients import normal
from symgraph.passes.rules.factors import FACTORS
from symgraph.passes.rules.pattern import Tree, literal_of
from symgraph.passes.rules.rule import EXACT, FINITE_ONLY, NORMWISE, Match, Rule
from symgraph.passes.rules.trees import Leaf, centred, gathered, literal_of_value, plus, product
from symgraph.tensor import Tensor, apply
from symgraph.types import DType

__all__ = ["NARY", "SUM"]

#: the coefficients (exponents) of what occurs, and the literal among them
Collected = tuple[dict[Tensor, float], float]

_SUMS, _FACTORS = frozenset((e.add, e.subtract, e.negative)), frozenset((e.multiply,))
SUM = Tree(_SUMS, _FACTORS, kinds="f")
SUM_INTEGER = Tree(_SUMS, _FACTORS, kinds="iu")
#: what may hold a literal, or a factor that another term has too
MERGING = frozenset((e.multiply, leaves.constant, s.broadcast_to))

# ---- gathering -----------------------------------------------------------------------------------


def _addends(m: Match) -> list[Leaf]:
    return m.once(SUM, lambda: _sum(m))[0]


def _sum(m: Match) -> tuple[list[Leaf], bool]:
    """The leaves of a sum, and whether any of them may merge: a cheap first look."""
    found = gathered(m, SUM)
    merging = len(dict(found)) < len(found) or not MERGING.isdisjoint([x.op for x, _ in found])
    return found, merging


def _may_merge(m: Match) -> bool:
    return m.once(SUM, lambda: _sum(m))[1]


def _split(x: Tensor) -> tuple[float, Tensor | None]:
    """A term as a literal coefficient and what it multiplies; None for a literal alone."""
    value = literal_of(x)
    if value is not None:
        return value, None
    if x.op is e.multiply:
        for factor, rest in (x.inputs, x.inputs[::-1]):
            value = literal_of(factor)
            if value is not None and rest.shape == x.shape:
                return value, rest
    return 1, x


def _terms(m: Match) -> list[tuple[float, Tensor | None]]:
    """The terms of a sum: coefficient and base."""
    split = [(sign, *_split(x)) for x, sign in _addends(m)]
    return [(sign * value, base) for sign, value, base in split]


def _added(terms: Iterable[tuple[float, Tensor | None]]) -> Collected:
    """Like terms together."""
    found: dict[Tensor, float] = {}
    literal: float = 0
    for value, base in terms:
        if base is None:
            literal += value
        else:
            found[base] = found.get(base, 0) + value
    return found, literal


# ---- building ------------------------------------------------------------------------------------


def _fits(value: float, dtype: DType) -> bool:
    """Whether a sum of literals is a literal again: 0, or a normal number of ``dtype``."""
    return value == 0 or normal(value, dtype)


def _sum_of(collected: Collected, dtype: DType) -> Tensor | None:
    """The sum of terms; lower ranks come first, so that nothing is stretched before it has to be.

    None where a coefficient is too large or too small for a literal.
    """
    bases, literal = collected
    if not all(_fits(v, dtype) for v in (*bases.values(), literal)):
        return None
    literal = centred(literal, dtype)
    total = None if literal == 0 else literal_of_value(literal, dtype)
    for base, value in sorted(bases.items(), key=lambda term: term[0].ndim):
        total = plus(total, centred(value, dtype), base)
    return number(0, dtype) if total is None else total


# ---- sums ----------------------------------------------------------------------------------------


def _merges(terms: list[tuple[float, Tensor | None]]) -> bool:
    return len({base for _, base in terms}) < len(terms)


def _like_terms(m: Match) -> Tensor | None:
    terms = _terms(m)
    return _sum_of(_added(terms), m.node.dtype) if _merges(terms) else None


def _same_sign(m: Match) -> bool:
    """Whether no like terms cancel, and no order of adding overflows."""
    terms = _terms(m)
    if not _merges(terms):
        return False
    signs: dict[Tensor | None, float] = {}
    for value, base in terms:
        if not signs.setdefault(base, value) * value > 0:
            return False
    sizes = [abs(v) * (1 if base is None else m.facts.magnitude(base)) for v, base in terms]
    return sum(sizes) <= LARGE


#: literals up to MODERATE are lost beside values near overflow; values up to LARGE are finite
MODERATE, LARGE = 1e30, 1e37


def _literal_terms(m: Match) -> Tensor | None:
    """Literals of one sign rise to the top and become one; the other terms stay as they stand.

    Those of opposite signs stay: adding a large number and taking it away again rounds.
    """
    literals = [sign * value for x, sign in _addends(m) if (value := literal_of(x)) is not None]
    if len(literals) < 2 or not (min(literals) > 0 or max(literals) < 0):
        return None
    total = sum(literals)
    rest = _stripped(m)
    if abs(total) > MODERATE or rest is None:
        return None
    return plus(rest, 1, number(total, m.node.dtype)) if total > 0 else _less(rest, -total)


def _less(rest: Tensor, value: float) -> Tensor:
    return apply(e.subtract, (rest, number(value, rest.dtype)))


def _stripped(m: Match) -> Tensor | None:
    """The tree of a sum without its literals, otherwise as it was; None if nothing is left."""
    done: dict[Tensor, Tensor | None] = {}
    stack = [m.node]
    while stack:
        node = stack[-1]
        inner = node is m.node or (node.op in SUM.ops and m.only_user(node))
        waiting = [i for i in node.inputs if i not in done] if inner else []
        if node in done:
            stack.pop()
        elif waiting:
            stack += waiting
        elif inner:
            done[node] = _joined(node, [done[i] for i in node.inputs])
        else:
            done[node] = node if literal_of(node) is None else None
    return done[m.node]


def _joined(node: Tensor, parts: list[Tensor | None]) -> Tensor | None:
    """One node of a sum on what is left of its operands."""
    kept = [p for p in parts if p is not None]
    if len(kept) == len(parts):
        return apply(node.op, tuple(kept))
    if not kept:
        return None
    return apply(e.negative, (kept[0],)) if parts[0] is None and node.op is e.subtract else kept[0]


# ---- shared factors ------------------------------------------------------------------------------

#: for each term that shares a factor with another: the factor, what it multiplies, the sign
Group = list[tuple[Tensor, int]]

#: how the factors of a term are found
Factors = Callable[[Match, Tensor], tuple[Tensor, ...]]


def _factors(m: Match, x: Tensor) -> tuple[Tensor, ...]:
    """The factors of a term that no other node uses."""
    return x.inputs if x.op is e.multiply and m.only_user(x) else ()


def _all_factors(m: Match, x: Tensor) -> tuple[Tensor, ...]:
    """The factors of a product however it is nested, literals among them.

    A product that others use too is a factor of its own: v * w + s * (v * w).
    """
    if x.op is not e.multiply:
        return ()
    if not m.only_user(x):
        return (x,)
    found: list[Tensor] = []
    stack = [x]
    while stack:
        node = stack.pop()
        if node.op is e.multiply and m.only_user(node):
            stack += reversed(node.inputs)
        else:
            found.append(node)
    return tuple(found)


def _groups(m: Match, factors: Factors) -> tuple[dict[Tensor, Group], Group]:
    """The terms by a factor that they share, frequent factors first, and those that share none."""
    terms = _addends(m)
    if sum([x.op is e.multiply for x, _ in terms]) < 2:
        return {}, terms
    having: dict[Tensor, list[int]] = {}
    for k, (x, _) in enumerate(terms):
        for factor in dict.fromkeys(factors(m, x)):
            if literal_of(factor) is None:
                having.setdefault(factor, []).append(k)
    groups: dict[Tensor, Group] = {}
    free = dict.fromkeys(range(len(terms)))
    for factor, places in sorted(having.items(), key=lambda found: -len(found[1])):
        group = [terms[k] for k in places if k in free]
        if len(group) > 1 and _one_shape(group):
            groups[factor] = group
            for k in places:
                free.pop(k, None)
    return groups, [terms[k] for k in free]


def _one_shape(group: Group) -> bool:
    return len({x.shape for x, _ in group}) == 1


def _shared_factor(m: Match) -> Tensor | None:
    groups, rest = _groups(m, _factors)
    if not groups:
        return None
    total: Tensor | None = None
    for factor, group in groups.items():
        inner: Tensor | None = None
        for x, sign in group:
            inner = plus(inner, sign, _other(x, factor))
        assert inner is not None
        total = plus(total, 1, apply(e.multiply, (factor, inner)))
    for x, sign in rest:
        total = plus(total, sign, x)
    return total


def _shared_factors(m: Match) -> Tensor | None:
    """All factors that terms share at once, however they are nested."""
    groups, rest = _groups(m, _all_factors)
    if not groups:
        return None
    total: Tensor | None = None
    for group in groups.values():
        total = plus(total, 1, _factored(m, group))
    for x, sign in rest:
        total = plus(total, sign, x)
    return total


def _factored(m: Match, group: Group) -> Tensor:
    """The product of the common factors with the sum of what is left of the terms."""
    parts = [Counter(_all_factors(m, x)) for x, _ in group]
    common = parts[0].copy()
    for part in parts:
        common &= part
    inner: Tensor | None = None
    for part, (_, sign) in zip(parts, group, strict=True):
        left = product(list((part - common).elements()))
        inner = plus(inner, sign, number(1, m.node.dtype) if left is None else left)
    outer = product(list(common.elements()))
    assert outer is not None and inner is not None
    return apply(e.multiply, (outer, inner))


def _other(product: Tensor, factor: Tensor) -> Tensor:
    first, second = product.inputs
    return second if first is factor else first


def _regroups(m: Match) -> bool:
    """Whether regrouping cannot overflow: two terms and a factor of at least 1, or small values."""
    groups, rest = _groups(m, _factors)
    if not groups:
        return False
    if not rest and len(groups) == 1:
        ((factor, group),) = groups.items()
        if len(group) == 2 and m.facts.grows(factor, m.node.shape):
            return True
    sizes = [m.facts.magnitude(x) for x, _ in rest]
    for factor, group in groups.items():
        scale = max(1, m.facts.magnitude(factor))
        sizes += [scale * max(1, m.facts.magnitude(_other(x, factor))) for x, _ in group]
    return sum(sizes) <= LARGE


# fmt: off
NARY: tuple[Rule, ...] = (
    # ---- sums ------------------------------------------------------------------------------------
    Rule("sum_terms_integer",  SUM_INTEGER, _like_terms,  EXACT),
    Rule("sum_literals",       SUM,      _literal_terms,  NORMWISE, _may_merge),
    Rule("sum_terms",          SUM,      _like_terms,     FINITE_ONLY, _may_merge,
        sound=_same_sign),
    Rule("sum_shared_factors", SUM,      _shared_factors, FINITE_ONLY, _may_merge),
    Rule("sum_shared_factor",  SUM,      _shared_factor,  FINITE_ONLY, _may_merge,
        sound=_regroups),
    # ---- products --------------------------------------------------------------------------------
    *FACTORS,
)
# fmt: on
