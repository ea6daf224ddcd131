"""From a loop nest to LLVM IR.

Vectors run along one axis: the last of the space. If that axis is reduced, the lanes are partial
results of one row; otherwise they are neighbouring rows, and a row's reductions run lane by lane.
The tail of the vector axis is one iteration under a mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from symgraph.backends.llvm.accumulate import Point
from symgraph.backends.llvm.builder import Builder, Module, Value, kernel_function
from symgraph.backends.llvm.clusters import CHEAP, HEAVY
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.join_axes import join_axes, times
from symgraph.backends.llvm.lanes import choose_lanes
from symgraph.backends.llvm.loops import Item, Nest
from symgraph.backends.llvm.passes import Range
from symgraph.backends.llvm.row_blocks import NestRowBlocks
from symgraph.backends.llvm.units import (
    Side,
    has_tiny_rows,
    turned_axis,
    unit_sides,
    vector_axis,
)

__all__ = ["NestEmitter", "choose_lanes", "emit_nest", "may_be_points", "rows_saved"]


#: Rows that share a cache line of an array that lies across.
ACROSS = 16


#: The number of coordinates of a point: the likeliest length of a symbolic row so short. And the
#: operations that its row may take to be worth a third copy of the code.
POINT, LIGHT = 3, 30


#: Operations of a kernel that is written twice, a function counting as `HEAVY`.
TWICE = 64


def has_short_rows(nest: Nest, lanes: int) -> bool:
    """Whether rows of symbolic length that happen to be short get code of their own: one vector
    each, without loops, folded at once."""
    last = len(nest.extents) - 1
    if nest.inner != (last,) or not last or isinstance(nest.extents[last], int) or lanes == 1:
        return False
    ops = [i.node.op.name for i in nest.items if i.kind == "op" and i.node is not None]
    return sum(1 if name in CHEAP else HEAVY for name in ops) <= TWICE


def with_length(nest: Nest, axis: int, length: int) -> Nest:
    """The same nest where the symbolic extent of an axis is a number."""
    name = nest.extents[axis]

    def put(size: Any) -> Any:
        if not isinstance(size, str) or name not in size.split("*"):
            return tuple(map(put, size)) if isinstance(size, tuple) else size
        whole: int | str = 1
        for f in size.split("*"):
            whole = times(whole, length if f == name else f if f.startswith("p") else int(f))
        return whole

    def item(i: Item) -> Item:
        access = i.access and replace(i.access, strides=put(i.access.strides))
        return replace(i, access=access, payload=put(i.payload))

    return replace(
        nest,
        extents=put(nest.extents),
        items=[item(i) for i in nest.items],
        stores=[(v, replace(a, strides=put(a.strides))) for v, a in nest.stores],
    )


class NestEmitter(NestRowBlocks):
    """Writes one kernel: units, outer loops, rows."""

    blocked: tuple[int, Range] | None = None

    # ---- loops -------------------------------------------------------------------------------

    def run(self) -> list[Value]:
        """The whole kernel, the units from ``begin`` up to ``end``, and its status."""
        if has_short_rows(self.nest, self.lanes):
            extent = self.number(self.nest.extents[self.axis])
            fits = self.b.icmp("sle", extent, self.b.i64(self.lanes))
            self.b.choose(fits, lambda: self.units(True), lambda: self.units(False))
        else:
            self.units(False)
        return [self.b.load("i64", self.status)]

    def units(self, short: bool) -> list[Value]:
        """Every unit; ``short`` says that a row of symbolic length is no longer than a vector."""
        self.short = short
        if self.row_is_vector and self.inner_vector:
            extent = self.nest.extents[self.axis]
            self.row_mask = None if extent == self.lanes else self.mask_of(self.number(extent))
        sides = unit_sides(self.nest)
        _, begin, end = self.b.args
        if len(sides) == 2:
            self.pairs(sides, begin, end)
        elif sides:
            (side,) = sides
            self.loops({side.axis: self.unit_range(side, begin, end)})
        else:
            self.loops({})
        return []

    def unit_range(self, side: Side, begin: Value, end: Value) -> Range:
        """The indices along an axis from one of its units up to another."""
        b = self.b
        if side.step == 1:
            return begin, end
        step, extent = b.i64(side.step), self.number(self.nest.extents[side.axis])
        return b.mul(begin, step), b.intrinsic("llvm.smin", b.mul(end, step), extent)

    def pairs(self, sides: Sequence[Side], begin: Value, end: Value) -> None:
        """Units along two axes, one after another: the faster axis counts up and wraps."""
        b, (_, fast) = self.b, sides
        count = self.number(self.nest.extents[fast.axis])
        if fast.step > 1:
            count = b.lshr(b.add(count, b.i64(fast.step - 1)), b.i64(fast.step.bit_length() - 1))
        one, zero = b.i64(1), b.i64(0)
        first = b.binary("udiv", begin, b.intrinsic("llvm.smax", count, one))
        with b.loop(begin, end, 1, [first, b.sub(begin, b.mul(first, count))]) as loop:
            at = loop.carry
            self.loops(
                {
                    s.axis: self.unit_range(s, k, b.add(k, one))
                    for s, k in zip(sides, at, strict=True)
                }
            )
            after = b.add(at[1], one)
            wraps = b.icmp("eq", after, count)
            row = b.select(wraps, b.add(at[0], one), at[0])
            loop.next = [row, b.select(wraps, zero, after)]

    def loops(self, ranges: dict[int, Range]) -> None:
        """The outer loops, over the given ranges of the axes that units divide."""
        outer = [a for a in range(len(self.nest.extents)) if a not in self.nest.inner]
        if self.inner_vector or not outer:
            self.outer_loops(outer, Point(), ranges)
            return
        turned = turned_axis(self.nest)
        if turned is None:
            self.outer_loops(outer[:-1], Point(), ranges, vector=True)
        else:
            self.blocked = turned, self.range_of(turned, ranges)
            rest = [a for a in outer[:-1] if a != turned]
            self.outer_loops(rest, Point(), ranges, vector=True)

    def outer_loops(
        self, axes: list[int], scope: Point, ranges: dict[int, Range], vector: bool = False
    ) -> None:
        b = self.b
        if not axes:
            if vector:
                self.vector_rows(scope, ranges.get(self.axis))
            else:
                self.row(scope)
            return
        start, stop = self.range_of(axes[0], ranges)
        if len(axes) == 1 and not vector and self.in_blocks():
            self.row_blocks(axes[0], scope, (start, stop))
            return
        with b.loop(start, stop, 1) as loop:
            inside = Point({**scope.index, axes[0]: loop.index})
            self.outer_loops(axes[1:], inside, ranges, vector)

    def range_of(self, axis: int, ranges: dict[int, Range]) -> Range:
        """The indices to walk along an axis."""
        found = ranges.get(axis)
        return found or (self.b.i64(0), self.number(self.nest.extents[axis]))

    def turned_rows(self, scope: Point, within: Range | None, axis: int, rows: Range) -> None:
        """A few rows at a time, so that what lies across is read while its lines are in cache."""
        b, (start, stop) = self.b, rows
        with b.loop(start, stop, ACROSS) as outer:
            end = b.intrinsic("llvm.smin", stop, b.add(outer.index, b.i64(ACROSS)))

            def column(point: Point) -> None:
                with b.loop(outer.index, end, 1) as loop:
                    self.row(Point({**point.index, axis: loop.index}, mask=point.mask))

            self.each_vector(scope, within, column)

    def vector_rows(self, scope: Point, within: Range | None) -> None:
        """Rows side by side: a range of the vector axis."""
        if self.tiled:
            self.each_tile(scope, within, None, self.finish_rows)
        elif self.blocked is not None:
            self.turned_rows(scope, within, *self.blocked)
        else:
            self.each_vector(scope, within, self.row)

    def finish_rows(self, scope: Point, carried: list[Value]) -> None:
        """The row values and stores of a nest of one pass, given what its reductions found."""
        self.row_values(scope, 0)
        for k, value in self.walk(0).state.finish(carried):
            scope.rows[k] = value
        self.row_values(scope, 1)
        self.store_rows(scope)

    # ---- one row -----------------------------------------------------------------------------

    def row(self, scope: Point) -> None:
        """Everything about one row (one vector of rows)."""
        self.kept, self.kept_at = {}, {}
        for stage in range(self.passes + 1):
            self.row_values(scope, stage)
            if stage < self.passes:
                self.one_pass(scope, stage)
        self.store_rows(scope)


class PointRows(NestEmitter):
    """Rows of symbolic length that turn out to be points in space: a row to each lane."""

    def __init__(self, b: Builder, nest: Nest, target: Target) -> None:
        last = len(nest.extents) - 1
        super().__init__(b, with_length(nest, last, POINT), target)
        self.sides = unit_sides(nest)

    def units(self, short: bool) -> list[Value]:
        """Every unit as the nest of symbolic length has them: rows, or pairs of two axes."""
        _, begin, end = self.b.args
        if not self.sides:
            self.loops({})
        elif len(self.sides) == 1:
            self.loops({self.sides[0].axis: (begin, end)})
        else:
            slow, fast = self.sides
            self.runs(slow.axis, fast.axis, begin, end)
        return []

    def runs(self, slow: int, fast: int, begin: Value, end: Value) -> None:
        """Pairs of two axes in runs along the faster one."""
        b, one, zero = self.b, self.b.i64(1), self.b.i64(0)
        count = self.number(self.nest.extents[fast])
        per = b.intrinsic("llvm.smax", count, one)
        stop = b.add(b.binary("sdiv", b.sub(end, one), per), one)
        with b.loop(b.binary("sdiv", begin, per), stop, 1) as loop:
            before = b.mul(loop.index, count)
            first = b.intrinsic("llvm.smax", b.sub(begin, before), zero)
            last = b.intrinsic("llvm.smin", b.sub(end, before), count)
            self.loops({slow: (loop.index, b.add(loop.index, one)), fast: (first, last)})

    def vectors(
        self, extent: int | str, within: Range | None = None
    ) -> Iterator[tuple[Value, Value, Value | None]]:
        """The whole vectors of a range that may begin anywhere, and its tail."""
        b = self.b
        start, stop = within or (b.i64(0), self.number(extent))
        cut = b.add(start, b.and_(b.sub(stop, start), b.i64(-self.lanes)))
        yield start, cut, None
        if self.lanes > 1:
            yield cut, stop, b.icmp("slt", cut, stop)


def may_be_points(nest: Nest, target: Target) -> bool:
    """Whether a joined nest gets code of its own for rows of `POINT` elements."""
    last = len(nest.extents) - 1
    lanes = choose_lanes(nest, target, last) if last > 0 else 1
    plain = has_short_rows(nest, lanes) and "*" not in str(nest.extents[last])
    return plain and has_tiny_rows(with_length(nest, last, POINT), LIGHT)


def rows_saved(nest: Nest, target: Target) -> int:
    """For how many rows side by side the kernel of a nest saves values between its passes."""
    joined = join_axes(nest)
    axis = vector_axis(joined)
    return 1 if axis in joined.inner else choose_lanes(joined, target, axis)


def emit_nest(module: Module, name: str, nest: Nest, target: Target) -> None:
    """Write the kernel ``i64 @name(ptr args)`` for a loop nest."""
    b, joined = kernel_function(module, name), join_axes(nest)
    usual = NestEmitter(b, joined, target)
    if not may_be_points(joined, target):
        b.ret(usual.run()[0])
        return
    points = PointRows(b, joined, target)
    length = usual.number(joined.extents[-1])
    b.ret(b.choose(b.icmp("eq", length, b.i64(POINT)), points.run, usual.run)[0])
