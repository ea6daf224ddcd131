"""Powers, squares, roots, absolute values and signs."""

from __future__ import annotations

from symgraph.passes.rules.rule import Rule

__all__ = ["POWERS"]

# fmt: off
POWERS: tuple[Rule, ...] = (
)
# fmt: on
