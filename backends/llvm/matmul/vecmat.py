"""One row of C from a vector and a matrix (and, transposed, one column), at memory speed.

With x of K items and results y[n] = sum over k of x[k] * t[n, k], K is cut into runs of
`Blocking.run`. Within a run, k goes to partial sum ``k // group % partials``, each in order of k;
the partial sums are added as a tree, and the runs in order. Both directions of memory follow this
order, so that layout never shows in the bits. A single result has an order of its own, in
`dots.emit_dot`.
"""

from __future__ import annotations

from collections.abc import Callable

from ..builder import Builder, Module, Value
from .blocking import Blocking
from .dots import ZERO, emit_dots, emit_gather
from .lanes import (
    add,
    at,
    lane_mask,
    load_lanes,
    minimum,
    multiply_add,
    pitch_of,
    prefetch,
    tree_sum,
    vector,
)

__all__ = ["emit_sums"]


def emit_axpy(module: Module, blk: Blocking) -> str:
    """Emit ``void (partial, t, t_k, x, depth, count)``: partial[q, n] += x[k] * t[n + k * t_k].

    Neighbouring results are neighbours in memory. ``depth`` starts at partial sum 0; row q of
    ``partial`` is `pitch_of` (count) scalars after the one before.
    """
    name = f"matmul.{blk.scalar}.axpy"
    if name in module.functions:
        return name
    signature = [("ptr", "partial"), ("ptr", "t"), ("i64", "t_k"), ("ptr", "x")]
    signature += [("i64", "depth"), ("i64", "count")]
    b = Builder(module, name, "void", signature, linkage="internal", attributes="nounwind noinline")
    depth, count = b.args[4:]
    pitch, columns = pitch_of(b, blk, count), b.and_(count, b.i64(-blk.lanes))
    rest = b.sub(count, columns)
    mask = lane_mask(b, blk, rest) if blk.masks else None
    whole = b.and_(depth, b.i64(-blk.group))
    with b.loop(b.i64(0), whole, blk.group) as k:
        update = _axpy_group(b, blk, k.index, blk.group, pitch)
        with b.loop(b.i64(0), columns, blk.lanes) as n:
            update(n.index, None)
        if mask is not None:
            with b.when(b.icmp("sgt", rest, b.i64(0))):
                update(columns, mask)
    with b.when(b.icmp("slt", whole, depth)):
        b.call(_emit_rest(module, blk), "void", [*b.args[:4], whole, *b.args[4:]])
    b.ret()
    return name


def _emit_rest(module: Module, blk: Blocking) -> str:
    """Emit ``void (partial, t, t_k, x, begin, depth, count)``: `emit_axpy` from ``begin`` on."""
    name = f"matmul.{blk.scalar}.rest"
    signature = [("ptr", "partial"), ("ptr", "t"), ("i64", "t_k"), ("ptr", "x"), ("i64", "begin")]
    signature += [("i64", "depth"), ("i64", "count")]
    b = Builder(module, name, "void", signature, linkage="internal", attributes="nounwind noinline")
    begin, depth, count = b.args[4:]
    pitch = pitch_of(b, blk, count)
    with b.loop(begin, depth, 1) as k:
        update = _axpy_group(b, blk, k.index, 1, pitch)
        with b.loop(b.i64(0), count, blk.lanes) as n:
            left = b.sub(count, n.index)
            update(n.index, lane_mask(b, blk, left) if blk.masks else None)
    b.ret()
    return name


def _axpy_group(
    b: Builder, blk: Blocking, first: Value, steps: int, pitch: Value
) -> Callable[[Value, Value | None], None]:
    """The addition of ``steps`` consecutive k, all of one partial sum, to a vector of results."""
    partial, t, t_k, x = b.args[:4]
    turn = b.and_(b.lshr(first, b.i64(blk.group.bit_length() - 1)), b.i64(blk.partials - 1))
    sums = at(b, partial, (turn, pitch), element=blk.storage)
    places = [b.add(first, b.i64(i)) for i in range(steps)]
    rows = [at(b, t, (place, t_k), element=blk.storage) for place in places]
    items = [b.load(blk.storage, b.gep(blk.storage, x, place)) for place in places]
    splats = [b.splat(item, blk.lanes) for item in items]
    following = b.mul(t_k, b.i64(steps))

    def update(n: Value, mask: Value | None) -> None:
        place = b.gep(blk.storage, sums, n)
        total = b.load(vector(blk), place, blk.size)
        for row, splat in zip(rows, splats, strict=True):
            if mask is None and steps > 1:
                prefetch(b, b.gep(blk.storage, b.gep(blk.storage, row, n), following))
            total = multiply_add(b, blk, splat, load_lanes(b, blk, row, n, mask), total)
        b.store(total, place, blk.size)

    return update


