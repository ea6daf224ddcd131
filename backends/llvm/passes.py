"""Passes over the inner axes of one row: vectors, blocks of compensated sums, and chunks.

The order of a sum is fixed here. The inner axes fall into chunks of about ``CHUNK`` elements along
the first of them; a chunk starts from nothing, and the chunks' results are combined in order. So
one kernel that walks them all and many that share them give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from symgraph.backends.llvm import reduction as red
from symgraph.backends.llvm.accumulate import Accumulators, Point
from symgraph.backends.llvm.builder import Builder, Value
from symgraph.backends.llvm.loops import is_saved, pass_items
from symgraph.backends.llvm.memory_access import write
from symgraph.backends.llvm.nest_values import NestValues
from symgraph.backends.llvm.units import CHUNK, one_chunk, rest_of_inner

__all__ = ["NestPasses", "Range", "Walk"]

Range = tuple[Value, Value]


@dataclass(frozen=True, slots=True)
class Walk:
    """One pass: its number, the items it computes, what it accumulates."""

    stage: int
    order: list[int]
    state: Accumulators


class NestPasses(NestValues):
    """Walks the inner axes of a row."""

    def walk(self, stage: int) -> Walk:
        items = self.nest.items
        found = [k for k, i in enumerate(items) if i.kind == "reduce" and i.stage == stage + 1]
        return Walk(stage, pass_items(self.nest, stage), Accumulators(self, found))

    def one_pass(self, scope: Point, stage: int) -> None:
        """One pass; its reductions become row values."""
        walk = self.walk(stage)
        if self.tiny:
            carried = self.elements(scope, walk)
        elif walk.state.ordered and not self.row_is_vector and not one_chunk(self.nest):
            carried = self.chunks(scope, walk)
        else:
            carried = self.inner_loops(self.nest.inner, scope, walk, walk.state.initial())
        for k, value in walk.state.finish(carried):
            scope.rows[k] = value

    def elements(self, scope: Point, walk: Walk) -> list[Value]:
        """A pass over tiny rows side by side, element after element; the order of a sum is that
        of a vector which holds one row."""
        axis, state = self.nest.inner[0], walk.state
        length = self.nest.extents[axis]
        assert isinstance(length, int)
        carried, rows = state.initial(), list[list[Value]]()
        for k in range(length):
            inside = Point({**scope.index, axis: self.b.i64(k)}, scope.rows, scope.mask)
            self.kept = self.kept_at.setdefault(k, {})
            carried = self.body(inside, walk, state.fresh(carried))
            rows.append(carried)
        return state.folded(rows)

    def chunks(self, scope: Point, walk: Walk) -> list[Value]:
        """Chunk after chunk, each from nothing."""
        b, state = self.b, walk.state
        stop, step = self.number(self.nest.extents[self.nest.inner[0]]), self.chunk_steps()
        with b.loop(b.i64(0), stop, step, state.initial()) as loop:
            end = b.intrinsic("llvm.smin", stop, b.add(loop.index, step))
            part = self.chunk(scope, walk, (loop.index, end))
            loop.next = state.merge(loop.carry, part)
        return loop.result

    def chunk(self, scope: Point, walk: Walk, within: Range) -> list[Value]:
        """What the reductions have accumulated over a part of the first inner axis."""
        return self.inner_loops(self.nest.inner, scope, walk, walk.state.initial(), within)

    def chunk_steps(self) -> Value:
        """Indices of the first inner axis in a chunk."""
        b, rest = self.b, rest_of_inner(self.nest)
        if isinstance(rest, int):
            return b.i64(max(1, CHUNK // max(1, rest)))
        some = b.intrinsic("llvm.smax", self.number(rest), b.i64(1))
        return b.intrinsic("llvm.smax", b.binary("udiv", b.i64(CHUNK), some), b.i64(1))

    def inner_loops(
        self, axes: tuple[int, ...], scope: Point, walk: Walk, carried: list[Value],
        within: Range | None = None,
    ) -> list[Value]:  # fmt: skip
        b, axis = self.b, axes[0]
        extent = self.nest.extents[axis]
        start, stop = within or (b.i64(0), self.number(extent))
        if len(axes) == 2 and self.inner_vector and walk.state.compensates:
            far = self.is_far()
            if far is not True:
                branch = None if far is False else far
                return self.short_rows((start, stop), branch, scope, walk, carried)
        if len(axes) > 1:
            with b.loop(start, stop, 1, carried) as loop:
                inside = Point({**scope.index, axis: loop.index}, scope.rows, scope.mask)
                loop.next = self.inner_loops(axes[1:], inside, walk, loop.carry)
            return loop.result
        if not self.inner_vector:
            return self.blocks(start, stop, 1, scope, walk, carried)
        if self.row_is_vector:
            return self.one_vector(scope, walk, carried)
        for first, end, mask in self.vectors(extent, within):
            if mask is None:
                carried = self.blocks(first, end, self.lanes, scope, walk, carried)
            else:
                carried = self.tail(first, end, mask, scope, walk, carried)
        return carried

    # ---- short rows --------------------------------------------------------------------------

    def is_far(self) -> bool | Value:
        """Whether the last axis is more than a block of vectors; it may show at run time only."""
        extent, block = self.nest.extents[self.axis], red.BLOCK * self.lanes
        if isinstance(extent, int):
            return extent > block
        return self.b.icmp("sgt", self.number(extent), self.b.i64(block))

    def short_rows(
        self, rows: Range, far: Value | None, scope: Point, walk: Walk, carried: list[Value]
    ) -> list[Value]:
        """The last two inner axes, a block being as many rows as have its number of vectors.

        Where a row is ``far`` after all, it is walked in blocks of its own.
        """
        b, state, axis = self.b, walk.state, self.nest.inner[-2]
        start, stop = rows
        group = self.rows_in_block()
        with b.loop(start, stop, group, carried) as outer:
            end = b.intrinsic("llvm.smin", stop, b.add(outer.index, group))
            both = [*outer.carry, *state.open_block(outer.carry)]
            with b.loop(outer.index, end, 1, both) as loop:
                inside = Point({**scope.index, axis: loop.index}, scope.rows, scope.mask)
                loop.next = self.short_row(far, inside, walk, loop.carry)
            outer.next = state.close_block(*_halves(loop.result))
        return outer.result

    def rows_in_block(self) -> Value:
        """How many rows of the last axis make a block."""
        b, extent = self.b, self.nest.extents[self.axis]
        if isinstance(extent, int):
            return b.i64(max(1, red.BLOCK // max(1, -(-extent // self.lanes))))
        shift = b.i64(self.lanes.bit_length() - 1)
        vectors = b.lshr(b.add(self.number(extent), b.i64(self.lanes - 1)), shift)
        some = b.intrinsic("llvm.smax", vectors, b.i64(1))
        return b.intrinsic("llvm.smax", b.binary("udiv", b.i64(red.BLOCK), some), b.i64(1))

    def short_row(
        self, far: Value | None, scope: Point, walk: Walk, both: list[Value]
    ) -> list[Value]:
        """One row: what was accumulated before the open block, and in it."""
        b, state, step = self.b, walk.state, self.lanes * red.BLOCK

        def closed() -> list[Value]:
            before = state.close_block(*_halves(both))
            return [*before, *state.open_block(before)]

        for start, stop, tail in self.vectors(self.nest.extents[self.axis]):
            if tail is not None:
                before, inside = _halves(both)
                both = [*before, *self.masked(start, stop, tail, scope, walk, inside)]
                continue
            with b.loop(start, stop, step, both) as outer:
                before, inside = _halves(outer.carry)
                end = b.intrinsic("llvm.smin", stop, b.add(outer.index, b.i64(step)))
                with b.loop(outer.index, end, self.lanes, inside) as loop:
                    here = Point({**scope.index, self.axis: loop.index}, scope.rows, scope.mask)
                    loop.next = self.body(here, walk, loop.carry)
                both = [*before, *loop.result]
                outer.next = b.choose(far, closed, _same(both)) if far is not None else both
            both = outer.result
        return both

    def masked(
        self, start: Value, stop: Value, tail: Value, scope: Point, walk: Walk, carried: list[Value]
    ) -> list[Value]:
        """The rest of a row under a mask, if there is one."""
        b = self.b

        def run() -> list[Value]:
            mask = self.mask_of(left_of(b, start, stop))
            inside = Point({**scope.index, self.axis: start}, scope.rows, mask)
            return self.body(inside, walk, carried)

        return run() if tail.ref == "true" else b.choose(tail, run, lambda: carried)

    # ---- vectors and blocks ------------------------------------------------------------------

    def vectors(
        self, extent: int | str, within: Range | None = None
    ) -> Iterator[tuple[Value, Value, Value | None]]:
        """(start, stop, condition) of the whole vectors and, where the condition holds, of the
        tail; ``within`` is a part of the axis that begins at a whole vector."""
        b, lanes = self.b, self.lanes
        if isinstance(extent, int) and within is None:
            main = extent - extent % lanes
            if main:
                yield b.i64(0), b.i64(main), None
            if extent % lanes:
                yield b.i64(main), b.i64(extent), Value("true", "i1")
            return
        start, stop = within or (b.i64(0), self.number(extent))
        cut = b.and_(stop, b.i64(-lanes))
        yield start, cut, None
        if lanes > 1 and not (isinstance(extent, int) and extent % lanes == 0):
            yield cut, stop, b.icmp("slt", cut, stop)

    def blocks(
        self, start: Value, stop: Value, step: int, scope: Point, walk: Walk, carried: list[Value]
    ) -> list[Value]:
        """The last inner axis, ``step`` indices at a time."""
        b, axis, state = self.b, self.nest.inner[-1], walk.state
        if not state.compensates:
            with b.loop(start, stop, step, carried) as loop:
                inside = Point({**scope.index, axis: loop.index}, scope.rows, scope.mask)
                loop.next = self.body(inside, walk, loop.carry)
            return loop.result
        with b.loop(start, stop, step * red.BLOCK, carried) as outer:
            end = b.intrinsic("llvm.smin", stop, b.add(outer.index, b.i64(step * red.BLOCK)))
            with b.loop(outer.index, end, step, state.open_block(outer.carry)) as loop:
                inside = Point({**scope.index, axis: loop.index}, scope.rows, scope.mask)
                loop.next = self.body(inside, walk, loop.carry)
            outer.next = state.close_block(outer.carry, loop.result)
        return outer.result

    def tail(
        self, start: Value, stop: Value, cond: Value, scope: Point, walk: Walk, carried: list[Value]
    ) -> list[Value]:
        b, state = self.b, walk.state

        def run() -> list[Value]:
            mask = self.mask_of(left_of(b, start, stop))
            inside = Point({**scope.index, self.axis: start}, scope.rows, mask)
            opened = state.open_block(carried) if state.compensates else carried
            after = self.body(inside, walk, opened)
            return state.close_block(carried, after) if state.compensates else after

        if cond.ref == "true":
            return run()
        return b.choose(cond, run, lambda: carried) if carried else self.only(cond, run)

    def one_vector(self, scope: Point, walk: Walk, carried: list[Value]) -> list[Value]:
        """A pass over a row that is one vector: a single block, with nothing to compensate."""
        inside = Point({**scope.index, self.axis: self.b.i64(0)}, scope.rows, self.row_mask)
        return self.body(inside, walk, carried)

    def only(self, cond: Value, run: Callable[[], list[Value]]) -> list[Value]:
        with self.b.when(cond):
            run()
        return []

    def body(self, scope: Point, walk: Walk, carried: list[Value]) -> list[Value]:
        """One step along the inner axes: values, stores, saves, accumulation."""
        local: dict[int, Value] = self.kept if self.row_is_vector else {}
        items, stage, order, state = self.nest.items, walk.stage, walk.order, walk.state
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


def left_of(b: Builder, start: Value, stop: Value) -> Value:
    """How many indices there are from one on; a number where both are."""
    if start.ref.isdigit() and stop.ref.isdigit():
        return b.i64(int(stop.ref) - int(start.ref))
    return b.sub(stop, start)


def _halves(both: list[Value]) -> tuple[list[Value], list[Value]]:
    middle = len(both) // 2
    return both[:middle], both[middle:]


def _same(values: list[Value]) -> Callable[[], list[Value]]:
    return lambda: values
