"""The way from a pass to the rules: the engine is loaded when a graph is first rewritten.

A program that is known already needs no rule, so importing symgraph loads none of their machinery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgraph.graph import Graph
from symgraph.loading import loading

if TYPE_CHECKING:
    from symgraph.passes.rules.ruleset import RuleSet

__all__ = ["rewrite", "rules_of"]


def rules_of(*contracts: str, relaxed: bool = False) -> RuleSet:
    """Our rules with one of these contracts, all of them if none is named."""
    with loading:
        from symgraph.passes.rules import table
        from symgraph.passes.rules.ruleset import RuleSet

    return RuleSet(table.rules_of(*contracts) if contracts else table.RULES, relaxed)


def rewrite(graph: Graph, rules: RuleSet, pass_name: str) -> Graph:
    """The graph in normal form under the rules; inputs and equations are kept."""
    with loading:
        from symgraph.passes.rules.engine import rewrite_graph

    return rewrite_graph(graph, rules, pass_name)
