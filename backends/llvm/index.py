"""Kernels of indexing that are no loop nests over their result: scatters, and the positions of
a mask."""

from __future__ import annotations

from collections.abc import Callable

from symgraph.backends.llvm.builder import Builder, Module, Value, kernel_function
from symgraph.backends.llvm.copies import Views, copy_call
from symgraph.backends.llvm.elementwise import LOWER
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.kernel import Call, Param
from symgraph.backends.llvm.loops import PointerParam, SizeParam
from symgraph.backends.llvm.memory_access import lane_mask, read, write
from symgraph.backends.llvm.scalars import memory_type
from symgraph.backends.llvm.views import View, contiguous_strides
from symgraph.ops import elementwise, index
from symgraph.sizes import Dim, product
from symgraph.tensor import Tensor
from symgraph.types import DTYPES, DType

__all__ = ["load_arguments", "nonzero_calls", "pointer_to", "scatter_calls"]

INT64 = DTYPES["int64"]
#: Elements of an update's last axis in a unit: a multiple of every number of lanes.
PIECE = 256

Places = tuple[Value, Value]
Strides = tuple[list[Value], list[Value]]


def pointer_to(view: View) -> PointerParam:
    """Where a view begins."""
    return PointerParam(view.base, view.offset, "read")


def load_arguments(b: Builder, params: int, pointers: set[int]) -> list[Value]:
    """The entries of the argument table."""
    return [
        b.load("ptr" if k in pointers else "i64", b.gep("i64", b.args[0], k)) for k in range(params)
    ]


def nested(
    b: Builder,
    extents: list[Value],
    body: Callable[[list[Value]], None],
    within: tuple[Value, Value] | None = None,
) -> None:
    """``body(indices)`` for every point of a box; ``within`` is a part of its first axis."""

    def level(indices: list[Value]) -> None:
        if len(indices) == len(extents):
            body(indices)
            return
        whole = b.i64(0), extents[len(indices)]
        start, stop = (within or whole) if not indices else whole
        with b.loop(start, stop, 1) as loop:
            level([*indices, loop.index])

    level([])


def moved(
    b: Builder, pointer: Value, scalar: str, indices: list[Value], strides: list[Value]
) -> Value:
    """The address of an element."""
    for i, s in zip(indices, strides, strict=True):
        pointer = b.gep(scalar, pointer, b.mul(i, s))
    return pointer


# ---- scatter -------------------------------------------------------------------------------------


def scatter_calls(node: Tensor, views: Views) -> list[Call]:
    """Copy the base, then walk the updates in order, so that the last of repeated writes wins.

    A unit is a piece of the last axis, where that is no indexed one: every update of that piece.
    """
    base, updates, *indices = node.inputs
    axes = node.attrs["axes"]
    width = updates.ndim - (base.ndim - len(axes))
    out = contiguous_strides(node.shape)
    rest = [k for k in range(base.ndim) if k not in axes]
    source = views(updates)
    params: list[Param] = [PointerParam(node, 0, "write"), pointer_to(source)]
    index_views = [views(i) for i in indices]
    params += [pointer_to(v) for v in index_views]
    params += [SizeParam(d) for d in updates.shape]
    params += [SizeParam(s) for s in source.strides]
    params += [SizeParam(out[k]) for k in (*axes, *rest)]
    params += [SizeParam(base.shape[k]) for k in axes]
    for i, v in zip(indices, index_views, strict=True):
        aligned: list[Dim] = [0] * (width - i.ndim)
        aligned += [
            0 if type(d) is int and d == 1 else s for d, s in zip(i.shape, v.strides, strict=True)
        ]
        params += [SizeParam(s) for s in aligned]
    params.append(PointerParam(None, 0, "error"))
    adds = node.op is index.scatter_add
    last = source.strides[-1] if rest and rest[-1] == base.ndim - 1 else 0
    rows = type(last) is int and last == 1
    ranks = f"updates {updates.ndim} width {width} indices {len(indices)} rows {rows}"
    key = f"{node.op.name} {node.dtype.name} {ranks}"

    def emit(module: Module, name: str, target: Target) -> None:
        _emit_scatter(
            module, name, node.dtype, updates.ndim, width, len(indices), len(params), adds,
            target.lanes(8 * node.dtype.itemsize) if rows else 0,
        )  # fmt: skip

    copy = copy_call(base, node, views)
    units = (updates.shape[-1] + (PIECE - 1)) // PIECE if rows else 1
    work = product(updates.shape) * 2 if rows else 0
    call = Call(key, emit, tuple(params), node, checked=True, units=units, work=work)
    return [copy, call]


