"""Masks: ``where`` through products and sums, merged where the condition is the same."""

from __future__ import annotations

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.ops import elementwise as e
from symgraph.ops import reduction as r
from symgraph.passes.facts import one_hot_axes
from symgraph.passes.rules.coefficients import coefficient
from symgraph.passes.rules.complements import COMPLEMENTS, implied
from symgraph.passes.rules.layout import is_one, reshaped
from symgraph.passes.rules.pattern import Const, Node, P, Var, literal_of
from symgraph.passes.rules.rule import EXACT, FINITE_ONLY, ROUNDING, Match, Rule
from symgraph.sizes import Dim
from symgraph.tensor import Tensor, apply

__all__ = ["MASKS"]

a, b, d, s, t, x, y = (Var(n) for n in "abdstxy")
c = Const("c")

_WHERE = frozenset((e.where,))

# ---- one operation on masked values --------------------------------------------------------------


def _known_both(p: Tensor, q: Tensor) -> bool:
    return literal_of(p) is not None and literal_of(q) is not None


def _same_mask(m: Match) -> Tensor | None:
    """f(where(t, a, 2), where(t, b, 3)) is where(t, f(a, b), f(2, 3)), which is a number."""
    first, second = m.node.inputs
    if first.op is not e.where or second.op is not e.where or m.node.op is e.where:
        return None
    t, a, b = first.inputs
    other, c, d = second.inputs
    if t is not other or not (_known_both(a, c) or _known_both(b, d)):
        return None
    if not (m.alone(first) or m.alone(second)):
        return None
    return f.where(t, apply(m.node.op, (a, c)), apply(m.node.op, (b, d)))


def _opposite(m: Match) -> Tensor | None:
    """where(t, x, 0) + where(t, 0, y): each element is one of the two."""
    if not (m.alone(m.node.inputs[0]) or m.alone(m.node.inputs[1])):
        return None
    return f.where(m.t, m.x, m.y)


def _either_alone(m: Match) -> bool:
    return m.alone(m.node.inputs[0]) or m.alone(m.node.inputs[1])


def _moderate(m: Match) -> bool:
    """Whether the literal factor is finite and neither tiny nor huge."""
    value = literal_of(m.c)
    return value is not None and 1e-3 <= abs(value) <= 1e3


def _masked_scale(m: Match) -> Tensor | None:
    """A literal factor of a mask joins the one of the values."""
    chosen = next(i for i in m.node.inputs if i.op is e.where)
    if not _moderate(m) or one_hot_axes(m.t) is not None:
        return None
    if m.x.op is not e.multiply or not m.alone(chosen):
        return None
    if all(coefficient(i) is None for i in m.x.inputs):
        return None
    return f.where(m.t, f.multiply(m.c, m.x), number(0, m.node.dtype))


#: the user's word about the whole value, not about its elements
_MARKERS = frozenset((e.stop_gradient, e.assume_normalised))


def _of_masked(m: Match) -> Tensor | None:
    """f(where(t, 2, 3)) is where(t, f(2), f(3)): two numbers instead of an array."""
    (chosen,) = m.node.inputs
    t, a, b = chosen.inputs
    if m.node.op in _MARKERS or not _known_both(a, b) or not m.alone(chosen):
        return None
    attrs = tuple(m.node.attrs.items())
    return f.where(t, apply(m.node.op, (a,), attrs), apply(m.node.op, (b,), attrs))


def _branches_alike(m: Match) -> Tensor | None:
    """where(t, f(a), f(b)) is f(where(t, a, b)); a further operand must be the same."""
    t, p, q = m.node.inputs
    if p.op is not q.op or p is q or "elementwise" not in p.op.traits or p.attrs != q.attrs:
        return None
    if p.op is e.where or p.op in _MARKERS or not (m.alone(p) or m.alone(q)):
        return None
    differing = [k for k, (i, j) in enumerate(zip(p.inputs, q.inputs, strict=True)) if i is not j]
    if len(differing) != 1:
        return None
    at = differing[0]
    a, b = p.inputs[at], q.inputs[at]
    if a.dtype != b.dtype or literal_of(a) is not None or literal_of(b) is not None:
        return None  # numbers are better computed where they stand
    chosen = f.where(t, a, b)
    inputs = tuple(chosen if k == at else i for k, i in enumerate(p.inputs))
    return apply(p.op, inputs, tuple(p.attrs.items()))


#: how many operations below a branch its own condition is looked for
DEPTH = 3

