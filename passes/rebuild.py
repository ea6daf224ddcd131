"""Rebuild a graph with some variables replaced; the common part of substitution and rewriting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symgraph.graph import Graph, topological
from symgraph.origins import Derived
from symgraph.tensor import Tensor, is_outdated, reapply

__all__ = ["rebuilt", "substitute", "successor"]


def rebuilt(node: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
    """``node`` on other inputs; the node itself where they are the same ones."""
    if all(a is b for a, b in zip(node.inputs, inputs, strict=True)) and not is_outdated(node):
        return node
    origin = node.origin if node.origin is not None else Derived(node, "rebuild")
    return reapply(node, inputs, origin)


def substitute(outputs: Sequence[Tensor], replacements: Mapping[Tensor, Tensor]) -> list[Tensor]:
    """The outputs with variables replaced, all at once; what a replacement depends on is kept
    as it is."""
    done: dict[Tensor, Tensor] = dict(replacements)
    for node in topological(outputs):
        if node not in done:
            done[node] = rebuilt(node, tuple([done[i] for i in node.inputs]))
    return [done[o] for o in outputs]


def successor(
    graph: Graph, outputs: Sequence[Tensor], nodes: Sequence[Tensor] | None = None
) -> Graph:
    """A graph of other outputs (and their ``nodes``, where they are known) with the inputs and the
    equations of ``graph``.
    """
    new = Graph(outputs, graph.inputs, nodes=nodes)
    new.equations = {**new.equations, **graph.equations}
    return new
