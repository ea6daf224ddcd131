"""Batches of tiny products of known sizes and strides: no block, no tile, no edge.

The bits are those of the other paths: the same sums in the same order. A row of C is one vector or
two, so that an entry of 4 x 4 x 4 is 16 multiply-adds, 16 broadcasts and 4 loads, and little around
them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from symgraph.sizes import Dim

from ..builder import Builder, Module, Value, kernel_function, lanes_of
from ..jit import Target
from . import abi
from .batch import batch_of
from .blocking import Blocking, blocking
from .finish import call_finish
from .lanes import at, minimum, multiply_add, vector
from .product import Table

__all__ = ["Form", "emit_unrolled", "unrolled_form"]

FACTORS = 64  # items of A of which each is an instruction of its own; of more, K is a loop
SIDE, LONG = 16, 64  # rows of C, and steps of K, at most
FEW = 8  # entries that are not worth code of their own
NEAR, ALL = 64, 1 << 40  # entries at a time: before an epilogue, so that they stay near; else
INTERNAL = "nounwind noinline"


@dataclass(frozen=True, slots=True)
class Form:
    """Sizes and strides, known: C is ``m`` x ``n`` and stored by rows."""

    m: int
    n: int
    k: int
    a_row: int
    a_col: int
    b_row: int
    b_col: int

    def path(self) -> str:
        """The name of the code, from which `parsed` makes the form again."""
        sizes = f"{self.m} {self.n} {self.k}"
        return f"unrolled {sizes} {self.a_row} {self.a_col} {self.b_row} {self.b_col}"

    @property
    def is_written_out(self) -> bool:
        """Whether there is no loop over k."""
        return self.m * self.k <= FACTORS

    def pieces(self, blk: Blocking) -> list[int]:
        """The lanes of each vector of a row of C."""
        whole, rest = divmod(self.n, blk.lanes)
        return [blk.lanes] * whole + [rest] * (rest > 0)

    def parts(self, blk: Blocking) -> list[tuple[int, Form]]:
        """As many rows at a time as registers hold: the first row, and the form of a part."""
        most = blk.rows * blk.vectors // len(self.pieces(blk))
        return [(i, replace(self, m=min(most, self.m - i))) for i in range(0, self.m, most)]

    @classmethod
    def parsed(cls, path: str) -> Form | None:
        """The form of a path; None for the name of another."""
        head, *numbers = path.split()
        return cls(*map(int, numbers)) if head == "unrolled" else None


def unrolled_form(
    scalar: str,
    target: Target,
    shape: tuple[Dim, Dim, Dim],
    left: tuple[Dim, ...],
    right: tuple[Dim, ...],
    batch: Dim,
) -> Form | None:
    """The form of a product that this path computes, else None.

    ``shape`` is M, N, K; ``left`` and ``right`` are the strides of A and B.
    """
    if isinstance(batch, int) and batch <= FEW:
        return None
    known = [d for d in (*shape, *left, *right) if isinstance(d, int)]
    if len(known) < 7:
        return None
    form, blk = Form(*known), blocking(scalar, target)
    if not (1 < form.m <= SIDE and 1 < form.n <= 2 * min(blk.lanes, SIDE) and 0 < form.k <= LONG):
        return None
    return form if form.is_written_out or form.b_col == 1 else None


def emit_unrolled(module: Module, scalar: str, target: Target, form: Form) -> None:
    """Emit the kernels ``matmul`` and ``matmul.fused`` for products of this form.

    The second calls the function at entry EXTRA of the argument table with each entry of C as one
    block. Neither adds to what C holds. A unit is one entry of the batch.
    """
    blk = blocking(scalar, target)
    entries = _emit_entries(module, blk, form)
    for name, fused in (("matmul", False), ("matmul.fused", True)):
        b = kernel_function(module, name)
        _runs(b, Table(b, b.args[0]), blk, (form, entries), fused)
        b.ret(b.i64(0))


def _runs(b: Builder, table: Table, blk: Blocking, code: tuple[Form, str], fused: bool) -> None:
    """What stands together along the last batch axis, a range of it at the ends, is one run."""
    axes, begin = batch_of(table, blk), b.args[1]
    stop = minimum(b, b.args[2], table.integer(abi.BATCH))
    last = b.intrinsic("llvm.smax", axes.extents[-1], b.i64(1))
    middle = b.intrinsic("llvm.smax", axes.extents[-2], b.i64(1))
    runs = b.binary("udiv", b.add(stop, b.sub(last, b.i64(1))), last)
    with b.loop(b.binary("udiv", begin, last), runs, 1) as run:
        base = b.mul(run.index, last)
        low = b.intrinsic("llvm.smax", b.sub(begin, base), b.i64(0))
        high = minimum(b, b.sub(stop, base), last)
        outer = [b.binary(op, run.index, middle) for op in ("udiv", "urem")]
        with b.loop(low, high, NEAR if fused else ALL) as chunk:
            count = minimum(b, b.sub(high, chunk.index), b.i64(NEAR if fused else ALL))
            c, a, right = axes.entry(b, [*outer, chunk.index])
            b.call(code[1], "void", [b.args[0], c, a, right, count])
            if fused:
                _finish(b, table, blk, (c, count), code[0])


def _finish(
    b: Builder, table: Table, blk: Blocking, place: tuple[Value, Value], form: Form
) -> None:
    """Hand so many entries of C, one after the other, to the function that stores them."""
    step, row, caller = (table.integer(p) for p in (abi.C_BATCH + 2, abi.C_ROW, abi.EXTRA))
    caller = b.emit("ptr", f"inttoptr {caller} to ptr")
    zero, no, yes = b.i64(0), b.const("i1", False), b.const("i1", True)
    sizes = [b.i64(form.m), b.i64(form.n)]
    with b.loop(zero, place[1], 1) as loop:
        c = at(b, place[0], (loop.index, step), element=blk.storage)
        block = [b.args[0], c, row, c, row, b.i64(1), *sizes, zero, zero, no, yes]
        call_finish(b, caller, block)


def _emit_entries(module: Module, blk: Blocking, form: Form) -> str:
    """Emit ``void (args, c, a, b, count)``: so many entries along the last batch axis; its name."""
    name = f"matmul.{blk.scalar}.entries"
    signature = [("ptr", "args"), ("ptr", "c"), ("ptr", "a"), ("ptr", "b"), ("i64", "count")]
    b = Builder(module, name, "void", signature, linkage="internal", attributes=INTERNAL)
    table, places = Table(b, b.args[0]), b.args[1:4]
    firsts = (abi.C_BATCH, abi.A_BATCH, abi.B_BATCH)
    steps = [table.integer(first + abi.BATCH_AXES - 1) for first in firsts]
    pitch = table.integer(abi.C_ROW)
    with b.loop(b.i64(0), b.args[4], 1, places) as loop:
        c, a, right = loop.carry
        for part in form.parts(blk):
            _part(b, blk, part, (c, a, right), pitch)
        moved = zip(loop.carry, steps, strict=True)
        loop.next = [b.gep(blk.storage, place, step) for place, step in moved]
    b.ret()
    return name


def _part(
    b: Builder,
    blk: Blocking,
    part: tuple[int, Form],
    places: tuple[Value, Value, Value],
    pitch: Value,
) -> None:
    """Some rows of one entry, whose C, A and B are at ``places``."""
    (first, form), (c, a, right) = part, places
    sums = _products(b, blk, form, b.gep(blk.storage, a, first * form.a_row), right)
    pieces = len(form.pieces(blk))
    for k, total in enumerate(sums):
        row, piece = divmod(k, pieces)
        place = at(b, c, (first + row, pitch), (piece * blk.lanes, 1), element=blk.storage)
        b.store(total, place, blk.size)


def _products(b: Builder, blk: Blocking, form: Form, a: Value, right: Value) -> list[Value]:
    """A few rows of C of one entry; ``a`` is where those of A begin. Pieces of a row are neighbours
    in the list.
    """
    zeros = [b.const(vector(blk, n), 0) for n in form.pieces(blk)] * form.m
    if form.is_written_out:
        for k in range(form.k):
            zeros = _step(b, blk, form, (a, right), (k * form.a_col, k * form.b_row), zeros)
        return zeros
    with b.loop(b.i64(0), b.i64(form.k), 1, zeros) as loop:
        item, row = (
            b.gep(blk.storage, start, b.mul(loop.index, b.i64(step)))
            for start, step in ((a, form.a_col), (right, form.b_row))
        )
        loop.next = _step(b, blk, form, (item, row), (0, 0), loop.carry)
    return loop.result


def _step(
    b: Builder,
    blk: Blocking,
    form: Form,
    places: tuple[Value, Value],
    offsets: tuple[int, int],
    sums: list[Value],
) -> list[Value]:
    """The sums after a step of k, whose items lie ``offsets`` after ``places`` in A and B."""
    row = _row(b, blk, form, b.gep(blk.storage, places[1], offsets[1]))
    out = list[Value]()
    for i in range(form.m):
        place = b.gep(blk.storage, places[0], i * form.a_row + offsets[0])
        item = b.load(blk.storage, place)
        for piece in row:
            splat = b.splat(item, lanes_of(piece.type))
            out.append(multiply_add(b, blk, splat, piece, sums[len(out)]))
    return out


def _row(b: Builder, blk: Blocking, form: Form, place: Value) -> list[Value]:
    """One row of B, in whole vectors and what is left."""
    row = list[Value]()
    for piece, n in enumerate(form.pieces(blk)):
        start = b.gep(blk.storage, place, piece * blk.lanes * form.b_col)
        if form.b_col == 1 or n == 1:
            row.append(b.load(vector(blk, n), start, blk.size))
            continue
        items = Value("poison", vector(blk, n))
        for j in range(n):
            item = b.load(blk.storage, b.gep(blk.storage, start, j * form.b_col))
            items = b.insert(items, item, j)
        row.append(items)
    return row
