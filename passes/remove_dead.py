"""Drop what no output needs: unreachable nodes, and results of an operation that nobody takes."""

from __future__ import annotations

from symgraph.graph import Graph
from symgraph.ops import reduction as r
from symgraph.origins import with_origin
from symgraph.passes.rebuild import substitute, successor
from symgraph.tensor import Tensor, apply

__all__ = ["remove_dead"]

#: operations with several results, and what computes one of them alone
SINGLES = {r.max_and_argmax: (r.max_, r.argmax)}


def remove_dead(graph: Graph) -> Graph:
    """The nodes that the outputs depend on, and no others.

    >>> import symgraph as sg
    >>> x = sg.matrix("x")
    >>> values, places = sg.max_and_argmax(x, axis=1)
    >>> remove_dead(Graph([values])).count("max_and_argmax")
    0
    """
    reachable = successor(graph, graph.outputs) if _has_dead(graph) else graph
    alone = {
        item: single
        for node in reachable
        if node.op in SINGLES
        for item, single in _alone(reachable, node)
    }
    if alone:
        return successor(graph, substitute(graph.outputs, alone))
    return reachable


def _has_dead(graph: Graph) -> bool:
    """Whether there is a node that no other uses and that is no output."""
    used = set(graph.outputs)
    for node in graph.nodes:
        used.update(node.inputs)
    return not used.issuperset(graph.nodes)


def _alone(graph: Graph, node: Tensor) -> list[tuple[Tensor, Tensor]]:
    users = graph.get_consumers(node)
    if len(users) != 1 or users[0].op is not r.item:
        return []
    op = SINGLES[node.op][users[0].attrs["index"]]
    with with_origin(node.origin):
        return [(users[0], apply(op, node.inputs, tuple(node.attrs.items())))]
