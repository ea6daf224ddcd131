"""The pieces that derivative tables are written in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from symgraph.functions import as_tensor, broadcast_to, reshape, sum
from symgraph.op import Derivative, Op, Undefined
from symgraph.tensor import Tensor

__all__ = [
    "DERIVATIVES",
    "Masked",
    "Selected",
    "derivative_of",
    "table",
    "unbroadcast",
    "undefined",
]

#: The derivative of every built-in operation that has one.
DERIVATIVES: dict[Op, Derivative] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """A partial derivative that is ``weight`` where ``mask`` holds and a strong zero elsewhere."""

    mask: Tensor
    weight: Tensor | float = 1


@dataclass(frozen=True, slots=True, eq=False)
class Masked:
    """A cotangent exactly zero off ``mask``: factors met later count for nothing there."""

    value: Tensor
    mask: Tensor


def table(entries: dict[Op, Derivative]) -> None:
    """File a family's derivatives."""
    DERIVATIVES.update(entries)


def undefined(reason: str) -> Derivative:
    """No derivative exists: said, with the reason."""
    return Derivative(partials=lambda node: (Undefined(reason),) * len(node.inputs))


def derivative_of(op: Op) -> Derivative | None:
    """An op's own derivative, or the table's."""
    return op.derivative or DERIVATIVES.get(op)


def unbroadcast(g: Tensor, like: Tensor) -> Tensor:
    """``g`` summed over the axes along which ``like`` was stretched to its shape."""
    if g.shape == like.shape:
        return g
    extra = g.ndim - like.ndim
    stretched = [
        k + extra
        for k, d in enumerate(like.shape)
        if type(d) is int and d == 1 and g.shape[k + extra] != 1
    ]
    axes = (*range(extra), *stretched)
    out = sum(g, axis=axes) if axes else g
    return reshape(out, like.shape) if stretched else out


def linear_op(rule: Callable[[Tensor, Tensor], Any], structural: bool = True) -> Derivative:
    """A one-input linear op whose transpose is ``rule(node, g)`` and whose tangent is itself."""
    return Derivative(transpose=lambda node, g: (rule(node, g),), structural=structural)


def zeros_of(x: Tensor) -> Tensor:
    """Zeros of x's type."""
    return broadcast_to(as_tensor(0).astype(x.dtype), x.shape)
