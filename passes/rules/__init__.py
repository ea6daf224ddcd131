"""The rules by family, in the order in which they are tried, and the sets that passes use."""

from __future__ import annotations

from symgraph.passes.rules.arithmetic import ARITHMETIC
from symgraph.passes.rules.explog import EXPLOG
from symgraph.passes.rules.folding import FOLDING
from symgraph.passes.rules.labels import LABELS
from symgraph.passes.rules.logic import LOGIC
from symgraph.passes.rules.moving import MOVING
from symgraph.passes.rules.rule import Rule
from symgraph.passes.rules.scaling import SCALING
from symgraph.passes.rules.softmax import SOFTMAX

__all__ = ["RULES", "rules_of"]

#: Every rule; stabilising ones stand before the algebra that would hide what they look for.
RULES: tuple[Rule, ...] = (
    *FOLDING,
    *MOVING,
    *LOGIC,
    *SOFTMAX,
    *EXPLOG,
    *LABELS,
    *ARITHMETIC,
    *SCALING,
)


def rules_of(*contracts: str) -> tuple[Rule, ...]:
    """The rules with one of these contracts, in order."""
    return tuple(r for r in RULES if r.contract in contracts)
