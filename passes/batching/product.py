"""The matrix product of a batch: one large product where an operand is the same for all."""

from __future__ import annotations

from symgraph import functions as f
from symgraph.ops.product import matmul
from symgraph.passes.batching.forms import Call, table
from symgraph.sizes import product
from symgraph.tensor import Tensor


def _matmul(call: Call) -> Tensor:
    a, b = call.inputs
    left, right = call.batched
    if not right and b.ndim == 2:
        return _rows_joined(a, b)
    if not left and a.ndim == 2 and b.ndim == 3 and type(b.shape[2]) is int and b.shape[2] == 1:
        columns = f.matmul(f.squeeze(b, 2), f.matrix_transpose(a))
        return f.expand_dims(columns, 2)
    rank = call.node.ndim
    return call.again(call.aligned(0, rank), call.aligned(1, rank))


def _rows_joined(a: Tensor, b: Tensor) -> Tensor:
    """(batch, ..., m, k) times one (k, n): all the rows in one matrix."""
    rows = a.shape[:-1]
    out = f.matmul(f.reshape(a, (product(rows), a.shape[-1])), b)
    return f.reshape(out, (*rows, b.shape[-1]))


table({matmul: _matmul})
