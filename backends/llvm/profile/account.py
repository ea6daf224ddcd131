"""What a kernel call reads, writes and computes, from its loop nest and the sizes of one call."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from symgraph.op import Op
from symgraph.ops import product
from symgraph.origins import root_line
from symgraph.sizes import Atom, Dim, evaluate
from symgraph.tensor import Tensor

from ..builder import Builder, Module, Value
from ..elementwise import lower_elementwise
from ..kernel import Call
from ..loops import Access, Item, Nest, PointerParam, SizeParam
from ..scalars import register_type
from ..slots import upper_bound
from ..two_phase import needed, partial

__all__ = ["Account", "account", "title", "user_lines"]

Measure = Callable[[Dim], int]
ARITHMETIC = ("fadd ", "fsub ", "fmul ", "fdiv ", "call float @llvm.sqrt", "call double @llvm.sqrt")
FUSED = ("@llvm.fma", "@llvm.fmuladd")


@dataclass(frozen=True, slots=True)
class Account:
    """Distinct bytes of memory a kernel touches; the floating-point operations it does, and the
    dtype of most of them.
    """

    bytes: int
    flops: int
    dtype: str


def account(call: Call, sizes: Mapping[Atom, int]) -> Account:
    """Bytes and operations of a call. A multiply-add counts as two operations, an elementary
    function as many as its code has; comparisons and integers count as none. A size found during
    the call counts as the largest it may be.
    """

    def measure(dim: Dim) -> int:
        return evaluate(upper_bound(dim), sizes)

    moved, done = 0, 0
    if call.nest is not None:
        moved, done = _nest_bytes(call.nest, measure), _nest_flops(call.nest, measure)
    is_product = call.node.op is product.matmul
    if is_product:
        left, _ = call.node.inputs
        done += 2 * _count(call.node, measure) * measure(left.shape[-1])
    if is_product or call.nest is None:
        epilogue = call.nest.params if call.nest else []
        others = [p for p in call.params if not any(p is q for q in epilogue)]
        pointers = {p.node for p in others if isinstance(p, PointerParam)}
        touched = [n for n in pointers if n is not None]
        moved += sum(_count(n, measure) * n.dtype.itemsize for n in touched)
    return Account(moved, done, _dtype(call))


def _dtype(call: Call) -> str:
    kinds = [i.dtype.name for i in call.nest.items if i.dtype.kind == "f"] if call.nest else []
    return max(kinds, key=kinds.count, default=call.node.dtype.name)


def _count(node: Tensor, measure: Measure) -> int:
    return math.prod(measure(d) for d in node.shape)


def _extents(nest: Nest, measure: Measure) -> list[int]:
    """The extents of the space as numbers."""
    out = []
    for extent in nest.extents:
        if isinstance(extent, str):
            param = nest.params[int(extent[1:])]
            assert isinstance(param, SizeParam)
            out.append(measure(param.dim))
        else:
            out.append(extent)
    return out


def _nest_bytes(nest: Nest, measure: Measure) -> int:
    extents = _extents(nest, measure)
    accesses = {i.access: i for i in _computed(nest) if i.access is not None}
    total = sum(_footprint(a, extents, i.kind == "gather") for a, i in accesses.items())
    total += sum(_footprint(a, extents, False) for _, a in nest.stores)
    return total + sum(_count(p.node, measure) for p in _buffers(nest) if p.node is not None)


def _buffers(nest: Nest) -> list[PointerParam]:
    """Where one phase of a reduction leaves bytes for the other; empty for an ordinary nest."""
    pointers = [p for p in nest.params if isinstance(p, PointerParam)]
    return [p for p in pointers if p.node is not None and p.node.op is partial]


def _computed(nest: Nest) -> list[Item]:
    """The items that a kernel computes: all, or those of its phase."""
    buffers = _buffers(nest)
    if not buffers:
        return nest.items
    first = buffers[0].role == "write"
    wanted = needed(nest, first)
    return [i for k, i in enumerate(nest.items) if k in wanted or (first and i.kind == "reduce")]


def _footprint(access: Access, extents: list[int], everywhere: bool) -> int:
    """Bytes at distinct places; an indexed read may be anywhere at every point."""
    used = [e for e, s in zip(extents, access.strides, strict=True) if s != 0 or everywhere]
    return math.prod(used) * access.dtype.itemsize


def _nest_flops(nest: Nest, measure: Measure) -> int:
    extents = _extents(nest, measure)
    rows = math.prod(e for a, e in enumerate(extents) if a not in nest.inner)
    full = math.prod(extents)
    items = _computed(nest)
    return sum((full if _per_element(nest, i) else rows) * _item_flops(i) for i in items)


def _per_element(nest: Nest, item: Item) -> bool:
    return item.full or (item.kind == "reduce" and nest.items[item.args[0]].full)


def _item_flops(item: Item) -> int:
    if item.node is None or item.dtype.kind != "f":
        return 0
    if item.kind == "reduce":
        return 1 if item.node.op.name in ("sum", "prod") else 0
    if item.kind != "op" or item.node.op.lower is not None:
        return 0
    kinds = tuple(register_type(i.dtype) for i in item.node.inputs)
    return _op_flops(item.node.op, kinds, item.node)


def _op_flops(op: Op, kinds: tuple[str, ...], node: Tensor) -> int:
    known = _flops_of.get((op, kinds))
    if known is None:
        known = _flops_of[op, kinds] = _counted(kinds, node)
    return known


_flops_of: dict[tuple[Op, tuple[str, ...]], int] = {}


def _counted(kinds: tuple[str, ...], node: Tensor) -> int:
    """The operations in the code of one element."""
    module = Module()
    b = Builder(module, "element", "void", [(k, f"x{n}") for n, k in enumerate(kinds)])
    args: list[Value] = list(b.args)
    lower_elementwise(b, node, args)
    b.ret()
    return sum(map(_line_flops, str(module).splitlines()))


@functools.cache
def _line_flops(line: str) -> int:
    if "= call" in line and any(name in line for name in FUSED):
        return 2
    return int(any(f"= {name}" in line for name in ARITHMETIC))


def title(call: Call) -> str:
    """The operations a kernel computes, each once, in order."""
    if call.nest is None:
        return call.node.op.name
    names = [i.node.op.name for i in call.nest.items if i.node is not None]
    if call.node.op is product.matmul:
        names.insert(0, call.node.op.name)
    return ", ".join(dict.fromkeys(names)) or call.node.op.name


def user_lines(call: Call) -> tuple[str, ...]:
    """Where the user wrote what the kernel computes, most frequent first."""
    nodes = [call.node]
    if call.nest is not None:
        nodes = [i.node for i in call.nest.items if i.node is not None] or nodes
    lines = [str(line) for n in nodes if (line := root_line(n.origin)) is not None]
    return tuple(sorted(dict.fromkeys(lines), key=lambda line: -lines.count(line)))
