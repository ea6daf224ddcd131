"""Exact rules: the same bits by fewer operations."""

from __future__ import annotations

import functools

from symgraph.graph import Graph
from symgraph.passes.rules.engine import RuleSet, rewrite_graph
from symgraph.passes.rules.rule import EXACT

__all__ = ["canonicalise", "rules"]


@functools.cache
def rules() -> RuleSet:
    """The exact rules; made at the first use."""
    from symgraph.passes.rules.table import rules_of

    return RuleSet(rules_of(EXACT))


def canonicalise(graph: Graph) -> Graph:
    """Bring the graph into normal form under the exact rules; every value keeps its bits.

    >>> import symgraph as sg
    >>> from symgraph.graph import Graph
    >>> x = sg.matrix("x")
    >>> canonicalise(Graph([-(-x.T).T * 1])).outputs[0] is x
    True
    """
    return rewrite_graph(graph, rules(), "canonicalise")
