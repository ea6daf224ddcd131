"""Forward mode: append tangent nodes to the graph; one sweep in topological order.

Tangents carry masks as cotangents do, so that what was not selected stays zero behind a selection
too (:mod:`symgraph.passes.masks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from symgraph import functions as f
from symgraph.errors import GradientError
from symgraph.graph import Graph, topological
from symgraph.op import Derivative, Undefined
from symgraph.ops import leaves
from symgraph.ops.reduction import item
from symgraph.origins import deriving
from symgraph.passes.build_grad import _explain, active_nodes, transpose_linear
from symgraph.passes.derivatives.forms import derivative_of
from symgraph.passes.derivatives.reach import REACHES
from symgraph.passes.masks import Flow, Mask, added, indicator, is_zero, scaled
from symgraph.tensor import Tensor, apply, leaf
from symgraph.types import TupleType

__all__ = ["build_jvp"]

Tangent = Tensor | Undefined | None
#: On the way: with its mask; a tuple for an op with several results.
Moving = Any


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
    found: dict[Tensor, Moving] = {x: Flow(t) for x, t in tangents.items()}
    for node in list(graph.nodes):
        if node in active and node in needed and node not in found:
            with deriving(node, "jvp"):
                found[node] = _tangent(node, tuple([found.get(i) for i in node.inputs]))
    result = {o: _value(found.get(o)) for o in outputs}
    graph.append(t for t in result.values() if isinstance(t, Tensor))
    return result


def _value(t: Moving) -> Any:
    return t.value if isinstance(t, Flow) else t


def _tangent(node: Tensor, tangents: tuple[Moving, ...]) -> Moving:
    if node.op is item:
        return _item_tangent(node, tangents[0])
    if all(t is None for t in tangents):
        return None
    rule = derivative_of(node.op)
    if rule is None:
        raise GradientError(f"{node.op.name} has no derivative; give the Op a Derivative")
    if rule.partials is not None:
        return _from_partials(node, tangents, rule.partials(node))
    tangents = _without_positions(node, tangents)
    undefined = next((t for t in tangents if isinstance(t, Undefined)), None)
    if undefined is not None or all(t is None for t in tangents):
        return undefined
    pushed = _pushed(rule, node, tuple([_value(t) for t in tangents]))
    if isinstance(pushed, tuple):
        mask = _moved(rule, node, tangents)
        return tuple([None if t is None else Flow(t, mask) for t in pushed])
    return Flow(pushed, _moved(rule, node, tangents)) if isinstance(pushed, Tensor) else pushed


def _pushed(rule: Derivative, node: Tensor, tangents: tuple[Any, ...]) -> Any:
    """The tangent of a node by its rule, from the tangents of its inputs (None where zero)."""
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


def _moved(rule: Derivative, node: Tensor, tangents: tuple[Moving, ...]) -> Mask | None:
    """The masks sent through a structural op: as numbers, nonzero where any part was live."""
    masks = [t.mask for t in tangents if t is not None and t.mask is not None]
    if not masks:
        return None
    if not rule.structural:
        return _reached(node, tangents)

    def live(*elements: Tensor) -> Tensor:
        known = iter(elements)
        parts = [
            None if t is None else f.ones_like(i) if t.mask is None else indicator(next(known), i)
            for i, t in zip(node.inputs, tangents, strict=True)
        ]
        return f.greater(_pushed(rule, node, tuple(parts)), 0)

    return Mask(live, *masks)


def _reached(node: Tensor, tangents: tuple[Moving, ...]) -> Mask | None:
    """The mask through an op that mixes elements: live where any live operand enters."""
    reach = REACHES.get(node.op)
    if reach is None or any(t is not None and t.mask is None for t in tangents):
        return None
    total: Mask | None = None
    for k, t in enumerate(tangents):
        if t is not None:
            whole = Mask(partial(_stretched, node.inputs[k]), t.mask)
            found = Mask(partial(reach.ahead, node, k), whole)
            total = found if total is None else Mask(f.logical_or, total, found)
    return total


def _stretched(like: Tensor, mask: Tensor) -> Tensor:
    return f.broadcast_to(mask, like.shape)


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


def _from_partials(node: Tensor, tangents: tuple[Moving, ...], local: tuple[Any, ...]) -> Moving:
    total: Flow | None = None
    for t, p in zip(tangents, local, strict=True):
        if t is None or is_zero(p):
            continue
        if isinstance(t, Undefined):
            return t
        if isinstance(p, Undefined):
            return Undefined(_explain(node, p.reason))
        part = scaled(t, p)
        total = part if total is None else added(total, part)
    return None if total is None else Flow(f.broadcast_to(total.value, node.shape), total.mask)
