"""Small products at once: one block, little between the entry and the sums."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..builder import Builder, Module, Value
from . import abi
from .across import is_across
from .batch import batch_of
from .blocking import Blocking
from .blocks import after_panels
from .finish import call_finish, emit_finish
from .packing import emit_pack
from .product import Table
from .tiles import Block, emit_tiles, new_block
from .workspace import FAR_BYTES, REUSED_WIDTHS

__all__ = ["SIDE", "blocks_along", "emit_small"]

SIDE = 48  # of a unit: a multiple of every register tile's rows and columns
LONGEST = 1 << 16  # columns of C
NEAR_BYTES = 1 << 15  # of sums that an epilogue finds in the nearest cache


@dataclass(frozen=True, slots=True)
class _Sizes:
    """What the argument table says of every batch entry alike."""

    m: Value
    n: Value
    k: Value
    a_row: Value
    a_col: Value
    b_row: Value
    b_col: Value
    c_row: Value
    c_col: Value


def _sizes(table: Table) -> _Sizes:
    return _Sizes(*(table.integer(place) for place in range(abi.M, abi.C_COL + 1)))


def _is_packed(b: Builder, blk: Blocking, n: Value, b_col: Value) -> Value:
    """Whether B must be packed, as it is not contiguous along the lanes."""
    apart = b.icmp("ne", b_col, b.i64(1))
    if blk.masked_edges:
        return apart
    return b.or_(apart, b.icmp("ne", b.and_(n, b.i64(blk.lanes - 1)), b.i64(0)))


def emit_small(module: Module, blk: Blocking) -> str:
    """Emit ``i1 (args, begin, end, finish, fused)``: all units of a product that is small.

    False, with nothing done, for another product, or where some units are not asked for.
    """
    name = f"matmul.{blk.scalar}.small"
    if name in module.functions:
        return name
    signature = [("ptr", "args"), ("i64", "begin"), ("i64", "end"), ("ptr", "finish")]
    signature += [("i1", "fused")]
    b = Builder(module, name, "i1", signature, linkage="internal", attributes="nounwind noinline")
    table = Table(b, b.args[0])
    sizes = _Sizes(*(table.integer(place) for place in range(abi.M, abi.C_COL + 1)))
    other = b.label("other")
    _require_small(b, table, blk, sizes, other)
    _runs(b, table, blk, sizes)
    b.ret(b.const("i1", True))
    b.start(other)
    b.ret(b.const("i1", False))
    return name


def _require_small(b: Builder, table: Table, blk: Blocking, s: _Sizes, other: str) -> None:
    """Go to ``other`` unless all units are asked for, and each batch entry is one block of register
    tiles with A read where it lies.

    A branch for each condition: without optimisation that is shorter than a value.
    """

    def require(condition: Value) -> None:
        following = b.label("small")
        b.branch(condition, following, other)
        b.start(following)

    one, (begin, end, _, fused) = b.i64(1), b.args[1:]
    require(b.icmp("sgt", s.m, one))
    require(b.icmp("sgt", s.n, one))
    require(b.icmp("sle", s.m, b.i64(blk.mc)))
    require(b.icmp("sle", s.k, b.i64(blk.kc)))
    require(b.icmp("sle", s.n, b.i64(LONGEST)))
    require(b.icmp("eq", s.c_col, one))
    require(b.icmp("eq", begin, b.i64(0)))
    each = b.mul(_few_blocks(b, s.m), _few_blocks(b, s.n))
    require(b.icmp("sge", end, b.mul(each, table.integer(abi.BATCH))))
    require(b.or_(b.icmp("sle", s.n, b.i64(blk.nc)), b.not_(_is_packed(b, blk, s.n, s.b_col))))
    if blk.is_float:
        right = (s.b_row, s.b_col)
        accumulate = b.icmp("ne", table.integer(abi.ACCUMULATE), b.i64(0))
        require(b.not_(is_across(b, blk, (s.m, s.n, s.k), right, accumulate)))
    near = b.icmp("sle", b.mul(s.a_col, s.k), b.i64(FAR_BYTES // blk.size))
    once = b.icmp("sle", s.n, b.i64(REUSED_WIDTHS * blk.width))
    by_rows = b.or_(b.icmp("ne", s.a_row, one), b.icmp("eq", s.a_col, one))
    require(b.or_(by_rows, b.or_(near, once)))
    held = b.icmp("sle", b.mul(s.m, s.n), b.i64(NEAR_BYTES // blk.size))
    require(b.or_(held, b.not_(fused)))


def _runs(b: Builder, table: Table, blk: Blocking, s: _Sizes) -> None:
    """The loop over the batch: what stands along its last axis is one block, if nothing is to be
    done between the entries.
    """
    axes, fused, zero, one = batch_of(table, blk), b.args[4], b.i64(0), b.i64(1)
    accumulate = b.icmp("ne", table.integer(abi.ACCUMULATE), zero)
    packed = _is_packed(b, blk, s.n, s.b_col)
    alone, apart = b.or_(packed, fused), b.and_(fused, b.not_(accumulate))
    last = axes.extents[-1]
    inner = b.select(alone, last, one)
    entries = replace(axes, extents=[*axes.extents[:-1], inner])
    count = b.mul(b.mul(*axes.extents[:-1]), inner)
    block = new_block(b)
    _describe(b, table, block, (packed, apart), (blk, s))
    block.put(accumulate=accumulate, count=b.select(alone, one, last))
    c_next, a_next, b_next = (strides[-1] for strides in axes.strides)
    block.put(c_next=c_next, a_next=a_next, b_next=b_next)
    with b.loop(zero, count, 1, [zero] * abi.BATCH_AXES + list(axes.places)) as loop:
        indices, places = loop.carry[: abi.BATCH_AXES], loop.carry[abi.BATCH_AXES :]
        _entry(b, table, block, (packed, apart), (blk, s), places)

        def moved(indices: list[Value] = indices) -> list[Value]:
            found = entries.following(b, indices)
            return [*found, *entries.entry(b, found)]

        def unmoved(carry: list[Value] = loop.carry) -> list[Value]:
            return carry

        more = b.icmp("slt", b.add(loop.index, one), count)
        loop.next = b.choose(more, moved, unmoved)


def _describe(
    b: Builder,
    table: Table,
    block: Block,
    flags: tuple[Value, Value],
    form: tuple[Blocking, _Sizes],
) -> None:
    """What every entry has in common. ``flags``: is B packed; do sums go to the workspace."""
    (packed, apart), (blk, s) = flags, form
    one, yes = b.i64(1), b.const("i1", True)
    if not blk.masked_edges:  # else no tile has an edge to be told of
        plainly = Value(f"@{emit_finish(b.module, b.name, blk, None, 0)}", "ptr")
        block.put(args=b.args[0], room=table.pointer(abi.WORKSPACE), finish=plainly)
        block.put(row0=b.i64(0), col0=b.i64(0), last=yes)
    block.put(depth=s.k, rows=s.m, cols=s.n, direct=yes)
    block.put(a_row=s.a_row, a_col=s.a_col, c_row=b.select(apart, s.n, s.c_row), c_col=one)
    block.put(b_step=b.select(packed, s.k, one))
    block.put(b_row=b.select(packed, b.i64(blk.width), s.b_row))


def _entry(
    b: Builder,
    table: Table,
    block: Block,
    flags: tuple[Value, Value],
    form: tuple[Blocking, _Sizes],
    places: list[Value],
) -> None:
    """One entry, or a run of them; ``places`` are C, A and B of the first."""
    (packed, apart), (blk, s), (c, a, right) = flags, form, places
    block.put(c=c, a=a, b=right)
    panels = b.gep("i8", table.pointer(abi.WORKSPACE), blk.panel_at)
    with b.when(packed):
        pack = emit_pack(b.module, blk, blk.width)
        b.call(pack, "void", [right, s.b_col, s.b_row, s.n, s.k, panels])
        block.put(b=panels)
    with b.when(apart):
        room = b.choose(packed, lambda: [after_panels(b, blk, panels, s.k, s.n)], lambda: [panels])
        block.put(c=room[0])
    b.call(emit_tiles(b.module, blk), "void", [block.place])
    with b.when(b.args[4]):
        zero, one, sums = b.i64(0), b.i64(1), [block["c"], block["c_row"]]
        done = [b.args[0], *sums, c, s.c_row, one, s.m, s.n, zero, zero]
        call_finish(b, b.args[3], [*done, b.const("i1", False), b.const("i1", True)])


def _few_blocks(b: Builder, size: Value) -> Value:
    """`blocks_along` of at most LONGEST, without a division: 43691 is 2**21 / 48, rounded up."""
    return b.lshr(b.mul(b.add(size, b.i64(SIDE - 1)), b.i64(43691)), b.i64(21))


def blocks_along(b: Builder, size: Value) -> Value:
    """The number of units along an axis."""
    return b.binary("udiv", b.add(size, b.i64(SIDE - 1)), b.i64(SIDE))
