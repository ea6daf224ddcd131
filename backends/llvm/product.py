"""The matrix product as a step: the kernel reads its operands through any strides."""

from __future__ import annotations

import functools
from dataclasses import replace

from symgraph.backends.llvm.copies import Views
from symgraph.backends.llvm.epilogue import PRODUCT, EpilogueCode, emit_epilogue
from symgraph.backends.llvm.index import pointer_to
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.kernel import Call, Param
from symgraph.backends.llvm.loops import Access, Nest, PointerParam, SizeParam
from symgraph.backends.llvm.matmul import library, path_of, units, workspace_bytes
from symgraph.backends.llvm.matmul.abi import BATCH_AXES
from symgraph.backends.llvm.matmul.loaded import fused_symbol
from symgraph.backends.llvm.product_fusion import FusedProduct
from symgraph.backends.llvm.scalars import register_type
from symgraph.backends.llvm.units import ELEMENT
from symgraph.backends.llvm.views import View, contiguous_strides
from symgraph.functions import SharedVariable
from symgraph.sizes import Dim, Size, is_one, product
from symgraph.tensor import Tensor

__all__ = ["fused_call", "matmul_calls"]

Shape = tuple[Dim, ...]


def matmul_calls(node: Tensor, views: Views, target: Target) -> list[Call]:
    """One call of the product kernel for the node's dtype."""
    scalar = register_type(node.dtype)
    params = _parameters(node, PointerParam(node, 0, "write"), views, target)
    address = library(scalar, target, _path(node, views, target)).address("matmul")
    count, work = _amount(*(i.shape for i in node.inputs), node.shape)
    return [Call(f"matmul {scalar}", None, params, node, address, units=count, work=work)]


def fused_call(step: FusedProduct, views: Views, target: Target) -> Call:
    """One call that computes a product and what follows it element by element."""
    node, nest = step.product, _with_product(step)
    scalar, path = register_type(node.dtype), _path(node, views, target, fused=True)
    fused_symbol(scalar, target, path)  # there even for code found on disk
    code = EpilogueCode(nest, scalar, path, _axes(node))
    params = _parameters(node, _room(step), views, target, fused=True)
    count, work = _amount(*(i.shape for i in node.inputs), node.shape)
    return Call(
        code.key(),
        lambda module, name, target: emit_epilogue(module, name, code, target),
        (*params, SizeParam(0), *nest.params),
        node,
        nest=nest,
        units=count,
        work=work,
    )


# ---- the argument table --------------------------------------------------------------------------


def _parameters(
    node: Tensor, c: PointerParam, views: Views, target: Target, *, fused: bool = False
) -> tuple[Param, ...]:
    """The table of `matmul.abi`, without what an epilogue adds."""
    a, b = node.inputs
    va, vb = views(a), views(b)
    out = contiguous_strides(node.shape)
    batch = node.shape[:-2]
    shape = (node.shape[-2], node.shape[-1], a.shape[-1])
    left, right = (va.strides[-2], va.strides[-1]), (vb.strides[-2], vb.strides[-1])
    numbers: list[Dim] = [*shape, *left, *right, *out[-2:]]
    fill = (1,) * (BATCH_AXES - len(batch))
    none = (0,) * (BATCH_AXES - len(batch))
    tail: list[Dim] = [0, product(batch), *fill, *batch]
    tail += [*none, *_batch_strides(va, a, len(batch)), *none, *_batch_strides(vb, b, len(batch))]
    tail += [*none, *out[:-2]]
    scalar = register_type(node.dtype)
    room = workspace_bytes(scalar, target, shape, left, right, fused=fused)
    params: list[Param] = [c, pointer_to(va), pointer_to(vb)]
    params += [SizeParam(d) for d in numbers]
    params.append(PointerParam(None, 0, "scratch", room))
    return (*params, *(SizeParam(d) for d in tail))


def _batch_strides(view: View, x: Tensor, rank: int) -> tuple[Dim, ...]:
    """The strides of an operand along the batch axes of the result; 0 where it is stretched."""
    own = tuple(0 if is_one(d) else s for d, s in zip(x.shape[:-2], view.strides[:-2], strict=True))
    return (0,) * (rank - len(own)) + own


def _path(node: Tensor, views: Views, target: Target, *, fused: bool = False) -> str:
    """The code of the library that computes the node."""
    *batch, m, n = node.shape
    a, b = node.inputs
    shape = (m, n, a.shape[-1])
    scalar, b_col = register_type(node.dtype), views(b).strides[-1]
    return path_of(scalar, target, shape, b_col, product(batch), fused=fused)


@functools.lru_cache(maxsize=1024)
def _amount(a: Shape, b: Shape, c: Shape) -> tuple[Dim, Dim]:
    """The product's units; its multiplications with what it costs to read and write elements."""
    *batch, m, n = c
    elements = product(a) + product(b) + product(c)
    work = product((*c, a[-1])) + elements * ELEMENT
    return units(m, n, product(batch)), work


# ---- epilogues -----------------------------------------------------------------------------------


def _axes(node: Tensor) -> tuple[int | None, ...]:
    """The axis of the epilogue's space for each batch axis of the kernel, the rows, the columns."""
    axes: list[int | None] = []
    for d in node.shape:
        kept = sum(a is not None for a in axes)
        axes.append(None if is_one(d) else kept)
    return (None,) * (BATCH_AXES + 2 - len(axes)) + tuple(axes)


def _with_product(step: FusedProduct) -> Nest:
    """The nest, which also stores the product itself where others read it."""
    nest = step.nest
    if not step.stored:
        return nest
    space = tuple(d for d in step.product.shape if not is_one(d))
    params, strides = list(nest.params), list[int | str]()
    for d in contiguous_strides(space):
        strides.append(f"p{len(params)}" if isinstance(d, Size) else d)
        if isinstance(d, Size):
            params.append(SizeParam(d))
    access = Access(len(params), tuple(strides), step.product.dtype)
    value = next(k for k, i in enumerate(nest.items) if i.kind == PRODUCT)
    params.append(PointerParam(step.product, 0, "write"))
    return replace(nest, params=params, stores=[*nest.stores, (value, access)])


def _room(step: FusedProduct) -> PointerParam:
    """Where C lies, from which the epilogue reads: in a result that is no new value of a variable
    that the epilogue reads (it might be that variable's memory), else in memory of its own.
    """
    node, nest = step.product, step.nest
    if not step.stored:
        for _, access in nest.stores:
            p = nest.params[access.pointer]
            if isinstance(p, PointerParam) and p.node is not None and _holds(p.node, node, nest):
                return PointerParam(p.node, 0, "write")
    return PointerParam(node, 0, "write")


def _holds(result: Tensor, node: Tensor, nest: Nest) -> bool:
    return result.dtype == node.dtype and not _may_replace(nest, result)


def _may_replace(nest: Nest, value: Tensor) -> bool:
    """Whether ``value`` could be the new value, written in place, of a variable the nest reads."""
    return any(
        isinstance(p, PointerParam)
        and p.role == "read"
        and isinstance(p.node, SharedVariable)
        and p.node.dtype == value.dtype
        for p in nest.params
    )
