"""Products one vector wide: a column of register tiles, and nothing that larger ones need.

The whole code is a micro-kernel and a loop, so that it costs a fifth of the general product to
compile. The bits are those of the other paths: the same sums in the same order. There are no
epilogues: code that runs one is compiled for one path of the product, so that the same epilogue
would be compiled again for a wider product.
"""

from __future__ import annotations

from dataclasses import replace

from symgraph.sizes import Dim

from ..builder import Builder, Module, Value, kernel_function
from ..jit import Target
from . import abi
from .blocking import Blocking, blocking
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
    """Emit the kernel ``matmul`` for products that are `is_tile`. It does not add to C."""
    blk = replace(blocking(scalar, target), vectors=1)
    b = kernel_function(module, "matmul")
    with b.when(b.icmp("slt", b.args[1], b.args[2])):
        _product(b, blk)
    b.ret(b.i64(0))


def _product(b: Builder, blk: Blocking) -> None:
    table = Table(b, b.args[0])
    m, n, k, a_row, a_col = (table.integer(place) for place in range(abi.M, abi.M + 5))
    b_row, b_col, c_row = (table.integer(abi.B_ROW + i) for i in range(3))
    c, a, right = (table.pointer(place) for place in (abi.C, abi.A, abi.B))
    panel = b.gep("i8", table.pointer(abi.WORKSPACE), blk.panel_at)

    def gathered() -> list[Value]:
        _gather(b, blk, (right, b_row, b_col), (n, k), panel)
        return [panel, b.i64(blk.width)]

    apart = b.icmp("ne", b_col, b.i64(1))
    right, b_row = b.choose(apart, gathered, lambda: [right, b_row])
    (micro,) = emit_microkernels(b.module, blk, adds=False)
    no = b.const("i1", False)
    with b.loop(b.i64(0), m, blk.rows) as i:
        left = at(b, a, (i.index, a_row), element=blk.storage)
        place = at(b, c, (i.index, c_row), element=blk.storage)
        rows = minimum(b, b.sub(m, i.index), b.i64(blk.rows))
        b.call(micro, "void", [k, left, a_row, a_col, rows, right, b_row, n, place, c_row, no])


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
