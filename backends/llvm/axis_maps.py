"""Axis maps: along which axis of an iteration space each axis of a variable runs (None: size 1)."""

from __future__ import annotations

from symgraph.backends.llvm.views import follow
from symgraph.ops import index
from symgraph.sizes import Dim
from symgraph.tensor import Tensor

__all__ = ["AxisMap", "complete", "follow_chain", "operand_axes", "pull", "reach", "reach_operand"]

AxisMap = tuple[int | None, ...]


def reach_operand(operand: Tensor, source: Tensor) -> AxisMap:
    """For each axis of ``source`` the axis of ``operand`` it is seen as (None: size 1 or
    stretched away)."""
    return follow_chain(tuple(range(operand.ndim)), operand, source)


def follow_chain(axes: AxisMap, operand: Tensor, source: Tensor) -> AxisMap:
    """An axis map of ``operand`` carried down a chain of axis views to ``source``."""
    n = operand
    while n is not source:
        axes = follow(axes, n)
        n = n.inputs[0]
    return tuple(
        None if type(d) is int and d == 1 else m for m, d in zip(axes, source.shape, strict=True)
    )


def aligned(node: Tensor, axes: AxisMap, operand: Tensor) -> AxisMap:
    """The axis map of an operand, which aligns with the node at the right and may be stretched."""
    lead = node.ndim - operand.ndim
    return tuple(
        None if type(d) is int and d == 1 else axes[k + lead] for k, d in enumerate(operand.shape)
    )


def operand_axes(node: Tensor, axes: AxisMap, operand: Tensor) -> AxisMap:
    """The axis map of one operand of a member with the map ``axes``."""
    if node.op is index.gather:
        width = node.ndim - (node.inputs[0].ndim - len(node.attrs["axes"]))
        lead = width - operand.ndim
        return tuple(
            None if type(d) is int and d == 1 else axes[k + lead]
            for k, d in enumerate(operand.shape)
        )
    return aligned(node, axes, operand)


def reach(node: Tensor, operand: Tensor, source: Tensor) -> AxisMap:
    """For each axis of ``source`` the axis of ``node`` it runs along."""
    return follow_chain(operand_axes(node, tuple(range(node.ndim)), operand), operand, source)


def pull(node: Tensor, axes: AxisMap, operand: Tensor, source: Tensor) -> AxisMap:
    return follow_chain(operand_axes(node, axes, operand), operand, source)


def complete(
    dims: tuple[Dim, ...], found: dict[int, int], space: tuple[Dim, ...]
) -> AxisMap | None:
    """Fill the axes nothing is known of with unused axes of the space, in order and of equal
    extent."""
    out: list[int | None] = []
    used = set(found.values())
    for k, d in enumerate(dims):
        if k in found:
            if space[found[k]] != d and not _same(space[found[k]], d):
                return None
            out.append(found[k])
        elif type(d) is int and d == 1:
            out.append(None)
        else:
            free = [s for s in range(len(space)) if s not in used and space[s] == d]
            if not free:
                return None
            out.append(free[0])
            used.add(free[0])
    return tuple(out)


def _same(a: Dim, b: Dim) -> bool:
    """Two sizes that an operation has equated: they are checked to be equal before anything
    runs."""
    return not (type(a) is int and type(b) is int)
