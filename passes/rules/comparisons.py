"""Comparisons as sets of outcomes, and what known ranges decide."""

from __future__ import annotations

import math

import numpy as np

from symgraph import functions as f
from symgraph.functions.variables import number, size_value
from symgraph.op import Op
from symgraph.ops import elementwise as e
from symgraph.ops import index, leaves
from symgraph.passes.facts import Known
from symgraph.passes.rules.layout import layout
from symgraph.passes.rules.pattern import Call, Const, Node, P, Var, literal_of
from symgraph.passes.rules.rule import EXACT, FINITE_ONLY, ROUNDING, Match, Rule, floating
from symgraph.sizes import differ, lower_bound, maximum, minimum
from symgraph.tensor import Tensor, apply

__all__ = ["ALL", "COMPARISONS", "LESS", "MORE", "NEITHER", "OUTCOMES", "SAME", "compared"]

a, b, x, y = Var("a"), Var("b"), Var("x"), Var("y")
c, d, h = Const("c"), Const("d"), Const("h")

# ---- comparisons of the same two values ----------------------------------------------------------

LESS, SAME, MORE, NEITHER = 1, 2, 4, 8
ALL = LESS | SAME | MORE | NEITHER

#: what may be the case where a comparison holds; NaN is neither less, the same nor more
OUTCOMES: dict[Op, int] = {
    e.less: LESS,
    e.less_equal: LESS | SAME,
    e.greater: MORE,
    e.greater_equal: MORE | SAME,
    e.equal: SAME,
    e.not_equal: LESS | MORE | NEITHER,
}
_SWAPPED = {LESS: MORE, MORE: LESS, SAME: SAME, NEITHER: NEITHER}


def _turned(outcomes: int) -> int:
    return sum(_SWAPPED[k] for k in (LESS, SAME, MORE, NEITHER) if outcomes & k)


def compared(x: Tensor, left: Tensor, right: Tensor) -> int | None:
    """The outcomes of ``left`` against ``right`` where the comparison x holds."""
    found = OUTCOMES.get(x.op)
    if found is None:
        return None
    a, b = x.inputs
    if a is left and b is right:
        return found
    return _turned(found) if a is right and b is left else None


def _combined(m: Match) -> Tensor | None:
    """``and``, ``or``, ``xor``, ``not`` of comparisons of the same two values are one."""
    first = m.node.inputs[0]
    if first.op not in OUTCOMES:
        return None
    left, right = first.inputs
    sets = [compared(i, left, right) for i in m.node.inputs]
    if sets[-1] is None or sets[0] is None:
        return None
    joined = {
        e.logical_and: sets[0] & sets[-1],
        e.logical_or: sets[0] | sets[-1],
        e.logical_xor: sets[0] ^ sets[-1],
        e.logical_not: ALL & ~sets[0],
    }[m.node.op]
    ordered = m.facts.nan_free(left) and m.facts.nan_free(right)
    return _spelled(joined, left, right, ALL & ~NEITHER if ordered else ALL)


def _spelled(outcomes: int, left: Tensor, right: Tensor, possible: int) -> Tensor | None:
    """The comparison that holds for these outcomes; None where there is none."""
    if not outcomes & possible:
        return _truth(False)
    if outcomes & possible == possible:
        return _truth(True)
    for op, found in OUTCOMES.items():
        if found & possible == outcomes & possible:
            return apply(op, (left, right))
    return None


def _truth(value: bool) -> Tensor:
    return f.constant(value, "bool")


# ---- comparisons that ranges decide --------------------------------------------------------------


def _possible(p: Known, q: Known) -> int:
    """The outcomes that the ranges of two values leave."""
    out = NEITHER if p.nan or q.nan else 0
    out |= LESS if p.lo < q.hi else 0
    out |= MORE if p.hi > q.lo else 0
    return out | (SAME if p.lo <= q.hi and q.lo <= p.hi else 0)


