"""Reverse mode: append derivative nodes to the graph (Algorithms 6.5 and 6.6, without recursion).

The driver knows no operation. Nodes between the targets and z are visited in reverse topological
order; each hands its cotangent to ``bprop``, and what comes back is added up by input position.

A cotangent may carry a mask: the elements off it are zero because something did not select them,
and stay zero whatever they are multiplied by (:mod:`symgraph.passes.masks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from symgraph import functions as f
from symgraph.errors import GradientError, ShapeError
from symgraph.functions.variables import number
from symgraph.graph import Graph
from symgraph.op import Derivative, Undefined
from symgraph.ops import elementwise, leaves
from symgraph.ops.reduction import item
from symgraph.origins import deriving, root_line
from symgraph.passes.derivatives.forms import Masked, derivative_of, unbroadcast
from symgraph.passes.derivatives.reach import REACHES, is_tame, shielded
from symgraph.passes.masks import Flow, Mask, added, indicator, is_zero, scaled
from symgraph.tensor import Tensor, describe, leaf
from symgraph.types import TupleType, shape_text

__all__ = [
    "Cotangent", "active_nodes", "bprop", "build_grad", "grad_table", "transpose_linear",
]  # fmt: skip


#: The gradient arriving at a node.
Cotangent = Flow
Arriving = Cotangent | Undefined


def active_nodes(
    graph: Graph, targets: Iterable[Tensor], constants: Iterable[Tensor] = ()
) -> set[Tensor]:
    """The targets and every node that depends on one, not looking through constants."""
    active = set(targets)
    blocked = set(constants)
    for node in graph.nodes:
        if active.isdisjoint(node.inputs):
            continue
        if node not in blocked and node.op is not elementwise.stop_gradient:
            active.add(node)
    return active


def build_grad(
    graph: Graph,
    z: Tensor | Mapping[Tensor, Tensor],
    targets: Iterable[Tensor],
    consider_constant: Iterable[Tensor] = (),
) -> dict[Tensor, Tensor | Undefined]:
    """Append to ``graph`` the gradient of z with respect to the targets; returns the grad_table.

    ``z`` is one scalar, or a mapping from variables to their cotangents. The table holds every node
    that was reached, targets and intermediate nodes alike: a tensor of the node's shape and dtype,
    or the reason why the derivative is undefined. A target that is missing is not connected to z.
    """
    table = grad_table(graph, z, targets, consider_constant)
    graph.append(g for g in table.values() if isinstance(g, Tensor))
    return table


def grad_table(
    graph: Graph,
    z: Tensor | Mapping[Tensor, Tensor],
    targets: Iterable[Tensor],
    consider_constant: Iterable[Tensor] = (),
) -> dict[Tensor, Tensor | Undefined]:
    """The table of :func:`build_grad`; ``graph`` gets the targets, but not the derivatives."""
    targets = list(targets)
    seeds = dict(z) if isinstance(z, Mapping) else {z: _one(z)}
    graph.append([*seeds, *targets, *seeds.values()])
    constants = set(consider_constant)
    active = active_nodes(graph, targets, constants)
    arriving: dict[Tensor, list[Any]] = {s: [Cotangent(g)] for s, g in seeds.items() if s in active}
    table: dict[Tensor, Tensor | Undefined] = {}
    tame: dict[Tensor, bool] = {}
    for node in [n for n in reversed(graph.nodes) if n in active]:
        parts = arriving.pop(node, None)
        if parts is None:
            continue
        with deriving(node, "bprop"):
            total = (
                _accumulate_tuple(node, parts) if isinstance(node.type, TupleType) else _sum(parts)
            )
            if not isinstance(node.type, TupleType):
                table[node] = total.value if isinstance(total, Cotangent) else total
            if node in constants or active.isdisjoint(node.inputs):
                continue
            for source, part in _contributions(node, total, active, tame):
                arriving.setdefault(source, []).append(part)
    return table


def _one(z: Tensor) -> Tensor:
    if z.ndim != 0:
        raise ShapeError(
            f"build_grad: {describe(z)} has shape {shape_text(z.shape)}; only a scalar has a "
            "gradient (reduce it with sg.sum or sg.mean, or use sg.vjp or sg.jacobian)"
        )
    if z.dtype.kind != "f":
        raise GradientError(
            f"build_grad: {describe(z)} is {z.dtype.name}; a floating-point cost is needed"
        )
    return number(1, z.dtype)


def _sum(parts: list[Arriving]) -> Arriving:
    total: Cotangent | None = None
    for part in parts:
        if isinstance(part, Undefined):
            return part
        total = part if total is None else added(total, part)
    assert total is not None
    return total


def _accumulate_tuple(node: Tensor, parts: list[Any]) -> Any:
    """Cotangents of an op's several results: a tuple, None where absent; or why undefined."""
    slots: list[list[Arriving]] = [[] for _ in node.type.items]
    for index, part in parts:
        slots[index].append(part)
    totals = [_sum(s) if s else None for s in slots]
    return next((t for t in totals if isinstance(t, Undefined)), tuple(totals))


