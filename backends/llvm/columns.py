"""Reductions of columns: the rows of memory are read as they lie, many columns at a time.

A tile of columns keeps what its reductions have accumulated on the stack. Every few rows (a block
of a compensated sum) the walk goes along the tile, vector after vector. The order in which one
column is accumulated is that of a walk down this column alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from symgraph.backends.llvm import reduction as red
from symgraph.backends.llvm.accumulate import Point
from symgraph.backends.llvm.builder import Builder, Value
from symgraph.backends.llvm.clusters import CHEAP
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.loops import Nest, pass_items
from symgraph.backends.llvm.memory_access import lane_mask
from symgraph.backends.llvm.passes import NestPasses, Range
from symgraph.backends.llvm.units import one_chunk

__all__ = ["NestColumns"]

#: Columns in a tile, and the most bytes that a tile keeps.
TILE, BYTES = 1024, 1 << 14
#: A block of rows is unrolled where a row takes no more than so many values.
LIGHT = 3


def row_inputs(nest: Nest) -> set[int]:
    """The row values that the first pass reads."""
    full = pass_items(nest, 0)
    stack = [a for k in full for a in nest.items[k].args]
    stack += [i.args[0] for i in nest.items if i.kind == "reduce"]
    found: set[int] = set()
    while stack:
        k = stack.pop()
        if k not in found and not nest.items[k].full:
            found.add(k)
            stack.extend(nest.items[k].args)
    return found


def has_functions(nest: Nest, items: Iterable[int]) -> bool:
    """Whether an item is more than an instruction or two."""
    nodes = [nest.items[k].node for k in items]
    return not all(n is None or n.op.name in CHEAP for n in nodes)


class NestColumns(NestPasses):
    """Walks tiles of columns."""

    def __init__(self, b: Builder, nest: Nest, target: Target) -> None:
        super().__init__(b, nest, target)
        self.tiled = self.has_tiles()
        if self.tiled:
            self.pass_, self.inputs = self.walk(0), row_inputs(nest)
            self.vector_bytes = self.pass_.state.bytes()
            self.tile = min(TILE, self.lanes * (BYTES // self.vector_bytes))
            size = self.tile // self.lanes * self.vector_bytes
            self.parts = b.emit("ptr", f"alloca i8, i64 {size}, align 64")
            self.light = len(self.pass_.order) <= LIGHT and not has_functions(
                nest, self.pass_.order
            )
            self.chunked = self.pass_.state.ordered and not one_chunk(nest)
            self.totals = self.parts
            if self.chunked:
                self.totals = b.emit("ptr", f"alloca i8, i64 {size}, align 64")

    def has_tiles(self) -> bool:
        """Whether the columns are many, walked once, and cheap to come back to."""
        nest = self.nest
        if not nest.inner or self.inner_vector or self.tiny:
            return False
        if self.passes != 1 or nest.scratch:
            return False
        extent = nest.extents[self.axis]
        if isinstance(extent, int) and extent <= 2 * self.lanes:
            return False
        return not has_functions(nest, row_inputs(nest))

    def each_vector(self, scope: Point, within: Range | None, do: Callable[[Point], None]) -> None:
        """``do`` at every vector of rows in a range, the tail under a mask."""
        b = self.b
        for start, stop, tail in self.vectors(self.nest.extents[self.axis], within):
            if tail is None:
                with b.loop(start, stop, self.lanes) as loop:
                    do(Point({**scope.index, self.axis: loop.index}))
            else:
                with b.when(tail):
                    rest = b.sub(stop, start)
                    mask = lane_mask(b, rest, self.lanes) if self.lanes > 1 else None
                    do(Point({**scope.index, self.axis: start}, mask=mask))

    def each_tile(
        self, scope: Point, within: Range | None, rows: Range | None,
        do: Callable[[Point, list[Value]], None],
    ) -> None:  # fmt: skip
        """``do`` at every vector of columns with what the reductions have found, tile after
        tile; ``rows`` is a part of the first inner axis, no more than a chunk."""
        b = self.b
        start, stop = within or (b.i64(0), self.number(self.nest.extents[self.axis]))
        with b.loop(start, stop, self.tile) as loop:
            end = b.intrinsic("llvm.smin", stop, b.add(loop.index, b.i64(self.tile)))
            columns = loop.index, end
            if rows is not None or not self.chunked:
                self.tile_chunk(scope, columns, rows)
                results = self.parts
            else:
                self.tile_chunks(scope, columns)
                results = self.totals
            self.each_vector(scope, columns, lambda p: do(p, self.reload_tile(results, p, columns)))

    def tile_chunks(self, scope: Point, columns: Range) -> None:
        """Chunk after chunk of a tile, each from nothing."""
        b, state = self.b, self.pass_.state
        stop, step = self.number(self.nest.extents[self.nest.inner[0]]), self.chunk_steps()
        self.clear(self.totals, columns)
        with b.loop(b.i64(0), stop, step) as loop:
            end = b.intrinsic("llvm.smin", stop, b.add(loop.index, step))
            self.tile_chunk(scope, columns, (loop.index, end))

            def merge(at: Value) -> None:
                places = [b.gep("i8", tile, at) for tile in (self.totals, self.parts)]
                total, part = (state.reload(p) for p in places)
                state.save(state.merge(total, part), places[0])

            self.each_place(columns, merge)

    def tile_chunk(self, scope: Point, columns: Range, rows: Range | None) -> None:
        """A part of the rows of a tile, from nothing."""
        self.clear(self.parts, columns)
        self.tile_loops(self.nest.inner, scope, columns, rows)

    def clear(self, tile: Value, columns: Range) -> None:
        """Nothing accumulated yet."""
        b, state = self.b, self.pass_.state
        self.each_place(columns, lambda at: state.save(state.initial(), b.gep("i8", tile, at)))

    def each_place(self, columns: Range, do: Callable[[Value], None]) -> None:
        """``do`` with where every vector of columns stands in a tile."""
        b, each = self.b, self.vector_bytes
        count = b.sub(columns[1], columns[0])
        stop = b.lshr(b.add(count, b.i64(self.lanes - 1)), b.i64(_log2(self.lanes)))
        with b.loop(b.i64(0), b.mul(stop, b.i64(each)), each) as loop:
            do(loop.index)

    def tile_loops(
        self, axes: tuple[int, ...], scope: Point, columns: Range, rows: Range | None
    ) -> None:
        b, axis = self.b, axes[0]
        start, stop = rows or (b.i64(0), self.number(self.nest.extents[axis]))
        if len(axes) > 1:
            with b.loop(start, stop, 1) as loop:
                inside = Point({**scope.index, axis: loop.index})
                self.tile_loops(axes[1:], inside, columns, None)
            return
        main = start
        if self.light:
            main = b.add(start, b.and_(b.sub(stop, start), b.i64(-red.BLOCK)))
            with b.loop(start, main, red.BLOCK) as loop:
                self.each_vector(scope, columns, lambda p: self.tile_block(p, columns, loop.index))
        with b.loop(main, stop, red.BLOCK) as loop:
            end = b.intrinsic("llvm.smin", stop, b.add(loop.index, b.i64(red.BLOCK)))
            self.each_vector(scope, columns, lambda p: self.tile_block(p, columns, loop.index, end))

    def tile_block(
        self, point: Point, columns: Range, start: Value, stop: Value | None = None
    ) -> None:
        """A few rows of one vector of columns: a whole block, or from ``start`` to ``stop``."""
        state = self.pass_.state
        for k in sorted(self.inputs):
            point.rows[k] = self.compute(k, point, point.rows)
        before = self.reload_tile(self.parts, point, columns)
        if stop is None and self.light and point.mask is None:
            after = self.unrolled(start, point, before)
        else:
            end = stop or self.b.add(start, self.b.i64(red.BLOCK))
            after = self.one_block(start, end, point, before)
        state.save(after, self.in_tile(self.parts, point, columns))

    def one_block(
        self, start: Value, stop: Value, point: Point, before: list[Value]
    ) -> list[Value]:
        """At most a block of rows, row after row."""
        state, axis = self.pass_.state, self.nest.inner[-1]
        with self.b.loop(start, stop, 1, state.open_block(before)) as loop:
            inside = Point({**point.index, axis: loop.index}, point.rows, point.mask)
            loop.next = self.body(inside, self.pass_, loop.carry)
        return state.close_block(before, loop.result)

    def unrolled(self, start: Value, point: Point, before: list[Value]) -> list[Value]:
        """A whole block, row after row: every load sees a stream of its own."""
        state, axis = self.pass_.state, self.nest.inner[-1]
        inside = state.open_block(before)
        for k in range(red.BLOCK):
            index = {**point.index, axis: self.b.add(start, self.b.i64(k))}
            inside = self.body(Point(index, point.rows, point.mask), self.pass_, inside)
        return state.close_block(before, inside)

    def in_tile(self, place: Value, point: Point, columns: Range) -> Value:
        """Where a vector of columns keeps what it has accumulated."""
        b = self.b
        vector = b.lshr(b.sub(point.index[self.axis], columns[0]), b.i64(_log2(self.lanes)))
        return b.gep("i8", place, b.mul(vector, b.i64(self.vector_bytes)))

    def reload_tile(self, place: Value, point: Point, columns: Range) -> list[Value]:
        return self.pass_.state.reload(self.in_tile(place, point, columns))


def _log2(n: int) -> int:
    return n.bit_length() - 1
