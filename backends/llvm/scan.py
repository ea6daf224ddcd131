"""Running sums and linear recurrences: sequential along one axis, loops over the others."""

from __future__ import annotations

from symgraph.backends.llvm.builder import Module, Value, kernel_function
from symgraph.backends.llvm.copies import Views
from symgraph.backends.llvm.elementwise import LOWER
from symgraph.backends.llvm.index import load_arguments, moved, nested, pointer_to
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.kernel import Call, Param
from symgraph.backends.llvm.loops import PointerParam, SizeParam
from symgraph.backends.llvm.memory_access import read, write
from symgraph.backends.llvm.scalars import memory_type, register_type
from symgraph.backends.llvm.views import contiguous_strides
from symgraph.ops import elementwise
from symgraph.sizes import Dim, product
from symgraph.tensor import Tensor
from symgraph.types import DType

__all__ = ["scan_calls"]


def scan_calls(node: Tensor, views: Views) -> list[Call]:
    """s[t] = a[t] * s[t-1] + b[t], or s[t] = s[t-1] + x[t]; the scanned axis innermost.

    A unit is an index of the first of the other axes.
    """
    axis, reverse, rank = node.attrs["axis"], node.attrs["reverse"], node.ndim
    rows = sorted((k for k in range(rank) if k != axis), key=lambda k: node.shape[k] == 1)
    order = [*rows, axis]
    params: list[Param] = [PointerParam(node, 0, "write")]
    strides: list[tuple[Dim, ...]] = [contiguous_strides(node.shape)]
    for x in node.inputs:
        view = views(x)
        params.append(pointer_to(view))
        strides.append(
            tuple(
                0 if type(d) is int and d == 1 else s
                for d, s in zip(x.shape, view.strides, strict=True)
            )
        )
    params += [SizeParam(node.shape[k]) for k in order]
    params += [SizeParam(s[k]) for s in strides for k in order]
    key = f"{node.op.name} {node.dtype.name} rank {rank} reverse {reverse}"

    def emit(module: Module, name: str, target: Target) -> None:
        _emit_scan(module, name, node.dtype, rank, len(node.inputs), reverse)

    units: Dim = node.shape[rows[0]] if rows else 1
    work = 2 * product(node.shape) if rows else 0
    return [Call(key, emit, tuple(params), node, units=units, work=work)]


def _emit_scan(
    module: Module, name: str, dtype: DType, rank: int, inputs: int, reverse: bool
) -> None:
    b = kernel_function(module, name)
    arrays = 1 + inputs
    args = load_arguments(b, arrays + rank * (1 + arrays), set(range(arrays)))
    extents = args[arrays : arrays + rank]
    strides = [args[arrays + rank * (1 + k) : arrays + rank * (2 + k)] for k in range(arrays)]
    scalar = memory_type(dtype)
    zero = b.const(register_type(dtype), 0)

    def row(i: list[Value]) -> None:
        starts = [moved(b, p, scalar, i, s[:-1]) for p, s in zip(args, strides, strict=False)]
        length = extents[-1]
        with b.loop(b.i64(0), length, 1, [zero], reduced=True) as loop:
            t = b.sub(b.sub(length, b.i64(1)), loop.index) if reverse else loop.index
            places = [
                b.gep(scalar, p, b.mul(t, s[-1])) for p, s in zip(starts, strides, strict=True)
            ]
            loaded = [read(b, dtype, p, 0, 1, None) for p in places[1:]]
            before = loop.carry[0]
            if inputs == 2:  # the first element has no predecessor: not even 0 * a[0] is added
                product = LOWER[elementwise.multiply](b, dtype, [loaded[0], before])
                before = b.select(b.icmp("eq", loop.index, b.i64(0)), zero, product)
            value = LOWER[elementwise.add](b, dtype, [before, loaded[-1]])
            write(b, dtype, value, places[0], 0, None)
            loop.next = [value]

    nested(b, extents[:-1], row, (b.args[1], b.args[2]))
    b.ret(b.i64(0))
