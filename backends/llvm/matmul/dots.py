"""Inner products along contiguous memory: rows of a matrix with a vector, and a single one."""

from __future__ import annotations

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
    partial, t, t_n, _, _, count = b.args
    pitch = pitch_of(b, blk, count)
    last = b.sub(count, b.i64(1))
    with b.loop(b.i64(0), count, blk.group) as n:
        items = [minimum(b, b.add(n.index, b.i64(i)), last) for i in range(blk.group)]
        rows = [at(b, t, (item, t_n), element=blk.storage) for item in items]
        parts = [
            b.shuffle(total, None, range(start, start + blk.group))
            for total in _dot_rows(b, blk, rows)
            for start in range(0, blk.lanes, blk.group)
        ]
        for q, part in enumerate(parts):
            to = at(b, partial, (q, pitch), (n.index, 1), element=blk.storage)
            b.store(part, to, blk.size)
    b.ret()
    return name


def _dot_rows(b: Builder, blk: Blocking, rows: list[Value]) -> list[Value]:
    """Two vectors of partial sums of a few rows, which change places after each vector of k.

    Whole vectors are loaded without masks: masked loads keep the hardware from fetching ahead.
    """
    depth, lanes = b.args[4], blk.lanes
    whole = b.and_(depth, b.i64(-lanes))
    with b.loop(b.i64(0), whole, lanes, [Value(ZERO, vector(blk))] * 2) as k:
        for row in rows:
            prefetch(b, b.gep("i8", b.gep(blk.storage, row, k.index), AHEAD_BYTES))
        k.next = [k.carry[1], _dot_step(b, blk, rows, k.carry[0], k.index, None)]
    totals = k.result
    if blk.masks:
        rest = b.sub(depth, whole)
        mask = lane_mask(b, blk, rest)

        def masked() -> list[Value]:
            return [totals[1], _dot_step(b, blk, rows, totals[0], whole, mask)]

        totals = b.choose(b.icmp("sgt", rest, b.i64(0)), masked, lambda: k.result)
    one, two = totals
    steps = b.add(depth, b.i64(lanes - 1))
    crossed = b.icmp("ne", b.and_(steps, b.i64(lanes)), b.i64(0))
    return [b.select(crossed, two, one), b.select(crossed, one, two)]


def _dot_step(
    b: Builder, blk: Blocking, rows: list[Value], total: Value, place: Value, mask: Value | None
) -> Value:
    """The partial sums after one more vector of k, at ``place``; ``mask``: its items that count."""
    xs, group = load_lanes(b, blk, b.args[3], place, mask), blk.group
    picks = [[i - i % group + c for i in range(blk.lanes)] for c in range(group)]
    loads = [load_lanes(b, blk, row, place, mask) for row in rows]
    for item, pick in zip(interleave(b, loads, group), picks, strict=True):
        total = multiply_add(b, blk, item, b.shuffle(xs, None, pick), total)
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
