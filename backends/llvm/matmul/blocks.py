"""The general product: cache blocks of B and A, and the register tiles of a block of C."""

from __future__ import annotations

from dataclasses import dataclass

from ..builder import Builder, Value
from .blocking import Blocking
from .finish import call_finish, emit_finish
from .lanes import at, minimum
from .packing import emit_pack
from .product import Product
from .tiles import Block, emit_tiles
from .workspace import FAR_BYTES, HOT_BYTES, LARGE_BYTES, OFTEN_ROWS, PART, REUSED_WIDTHS

__all__ = ["after_panels", "cut_of", "emit_blocks"]

NEAR_BYTES = 1 << 18  # before an epilogue, a B up to this size is walked for a few rows at a time


@dataclass(frozen=True, slots=True)
class _Plan:
    """Whether B and A are packed, and how K, the columns and the rows are cut."""

    pack: Value
    pack_left: Value
    k_step: Value
    n_step: Value
    m_step: Value


def cut_of(b: Builder, k: Value, blk: Blocking) -> Value:
    """How long the parts of K are. They depend on K alone, so that neither layout nor packing shows
    in the bits.
    """

    def ceil(x: Value, by: Value) -> Value:
        return b.binary("sdiv", b.add(x, b.sub(by, b.i64(1))), by)

    def even_cuts() -> list[Value]:
        even = b.add(ceil(k, ceil(k, b.i64(blk.kc))), b.i64(blk.lanes - 1))
        return [b.and_(even, b.i64(-blk.lanes))]

    whole = b.i64(blk.kc)
    return b.choose(b.icmp("sgt", k, whole), even_cuts, lambda: [whole])[0]


