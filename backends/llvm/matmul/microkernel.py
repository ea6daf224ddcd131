"""The register-blocked heart of the product: a tile of C from ``kc`` columns of A and rows of B."""

from __future__ import annotations

from ..builder import Builder, Module, Value
from .blocking import Blocking
from .lanes import (
    add,
    lane_mask,
    masked_load,
    masked_store,
    minimum,
    multiply_add,
    vector,
)

__all__ = ["emit_microkernels"]


def emit_microkernels(module: Module, blk: Blocking, *, adds: bool = True) -> list[str]:
    """Emit the tiles of 1 to ``blk.vectors`` vectors; their names, narrowest first.

    Each is ``void (kc, A, a_row, a_col, rows, B, b_row, cols, C, c_row, accumulate)``: strides
    count elements, B and C have unit column stride. Only the first ``rows`` rows of A and C are
    touched (at least 1; the rest of the tile repeats the last of them, with the same outcome), and
    where `Blocking.masked_edges` only the first ``cols`` columns of B and C. The sum runs over k in
    order, from zero. Unless ``adds``, ``accumulate`` must be false.
    """
    return [_emit(module, blk, vectors, adds) for vectors in range(1, blk.vectors + 1)]


def _emit(module: Module, blk: Blocking, vectors: int, adds: bool) -> str:
    name = f"matmul.{blk.scalar}.micro{vectors}"
    if name in module.functions:
        return name
    signature = [("i64", "kc"), ("ptr", "a"), ("i64", "a_row"), ("i64", "a_col"), ("i64", "rows")]
    signature += [("ptr", "b"), ("i64", "b_row"), ("i64", "cols"), ("ptr", "c"), ("i64", "c_row")]
    signature += [("i1", "accumulate")]
    b = Builder(module, name, "void", signature, linkage="internal", attributes="nounwind noinline")
    cols, c, c_row, accumulate = b.args[7:]
    mask = lane_mask(b, blk, b.sub(cols, b.i64((vectors - 1) * blk.lanes)))
    items = _rows(b, blk)
    starts = [b.gep(blk.storage, c, b.mul(item, c_row)) for item in items]
    places = [b.gep(blk.storage, at, j * blk.lanes) for at in starts for j in range(vectors)]
    sums = _products(b, blk, vectors, items, mask)

    def store(index: int, value: Value) -> None:
        if blk.masked_edges and index % vectors == vectors - 1:
            masked_store(b, value, places[index], mask, blk.size)
        else:
            b.store(value, places[index], blk.size)

    def load(index: int, type_: str) -> Value:
        if blk.masked_edges and index % vectors == vectors - 1:
            return masked_load(b, type_, places[index], mask, blk.size)
        return b.load(type_, places[index], blk.size)

    def added() -> list[Value]:
        # Every load comes before any store: repeated rows must not be added twice.
        return [add(b, blk, load(index, x.type), x) for index, x in enumerate(sums)]

    for index, value in enumerate(b.choose(accumulate, added, lambda: sums) if adds else sums):
        store(index, value)
    b.ret()
    return name


def _rows(b: Builder, blk: Blocking) -> list[Value]:
    """The row that each row of the tile stands for."""
    last = b.sub(b.args[4], b.i64(1))
    return [minimum(b, b.i64(i), last) for i in range(blk.rows)]


def _products(
    b: Builder, blk: Blocking, vectors: int, items: list[Value], mask: Value
) -> list[Value]:
    """The finished sums of the tile, row by row."""
    kc, a, a_row, a_col, _, start, b_row = b.args[:7]
    bases = [b.gep(blk.storage, a, b.mul(item, a_row)) for item in items]
    zeros = [Value("zeroinitializer", vector(blk))] * (blk.rows * vectors)
    with b.loop(b.i64(0), kc, 1, [b.i64(0), start, *zeros]) as loop:
        offset, row, *sums = loop.carry
        right = []
        for j in range(vectors):
            place = b.gep(blk.storage, row, j * blk.lanes)
            if j == vectors - 1 and blk.masked_edges:
                right.append(masked_load(b, vector(blk), place, mask, blk.size))
            else:
                right.append(b.load(vector(blk), place, blk.size))
        for i in range(blk.rows):
            left = b.load(blk.storage, b.gep(blk.storage, bases[i], offset))
            splat = b.splat(left, blk.lanes)
            for j in range(vectors):
                at = i * vectors + j
                sums[at] = multiply_add(b, blk, splat, right[j], sums[at])
        loop.next = [b.add(offset, a_col), b.gep(blk.storage, row, b_row), *sums]
    return loop.result[2:]