def emit_sums(module: Module, blk: Blocking) -> str:
    """Emit ``void (room, x, x_k, t, t_n, t_k, depth, count)``: up to `Blocking.chunk` results.

    ``room`` is the workspace, at the beginning of which the results stand: ``count`` scalars in
    whole vectors, and one vector. Then come the partial sums, x if it must be gathered, and
    gathered rows of t.
    """
    name = f"matmul.{blk.scalar}.sums"
    if name in module.functions:
        return name
    gather = emit_gather(module, blk)
    signature = [("ptr", "room"), ("ptr", "x"), ("i64", "x_k"), ("ptr", "t"), ("i64", "t_n")]
    signature += [("i64", "t_k"), ("i64", "depth"), ("i64", "count")]
    b = Builder(module, name, "void", signature, linkage="internal", attributes="nounwind noinline")
    room, x, x_k, t, _, t_k, depth, count = b.args
    pitch, held = pitch_of(b, blk, count), minimum(b, depth, b.i64(blk.run))
    partial = at(b, room, (pitch, 1), (blk.lanes, 1), element=blk.storage)
    copy = at(b, partial, (blk.partials, pitch), element=blk.storage)
    far = b.select(b.icmp("eq", x_k, b.i64(1)), b.i64(0), held)
    strip = b.gep(blk.storage, copy, far)
    zeros = b.mul(pitch, b.i64(1 + blk.partials))
    b.call(_emit_clear(module, blk), "void", [room, b.add(zeros, b.i64(blk.lanes))])
    with b.loop(b.i64(0), depth, blk.run) as start:
        length = minimum(b, b.sub(depth, start.index), b.i64(blk.run))
        from_ = at(b, x, (start.index, x_k), element=blk.storage)
        near = b.call(gather, "ptr", [from_, x_k, length, copy])
        source = at(b, t, (start.index, t_k), element=blk.storage)
        _run(b, blk, (partial, strip, pitch), near, source, length)
        b.call(_emit_reduction(module, blk), "void", [room, partial, pitch])
    b.ret()
    return name


def _run(
    b: Builder,
    blk: Blocking,
    room: tuple[Value, Value, Value],
    x: Value,
    t: Value,
    length: Value,
) -> None:
    """All partial sums of one run of k, by the path that the strides of the matrix allow.

    ``room`` are the partial sums, gathered rows, and the items in a row of either.
    """
    module, (partial, strip, pitch) = b.module, room
    axpy = emit_axpy(module, blk)
    t_n, t_k, _, count = b.args[4:]
    along = b.icmp("eq", t_n, b.i64(1))
    if not blk.masks:
        rest = b.and_(count, b.i64(blk.lanes - 1))
        along = b.and_(along, b.icmp("eq", rest, b.i64(0)))

    def direct() -> list[Value]:
        b.call(axpy, "void", [partial, t, t_k, x, length, count])
        return []

    def gathered() -> list[Value]:
        done = b.i64(0)
        if blk.is_float:
            covered = length if blk.masks else b.and_(length, b.i64(-2 * blk.lanes))
            done = b.select(b.icmp("eq", t_k, b.i64(1)), covered, b.i64(0))
            dots = emit_dots(module, blk)
            with b.when(b.icmp("sgt", done, b.i64(0))):
                b.call(dots, "void", [partial, t, t_n, x, done, count])
        with b.loop(done, length, blk.strip) as k:
            steps = minimum(b, b.sub(length, k.index), b.i64(blk.strip))
            with b.loop(b.i64(0), count, 1) as n, b.loop(b.i64(0), steps, 1) as i:
                step = b.add(k.index, i.index)
                item = at(b, t, (n.index, t_n), (step, t_k), element=blk.storage)
                to = at(b, strip, (i.index, pitch), (n.index, 1), element=blk.storage)
                b.store(b.load(blk.storage, item), to)
            near = b.gep(blk.storage, x, k.index)
            b.call(axpy, "void", [partial, strip, pitch, near, steps, pitch])
        return []

    b.choose(along, direct, gathered)


def _emit_clear(module: Module, blk: Blocking) -> str:
    """Emit ``void (place, count)``: so many zeros, in whole vectors."""
    name = f"matmul.{blk.scalar}.clear"
    signature = [("ptr", "place"), ("i64", "count")]
    b = Builder(module, name, "void", signature, linkage="internal", attributes="nounwind noinline")
    place, count = b.args
    with b.loop(b.i64(0), count, blk.lanes) as n:
        b.store(Value(ZERO, vector(blk)), b.gep(blk.storage, place, n.index), blk.size)
    b.ret()
    return name


def _emit_reduction(module: Module, blk: Blocking) -> str:
    """Emit ``void (sums, partial, pitch)``: the partial sums are added to the sums, and cleared."""
    name = f"matmul.{blk.scalar}.reduce"
    signature = [("ptr", "sums"), ("ptr", "partial"), ("i64", "pitch")]
    b = Builder(module, name, "void", signature, linkage="internal", attributes="nounwind noinline")
    sums, partial, pitch = b.args
    with b.loop(b.i64(0), pitch, blk.lanes) as n:
        first = b.gep(blk.storage, partial, n.index)
        places = [at(b, first, (q, pitch), element=blk.storage) for q in range(blk.partials)]
        loads = [b.load(vector(blk), p, blk.size) for p in places]
        for p in places:
            b.store(Value(ZERO, vector(blk)), p, blk.size)
        place = b.gep(blk.storage, sums, n.index)
        old = b.load(vector(blk), place, blk.size)
        b.store(add(b, blk, old, tree_sum(b, blk, loads)), place, blk.size)
    b.ret()
    return name
