"""The general product: cache blocks of B and A, and the register tiles of a block of C."""

from __future__ import annotations

from dataclasses import dataclass

from ..builder import Builder, Module, Value
from .blocking import Blocking
from .finish import call_finish, emit_finish
from .lanes import at, minimum, prefetch
from .microkernel import emit_microkernels
from .packing import emit_pack
from .product import Product
from .workspace import FAR_BYTES, HOT_BYTES, LARGE_BYTES, OFTEN_ROWS, PART, REUSED_WIDTHS

__all__ = ["after_panels", "emit_blocks", "emit_tiles"]

NEAR_BYTES = 1 << 18  # before an epilogue, a B up to this size is walked for a few rows at a time
SHORT = 64  # sums over fewer k are done before a prefetch helps
INTERNAL = "nounwind noinline"


@dataclass(frozen=True, slots=True)
class _Plan:
    """Whether B and A are packed, and how K, the columns and the rows are cut."""

    pack: Value
    pack_left: Value
    k_step: Value
    n_step: Value
    m_step: Value


def _plan(b: Builder, p: Product, blk: Blocking) -> _Plan:
    """Pack B where it is not contiguous along the lanes, or large and read again and again.

    The cuts of K depend on K alone, so that neither layout nor packing shows in the bits.
    """

    def ceil(x: Value, by: Value) -> Value:
        return b.binary("sdiv", b.add(x, b.sub(by, b.i64(1))), by)

    def even_cuts() -> list[Value]:
        even = b.add(ceil(p.k, ceil(p.k, b.i64(blk.kc))), b.i64(blk.lanes - 1))
        return [b.and_(even, b.i64(-blk.lanes))]

    whole = b.i64(blk.kc)
    (k_step,) = b.choose(b.icmp("sgt", p.k, whole), even_cuts, lambda: [whole])
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


def emit_blocks(b: Builder, p: Product, blk: Blocking) -> None:
    """The loops over blocks: columns of C, cuts of K (B packed), rows of C.

    An epilogue sees blocks of C, just computed, so that it walks along rows of memory; where C is
    not stored by rows, register tiles. A small block whose sums need no second cut of K goes from
    the workspace to the epilogue, and never to C.

    A by rows is never packed: its block stays in the second-level cache, and the micro-kernel
    broadcasts single items, so that it costs nothing to leave them where they lie. Columns of a
    large A lie a page or more apart, so a strip of rows is packed before it is used.
    """
    plan, zero, one = _plan(b, p, blk), b.i64(0), b.i64(1)
    tiles = emit_tiles(b.module, blk)
    pack = emit_pack(b.module, blk, blk.width)
    pack_strip = emit_pack(b.module, blk, blk.strip_rows)
    panels, strip, room = _places(b, p, blk, plan)
    by_block = b.and_(p.fused, b.icmp("eq", p.c_col, one))
    plainly = Value(f"@{emit_finish(b.module, b.name, blk, None, 0)}", "ptr")
    finish_tile = [b.select(by_block, plainly, p.finish), b.and_(p.fused, b.not_(by_block))]
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
            values = [b.args[0], depth, *left, *right, sums, pitch, p.c_col]
            part = [rows, cols, b.add(p.row, i.index), b.add(p.col, j.index)]
            values += [*part, accumulate, last, p.room, *finish_tile]
            b.call(tiles, "void", values)
            with b.when(b.and_(by_block, last)):
                block = [b.args[0], sums, pitch, place, p.c_row, p.c_col, *part, no, yes]
                call_finish(b, p.finish, block)


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


