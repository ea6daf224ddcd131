"""Inner products along contiguous memory: rows of a matrix with a vector, and a single one."""

from __future__ import annotations

from dataclasses import dataclass

from ..builder import Builder, Module, Value
from .blocking import Blocking
from .lanes import (
    add,
    at,
    interleave,
    lane_mask,
    load_lanes,
    minimum,
    multiply_add,
    pitch_of,
    prefetch,
    tree_sum,
    vector,
)

__all__ = ["ZERO", "emit_dot", "emit_dots", "emit_gather"]

ZERO = "zeroinitializer"
AHEAD_BYTES = 2048  # how far the rows of a matrix are fetched ahead


def emit_gather(module: Module, blk: Blocking) -> str:
    """Emit ``ptr (x, stride, count, room)``: x itself if contiguous, else a copy in ``room``."""
    name = f"matmul.{blk.scalar}.gather"
    if name in module.functions:
        return name
    signature = [("ptr", "x"), ("i64", "stride"), ("i64", "count"), ("ptr", "room")]
    b = Builder(module, name, "ptr", signature, linkage="internal", attributes="nounwind noinline")
    x, stride, count, room = b.args

    def copied() -> list[Value]:
        with b.loop(b.i64(0), count, 1) as k:
            item = b.load(blk.storage, at(b, x, (k.index, stride), element=blk.storage))
            b.store(item, b.gep(blk.storage, room, k.index))
        return [room]

    b.ret(b.choose(b.icmp("eq", stride, b.i64(1)), lambda: [x], copied)[0])
    return name


def emit_dots(module: Module, blk: Blocking) -> str:
    """Emit ``void (partial, t, t_n, x, depth, count)``: partial[q, n] = sum of x[k] t[n * t_n + k].

    Neighbouring k are neighbours in memory; without masks ``depth`` is a multiple of two vectors.
    Row q of ``partial`` is `pitch_of` (count) scalars after the one before. ``group`` results share
    a register, transposed within blocks of as many lanes. Two vectors of k are summed apart, so
    that additions need not wait for each other.
    """
    name = f"matmul.{blk.scalar}.dots"
    if name in module.functions:
        return name
    signature = [("ptr", "partial"), ("ptr", "t"), ("i64", "t_n"), ("ptr", "x")]
    signature += [("i64", "depth"), ("i64", "count")]
    b = Builder(module, name, "void", signature, linkage="internal", attributes="nounwind noinline")
    partial, t, t_n, _, depth, count = b.args
    pitch = pitch_of(b, blk, count)
    last, whole = b.sub(count, b.i64(1)), b.and_(depth, b.i64(-2 * blk.lanes))
    tail = _tail(b, blk, whole) if blk.masks else None
    with b.loop(b.i64(0), count, blk.group) as n:
        items = [minimum(b, b.add(n.index, b.i64(i)), last) for i in range(blk.group)]
        rows = [at(b, t, (item, t_n), element=blk.storage) for item in items]
        parts = [
            b.shuffle(total, None, range(start, start + blk.group))
            for total in _dot_rows(b, blk, rows, whole, tail)
            for start in range(0, blk.lanes, blk.group)
        ]
        for q, part in enumerate(parts):
            to = at(b, partial, (q, pitch), (n.index, 1), element=blk.storage)
            b.store(part, to, blk.size)
    b.ret()
    return name


@dataclass(frozen=True, slots=True)
class _Half:
    """One vector of k: its place, its mask (None: all lanes), and x spread for transposed rows."""

    place: Value
    mask: Value | None
    factors: list[Value]


def _half(b: Builder, blk: Blocking, place: Value, mask: Value | None) -> _Half:
    xs, group = load_lanes(b, blk, b.args[3], place, mask), blk.group
    picks = [[i - i % group + c for i in range(blk.lanes)] for c in range(group)]
    return _Half(place, mask, [b.shuffle(xs, None, pick) for pick in picks])


def _tail(b: Builder, blk: Blocking, whole: Value) -> list[_Half]:
    """What follows the whole steps: items past the end of k count as zero."""
    left = b.sub(b.args[4], whole)
    lefts = [left, b.intrinsic("llvm.smax", b.sub(left, b.i64(blk.lanes)), b.i64(0))]
    masks = [lane_mask(b, blk, some) for some in lefts]
    places = [whole, b.add(whole, b.i64(blk.lanes))]
    return [_half(b, blk, place, mask) for place, mask in zip(places, masks, strict=True)]


