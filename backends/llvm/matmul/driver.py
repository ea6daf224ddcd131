"""The matrix-product kernel: argument table, batch loop, choice of path, cache-blocked loops."""

from __future__ import annotations

from ..builder import Builder, Module, Value, kernel_function
from ..jit import Target
from . import abi
from .abi import Epilogue, MatmulKernel
from .blocking import Blocking, blocking
from .blocks import emit_blocks
from .dots import emit_dot
from .finish import emit_finish
from .lanes import at, minimum
from .product import Product, Table, turned
from .vecmat import emit_sums

__all__ = ["emit_matmul"]

INTERNAL = "nounwind noinline"


def emit_matmul(
    module: Module,
    name: str,
    scalar: str,
    target: Target,
    *,
    epilogue: Epilogue | None = None,
    extra_args: int = 0,
) -> MatmulKernel:
    """Write ``i64 @name(ptr %args)``: C = A @ B, or C + A @ B, for the argument table of `abi`.

    ``scalar`` is ``float``, ``double``, ``i8`` to ``i64`` (modulo 2**bits) or ``i1`` (bytes 0 and
    1, or of ands). The bits of a float result are a function of M, N, K, scalar and target: within
    blocks of K (`Blocking.kc`) products are added in order of k, each fused where the target can;
    block sums are added in order; for M == 1 or N == 1 see `vecmat`. Raises ValueError for another
    scalar.
    """
    blk = blocking(scalar, target)
    b = kernel_function(module, name)
    one = _emit_one(module, name, blk, epilogue, extra_args)
    table = Table(b, b.args[0])
    with b.when(b.icmp("sgt", table.integer(abi.BATCH), b.i64(0))):
        _batches(b, table, blk, one)
    b.ret(b.i64(0))
    return MatmulKernel(name, scalar, blk.storage, blk.total, extra_args)


def _batches(b: Builder, table: Table, blk: Blocking, one: str) -> None:
    """Call ``one`` for every batch entry: three nested loops."""
    places = [table.pointer(p) for p in (abi.C, abi.A, abi.B)]
    firsts = (abi.C_BATCH, abi.A_BATCH, abi.B_BATCH)
    strides = [[table.integer(first + i) for i in range(abi.BATCH_AXES)] for first in firsts]
    extents = [table.integer(abi.BATCH_EXTENT + i) for i in range(abi.BATCH_AXES)]
    zero = b.i64(0)
    with (
        b.loop(zero, extents[0], 1) as i,
        b.loop(zero, extents[1], 1) as j,
        b.loop(zero, extents[2], 1) as k,
    ):
        steps = (i.index, j.index, k.index)
        here = [
            at(b, place, *zip(steps, by, strict=True), element=blk.storage)
            for place, by in zip(places, strides, strict=True)
        ]
        b.call(one, "void", [table.args, *here])


def _emit_one(
    module: Module, name: str, blk: Blocking, epilogue: Epilogue | None, extra_args: int
) -> str:
    """Emit ``void (args, c, a, b)``: the product of one batch entry."""
    finish = emit_finish(module, name, blk, epilogue, extra_args)
    signature = [("ptr", "args"), ("ptr", "c"), ("ptr", "a"), ("ptr", "b")]
    full_name = f"{name}.one"
    b = Builder(module, full_name, "void", signature, linkage="internal", attributes=INTERNAL)
    p = turned(b, Table(b, b.args[0]), b.args[1:], epilogue is not None)
    zero, one = b.i64(0), b.i64(1)
    with b.when(b.and_(b.icmp("sgt", p.m, zero), b.icmp("sgt", p.n, zero))):
        is_row = b.icmp("eq", p.m, one)
        is_line = b.or_(is_row, b.icmp("eq", p.n, one)) if epilogue else is_row

        def line() -> list[Value]:
            _line(b, p, blk, is_row, finish)
            return []

        def blocks() -> list[Value]:
            emit_blocks(b, p, blk, epilogue is not None, finish)
            return []

        b.choose(is_line, line, blocks)
    b.ret()
    return full_name


def _line(b: Builder, p: Product, blk: Blocking, is_row: Value, finish: str) -> None:
    """M == 1, or N == 1 where the epilogue forbids turning: results in chunks."""
    x, t = b.select(is_row, p.a, p.b), b.select(is_row, p.b, p.a)
    x_k, t_n = b.select(is_row, p.a_col, p.b_row), b.select(is_row, p.b_col, p.a_row)
    t_k, count = b.select(is_row, p.b_row, p.a_col), b.select(is_row, p.n, p.m)
    c_step = b.select(is_row, p.c_col, p.c_row)
    sums, dot = emit_sums(b.module, blk), emit_dot(b.module, blk)
    zero, one = b.i64(0), b.i64(1)
    with b.loop(zero, count, blk.chunk) as n:
        length = minimum(b, b.sub(count, n.index), b.i64(blk.chunk))
        from_ = at(b, t, (n.index, t_n), element=blk.storage)

        def single() -> list[Value]:
            b.call(dot, "void", [p.room, x, x_k, from_, t_k, p.k])
            return []

        def several() -> list[Value]:
            b.call(sums, "void", [p.room, x, x_k, from_, t_n, t_k, p.k, length])
            return []

        b.choose(b.icmp("eq", count, one), single, several)
        to = at(b, p.c, (n.index, c_step), element=blk.storage)
        shape = [b.select(is_row, one, length), b.select(is_row, length, one)]
        origin = [b.select(is_row, zero, n.index), b.select(is_row, n.index, zero)]
        tile = [b.gep("i8", p.room, blk.sums_at), one]
        flags = [p.accumulate, b.const("i1", True)]
        b.call(finish, "void", [b.args[0], *tile, to, p.c_row, p.c_col, *shape, *origin, *flags])