def _checked(x: Tensor) -> bool:
    """Whether x is picked by an index, whose range is checked then: labels, if of one class."""
    source = layout(x).source
    return source.op is index.gather


def _decided(m: Match) -> Tensor | None:
    left, right = m.node.inputs
    if left is right or _checked(left) or _checked(right):
        return None
    outcomes = OUTCOMES[m.node.op]
    possible = _possible(m.facts.known(left), m.facts.known(right))
    if not outcomes & possible:
        return _truth(False)
    return _truth(True) if not possible & ~outcomes else None


def _sizes_decided(m: Match) -> Tensor | None:
    """Sizes whose difference has a known sign. Conversion to a float keeps the order, not more."""
    p, q = (i.attrs["dim"] for i in m.node.inputs)
    low, high = lower_bound(p - q), lower_bound(q - p)
    possible = LESS | SAME | MORE
    if p == q:
        possible = SAME
    else:
        possible &= ~LESS if low is not None and low >= 0 else ALL
        possible &= ~MORE if high is not None and high >= 0 else ALL
        if m.node.inputs[0].dtype.kind != "f" and differ(p, q):
            possible &= ~SAME
    return _spelled_by(OUTCOMES[m.node.op], possible)


def _spelled_by(outcomes: int, possible: int) -> Tensor | None:
    if not outcomes & possible:
        return _truth(False)
    return _truth(True) if not possible & ~outcomes else None


def _extreme_size(m: Match) -> Tensor:
    p, q = (i.attrs["dim"] for i in m.node.inputs)
    pick = maximum if m.node.op is e.maximum else minimum
    return size_value(pick(p, q), m.node.dtype)


# ---- comparisons of conversions ------------------------------------------------------------------


def _cast_and_literal(m: Match) -> tuple[Tensor, Tensor] | None:
    """What was converted and compared with a literal, and the literal, whichever stands first."""
    for a, b in (m.node.inputs, m.node.inputs[::-1]):
        if a.op is e.astype and literal_of(b) is not None:
            return a.inputs[0], b
    return None


def _compare(m: Match, a: Tensor, b: Tensor) -> Tensor:
    """The same comparison of ``a``, in place of the conversion, with ``b``."""
    swapped = m.node.inputs[0].op is not e.astype
    return apply(m.node.op, (b, a) if swapped else (a, b))


def _mask_against_literal(m: Match) -> Tensor | None:
    """A converted mask compared with a literal is the mask, its opposite or settled."""
    found = _cast_and_literal(m)
    if found is None or found[0].dtype.kind != "b":
        return None
    truth, literal = found
    dtype = literal.dtype
    value = np.asarray(literal_of(literal), dtype)
    swapped = m.node.inputs[0] is literal
    no, yes = (
        bool(m.node.op.evaluate(*((value, at) if swapped else (at, value))))
        for at in (dtype.type(0), dtype.type(1))
    )
    if no == yes:
        return _truth(yes)
    return truth if yes else f.logical_not(truth)


def _integers_compared(m: Match) -> Tensor | None:
    """Converted integers compared with a whole number, both exact in the wider type."""
    found = _cast_and_literal(m)
    if found is None or found[0].dtype.kind not in "iu":
        return None
    inner, wide, literal = found[0], found[1].dtype, float(literal_of(found[1]) or 0)
    limits = np.iinfo(inner.dtype)
    if wide.kind == "b" or not literal.is_integer():
        return None
    if wide.kind != "f" and not np.can_cast(inner.dtype, wide, "safe"):
        return None
    exact = 2 ** np.finfo(wide).nmant if wide.kind == "f" else 2**53
    if abs(literal) >= exact or not limits.min <= literal <= limits.max:
        return None
    return _compare(m, inner, number(int(literal), inner.dtype))


def _operands_unconverted(m: Match) -> Tensor | None:
    """Two values converted without loss compare as they did before."""
    p, q = (i.inputs[0] for i in m.node.inputs)
    wide = m.node.inputs[0].dtype
    if p.dtype != q.dtype or p.dtype.kind == "b" or not np.can_cast(p.dtype, wide, "safe"):
        return None
    if p.dtype.itemsize == 8 and wide.kind == "f" and p.dtype.kind != "f":
        return None  # NumPy calls int64 to float64 safe
    return apply(m.node.op, (p, q))


