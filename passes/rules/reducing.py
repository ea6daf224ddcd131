"""Rules of reductions: of reductions, of constants, of products with factors that do not vary."""

from __future__ import annotations

from symgraph.passes.rules.rule import Rule

__all__ = ["REDUCING"]

# fmt: off
REDUCING: tuple[Rule, ...] = (
)
# fmt: on
