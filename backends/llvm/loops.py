"""From a cluster to a loop nest: loads, instructions, reductions and stores with their strides.

The nest is plain data with a canonical text: equal texts are equal machine code, so kernels are
shared by it. Symbolic sizes and pointers are parameters ``p0, p1, ...``, numbers are numbers.

Rows are the points of the outer axes. A value is *full* if it changes along the inner axes, else it
belongs to the row. Work on one row is a sequence of passes over the inner axes: a full value whose
operands need a finished reduction comes one pass later. Costly full values needed in a later pass
are saved; cheap ones are computed again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from symgraph.backends.llvm.axis_maps import AxisMap, operand_axes
from symgraph.backends.llvm.partition import (
    CHEAP,
    REDUCTIONS,
    Cluster,
    is_scalar_literal,
)
from symgraph.backends.llvm.views import VIEWS, View, contiguous_strides
from symgraph.op import Op
from symgraph.ops import index, leaves
from symgraph.sizes import Dim, Size, product
from symgraph.tensor import Tensor
from symgraph.types import DType

__all__ = ["Access", "Item", "Nest", "NestBuilder", "PointerParam", "SizeParam", "build_nest"]

_own_codes: dict[Op, int] = {}


def own_code(op: Op) -> int:
    """A number for an op that brings its own native code."""
    return _own_codes.setdefault(op, len(_own_codes))


@dataclass(frozen=True, slots=True)
class PointerParam:
    """An address: the buffer of a variable plus an offset in elements. ``role`` read, write or
    scratch."""

    node: Tensor | None
    offset: Dim
    role: str = "read"
    bytes: Dim = 0


@dataclass(frozen=True, slots=True)
class SizeParam:
    """A size known when the function is called."""

    dim: Dim


@dataclass(frozen=True, slots=True)
class Access:
    """Memory seen from the iteration space: a pointer parameter and one stride per axis
    (elements)."""

    pointer: int
    strides: tuple[int | str, ...]
    dtype: DType

    def __str__(self) -> str:
        return f"p{self.pointer}[{', '.join(map(str, self.strides))}] {self.dtype.name}"


@dataclass(slots=True)
class Item:
    """One value of the nest.

    ``kind``: load, literal, size, ramp, op, gather, reduce, or repeat (a row value written along
    the inner axes). ``args`` are earlier items; ``full`` says it changes along the inner axes;
    ``stage`` is the pass it can first be computed in (for row values: before which).
    """

    kind: str
    dtype: DType
    full: bool
    stage: int = 0
    args: tuple[int, ...] = ()
    node: Tensor | None = None
    access: Access | None = None
    payload: tuple[Any, ...] = ()

    def __str__(self) -> str:
        name = (
            self.node.op.name
            if self.node is not None and self.kind in ("op", "reduce")
            else self.kind
        )
        if self.node is not None and self.node.op.lower is not None:
            name += f"#{own_code(self.node.op)}"  # two users may name their ops alike
        parts = [f"%{a}" for a in self.args] + [str(p) for p in self.payload]
        if self.access is not None:
            parts.append(str(self.access))
        operand = (
            f" of {self.node.inputs[-1].dtype.name}"
            if self.node is not None and self.kind == "op"
            else ""
        )
        level = "full" if self.full else "row"
        return f"{name}({', '.join(parts)}){operand} : {self.dtype.name} {level} {self.stage}"


@dataclass(slots=True)
class Nest:
    """A loop nest ready to be emitted."""

    extents: tuple[int | str, ...]
    inner: tuple[int, ...]
    items: list[Item] = field(default_factory=list)
    stores: list[tuple[int, Access]] = field(default_factory=list)
    params: list[PointerParam | SizeParam] = field(default_factory=list)
    scratch: dict[int, int] = field(default_factory=dict)
    checked: bool = False
    sources: list[Tensor] = field(default_factory=list)

    def key(self) -> str:
        """The canonical text."""
        lines = [f"space ({', '.join(map(str, self.extents))}) inner {list(self.inner)}"]
        lines += [f"%{k} = {item}" for k, item in enumerate(self.items)]
        lines += [f"store %{v} -> {a}" for v, a in self.stores]
        lines += [f"save %{v} -> p{p}" for v, p in self.scratch.items()]
        return "\n".join(lines)

    __str__ = key

    def passes(self) -> int:
        """How often a row's inner axes are walked."""
        stages = [self.items[v].stage for v, _ in self.stores if self.items[v].full]
        stages += [self.items[i.args[0]].stage for i in self.items if i.kind == "reduce"]
        return 1 + max(stages, default=-1)


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

    def operand(self, operand: Tensor, axes: AxisMap) -> int:
        """The item that holds an operand read along ``axes``."""
        source = operand
        while source.op in VIEWS:
            source = source.inputs[0]
        if source in self.cluster.maps:
            return self.ids[source]
        if is_scalar_literal(source):
            return self.literal(source)
        view = self.view(operand)
        strides = self.spread(axes, view.strides)
        if source.op is leaves.iota:
            return self.ramp(source, view.offset, strides)
        return self.load(source, view.offset, strides)

    def literal(self, source: Tensor) -> int:
        if source.op is leaves.size:
            dim = self.size(source.attrs["dim"])
            return self.add(
                ("size", dim, source.dtype), Item("size", source.dtype, False, payload=(dim,))
            )
        value = source.attrs["value"]
        bits = value.tobytes().hex()
        return self.add(
            ("literal", bits, source.dtype), Item("literal", source.dtype, False, payload=(bits,))
        )

    def ramp(self, source: Tensor, offset: Dim, strides: tuple[Dim, ...]) -> int:
        payload = (self.size(offset), *(self.size(s) for s in strides))
        item = Item("ramp", source.dtype, self.is_full(strides), payload=payload)
        return self.add(("ramp", payload, source.dtype), item)

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
        else:
            args = tuple([self.operand(o, operand_axes(node, axes, o)) for o in node.inputs])
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
        args = tuple([self.operand(p, operand_axes(node, axes, p)) for p in positions])
        width = node.ndim - (table.ndim - len(indexed))
        rest = [k for k in range(table.ndim) if k not in indexed]
        strides = self.spread(axes[width:], tuple(view.strides[k] for k in rest))
        source = table
        while source.op in VIEWS:
            source = source.inputs[0]
        ramp = source.op is leaves.iota  # the element is its position: only the check is left to do
        access = None if ramp else self.access(source, view.offset, strides, "read")
        steps = tuple(self.size(view.strides[k]) for k in indexed)
        limits = tuple(self.size(table.shape[k]) for k in indexed)
        offset = (self.size(view.offset),) if ramp else ()
        payload = steps + limits + offset
        full = self.is_full(strides)
        self.ids[node] = self.combine(
            "gather", node, args, access=access, payload=payload, full=full
        )
        self.nest.checked = True

    # ---- the whole ---------------------------------------------------------------------------

    def store(self, node: Tensor) -> None:
        axes = self.cluster.maps[node]
        strides = self.spread(axes, contiguous_strides(node.shape))
        value = self.ids[node]
        if self.is_full(strides) and not self.items[value].full:
            row = self.items[value]
            repeat = Item("repeat", row.dtype, True, row.stage, (value,))
            value = self.add(("repeat", value), repeat)
        self.nest.stores.append((value, self.access(node, 0, strides, "write")))

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