def _contributions(
    node: Tensor, g: Any, active: set[Tensor], tame: dict[Tensor, bool]
) -> Iterable[tuple[Tensor, Any]]:
    if node.op is item:
        return [(node.inputs[0], (node.attrs["index"], _item_cotangent(node, g)))]
    if isinstance(g, Undefined):
        return [(i, g) for i in dict.fromkeys(node.inputs) if i in active]
    if not isinstance(g, tuple) and node.dtype.kind != "f":
        return _through_integers(node, active)
    parts = bprop(node, g, active, tame)
    return [
        (i, p) for i, p in zip(node.inputs, parts, strict=True) if p is not None and i in active
    ]


def _item_cotangent(node: Tensor, g: Arriving) -> Arriving:
    if node.dtype.kind == "f" or isinstance(g, Undefined):
        return g
    reason = f"its result {node.attrs['index']} is {node.dtype.name}"
    return Undefined(_explain(node.inputs[0], reason))


def _through_integers(node: Tensor, active: set[Tensor]) -> list[tuple[Tensor, Undefined]]:
    """The result is no floating-point number, so nothing upstream has a derivative through it."""
    rule = derivative_of(node.op)
    reason = f"its result is {node.dtype.name}"
    if rule is not None and rule.partials is not None:
        stated = [p for p in rule.partials(node) if isinstance(p, Undefined)]
        reason = stated[0].reason if stated else reason
    undefined = Undefined(_explain(node, reason))
    return [(i, undefined) for i in dict.fromkeys(node.inputs) if i in active]


def _explain(node: Tensor, reason: str) -> str:
    line = root_line(node.origin)
    made = f" (made at {line})" if line else ""
    return f"the derivative of {node.op.name}{made} is undefined: {reason}"


def bprop(
    node: Tensor,
    g: Any,
    active: set[Tensor] | None = None,
    tame: dict[Tensor, bool] | None = None,
) -> tuple[Any, ...]:
    """One cotangent (or None, or Undefined) for each input of ``node``, as eq. 6.54 demands.

    ``g`` is the node's :class:`Cotangent` (a tuple of them for several results). Inputs are treated
    as distinct, repeated ones too. ``tame`` remembers which variables have no pole on their way.
    """
    rule = derivative_of(node.op)
    if rule is None:
        raise GradientError(
            f"{node.op.name} has no derivative; give the Op a Derivative (see docs: adding an op)"
        )
    if rule.partials is not None:
        return _from_partials(node, g, rule.partials(node), active)
    values = _values(g)
    if rule.transpose is not None and isinstance(g, Cotangent):
        masks: list[Mask | None] = [None] * len(node.inputs)
        if rule.structural and g.mask is not None:
            masks = _moved(rule, node, g.mask)
        parts = rule.transpose(node, values)
        return tuple(_wrap(node, v, m) for v, m in zip(parts, masks, strict=True))
    node, lives = _shield(node, g, tame)
    parts = (
        rule.bprop(node, values) if rule.bprop is not None else _transposed_jvp(rule, node, values)
    )
    return tuple(_wrap(node, v, m) for v, m in zip(parts, lives, strict=True))


def _values(g: Any) -> Any:
    if isinstance(g, tuple):
        return tuple(None if c is None else c.value for c in g)
    return g.value


