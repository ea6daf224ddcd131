"""The independent units of a product, and the rectangles of C that a range of them covers.

A unit is a `SIDE` x `SIDE` block of C in one batch entry. Units are numbered down the columns of
blocks, then along the rows, then through the batch. A range of units covers whole columns of blocks
but for its ends, so each batch entry falls into at most three rectangles, and a thread packs only
the columns that it needs.
"""

from __future__ import annotations

from symgraph.sizes import Dim, floordiv

from ..builder import Builder, Module, Value
from . import abi
from .batch import batch_of
from .blocking import Blocking
from .lanes import minimum
from .product import Table
from .small import SIDE, blocks_along

__all__ = ["SIDE", "emit_units", "units"]


def units(m: Dim, n: Dim, batch: Dim) -> Dim:
    """How many units the kernel of an ``m`` x ``n`` product with ``batch`` entries has."""
    return batch * floordiv(m + SIDE - 1, SIDE) * floordiv(n + SIDE - 1, SIDE)


def emit_units(module: Module, blk: Blocking, one: str) -> str:
    """Emit ``void (args, begin, end, finish, fused)``: a range of units; its name.

    It calls ``one(args, c, a, b, row, rows, col, cols, finish, fused)`` for each rectangle; ``c``,
    ``a`` and ``b`` point to its batch entry.
    """
    name = f"matmul.{blk.scalar}.units"
    if name in module.functions:
        return name
    signature = [("ptr", "args"), ("i64", "begin"), ("i64", "end"), ("ptr", "finish")]
    signature += [("i1", "fused")]
    b = Builder(module, name, "void", signature, linkage="internal", attributes="nounwind noinline")
    table = Table(b, b.args[0])
    down, along = (blocks_along(b, table.integer(size)) for size in (abi.M, abi.N))
    each = b.mul(down, along)
    stop = minimum(b, b.args[2], b.mul(each, table.integer(abi.BATCH)))
    with b.when(b.icmp("slt", b.args[1], stop)):
        _entries(b, table, blk, (down, each, stop), one)
    b.ret()
    return name


def _entries(
    b: Builder,
    table: Table,
    blk: Blocking,
    counts: tuple[Value, Value, Value],
    one: str,
) -> None:
    """The loop over batch entries; some units of the first and of the last may not be asked for.

    ``counts`` are the units in a column of blocks and in an entry, and the end of the range.
    """
    args, begin = b.args[:2]
    down, each, stop = counts
    axes = batch_of(table, blk)
    first, *indices = _begin(b, begin, each, axes.extents)
    with b.loop(first, stop, each, indices) as loop:
        low = b.intrinsic("llvm.smax", b.sub(begin, loop.index), b.i64(0))
        high = minimum(b, b.sub(stop, loop.index), each)
        whole = b.icmp("eq", b.sub(high, low), each)
        _entry(b, table, whole, (down, low, high), [args, *axes.entry(b, loop.carry)], one)
        loop.next = axes.following(b, loop.carry)


def _entry(
    b: Builder,
    table: Table,
    whole: Value,
    span: tuple[Value, Value, Value],
    entry: list[Value],
    one: str,
) -> None:
    """One batch entry at once where ``whole``, else its units from ``low`` up to ``high``."""
    down, low, high = span

    def everything() -> list[Value]:
        sizes = [b.i64(0), table.integer(abi.M), b.i64(0), table.integer(abi.N)]
        b.call(one, "void", [*entry, *sizes, *b.args[3:]])
        return []

    def some() -> list[Value]:
        _rectangles(b, table, down, (low, high), entry, one)
        return []

    b.choose(whole, everything, some)


def _begin(b: Builder, begin: Value, each: Value, extents: list[Value]) -> list[Value]:
    """The first unit of the first batch entry, and where that stands along the batch axes."""

    def within() -> list[Value]:
        rest, found = b.binary("udiv", begin, each), list[Value]()
        first = b.mul(rest, each)
        for extent in reversed(extents[1:]):
            found.insert(0, b.binary("urem", rest, extent))
            rest = b.binary("udiv", rest, extent)
        return [first, rest, *found]

    zeros = [b.i64(0)] * (1 + len(extents))
    return b.choose(b.icmp("eq", begin, b.i64(0)), lambda: zeros, within)


def _rectangles(
    b: Builder, table: Table, down: Value, span: tuple[Value, Value], entry: list[Value], one: str
) -> None:
    """The end of a column of blocks, whole columns, and the beginning of one; some are empty."""
    zero, unit = b.i64(0), b.i64(1)
    (col0, row0), (col1, row1) = ([b.binary(op, x, down) for op in ("udiv", "urem")] for x in span)
    alone = b.icmp("eq", col0, col1)
    begun = b.icmp("sgt", row0, zero)
    headless = b.select(begun, b.add(col0, unit), col0)
    skipped = b.and_(alone, begun)
    whole = [zero, down, headless, col1]
    head = [row0, b.select(alone, row1, down), col0, headless]
    tail = [zero, b.select(skipped, zero, row1), col1, b.add(col1, unit)]
    with b.loop(zero, b.i64(3), 1) as part:
        first, second = (b.icmp("eq", part.index, b.i64(i)) for i in (0, 1))
        top, bottom, left, right = (
            b.select(first, x, b.select(second, y, z))
            for x, y, z in zip(head, whole, tail, strict=True)
        )
        some = b.and_(b.icmp("slt", top, bottom), b.icmp("slt", left, right))
        with b.when(some):
            rows = _extent(b, top, bottom, table.integer(abi.M))
            cols = _extent(b, left, right, table.integer(abi.N))
            b.call(one, "void", [*entry, *rows, *cols, *b.args[3:]])


def _extent(b: Builder, start: Value, stop: Value, size: Value) -> list[Value]:
    """The first element and the number of elements of some blocks."""
    first = b.mul(start, b.i64(SIDE))
    return [first, b.sub(minimum(b, b.mul(stop, b.i64(SIDE)), size), first)]
