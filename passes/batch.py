"""Compute expressions for many values of some variables at once, by one more leading axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symgraph import functions as f
from symgraph.errors import DTypeError, ShapeError, UsageError
from symgraph.graph import topological
from symgraph.origins import deriving
from symgraph.passes.batching import Call, rule_of
from symgraph.sizes import Dim, differ
from symgraph.tensor import Tensor, describe
from symgraph.types import shape_text

__all__ = ["batch"]


def batch(outputs: Sequence[Tensor], values: Mapping[Tensor, Tensor]) -> list[Tensor]:
    """The outputs for a batch of values of some variables, batch axis first.

    ``values`` maps variables, of shape ``s``, to tensors of shape ``(size, *s)``; each output of
    shape ``t`` becomes one of shape ``(size, *t)``. What does not depend on the variables is
    computed once.

    Raises:
        UsageError, ShapeError, DTypeError: the values do not fit the variables or each other.
        UnsupportedError: an operation on the way cannot be batched.

    >>> import symgraph as sg
    >>> x, rows = sg.vector("x", shape=3), sg.matrix("rows", shape=("m", 3))
    >>> batch([sg.sum(x * x)], {x: rows})[0].shape
    (m,)
    """
    size = _size(values)
    done: dict[Tensor, Tensor] = dict(values)
    for node in topological(outputs, set(values)):
        varies = tuple([i in done for i in node.inputs])
        if any(varies):
            inputs = tuple([done.get(i, i) for i in node.inputs])
            with deriving(node, "batch"):
                done[node] = rule_of(node.op)(Call(node, inputs, varies, size))
    return [done[o] if o in done else f.broadcast_to(o, (size, *o.shape)) for o in outputs]


def _size(values: Mapping[Tensor, Tensor]) -> Dim:
    """The number of values, the same for every variable."""
    if not values:
        raise UsageError("batch: no variable is given values")
    size: Dim | None = None
    for x, many in values.items():
        if many.dtype != x.dtype:
            raise DTypeError(
                f"batch: the values of {describe(x)} are {many.dtype.name}, not {x.dtype.name}"
            )
        have, want = many.shape, x.shape
        if len(have) != len(want) + 1 or any(
            differ(a, b) for a, b in zip(have[1:], want, strict=True)
        ):
            raise ShapeError(
                f"batch: the values of {describe(x)} have shape {shape_text(have)}; "
                f"one more leading axis than {shape_text(want)} is wanted"
            )
        if size is not None and size != have[0]:
            raise ShapeError(f"batch: {size} values of one variable and {have[0]} of {describe(x)}")
        size = have[0]
    assert size is not None
    return size
