"""Operations that move elements: the batch axis stays in front, untouched."""

from __future__ import annotations

from symgraph import functions as f
from symgraph.functions.shape import place_node, slice_node
from symgraph.functions.variables import number
from symgraph.ops import shape as s
from symgraph.passes.batching.forms import Call, shifted, table
from symgraph.tensor import Tensor


def _reshape(call: Call) -> Tensor:
    return call.again(call.inputs[0], shape=(call.size, *call.node.attrs["shape"]))


def _permute(call: Call) -> Tensor:
    return call.again(call.inputs[0], axes=(0, *shifted(call.node.attrs["axes"])))


def _at_axes(call: Call) -> Tensor:
    return call.again(call.inputs[0], axes=shifted(call.node.attrs["axes"]))


def _broadcast(call: Call) -> Tensor:
    return call.again(call.aligned(0, call.node.ndim), shape=(call.size, *call.node.attrs["shape"]))


def _slice(call: Call) -> Tensor:
    a = call.node.attrs
    lengths = (call.size, *a["lengths"])
    checked = shifted(a.get("checked", ()))
    return slice_node(call.inputs[0], (0, *a["starts"]), (1, *a["steps"]), lengths, checked)


def _place(call: Call) -> Tensor:
    node, a = call.node, call.node.attrs
    starts, steps, shape = (0, *a["starts"]), (1, *a["steps"]), (call.size, *a["shape"])
    if not call.batched[1]:
        return place_node(call.inputs[0], call.inputs[1], starts, steps, shape)
    # The op takes one fill, so a fill that varies is laid around the placed values by selection.
    yes, no = number(True, f.as_tensor(True).dtype), number(False, f.as_tensor(True).dtype)
    whole = f.broadcast_to(yes, node.inputs[0].shape)
    inside = place_node(whole, no, a["starts"], a["steps"], a["shape"])
    moved = place_node(call.full(0), number(0, node.dtype), starts, steps, shape)
    return f.where(inside, moved, call.aligned(1, node.ndim))


def _concat(call: Call) -> Tensor:
    parts = [call.full(k) for k in range(len(call.inputs))]
    return call.again(*parts, axis=call.node.attrs["axis"] + 1)


table(
    {
        s.reshape: _reshape,
        s.permute_dims: _permute,
        s.expand_dims: _at_axes,
        s.squeeze: _at_axes,
        s.broadcast_to: _broadcast,
        s.slice_: _slice,
        s.place: _place,
        s.concat: _concat,
    }
)
