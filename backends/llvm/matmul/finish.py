"""Carrying finished sums from scratch memory to C: edges, strides, accumulation, the epilogue."""

from __future__ import annotations

from ..builder import Builder, Module, Value
from .abi import EXTRA, Epilogue
from .blocking import Blocking
from .lanes import add, at, lane_mask, masked_load, masked_store, minimum, vector

__all__ = ["SIGNATURE", "call_finish", "emit_finish", "outside"]

SIGNATURE = (
    ("ptr", "args"),
    ("ptr", "tile"),
    ("i64", "tile_row"),
    ("ptr", "c"),
    ("i64", "c_row"),
    ("i64", "c_col"),
    ("i64", "rows"),
    ("i64", "cols"),
    ("i64", "row0"),
    ("i64", "col0"),
    ("i1", "accumulate"),
    ("i1", "last"),
)


def call_finish(b: Builder, finish: Value, args: list[Value]) -> None:
    """Call a function of the form of ``finish`` by its address."""
    b.do(f"call void {finish.ref}({', '.join(map(str, args))})")


def outside(
    b: Builder, acc: Value, row: Value, col: Value, mask: Value | None, extra: list[Value]
) -> Value:
    """Stands for an epilogue outside this module: a function of the form of ``finish`` whose
    address is entry EXTRA of the argument table. It gets finished blocks, and stores them.
    """
    return acc


def emit_finish(
    module: Module, name: str, blk: Blocking, epilogue: Epilogue | None, extra_args: int
) -> str:
    """Emit the way of a ``rows`` x ``cols`` tile to C; its name.

    Element (0, 0) of the tile is element (``row0``, ``col0``) of the product and lies at ``c``.
    Tile rows are ``tile_row`` scalars apart; the tile may be C itself. The epilogue runs where
    ``last``.
    """
    if epilogue is outside:
        return _emit_outside(module, name, blk)
    if epilogue is None:
        name = f"matmul.{blk.scalar}"
    full_name = f"{name}.finish"
    if full_name in module.functions:
        return full_name
    b = Builder(
        module, full_name, "void", SIGNATURE, linkage="internal", attributes="nounwind noinline"
    )
    args, tile, tile_row, c, c_row, c_col, rows, cols, row0, col0, accumulate, last = b.args
    spill = b.emit("ptr", f"alloca {vector(blk)}, align 64")
    extra = [b.load("i64", b.gep("i64", args, EXTRA + i)) for i in range(extra_args)]
    contiguous = b.icmp("eq", c_col, b.i64(1))
    left = rows
    if epilogue is None:
        left = _copied(b, blk, b.and_(contiguous, b.not_(accumulate)))
    with b.loop(b.i64(0), left, 1) as i, b.loop(b.i64(0), cols, blk.lanes) as j:
        count = minimum(b, b.sub(cols, j.index), b.i64(blk.lanes))
        access = _Row(b, blk, spill, c_col, contiguous, count)
        source = at(b, tile, (i.index, tile_row), (j.index, 1), element=blk.storage)
        place = at(b, c, (i.index, c_row), (j.index, c_col), element=blk.storage)
        sums = _Row(b, blk, spill, b.i64(1), b.const("i1", True), count).load(source)
        (value,) = b.choose(
            accumulate, lambda: [add(b, blk, access.load(place), sums)], lambda: [sums]
        )
        if epilogue is not None:
            row, col = b.add(row0, i.index), b.add(col0, j.index)
            value = _applied(b, epilogue, value, (row, col), access.mask, extra, last)
        access.store(value, place)
    b.ret()
    return full_name


def _copied(b: Builder, blk: Blocking, direct: Value) -> Value:
    """Copy the tile, where ``direct``, along rows of C; the number of rows that are left."""
    _, tile, tile_row, c, c_row, _, rows, cols = b.args[:8]
    copy = _emit_copy(b.module, blk)

    def copied() -> list[Value]:
        with b.loop(b.i64(0), rows, 1, [tile, c]) as row:
            b.call(copy, "void", [*row.carry, cols])
            steps = zip(row.carry, (tile_row, c_row), strict=True)
            row.next = [b.gep(blk.storage, place, step) for place, step in steps]
        return [b.i64(0)]

    return b.choose(direct, copied, lambda: [rows])[0]