def emit_tiles(module: Module, blk: Blocking) -> str:
    """Emit the loops over register tiles of one block of C; the function's name."""
    full_name = f"matmul.{blk.scalar}.tiles"
    micro = emit_microkernels(module, blk)
    order = "args depth a a_row a_col b b_step b_row c c_row c_col rows cols row0 col0"
    kinds = {"args": "ptr", "a": "ptr", "b": "ptr", "c": "ptr"}
    signature = [(kinds.get(word, "i64"), word) for word in order.split()]
    signature += [("i1", "accumulate"), ("i1", "last"), ("ptr", "room"), ("ptr", "finish")]
    signature += [("i1", "fused")]
    b = Builder(module, full_name, "void", signature, linkage="internal", attributes=INTERNAL)
    args, depth, a, a_row, a_col, right, b_step, b_row, c, c_row, c_col = b.args[:11]
    rows, cols, row0, col0, accumulate, last, room, finish, fused = b.args[11:]
    tile, zero = b.gep("i8", room, blk.tile_at), b.i64(0)
    direct = b.and_(b.icmp("eq", c_col, b.i64(1)), b.not_(b.and_(last, fused)))
    with b.loop(zero, cols, blk.width) as block:
        start, width = _columns(b, blk, block.index, cols, b_step)
        kernel = _chosen(b, blk, micro, width)
        whole = direct
        if not blk.masked_edges:
            even = b.icmp("eq", b.and_(width, b.i64(blk.lanes - 1)), zero)
            whole = b.and_(direct, even)
        pitch = b.select(whole, c_row, b.i64(blk.width))
        adds = b.and_(whole, accumulate)
        panel = at(b, right, (start, b_step), element=blk.storage)
        with b.loop(zero, rows, blk.rows) as i:
            height = minimum(b, b.sub(rows, i.index), b.i64(blk.rows))
            left = at(b, a, (i.index, a_row), element=blk.storage)
            place = at(b, c, (i.index, c_row), (start, c_col), element=blk.storage)
            to = b.select(whole, place, tile)
            with b.when(b.icmp("sgt", depth, b.i64(SHORT))):
                _fetch(b, blk, place, c_row)
            values = [depth, left, a_row, a_col, height, panel, b_row, width, to, pitch, adds]
            b.do(f"call void {kernel.ref}({', '.join(map(str, values))})")
            with b.when(b.not_(whole)):
                edge = [args, tile, b.i64(blk.width), place, c_row, c_col, height, width]
                edge += [b.add(row0, i.index), b.add(col0, start), accumulate, last]
                call_finish(b, finish, edge)
    b.ret()
    return full_name


def _columns(
    b: Builder, blk: Blocking, index: Value, cols: Value, b_step: Value
) -> tuple[Value, Value]:
    """Where the tile of the block of columns at ``index`` begins, and how wide it is.

    The last four vectors are two and two, not three and one, where B is read as it lies: a tile one
    vector wide waits for its sums.
    """
    width = b.i64(blk.width)
    left = b.sub(cols, index)
    if blk.vectors != 3:
        return index, minimum(b, left, width)
    four, two = b.i64(4 * blk.lanes), b.i64(2 * blk.lanes)
    in_place = b.icmp("eq", b_step, b.i64(1))
    several = b.and_(in_place, b.icmp("sge", index, width))
    last = b.and_(several, b.icmp("sle", left, b.i64(blk.lanes)))
    begun = b.and_(b.icmp("sgt", left, width), b.icmp("sle", left, four))
    start = b.select(last, b.sub(index, b.i64(blk.lanes)), index)
    most = b.select(b.and_(in_place, begun), two, width)
    return start, minimum(b, b.sub(cols, start), most)


def _fetch(b: Builder, blk: Blocking, place: Value, pitch: Value) -> None:
    """Prefetch a register tile's place in C; past its edges that does no harm."""
    for i in range(blk.rows):
        for j in range(blk.vectors):
            prefetch(b, b.gep(blk.storage, place, j * blk.lanes), write=True)
        if i + 1 < blk.rows:
            place = b.gep(blk.storage, place, pitch)


def _chosen(b: Builder, blk: Blocking, micro: list[str], width: Value) -> Value:
    """The narrowest micro-kernel that covers ``width`` columns."""
    kernel = Value(f"@{micro[-1]}", "ptr")
    for vectors in range(len(micro) - 1, 0, -1):
        fits = b.icmp("sle", width, b.i64(vectors * blk.lanes))
        kernel = b.select(fits, Value(f"@{micro[vectors - 1]}", "ptr"), kernel)
    return kernel
