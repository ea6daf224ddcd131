"""Norms, variances and other sums of squares."""

from __future__ import annotations

from symgraph.passes.rules.rule import Rule

__all__ = ["NORMS"]

# fmt: off
NORMS: tuple[Rule, ...] = (
)
# fmt: on
