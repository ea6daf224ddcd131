"""Markers mean something to derivatives only; once those have been taken they are in the way."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from symgraph.graph import Graph
from symgraph.loading import loading
from symgraph.passes.contracts import EXACT
from symgraph.passes.rewrite import rewrite

if TYPE_CHECKING:
    from symgraph.passes.rules.ruleset import RuleSet

__all__ = ["erase_markers"]


@functools.cache
def _rules() -> RuleSet:
    with loading:
        from symgraph.passes.rules.pattern import Node
        from symgraph.passes.rules.rule import Rule
        from symgraph.passes.rules.ruleset import RuleSet

    return RuleSet([Rule("marker", Node(trait="marker"), lambda m: m.node.inputs[0], EXACT)])


def erase_markers(graph: Graph) -> Graph:
    """The graph without ``stop_gradient``.

    >>> import symgraph as sg
    >>> x = sg.vector("x")
    >>> erase_markers(Graph([sg.stop_gradient(x)])).outputs[0] is x
    True
    """
    if not any("marker" in n.op.traits for n in graph.nodes):
        return graph
    return rewrite(graph, _rules(), "erase_markers")
