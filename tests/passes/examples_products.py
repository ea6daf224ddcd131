"""Expressions on which the rules of the family products fire."""

from __future__ import annotations

from rule_example import Example, node

import symgraph as sg
from symgraph import Tensor
from symgraph.ops import shape as s
from symgraph.ops.product import matmul

__all__ = ["EXAMPLES"]


def _eye(x: Tensor) -> Tensor:
    return sg.eye(3, dtype=x.dtype)


def _labels(x: Tensor, k: Tensor) -> Tensor:
    return sg.one_hot(k, 3, dtype=x.dtype)


def _batched(x: Tensor) -> Tensor:
    return node(s.broadcast_to, x, shape=(2, *x.shape))


# fmt: off
EXAMPLES: dict[str, Example] = {
    "transposed_product":     lambda x, y, z, k: (x.mT @ y).mT,
    "product_of_stretched":   lambda x, y, z, k: node(matmul, _batched(x), y.mT),
    "product_flattened":      lambda x, y, z, k: sg.stack([x, y]) @ z.mT,
    "summed_batch":           lambda x, y, z, k:
        sg.sum(sg.stack([x, y]).mT @ sg.stack([z, x]), axis=0),
    "rows_selected":          lambda x, y, z, k: _labels(x, k) @ x.mT,
    "rows_selected_guarded":  lambda x, y, z, k: _eye(x) @ x.mT,
    "columns_scaled":         lambda x, y, z, k: x @ sg.diag(sg.exp(sg.arange(3).astype(x.dtype))),
    "columns_scaled_guarded": lambda x, y, z, k: x @ _eye(x),
    "rows_scattered":         lambda x, y, z, k: _labels(x, k).mT @ x,
    "rows_scattered_guarded": lambda x, y, z, k: sg.one_hot(k, 200, dtype=x.dtype).mT @ x,
    "outer_product":          lambda x, y, z, k: x[:, :1] @ y[:, :1].mT,
    "outer_times":            lambda x, y, z, k: (x[:, :1] * y[0]) @ z[0],
    "times_outer":            lambda x, y, z, k: x.mT @ (y[:, :1] * z[0]),
    "dot_same":               lambda x, y, z, k: x[0] @ x[0],
    "zero_product":           lambda x, y, z, k: sg.zeros((2, 3), x.dtype) @ x.mT,
    "product_zero":           lambda x, y, z, k: x @ sg.zeros((3, 2), x.dtype),
    "product_negative_left":  lambda x, y, z, k: -x @ y.mT,
    "product_negative_right": lambda x, y, z, k: x.mT @ -y,
    "product_scaled_left":    lambda x, y, z, k: (2 * x) @ y.mT,
    "product_scaled_right":   lambda x, y, z, k: x.mT @ (2 * y),
    "trace_of_product":       lambda x, y, z, k: sg.trace(x.mT @ y),
    "diagonal_of_product":    lambda x, y, z, k: sg.diag(x.mT @ y),
    "sum_of_product":         lambda x, y, z, k: sg.sum(x.mT @ y, axis=0),
    "product_common_left":    lambda x, y, z, k: x.mT @ y + x.mT @ z,
    "product_common_right":   lambda x, y, z, k: y.mT @ x + z.mT @ x,
    "product_order":          lambda x, y, z, k: x @ y.mT @ z[:, :1],
}
# fmt: on
