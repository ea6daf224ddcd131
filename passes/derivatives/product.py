"""The matrix product's derivative: G B^T and A^T G (section 6.5.6)."""

from __future__ import annotations

from typing import Any

from symgraph import functions as f
from symgraph.op import Derivative
from symgraph.ops.product import matmul
from symgraph.passes.derivatives.forms import table, unbroadcast
from symgraph.tensor import Tensor


def _matmul_bprop(node: Tensor, g: Tensor) -> tuple[Any, ...]:
    a, b = node.inputs
    return (
        unbroadcast(f.matmul(g, f.matrix_transpose(b)), a),
        unbroadcast(f.matmul(f.matrix_transpose(a), g), b),
    )


def _matmul_jvp(node: Tensor, tangents: tuple[Any, ...]) -> Tensor:
    (a, b), (ta, tb) = node.inputs, tangents
    if ta is None:
        return f.matmul(a, tb)
    if tb is None:
        return f.matmul(ta, b)
    return f.matmul(ta, b) + f.matmul(a, tb)


table({matmul: Derivative(bprop=_matmul_bprop, jvp=_matmul_jvp)})
