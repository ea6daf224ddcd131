"""The matrix-product kernel: a rectangle of C at a time, by the path that its shape needs."""

from __future__ import annotations

from collections.abc import Sequence

from ..builder import Builder, Module, Value, kernel_function
from ..jit import Target
from . import abi
from .abi import Epilogue, MatmulKernel
from .across import emit_across, is_across
from .blocking import Blocking, blocking
from .blocks import cut_of, emit_blocks
from .dots import emit_dot
from .finish import call_finish, emit_finish
from .lanes import at, minimum
from .product import Product, Table, turned
from .small import emit_small
from .tiles import Block, new_block
from .units import emit_units
from .vecmat import emit_sums
from .workspace import largest_workspace

__all__ = ["PATHS", "emit_matmul"]

PATHS = ("blocks", "lines")  # register tiles; sums along a vector, where M or N is 1
INTERNAL = "nounwind noinline"


def emit_matmul(
    module: Module,
    name: str,
    scalar: str,
    target: Target,
    epilogue: Epilogue | None = None,
    *,
    extra_args: int = 0,
    paths: Sequence[str] = PATHS,
) -> MatmulKernel:
    """Write the kernel ``name``: C = A @ B, or C + A @ B, for the argument table of `abi`.

    ``scalar`` is ``float``, ``double``, ``i8`` to ``i64`` (modulo 2**bits) or ``i1`` (bytes 0 and
    1, or of ands). The bits of a float result are a function of M, N, K, scalar and target: within
    blocks of K (`Blocking.kc`) products are added in order of k, each fused where the target can;
    block sums are added in order; for M == 1 or N == 1 see `vecmat`.

    Without ``lines`` among the ``paths`` neither M nor N may be 1, without ``blocks`` one of them
    must be. Raises ValueError for another scalar.
    """
    blk = blocking(scalar, target)
    finish = emit_finish(module, name, blk, epilogue, extra_args)
    ranges = emit_units(module, blk, _emit_one(module, blk, paths))
    b = kernel_function(module, name)
    fused = b.const("i1", epilogue is not None)
    values = [*b.args, Value(f"@{finish}", "ptr"), fused]
    done = b.const("i1", False)
    if "blocks" in paths:
        done = b.call(emit_small(module, blk), "i1", values)
    with b.when(b.not_(done)):
        b.call(ranges, "void", values)
    b.ret(b.i64(0))
    room = largest_workspace(blk, fused=epilogue is not None)
    return MatmulKernel(name, scalar, blk.storage, room, extra_args)


def _emit_one(module: Module, blk: Blocking, paths: Sequence[str]) -> str:
    """Emit ``void (args, c, a, b, row, rows, col, cols, finish, fused)``; its name.

    It computes a rectangle of one batch entry. ``finish`` is a function made by `emit_finish`, and
    ``fused`` says whether it does more than the plain one.
    """
    full_name = f"matmul.{blk.scalar}.one"
    if full_name in module.functions:
        return full_name
    signature = [("ptr", "args"), ("ptr", "c"), ("ptr", "a"), ("ptr", "b"), ("i64", "row")]
    signature += [("i64", "rows"), ("i64", "col"), ("i64", "cols"), ("ptr", "finish")]
    signature += [("i1", "fused")]
    b = Builder(module, full_name, "void", signature, linkage="internal", attributes=INTERNAL)
    block = new_block(b)
    p = turned(b, Table(b, b.args[0]), b.args[1:8], b.args[8:], blk)

    def line() -> list[Value]:
        _line(b, p, blk)
        return []

    def blocks() -> list[Value]:
        _wide(b, p, blk, block)
        return []

    if len(paths) == 1:
        (line if "lines" in paths else blocks)()
    else:
        b.choose(b.or_(p.is_row, p.is_column), line, blocks)
    b.ret()
    return full_name


def _wide(b: Builder, p: Product, blk: Blocking, block: Block) -> None:
    """Register tiles, by the path that packs less.

    Some rows of a product do not go `across`: its workspace is not meant for that.
    """
    step, rows = cut_of(b, p.k, blk), Table(b, b.args[0]).integer(abi.M)

    def blocks() -> list[Value]:
        emit_blocks(b, p, blk, block, step)
        return []

    def across() -> list[Value]:
        emit_across(b, p, blk, block, step)
        return []

    if not blk.is_float:
        blocks()
        return
    few = is_across(b, blk, (p.m, p.n, p.k), (p.b_row, p.b_col), p.accumulate)
    few = b.and_(few, b.icmp("eq", p.m, rows))
    b.choose(b.and_(few, b.icmp("eq", p.c_col, b.i64(1))), across, blocks)


def _line(b: Builder, p: Product, blk: Blocking) -> None:
    """M == 1, or N == 1 where the epilogue forbids turning: results in chunks."""
    is_row = p.is_row
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

        b.choose(b.and_(p.is_row, p.is_column), single, several)
        to = at(b, p.c, (n.index, c_step), element=blk.storage)
        shape = [b.select(is_row, one, length), b.select(is_row, length, one)]
        row, col = b.select(is_row, zero, n.index), b.select(is_row, n.index, zero)
        origin = [b.add(p.row, row), b.add(p.col, col)]
        tile = [p.room, one]
        flags = [p.accumulate, b.const("i1", True)]
        call_finish(b, p.finish, [b.args[0], *tile, to, p.c_row, p.c_col, *shape, *origin, *flags])
