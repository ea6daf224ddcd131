"""The matrix product as a step: the kernel reads its operands through any strides."""

from __future__ import annotations

from symgraph.backends.llvm.copies import Views
from symgraph.backends.llvm.index import pointer_to
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.kernel import Call, Param
from symgraph.backends.llvm.loops import PointerParam, SizeParam
from symgraph.backends.llvm.matmul import library, workspace_bytes
from symgraph.backends.llvm.matmul.abi import BATCH_AXES
from symgraph.backends.llvm.scalars import register_type
from symgraph.backends.llvm.views import View, contiguous_strides
from symgraph.sizes import Dim, product
from symgraph.tensor import Tensor

__all__ = ["matmul_calls"]


def matmul_calls(node: Tensor, views: Views, target: Target) -> list[Call]:
    """One call of the product kernel for the node's dtype."""
    a, b = node.inputs
    va, vb = views(a), views(b)
    out = contiguous_strides(node.shape)
    batch = node.shape[:-2]
    scalar = register_type(node.dtype)
    numbers: list[Dim] = [node.shape[-2], node.shape[-1], a.shape[-1]]
    numbers += [*va.strides[-2:], *vb.strides[-2:], *out[-2:]]
    fill = (1,) * (BATCH_AXES - len(batch))
    none = (0,) * (BATCH_AXES - len(batch))
    tail: list[Dim] = [0, product(batch), *fill, *batch]
    tail += [*none, *_batch_strides(va, a, len(batch)), *none, *_batch_strides(vb, b, len(batch))]
    tail += [*none, *out[:-2]]
    params: list[Param] = [PointerParam(node, 0, "write"), pointer_to(va), pointer_to(vb)]
    params += [SizeParam(d) for d in numbers]
    params.append(PointerParam(None, 0, "scratch", workspace_bytes(scalar, target)))
    params += [SizeParam(d) for d in tail]
    address = library(scalar, target).address("matmul")
    return [Call(f"matmul {scalar}", None, tuple(params), node, address)]


def _batch_strides(view: View, x: Tensor, rank: int) -> tuple[Dim, ...]:
    """The strides of an operand along the batch axes of the result; 0 where it is stretched."""
    own = tuple(
        0 if type(d) is int and d == 1 else s
        for d, s in zip(x.shape[:-2], view.strides[:-2], strict=True)
    )
    return (0,) * (rank - len(own)) + own
