"""The values of a nest's items at one point: addresses, loads, ramps, gathers, instructions."""

from __future__ import annotations

import numpy as np

from symgraph.backends.llvm.accumulate import Point
from symgraph.backends.llvm.builder import Builder, Value, lanes_of, vector_type
from symgraph.backends.llvm.casts import convert
from symgraph.backends.llvm.elementwise import lower_elementwise
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.lanes import choose_lanes
from symgraph.backends.llvm.loops import Access, Item, Nest, PointerParam
from symgraph.backends.llvm.memory_access import gather, lane_indices, lane_mask, read
from symgraph.backends.llvm.reduction import BLOCK
from symgraph.backends.llvm.scalars import memory_type, register_type
from symgraph.backends.llvm.units import has_tiny_rows, vector_axis
from symgraph.tensor import Tensor
from symgraph.types import DTYPES

__all__ = ["NestValues"]

INT64 = DTYPES["int64"]


def uniform_items(nest: Nest) -> list[int]:
    """The items that are the same in the whole nest: literals, sizes, single elements that the nest
    only reads, and what is made of them."""
    written = {None, *(_node(nest, a) for _, a in nest.stores)}  # None: what is not passed in
    found: dict[int, None] = {}
    for k, item in enumerate(nest.items):
        fixed = item.kind in ("literal", "parameter", "size")
        made = item.kind == "op" and all(a in found for a in item.args)
        single = item.access is not None and item.kind == "load" and not any(item.access.strides)
        if fixed or made or (single and _node(nest, item.access) not in written):
            found[k] = None
    return list(found)


def lane_items(nest: Nest, axis: int) -> set[int]:
    """The items that change along an axis."""
    found: set[int] = set()
    for k, item in enumerate(nest.items):
        strides = item.payload[1:] if item.kind == "ramp" else ()
        strides = item.access.strides if item.access is not None else strides
        moves = bool(strides) and strides[axis] != 0
        limited = item.kind == "inside" and any(a == axis for a, *_ in item.payload)
        inner = item.kind in ("repeat", "reduce")  # the axis may be one that it spans
        if moves or limited or inner or any(a in found for a in item.args):
            found.add(k)
    return found


def _node(nest: Nest, access: Access | None) -> Tensor | None:
    param = None if access is None else nest.params[access.pointer]
    return param.node if isinstance(param, PointerParam) else None


