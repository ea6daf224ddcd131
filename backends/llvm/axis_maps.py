"""Axis maps: along which axis of an iteration space each axis of a variable runs (None: size 1)."""

from __future__ import annotations

import functools
import itertools

from symgraph.backends.llvm.views import follow
from symgraph.ops import index
from symgraph.sizes import Dim, is_one
from symgraph.tensor import Tensor

__all__ = [
    "AxisMap", "complete", "fit_map", "follow_chain", "operand_axes", "own_space", "pull", "reach",
    "reach_operand",
]  # fmt: skip

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
    return _shifted(axes, 0, source.shape)


@functools.lru_cache(maxsize=4096)
def _shifted(axes: AxisMap, lead: int, dims: tuple[Dim, ...]) -> AxisMap:
    """The entries from ``lead`` on for axes of these extents."""
    return tuple([None if is_one(d) else axes[k + lead] for k, d in enumerate(dims)])


def operand_axes(node: Tensor, axes: AxisMap, operand: Tensor) -> AxisMap:
    """The axis map of one operand of a member with the map ``axes``.

    An operand aligns with the node at the right, an index with the axes that it is looked up for;
    both may be stretched.
    """
    dims, width = operand.shape, len(axes)
    if node.op is index.gather:
        width = node.ndim - (node.inputs[0].ndim - len(node.attrs["axes"]))
    return _shifted(axes, width - len(dims), dims)


def reach(node: Tensor, operand: Tensor, source: Tensor) -> AxisMap:
    """For each axis of ``source`` the axis of ``node`` it runs along."""
    axes = operand_axes(node, tuple(range(node.ndim)), operand)
    return axes if operand is source else follow_chain(axes, operand, source)


def pull(node: Tensor, axes: AxisMap, operand: Tensor, source: Tensor) -> AxisMap:
    """The axis map of ``source`` where ``node``, which reads it as ``operand``, has ``axes``."""
    return follow_chain(operand_axes(node, axes, operand), operand, source)


@functools.lru_cache(maxsize=4096)
def own_space(dims: tuple[Dim, ...]) -> tuple[tuple[Dim, ...], AxisMap]:
    """The space that an array of these extents is walked in, and its axis map."""
    numbered = itertools.count()
    axes = tuple([None if is_one(d) else next(numbered) for d in dims])
    return tuple([d for d in dims if not is_one(d)]), axes


@functools.lru_cache(maxsize=4096)
def fit_map(
    dims: tuple[Dim, ...], read: tuple[tuple[AxisMap, AxisMap], ...], space: tuple[Dim, ...]
) -> AxisMap | None:
    """The axis map of a node of these extents in a space, or None where there is none.

    ``read`` tells of each operand that is computed there how it is reached from the node, and its
    axis map: it must be read exactly along that.
    """
    found: dict[int, int] = {}
    for reached, axes in read:
        for axis, mapped in zip(reached, axes, strict=True):
            if axis is not None and mapped is not None and found.setdefault(axis, mapped) != mapped:
                return None
    if len(set(found.values())) != len(found):
        return None
    out = complete(dims, found, space)
    if out is None:
        return None
    along = [tuple([None if a is None else out[a] for a in reached]) for reached, _ in read]
    return out if along == [axes for _, axes in read] else None


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