def _shield(
    node: Tensor, g: Any, tame: dict[Tensor, bool] | None
) -> tuple[Tensor, list[Mask | None]]:
    """The node on operands that are harmless where the cotangent is a strong zero, and the masks of
    their cotangents. Operands without a pole need neither.
    """
    arriving = next((c for c in (g if isinstance(g, tuple) else (g,)) if c is not None), None)
    reach, known = REACHES.get(node.op), {} if tame is None else tame
    mask = None if arriving is None else arriving.mask
    if reach is None or mask is None or all(is_tame(x, known) for x in node.inputs):
        return node, [None] * len(node.inputs)
    assert arriving is not None
    whole = Mask(lambda m: f.broadcast_to(m, arriving.value.shape), mask)
    lives: list[Mask | None] = []
    for k, x in enumerate(node.inputs):
        wild = not is_tame(x, known)
        lives.append(Mask(partial(reach.back, node, k), whole) if wild else None)
    return shielded(node, [None if live is None else live.get() for live in lives]), lives


def _transposed_jvp(rule: Derivative, node: Tensor, values: Any) -> tuple[Any, ...]:
    """The cotangents of an op that states only its ``jvp``: the transpose of that linear map."""
    if rule.jvp is None:
        raise GradientError(
            f"the Derivative of {node.op.name} is empty; give it partials, transpose or bprop"
        )
    directions = [
        leaf(leaves.input_, {}, i.type, None) if i.dtype.kind == "f" else None for i in node.inputs
    ]
    tangents = rule.jvp(node, tuple(directions))
    pairs = (
        zip(tangents, values, strict=True) if isinstance(values, tuple) else [(tangents, values)]
    )
    return transpose_linear(pairs, directions)


def transpose_linear(
    pairs: Iterable[tuple[Any, Any]], leaves_: Iterable[Tensor | None]
) -> tuple[Any, ...]:
    """The transpose of a linear map: expressions in fresh leaves, paired with their cotangents."""
    seeds: dict[Tensor, Tensor] = {}
    for expression, g in pairs:
        if isinstance(expression, Tensor) and g is not None:
            seeds[expression] = f.add(seeds[expression], g) if expression in seeds else g
    given = list(leaves_)
    table = grad_table(Graph([*seeds]), seeds, [x for x in given if x is not None])
    return tuple([None if x is None else table.get(x) for x in given])


def _wrap(node: Tensor, value: Any, mask: Mask | None) -> Any:
    if value is None:
        return None
    if isinstance(value, Undefined):
        return Undefined(_explain(node, value.reason))
    if isinstance(value, Masked):
        kept = Mask(lambda: value.mask)
        return Cotangent(value.value, kept if mask is None else Mask(f.logical_and, kept, mask))
    return Cotangent(value, mask)


def _moved(rule: Derivative, node: Tensor, mask: Mask) -> list[Mask | None]:
    """The mask through a structural op: transposed as numbers, nonzero where any part was live."""

    def live(position: int, elements: Tensor) -> Tensor:
        assert rule.transpose is not None
        return f.greater(rule.transpose(node, indicator(elements, node))[position], 0)

    return [Mask(partial(live, k), mask) for k in range(len(node.inputs))]


def _from_partials(
    node: Tensor, g: Cotangent, local: tuple[Any, ...], active: set[Tensor] | None
) -> tuple[Any, ...]:
    out: list[Any] = []
    for x, p in zip(node.inputs, local, strict=True):
        if is_zero(p) or (active is not None and x not in active):
            out.append(None)
        elif isinstance(p, Undefined):
            out.append(Undefined(_explain(node, p.reason)))
        else:
            out.append(_shrink(scaled(g, p), x))
    return tuple(out)


def _shrink(g: Cotangent, x: Tensor) -> Cotangent:
    """The cotangent of an input that was stretched to the node's shape: summed back."""
    value = unbroadcast(g.value, x)
    mask = g.mask
    if value is g.value:
        return g
    if mask is None:
        return Cotangent(value)

    def live(elements: Tensor) -> Tensor:
        return f.greater(unbroadcast(indicator(elements, g.value), x), 0)

    return Cotangent(value, Mask(live, mask))