def _plan(b: Builder, p: Product, blk: Blocking, k_step: Value) -> _Plan:
    """Pack B where it is not contiguous along the lanes, or large and read again and again."""
    large = b.icmp("sgt", b.mul(p.k, p.n), b.i64(LARGE_BYTES // blk.size))
    often = b.icmp("sgt", p.m, b.i64(OFTEN_ROWS))
    pack = b.or_(b.and_(large, often), b.icmp("ne", p.b_col, b.i64(1)))
    if not blk.masked_edges:
        rest = b.and_(p.n, b.i64(blk.lanes - 1))
        pack = b.or_(pack, b.icmp("ne", rest, b.i64(0)))
    n_step = b.select(pack, b.i64(blk.nc), p.n)
    by_columns = b.and_(b.icmp("eq", p.a_row, b.i64(1)), b.icmp("ne", p.a_col, b.i64(1)))
    far = b.icmp("sgt", b.mul(p.a_col, p.k), b.i64(FAR_BYTES // blk.size))
    reused = b.icmp("sgt", p.n, b.i64(REUSED_WIDTHS * blk.width))
    pack_left = b.and_(b.and_(by_columns, far), reused)
    near = b.icmp("sle", b.mul(p.k, p.n), b.i64(NEAR_BYTES // blk.size))
    hot = b.select(b.and_(p.fused, near), b.i64(2 * blk.rows), b.i64(blk.mc))
    m_step = b.select(pack_left, b.i64(blk.strip_rows), hot)
    return _Plan(pack, pack_left, k_step, n_step, m_step)


def emit_blocks(b: Builder, p: Product, blk: Blocking, block: Block, k_step: Value) -> None:
    """The loops over blocks: columns of C, cuts of K (B packed), rows of C.

    An epilogue sees blocks of C, just computed, so that it walks along rows of memory; where C is
    not stored by rows, register tiles. A small block whose sums need no second cut of K goes from
    the workspace to the epilogue, and never to C.

    A by rows is never packed: its block stays in the second-level cache, and the micro-kernel
    broadcasts single items, so that it costs nothing to leave them where they lie. Columns of a
    large A lie a page or more apart, so a strip of rows is packed before it is used.
    """
    plan, zero, one = _plan(b, p, blk, k_step), b.i64(0), b.i64(1)
    tiles = emit_tiles(b.module, blk)
    pack = emit_pack(b.module, blk, blk.width)
    pack_strip = emit_pack(b.module, blk, blk.strip_rows)
    panels, strip, room = _places(b, p, blk, plan)
    by_block = b.and_(p.fused, b.icmp("eq", p.c_col, one))
    plainly = Value(f"@{emit_finish(b.module, b.name, blk, None, 0)}", "ptr")
    along, by_tile = b.icmp("eq", p.c_col, one), b.and_(p.fused, b.not_(by_block))
    block.put(args=b.args[0], c_col=p.c_col, room=p.room, count=one)
    block.put(finish=b.select(by_block, plainly, p.finish))
    no, yes = b.const("i1", False), b.const("i1", True)
    in_room = b.and_(by_block, b.and_(b.not_(p.accumulate), b.icmp("sle", p.k, plan.k_step)))
    once = b.intrinsic("llvm.smax", p.k, one)  # K == 0 still writes C
    with b.loop(zero, p.n, plan.n_step) as j, b.loop(zero, once, plan.k_step) as cut:
        cols, k = minimum(b, b.sub(p.n, j.index), plan.n_step), cut.index
        depth = minimum(b, b.sub(p.k, k), plan.k_step)
        plain = at(b, p.b, (k, p.b_row), (j.index, p.b_col), element=blk.storage)
        with b.when(plan.pack):
            b.call(pack, "void", [plain, p.b_col, p.b_row, cols, depth, panels])
        right = [
            b.select(plan.pack, panels, plain),
            b.select(plan.pack, depth, one),
            b.select(plan.pack, b.i64(blk.width), p.b_row),
        ]
        accumulate = b.or_(p.accumulate, b.icmp("sgt", k, zero))
        last = b.icmp("sge", b.add(k, plan.k_step), p.k)
        with b.loop(zero, p.m, plan.m_step) as i:
            rows = minimum(b, b.sub(p.m, i.index), plan.m_step)
            source = at(b, p.a, (i.index, p.a_row), (k, p.a_col), element=blk.storage)
            with b.when(plan.pack_left):
                b.call(pack_strip, "void", [source, p.a_row, p.a_col, rows, depth, strip])
            left = [
                b.select(plan.pack_left, strip, source),
                b.select(plan.pack_left, one, p.a_row),
                b.select(plan.pack_left, b.i64(blk.strip_rows), p.a_col),
            ]
            place = at(b, p.c, (i.index, p.c_row), (j.index, p.c_col), element=blk.storage)
            fits = b.icmp("sle", b.mul(rows, cols), b.i64(HOT_BYTES // blk.size))
            hot = b.and_(in_room, fits)
            sums, pitch = b.select(hot, room, place), b.select(hot, cols, p.c_row)
            part = [rows, cols, b.add(p.row, i.index), b.add(p.col, j.index)]
            block.put(a=left[0], a_row=left[1], a_col=left[2])
            block.put(b=right[0], b_step=right[1], b_row=right[2])
            block.put(c=sums, c_row=pitch, depth=depth, accumulate=accumulate, last=last)
            block.put(rows=rows, cols=cols, row0=part[2], col0=part[3])
            block.put(direct=b.and_(along, b.not_(b.and_(last, by_tile))))
            b.call(tiles, "void", [block.place])
            with b.when(b.and_(by_block, last)):
                done = [b.args[0], sums, pitch, place, p.c_row, p.c_col, *part, no, yes]
                call_finish(b, p.finish, done)


def after_panels(b: Builder, blk: Blocking, panels: Value, depth: Value, cols: Value) -> Value:
    """What follows ``depth`` x ``cols`` of B packed at ``panels``; see `workspace_bytes`."""
    width = b.i64(blk.width)
    wide = b.mul(b.binary("udiv", b.add(cols, b.i64(blk.width - 1)), width), width)
    return _behind(b, blk, panels, b.mul(depth, wide))


def _behind(b: Builder, blk: Blocking, place: Value, scalars: Value) -> Value:
    """The next part of the workspace: past so many scalars and one vector."""
    size = b.mul(b.add(scalars, b.i64(blk.lanes)), b.i64(blk.size))
    return b.gep("i8", place, b.and_(b.add(size, b.i64(PART - 1)), b.i64(-PART)))


def _places(b: Builder, p: Product, blk: Blocking, plan: _Plan) -> tuple[Value, Value, Value]:
    """Where packed panels, a packed strip and a block of sums lie in the workspace."""
    depth, cols = minimum(b, p.k, plan.k_step), minimum(b, p.n, plan.n_step)
    panels = b.gep("i8", p.room, blk.panel_at)
    strip = b.select(plan.pack, after_panels(b, blk, panels, depth, cols), panels)
    room = _behind(b, blk, strip, b.mul(depth, b.i64(blk.strip_rows)))
    return panels, strip, b.select(plan.pack_left, room, strip)