# ---- minimum, maximum, clip, abs, sign -----------------------------------------------------------


def _above(big: Known, small: Known) -> bool:
    """Whether the maximum is always ``big``, signs of zeros included."""
    if small.nan or big.lo < small.hi:
        return False
    return big.lo > small.hi or big.lo != 0 or not big.minus


def _maximum_settled(m: Match) -> Tensor | None:
    p, q = m.node.inputs
    first, second = m.facts.known(p), m.facts.known(q)
    return p if _above(first, second) else q if _above(second, first) else None


def _below(small: Known, big: Known) -> bool:
    """Whether the minimum is always ``small``."""
    if big.nan or small.hi > big.lo:
        return False
    return small.hi < big.lo or small.hi != 0 or not big.minus


def _minimum_settled(m: Match) -> Tensor | None:
    p, q = m.node.inputs
    first, second = m.facts.known(p), m.facts.known(q)
    return p if _below(first, second) else q if _below(second, first) else None


def _inside(m: Match) -> bool:
    """Whether clip has nothing to do: bounds of zero clip a zero to their own sign."""
    k, low, high = m.facts.known(m.x), m.facts.known(m.a), m.facts.known(m.b)
    if low.nan or high.nan or not low.hi <= k.lo <= k.hi <= high.lo:
        return False
    return (low.hi != 0 or k.lo > 0 or not k.minus) and (high.lo != 0 or k.hi < 0 or not high.minus)


def _lower(m: Match) -> Tensor | None:
    """Only the lower bound of a clip can be met."""
    high = literal_of(m.h)
    if high is None or math.isnan(high) or m.facts.known(m.x).hi > high:
        return None
    low = literal_of(m.a)
    return None if low is None or not low < high else f.maximum(m.x, m.a)


def _upper(m: Match) -> Tensor | None:
    low, high = literal_of(m.c), literal_of(m.b)
    if low is None or high is None or math.isnan(low) or not low < high:
        return None
    return f.minimum(m.x, m.b) if m.facts.known(m.x).lo >= low else None


def _clip_of_clip(m: Match) -> Tensor | None:
    """Overlapping bounds meet."""
    low, high = f.maximum(m.a, m.c), f.minimum(m.b, m.d)
    values = [literal_of(v) for v in (m.a, m.b, m.c, m.d)]
    if any(v is None or math.isnan(v) for v in values):
        return None
    p, q, r, s = (float(v) for v in values if v is not None)
    if not (p < q and r < s and max(p, r) < min(q, s)):
        return None
    return apply(e.clip, (m.x, low, high))


def _twice(m: Match) -> Tensor:
    """max(max(x, c), d): the greater literal is left."""
    return apply(m.node.op, (m.x, apply(m.node.op, (m.c, m.d))))


def _signed(m: Match) -> bool:
    return m.node.dtype.kind in "if"


def _one_sign(m: Match) -> Tensor | None:
    k = m.facts.known(m.x)
    if k.nan or k.lo <= 0 <= k.hi:
        return None
    return number(1 if k.lo > 0 else -1, m.node.dtype)


_COMPARING = frozenset(OUTCOMES)
_CAST = frozenset((e.astype,))
_SIZE = frozenset((leaves.size,))
_LOGICAL = frozenset((e.logical_and, e.logical_or, e.logical_xor, e.logical_not))


_ORDERED = frozenset((e.less, e.less_equal, e.greater, e.greater_equal))


def _literal_second(m: Match) -> Tensor | None:
    first, second = m.node.inputs
    if literal_of(first) is None or literal_of(second) is not None:
        return None
    turned = _turned(OUTCOMES[m.node.op])
    return next(apply(op, (second, first)) for op in _ORDERED if OUTCOMES[op] == turned)