def _emit_copy(module: Module, blk: Blocking) -> str:
    """Emit ``void (source, to, count)``: so many neighbours; the function's name."""
    name = f"matmul.{blk.scalar}.copy"
    if name in module.functions:
        return name
    signature = [("ptr", "source"), ("ptr", "to"), ("i64", "count")]
    b = Builder(module, name, "void", signature, linkage="internal", attributes="nounwind noinline")
    source, to, count = b.args
    whole = b.and_(count, b.i64(-blk.lanes))
    with b.loop(b.i64(0), whole, blk.lanes) as n:
        value = b.load(vector(blk), b.gep(blk.storage, source, n.index), blk.size)
        b.store(value, b.gep(blk.storage, to, n.index), blk.size)
    if blk.masks:
        mask = lane_mask(b, blk, b.sub(count, whole))
        with b.when(b.icmp("slt", whole, count)):
            value = masked_load(b, vector(blk), b.gep(blk.storage, source, whole), mask, blk.size)
            masked_store(b, value, b.gep(blk.storage, to, whole), mask, blk.size)
    else:
        with b.loop(whole, count, 1) as n:
            item = b.load(blk.storage, b.gep(blk.storage, source, n.index))
            b.store(item, b.gep(blk.storage, to, n.index))
    b.ret()
    return name


def _emit_outside(module: Module, name: str, blk: Blocking) -> str:
    """Emit the way out: finished tiles to the caller's function, sums over a part of K to C."""
    plain = emit_finish(module, name, blk, None, 0)
    full_name = f"{name}.outside"
    b = Builder(
        module, full_name, "void", SIGNATURE, linkage="internal", attributes="nounwind noinline"
    )
    caller = b.load("ptr", b.gep("i64", b.args[0], EXTRA))

    def finished() -> list[Value]:
        call_finish(b, caller, b.args)
        return []

    def unfinished() -> list[Value]:
        b.call(plain, "void", b.args)
        return []

    b.choose(b.args[-1], finished, unfinished)
    b.ret()
    return full_name


def _applied(
    b: Builder,
    epilogue: Epilogue,
    value: Value,
    position: tuple[Value, Value],
    mask: Value,
    extra: list[Value],
    last: Value,
) -> Value:
    row, col = position
    return b.choose(last, lambda: [epilogue(b, value, row, col, mask, extra)], lambda: [value])[0]


class _Row:
    """Up to a vector of C in one row: masked when contiguous, else item by item."""

    def __init__(
        self,
        b: Builder,
        blk: Blocking,
        spill: Value,
        stride: Value,
        contiguous: Value,
        count: Value,
    ) -> None:
        self.b, self.blk, self.spill, self.stride, self.count = b, blk, spill, stride, count
        self.mask = lane_mask(b, blk, count)
        whole = b.icmp("eq", count, b.i64(blk.lanes))
        self.direct = contiguous if blk.masks else b.and_(contiguous, whole)

    def load(self, place: Value) -> Value:
        """The values of C, zero past the count where the target has masks."""
        b, blk = self.b, self.blk

        def direct() -> list[Value]:
            if blk.masks:
                return [masked_load(b, vector(blk), place, self.mask, blk.size)]
            return [b.load(vector(blk), place, blk.size)]

        def single() -> list[Value]:
            b.store(Value("zeroinitializer", vector(blk)), self.spill, 64)
            with b.loop(b.i64(0), self.count, 1) as i:
                item = at(b, place, (i.index, self.stride), element=blk.storage)
                b.store(b.load(blk.storage, item), b.gep(blk.storage, self.spill, i.index))
            return [b.load(vector(blk), self.spill, 64)]

        return b.choose(self.direct, direct, single)[0]

    def store(self, value: Value, place: Value) -> None:
        """Write the first ``count`` lanes."""
        b, blk = self.b, self.blk

        def direct() -> list[Value]:
            if blk.masks:
                masked_store(b, value, place, self.mask, blk.size)
            else:
                b.store(value, place, blk.size)
            return []

        def single() -> list[Value]:
            b.store(value, self.spill, 64)
            with b.loop(b.i64(0), self.count, 1) as i:
                item = b.load(blk.storage, b.gep(blk.storage, self.spill, i.index))
                b.store(item, at(b, place, (i.index, self.stride), element=blk.storage))
            return []

        b.choose(self.direct, direct, single)
