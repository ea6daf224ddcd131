"""Rules of selection, comparison and conversion."""

from __future__ import annotations

import numpy as np

from symgraph import functions as f
from symgraph.ops import elementwise as e
from symgraph.passes.rules.pattern import P, Var
from symgraph.passes.rules.rule import EXACT, Match, Rule
from symgraph.tensor import Tensor, apply
from symgraph.types import DType

__all__ = ["LOGIC"]

a, b, d, x, y = Var("a"), Var("b"), Var("d"), Var("x"), Var("y")
s, t = Var("s"), Var("t")


def _truth(value: bool) -> Tensor:
    return f.constant(value, "bool")


def _holds(wide: DType, narrow: DType) -> bool:
    """Whether every value of ``narrow`` is one of ``wide`` (to NumPy int64 fits float64, too)."""
    if wide.kind == "f" and narrow.kind in "iu":
        return narrow.itemsize * 8 <= np.finfo(wide).nmant
    return bool(np.can_cast(narrow, wide, "safe"))


def _direct_cast(m: Match) -> Tensor | None:
    """A conversion that lost nothing need not have happened."""
    inner = m.node.inputs[0]
    if not _holds(inner.dtype, m.x.dtype) or (m.x.dtype.kind == "f" and m.node.dtype.kind in "iu"):
        return None
    return m.x if m.x.dtype == m.node.dtype else apply(e.astype, (m.x,), (("dtype", m.node.dtype),))


def _cast_condition(m: Match) -> Tensor:
    return _converted(m, m.t)


def _converted(m: Match, x: Tensor) -> Tensor:
    return apply(e.astype, (x,), (("dtype", m.node.dtype),))


def _integers(m: Match) -> bool:
    return m.x.dtype.kind in "biu"


# fmt: off
LOGIC: tuple[Rule, ...] = (
    # ---- selection -------------------------------------------------------------------------------
    Rule("where_true",     P.where(True, a, b),                    a, EXACT),
    Rule("where_false",    P.where(False, a, b),                   b, EXACT),
    Rule("where_same",     P.where(t, a, a),                       a, EXACT),
    Rule("where_not",      P.where(P.logical_not(t), a, b),        P.where(t, b, a), EXACT),
    Rule("where_again_true", P.where(t, P.where(t, a, b), d),      P.where(t, a, d), EXACT),
    Rule("where_again_false", P.where(t, d, P.where(t, a, b)),     P.where(t, d, b), EXACT),
    Rule("where_one_zero", P.where(t, 1, 0),                       _cast_condition, EXACT),
    Rule("where_and",      P.where(t, s, False),                   P.logical_and(t, s), EXACT),
    Rule("where_or",       P.where(t, True, s),                    P.logical_or(t, s), EXACT),
    Rule("where_not_and",
        P.where(t, False, s), P.logical_and(P.logical_not(t), s), EXACT),
    Rule("where_not_or",
        P.where(t, s, True), P.logical_or(P.logical_not(t), s), EXACT),
    # ---- logic -----------------------------------------------------------------------------------
    Rule("and_true",       P.logical_and(t, True),                 t, EXACT),
    Rule("and_false",      P.logical_and(t, False),                lambda m: _truth(False), EXACT),
    Rule("or_false",       P.logical_or(t, False),                 t, EXACT),
    Rule("or_true",        P.logical_or(t, True),                  lambda m: _truth(True), EXACT),
    Rule("xor_false",      P.logical_xor(t, False),                t, EXACT),
    Rule("xor_true",       P.logical_xor(t, True),                 P.logical_not(t), EXACT),
    Rule("and_not",        P.logical_and(t, P.logical_not(t)),     lambda m: _truth(False), EXACT),
    Rule("or_not",         P.logical_or(t, P.logical_not(t)),      lambda m: _truth(True), EXACT),
    Rule("xor_same",       P.logical_xor(t, t),                    lambda m: _truth(False), EXACT),
    Rule("xor_not",        P.logical_xor(t, P.logical_not(t)),     lambda m: _truth(True), EXACT),
    Rule("xor_nots",
        P.logical_xor(P.logical_not(s), P.logical_not(t)), P.logical_xor(s, t), EXACT),
    Rule("and_of_nots",
        P.logical_and(P.logical_not(s), P.logical_not(t)), P.logical_not(P.logical_or(s, t)),
        EXACT),
    Rule("or_of_nots",
        P.logical_or(P.logical_not(s), P.logical_not(t)), P.logical_not(P.logical_and(s, t)),
        EXACT),
    Rule("and_absorbs",    P.logical_and(t, P.logical_or(t, s)),   t, EXACT),
    Rule("or_absorbs",     P.logical_or(t, P.logical_and(t, s)),   t, EXACT),
    Rule("and_repeats",
        P.logical_and(t, P.logical_and(t, s)), P.logical_and(t, s), EXACT),
    Rule("or_repeats",
        P.logical_or(t, P.logical_or(t, s)), P.logical_or(t, s), EXACT),
    Rule("and_excludes",
        P.logical_and(t, P.logical_or(P.logical_not(t), s)), P.logical_and(t, s), EXACT),
    Rule("or_excludes",
        P.logical_or(t, P.logical_and(P.logical_not(t), s)), P.logical_or(t, s), EXACT),
    # ---- comparison ------------------------------------------------------------------------------
    Rule("not_equal",      P.logical_not(P.equal(x, y)),           P.not_equal(x, y), EXACT),
    Rule("not_unequal",    P.logical_not(P.not_equal(x, y)),       P.equal(x, y), EXACT),
    Rule("equal_same",
        P.equal(x, x), lambda m: _truth(True), EXACT, _integers),
    Rule("unequal_same",
        P.not_equal(x, x), lambda m: _truth(False), EXACT, _integers),
    Rule("less_same",      P.less(x, x),                           lambda m: _truth(False), EXACT),
    Rule("greater_same",   P.greater(x, x),                        lambda m: _truth(False), EXACT),
    Rule("finite_integer",
        P.isfinite(x), lambda m: _truth(True), EXACT, _integers),
    Rule("nan_integer",
        P.isnan(x), lambda m: _truth(False), EXACT, _integers),
    Rule("inf_integer",
        P.isinf(x), lambda m: _truth(False), EXACT, _integers),
    # ---- conversion ------------------------------------------------------------------------------
    Rule("astype_chain",   P.astype(P.astype(x)),                  _direct_cast, EXACT),
    Rule("astype_trunc",
        P.astype(P.trunc(x)), lambda m: _converted(m, m.x), EXACT,
        lambda m: m.node.dtype.kind in "iu"),
    Rule("astype_same",
        P.astype(x), x, EXACT, lambda m: m.x.dtype == m.node.dtype),
)
# fmt: on
