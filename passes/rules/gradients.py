"""What differentiating softmax, cross-entropy and their kin leaves behind, in closed form."""

from __future__ import annotations

from symgraph.ops import reduction as r
from symgraph.passes.rules.layout import layout
from symgraph.passes.rules.pattern import P, Var
from symgraph.passes.rules.rule import STABILISING, Match, Rule
from symgraph.tensor import Tensor

__all__ = ["GRADIENTS"]

a, b, q, t, y = (Var(n) for n in "abqty")


# ---- what sums to one ----------------------------------------------------------------------------


def _total_of(total: Tensor, terms: Tensor) -> tuple[int, ...] | None:
    """The axes, if ``total`` is the sum of ``terms`` with the summed axes kept."""
    found = layout(total)
    if found.source.op is not r.sum_ or found.source.inputs[0] is not terms or found.stopped:
        return None
    axes: tuple[int, ...] = found.source.attrs["axis"]
    places = iter(range(terms.ndim))
    kept = tuple(None if k in axes else next(places) for k in range(terms.ndim))
    return axes if found.axes == kept else None


def _normalised(m: Match) -> bool:
    """Whether m.y is the sum, and it is known to be one, of m.t."""
    axes = _total_of(m.y, m.t)
    return axes is not None and m.facts.sums_to_one(m.t, axes)


# fmt: off
GRADIENTS: tuple[Rule, ...] = (
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
)
# fmt: on
