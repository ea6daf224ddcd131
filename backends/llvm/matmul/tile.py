"""Products one vector wide: a column of register tiles, and nothing that larger ones need.

The whole code is a micro-kernel and a loop, so that it costs a fifth of the general product to
compile. The bits are those of the other paths: the same sums in the same order.
"""

from __future__ import annotations

from dataclasses import replace

from symgraph.sizes import Dim

from ..builder import Builder, Module, Value, kernel_function
from ..jit import Target
from . import abi
from .blocking import Blocking, blocking
from .blocks import after_panels
from .finish import call_finish
from .lanes import at, minimum
from .microkernel import emit_microkernels
from .product import Table
from .small import SIDE

__all__ = ["emit_tile", "is_tile"]

GATHERED = 64  # items of a B not stored by rows; of more, whole vectors are turned (see `packing`)


def is_tile(
    scalar: str, target: Target, shape: tuple[Dim, Dim, Dim], b_col: Dim, batch: Dim
) -> bool:
    """Whether this path computes a product: one unit, one cut of K, one vector of columns.

    ``shape`` is M, N, K; ``b_col`` is the stride of B from column to column; C is stored by rows.
    """
    blk = blocking(scalar, target)
    m, n, k = shape
    if not (isinstance(m, int) and isinstance(n, int) and isinstance(k, int)):
        return False
    if not (isinstance(batch, int) and batch == 1 and k <= blk.kc):
        return False
    unit = 1 < m <= SIDE and 1 < n <= SIDE
    near = (isinstance(b_col, int) and b_col == 1) or k * n <= GATHERED
    return unit and near and (n <= blk.lanes if blk.masked_edges else n == blk.lanes)


def emit_tile(module: Module, scalar: str, target: Target) -> None:
    """Emit the kernels ``matmul`` and ``matmul.fused`` for products that are `is_tile`.

    The second calls the function at entry EXTRA of the argument table with the finished block.
    Neither adds to what C holds.
    """
    blk = replace(blocking(scalar, target), vectors=1)
    body = _emit_body(module, blk)
    for name, fused in (("matmul", False), ("matmul.fused", True)):
        b = kernel_function(module, name)
        with b.when(b.icmp("slt", b.args[1], b.args[2])):
            b.call(body, "void", [b.args[0], b.const("i1", fused)])
        b.ret(b.i64(0))


def _emit_body(module: Module, blk: Blocking) -> str:
    """Emit ``void (args, fused)``: the whole product; its name."""
    name = f"matmul.{blk.scalar}.tile"
    signature = [("ptr", "args"), ("i1", "fused")]
    b = Builder(module, name, "void", signature, linkage="internal", attributes="nounwind noinline")
    _product(b, blk)
    b.ret()
    return name


def _product(b: Builder, blk: Blocking) -> None:
    """The sums go to C, or to the workspace if an epilogue follows."""
    table, fused = Table(b, b.args[0]), b.args[1]
    m, n, k, a_row, a_col = (table.integer(place) for place in range(abi.M, abi.M + 5))
    b_row, b_col, c_row, c_col = (table.integer(abi.B_ROW + i) for i in range(4))
    c, a, right = (table.pointer(place) for place in (abi.C, abi.A, abi.B))
    panel = b.gep("i8", table.pointer(abi.WORKSPACE), blk.panel_at)

    def gathered() -> list[Value]:
        _gather(b, blk, (right, b_row, b_col), (n, k), panel)
        return [panel, b.i64(blk.width), after_panels(b, blk, panel, k, n)]

    apart = b.icmp("ne", b_col, b.i64(1))
    right, b_row, free = b.choose(apart, gathered, lambda: [right, b_row, panel])
    sums, pitch = b.select(fused, free, c), b.select(fused, n, c_row)
    (micro,) = emit_microkernels(b.module, blk, adds=False)
    no, yes, zero = b.const("i1", False), b.const("i1", True), b.i64(0)
    with b.loop(zero, m, blk.rows) as i:
        left = at(b, a, (i.index, a_row), element=blk.storage)
        place = at(b, sums, (i.index, pitch), element=blk.storage)
        rows = minimum(b, b.sub(m, i.index), b.i64(blk.rows))
        b.call(micro, "void", [k, left, a_row, a_col, rows, right, b_row, n, place, pitch, no])
    with b.when(fused):
        block = [b.args[0], sums, pitch, c, c_row, c_col, m, n, zero, zero, no, yes]
        call_finish(b, table.pointer(abi.EXTRA), block)


def _gather(
    b: Builder,
    blk: Blocking,
    source: tuple[Value, Value, Value],
    sizes: tuple[Value, Value],
    panel: Value,
) -> None:
    """Copy B (its place and strides) by item into one panel, stored by rows."""
    place, b_row, b_col = source
    with b.loop(b.i64(0), sizes[1], 1) as k, b.loop(b.i64(0), sizes[0], 1) as w:
        item = at(b, place, (k.index, b_row), (w.index, b_col), element=blk.storage)
        to = at(b, panel, (k.index, b.i64(blk.width)), (w.index, 1), element=blk.storage)
        b.store(b.load(blk.storage, item), to)
