"""What a pass over the inner axes carries along: one accumulator per reduction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from symgraph.backends.llvm import extremes
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

    @property
    def row_is_vector(self) -> bool: ...

    def is_block(self) -> bool | None: ...

    def fits_block(self) -> Value: ...

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
        self.compensates = e.is_block() is not True and any(
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
                if dtype.kind == "f":
                    out.append(extremes.unseen(b, type_))
            elif red.is_extreme(op, dtype):
                out += extremes.masks(b, op, type_, self.e.inner_vector)
        return out

    def _slots(self) -> Iterator[tuple[int, Op, DType, int]]:
        at = 0
        for k, op, dtype in zip(self.reductions, self.ops, self.dtypes, strict=True):
            yield k, op, dtype, at
            at += red.carries(op, dtype)

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
                both = [self.best_of(dtype, at, c) for c in (part, before)]
                wins = red.better(b, op, dtype, *both)
                for k in (at, at + 1):
                    out[k] = b.select(wins, part[k], before[k])
                if dtype.kind == "f":
                    out[at + 2] = b.or_(before[at + 2], part[at + 2])
            elif red.is_extreme(op, dtype):
                three = slice(at, at + 3)
                out[three] = extremes.join(b, op, before[three], part[three])
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
                value = b.select(mask, value, red.nothing(b, op, dtype, value.type))
            if red.is_position(op):
                stop = at + red.carries(op, dtype)
                out[at:stop] = self.track(op, dtype, value, scope, carried[at:stop])
            elif red.is_extreme(op, dtype):
                out[at : at + 3] = extremes.step(b, op, carried[at : at + 3], value)
            else:
                out[at] = red.combine(b, op, dtype, carried[at], value)
        return out

    def fresh(self, carried: list[Value]) -> list[Value]:
        """Carried values where those that are ordered start anew."""
        out, first = list(carried), self.initial()
        for _, op, dtype, at in self._slots():
            if red.is_ordered(op, dtype):
                out[at] = first[at]
        return out

    def folded(self, rows: list[list[Value]]) -> list[Value]:
        """What has been accumulated, given what each element left: where the order matters, their
        sums (products) in the order of a vector that is folded in halves."""
        b, out = self.e.b, list(rows[-1])
        for _, op, dtype, at in self._slots():
            if not red.is_ordered(op, dtype):
                continue
            tree = [row[at] for row in rows]
            while len(tree) > 1:
                half = 1 << (len(tree) - 1).bit_length() - 1
                pairs = zip(tree, tree[half:], strict=False)
                joined = [red.combine(b, op, dtype, x, y) for x, y in pairs]
                tree = joined + tree[len(joined) : half]
            out[at] = tree[0]
        return out

    def track(
        self, op: Op, dtype: DType, value: Value, scope: Point, carried: list[Value]
    ) -> list[Value]:
        e, b = self.e, self.e.b
        best, at, *odd = carried
        (axis,) = e.nest.inner
        here = b.splat(scope.index[axis], e.lanes)
        if e.inner_vector and e.lanes > 1:
            here = b.add(here, lane_indices(b, e.lanes))
        if odd:
            wins, best, odd[0] = extremes.track(b, op, value, best, odd[0])
        else:
            wins = red.better(b, op, dtype, value, best)
            best = b.select(wins, value, best)
        return [best, b.select(wins, here, at), *odd]

    def best_of(self, dtype: DType, at: int, carried: list[Value]) -> Value:
        """The best value that a position goes with."""
        if dtype.kind != "f":
            return carried[at]
        return extremes.with_nan(self.e.b, carried[at], carried[at + 2])

    def finish(self, carried: list[Value]) -> Iterator[tuple[int, Value]]:
        e, b = self.e, self.e.b
        for k, op, dtype, at in self._slots():
            value = carried[at]
            if red.is_position(op):
                place = carried[at + 1]
                if e.inner_vector:
                    seen = carried[at : at + red.carries(op, dtype)]
                    place = extremes.first_best(b, op, dtype, seen, e.row_is_vector)
                yield k, place
            elif red.is_extreme(op, dtype):
                yield k, extremes.result(b, op, carried[at : at + 3], e.inner_vector)
            elif red.is_compensated(op, dtype) and e.inner_vector:
                yield k, self.total(op, dtype, value, carried[at + 1])
            elif red.is_compensated(op, dtype):
                low = carried[at + 1]
                exact = low.ref == b.const(low.type, 0).ref  # nothing was ever lost
                yield k, value if exact else red.settle(b, value, low)
            else:
                yield k, red.horizontal(b, op, dtype, value) if e.inner_vector else value

    def total(self, op: Op, dtype: DType, high: Value, low: Value) -> Value:
        """A row's sum from that of each lane: folded plainly where the row is one block at most."""
        e, b = self.e, self.e.b

        def plain() -> list[Value]:
            return [red.horizontal(b, op, dtype, high)]

        def compensated() -> list[Value]:
            return [red.settle(b, *red.fold(b, high, low))]

        known = e.is_block()
        if known is None:
            return b.choose(e.fits_block(), plain, compensated)[0]
        return (plain() if known else compensated())[0]
