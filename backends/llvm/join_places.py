"""Parts of a join that are written straight to their places in it.

The kernel that computes a part stores it at an offset into the join's memory, with the join's
strides; nothing is copied. Parts that others read too, that are outputs, or that no cluster
computes, are copied as before.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.backends.llvm.axis_maps import follow_chain
from symgraph.backends.llvm.clusters import Cluster, Partition, Place
from symgraph.backends.llvm.views import AXIS_VIEWS, contiguous_strides, source_of
from symgraph.ops import shape
from symgraph.sizes import Dim
from symgraph.tensor import Tensor

__all__ = ["place_parts"]


def place_parts(parts: Partition, outputs: Sequence[Tensor]) -> None:
    """Give every part of a join that only the join reads its place in the join."""
    joins = [s for s in parts.steps if isinstance(s, Tensor) and s.op is shape.concat]
    if not joins:
        return
    home = {m for c in parts.steps if isinstance(c, Cluster) for m in c.maps}
    reads: dict[Tensor, int] = {}
    for step in parts.steps:
        for m in step.maps if isinstance(step, Cluster) else (step,):
            for i in (*m.inputs, *m.after):
                reads[source_of(i)] = reads.get(source_of(i), 0) + 1
    kept = {source_of(o) for o in outputs}
    for join in joins:
        for part, offset in _offsets(join):
            source = source_of(part)
            alone = reads[source] == 1 and source not in kept and source in home
            if alone and source in parts.stored and _renames_axes(part, source):
                parts.stored[source] = Place(join, offset, _strides(join, part, source))


def _offsets(join: Tensor) -> list[tuple[Tensor, Dim]]:
    """The parts, and where in the join each begins."""
    axis, found = join.attrs["axis"], list[tuple[Tensor, Dim]]()
    step = contiguous_strides(join.shape)[axis]
    offset: Dim = 0
    for part in join.inputs:
        found.append((part, offset))
        offset = offset + part.shape[axis] * step
    return found


def _renames_axes(part: Tensor, source: Tensor) -> bool:
    """Whether the views between stretch and skip nothing."""
    while part is not source:
        if part.op not in AXIS_VIEWS or part.op is shape.broadcast_to:
            return False
        part = part.inputs[0]
    return True


def _strides(join: Tensor, part: Tensor, source: Tensor) -> tuple[Dim, ...]:
    """The join's strides along the axes of what a part shows."""
    strides = contiguous_strides(join.shape)
    axes = follow_chain(tuple(range(part.ndim)), part, source)
    return tuple(0 if a is None else strides[a] for a in axes)
