"""The matrix product as a step: the kernel reads its operands through any strides."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

from symgraph.backends.llvm.copies import Views
from symgraph.backends.llvm.epilogue import PRODUCT, EpilogueCode, emit_epilogue
from symgraph.backends.llvm.index import pointer_to
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.kernel import Call, Code, CodeParam, Param
from symgraph.backends.llvm.loops import Access, Nest, PointerParam, SizeParam
from symgraph.backends.llvm.matmul import path_of, units, workspace_bytes
from symgraph.backends.llvm.matmul.abi import BATCH_AXES
from symgraph.backends.llvm.product_fusion import FusedProduct
from symgraph.backends.llvm.scalars import register_type
from symgraph.backends.llvm.units import ELEMENT
from symgraph.backends.llvm.views import contiguous_strides
from symgraph.functions import SharedVariable
from symgraph.sizes import Dim, Size, is_one, product
from symgraph.tensor import Tensor

__all__ = ["fused_call", "matmul_calls"]

Shape = tuple[Dim, ...]
Operand = tuple[Shape, Shape]


def matmul_calls(node: Tensor, views: Views, target: Target) -> list[Call]:
    """One call of the product kernel for the node's dtype."""
    plan, a, b = _planned(node, views, target, fused=False)
    params = (PointerParam(node, 0, "write"), a, b, *plan.params)
    return [Call(plan.key, None, params, node, plan.code, units=plan.units, work=plan.work)]


def fused_call(step: FusedProduct, views: Views, target: Target) -> Call:
    """One call that computes a product and what follows it element by element."""
    node, nest = step.product, _with_product(step)
    code = EpilogueCode(nest, register_type(node.dtype), _axes(node))
    plan, a, b = _planned(node, views, target, fused=True)
    params = (_room(step), a, b, *plan.params, SizeParam(0), CodeParam(plan.code), *nest.params)
    return Call(
        code.key(),
        lambda module, name, target: emit_epilogue(module, name, code, target),
        params,
        node,
        nest=nest,
        units=plan.units,
        work=plan.work,
    )


# ---- the argument table --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plan:
    """A product without its variables, the same for all of one form.

    ``params`` follow the three addresses in the table of `matmul.abi`; those that an epilogue adds
    come after them.
    """

    key: str
    code: Code
    params: tuple[Param, ...]
    units: Dim
    work: Dim


def _planned(
    node: Tensor, views: Views, target: Target, *, fused: bool
) -> tuple[_Plan, PointerParam, PointerParam]:
    """A product's plan, and where its operands begin."""
    a, b = node.inputs
    va, vb = views(a), views(b)
    left, right = (a.shape, va.strides), (b.shape, vb.strides)
    plan = _plan(register_type(node.dtype), target, node.shape, left, right, fused)
    return plan, pointer_to(va), pointer_to(vb)


@functools.lru_cache(maxsize=256)
def _plan(
    scalar: str, target: Target, out: Shape, left: Operand, right: Operand, fused: bool
) -> _Plan:
    """The plan of a product of this form; operands are given by their shapes and strides."""
    (a, by_a), (b, by_b), own = left, right, contiguous_strides(out)
    batch, shape = out[:-2], (out[-2], out[-1], a[-1])
    count = product(batch)
    path = path_of(scalar, target, shape, by_a[-2:], by_b[-2:], count)
    room = workspace_bytes(scalar, target, shape, by_a[-2:], by_b[-2:], fused=fused)
    fill = (1,) * (BATCH_AXES - len(batch))
    none = (0,) * (BATCH_AXES - len(batch))
    tail = [0, count, *fill, *batch]
    tail += [*none, *_batch_strides(left, len(batch)), *none, *_batch_strides(right, len(batch))]
    tail += [*none, *own[:-2]]
    params: list[Param] = [SizeParam(d) for d in (*shape, *by_a[-2:], *by_b[-2:], *own[-2:])]
    params.append(PointerParam(None, 0, "scratch", room))
    params += [SizeParam(d) for d in tail]
    elements = product(a) + product(b) + product(out)
    return _Plan(
        f"matmul {scalar}",
        Code(("matmul", scalar, path), "matmul.fused" if fused else "matmul"),
        tuple(params),
        units(out[-2], out[-1], count),
        product((*out, a[-1])) + elements * ELEMENT,
    )


def _batch_strides(operand: Operand, rank: int) -> tuple[Dim, ...]:
    """The strides of an operand along the batch axes of the result; 0 where it is stretched."""
    shape, strides = operand
    own = tuple(0 if is_one(d) else s for d, s in zip(shape[:-2], strides[:-2], strict=True))
    return (0,) * (rank - len(own)) + own


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
