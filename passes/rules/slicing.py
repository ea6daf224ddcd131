"""Rules of slices, writes and concatenations: what is read is computed, and nothing else."""

from __future__ import annotations

from symgraph.passes.rules.rule import Rule

__all__ = ["SLICING"]

# fmt: off
SLICING: tuple[Rule, ...] = (
)
# fmt: on
