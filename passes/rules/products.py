"""Rules of matrix products: transposes, factors, structure and the order of a chain."""

from __future__ import annotations

from symgraph.passes.rules.rule import Rule

__all__ = ["PRODUCTS"]

# fmt: off
PRODUCTS: tuple[Rule, ...] = (
)
# fmt: on
