"""Check that a graph is one: order, types, equations; and that a pass kept what it must keep."""

from __future__ import annotations

from symgraph.errors import GraphError, SymgraphError
from symgraph.graph import Graph
from symgraph.ops import leaves
from symgraph.sizes import Dim
from symgraph.tensor import Tensor, describe
from symgraph.types import TensorType, Type

__all__ = ["verify", "verify_pass"]


def verify(graph: Graph) -> None:
    """Recompute the type of every node from its inputs, and check order, equations, inputs and
    outputs.

    Raises:
        GraphError: the graph is damaged; the message names the node.
    """
    seen: set[Tensor] = set()
    for node in graph.nodes:
        if node in seen:
            raise GraphError(f"verify: {describe(node)} stands twice in the order")
        for needed in (*node.inputs, *node.after):
            if needed not in seen:
                raise GraphError(
                    f"verify: {describe(node)} stands before its input {describe(needed)}"
                )
        _check_node(node, graph)
        seen.add(node)
    _check_ends(graph, seen)


def _check_node(node: Tensor, graph: Graph) -> None:
    if node.op in (leaves.input_, leaves.shared):
        return
    equations: list[tuple[Dim, Dim]] = []
    try:
        found = node.op.infer(tuple([i.type for i in node.inputs]), node.attrs, equations)
    except SymgraphError as error:
        raise GraphError(f"verify: {describe(node)} does not fit its inputs: {error}") from error
    if not _same_type(found, node.type):
        raise GraphError(f"verify: {describe(node)} is {node.type}, its inputs give {found}")
    for pair in equations:
        if pair not in graph.equations:
            raise GraphError(
                f"verify: the equation {pair[0]} = {pair[1]} of {describe(node)} was lost"
            )


def _same_type(a: Type, b: Type) -> bool:
    if isinstance(a, TensorType) and isinstance(b, TensorType):
        return a.dtype == b.dtype and a.shape == b.shape
    return a == b


def _check_ends(graph: Graph, seen: set[Tensor]) -> None:
    for o in graph.outputs:
        if o not in seen:
            raise GraphError(f"verify: the output {describe(o)} is not in the order")
    declared = set(graph.inputs)
    for node in seen:
        if node.op is leaves.input_ and node not in declared:
            raise GraphError(f"verify: {describe(node)} is used but not among the inputs")


def verify_pass(name: str, before: Graph, after: Graph, seconds: float) -> None:
    """An observer of ``run_passes``: the new graph is valid, with the same inputs, output types,
    equations.

    Raises:
        GraphError: the pass broke something; the message names the pass.
    """
    try:
        verify(after)
    except GraphError as error:
        raise GraphError(f"pass {name}: {error}") from error
    if before.inputs != after.inputs and set(after.inputs) - set(before.inputs):
        raise GraphError(f"pass {name}: the inputs changed")
    if len(before.outputs) != len(after.outputs):
        raise GraphError(f"pass {name}: {len(before.outputs)} outputs became {len(after.outputs)}")
    for k, (old, new) in enumerate(zip(before.outputs, after.outputs, strict=True)):
        if not _same_type(old.type, new.type):
            raise GraphError(f"pass {name}: output {k} was {old.type} and is {new.type}")
    for pair in before.equations:
        if pair not in after.equations:
            raise GraphError(f"pass {name}: the equation {pair[0]} = {pair[1]} was lost")