class NestValues:
    """Computes the items of a nest; the loops around them are the emitter's."""

    def __init__(self, b: Builder, nest: Nest, target: Target) -> None:
        self.b, self.nest, self.target = b, nest, target
        rank = len(nest.extents)
        self.axis, self.tiny = vector_axis(nest), has_tiny_rows(nest)
        self.inner_vector = self.axis in nest.inner
        self.lanes = choose_lanes(nest, target, self.axis) if rank else 1
        self.params = self._load_params()
        self.splats: dict[tuple[str, int], Value] = {}
        self.status = b.emit("ptr", "alloca i64")
        b.store(b.i64(0), self.status)
        self.moving = lane_items(nest, self.axis) if nest.checked else set[int]()
        self.passes = nest.passes() if nest.inner else 0
        self.short = False  # whether rows of symbolic length are known to be one vector at most
        self.row_mask: Value | None = None  # the lanes of a row that is one vector
        self.kept: dict[int, Value] = {}  # full values of a row that is one vector
        self.kept_at: dict[int, dict[int, Value]] = {}  # and of each element of a tiny row
        self.uniform: dict[int, Value] = {}
        for k in uniform_items(nest):
            self.uniform[k] = self._everywhere(self._once(k))

    def _load_params(self) -> list[Value]:
        b, out = self.b, []
        for k, p in enumerate(self.nest.params):
            place = b.gep("i64", b.args[0], k)
            out.append(b.load("i64" if hasattr(p, "dim") else "ptr", place))
        return out

    def _literal(self, item: Item) -> Value:
        """A literal from the argument table."""
        b, type_ = self.b, register_type(item.dtype)
        value = self.number(item.payload[0])
        if item.dtype.itemsize < 8:
            value = b.cast("trunc", value, f"i{8 * item.dtype.itemsize}")
        return b.cast("bitcast", value, type_) if item.dtype.kind == "f" else value

    def _once(self, k: int) -> Value:
        """The value of an item that is the same in the whole nest."""
        item = self.nest.items[k]
        if item.node is not None and item.kind == "op":
            return lower_elementwise(self.b, item.node, [self.uniform[a] for a in item.args])
        if item.access is not None:
            return read(self.b, item.dtype, self.params[item.access.pointer], 0, 1, None)
        return self.compute(k, Point(), self.uniform)

    def _everywhere(self, value: Value) -> Value:
        """A value that does not change inside the loops, spread over the lanes once."""
        if self.lanes > 1 and value.ref.startswith("%"):
            self.splats[value.ref, self.lanes] = self.b.splat(value, self.lanes)
        return value

    def number(self, size: int | str) -> Value:
        """A size: a literal, a parameter, or a product of them."""
        if isinstance(size, int):
            return self.b.i64(size)
        first, *others = size.split("*")
        found = self.params[int(first[1:])] if first.startswith("p") else self.b.i64(int(first))
        return self.b.mul(found, self.number("*".join(others))) if others else found

    # ---- lanes -------------------------------------------------------------------------------

    @property
    def row_lanes(self) -> int:
        return 1 if self.inner_vector else self.lanes

    @property
    def row_is_vector(self) -> bool:
        """Whether a row is one vector: its values stay in registers from pass to pass."""
        if self.short or self.tiny:
            return True
        extent = self.nest.extents[self.axis] if self.inner_vector else None
        return isinstance(extent, int) and 0 < extent <= self.lanes and len(self.nest.inner) == 1

    def is_block(self) -> bool | None:
        """Whether a row is one block of a sum at most; None: this shows at run time."""
        if not self.inner_vector or len(self.nest.inner) > 1:
            return False
        if self.row_is_vector:
            return True
        extent = self.nest.extents[self.axis]
        return extent <= BLOCK * self.lanes if isinstance(extent, int) else None

    def fits_block(self) -> Value:
        """Whether a row of symbolic length is one block at most."""
        extent = self.number(self.nest.extents[self.axis])
        return self.b.icmp("sle", extent, self.b.i64(BLOCK * self.lanes))

    def mask_of(self, count: Value) -> Value | None:
        """The lanes below a count; one lane needs no mask.

        LLVM is not told a count that it could know: of a choice between numbers and zero under a
        known mask it makes an expansion, which is slow. (``begin`` is never negative.)
        """
        if self.lanes == 1:
            return None
        b = self.b
        known = not count.ref.startswith("%")
        nought = b.ashr(b.args[1], b.i64(63)) if known else None
        return lane_mask(b, b.add(count, nought) if nought else count, self.lanes)

    def lanes_for(self, item: Item) -> int:
        return self.lanes if item.full else self.row_lanes

    def as_lanes(self, v: Value, lanes: int) -> Value:
        if lanes_of(v.type) == lanes:
            return v
        return self.splats.get((v.ref, lanes)) or self.b.splat(v, lanes)

    # ---- addresses ---------------------------------------------------------------------------

    def address(self, access: Access, scope: Point) -> Value:
        """The address of an access at the current indices (of the first lane)."""
        b, here = self.b, self.params[access.pointer]
        scalar = memory_type(access.dtype)
        for axis, stride in enumerate(access.strides):
            i = scope.index.get(axis)
            if stride == 0 or i is None:
                continue
            step = i if stride == 1 else b.mul(i, self.number(stride))
            here = b.gep(scalar, here, step)
        return here

    def lane_stride(self, access: Access, lanes: int) -> Value | int:
        if lanes == 1:
            return 0
        stride = access.strides[self.axis]
        return stride if isinstance(stride, int) else self.number(stride)

    # ---- values ------------------------------------------------------------------------------

    def compute(self, k: int, scope: Point, local: dict[int, Value]) -> Value:
        """The value of item ``k`` from those computed before it."""
        if k in self.uniform:
            return self.uniform[k]
        item, b = self.nest.items[k], self.b
        lanes = self.lanes_for(item)
        if item.kind == "literal":
            array = np.frombuffer(bytes.fromhex(item.payload[0]), item.dtype)
            return b.const(register_type(item.dtype), array[0].item())
        if item.kind == "parameter":
            return self._literal(item)
        if item.kind == "size":
            return convert(b, self.number(item.payload[0]), INT64, item.dtype)
        if item.kind == "ramp":
            return self.ramp(item, scope, lanes)
        if item.kind == "inside":
            return self.inside(item, scope, lanes)
        if item.kind == "load":
            assert item.access is not None
            stride = self.lane_stride(item.access, lanes)
            return read(
                b, item.access.dtype, self.address(item.access, scope), stride, lanes, scope.mask
            )
        if item.kind == "gather" and item.access is not None and not self.moving & {*item.args}:
            places = [self.first_lane(self.lookup(a, scope, local)) for a in item.args]
            return self.gathered_along(k, places, scope, lanes)
        args = [self.as_lanes(self.lookup(a, scope, local), lanes) for a in item.args]
        if item.kind == "window":
            return self.windowed(item, args[0], scope, lanes)
        if item.kind == "gather":
            return self.gathered(k, args, scope, lanes)
        if item.kind == "repeat":
            return args[0]
        assert item.node is not None
        return lower_elementwise(b, item.node, args)

    def lookup(self, k: int, scope: Point, local: dict[int, Value]) -> Value:
        found = local.get(k)
        return found if found is not None else scope.rows[k]

    def ramp(self, item: Item, scope: Point, lanes: int) -> Value:
        b = self.b
        offset, *strides = item.payload
        total = self.number(offset)
        for axis, stride in enumerate(strides):
            i = scope.index.get(axis)
            if stride != 0 and i is not None:
                total = b.add(total, i if stride == 1 else b.mul(i, self.number(stride)))
        if lanes > 1 and strides[self.axis] != 0:
            steps = b.mul(lane_indices(b, lanes), b.splat(self.number(strides[self.axis]), lanes))
            total = b.add(b.splat(total, lanes), steps)
        return convert(b, total, INT64, item.dtype)

    def inside(self, item: Item, scope: Point, lanes: int) -> Value:
        """A mask: one scalar condition for all axes but that of the lanes, which are counted."""
        b, good = self.b, Value("true", "i1")
        lane: tuple[int | str | None, int | str | None] | None = None
        for axis, low, high in item.payload:
            if axis == self.axis and lanes > 1:
                lane = low, high
                continue
            i = scope.index.get(axis, b.i64(0))
            if low is not None:
                good = b.and_(good, b.icmp("sge", i, self.number(low)))
            if high is not None:
                good = b.and_(good, b.icmp("slt", i, self.number(high)))
        if lane is None:
            return good
        stop = b.select(good, self.lanes_before(lane[1], scope, lanes), Value("0", "i8"))
        lane_numbers = b.const_vector("i8", range(lanes))
        mask = b.icmp("ult", lane_numbers, b.splat(stop, lanes))  # there may be 128 lanes
        if lane[0] is None:
            return mask
        first = b.splat(self.lanes_before(lane[0], scope, lanes), lanes)
        return b.and_(mask, b.icmp("uge", lane_numbers, first))

    def lanes_before(self, bound: int | str | None, scope: Point, lanes: int) -> Value:
        """How many of the lanes stand before a position (None: all), as i8."""
        b, most = self.b, self.b.i64(lanes)
        if bound is None:
            return Value(str(lanes), "i8")
        left = b.sub(self.number(bound), scope.index[self.axis])
        left = b.intrinsic("llvm.smax", b.intrinsic("llvm.smin", left, most), b.i64(0))
        return b.cast("trunc", left, "i8")

    def windowed(self, item: Item, inside: Value, scope: Point, lanes: int) -> Value:
        """A load that touches memory under its mask alone; elsewhere the value is 0."""
        b, access = self.b, item.access
        assert access is not None
        place = self.address(access, scope)
        if lanes == 1:
            safe = b.select(inside, place, self.status)
            value = read(b, item.dtype, safe, 0, 1, None)
            return b.select(inside, value, b.const(value.type, 0))
        mask = inside if scope.mask is None else b.and_(inside, scope.mask)
        stride = self.lane_stride(access, lanes)
        if stride == 0:
            return gather(b, item.dtype, b.splat(place, lanes), mask)
        return read(b, item.dtype, place, stride, lanes, mask)

    def gathered(self, k: int, args: list[Value], scope: Point, lanes: int) -> Value:
        """An indexed read: positions wrapped from the end and checked, then loaded."""
        b, item, n = self.b, self.nest.items[k], len(args)
        access, wrong = item.access, b.const(vector_type("i1", lanes), False)
        total = b.const(vector_type("i64", lanes), 0)
        for position, step, limit in zip(
            args, item.payload[:n], item.payload[n : 2 * n], strict=True
        ):
            wrapped, bad = self.checked_position(k, position, self.number(limit), scope, lanes)
            total = b.add(total, b.mul(wrapped, b.splat(self.number(step), lanes)))
            wrong = b.or_(wrong, bad)
        if access is None:
            total = b.add(total, b.splat(self.number(item.payload[2 * n]), lanes))
            return convert(b, total, INT64, item.dtype)
        base = self.address(access, scope)
        stride = self.lane_stride(access, lanes)
        if stride != 0:
            by = stride if isinstance(stride, Value) else b.i64(stride)
            total = b.add(total, b.mul(lane_indices(b, lanes), b.splat(by, lanes)))
        scalar = memory_type(access.dtype)
        places = b.emit(
            vector_type("ptr", lanes), f"getelementptr {scalar}, ptr {base.ref}, {total}"
        )
        if lanes > 1:  # nothing is read out of range: the table may have no element at all
            fine = b.not_(wrong) if scope.mask is None else b.and_(scope.mask, b.not_(wrong))
            return gather(b, access.dtype, places, fine)
        return gather(b, access.dtype, b.select(wrong, self.params[-1], places), None)

    def first_lane(self, v: Value) -> Value:
        return v if lanes_of(v.type) == 1 else self.b.extract(v, 0)

    def gathered_along(self, k: int, args: list[Value], scope: Point, lanes: int) -> Value:
        """An indexed read at one position for all lanes, such as a row of a table."""
        b, item, n = self.b, self.nest.items[k], len(args)
        access, wrong, total = item.access, Value("false", "i1"), b.i64(0)
        assert access is not None
        for position, step, limit in zip(
            args, item.payload[:n], item.payload[n : 2 * n], strict=True
        ):
            wrapped, bad = self.checked_position(k, position, self.number(limit), scope, 1)
            total = b.add(total, b.mul(wrapped, self.number(step)))
            wrong = b.or_(wrong, bad)
        place = b.gep(memory_type(access.dtype), self.address(access, scope), total)
        stride = self.lane_stride(access, lanes)

        def found() -> list[Value]:
            return [read(b, access.dtype, place, stride, lanes, scope.mask)]

        def nothing() -> list[Value]:
            return [b.const(vector_type(register_type(access.dtype), lanes), 0)]

        return b.choose(wrong, nothing, found)[0]

    def checked_position(
        self, k: int, position: Value, limit: Value, scope: Point, lanes: int
    ) -> tuple[Value, Value]:
        """The position counted from the start, and whether it lies outside."""
        b = self.b
        wide = b.splat(limit, lanes)
        zero = b.const(position.type, 0)
        wrapped = b.select(b.icmp("slt", position, zero), b.add(position, wide), position)
        bad = b.icmp("uge", wrapped, wide)
        if lanes > 1 and scope.mask is not None:
            bad = b.and_(bad, scope.mask)
        some = bad if lanes == 1 else b.call(f"llvm.vector.reduce.or.v{lanes}i1", "i1", [bad])
        with b.when(some), b.when(b.icmp("eq", b.load("i64", self.status), b.i64(0))):
            self.report(k, position, bad, limit, lanes)
        return wrapped, bad

    def report(self, k: int, position: Value, bad: Value, limit: Value, lanes: int) -> None:
        """Record the first offending index and the size of its axis; the status names item
        ``k``."""
        b, record = self.b, self.params[-1]
        culprit = position
        if lanes > 1:
            bits = b.emit(f"i{lanes}", f"bitcast {bad} to i{lanes}")
            lane = b.intrinsic("llvm.cttz", bits, Value("true", "i1"))
            if lanes != 64:
                lane = b.cast("zext" if lanes < 64 else "trunc", lane, "i64")
            culprit = b.extract(position, lane)
        b.store(culprit, record)
        b.store(limit, b.gep("i64", record, 1))
        b.store(b.i64(1 + k), self.status)

    # ---- saved values ------------------------------------------------------------------------

    def scratch_mask(self, scope: Point) -> Value | None:
        return scope.mask if self.inner_vector else None

    def scratch(self, p: int, item: Item, scope: Point) -> Value:
        """Where a saved row value stands: rows of the inner axes, lanes side by side."""
        b = self.b
        linear = b.i64(0)
        for axis in self.nest.inner:
            linear = b.add(b.mul(linear, self.number(self.nest.extents[axis])), scope.index[axis])
        if not self.inner_vector:
            linear = b.mul(linear, b.i64(self.lanes))
        return b.gep(memory_type(item.dtype), self.params[p], linear)

    def reload(self, k: int, scope: Point) -> Value:
        item = self.nest.items[k]
        for v, access in self.nest.stores:
            if v == k:
                stride = self.lane_stride(access, self.lanes)
                return read(
                    self.b, item.dtype, self.address(access, scope), stride, self.lanes, scope.mask
                )
        place = self.scratch(self.nest.scratch[k], item, scope)
        return read(self.b, item.dtype, place, 1, self.lanes, self.scratch_mask(scope))
