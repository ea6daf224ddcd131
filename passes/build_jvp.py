"""Forward mode: append tangent nodes to the graph; one sweep in topological order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from symgraph import functions as f
from symgraph.errors import GradientError
from symgraph.functions.variables import number
from symgraph.graph import Graph, topological
from symgraph.op import Derivative, Undefined
from symgraph.ops import leaves
from symgraph.ops.reduction import item
from symgraph.origins import deriving
from symgraph.passes.build_grad import _explain, active_nodes, transpose_linear
from symgraph.passes.derivatives.forms import Selected, derivative_of
from symgraph.tensor import Tensor, apply, leaf
from symgraph.types import TupleType

__all__ = ["build_jvp"]

Tangent = Tensor | Undefined | None


def build_jvp(
    graph: Graph,
    tangents: Mapping[Tensor, Tensor],
    outputs: Iterable[Tensor],
    consider_constant: Iterable[Tensor] = (),
) -> dict[Tensor, Tangent]:
    """Append to ``graph`` the tangents of the outputs, given those of some variables.

    Returns the tangent of every output: a tensor of its shape, None where it does not depend on the
    variables (or only through a zero derivative), or the reason why it is undefined.
    """
    outputs = list(outputs)
    graph.append([*outputs, *tangents, *tangents.values()])
    needed = set(topological(outputs))
    active = active_nodes(graph, tangents, consider_constant)
    found: dict[Tensor, Any] = dict(tangents)
    for node in list(graph.nodes):
        if node in active and node in needed and node not in found:
            with deriving(node, "jvp"):
                found[node] = _tangent(node, tuple([found.get(i) for i in node.inputs]))
    result = {o: found.get(o) for o in outputs}
    graph.append(t for t in result.values() if isinstance(t, Tensor))
    return result


def _tangent(node: Tensor, tangents: tuple[Any, ...]) -> Any:
    if node.op is item:
        return _item_tangent(node, tangents[0])
    rule = derivative_of(node.op)
    if rule is None:
        raise GradientError(f"{node.op.name} has no derivative; give the Op a Derivative")
    if rule.partials is not None:
        if all(t is None for t in tangents):
            return None
        return _from_partials(node, tangents, rule.partials(node))
    tangents = _without_positions(node, tangents)
    if all(t is None for t in tangents):
        return None
    undefined = next((t for t in tangents if isinstance(t, Undefined)), None)
    if undefined is not None:
        return undefined
    if rule.jvp is not None:
        return rule.jvp(node, tangents)
    if rule.transpose is None:
        return _transposed_bprop(rule, node, tangents)
    if node.dtype.kind != "f":
        return Undefined(_explain(node, f"its result is {node.type}"))
    filled = [
        t if t is not None else f.zeros_like(i) for i, t in zip(node.inputs, tangents, strict=True)
    ]
    return apply(node.op, tuple(filled), tuple(node.attrs.items()))


def _item_tangent(node: Tensor, parts: Any) -> Any:
    if parts is None or isinstance(parts, Undefined):
        return parts
    if node.dtype.kind != "f":
        reason = f"its result {node.attrs['index']} is {node.dtype.name}"
        return Undefined(_explain(node.inputs[0], reason))
    return parts[node.attrs["index"]]


def _without_positions(node: Tensor, tangents: tuple[Any, ...]) -> tuple[Any, ...]:
    """Beside floats, integers and bools are positions: the result is piecewise constant in them."""
    if not any(i.dtype.kind == "f" for i in node.inputs):
        return tangents
    return tuple(
        [t if i.dtype.kind == "f" else None for i, t in zip(node.inputs, tangents, strict=True)]
    )


def _transposed_bprop(rule: Derivative, node: Tensor, tangents: tuple[Any, ...]) -> Any:
    """The tangent of an op that states only its ``bprop``: the transpose of that linear map."""
    if rule.bprop is None:
        raise GradientError(
            f"the Derivative of {node.op.name} is empty; give it partials, transpose or bprop"
        )
    several = isinstance(node.type, TupleType)
    types = node.type.items if several else (node.type,)
    given = [leaf(leaves.input_, {}, t, None) if t.dtype.kind == "f" else None for t in types]
    parts = rule.bprop(node, tuple(given) if several else given[0])
    pairs = [(p, t) for p, t in zip(parts, tangents, strict=True) if t is not None]
    undefined = next((p for p, _ in pairs if isinstance(p, Undefined)), None)
    if undefined is not None:
        return Undefined(_explain(node, undefined.reason))
    found = transpose_linear(pairs, given)
    return found if several else found[0]


def _from_partials(node: Tensor, tangents: tuple[Any, ...], local: tuple[Any, ...]) -> Tangent:
    total: Tensor | None = None
    for t, p in zip(tangents, local, strict=True):
        if t is None or p is None:
            continue
        if isinstance(t, Undefined):
            return t
        if isinstance(p, Undefined):
            return Undefined(_explain(node, p.reason))
        part = _scaled(t, p)
        total = part if total is None else f.add(total, part)
    return None if total is None else f.broadcast_to(total, node.shape)


def _scaled(t: Tensor, p: Any) -> Tensor:
    if isinstance(p, Selected):
        moved = f.multiply(t, p.weight) if isinstance(p.weight, Tensor) else t
        return f.where(p.mask, moved, number(0, t.dtype))
    if not isinstance(p, Tensor) and p in (1, -1):
        return t if p == 1 else f.negative(t)
    return f.multiply(t, p)
