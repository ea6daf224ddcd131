"""Rows walked a block at a time, so that functions of their sums are computed a vector at a time.

The log of a row's sum takes as long on one number as on a vector of them. So what the rows of a
block have accumulated is kept on the stack, side by side; what follows from it is computed with a
lane for each row; and what remains to be done along the rows is done one by one again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from symgraph.backends.llvm.accumulate import Point
from symgraph.backends.llvm.builder import Builder, Value
from symgraph.backends.llvm.clusters import CHEAP
from symgraph.backends.llvm.columns import NestColumns
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.loops import Nest, is_saved, pass_items
from symgraph.backends.llvm.memory_access import lane_mask, read, write
from symgraph.backends.llvm.passes import Range
from symgraph.backends.llvm.scalars import memory_type
from symgraph.backends.llvm.units import unit_sides

__all__ = ["NestRowBlocks"]

#: What a function and a division count as, and from how much on a block pays.
FUNCTION, DIVISION, WORTH = 8, 3, 8
DIVISIONS = frozenset(("divide", "reciprocal", "sqrt"))


def _cost(name: str) -> int:
    return 0 if name in CHEAP else DIVISION if name in DIVISIONS else FUNCTION


def heavy_stage(nest: Nest, uniform: dict[int, Value]) -> int | None:
    """The number of passes after which rows have costly values, if all follow the same pass and
    are instructions."""
    found: dict[int, int] = {}
    for k, item in enumerate(nest.items):
        if item.kind == "op" and not item.full and k not in uniform and item.node is not None:
            found[item.stage] = found.get(item.stage, 0) + _cost(item.node.op.name)
    stages = [s for s, cost in found.items() if s and cost >= WORTH]
    kinds = {i.kind for i in nest.items if not i.full and i.stage in stages}
    return stages[0] if len(stages) == 1 and kinds <= {"op", "reduce"} else None


class NestRowBlocks(NestColumns):
    """Walks blocks of rows."""

    def __init__(self, b: Builder, nest: Nest, target: Target) -> None:
        super().__init__(b, nest, target)
        self.heavy = heavy_stage(nest, self.uniform) if self._may_block() else None
        self.columns: dict[int, Value] = {}
        if self.heavy is not None and self._reads_back(self.heavy):
            self.heavy = None
        if self.heavy is not None:
            size = max(nest.items[k].dtype.itemsize for k in self._kept(self.heavy))
            self.block = 2 * target.lanes(8 * size)
            for k in self._kept(self.heavy):
                bytes_ = self.block * nest.items[k].dtype.itemsize
                self.columns[k] = b.emit("ptr", f"alloca i8, i64 {bytes_}, align 64")

    def _may_block(self) -> bool:
        one_axis = self.inner_vector and len(self.nest.inner) == 1 and self.axis > 0
        return one_axis and len(unit_sides(self.nest)) == 1

    def _reads_back(self, heavy: int) -> bool:
        """Whether a pass after the costly values needs what an earlier one has saved."""
        nest = self.nest
        return any(
            is_saved(nest, a, stage) and nest.items[a].stage < heavy
            for stage in range(heavy, self.passes)
            for k in (*pass_items(nest, stage), *(v for v, _ in nest.stores))
            for a in (k, *nest.items[k].args)
        )

    def _kept(self, heavy: int) -> list[int]:
        """The row values that are first known before the costly ones or with them, and needed
        then or later."""
        nest, items = self.nest, self.nest.items
        needed = {v for v, _ in nest.stores if not items[v].full}
        needed |= {a for i in items if i.stage >= heavy for a in i.args}
        for stage in range(heavy, self.passes):
            needed |= {a for k in pass_items(nest, stage) for a in items[k].args}
        return [
            k
            for k in sorted(needed)
            if not items[k].full and items[k].stage <= heavy and k not in self.uniform
        ]

    def in_blocks(self) -> bool:
        """Whether the rows are walked so: they are short, or walked no more afterwards."""
        if self.heavy is None:
            return False
        return self.row_is_vector or (self.is_block() is True and self.heavy == self.passes)

    # ---- a block -----------------------------------------------------------------------------

    def row_blocks(self, axis: int, scope: Point, rows: Range) -> None:
        """The rows of a range, a block of them at a time."""
        b, (start, stop), heavy = self.b, rows, self.heavy
        assert heavy is not None
        with b.loop(start, stop, self.block) as loop:
            first, end = loop.index, b.add(loop.index, b.i64(self.block))
            end = b.intrinsic("llvm.smin", stop, end)
            self._each_row(axis, scope, (first, end), self._begin_row)
            self._costly(axis, scope, (first, end))
            if heavy < self.passes:
                self._each_row(axis, scope, (first, end), self._end_row)

    def _each_row(
        self, axis: int, scope: Point, rows: Range, do: Callable[[Point, Value], None]
    ) -> None:
        b = self.b
        with b.loop(*rows, 1) as loop:
            self.kept = {}
            do(Point({**scope.index, axis: loop.index}), b.sub(loop.index, rows[0]))

    def _begin_row(self, scope: Point, place: Value) -> None:
        """The passes before the costly values."""
        heavy = self.heavy
        assert heavy is not None
        for stage in range(heavy):
            self.row_values(scope, stage)
            self.one_pass(scope, stage)
        for k, column in self.columns.items():
            if k in scope.rows:
                dtype = self.nest.items[k].dtype
                write(self.b, dtype, scope.rows[k], self._in(column, k, place), 0, None)

    def _costly(self, axis: int, scope: Point, rows: Range) -> None:
        """The costly values of a block of rows, a lane for each."""
        b, (first, end), heavy = self.b, rows, self.heavy
        assert heavy is not None
        point = Point({**scope.index, axis: first}, dict(self.uniform))
        point.mask = lane_mask(b, b.sub(end, first), self.block)
        early = [k for k in self.columns if self._is_early(k)]
        with self.rows_as_lanes(axis):
            for k in early:
                dtype = self.nest.items[k].dtype
                point.rows[k] = read(b, dtype, self.columns[k], 1, self.block, None)
            self.row_values(point, heavy)
            if heavy == self.passes:
                self.store_rows(point)
                return
            for k in self.columns.keys() - set(early):
                value = self.as_lanes(point.rows[k], self.block)
                write(b, self.nest.items[k].dtype, value, self.columns[k], 1, None)

    def _is_early(self, k: int) -> bool:
        """Whether a row value is known before the costly ones."""
        item = self.nest.items[k]
        return item.kind == "reduce" or item.stage != self.heavy

    def _end_row(self, scope: Point, place: Value) -> None:
        """The passes after the costly values."""
        heavy = self.heavy
        assert heavy is not None
        scope.rows |= self.uniform
        for k, column in self.columns.items():
            dtype = self.nest.items[k].dtype
            scope.rows[k] = read(self.b, dtype, self._in(column, k, place), 0, 1, None)
        for stage in range(heavy, self.passes + 1):
            if stage > heavy:
                self.row_values(scope, stage)
            if stage < self.passes:
                self.one_pass(scope, stage)
        self.store_rows(scope)

    def _in(self, column: Value, k: int, place: Value) -> Value:
        return self.b.gep(memory_type(self.nest.items[k].dtype), column, place)

    @contextmanager
    def rows_as_lanes(self, axis: int) -> Iterator[None]:
        """Lanes run along an axis of rows meanwhile."""
        before = self.axis, self.lanes, self.inner_vector
        self.axis, self.lanes, self.inner_vector = axis, self.block, False
        yield
        self.axis, self.lanes, self.inner_vector = before

    # ---- rows --------------------------------------------------------------------------------

    def row_values(self, scope: Point, stage: int) -> None:
        """Values that do not change along the inner axes and are first known before pass
        ``stage``."""
        for k, item in enumerate(self.nest.items):
            if not item.full and item.stage == stage and item.kind != "reduce" and self.wants(k):
                scope.rows[k] = self.compute(k, scope, scope.rows)

    def wants(self, k: int) -> bool:
        """Whether the kernel computes item ``k``."""
        return True

    def store_rows(self, scope: Point) -> None:
        """Write the values that do not change along the inner axes."""
        for v, access in self.nest.stores:
            item = self.nest.items[v]
            if not item.full:
                lanes = self.row_lanes
                value = self.as_lanes(scope.rows[v], lanes)
                place = self.address(access, scope)
                write(self.b, item.dtype, value, place, self.lane_stride(access, lanes), scope.mask)
