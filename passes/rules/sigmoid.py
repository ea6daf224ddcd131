"""The logistic function, softplus and their kin in products, sums and quotients."""

from __future__ import annotations

from symgraph.passes.rules.rule import Rule

__all__ = ["SIGMOID"]

# fmt: off
SIGMOID: tuple[Rule, ...] = (
)
# fmt: on
