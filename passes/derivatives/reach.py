"""Where a strong zero goes through operations that mix elements: rows, reductions, products.

An element of an operand is live where any element of the result that it enters is live; what is
dead may be infinite or NaN, so it is replaced before the derivative is computed from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.graph import topological
from symgraph.op import Op
from symgraph.ops import elementwise as e
from symgraph.ops import leaves
from symgraph.ops import reduction as r
from symgraph.ops.product import matmul
from symgraph.passes.derivatives.forms import derivative_of, unbroadcast
from symgraph.tensor import Tensor, apply

__all__ = ["REACHES", "Reach", "is_tame", "shielded"]


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """Masks through an op: from its result to operand ``k`` (back), and the other way (ahead)."""

    back: Callable[[Tensor, int, Tensor], Tensor]
    ahead: Callable[[Tensor, int, Tensor], Tensor]


def _rows(node: Tensor, k: int, mask: Tensor) -> Tensor:
    axis = node.attrs["axis"]
    return f.broadcast_to(f.any(mask, axis=axis, keepdims=True), node.inputs[k].shape)


def _widened(node: Tensor, k: int, mask: Tensor) -> Tensor:
    return f.broadcast_to(f.expand_dims(mask, node.attrs["axis"]), node.inputs[k].shape)


def _reduced(node: Tensor, k: int, mask: Tensor) -> Tensor:
    return f.any(mask, axis=node.attrs["axis"])


def _product_back(node: Tensor, k: int, mask: Tensor) -> Tensor:
    """Rows of the left factor, columns of the right one; both along stretched leading axes."""
    x = node.inputs[k]
    lines = f.any(mask, axis=-1 - k, keepdims=True)
    whole = f.broadcast_to(lines, (*node.shape[:-2], *x.shape[-2:]))
    if whole.shape == x.shape:
        return whole
    return f.greater(unbroadcast(f.astype(whole, node.dtype), x), 0)


def _product_ahead(node: Tensor, k: int, mask: Tensor) -> Tensor:
    return f.broadcast_to(f.any(mask, axis=-1 - k, keepdims=True), node.shape)


ROWS = Reach(_rows, _rows)
REDUCED = Reach(_widened, _reduced)

REACHES: dict[Op, Reach] = {
    r.logsumexp: REDUCED,
    r.prod: REDUCED,
    r.norm: REDUCED,
    r.max_: REDUCED,
    r.min_: REDUCED,
    r.max_and_argmax: REDUCED,
    r.softmax: ROWS,
    r.log_softmax: ROWS,
    r.linear_recurrence: ROWS,
    matmul: Reach(_product_back, _product_ahead),
}

#: Operations with neither a pole nor an end of their domain, in value and in derivative.
TAME = frozenset(
    (
        e.add, e.subtract, e.multiply, e.negative, e.square, e.abs_, e.sign, e.maximum, e.minimum,
        e.clip, e.relu, e.where, e.sigmoid, e.softplus, e.tanh, e.sin, e.cos, e.atan, e.erf, e.erfc,
        e.floor, e.ceil, e.trunc, e.round_, e.stop_gradient, matmul, *REACHES,
    )
)  # fmt: skip


def is_tame(x: Tensor, known: dict[Tensor, bool]) -> bool:
    """Whether x is made from its variables without a pole on the way; ``known`` is kept."""
    for node in topological([x], known):
        known[node] = _is_tame_op(node) and all(known[i] for i in node.inputs)
    return known[x]


def _is_tame_op(node: Tensor) -> bool:
    if node.op is leaves.constant:
        return bool(np.isfinite(node.attrs["value"]).all())
    if not node.inputs or node.op in TAME:
        return True
    if node.op is e.divide:
        below = node.inputs[1]
        return below.op is leaves.size or (
            below.op is leaves.constant and bool(np.all(below.attrs["value"]))
        )
    rule = derivative_of(node.op)
    return rule is not None and rule.structural


def shielded(node: Tensor, lives: list[Tensor | None]) -> Tensor:
    """The node on operands whose dead elements are 1 (None: the operand stays as it is)."""
    inputs = tuple(
        x if live is None else f.where(live, x, number(1, x.dtype))
        for x, live in zip(node.inputs, lives, strict=True)
    )
    return apply(node.op, inputs, tuple(node.attrs.items()))
