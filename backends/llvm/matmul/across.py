"""Few rows of A, and a large B stored by columns: the transposed product, turned on its way to C.

To pack such a B would take as long as a good part of the product. So B is read where it lies, as
the left operand of the transposed product, and A, which is small, is packed in its place. Blocks of
the result are turned in registers. The bits are those of the other paths: the same sums in the same
order.
"""

from __future__ import annotations

from ..builder import Builder, Module, Value
from .blocking import Blocking
from .finish import call_finish
from .lanes import at, minimum, pitch_of
from .packing import TRANSPOSED, emit_items, emit_pack, emit_transposition
from .product import Product
from .tiles import Block, emit_tiles
from .workspace import ACROSS, FEW_ROWS, LARGE_BYTES, PART

__all__ = ["emit_across", "is_across"]

DEEP = 128  # shorter sums do not repay the way back to C
HEAVY_BYTES = 1 << 20  # a larger B outweighs also rows of A that fill several tiles


def is_across(
    b: Builder,
    blk: Blocking,
    shape: tuple[Value, Value, Value],
    right: tuple[Value, Value],
    accumulate: Value,
) -> Value:
    """Whether this path is the faster one, for C stored by rows.

    ``shape`` is M, N, K, ``right`` are the strides of B. B must outweigh A and C.
    """
    (m, n, k), (b_row, b_col), one = shape, right, b.i64(1)
    columns = b.and_(b.icmp("eq", b_row, one), b.icmp("ne", b_col, one))
    few = b.and_(b.icmp("sgt", m, b.i64(blk.rows)), b.icmp("sle", m, b.i64(FEW_ROWS)))
    apart, size = b.mul(b.mul(m, b.i64(2)), b.add(k, n)), b.mul(n, k)
    less = b.and_(b.icmp("sle", apart, size), b.icmp("sge", k, b.i64(DEEP)))
    narrow = b.icmp("sle", m, b.i64(blk.width))
    heavy = b.or_(narrow, b.icmp("sgt", size, b.i64(HEAVY_BYTES // blk.size)))
    near = b.icmp("sle", b.mul(k, _whole(b, blk, m)), b.i64(LARGE_BYTES // blk.size))
    worth = b.and_(b.and_(columns, few), b.and_(b.and_(less, heavy), near))
    return b.and_(worth, b.not_(accumulate))


def _whole(b: Builder, blk: Blocking, m: Value) -> Value:
    """At most `FEW_ROWS` rounded up to whole tiles."""
    tiles = b.binary("udiv", b.add(m, b.i64(blk.width - 1)), b.i64(blk.width))
    return b.mul(tiles, b.i64(blk.width))


def emit_across(b: Builder, p: Product, blk: Blocking, block: Block, k_step: Value) -> None:
    """The whole of a rectangle that `is_across`; K is cut every ``k_step``."""
    zero, wide, pitch = b.i64(0), _whole(b, blk, p.m), pitch_of(b, blk, p.m)
    panels = b.gep("i8", p.room, blk.panel_at)
    sums = b.gep("i8", at(b, panels, (p.k, wide), element=blk.storage), PART)
    turned = b.gep("i8", at(b, sums, (ACROSS, pitch), element=blk.storage), PART)
    pack, tiles = emit_pack(b.module, blk, blk.width), emit_tiles(b.module, blk)
    with b.loop(zero, p.k, k_step) as cut:
        depth = minimum(b, b.sub(p.k, cut.index), k_step)
        source = at(b, p.a, (cut.index, p.a_col), element=blk.storage)
        to = at(b, panels, (cut.index, wide), element=blk.storage)
        b.call(pack, "void", [source, p.a_row, p.a_col, p.m, depth, to])
    _describe(b, p, blk, block, sums)
    with b.loop(zero, p.n, ACROSS) as j:
        cols = minimum(b, b.sub(p.n, j.index), b.i64(ACROSS))
        with b.loop(zero, p.k, k_step) as cut:
            depth = minimum(b, b.sub(p.k, cut.index), k_step)
            left = at(b, p.b, (cut.index, p.b_row), (j.index, p.b_col), element=blk.storage)
            right = at(b, panels, (cut.index, wide), element=blk.storage)
            block.put(a=left, b=right, depth=depth, b_step=depth, rows=cols)
            block.put(accumulate=b.icmp("sgt", cut.index, zero))
            b.call(tiles, "void", [block.place])
        place = at(b, p.c, (j.index, p.c_col), element=blk.storage)
        to, step = b.select(p.fused, turned, place), b.select(p.fused, b.i64(ACROSS), p.c_row)
        b.call(_emit_turn(b.module, blk), "void", [sums, pitch, cols, p.m, to, step])
        with b.when(p.fused):
            done = [b.args[0], turned, b.i64(ACROSS), place, p.c_row, p.c_col, p.m, cols]
            done += [p.row, b.add(p.col, j.index), b.const("i1", False), b.const("i1", True)]
            call_finish(b, p.finish, done)


def _describe(b: Builder, p: Product, blk: Blocking, block: Block, sums: Value) -> None:
    """What all blocks have in common: their columns are rows of A, padded to whole vectors."""
    zero, one, yes, pitch = b.i64(0), b.i64(1), b.const("i1", True), pitch_of(b, blk, p.m)
    block.put(args=b.args[0], a_row=p.b_col, a_col=p.b_row, b_row=b.i64(blk.width))
    block.put(c=sums, c_row=pitch, c_col=one, cols=pitch, row0=zero, col0=zero)
    block.put(direct=yes, last=yes, room=p.room, finish=p.finish, count=one)


def _emit_turn(module: Module, blk: Blocking) -> str:
    """Emit ``void (sums, pitch, count, depth, to, step)``: item (w, k) at ``w * pitch + k`` goes to
    ``k * step + w`` and nothing else is written; the function's name.
    """
    name = f"matmul.{blk.scalar}.across"
    if name in module.functions:
        return name
    signature = [("ptr", "sums"), ("i64", "pitch"), ("i64", "count"), ("i64", "depth")]
    signature += [("ptr", "to"), ("i64", "step")]
    b = Builder(module, name, "void", signature, linkage="internal", attributes="nounwind noinline")
    sums, pitch, count, depth, to, step = b.args
    group, zero, one = min(TRANSPOSED, blk.lanes), b.i64(0), b.i64(1)
    wide, deep = b.and_(count, b.i64(-group)), b.and_(depth, b.i64(-blk.lanes))
    b.call(emit_transposition(module, blk), "void", [sums, pitch, wide, deep, to, step])
    items = emit_items(module, blk)
    b.call(items, "void", [sums, pitch, one, count, deep, depth, to, step])
    source, rest = at(b, sums, (wide, pitch), element=blk.storage), b.sub(count, wide)
    end = b.gep(blk.storage, to, wide)
    b.call(items, "void", [source, pitch, one, rest, zero, deep, end, step])
    b.ret()
    return name
