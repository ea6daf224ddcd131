"""Clusters that read the same array element by element become one, so that it is read once.

``[sum(x, axis=1), 2 * x]`` is one walk over ``x``, though neither result needs the other. Both walk
one space, reduce the same axes or nothing, and neither depends on the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from symgraph.backends.llvm.axis_maps import AxisMap, follow_chain, pull
from symgraph.backends.llvm.clusters import CHEAP, LIMIT, REDUCTIONS, Cluster, Step, keeps_order
from symgraph.backends.llvm.memory_ops import inside
from symgraph.backends.llvm.step_order import StepOrder
from symgraph.ops import leaves
from symgraph.ops.product import matmul
from symgraph.sizes import Dim
from symgraph.tensor import Tensor

__all__ = ["share_reads"]

#: An array read by more clusters than these is compared with the latest of them alone.
LATEST = 4
#: Clusters more steps apart stay apart: the search for a path between them, and the time for which
#: what the later one makes would be kept, grow with the distance.
NEAR = 64

_NO_MEMORY = frozenset((leaves.iota, leaves.size, inside))

Key = tuple[Tensor, tuple[Dim, ...], AxisMap]


class Host(Protocol):
    """What is needed of the partition in the making."""

    ranks: StepOrder[Step]

    def operands(self, node: Tensor) -> Iterable[tuple[Tensor, Tensor, bool]]: ...

    def reads(self, step: Step) -> Iterable[Tensor]: ...

    def absorb(self, c: Cluster, other: Cluster, embedding: tuple[int, ...]) -> None: ...


def share_reads(p: Host) -> None:
    """Merge the clusters of a partition that read an array in common."""
    readers: dict[Key, dict[Cluster, int]] = {}
    steps = p.ranks.steps()
    shared = _read_by_several(p, steps)
    for at, c in enumerate(steps if shared else ()):
        if not isinstance(c, Cluster):
            continue
        keys = list(_keys(p, c, shared))
        if not keys or not _is_walk(p, c):
            continue
        found = [r for k in keys for r in list(readers.get(k, {}).items())[-LATEST:]]
        for other, place in dict(found).items():
            if c.forward is None and at - place <= NEAR and _fits(p, other, c):
                p.absorb(other, c, tuple(range(len(c.space))))
        for k in keys:
            readers.setdefault(k, {}).setdefault(c.forward or c, at)


def _read_by_several(p: Host, steps: Iterable[Step]) -> set[Tensor]:
    """The arrays that more than one cluster reads."""
    readers: dict[Tensor, Cluster] = {}
    found: set[Tensor] = set()
    for c in steps:
        if isinstance(c, Cluster):
            for source in (s for m in c.maps for _, s, _ in p.operands(m)):
                if source not in c.maps and readers.setdefault(source, c) is not c:
                    found.add(source)
    return {n for n in found if n.op not in _NO_MEMORY}


def _keys(p: Host, c: Cluster, shared: set[Tensor]) -> Iterable[Key]:
    """The arrays a cluster reads along its whole space, in the order of its axes."""
    every = tuple(range(len(c.space)))
    for m in c.maps if every else ():
        for operand, source, plain in p.operands(m):
            if plain and source in shared and source not in c.maps:
                axes = _axes(c, m, operand, source)
                if tuple(a for a in axes if a is not None) == every:
                    yield source, c.space, axes


def _axes(c: Cluster, member: Tensor, operand: Tensor, source: Tensor) -> AxisMap:
    if member in c.operand_maps:
        return follow_chain(c.operand_maps[member], operand, source)
    return pull(member, c.maps[member], operand, source)


def _is_walk(p: Host, c: Cluster) -> bool:
    """Whether more may go along: no epilogue of a product, nothing read across the memory, and no
    single row that is walked again (which no threads share)."""
    inner = c.inner
    for m in c.maps:
        for operand, source, plain in p.operands(m):
            found = [a for a in _axes(c, m, operand, source) if a is not None] if plain else []
            again = source in c.maps and source.op in REDUCTIONS and set(c.maps[m]) >= inner
            if found != sorted(found) or (again and len(inner) == len(c.space)):
                return False
    return not any(r.op is matmul for r in p.reads(c))


def _fits(p: Host, c: Cluster, other: Cluster) -> bool:
    """Whether two clusters over one space can be one."""
    if c.space != other.space or c.weight + other.weight > LIMIT:
        return False
    if c.inner and other.inner and c.inner != other.inner:
        return False
    inner = c.inner or other.inner
    if c.inner != other.inner and len(c.space) - 1 not in inner:
        return False  # columns are walked a few rows at a time, which makes for slow writing
    for part in (c, other):
        for m, axes in part.maps.items():
            along = inner & set(axes)
            if along and along != inner:
                return False
            if inner != part.inner and inner and not along and m.op.name not in CHEAP:
                return False
    if not keeps_order({**c.operand_maps, **other.operand_maps}):
        return False
    return not p.ranks.depends(c, other) and not p.ranks.depends(other, c)
