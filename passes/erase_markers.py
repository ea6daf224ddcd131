"""Markers mean something to derivatives only; once those have been taken they are in the way."""

from __future__ import annotations

from symgraph.graph import Graph
from symgraph.passes.rules.engine import RuleSet, rewrite_graph
from symgraph.passes.rules.pattern import Node
from symgraph.passes.rules.rule import EXACT, Rule

__all__ = ["erase_markers"]

RULES = RuleSet([Rule("marker", Node(trait="marker"), lambda m: m.node.inputs[0], EXACT)])


def erase_markers(graph: Graph) -> Graph:
    """The graph without ``stop_gradient``.

    >>> import symgraph as sg
    >>> x = sg.vector("x")
    >>> erase_markers(Graph([sg.stop_gradient(x)])).outputs[0] is x
    True
    """
    if not any("marker" in n.op.traits for n in graph.nodes):
        return graph
    return rewrite_graph(graph, RULES, "erase_markers")
