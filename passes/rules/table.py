"""The rules by family, in the order in which they are tried, and the sets that passes use."""

from __future__ import annotations

from symgraph.passes.rules.arithmetic import ARITHMETIC
from symgraph.passes.rules.comparisons import COMPARISONS
from symgraph.passes.rules.crossentropy import CROSSENTROPY
from symgraph.passes.rules.explog import EXPLOG
from symgraph.passes.rules.folding import FOLDING
from symgraph.passes.rules.gradients import GRADIENTS
from symgraph.passes.rules.labels import LABELS
from symgraph.passes.rules.logic import LOGIC
from symgraph.passes.rules.masks import MASKS
from symgraph.passes.rules.mixtures import MIXTURES
from symgraph.passes.rules.moving import MOVING
from symgraph.passes.rules.nary import NARY
from symgraph.passes.rules.norms import NORMS
from symgraph.passes.rules.parity import PARITY
from symgraph.passes.rules.powers import POWERS
from symgraph.passes.rules.products import PRODUCTS
from symgraph.passes.rules.reducing import REDUCING
from symgraph.passes.rules.roots import ROOTS
from symgraph.passes.rules.rule import Rule
from symgraph.passes.rules.scaling import SCALING
from symgraph.passes.rules.shifts import SHIFTS
from symgraph.passes.rules.sigmoid import SIGMOID
from symgraph.passes.rules.slicing import SLICING
from symgraph.passes.rules.softmax import SOFTMAX
from symgraph.passes.rules.tails import TAILS

__all__ = ["RULES", "rules_of"]

#: Every rule; stabilising ones stand before the algebra that would hide what they look for.
RULES: tuple[Rule, ...] = (
    *FOLDING,
    *MOVING,
    *SLICING,
    *LOGIC,
    *SOFTMAX,
    *MIXTURES,
    *SHIFTS,
    *SIGMOID,
    *PARITY,
    *TAILS,
    *EXPLOG,
    *LABELS,
    *GRADIENTS,
    *CROSSENTROPY,
    *MASKS,
    *COMPARISONS,
    *ROOTS,
    *NORMS,
    *POWERS,
    *ARITHMETIC,
    *PRODUCTS,
    *REDUCING,
    *SCALING,
    *NARY,
)


def rules_of(*contracts: str) -> tuple[Rule, ...]:
    """The rules with one of these contracts, in order."""
    return tuple(r for r in RULES if r.contract in contracts)