#: what a value that is not chosen may go through and raise no alarm
_HARMLESS = frozenset(
    (e.add, e.subtract, e.multiply, e.negative, e.abs_, e.sign, e.relu, e.maximum, e.minimum)
)


def _condition_known(m: Match) -> Tensor | None:
    """Inside a branch of where(t, ...) it is known whether t holds."""
    t, a, b = m.node.inputs
    first = _knowing(a, True, DEPTH, True, m)
    second = _knowing(b, False, DEPTH, True, m)
    return None if first is a and second is b else f.where(t, first, second)


def _knowing(x: Tensor, truth: bool, depth: int, harmless: bool, m: Match) -> Tensor:
    """x where the condition of the node is known to be ``truth``; x itself if that says nothing.

    A literal instead of the other branch is kept as a guard of operations that are not
    ``harmless``: in where(t, x, exp(where(t, 0, x))) it keeps exp from overflowing in vain.
    """
    t = m.node.inputs[0]
    if x.op in (e.where, e.astype):
        known = truth if x.inputs[0] is t else implied(x.inputs[0], t, truth, m.facts)
        if known is not None:
            return _settled(x, known, harmless)
    if not depth or "elementwise" not in x.op.traits or x.op in _MARKERS:
        return x
    harmless = harmless and x.op in _HARMLESS
    inputs = tuple([_knowing(i, truth, depth - 1, harmless, m) for i in x.inputs])
    if all(i is j for i, j in zip(inputs, x.inputs, strict=True)) or not m.alone(x):
        return x
    return apply(x.op, inputs, tuple(x.attrs.items()))


def _settled(x: Tensor, known: bool, harmless: bool) -> Tensor:
    """A choice or a mask whose condition is known."""
    if x.op is e.astype:
        return number(known, x.dtype)
    guards = not harmless and literal_of(x.inputs[2 if known else 1]) is not None
    return x if guards else x.inputs[1 if known else 2]


# ---- products and sums ---------------------------------------------------------------------------


def _no_larger(m: Match) -> bool:
    """Whether the mask is as large as the product, and no one-hot row: those have their rules."""
    chosen = next(i for i in m.node.inputs if i.op is e.where and i.inputs[0] is m.t)
    return chosen.shape == m.node.shape and one_hot_axes(m.t) is None and m.alone(chosen)


def _masked_product(m: Match) -> Tensor:
    return f.where(m.t, f.multiply(m.x, m.y), number(0, m.node.dtype))


def _masked_quotient(m: Match) -> Tensor:
    return f.where(m.t, f.divide(m.x, m.y), number(0, m.node.dtype))


def _selected_factor(m: Match) -> bool:
    """Whether t is a mask as large as the product; literals stay factors of it."""
    return m.t.dtype.kind == "b" and m.t.shape == m.node.shape and (
        one_hot_axes(m.t) is None and literal_of(m.x) is None and m.x.ndim > 0
    )  # fmt: skip


def _selected(m: Match) -> Tensor:
    return f.where(m.t, m.x, number(0, m.node.dtype))


def _both_masks(m: Match) -> Tensor | None:
    if m.s.dtype.kind != "b" or m.t.dtype.kind != "b" or m.node.dtype.kind == "b":
        return None
    return f.astype(f.logical_and(m.s, m.t), m.node.dtype)


def _either_mask(m: Match) -> Tensor | None:
    if m.s.dtype.kind != "b" or m.t.dtype.kind != "b" or m.node.dtype.kind == "b":
        return None
    return f.astype(f.logical_or(m.s, m.t), m.node.dtype)


def _other_mask(m: Match) -> Tensor | None:
    if m.t.dtype.kind != "b":
        return None
    return f.astype(f.logical_not(m.t), m.node.dtype)


def _mask_itself(m: Match) -> Tensor | None:
    """f(0) = 0 and f(1) = 1."""
    return m.node.inputs[0] if m.node.inputs[0].inputs[0].dtype.kind == "b" else None


def _rows_masked(m: Match) -> Tensor | None:
    """A mask that is constant along the axes of a sum (or product) masks its results."""
    chosen = m.node.inputs[0]
    axes = m.node.attrs["axis"]
    lead: tuple[Dim, ...] = (1,) * (chosen.ndim - m.t.ndim) + m.t.shape
    if m.x.shape != chosen.shape or not all(is_one(lead[k]) for k in axes):
        return None
    kept = tuple(d for k, d in enumerate(lead) if k not in axes)
    inner = apply(m.node.op, (m.x,), (("axis", axes),))
    return f.where(reshaped(m.t, kept), inner, number(_NEUTRAL[m.node.op], m.node.dtype))


