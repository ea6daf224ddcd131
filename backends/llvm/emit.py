"""From a loop nest to LLVM IR.

Vectors run along one axis: the last of the space. If that axis is reduced, the lanes are partial
results of one row; otherwise they are neighbouring rows, and a row's reductions run lane by lane.
The tail of the vector axis is one iteration under a mask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from symgraph.backends.llvm import reduction as red
from symgraph.backends.llvm.accumulate import Accumulators, Point
from symgraph.backends.llvm.builder import (
    Builder,
    Module,
    Value,
    kernel_function,
    lanes_of,
    vector_type,
)
from symgraph.backends.llvm.elementwise import convert, lower_elementwise
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.join_axes import join_axes
from symgraph.backends.llvm.loops import Access, Item, Nest, is_saved, pass_items
from symgraph.backends.llvm.memory_access import gather, lane_indices, lane_mask, read, write
from symgraph.backends.llvm.scalars import memory_type, register_type
from symgraph.types import DTYPES

__all__ = ["emit_nest"]

INT64 = DTYPES["int64"]


def _next_power(n: int) -> int:
    return 1 << max(0, n - 1).bit_length()


def choose_lanes(nest: Nest, target: Target, axis: int) -> int:
    """Lanes along the vector axis: two registers of the widest type, so that chains overlap.

    Where the axis is reduced this depends on its extent and the dtype of the sums alone (one in a
    nest), since their order does.
    """
    extent = nest.extents[axis]
    reduces = [i for i in nest.items if i.kind == "reduce"]
    if axis in nest.inner:
        read = [(i.node.op, nest.items[i.args[0]].dtype) for i in reduces if i.node is not None]
        ordered = [d.itemsize for op, d in read if red.is_ordered(op, d)]
        lanes = 2 * target.lanes(8 * max(ordered or [d.itemsize for _, d in read]))
        if not ordered and any(red.is_position(op) for op, _ in read):
            lanes //= 2
    else:
        floats = [i.dtype.itemsize for i in nest.items if i.dtype.kind == "f"]
        ints = [i.dtype.itemsize for i in nest.items if i.dtype.kind in "iub" and i.kind != "ramp"]
        lanes = target.lanes(8 * max(floats or ints or [8]))
        if not any(red.is_position(i.node.op) for i in reduces if i.node is not None):
            lanes *= 2
    if isinstance(extent, int):
        lanes = min(lanes, _next_power(extent))
    return max(1, lanes)


class _Emitter:
    def __init__(self, b: Builder, nest: Nest, target: Target) -> None:
        self.b, self.nest, self.target = b, nest, target
        rank = len(nest.extents)
        self.axis = rank - 1
        self.inner_vector = self.axis in nest.inner
        self.lanes = choose_lanes(nest, target, self.axis) if rank else 1
        self.params = self._load_params()
        self.status = b.emit("ptr", "alloca i64")
        b.store(b.i64(0), self.status)
        self.passes = nest.passes() if nest.inner else 0

    def _load_params(self) -> list[Value]:
        b, out = self.b, []
        for k, p in enumerate(self.nest.params):
            place = b.gep("i64", b.args[0], k)
            out.append(b.load("i64" if hasattr(p, "dim") else "ptr", place))
        return out

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
        extent = self.nest.extents[self.axis] if self.inner_vector else None
        return isinstance(extent, int) and 0 < extent <= self.lanes and len(self.nest.inner) == 1

    def lanes_for(self, item: Item) -> int:
        return self.lanes if item.full else self.row_lanes

    def as_lanes(self, v: Value, lanes: int) -> Value:
        return v if lanes_of(v.type) == lanes else self.b.splat(v, lanes)

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
        item, b = self.nest.items[k], self.b
        lanes = self.lanes_for(item)
        if item.kind == "literal":
            array = np.frombuffer(bytes.fromhex(item.payload[0]), item.dtype)
            return b.const(register_type(item.dtype), array[0].item())
        if item.kind == "size":
            return convert(b, self.number(item.payload[0]), INT64, item.dtype)
        if item.kind == "ramp":
            return self.ramp(item, scope, lanes)
        if item.kind == "load":
            assert item.access is not None
            stride = self.lane_stride(item.access, lanes)
            return read(
                b, item.access.dtype, self.address(item.access, scope), stride, lanes, scope.mask
            )
        args = [self.as_lanes(self.lookup(a, scope, local), lanes) for a in item.args]
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
        # out of range, read the error record: the table may have no element at all
        places = b.select(wrong, b.splat(self.params[-1], lanes), places)
        return gather(b, access.dtype, places, scope.mask if lanes > 1 else None)

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
            culprit = b.extract(position, lanes - 1)
            for lane in range(lanes - 2, -1, -1):
                culprit = b.select(b.extract(bad, lane), b.extract(position, lane), culprit)
        b.store(culprit, record)
        b.store(limit, b.gep("i64", record, 1))
        b.store(b.i64(1 + k), self.status)

    # ---- loops -------------------------------------------------------------------------------

    def run(self) -> None:
        rank = len(self.nest.extents)
        outer = [a for a in range(rank) if a not in self.nest.inner]
        if rank == 0:
            self.row(Point())
        elif self.inner_vector:
            self.outer_loops(outer, Point())
        else:
            self.outer_loops(outer[:-1], Point(), vector=True)
        b = self.b
        b.ret(b.load("i64", self.status))

    def outer_loops(self, axes: list[int], scope: Point, vector: bool = False) -> None:
        b = self.b
        if not axes:
            if vector:
                self.vector_rows(scope)
            else:
                self.row(scope)
            return
        with b.loop(b.i64(0), self.number(self.nest.extents[axes[0]]), 1) as loop:
            inside = Point({**scope.index, axes[0]: loop.index})
            self.outer_loops(axes[1:], inside, vector)

    def vector_rows(self, scope: Point) -> None:
        for start, stop, mask in self.chunks(self.nest.extents[self.axis]):
            if mask is None:
                with self.b.loop(start, stop, self.lanes) as loop:
                    self.row(Point({**scope.index, self.axis: loop.index}))
            else:
                with self.b.when(mask):
                    rest = self.b.sub(stop, start)
                    tail = lane_mask(self.b, rest, self.lanes) if self.lanes > 1 else None
                    self.row(Point({**scope.index, self.axis: start}, mask=tail))

    def chunks(self, extent: int | str) -> Iterator[tuple[Value, Value, Value | None]]:
        """(start, stop, condition) of the whole vectors and, where the condition holds, of the
        tail."""
        b, lanes = self.b, self.lanes
        if isinstance(extent, int):
            main = extent - extent % lanes
            if main:
                yield b.i64(0), b.i64(main), None
            if extent % lanes:
                yield b.i64(main), b.i64(extent), Value("true", "i1")
            return
        n = self.number(extent)
        cut = b.and_(n, b.i64(-lanes))
        yield b.i64(0), cut, None
        if lanes > 1:
            yield cut, n, b.icmp("slt", cut, n)

    # ---- one row -----------------------------------------------------------------------------

    def row(self, scope: Point) -> None:
        self.kept: dict[int, Value] = {}
        for stage in range(self.passes + 1):
            self.row_values(scope, stage)
            if stage < self.passes:
                self.one_pass(scope, stage)
        for v, access in self.nest.stores:
            item = self.nest.items[v]
            if not item.full:
                lanes = self.row_lanes
                value = self.as_lanes(scope.rows[v], lanes)
                place = self.address(access, scope)
                write(self.b, item.dtype, value, place, self.lane_stride(access, lanes), scope.mask)

    def row_values(self, scope: Point, stage: int) -> None:
        """Values that do not change along the inner axes and are first known before pass
        ``stage``."""
        for k, item in enumerate(self.nest.items):
            if not item.full and item.stage == stage and item.kind != "reduce":
                scope.rows[k] = self.compute(k, scope, scope.rows)

    # ---- one pass over the inner axes --------------------------------------------------------

    def one_pass(self, scope: Point, stage: int) -> None:
        items = self.nest.items
        reductions = [k for k, i in enumerate(items) if i.kind == "reduce" and i.stage == stage + 1]
        order = pass_items(self.nest, stage)
        state = Accumulators(self, reductions)
        carried = self.inner_loops(
            list(self.nest.inner), scope, stage, order, state, state.initial()
        )
        for k, value in state.finish(carried):
            scope.rows[k] = value

    def inner_loops(
        self, axes: list[int], scope: Point, stage: int, order: list[int], state: Accumulators,
        carried: list[Value],
    ) -> list[Value]:  # fmt: skip
        b = self.b
        if len(axes) > 1:
            with b.loop(b.i64(0), self.number(self.nest.extents[axes[0]]), 1, carried) as loop:
                inside = Point({**scope.index, axes[0]: loop.index}, scope.rows, scope.mask)
                loop.next = self.inner_loops(axes[1:], inside, stage, order, state, loop.carry)
            return loop.result
        axis = axes[0]
        extent = self.nest.extents[axis]
        if not self.inner_vector:
            return self.blocks(
                axis, b.i64(0), self.number(extent), 1, scope, stage, order, state, carried
            )
        if self.row_is_vector:
            return self.one_vector(scope, stage, order, state, carried)
        for start, stop, mask in self.chunks(extent):
            if mask is None:
                carried = self.blocks(
                    axis, start, stop, self.lanes, scope, stage, order, state, carried
                )
            else:
                carried = self.tail(axis, start, stop, mask, scope, stage, order, state, carried)
        return carried

    def blocks(
        self, axis: int, start: Value, stop: Value, step: int, scope: Point, stage: int,
        order: list[int], state: Accumulators, carried: list[Value],
    ) -> list[Value]:  # fmt: skip
        b = self.b
        if not state.compensates:
            with b.loop(start, stop, step, carried) as loop:
                inside = Point({**scope.index, axis: loop.index}, scope.rows, scope.mask)
                loop.next = self.body(inside, stage, order, state, loop.carry)
            return loop.result
        with b.loop(start, stop, step * red.BLOCK, carried) as outer:
            end = b.intrinsic("llvm.smin", stop, b.add(outer.index, b.i64(step * red.BLOCK)))
            with b.loop(outer.index, end, step, state.open_block(outer.carry)) as loop:
                inside = Point({**scope.index, axis: loop.index}, scope.rows, scope.mask)
                loop.next = self.body(inside, stage, order, state, loop.carry)
            outer.next = state.close_block(outer.carry, loop.result)
        return outer.result

    def tail(
        self, axis: int, start: Value, stop: Value, cond: Value, scope: Point, stage: int,
        order: list[int], state: Accumulators, carried: list[Value],
    ) -> list[Value]:  # fmt: skip
        b = self.b

        def run() -> list[Value]:
            mask = lane_mask(b, b.sub(stop, start), self.lanes) if self.lanes > 1 else None
            inside = Point({**scope.index, axis: start}, scope.rows, mask)
            opened = state.open_block(carried) if state.compensates else carried
            after = self.body(inside, stage, order, state, opened)
            return state.close_block(carried, after) if state.compensates else after

        if cond.ref == "true":
            return run()
        return b.choose(cond, run, lambda: carried) if carried else self.only(cond, run)

    def one_vector(
        self, scope: Point, stage: int, order: list[int], state: Accumulators, carried: list[Value]
    ) -> list[Value]:
        """A pass over a row that is one vector: a single block, with nothing to compensate."""
        b, extent = self.b, self.nest.extents[self.axis]
        mask = None if extent == self.lanes else lane_mask(b, self.number(extent), self.lanes)
        inside = Point({**scope.index, self.axis: b.i64(0)}, scope.rows, mask)
        return self.body(inside, stage, order, state, carried)

    def only(self, cond: Value, run: Callable[[], list[Value]]) -> list[Value]:
        with self.b.when(cond):
            run()
        return []

    def body(
        self, scope: Point, stage: int, order: list[int], state: Accumulators, carried: list[Value]
    ) -> list[Value]:
        """One step along the inner axes: values, stores, saves, accumulation."""
        local: dict[int, Value] = self.kept if self.row_is_vector else {}
        items = self.nest.items
        for k in order:
            if k in local:
                continue
            for a in items[k].args:
                if a not in local and items[a].full and is_saved(self.nest, a, stage):
                    local[a] = self.reload(a, scope)
            local[k] = self.compute(k, scope, local)
        for k in state.reductions:
            a = items[k].args[0]
            if items[a].full and a not in local:
                local[a] = self.reload(a, scope)
        for v, access in self.nest.stores:
            if items[v].full and items[v].stage == stage:
                place = self.address(access, scope)
                write(
                    self.b,
                    items[v].dtype,
                    local[v],
                    place,
                    self.lane_stride(access, self.lanes),
                    scope.mask,
                )
        for v, p in self.nest.scratch.items():
            if items[v].stage == stage and not self.row_is_vector:
                write(
                    self.b,
                    items[v].dtype,
                    local[v],
                    self.scratch(p, items[v], scope),
                    1,
                    self.scratch_mask(scope),
                )
        return state.step(scope, local, carried)

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


def emit_nest(module: Module, name: str, nest: Nest, target: Target) -> None:
    """Write the kernel ``i64 @name(ptr args)`` for a loop nest."""
    b = kernel_function(module, name)
    _Emitter(b, join_axes(nest), target).run()
