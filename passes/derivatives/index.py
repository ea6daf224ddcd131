"""Derivatives of indexing: reads add back where they read; writes split the cotangent."""

from __future__ import annotations

from typing import Any

from symgraph import functions as f
from symgraph.functions.creation import iota
from symgraph.op import Derivative
from symgraph.ops import index as i
from symgraph.passes.derivatives.forms import table, undefined, zeros_of
from symgraph.sizes import product
from symgraph.tensor import Tensor, apply


def _gather_transpose(node: Tensor, g: Tensor) -> tuple[Any, ...]:
    x, *indices = node.inputs
    back = apply(i.scatter_add, (zeros_of(x), g, *indices), (("axes", node.attrs["axes"]),))
    return back, *(None,) * len(indices)


def _gather_tangent(node: Tensor, tangents: tuple[Any, ...]) -> Tensor:
    return apply(i.gather, (tangents[0], *node.inputs[1:]), (("axes", node.attrs["axes"]),))


def _read(node: Tensor, g: Tensor) -> Tensor:
    return apply(i.gather, (g, *node.inputs[2:]), (("axes", node.attrs["axes"]),))


def _scatter_add_transpose(node: Tensor, g: Tensor) -> tuple[Any, ...]:
    return g, _read(node, g), *(None,) * (len(node.inputs) - 2)


def _write(op: Any, node: Tensor, base: Tensor, updates: Tensor) -> Tensor:
    return apply(op, (base, updates, *node.inputs[2:]), (("axes", node.attrs["axes"]),))


def _scatter_add_tangent(node: Tensor, tangents: tuple[Any, ...]) -> Tensor:
    base = tangents[0] if tangents[0] is not None else zeros_of(node)
    if tangents[1] is None:
        return base
    return _write(i.scatter_add, node, base, tangents[1])


def _winners(node: Tensor) -> Tensor:
    """Where an update is the one that stays: the last of those written to its place."""
    updates = node.inputs[1]
    serial = f.reshape(iota(product(updates.shape)), updates.shape)
    blank = f.full(node.shape, -1, "int64")
    return f.equal(_read(node, _write(i.scatter_set, node, blank, serial)), serial)


def _scatter_set_transpose(node: Tensor, g: Tensor) -> tuple[Any, ...]:
    updates = node.inputs[1]
    erased = _write(i.scatter_set, node, g, zeros_of(updates))
    taken = f.where(_winners(node), _read(node, g), f.zeros((), g.dtype))
    return erased, taken, *(None,) * (len(node.inputs) - 2)


def _scatter_set_tangent(node: Tensor, tangents: tuple[Any, ...]) -> Tensor:
    base = tangents[0] if tangents[0] is not None else zeros_of(node)
    updates = tangents[1] if tangents[1] is not None else zeros_of(node.inputs[1])
    return _write(i.scatter_set, node, base, updates)


table(
    {
        i.gather: Derivative(transpose=_gather_transpose, jvp=_gather_tangent, structural=True),
        i.scatter_add: Derivative(
            transpose=_scatter_add_transpose, jvp=_scatter_add_tangent, structural=True
        ),
        i.scatter_set: Derivative(
            transpose=_scatter_set_transpose, jvp=_scatter_set_tangent, structural=True
        ),
        i.nonzero: undefined("the positions of a mask are discrete"),
    }
)