_NEUTRAL = {r.sum_: 0, r.prod: 1}


def _all_finite(m: Match) -> bool:
    return m.facts.finite(m.y)


def _divisor_harmless(m: Match) -> bool:
    return m.facts.nan_free(m.y) and m.facts.nonzero(m.y)


_AS = P.astype
# fmt: off
MASKS: tuple[Rule, ...] = (
    # ---- one condition inside another ------------------------------------------------------------
    Rule("where_both",
        P.where(s, P.where(t, a, b), b), P.where(P.logical_and(s, t), a, b), EXACT),
    Rule("where_either",
        P.where(s, a, P.where(t, a, b)), P.where(P.logical_or(s, t), a, b), EXACT),
    Rule("where_implied",
        P.where(P.logical_and(s, t), P.where(t, a, b), d),
        P.where(P.logical_and(s, t), a, d), EXACT),
    Rule("where_excluded",
        P.where(P.logical_or(s, t), d, P.where(t, a, b)),
        P.where(P.logical_or(s, t), d, b), EXACT),
    *COMPLEMENTS,
    # ---- operations on masked values -------------------------------------------------------------
    Rule("where_opposite",
        P.add(P.where(t, x, 0), P.where(t, 0, y)), _opposite, ROUNDING),
    Rule("where_opposite_less",
        P.subtract(P.where(t, x, 0), P.where(t, 0, y)), P.where(t, x, P.negative(y)), ROUNDING,
        _either_alone),
    Rule("where_less_opposite",
        P.subtract(P.where(t, 0, y), P.where(t, x, 0)), P.where(t, P.negative(x), y), ROUNDING,
        _either_alone),
    Rule("masked_scale",
        P.multiply(c, P.where(t, x, 0)), _masked_scale, ROUNDING, ulps=4),
    Rule("scaled_mask_added",
        P.add(P.where(t, x, 0), P.multiply(c, P.where(t, y, 0))),
        P.where(t, P.add(x, P.multiply(c, y)), 0), ROUNDING,
        lambda m: m.node.dtype.kind == "f" and _moderate(m) and _either_alone(m)),
    Rule("masks_merged",
        Node(trait="elementwise", children=_WHERE, every=True, arity=2), _same_mask, EXACT),
    Rule("masked_operand",
        Node(trait="elementwise", children=_WHERE, arity=1), _of_masked, EXACT),
    Rule("condition_known", Node(_WHERE, arity=3), _condition_known, EXACT),
    Rule("branches_alike", Node(_WHERE, arity=3), _branches_alike, EXACT),
    # ---- products and sums -----------------------------------------------------------------------
    Rule("masked_product",
        P.multiply(P.where(t, x, 0), y), _masked_product, FINITE_ONLY,
        lambda m: literal_of(m.y) is None and _no_larger(m), sound=_all_finite),
    Rule("masked_quotient",
        P.divide(P.where(t, x, 0), y), _masked_quotient, FINITE_ONLY,
        lambda m: literal_of(m.y) is None and _no_larger(m), sound=_divisor_harmless),
    Rule("sum_masked",   P.sum(P.where(t, x, 0)),  _rows_masked, EXACT),
    Rule("prod_masked",  P.prod(P.where(t, x, 1)), _rows_masked, EXACT),
    # ---- masks as numbers ------------------------------------------------------------------------
    Rule("masks_multiplied",   P.multiply(_AS(s), _AS(t)), _both_masks, EXACT),
    Rule("masks_minimum",      P.minimum(_AS(s), _AS(t)),  _both_masks, EXACT),
    Rule("masks_maximum",      P.maximum(_AS(s), _AS(t)),  _either_mask, EXACT),
    Rule("mask_from_one",      P.subtract(1, _AS(t)),      _other_mask, EXACT),
    Rule("mask_square",        P.square(_AS(t)),           _mask_itself, EXACT),
    Rule("mask_root",          P.sqrt(_AS(t)),             _mask_itself, EXACT),
    Rule("mask_sign",          P.sign(_AS(t)),             _mask_itself, EXACT),
    # ---- a mask as a factor ----------------------------------------------------------------------
    Rule("mask_factor",
        P.multiply(P.astype(t), x), _selected, FINITE_ONLY, _selected_factor,
        sound=lambda m: m.facts.finite(m.x)),
)
# fmt: on