def _dot_rows(
    b: Builder, blk: Blocking, rows: list[Value], whole: Value, tail: list[_Half] | None
) -> list[Value]:
    """Two vectors of partial sums of a few rows.

    Whole vectors are loaded without masks: masked loads keep the hardware from fetching ahead.
    """
    with b.loop(b.i64(0), whole, 2 * blk.lanes, [Value(ZERO, vector(blk))] * 2) as k:
        halves = [_half(b, blk, b.add(k.index, b.i64(o)), None) for o in (0, blk.lanes)]
        for row in rows:
            for half in halves:
                ahead = b.gep("i8", b.gep(blk.storage, row, half.place), AHEAD_BYTES)
                prefetch(b, ahead)
        pairs = zip(k.carry, halves, strict=True)
        k.next = [_dot_step(b, blk, rows, total, half) for total, half in pairs]
    if tail is None:
        return k.result
    return [
        _dot_rest(b, blk, rows, total, half) for total, half in zip(k.result, tail, strict=True)
    ]


def _dot_rest(b: Builder, blk: Blocking, rows: list[Value], total: Value, half: _Half) -> Value:
    """The step of the tail, where it has any items."""
    return b.choose(
        b.icmp("slt", half.place, b.args[4]),
        lambda: [_dot_step(b, blk, rows, total, half)],
        lambda: [total],
    )[0]


def _dot_step(b: Builder, blk: Blocking, rows: list[Value], total: Value, half: _Half) -> Value:
    """The partial sums after one more vector of k."""
    loads = [load_lanes(b, blk, row, half.place, half.mask) for row in rows]
    for item, factor in zip(interleave(b, loads, blk.group), half.factors, strict=True):
        total = multiply_add(b, blk, item, factor, total)
    return total


def emit_dot(module: Module, blk: Blocking) -> str:
    """Emit ``void (room, x, x_k, t, t_k, depth)``: one result, to ``room``.

    Runs of `Blocking.run`, in each four vectors of partial sums taken in turn, then a tree, then
    the rest of the run that fills no four vectors, item by item.
    """
    name = f"matmul.{blk.scalar}.dot"
    if name in module.functions:
        return name
    gather = emit_gather(module, blk)
    signature = [("ptr", "room"), ("ptr", "x"), ("i64", "x_k"), ("ptr", "t"), ("i64", "t_k")]
    signature += [("i64", "depth")]
    b = Builder(module, name, "void", signature, linkage="internal", attributes="nounwind noinline")
    room, x, x_k, t, t_k, depth = b.args
    copies, held = b.gep(blk.storage, room, blk.lanes), minimum(b, depth, b.i64(blk.run))
    with b.loop(b.i64(0), depth, blk.run, [b.const(blk.storage, 0)]) as start:
        length = minimum(b, b.sub(depth, start.index), b.i64(blk.run))
        near = []
        for i, (base, stride) in enumerate(((x, x_k), (t, t_k))):
            from_ = at(b, base, (start.index, stride), element=blk.storage)
            copy = at(b, copies, (i, held), element=blk.storage)
            near.append(b.call(gather, "ptr", [from_, stride, length, copy]))
        start.next.append(add(b, blk, start.carry[0], _dot_run(b, blk, near, length)))
    b.store(start.result[0], room, blk.size)
    b.ret()
    return name


def _dot_run(b: Builder, blk: Blocking, near: list[Value], length: Value) -> Value:
    stride = 4 * blk.lanes
    whole = b.and_(length, b.i64(-stride))
    with b.loop(b.i64(0), whole, stride, [Value(ZERO, vector(blk))] * 4) as k:
        for i, total in enumerate(k.carry):
            at_ = b.add(k.index, b.i64(i * blk.lanes))
            x, y = (b.load(vector(blk), b.gep(blk.storage, p, at_), blk.size) for p in near)
            k.next.append(multiply_add(b, blk, x, y, total))
    total = tree_sum(b, blk, k.result)
    lanes = tree_sum(b, blk, [b.extract(total, i) for i in range(blk.lanes)])
    with b.loop(whole, length, 1, [lanes]) as k:
        x, y = (b.load(blk.storage, b.gep(blk.storage, p, k.index)) for p in near)
        k.next.append(multiply_add(b, blk, x, y, k.carry[0]))
    return k.result[0]
