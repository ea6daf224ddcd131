"""Loops over a whole block of memory: axes that every access walks as one become one axis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from symgraph.backends.llvm.loops import Item, Nest, SizeParam

__all__ = ["free_length", "join_axes", "times"]

Strides = tuple[int | str, ...]

#: The longest map whose length is part of its code: a unit of it.
FIXED = 1024


def join_axes(nest: Nest) -> Nest:
    """The same nest with fewer axes, where no address changes.

    An extent may become a product, such as ``p0*64``. Axes that are reduced stay: the order of a
    sum must not depend on strides.
    """
    for axis in reversed(range(len(nest.extents) - 1)):
        extent = nest.extents[axis + 1]
        if axis in nest.inner or axis + 1 in nest.inner:
            continue
        if all(s[axis] == times(s[axis + 1], extent) for s in _strides(nest)):
            nest = _joined(nest, axis)
    return nest


def free_length(nest: Nest) -> Nest:
    """The same nest; a long map over contiguous memory gets its length as an argument.

    So the updates of a training step, which differ in a size, are one kernel.
    """
    joined = join_axes(nest)
    if nest.inner or nest.checked or len(joined.extents) != 1:
        return nest
    (extent,) = joined.extents
    plain = all(s in ((0,), (1,)) for s in _strides(joined))
    if not isinstance(extent, int) or extent <= FIXED or not plain:
        return nest
    length = f"p{len(joined.params)}"
    return replace(joined, extents=(length,), params=[*joined.params, SizeParam(extent)])


def times(a: int | str, b: int | str) -> int | str:
    """The product of two sizes of a nest, such as ``p0*20``."""
    if isinstance(a, int) and isinstance(b, int):
        return a * b
    if a == 0 or b == 0:
        return 0
    return b if a == 1 else a if b == 1 else f"{a}*{b}"


def _strides(nest: Nest) -> Iterator[Strides]:
    """The strides of everything the nest reads, writes or counts."""
    for item in nest.items:
        if item.kind == "ramp":
            yield item.payload[1:]
        if item.kind == "inside":
            limited = {axis for axis, _, _ in item.payload}
            yield tuple(f"i{k}" if k in limited else 0 for k in range(len(nest.extents)))
        if item.access is not None:
            yield item.access.strides
    for _, access in nest.stores:
        yield access.strides


def _joined(nest: Nest, axis: int) -> Nest:
    """Axes ``axis`` and ``axis + 1`` as one."""

    def less(s: Strides) -> Strides:
        return s[:axis] + s[axis + 1 :]

    def item(i: Item) -> Item:
        if i.kind == "ramp":
            return replace(i, payload=(i.payload[0], *less(i.payload[1:])))
        if i.kind == "inside":
            return replace(i, payload=tuple((k - (k > axis), *ends) for k, *ends in i.payload))
        if i.access is not None:
            return replace(i, access=replace(i.access, strides=less(i.access.strides)))
        return i

    whole = times(nest.extents[axis], nest.extents[axis + 1])
    return replace(
        nest,
        extents=(*nest.extents[:axis], whole, *nest.extents[axis + 2 :]),
        inner=tuple(k - (k > axis) for k in nest.inner),
        items=[item(i) for i in nest.items],
        stores=[(v, replace(a, strides=less(a.strides))) for v, a in nest.stores],
    )
