"""How the work of a nest falls into independent units, and about how much work there is.

A unit is one index of the first outer loop (of the first two, where the first may be short). Where
the vector axis is that loop, a unit is a block of it: whole vectors, so that only the last unit has
a masked tail. Nothing a unit computes depends on another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from symgraph.backends.llvm.clusters import CHEAP, HEAVY
from symgraph.backends.llvm.join_axes import times
from symgraph.backends.llvm.loops import Item, Nest, SizeParam
from symgraph.sizes import Dim, maximum, product

__all__ = [
    "CHUNK", "COLUMNS", "FEW", "Side", "chunks_of", "dim_of", "has_tiny_rows", "one_chunk",
    "rest_of_inner", "turned_axis", "unit_sides", "units_of", "vector_axis", "work_of",
]  # fmt: skip

#: Elements that a reduction accumulates before it combines: a multiple of every number of lanes.
CHUNK = 1 << 14

#: Elements of the vector axis in a unit: a multiple of every number of lanes.
BLOCK = 1024
#: The same where every element of that axis is a column to reduce.
COLUMNS = 256
#: A first loop with fewer steps than this is dealt out together with the second.
FEW = 16
#: The longest row that is walked beside others, lane by lane, and how many operations (a function
#: counting as `HEAVY`) its elements may take together: they are written one after another.
TINY, LONG = 4, 64
#: Scalar operations that an elementary function, an element read or written, and one that is looked
#: up count as, by the time they take.
FUNCTION, ELEMENT, LOOKUP = 24, 8, 16


@dataclass(frozen=True, slots=True)
class Side:
    """An axis that units divide, ``step`` indices to each."""

    axis: int
    step: int


def unit_sides(nest: Nest) -> tuple[Side, ...]:
    """The axes (none, one or two) that the units of a joined nest divide, the slower one first."""
    vectors = vector_axis(nest)
    outer = [a for a in range(len(nest.extents)) if a not in nest.inner]
    sides = [Side(a, _step(nest, a) if a == vectors else 1) for a in outer]
    sides = [s for s in sides if s.step == 1 or not _is_below(nest.extents[s.axis], s.step + 1)]
    if len(sides) > 1 and turned_axis(nest) is None:
        first = nest.extents[sides[0].axis]
        if _is_below(first, FEW) or (isinstance(first, str) and sides[1].step == 1):
            return (sides[0], sides[1])
    return tuple(sides[:1])


def vector_axis(nest: Nest) -> int:
    """The axis that vectors run along."""
    return len(nest.extents) - (2 if has_tiny_rows(nest) else 1)


def has_tiny_rows(nest: Nest, most: int = LONG) -> bool:
    """Whether the rows are so short that many of them fill a vector better than one does; ``most``
    is how many operations they may take."""
    last = len(nest.extents) - 1
    if nest.inner != (last,) or not last or _is_below(nest.extents[last - 1], FEW):
        return False
    length = nest.extents[last]
    ops = [i.node for i in nest.items if i.full and i.kind == "op"]
    cost = sum(1 if n is not None and n.op.name in CHEAP else HEAVY for n in ops)
    return isinstance(length, int) and 1 < length <= TINY and length * cost <= most


def turned_axis(nest: Nest) -> int | None:
    """The axis along which something lies contiguously that the vector axis would jump through."""
    if nest.inner:
        return None
    accesses = [i.access for i in nest.items] + [a for _, a in nest.stores]
    for access in accesses:
        if access is not None and access.strides and access.strides[-1] not in (0, 1, -1):
            for axis, stride in enumerate(access.strides[:-1]):
                if stride in (1, -1):
                    return axis
    return None


def _step(nest: Nest, axis: int) -> int:
    return COLUMNS if nest.inner and axis == len(nest.extents) - 1 else BLOCK


def _is_below(extent: int | str, bound: int) -> bool:
    return isinstance(extent, int) and extent < bound


def rest_of_inner(nest: Nest) -> int | str:
    """The product of the reduced axes but the first."""
    return _together(nest.extents[a] for a in nest.inner[1:])


def one_chunk(nest: Nest) -> bool:
    """Whether the reduced axes are sure to be no more than one chunk."""
    return _is_below(_together(nest.extents[a] for a in nest.inner), CHUNK + 1)


def _together(extents: Iterable[int | str]) -> int | str:
    total: int | str = 1
    for extent in extents:
        total = times(total, extent)
    return total


def chunks_of(nest: Nest) -> Dim:
    """How many chunks the reduced axes fall into."""
    steps = maximum(1, CHUNK // maximum(1, dim_of(nest, rest_of_inner(nest))))
    return (dim_of(nest, nest.extents[nest.inner[0]]) + (steps - 1)) // steps


def dim_of(nest: Nest, extent: int | str) -> Dim:
    """An extent of a nest, such as ``p0*20``, as a dim."""
    return product(_factor(nest, f) for f in str(extent).split("*"))


def _factor(nest: Nest, factor: str) -> Dim:
    if not factor.startswith("p"):
        return int(factor)
    param = nest.params[int(factor[1:])]
    assert isinstance(param, SizeParam)
    return param.dim


def units_of(nest: Nest) -> Dim:
    """How many units a joined nest has."""
    sides = unit_sides(nest)
    return product((dim_of(nest, nest.extents[s.axis]) + (s.step - 1)) // s.step for s in sides)


def work_of(nest: Nest) -> Dim:
    """About how many scalar operations a nest is: its points times what is done at one.

    What is done once a row counts nothing, and so does what is read once for all points.
    """
    full = [item.full or not nest.inner for item in nest.items]
    weight = sum(_weight(i) for i, counts in zip(nest.items, full, strict=True) if counts)
    weight += ELEMENT * sum(full[value] for value, _ in nest.stores)
    return product(dim_of(nest, e) for e in nest.extents) * (weight or 1)


def _weight(item: Item) -> int:
    if item.kind == "gather":
        return LOOKUP
    if item.access is not None and any(item.access.strides):
        return ELEMENT
    function = item.kind == "op" and item.node is not None and item.node.op.name not in CHEAP
    return FUNCTION if function else 1