def _smaller(m: Match) -> bool:
    """Whether 0 <= x < y."""
    return m.facts.known(m.x).lo >= 0 and m.facts.known(m.x).hi < m.facts.known(m.y).lo


# fmt: off
COMPARISONS: tuple[Rule, ...] = (
    # ---- comparisons -----------------------------------------------------------------------------
    Rule("comparison_literal_second", Node(_ORDERED), _literal_second, EXACT),
    Rule("comparison_decided", Node(_COMPARING), _decided, EXACT),
    Rule("comparisons_combined", Node(_LOGICAL, children=_COMPARING, every=True), _combined, EXACT),
    Rule("equal_itself",
        P.equal(x, x), lambda m: f.logical_not(f.isnan(m.x)), EXACT,
        lambda m: m.x.dtype.kind == "f"),
    Rule("unequal_itself",
        P.not_equal(x, x), lambda m: f.isnan(m.x), EXACT, lambda m: m.x.dtype.kind == "f"),
    Rule("less_equal_same",
        P.less_equal(x, x), lambda m: f.equal(m.x, m.x), EXACT),
    Rule("greater_equal_same",
        P.greater_equal(x, x), lambda m: f.equal(m.x, m.x), EXACT),
    Rule("isnan_known",
        P.isnan(x), lambda m: _truth(False), EXACT, lambda m: m.facts.nan_free(m.x)),
    Rule("isinf_known",
        P.isinf(x), lambda m: _truth(False), EXACT, lambda m: not m.facts.known(m.x).infinite),
    Rule("isfinite_known",
        P.isfinite(x), lambda m: _truth(True), EXACT, lambda m: m.facts.finite(m.x)),
    # ---- conversions -----------------------------------------------------------------------------
    Rule("compare_mask",
        Node(_COMPARING, children=_CAST), _mask_against_literal, EXACT),
    Rule("compare_integers",
        Node(_COMPARING, children=_CAST), _integers_compared, EXACT),
    Rule("compare_unconverted",
        Node(_COMPARING, children=_CAST, every=True), _operands_unconverted, EXACT),
    # ---- sizes -----------------------------------------------------------------------------------
    Rule("compare_sizes", Node(_COMPARING, children=_SIZE, every=True), _sizes_decided, EXACT),
    Rule("extreme_size",
        Node(frozenset((e.maximum, e.minimum)), children=_SIZE, every=True), _extreme_size, EXACT),
    # ---- minimum, maximum, clip ------------------------------------------------------------------
    Rule("maximum_settled",    P.maximum(x, y), _maximum_settled, EXACT),
    Rule("minimum_settled",    P.minimum(x, y), _minimum_settled, EXACT),
    Rule("maximum_literals",   P.maximum(P.maximum(x, c), d), _twice, EXACT),
    Rule("minimum_literals",   P.minimum(P.minimum(x, c), d), _twice, EXACT),
    Rule("maximum_zero",       P.maximum(x, 0), P.relu(x), ROUNDING, _signed),
    Rule("maximum_negative",   P.maximum(x, P.negative(x)), P.abs(x), EXACT, _signed),
    Rule("minimum_negative",
        P.minimum(x, P.negative(x)), P.negative(P.abs(x)), EXACT, _signed),
    Rule("clip_inside",        P.clip(x, a, b), x, EXACT, _inside),
    Rule("clip_below",         P.clip(x, a, h), _lower, ROUNDING),
    Rule("clip_above",         P.clip(x, c, b), _upper, ROUNDING),
    Rule("clip_clip",          P.clip(P.clip(x, a, b), c, d), _clip_of_clip, EXACT),
    Rule("relu_of_maximum",    P.relu(P.maximum(x, c)), P.relu(x), EXACT,
        lambda m: m.facts.known(m.c).hi <= 0 and m.facts.nan_free(m.c)),
    # ---- relu, abs, sign -------------------------------------------------------------------------
    Rule("negative_relu",
        P.negative(P.relu(P.negative(x))), lambda m: f.minimum(m.x, number(0, m.node.dtype)),
        ROUNDING, floating),
    Rule("relu_difference",
        P.subtract(P.relu(x), P.relu(P.negative(x))), x, ROUNDING, floating),
    Rule("relu_total",
        P.add(P.relu(x), P.relu(P.negative(x))), P.abs(x), ROUNDING, floating),
    Rule("relu_settled",
        P.relu(x), x, EXACT,
        lambda m: m.facts.nonnegative(m.x) and m.facts.never_minus_zero(m.x)),
    Rule("abs_settled",
        P.abs(x), x, EXACT,
        lambda m: m.facts.nonnegative(m.x) and m.facts.never_minus_zero(m.x)),
    Rule("abs_below",          P.abs(x), P.negative(x), ROUNDING,
        lambda m: m.node.dtype.kind == "f" and m.facts.known(m.x).hi <= 0),
    Rule("sign_settled",       P.sign(x), _one_sign, EXACT),
    Rule("sign_times",         P.multiply(P.sign(x), x), P.abs(x), ROUNDING, floating),
    Rule("sign_of_abs",        P.multiply(P.sign(x), P.abs(x)), x, ROUNDING, floating),
    # ---- relu and abs spelled with where ---------------------------------------------------------
    Rule("relu_where_above",
        P.where(P.greater(x, 0), x, 0), P.relu(x), FINITE_ONLY,
        sound=lambda m: m.facts.nan_free(m.x)),
    Rule("relu_where_not_below",
        P.where(P.greater_equal(x, 0), x, 0), P.relu(x), FINITE_ONLY,
        sound=lambda m: m.facts.nan_free(m.x)),
    Rule("relu_where_below",
        P.where(P.less(x, 0), 0, x), P.relu(x), ROUNDING),
    Rule("relu_where_not_above",
        P.where(P.less_equal(x, 0), 0, x), P.relu(x), ROUNDING),
    Rule("abs_where_above",
        P.where(P.greater(x, 0), x, P.negative(x)), P.abs(x), ROUNDING, _signed),
    Rule("abs_where_not_below",
        P.where(P.greater_equal(x, 0), x, P.negative(x)), P.abs(x), ROUNDING, _signed),
    Rule("abs_where_below",
        P.where(P.less(x, 0), P.negative(x), x), P.abs(x), ROUNDING, _signed),
    Rule("abs_where_not_above",
        P.where(P.less_equal(x, 0), P.negative(x), x), P.abs(x), ROUNDING, _signed),
    # ---- rounding of whole numbers ---------------------------------------------------------------
    *(
        Rule(f"{op.name}_of_whole", Call(op, (x,)), x, EXACT, lambda m: m.facts.integral(m.x))
        for op in (e.floor, e.ceil, e.trunc, e.round_)
    ),
    # ---- integers --------------------------------------------------------------------------------
    Rule("floor_divide_one",
        P.floor_divide(x, 1), x, EXACT, lambda m: m.node.dtype.kind in "iu"),
    Rule("remainder_one",
        P.remainder(x, 1), lambda m: number(0, m.node.dtype), EXACT,
        lambda m: m.node.dtype.kind in "iu"),
    Rule("remainder_same",
        P.remainder(x, x), lambda m: number(0, m.node.dtype), EXACT,
        lambda m: m.node.dtype.kind in "iu"),
    Rule("floor_divide_same",
        P.floor_divide(x, x), lambda m: number(1, m.node.dtype), EXACT,
        lambda m: m.node.dtype.kind in "iu" and m.facts.nonzero(m.x)),
    Rule("remainder_of_small",
        P.remainder(x, y), x, EXACT,
        lambda m: m.node.dtype.kind in "iu" and _smaller(m)),
    Rule("floor_divide_small",
        P.floor_divide(x, y), lambda m: number(0, m.node.dtype), EXACT,
        lambda m: m.node.dtype.kind in "iu" and _smaller(m)),
)
# fmt: on
