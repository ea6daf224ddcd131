"""What a pass over the inner axes carries along: one accumulator per reduction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from symgraph.backends.llvm import reduction as red
from symgraph.backends.llvm.builder import Builder, Value, lanes_of, scalar_of, vector_type
from symgraph.backends.llvm.loops import Nest
from symgraph.backends.llvm.memory_access import lane_indices
from symgraph.backends.llvm.scalars import register_type
from symgraph.op import Op
from symgraph.types import DType

__all__ = ["Accumulators", "Host", "Point"]


@dataclass(slots=True)
class Point:
    """What is known at one point of the nest: loop indices, row and full values."""

    index: dict[int, Value] = field(default_factory=dict)
    rows: dict[int, Value] = field(default_factory=dict)
    mask: Value | None = None


class Host(Protocol):
    """What accumulators need of the emitter they belong to."""

    b: Builder
    nest: Nest
    lanes: int
    inner_vector: bool

    def number(self, size: int | str) -> Value: ...

    def as_lanes(self, v: Value, lanes: int) -> Value: ...

    def lookup(self, k: int, scope: Point, local: dict[int, Value]) -> Value: ...


def _bytes(type_: str) -> int:
    scalar = scalar_of(type_)
    bits = {"float": 32, "double": 64, "i1": 8}.get(scalar) or int(scalar[1:])
    return lanes_of(type_) * bits // 8


class Accumulators:
    """The carried values of one pass: a value per reduction, two for compensated sums and
    positions."""

    def __init__(self, e: Host, reductions: list[int]) -> None:
        self.e, self.reductions = e, reductions
        self.ops = [n.op for k in reductions if (n := e.nest.items[k].node) is not None]
        self.dtypes = [e.nest.items[e.nest.items[k].args[0]].dtype for k in reductions]
        self.compensates = any(
            red.is_compensated(op, d) for op, d in zip(self.ops, self.dtypes, strict=True)
        )
        self.ordered = any(
            red.is_ordered(op, d) for op, d in zip(self.ops, self.dtypes, strict=True)
        )

    def initial(self) -> list[Value]:
        b, lanes, out = self.e.b, self.e.lanes, []
        for op, dtype in zip(self.ops, self.dtypes, strict=True):
            type_ = vector_type(register_type(dtype), lanes)
            out.append(red.identity(b, op, dtype, type_))
            if red.is_compensated(op, dtype):
                out.append(b.const(type_, 0))
            elif red.is_position(op):
                out.append(b.const(vector_type("i64", lanes), 0))
        return out

    def _slots(self) -> Iterator[tuple[int, Op, DType, int]]:
        at = 0
        for k, op, dtype in zip(self.reductions, self.ops, self.dtypes, strict=True):
            yield k, op, dtype, at
            at += 2 if red.is_compensated(op, dtype) or red.is_position(op) else 1

    def open_block(self, carried: list[Value]) -> list[Value]:
        """Carried values inside a block: compensated sums restart from zero."""
        out = list(carried)
        for _, op, dtype, at in self._slots():
            if red.is_compensated(op, dtype):
                out[at] = self.e.b.const(carried[at].type, 0)
        return out

    def close_block(self, before: list[Value], inside: list[Value]) -> list[Value]:
        out = list(inside)
        for _, op, dtype, at in self._slots():
            if red.is_compensated(op, dtype):
                out[at], out[at + 1] = red.two_sum(self.e.b, before[at], before[at + 1], inside[at])
        return out

    def merge(self, before: list[Value], part: list[Value]) -> list[Value]:
        """What the chunks before and the next one have accumulated together."""
        b, out = self.e.b, list(part)
        for _, op, dtype, at in self._slots():
            if red.is_compensated(op, dtype):
                high, low = red.two_sum(b, before[at], before[at + 1], part[at])
                out[at], out[at + 1] = high, b.fadd(low, part[at + 1])
            elif red.is_position(op):
                wins = red.better(b, op, dtype, part[at], before[at])
                for k in (at, at + 1):
                    out[k] = b.select(wins, part[k], before[k])
            else:
                out[at] = red.combine(b, op, dtype, before[at], part[at])
        return out

    def save(self, carried: list[Value], place: Value) -> None:
        """Write what has been accumulated to memory, one value after another."""
        b, at = self.e.b, 0
        for value in carried:
            stored = b.cast("zext", value, "i8") if scalar_of(value.type) == "i1" else value
            b.store(stored, b.gep("i8", place, at), 1)
            at += _bytes(value.type)

    def reload(self, place: Value) -> list[Value]:
        """What `save` has written."""
        b, out, at = self.e.b, list[Value](), 0
        for like in self.initial():
            truth = scalar_of(like.type) == "i1"
            type_ = vector_type("i8", lanes_of(like.type)) if truth else like.type
            value = b.load(type_, b.gep("i8", place, at), 1)
            out.append(b.icmp("ne", value, b.const(type_, 0)) if truth else value)
            at += _bytes(like.type)
        return out

    def bytes(self) -> int:
        """How much memory `save` takes."""
        return sum(_bytes(v.type) for v in self.initial())

    def step(self, scope: Point, local: dict[int, Value], carried: list[Value]) -> list[Value]:
        e, b, out = self.e, self.e.b, list(carried)
        mask = scope.mask if e.inner_vector else None
        for k, op, dtype, at in self._slots():
            value = e.as_lanes(e.lookup(e.nest.items[k].args[0], scope, local), e.lanes)
            if mask is not None:
                value = b.select(mask, value, red.identity(b, op, dtype, value.type))
            if red.is_position(op):
                out[at], out[at + 1] = self.track(
                    op, dtype, value, scope, carried[at], carried[at + 1]
                )
            else:
                out[at] = red.combine(b, op, dtype, carried[at], value)
        return out

    def track(
        self, op: Op, dtype: DType, value: Value, scope: Point, best: Value, at: Value
    ) -> tuple[Value, Value]:
        e, b = self.e, self.e.b
        (axis,) = e.nest.inner
        here = b.splat(scope.index[axis], e.lanes)
        if e.inner_vector and e.lanes > 1:
            here = b.add(here, lane_indices(b, e.lanes))
        wins = red.better(b, op, dtype, value, best)
        return b.select(wins, value, best), b.select(wins, here, at)

    def finish(self, carried: list[Value]) -> Iterator[tuple[int, Value]]:
        e, b = self.e, self.e.b
        for k, op, dtype, at in self._slots():
            value = carried[at]
            if red.is_position(op):
                place = carried[at + 1]
                yield k, red.first_best(b, op, dtype, value, place) if e.inner_vector else place
            elif red.is_compensated(op, dtype):
                low = carried[at + 1]
                if low.ref == b.const(value.type, 0).ref:  # one block: nothing was lost
                    yield k, red.horizontal(b, op, dtype, value) if e.inner_vector else value
                else:
                    both = red.fold(b, value, low) if e.inner_vector else (value, low)
                    yield k, self.unless_one_vector(op, dtype, value, red.settle(b, *both))
            else:
                yield k, red.horizontal(b, op, dtype, value) if e.inner_vector else value

    def unless_one_vector(self, op: Op, dtype: DType, vector: Value, total: Value) -> Value:
        """``total``, but what a row has that is known to be one vector where this one is."""
        e, b = self.e, self.e.b
        extent = e.nest.extents[-1]
        if not e.inner_vector or isinstance(extent, int) or len(e.nest.inner) > 1:
            return total
        short = b.icmp("sle", e.number(extent), b.i64(e.lanes))
        return b.select(short, red.horizontal(b, op, dtype, vector), total)
