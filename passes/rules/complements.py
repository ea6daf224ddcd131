"""Two choices in one sum or product whose conditions, or whose values, are opposites."""

from __future__ import annotations

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.ops import elementwise as e
from symgraph.passes.facts import Facts
from symgraph.passes.rules.comparisons import ALL, LESS, MORE, NEITHER, OUTCOMES, SAME, compared
from symgraph.passes.rules.pattern import Call, Node, P, Var, literal_of
from symgraph.passes.rules.rule import FINITE_ONLY, ROUNDING, Match, Rule
from symgraph.tensor import Tensor, apply

__all__ = ["COMPLEMENTS", "implied"]

t, u, x, y = (Var(n) for n in "tuxy")

# ---- comparisons of the same two values ----------------------------------------------------------


def _outcomes(s: Tensor, t: Tensor, facts: Facts) -> tuple[int, int, int] | None:
    """The outcomes for which the comparisons s and t hold, and those that are possible."""
    if s.op not in OUTCOMES or t.op not in OUTCOMES:
        return None
    left, right = t.inputs
    found = compared(s, left, right)
    if found is None:
        return None
    ordered = facts.nan_free(left) and facts.nan_free(right)
    return found, OUTCOMES[t.op], ALL & ~NEITHER if ordered else ALL


def implied(s: Tensor, t: Tensor, truth: bool, facts: Facts) -> bool | None:
    """What the comparison s is where t is ``truth``; None where that says nothing."""
    found = _outcomes(s, t, facts)
    if found is None:
        return None
    holds, other, possible = found
    left = possible & (other if truth else ~other)
    if not left & holds:
        return False
    return None if left & ~holds else True


def _opposites(s: Tensor, t: Tensor, facts: Facts, ordered: bool = False) -> bool:
    """Whether always exactly one of two conditions holds; ``ordered`` leaves NaN aside."""
    found = _outcomes(s, t, facts)
    if found is None:
        return False
    holds, other, possible = found
    possible &= ALL & ~NEITHER if ordered else ALL
    return not holds & other & possible and (holds | other) & possible == possible


# ---- two choices ---------------------------------------------------------------------------------


def _both(m: Match) -> Tensor | None:
    """where(t, x, y) + where(t, y, x) is x + y: each element is one of either."""
    (t, a, b), (u, c, d) = (i.inputs for i in m.node.inputs)
    crossed = t is u and a is d and b is c
    straight = a is c and b is d and _opposites(t, u, m.facts)
    return apply(m.node.op, (a, b)) if crossed or straight else None


def _excluded(m: Match) -> Tensor | None:
    """where(t, x, 0) + where(u, y, 0) where exactly one of t and u holds."""
    if not _opposites(m.t, m.u, m.facts, ordered=True):
        return None
    if not (m.alone(m.node.inputs[0]) or m.alone(m.node.inputs[1])):
        return None
    return f.where(m.t, m.x, m.y)


def _never_both_fail(m: Match) -> bool:
    return _opposites(m.t, m.u, m.facts)


def _all_ones(m: Match) -> Tensor | None:
    """Masks of which exactly one holds add up to 1."""
    if m.node.dtype.kind == "b" or not _opposites(m.t, m.u, m.facts):
        return None
    return number(1, m.node.dtype)


# ---- relu beside a choice by the sign ------------------------------------------------------------


def _sign_outcomes(m: Match) -> int:
    """The outcomes of x against 0 for which t holds; 0 for another condition."""
    if m.t.op not in OUTCOMES or not any(literal_of(i) == 0 for i in m.t.inputs):
        return 0
    zero = next(i for i in m.t.inputs if literal_of(i) == 0)
    return compared(m.t, m.x, zero) or 0


def _relu_above(m: Match) -> Tensor | None:
    """relu(x) + where(x > 0, 0, y) is where(x > 0, x, y)."""
    above = _sign_outcomes(m) in (MORE, MORE | SAME)
    return f.where(m.t, m.x, m.y) if above and m.alone(m.chosen) else None


def _relu_below(m: Match) -> Tensor | None:
    """relu(x) + where(x < 0, y, 0) is where(x < 0, y, x)."""
    below = _sign_outcomes(m) in (LESS, LESS | SAME)
    return f.where(m.t, m.y, m.x) if below and m.alone(m.chosen) else None


# ---- the larger and the smaller ------------------------------------------------------------------


def _either_alone(m: Match) -> bool:
    floats = m.node.dtype.kind == "f"
    return floats and (m.alone(m.node.inputs[0]) or m.alone(m.node.inputs[1]))


_SYMMETRIC = frozenset((e.add, e.multiply, e.maximum, e.minimum))
_LARGER, _SMALLER = P.maximum(x, y), P.minimum(x, y)

# fmt: off
COMPLEMENTS: tuple[Rule, ...] = (
    Rule("choices_of_both",
        Node(_SYMMETRIC, children=frozenset((e.where,)), every=True, arity=2), _both, ROUNDING),
    Rule("masks_excluded",
        P.add(P.where(t, x, 0), P.where(u, y, 0)), _excluded, FINITE_ONLY,
        sound=_never_both_fail),
    Rule("masks_complete",     P.add(P.astype(t), P.astype(u)), _all_ones, ROUNDING),
    Rule("relu_beside_above",
        P.add(P.relu(x), P.where(t, 0, y).named("chosen")), _relu_above, FINITE_ONLY,
        sound=lambda m: m.facts.nan_free(m.x)),
    Rule("relu_beside_below",
        P.add(P.relu(x), P.where(t, y, 0).named("chosen")), _relu_below, ROUNDING),
    *(
        Rule(f"extremes_{op.name}", Call(op, (_LARGER, _SMALLER)), Call(op, (x, y)), ROUNDING)
        for op in (e.add, e.multiply)
    ),
    Rule("extremes_subtract",
        P.subtract(_LARGER, _SMALLER), P.abs(P.subtract(x, y)), ROUNDING, _either_alone),
    Rule("extremes_at_zero",   P.add(P.relu(x), P.minimum(x, 0)),  x, ROUNDING),
)
# fmt: on
