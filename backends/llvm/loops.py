"""From a cluster to a loop nest: loads, instructions, reductions and stores with their strides.

The nest is plain data with a canonical text: equal texts are equal machine code, so kernels are
shared by it. Symbolic sizes and pointers are parameters ``p0, p1, ...``, numbers are numbers.

Rows are the points of the outer axes. A value is *full* if it changes along the inner axes, else it
belongs to the row. Work on one row is a sequence of passes over the inner axes: a full value whose
operands need a finished reduction comes one pass later. Costly full values needed in a later pass
are saved; cheap ones are computed again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from symgraph.backends.llvm.axis_maps import AxisMap, follow_chain, operand_axes
from symgraph.backends.llvm.clusters import REDUCTIONS, Cluster, Place
from symgraph.backends.llvm.memory_ops import inside, window
from symgraph.backends.llvm.nest import (
    Access,
    Item,
    Nest,
    PointerParam,
    SizeParam,
    is_saved,
    pass_items,
)
from symgraph.backends.llvm.views import View, contiguous_strides, is_scalar_literal, source_of
from symgraph.ops import elementwise, index, leaves
from symgraph.sizes import Dim, Size, product
from symgraph.tensor import Tensor
from symgraph.types import DType

__all__ = [
    "Access",
    "Item",
    "Nest",
    "NestBuilder",
    "PointerParam",
    "SizeParam",
    "build_nest",
    "is_saved",
    "pass_items",
]

#: Ops whose code may be shorter for a literal operand.
READS_LITERALS = frozenset(
    (
        elementwise.power, elementwise.floor_divide, elementwise.remainder,
        elementwise.bitwise_left_shift, elementwise.bitwise_right_shift,
    )
)  # fmt: skip


def is_plain(value: float | int | bool) -> bool:
    """Whether a literal stays in the code: infinities, NaN and what most formulas are written with.

    All others are arguments, so that a thousand layers with a scale each share one kernel.
    """
    return not math.isfinite(value) or abs(value) in (0, 0.5, 1, 2)


class NestBuilder:
    def __init__(self, cluster: Cluster, views: Callable[[Tensor], View]) -> None:
        self.cluster, self.view = cluster, views
        self.params: list[PointerParam | SizeParam] = []
        self.sizes: dict[Dim, str] = {}
        self.ids: dict[Any, int] = {}
        self.items: list[Item] = []
        self.sources: list[Tensor] = []
        self.nest = Nest((), tuple(sorted(cluster.inner)))
        self.nest.extents = tuple(self.size(d) for d in cluster.space)

    def size(self, dim: Dim) -> int | str:
        if not isinstance(dim, Size):
            return dim
        if dim not in self.sizes:
            self.sizes[dim] = f"p{len(self.params)}"
            self.params.append(SizeParam(dim))
        return self.sizes[dim]

    def add(self, key: Any, item: Item) -> int:
        found = self.ids.get(key)
        if found is None:
            found = self.ids[key] = len(self.items)
            self.items.append(item)
        return found

    def is_full(self, strides: tuple[Dim, ...]) -> bool:
        return any(not (type(strides[a]) is int and strides[a] == 0) for a in self.cluster.inner)

    def spread(self, axes: AxisMap, strides: tuple[Dim, ...]) -> tuple[Dim, ...]:
        """Strides per axis of the space, from strides per axis of a variable."""
        out: list[Dim] = [0] * len(self.cluster.space)
        for axis, stride in zip(axes, strides, strict=True):
            if axis is not None:
                out[axis] = out[axis] + stride
        return tuple(out)

    # ---- operands ----------------------------------------------------------------------------

    def operand(self, operand: Tensor, axes: AxisMap, fixed: bool = False) -> int:
        """The item that holds an operand read along ``axes``; a literal stays in the code if
        ``fixed``.
        """
        source = source_of(operand)
        if source in self.cluster.maps:
            return self.ids[source]
        if is_scalar_literal(source):
            return self.literal(source, fixed)
        if source.op is inside:
            return self.inside(source, follow_chain(axes, operand, source))
        view = self.view(operand)
        strides = self.spread(axes, view.strides)
        if source.op is leaves.iota:
            return self.ramp(source, view.offset, strides)
        return self.load(source, view.offset, strides)

    def literal(self, source: Tensor, fixed: bool) -> int:
        if source.op is leaves.size:
            dim = self.size(source.attrs["dim"])
            return self.add(
                ("size", dim, source.dtype), Item("size", source.dtype, False, payload=(dim,))
            )
        value = source.attrs["value"]
        if not fixed and not is_plain(value.item()):
            return self.parameter(value.tobytes(), source.dtype)
        bits = value.tobytes().hex()
        return self.add(
            ("literal", bits, source.dtype), Item("literal", source.dtype, False, payload=(bits,))
        )

    def parameter(self, value: bytes, dtype: DType) -> int:
        """A literal as an entry of the argument table, which holds its bits."""
        key = "parameter", value, dtype
        if key not in self.ids:
            payload = (f"p{len(self.params)}",)
            self.params.append(
                SizeParam(int.from_bytes(value.ljust(8, b"\0"), "little", signed=True))
            )
            return self.add(key, Item("parameter", dtype, False, payload=payload))
        return self.ids[key]

    def ramp(self, source: Tensor, offset: Dim, strides: tuple[Dim, ...]) -> int:
        payload = (self.size(offset), *(self.size(s) for s in strides))
        item = Item("ramp", source.dtype, self.is_full(strides), payload=payload)
        return self.add(("ramp", payload, source.dtype), item)

    def inside(self, source: Tensor, axes: AxisMap) -> int:
        """A mask: for each limited axis (-1: of size 1) its bounds, None where it has none."""
        bounds = []
        a = source.attrs
        for axis, low, high, n in zip(axes, a["lows"], a["highs"], a["shape"], strict=True):
            first = None if low == 0 else self.size(low)
            stop = None if high == n else self.size(high)
            if first is not None or stop is not None:
                bounds.append((-1 if axis is None else axis, first, stop))
        full = any(axis in self.cluster.inner for axis, _, _ in bounds)
        item = Item("inside", source.dtype, full, payload=tuple(bounds))
        return self.add(("inside", item.payload), item)

    def access(self, source: Tensor, offset: Dim, strides: tuple[Dim, ...], role: str) -> Access:
        key = ("pointer", source, offset, role)
        if key not in self.ids:
            self.ids[key] = len(self.params)
            self.params.append(PointerParam(source, offset, role))
        return Access(self.ids[key], tuple(self.size(s) for s in strides), source.dtype)

    def load(self, source: Tensor, offset: Dim, strides: tuple[Dim, ...]) -> int:
        access = self.access(source, offset, strides, "read")
        return self.add(
            ("load", access), Item("load", source.dtype, self.is_full(strides), access=access)
        )

    # ---- members -----------------------------------------------------------------------------

    def member(self, node: Tensor, axes: AxisMap) -> None:
        if node.op in REDUCTIONS:
            self.reduce(node)
        elif node.op is index.gather:
            self.gather(node, axes)
        elif node.op is window:
            self.window(node, axes)
        else:
            fixed = node.op in READS_LITERALS or node.op.lower is not None
            args = tuple([self.operand(o, operand_axes(node, axes, o), fixed) for o in node.inputs])
            if node.op.name == "copy":
                self.ids[node] = args[0]
            else:
                self.ids[node] = self.combine("op", node, args)
        self.sources.append(node)

    def combine(self, kind: str, node: Tensor, args: tuple[int, ...], **more: Any) -> int:
        full = more.pop("full", False) or any(self.items[a].full for a in args)
        stage = max((self.items[a].stage for a in args), default=0)
        self.items.append(Item(kind, node.dtype, full, stage, args, node, **more))
        return len(self.items) - 1

    def reduce(self, node: Tensor) -> None:
        operand = node.inputs[0]
        arg = self.operand(operand, self.cluster.operand_maps[node])
        stage = self.items[arg].stage + 1
        count: Dim = product(operand.shape[k] for k in node.attrs["axis"])
        payload = (self.size(count),)
        self.items.append(Item("reduce", node.dtype, False, stage, (arg,), node, payload=payload))
        self.ids[node] = len(self.items) - 1

    def gather(self, node: Tensor, axes: AxisMap) -> None:
        table, *positions = node.inputs
        view, indexed = self.view(table), node.attrs["axes"]
        width = node.ndim - (table.ndim - len(indexed))
        rest = [k for k in range(table.ndim) if k not in indexed]
        strides = self.spread(axes[width:], tuple(view.strides[k] for k in rest))
        source = source_of(table)
        ramp = source.op is leaves.iota  # the element is its position: only the check is left to do
        looked, looked_axes = list[int](), list[int]()
        for p, k in zip(positions, indexed, strict=True):
            along = operand_axes(node, axes, p)
            axis = None if ramp else self.counted(p, along, table.shape[k])
            if axis is None:
                looked.append(self.operand(p, along))
                looked_axes.append(k)
            else:
                by = strides[axis] + view.strides[k]
                strides = (*strides[:axis], by, *strides[axis + 1 :])
        if not looked:
            self.ids[node] = self.load(source, view.offset, strides)
            return
        access = None if ramp else self.access(source, view.offset, strides, "read")
        steps = tuple(self.size(view.strides[k]) for k in looked_axes)
        limits = tuple(self.size(table.shape[k]) for k in looked_axes)
        offset = (self.size(view.offset),) if ramp else ()
        payload = steps + limits + offset
        full = self.is_full(strides)
        self.ids[node] = self.combine(
            "gather", node, tuple(looked), access=access, payload=payload, full=full
        )
        self.nest.checked = True

    def counted(self, position: Tensor, axes: AxisMap, limit: Dim) -> int | None:
        """The axis of the space whose index a position is, where it is sure to be in range: it is a
        stride then, and needs no check."""
        view = self.view(position)
        if source_of(position).op is not leaves.iota or view.offset != 0:
            return None
        strides = self.spread(axes, view.strides)
        moving = [a for a, s in enumerate(strides) if not (type(s) is int and s == 0)]
        if len(moving) != 1 or strides[moving[0]] != 1:
            return None
        extent = self.cluster.space[moving[0]]
        below = isinstance(extent, int) and isinstance(limit, int) and extent <= limit
        return moving[0] if extent == limit or below else None

    def window(self, node: Tensor, axes: AxisMap) -> None:
        """A read at shifted positions, under a mask."""
        x, inside = node.inputs
        view, offset, strides = self.view(x), self.view(x).offset, []
        starts, steps = node.attrs["starts"], node.attrs["steps"]
        for start, step, stride in zip(starts, steps, view.strides, strict=True):
            strides.append(step * stride)
            offset = offset - start * step * stride
        spread = self.spread(axes, tuple(strides))
        self.ids[node] = self.combine(
            "window",
            node,
            (self.operand(inside, operand_axes(node, axes, inside)),),
            access=self.access(source_of(x), offset, spread, "read"),
            full=self.is_full(spread),
        )

    # ---- the whole ---------------------------------------------------------------------------

    def store(self, node: Tensor, place: Place | None = None) -> None:
        axes = self.cluster.maps[node]
        if place is None:
            place = Place(node, 0, contiguous_strides(node.shape))
        strides = self.spread(axes, place.strides)
        value = self.ids[node]
        if self.is_full(strides) and not self.items[value].full:
            row = self.items[value]
            repeat = Item("repeat", row.dtype, True, row.stage, (value,))
            value = self.add(("repeat", value), repeat)
        self.nest.stores.append((value, self.access(place.base, place.offset, strides, "write")))

    def save(self) -> None:
        """Scratch rows for costly full values that a later pass needs again."""
        size = product(self.cluster.space[a] for a in sorted(self.cluster.inner))
        while needed := self.reread():  # what is saved must be computed, which may need more
            for k in sorted(needed):
                self.nest.scratch[k] = len(self.params)
                self.params.append(PointerParam(None, 0, "scratch", size * 8))

    def reread(self) -> set[int]:
        """The values some pass reads back that are neither stored nor saved yet."""
        found: set[int] = set()
        for stage in range(self.nest.passes()):
            for k in pass_items(self.nest, stage):
                found |= {a for a in self.items[k].args if is_saved(self.nest, a, stage)}
        return found - {v for v, _ in self.nest.stores} - self.nest.scratch.keys()

    def finish(self) -> Nest:
        """The finished nest."""
        nest = self.nest
        nest.items, nest.params, nest.sources = self.items, self.params, self.sources
        self.save()
        if nest.checked:
            nest.params.append(PointerParam(None, 0, "error"))
        return nest


def build_nest(
    cluster: Cluster, stored: Mapping[Tensor, Place | None], views: Callable[[Tensor], View]
) -> Nest:
    """The loop nest of a cluster; ``stored`` members are written, ``views`` tells how others
    are read."""
    b = NestBuilder(cluster, views)
    for node, axes in cluster.maps.items():
        b.member(node, axes)
    for node in cluster.maps:
        if node in stored:
            b.store(node, stored[node])
    return b.finish()
