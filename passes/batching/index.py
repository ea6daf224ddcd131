"""Reads and writes at index arrays, where the array, the indices or both vary over the batch.

Where indices vary, the batch axis becomes an indexed axis too, with its own number as index.
"""

from __future__ import annotations

from symgraph import functions as f
from symgraph.functions.creation import iota
from symgraph.ops import index as i
from symgraph.passes.batching.forms import NOT_BATCHED, Call, shifted, table
from symgraph.tensor import Tensor, apply


def _rank(call: Call, first: int) -> int:
    """How many axes the broadcast indices have; they start at input ``first``."""
    return max(x.ndim for x in call.node.inputs[first:])


def _numbered(call: Call, first: int) -> tuple[Tensor, ...]:
    """The number of each value in the batch, then the indices, all aligned."""
    rank = _rank(call, first)
    line = iota(call.size)
    numbers = f.expand_dims(line, tuple(range(1, 1 + rank))) if rank else line
    return numbers, *[call.aligned(k, rank) for k in range(first, len(call.inputs))]


def _gather(call: Call) -> Tensor:
    axes = call.node.attrs["axes"]
    if not any(call.batched[1:]):
        out = call.again(*call.inputs, axes=shifted(axes))
        return f.moveaxis(out, _rank(call, 1), 0)
    if not call.batched[0]:
        rank = _rank(call, 1)
        return call.again(
            call.inputs[0], *[call.aligned(k, rank) for k in range(1, len(call.inputs))]
        )
    return call.again(call.inputs[0], *_numbered(call, 1), axes=(0, *shifted(axes)))


def _scatter(call: Call) -> Tensor:
    axes = call.node.attrs["axes"]
    base, updates = call.full(0), call.full(1)
    if not any(call.batched[2:]):
        updates = f.moveaxis(updates, 0, _rank(call, 2))
        return apply(call.node.op, (base, updates, *call.inputs[2:]), (("axes", shifted(axes)),))
    indices = _numbered(call, 2)
    return apply(call.node.op, (base, updates, *indices), (("axes", (0, *shifted(axes))),))


table({i.gather: _gather, i.scatter_add: _scatter, i.scatter_set: _scatter})

NOT_BATCHED[i.nonzero] = "each value would select another number of elements"
