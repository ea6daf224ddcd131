"""Tails of distributions: error functions and logarithms of small differences."""

from __future__ import annotations

from symgraph.passes.rules.rule import Rule

__all__ = ["TAILS"]

# fmt: off
TAILS: tuple[Rule, ...] = (
)
# fmt: on
