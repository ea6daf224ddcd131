"""Transposes of the ops that move elements."""

from __future__ import annotations

from typing import Any

from symgraph import functions as f
from symgraph.functions.shape import place_node, slice_axis, slice_node
from symgraph.functions.variables import number
from symgraph.op import Derivative
from symgraph.ops import shape as s
from symgraph.ops.leaves import constant
from symgraph.passes.derivatives.forms import linear_op, table, unbroadcast
from symgraph.sizes import Dim
from symgraph.tensor import Tensor


def _inverse(axes: tuple[int, ...]) -> list[int]:
    return sorted(range(len(axes)), key=lambda k: axes[k])


def _slice_transpose(node: Tensor, g: Tensor) -> Tensor:
    a, shape = node.attrs, node.inputs[0].shape
    return place_node(g, number(0, g.dtype), a["starts"], a["steps"], shape, a.get("checked", ()))


def _place_transpose(node: Tensor, g: Tensor) -> tuple[Any, ...]:
    x, fill = node.inputs
    a = node.attrs
    inside = slice_node(g, a["starts"], a["steps"], x.shape, a.get("checked", ()))
    if fill.op is constant:
        return inside, None
    # Not sum(g) - sum(inside): an infinite or large part inside would spoil the difference.
    hole = place_node(f.zeros_like(inside), number(1, g.dtype), a["starts"], a["steps"], g.shape)
    return inside, f.sum(f.where(f.equal(hole, 1), g, number(0, g.dtype)))


def _place_tangent(node: Tensor, tangents: tuple[Any, ...]) -> Tensor:
    x, fill = node.inputs
    a = node.attrs
    moved = tangents[0] if tangents[0] is not None else f.zeros_like(x)
    around = tangents[1] if tangents[1] is not None else number(0, fill.dtype)
    return place_node(moved, around, a["starts"], a["steps"], a["shape"], a.get("checked", ()))


def _concat_transpose(node: Tensor, g: Tensor) -> tuple[Any, ...]:
    axis, at, out = node.attrs["axis"], 0, []
    start: Dim = at
    for part in node.inputs:
        out.append(slice_axis(g, axis, start, part.shape[axis]))
        start = start + part.shape[axis]
    return tuple(out)


table(
    {
        s.reshape: linear_op(lambda node, g: f.reshape(g, node.inputs[0].shape)),
        s.permute_dims: linear_op(lambda node, g: f.permute_dims(g, _inverse(node.attrs["axes"]))),
        s.expand_dims: linear_op(lambda node, g: f.squeeze(g, node.attrs["axes"])),
        s.squeeze: linear_op(lambda node, g: f.reshape(g, node.inputs[0].shape)),
        s.broadcast_to: linear_op(lambda node, g: unbroadcast(g, node.inputs[0])),
        s.slice_: linear_op(_slice_transpose),
        s.place: Derivative(transpose=_place_transpose, jvp=_place_tangent, structural=True),
        s.concat: Derivative(transpose=_concat_transpose, structural=True),
    }
)
