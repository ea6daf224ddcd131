"""The general product: cache blocks of B and A, and the register tiles of a block of C."""

from __future__ import annotations

from dataclasses import dataclass

from ..builder import Builder, Module, Value
from .blocking import Blocking
from .lanes import at, minimum
from .microkernel import emit_microkernels
from .packing import emit_pack
from .product import Product

__all__ = ["emit_blocks"]

LARGE_BYTES = 1 << 19  # a B up to this size is read where it lies
OFTEN_ROWS = 96  # and a larger one too, unless C has more rows than this
INTERNAL = "nounwind noinline"


@dataclass(frozen=True, slots=True)
class _Plan:
    """Whether B is packed, and how K and the columns are cut."""

    pack: Value
    k_step: Value
    n_step: Value


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
    return _Plan(pack, k_step, n_step)


def emit_blocks(b: Builder, p: Product, blk: Blocking, has_epilogue: bool, finish: str) -> None:
    """The loops over blocks: columns of C, cuts of K (B packed), rows of C.

    A is never packed: its block stays in the second-level cache, and the micro-kernel broadcasts
    single items, so that it costs nothing to leave them where they lie.
    """
    plan, zero, one = _plan(b, p, blk), b.i64(0), b.i64(1)
    tiles = _emit_tiles(b.module, b.name, blk, has_epilogue, finish)
    pack = emit_pack(b.module, blk)
    panels = b.gep("i8", p.room, blk.panel_at)
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
        with b.loop(zero, p.m, blk.mc) as i:
            rows = minimum(b, b.sub(p.m, i.index), b.i64(blk.mc))
            left = at(b, p.a, (i.index, p.a_row), (k, p.a_col), element=blk.storage)
            place = at(b, p.c, (i.index, p.c_row), (j.index, p.c_col), element=blk.storage)
            values = [b.args[0], depth, left, p.a_row, p.a_col, *right, place, p.c_row, p.c_col]
            values += [rows, cols, i.index, j.index, accumulate, last, p.room]
            b.call(tiles, "void", values)


def _emit_tiles(module: Module, name: str, blk: Blocking, has_epilogue: bool, finish: str) -> str:
    """Emit the loops over register tiles of one block of C; the function's name."""
    full_name = f"{name}.tiles"
    micro = emit_microkernels(module, blk)
    order = "args depth a a_row a_col b b_step b_row c c_row c_col rows cols row0 col0"
    kinds = {"args": "ptr", "a": "ptr", "b": "ptr", "c": "ptr"}
    signature = [(kinds.get(word, "i64"), word) for word in order.split()]
    signature += [("i1", "accumulate"), ("i1", "last"), ("ptr", "room")]
    b = Builder(module, full_name, "void", signature, linkage="internal", attributes=INTERNAL)
    args, depth, a, a_row, a_col, right, b_step, b_row, c, c_row, c_col = b.args[:11]
    rows, cols, row0, col0, accumulate, last, room = b.args[11:]
    tile, zero = b.gep("i8", room, blk.tile_at), b.i64(0)
    direct = b.icmp("eq", c_col, b.i64(1))
    if has_epilogue:
        direct = b.and_(direct, b.not_(last))
    with b.loop(zero, cols, blk.width) as j:
        width = minimum(b, b.sub(cols, j.index), b.i64(blk.width))
        kernel = _chosen(b, blk, micro, width)
        whole = direct
        if not blk.masked_edges:
            even = b.icmp("eq", b.and_(width, b.i64(blk.lanes - 1)), zero)
            whole = b.and_(direct, even)
        pitch = b.select(whole, c_row, b.i64(blk.width))
        adds = b.and_(whole, accumulate)
        panel = at(b, right, (j.index, b_step), element=blk.storage)
        with b.loop(zero, rows, blk.rows) as i:
            height = minimum(b, b.sub(rows, i.index), b.i64(blk.rows))
            left = at(b, a, (i.index, a_row), element=blk.storage)
            place = at(b, c, (i.index, c_row), (j.index, c_col), element=blk.storage)
            to = b.select(whole, place, tile)
            values = [depth, left, a_row, a_col, height, panel, b_row, width, to, pitch, adds]
            b.do(f"call void {kernel.ref}({', '.join(map(str, values))})")
            with b.when(b.not_(whole)):
                edge = [args, tile, b.i64(blk.width), place, c_row, c_col, height, width]
                edge += [b.add(row0, i.index), b.add(col0, j.index), accumulate, last]
                b.call(finish, "void", edge)
    b.ret()
    return full_name


def _chosen(b: Builder, blk: Blocking, micro: list[str], width: Value) -> Value:
    """The narrowest micro-kernel that covers ``width`` columns."""
    kernel = Value(f"@{micro[-1]}", "ptr")
    for vectors in range(len(micro) - 1, 0, -1):
        fits = b.icmp("sle", width, b.i64(vectors * blk.lanes))
        kernel = b.select(fits, Value(f"@{micro[vectors - 1]}", "ptr"), kernel)
    return kernel
