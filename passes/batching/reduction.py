"""Reductions, row functions and running sums: the axes move one place."""

from __future__ import annotations

from symgraph.ops import reduction as r
from symgraph.passes.batching.forms import Call, shifted, table
from symgraph.tensor import Tensor


def _over_axes(call: Call) -> Tensor:
    return call.again(call.inputs[0], axis=shifted(call.node.attrs["axis"]))


def _running(call: Call) -> Tensor:
    inputs = [call.full(k) for k in range(len(call.inputs))]
    return call.again(*inputs, axis=call.node.attrs["axis"] + 1)


table(
    {
        **dict.fromkeys(
            (
                r.sum_, r.prod, r.max_, r.min_, r.any_, r.all_, r.argmax, r.argmin,
                r.max_and_argmax, r.norm, r.logsumexp, r.softmax, r.log_softmax,
            ),
            _over_axes,
        ),
        r.cumulative_sum: _running,
        r.linear_recurrence: _running,
    }
)  # fmt: skip
