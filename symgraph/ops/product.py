"""The matrix product over the last two axes, leading axes broadcast."""

from __future__ import annotations

import numpy as np

from symgraph.errors import ShapeError
from symgraph.op import Attrs, Equations
from symgraph.ops.registry import common_dtype, declare
from symgraph.types import TensorType, broadcast_shapes, equate, shape_text


def _infer_matmul(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    a, b = types
    dtype = common_dtype("matmul", types, "biuf")
    if a.ndim < 2 or b.ndim < 2:
        raise ShapeError(
            f"matmul: operands {shape_text(a.shape)} and {shape_text(b.shape)} need two axes"
        )
    if equate(a.shape[-1], b.shape[-2], equations) is None:
        raise ShapeError(
            f"matmul: shapes {shape_text(a.shape)} and {shape_text(b.shape)} do not chain "
            f"(inner sizes {a.shape[-1]} and {b.shape[-2]})"
        )
    batch = broadcast_shapes("matmul", [a.shape[:-2], b.shape[:-2]], equations)
    return TensorType(dtype, (*batch, a.shape[-2], b.shape[-1]))


matmul = declare("matmul", _infer_matmul, np.matmul)
