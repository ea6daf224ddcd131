"""Steps that only move elements: copies, fills, the parts of a concat, a placed slice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from symgraph.backends.llvm.clusters import Cluster, Place
from symgraph.backends.llvm.emit import emit_nest
from symgraph.backends.llvm.join_axes import free_length, join_axes
from symgraph.backends.llvm.kernel import Call
from symgraph.backends.llvm.loops import Nest, NestBuilder
from symgraph.backends.llvm.units import units_of, work_of
from symgraph.backends.llvm.views import View, contiguous_strides, source_of
from symgraph.sizes import Dim, is_one
from symgraph.tensor import Tensor

__all__ = ["concat_calls", "copy_call", "nest_call", "place_calls"]

Views = Callable[[Tensor], View]


def nest_call(nest: Nest, node: Tensor) -> Call:
    """The call of a loop nest."""
    nest = free_length(nest)
    joined = join_axes(nest)
    return Call(
        nest.key(),
        lambda module, name, target: emit_nest(module, name, nest, target),
        tuple(nest.params),
        node,
        checked=nest.checked,
        nest=nest,
        units=units_of(joined),
        work=work_of(joined),
    )


def copy_call(
    operand: Tensor,
    target: Tensor,
    views: Views,
    offset: Dim = 0,
    strides: tuple[Dim, ...] | None = None,
    shape: tuple[Dim, ...] | None = None,
) -> Call:
    """Write ``operand`` (stretched to ``shape``) into the buffer of ``target`` at an offset,
    with strides."""
    dims = operand.shape if shape is None else shape
    steps = contiguous_strides(dims) if strides is None else strides
    kept = [k for k, d in enumerate(dims) if not is_one(d)]
    numbered = {k: n for n, k in enumerate(kept)}
    cluster = Cluster(tuple(dims[k] for k in kept))
    b = NestBuilder(cluster, views)
    lead = len(dims) - operand.ndim
    axes = tuple(None if is_one(d) else numbered.get(k + lead) for k, d in enumerate(operand.shape))
    value = b.operand(operand, axes)
    spread = b.spread(tuple(range(len(kept))), tuple(steps[k] for k in kept))
    b.nest.stores.append((value, b.access(target, offset, spread, "write")))
    return nest_call(b.finish(), target)


def concat_calls(
    node: Tensor, views: Views, stored: Mapping[Tensor, Place | None] = MappingProxyType({})
) -> list[Call]:
    """Each part copied to its place in the result, but those that are written there at once."""
    strides, axis = contiguous_strides(node.shape), node.attrs["axis"]
    calls, start = [], 0
    offset: Dim = start
    for part in node.inputs:
        place = stored.get(source_of(part))
        if place is None or place.base is not node:
            calls.append(copy_call(part, node, views, offset, strides))
        offset = offset + part.shape[axis] * strides[axis]
    return calls


def place_calls(node: Tensor, views: Views) -> list[Call]:
    """The fill everywhere, then the array at its slice."""
    x, fill = node.inputs
    strides = contiguous_strides(node.shape)
    offset: Dim = 0
    for start, stride in zip(node.attrs["starts"], strides, strict=True):
        offset = offset + start * stride
    steps = tuple(s * k for s, k in zip(strides, node.attrs["steps"], strict=True))
    return [
        copy_call(fill, node, views, shape=node.shape),
        copy_call(x, node, views, offset, steps),
    ]
