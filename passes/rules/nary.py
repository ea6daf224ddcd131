"""Sums and products of any length and nesting: terms and factors gathered once, at the top.

The engine offers a tree of one family of operations (say ``add``, ``subtract`` and ``negative``)
when something else uses its top; inner nodes have no other users. Gathering is linear in the tree,
and a tree is rebuilt only where something merges, in the order of first appearance.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from symgraph.functions.variables import number
from symgraph.ops import elementwise as e
from symgraph.ops import leaves
from symgraph.ops import shape as s
from symgraph.passes.rules.pattern import Tree, literal_of
from symgraph.passes.rules.rule import EXACT, FINITE_ONLY, NORMWISE, Match, Rule
from symgraph.tensor import Tensor, apply
from symgraph.types import DType

__all__ = ["NARY", "SUM"]

#: a leaf of a tree with its sign (of a sum) or its exponent (of a product)
Leaf = tuple[Tensor, int]

#: the coefficients (exponents) of what occurs, and the literal among them
Collected = tuple[dict[Tensor, float], float]

_SUMS, _FACTORS = frozenset((e.add, e.subtract, e.negative)), frozenset((e.multiply,))
SUM = Tree(_SUMS, _FACTORS, kinds="f")
SUM_INTEGER = Tree(_SUMS, _FACTORS, kinds="iu")
PRODUCT = Tree(_FACTORS, kinds="iu")
#: what may hold a literal, or a factor that another term has too
MERGING = frozenset((e.multiply, leaves.constant, s.broadcast_to))
QUOTIENT = Tree(frozenset((e.multiply, e.divide, e.square)), kinds="f")

# ---- gathering -----------------------------------------------------------------------------------


def _parts(node: Tensor, weight: int) -> list[Leaf]:
    """The operands of one node of a tree, with their signs or exponents."""
    ins = node.inputs
    if node.op is e.square:
        return [(ins[0], 2 * weight)]
    if node.op is e.negative:
        return [(ins[0], -weight)]
    if node.op in (e.subtract, e.divide):
        return [(ins[0], weight), (ins[1], -weight)]
    return [(i, weight) for i in ins]


def _gathered(m: Match, tree: Tree) -> list[Leaf]:
    """The leaves of the tree below the match, from left to right."""
    found: list[Leaf] = []
    stack: list[Leaf] = [(m.node, 1)]
    while stack:
        node, weight = stack.pop()
        if node is m.node or (node.op in tree.ops and m.only_user(node)):
            stack += reversed(_parts(node, weight))
        else:
            found.append((node, weight))
    return found


def _addends(m: Match) -> list[Leaf]:
    return m.once(SUM, lambda: _sum(m))[0]


def _sum(m: Match) -> tuple[list[Leaf], bool]:
    """The leaves of a sum, and whether any of them may merge: a cheap first look."""
    found = _gathered(m, SUM)
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


def _half(dtype: DType) -> int:
    return int(2 ** (8 * dtype.itemsize - 1))


def _centred(value: float, dtype: DType) -> float:
    """An integer wrapped into -half .. half - 1; a float as it is."""
    if dtype.kind == "f":
        return value
    half = _half(dtype)
    return (int(value) + half) % (2 * half) - half


def _literal(value: float, dtype: DType) -> Tensor:
    """The literal of a coefficient; negative ones wrap in unsigned types."""
    wraps = dtype.kind == "u" and value < 0
    return number(value + 2 * _half(dtype) if wraps else value, dtype)


def _fits(value: float, dtype: DType) -> bool:
    """Whether a float literal is 0 or a normal number of ``dtype``."""
    if dtype.kind != "f":
        return True
    limits = np.finfo(dtype)
    return value == 0 or float(limits.tiny) <= abs(value) <= float(limits.max)


def _sum_of(collected: Collected, dtype: DType) -> Tensor | None:
    """The sum of terms; lower ranks come first, so that nothing is stretched before it has to be.

    None where a coefficient is too large or too small for a literal.
    """
    bases, literal = collected
    if not all(_fits(v, dtype) for v in (*bases.values(), literal)):
        return None
    literal = _centred(literal, dtype)
    total = None if literal == 0 else _literal(literal, dtype)
    for base, value in sorted(bases.items(), key=lambda term: term[0].ndim):
        total = _plus(total, _centred(value, dtype), base)
    return number(0, dtype) if total is None else total


def _plus(total: Tensor | None, value: float, base: Tensor) -> Tensor | None:
    """``total + value * base``, with a difference for a negative coefficient."""
    if value == 0:
        return total
    dtype = base.dtype
    minus = value < 0 and (value == -1 if total is None else value != -_half(dtype))
    size = -value if minus else value
    term = base if size == 1 else apply(e.multiply, (_literal(size, dtype), base))
    if total is None:
        return apply(e.negative, (term,)) if minus else term
    return apply(e.subtract if minus else e.add, (total, term))


def _product(factors: list[Tensor]) -> Tensor | None:
    """The product of factors, lower ranks first."""
    total: Tensor | None = None
    for factor in sorted(factors, key=lambda x: x.ndim):
        total = factor if total is None else apply(e.multiply, (total, factor))
    return total


def _power(x: Tensor, n: int) -> Tensor:
    """x to a positive integer power, by squaring."""
    found: Tensor | None = None
    while True:
        if n % 2:
            found = x if found is None else apply(e.multiply, (found, x))
        n //= 2
        if n == 0:
            assert found is not None
            return found
        x = apply(e.square, (x,))


# ---- sums ----------------------------------------------------------------------------------------


def _merges(terms: list[tuple[float, Tensor | None]]) -> bool:
    return len({base for _, base in terms}) < len(terms)


def _like_terms(m: Match) -> Tensor | None:
    terms = _terms(m)
    return _sum_of(_added(terms), m.node.dtype) if _merges(terms) else None


def _magnitude(m: Match, x: Tensor) -> float:
    """A bound of the elements of x that are not NaN."""
    return max(map(abs, m.facts.interval(x)))


def _same_sign(m: Match) -> bool:
    """Whether no like terms cancel, and no order of adding overflows."""
    terms = _terms(m)
    if not _merges(terms):
        return False
    signs: dict[Tensor | None, float] = {}
    for value, base in terms:
        if not signs.setdefault(base, value) * value > 0:
            return False
    sizes = [abs(v) * (1 if base is None else _magnitude(m, base)) for v, base in terms]
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
    return _plus(rest, 1, number(total, m.node.dtype)) if total > 0 else _less(rest, -total)


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


def _factors(m: Match, x: Tensor) -> tuple[Tensor, ...]:
    """The factors of a term that no other node uses; literals do not count."""
    if x.op is not e.multiply or not m.only_user(x):
        return ()
    return tuple([i for i in x.inputs if literal_of(i) is None])


def _groups(m: Match) -> tuple[dict[Tensor, Group], Group]:
    """The terms by a factor that they share, frequent factors first, and those that share none."""
    terms = _addends(m)
    if sum([x.op is e.multiply for x, _ in terms]) < 2:
        return {}, terms
    having: dict[Tensor, list[int]] = {}
    for k, (x, _) in enumerate(terms):
        for factor in dict.fromkeys(_factors(m, x)):
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
    groups, rest = _groups(m)
    if not groups:
        return None
    total: Tensor | None = None
    for factor, group in groups.items():
        inner: Tensor | None = None
        for x, sign in group:
            inner = _plus(inner, sign, _other(x, factor))
        assert inner is not None
        total = _plus(total, 1, apply(e.multiply, (factor, inner)))
    for x, sign in rest:
        total = _plus(total, sign, x)
    return total


def _other(product: Tensor, factor: Tensor) -> Tensor:
    first, second = product.inputs
    return second if first is factor else first


def _regroups(m: Match) -> bool:
    """Whether regrouping cannot overflow: two terms and a factor of at least 1, or small values."""
    groups, rest = _groups(m)
    if not groups:
        return False
    if not rest and len(groups) == 1:
        ((factor, group),) = groups.items()
        if len(group) == 2 and m.facts.grows(factor, m.node.shape):
            return True
    sizes = [_magnitude(m, x) for x, _ in rest]
    for factor, group in groups.items():
        scale = max(1, _magnitude(m, factor))
        sizes += [scale * max(1, _magnitude(m, _other(x, factor))) for x, _ in group]
    return sum(sizes) <= LARGE


# ---- products ------------------------------------------------------------------------------------


def _integer_factors(m: Match) -> Tensor | None:
    found = m.once(PRODUCT, lambda: _gathered(m, PRODUCT))
    powers, literal, literals = _multiplied(found)
    if len(powers) + min(literals, 1) == len(found):
        return None
    literal = _centred(literal, m.node.dtype)
    rest = _product([_power(x, n) for x, n in powers.items()])
    if rest is None or literal == 0:
        return _literal(literal, m.node.dtype)
    return _plus(None, literal, rest)


def _multiplied(found: list[Leaf]) -> tuple[dict[Tensor, int], float, int]:
    """The exponents of what occurs, the product of the literals, and how many of them there are."""
    powers: dict[Tensor, int] = {}
    literal: float = 1
    literals = 0
    for x, n in found:
        value = literal_of(x)
        if value is None or (value == 0 and n < 0) or not np.isfinite(value):
            powers[x] = powers.get(x, 0) + n
        else:
            literals += 1
            literal = _scaled(literal, value, n)
    return powers, literal, literals


def _by_squaring(found: Iterable[Leaf]) -> bool:
    """Whether each factor stands to different powers of two of one sign, as _power leaves it."""
    seen: dict[Tensor, int] = {}
    for x, n in found:
        before = seen.get(x, 0)
        if abs(n).bit_count() != 1 or before * n < 0 or abs(before) & abs(n):
            return False
        seen[x] = before + n
    return True


def _scaled(literal: float, value: float, n: int) -> float:
    if isinstance(value, int):
        return int(literal) * pow(value, n, 2**64) % 2**64
    with np.errstate(all="ignore"):
        power = float(np.power(float(value), float(n)).item())
    return literal * power


def _like_factors(m: Match) -> Tensor | None:
    """All factors with their exponents: those above 0 over those below."""
    found = m.once(QUOTIENT, lambda: _gathered(m, QUOTIENT))
    powers, literal, literals = _multiplied(found)
    settled = literals < 2 and _by_squaring(x for x in found if x[0] in powers)
    if settled or not _fits(literal, m.node.dtype):
        return None
    above = _product([_power(x, n) for x, n in powers.items() if n > 0])
    below = _product([_power(x, -n) for x, n in powers.items() if n < 0])
    factor = number(literal, m.node.dtype)
    if below is not None and above is None:
        return apply(e.divide, (factor, below))
    total = above if below is None or above is None else apply(e.divide, (above, below))
    if total is None or literal == 0:
        return factor
    return total if literal == 1 else apply(e.multiply, (factor, total))


# fmt: off
NARY: tuple[Rule, ...] = (
    # ---- sums ------------------------------------------------------------------------------------
    Rule("sum_terms_integer",  SUM_INTEGER, _like_terms,  EXACT),
    Rule("sum_literals",       SUM,      _literal_terms,  NORMWISE, _may_merge),
    Rule("sum_terms",          SUM,      _like_terms,     FINITE_ONLY, _may_merge,
        sound=_same_sign),
    Rule("sum_shared_factor",  SUM,      _shared_factor,  FINITE_ONLY, _may_merge,
        sound=_regroups),
    # ---- products --------------------------------------------------------------------------------
    Rule("product_factors_integer", PRODUCT, _integer_factors, EXACT),
    Rule("product_factors",    QUOTIENT, _like_factors,   FINITE_ONLY),
)
# fmt: on