def is_saved(nest: Nest, k: int, stage: int) -> bool:
    """Whether pass ``stage`` reads item ``k`` back instead of computing it again."""
    item = nest.items[k]
    if not item.full or item.stage >= stage or item.kind not in ("op", "gather"):
        return False
    return item.node is None or item.node.op.name not in CHEAP


def pass_items(nest: Nest, stage: int) -> list[int]:
    """The full items that pass ``stage`` computes, in order; saved ones are not among them."""
    goals = [
        i.args[0] for i in nest.items if i.kind == "reduce" and nest.items[i.args[0]].stage == stage
    ]
    goals += [v for v, _ in nest.stores if nest.items[v].full and nest.items[v].stage == stage]
    goals += [v for v in nest.scratch if nest.items[v].stage == stage]
    found: set[int] = set()
    stack = [g for g in goals if nest.items[g].full]
    while stack:
        k = stack.pop()
        if k in found or not nest.items[k].full or is_saved(nest, k, stage):
            continue
        found.add(k)
        stack.extend(nest.items[k].args)
    return sorted(found)


def build_nest(
    cluster: Cluster, stored: dict[Tensor, None], views: Callable[[Tensor], View]
) -> Nest:
    """The loop nest of a cluster; ``stored`` members are written, ``views`` tells how others
    are read."""
    b = NestBuilder(cluster, views)
    for node, axes in cluster.maps.items():
        b.member(node, axes)
    for node in cluster.maps:
        if node in stored:
            b.store(node)
    return b.finish()
