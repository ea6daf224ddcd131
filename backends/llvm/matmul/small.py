"""Small products at once: one block, little between the entry and the sums."""

from __future__ import annotations

from ..builder import Builder, Module, Value
from . import abi
from .batch import batch_of
from .blocking import Blocking
from .blocks import after_panels, emit_tiles
from .finish import call_finish, emit_finish
from .packing import emit_pack
from .product import Table
from .workspace import FAR_BYTES, REUSED_WIDTHS

__all__ = ["SIDE", "blocks_along", "emit_small", "is_small"]

SIDE = 48  # of a unit: a multiple of every register tile's rows and columns
LONGEST = 1 << 16  # columns of C
NEAR_BYTES = 1 << 15  # of sums that an epilogue finds in the nearest cache


def is_small(b: Builder, table: Table, blk: Blocking, fused: Value) -> Value:
    """Whether each batch entry is one block of register tiles, with A read where it lies."""
    m, n, k = (table.integer(size) for size in (abi.M, abi.N, abi.K))
    a_row, a_col, _, b_col, _, c_col = (table.integer(abi.A_ROW + i) for i in range(6))
    one = b.i64(1)
    several = b.and_(b.icmp("sgt", m, one), b.icmp("sgt", n, one))
    several = b.and_(several, b.icmp("sle", n, b.i64(LONGEST)))
    block = b.and_(b.icmp("sle", m, b.i64(blk.mc)), b.icmp("sle", k, b.i64(blk.kc)))
    panels = b.icmp("sle", n, b.i64(blk.nc))
    along = b.or_(b.not_(_is_packed(b, blk, n, b_col)), panels)
    along = b.and_(along, b.icmp("eq", c_col, one))
    by_rows = b.or_(b.icmp("ne", a_row, one), b.icmp("eq", a_col, one))
    near = b.icmp("sle", b.mul(a_col, k), b.i64(FAR_BYTES // blk.size))
    once = b.icmp("sle", n, b.i64(REUSED_WIDTHS * blk.width))
    held = b.icmp("sle", b.mul(m, n), b.i64(NEAR_BYTES // blk.size))
    unpacked = b.and_(along, b.or_(by_rows, b.or_(near, once)))
    ends = b.or_(b.not_(fused), held)
    return b.and_(b.and_(several, block), b.and_(unpacked, ends))


def _is_packed(b: Builder, blk: Blocking, n: Value, b_col: Value) -> Value:
    """Whether B must be packed, as it is not contiguous along the lanes."""
    apart = b.icmp("ne", b_col, b.i64(1))
    if blk.masked_edges:
        return apart
    return b.or_(apart, b.icmp("ne", b.and_(n, b.i64(blk.lanes - 1)), b.i64(0)))


def emit_small(module: Module, blk: Blocking) -> str:
    """Emit ``i1 (args, begin, end, finish, fused)``: all units of a product that `is_small`.

    False, with nothing done, for another product, or where some units are not asked for.
    """
    name = f"matmul.{blk.scalar}.small"
    if name in module.functions:
        return name
    signature = [("ptr", "args"), ("i64", "begin"), ("i64", "end"), ("ptr", "finish")]
    signature += [("i1", "fused")]
    b = Builder(module, name, "i1", signature, linkage="internal", attributes="nounwind noinline")
    args, begin, end, finish, fused = b.args
    table, zero = Table(b, args), b.i64(0)
    batch = table.integer(abi.BATCH)
    each = b.mul(*(_few_blocks(b, table.integer(size)) for size in (abi.M, abi.N)))
    whole = b.and_(b.icmp("eq", begin, zero), b.icmp("sge", end, b.mul(batch, each)))

    def entries() -> list[Value]:
        _entries(b, table, blk, batch, (finish, fused))
        return [b.const("i1", True)]

    def none() -> list[Value]:
        return [b.const("i1", False)]

    b.ret(b.choose(b.and_(whole, is_small(b, table, blk, fused)), entries, none)[0])
    return name


def _entries(
    b: Builder, table: Table, blk: Blocking, batch: Value, end: tuple[Value, Value]
) -> None:
    """The loop over batch entries."""
    axes, zero = batch_of(table, blk), b.i64(0)
    with b.loop(zero, batch, 1, [zero] * abi.BATCH_AXES) as loop:
        _entry(b, table, blk, axes.entry(b, loop.carry), end)
        loop.next = axes.following(b, loop.carry)


def _entry(
    b: Builder,
    table: Table,
    blk: Blocking,
    places: tuple[Value, Value, Value],
    end: tuple[Value, Value],
) -> None:
    """One batch entry of a product that `is_small`; ``places`` are its C, A and B.

    ``end`` are the function ``finish`` and whether it is an epilogue, whose sums stay in the
    workspace.
    """
    (c, a, right), (finish, fused), args = places, end, b.args[0]
    m, n, k = (table.integer(size) for size in (abi.M, abi.N, abi.K))
    a_row, a_col, b_row, b_col, c_row, c_col = (table.integer(abi.A_ROW + i) for i in range(6))
    accumulate = b.icmp("ne", table.integer(abi.ACCUMULATE), b.i64(0))
    room, zero, one = table.pointer(abi.WORKSPACE), b.i64(0), b.i64(1)
    no, yes = b.const("i1", False), b.const("i1", True)
    apart = b.and_(fused, b.not_(accumulate))
    panels = b.gep("i8", room, blk.panel_at)
    pack = emit_pack(b.module, blk, blk.width)

    def packed() -> list[Value]:
        b.call(pack, "void", [right, b_col, b_row, n, k, panels])
        return [panels, k, b.i64(blk.width), after_panels(b, blk, panels, k, n)]

    def in_place() -> list[Value]:
        return [right, one, b_row, panels]

    *columns, free = b.choose(_is_packed(b, blk, n, b_col), packed, in_place)
    sums = b.select(apart, free, c)
    pitch = b.select(apart, n, c_row)
    plainly = Value(f"@{emit_finish(b.module, b.name, blk, None, 0)}", "ptr")
    values = [args, k, a, a_row, a_col, *columns, sums, pitch, one, m, n, zero, zero]
    values += [accumulate, yes, room, plainly, no]
    b.call(emit_tiles(b.module, blk), "void", values)
    with b.when(fused):
        block = [args, sums, pitch, c, c_row, c_col, m, n, zero, zero, no, yes]
        call_finish(b, finish, block)


def _few_blocks(b: Builder, size: Value) -> Value:
    """`blocks_along` of at most LONGEST, without a division: 43691 is 2**21 / 48, rounded up."""
    return b.lshr(b.mul(b.add(size, b.i64(SIDE - 1)), b.i64(43691)), b.i64(21))


def blocks_along(b: Builder, size: Value) -> Value:
    """The number of units along an axis."""
    return b.binary("udiv", b.add(size, b.i64(SIDE - 1)), b.i64(SIDE))