def _emit_scatter(
    module: Module,
    name: str,
    dtype: DType,
    rank: int,
    width: int,
    count: int,
    total: int,
    adds: bool,
    lanes: int,
) -> None:
    b = kernel_function(module, name)
    args = load_arguments(b, total, {*range(2 + count), total - 1})
    out, source, tables = args[0], args[1], args[2 : 2 + count]
    at = 2 + count

    def take(n: int) -> list[Value]:
        nonlocal at
        at += n
        return args[at - n : at]

    extents, source_strides = take(rank), take(rank)
    out_strides, limits = take(count + rank - width), take(count)
    index_strides = [take(width) for _ in range(count)]
    status = b.emit("ptr", "alloca i64")
    b.store(b.i64(0), status)
    scalar = memory_type(dtype)

    def body(i: list[Value]) -> None:
        places, good = [], Value("true", "i1")
        for table, strides, limit in zip(tables, index_strides, limits, strict=True):
            p = b.load("i64", moved(b, table, "i64", i[:width], strides))
            wrapped = b.select(b.icmp("slt", p, b.i64(0)), b.add(p, limit), p)
            fine = b.icmp("ult", wrapped, limit)
            first = b.icmp("eq", b.load("i64", status), b.i64(0))
            with b.when(b.and_(b.not_(fine), first)):
                b.store(p, args[-1])
                b.store(limit, b.gep("i64", args[-1], 1))
                b.store(b.i64(1), status)
            good = b.and_(good, fine)
            places.append(wrapped)
        with b.when(good):
            starts = (
                moved(b, source, scalar, i, source_strides[:width]),
                moved(b, out, scalar, places, out_strides[:count]),
            )
            steps = source_strides[width:], out_strides[count:]
            if lanes:
                nested(b, extents[width:-1], lambda k: piece(k, starts, steps))
            else:
                nested(b, extents[width:], lambda k: element(k, starts, steps))

    def element(
        i: list[Value], starts: Places, strides: Strides, mask: Value | None = None
    ) -> None:
        """One element of an update, or a vector of them along the last axis."""
        from_, to = (moved(b, p, scalar, i, s) for p, s in zip(starts, strides, strict=True))
        step = min(lanes, 1)
        value = read(b, dtype, from_, step, max(lanes, 1), mask)
        if adds:
            value = LOWER[elementwise.add](
                b, dtype, [read(b, dtype, to, step, max(lanes, 1), mask), value]
            )
        write(b, dtype, value, to, step, mask)

    def piece(i: list[Value], starts: Places, strides: Strides) -> None:
        """The part of an update's last axis that belongs to the units."""
        start, stop = b.mul(b.args[1], b.i64(PIECE)), b.mul(b.args[2], b.i64(PIECE))
        stop = b.intrinsic("llvm.smin", stop, extents[-1])
        cut = b.and_(stop, b.i64(-lanes))
        with b.loop(start, cut, lanes) as loop:
            element([*i, loop.index], starts, strides)
        with b.when(b.icmp("slt", cut, stop)):
            mask = lane_mask(b, b.sub(stop, cut), lanes) if lanes > 1 else None
            element([*i, cut], starts, strides, mask)

    nested(b, extents[:width], body)
    b.ret(b.load("i64", status))


# ---- positions of a mask -------------------------------------------------------------------------


def nonzero_calls(node: Tensor, views: Views) -> list[Call]:
    """The positions, then (behind the buffer's end) how many there are."""
    mask = views(node.inputs[0])
    bound = node.inputs[0].shape[0]
    params: tuple[Param, ...] = (
        PointerParam(node, 0, "write"),
        PointerParam(node, bound, "write"),
        pointer_to(mask),
        SizeParam(bound),
        SizeParam(mask.strides[0]),
    )
    return [Call("nonzero", _emit_nonzero, params, node)]


def _emit_nonzero(module: Module, name: str, target: Target) -> None:
    b = kernel_function(module, name)
    out, count, mask, n, stride = load_arguments(b, 5, {0, 1, 2})
    with b.loop(b.i64(0), n, 1, [b.i64(0)]) as loop:
        (found,) = loop.carry
        b.store(loop.index, b.gep("i64", out, found))
        hit = b.load("i8", b.gep("i8", mask, b.mul(loop.index, stride)))
        loop.next = [b.add(found, b.cast("zext", b.icmp("ne", hit, Value("0", "i8")), "i64"))]
    b.store(loop.result[0], count)
    b.ret(b.i64(0))
