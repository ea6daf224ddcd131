"""The pieces that batching rules are written in.

A rule is given one node with the new inputs, some of which have a leading batch axis, and builds
the node's values for the whole batch: the batch axis first, then the axes of the node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from symgraph import functions as f
from symgraph.errors import UnsupportedError
from symgraph.op import Op
from symgraph.ops.reduction import item
from symgraph.sizes import Dim
from symgraph.tensor import Tensor, apply, describe
from symgraph.types import TupleType

__all__ = ["NOT_BATCHED", "RULES", "Call", "Rule", "rule_of", "shifted", "table"]


@dataclass(frozen=True, slots=True)
class Call:
    """One node to be computed for ``size`` values at once; ``batched`` says which inputs vary."""

    node: Tensor
    inputs: tuple[Tensor, ...]
    batched: tuple[bool, ...]
    size: Dim

    def aligned(self, position: int, rank: int) -> Tensor:
        """The input with axes of size 1 after the batch axis, to broadcast as at ``rank`` axes."""
        x = self.inputs[position]
        missing = rank - x.ndim + 1
        if not self.batched[position] or missing <= 0:
            return x
        return f.expand_dims(x, tuple(range(1, 1 + missing)))

    def full(self, position: int) -> Tensor:
        """The input with a batch axis, repeated along it where it does not vary."""
        x = self.inputs[position]
        return x if self.batched[position] else f.broadcast_to(x, (self.size, *x.shape))

    def again(self, *inputs: Tensor, **changed: object) -> Tensor:
        """The node's operation on other inputs, with some attributes changed."""
        attrs = {**self.node.attrs, **changed}
        return apply(self.node.op, inputs, tuple(attrs.items()))


Rule = Callable[[Call], Tensor]

#: The batching rule of every operation that has one of its own; element-wise ops share one.
RULES: dict[Op, Rule] = {}

#: The operations that cannot be computed for many values at once, and why.
NOT_BATCHED: dict[Op, str] = {}


def table(entries: dict[Op, Rule]) -> None:
    """File a family's rules."""
    RULES.update(entries)


def shifted(axes: tuple[int, ...]) -> tuple[int, ...]:
    """Axes of one value as axes of the batch."""
    return tuple(a + 1 for a in axes)


def _elementwise(call: Call) -> Tensor:
    rank = call.node.ndim
    return call.again(*[call.aligned(k, rank) for k in range(len(call.inputs))])


def _one_by_one(call: Call) -> Tensor:
    """An operation nobody wrote a rule for: once per value, the results joined."""
    node, size = call.node, call.size
    if type(size) is not int or isinstance(node.type, TupleType):
        raise UnsupportedError(
            f"batch: {describe(node)} has no batching rule, and {size} values of {node.type} "
            "cannot be written out one by one; add one: symgraph.passes.batching.RULES[op] = rule"
        )
    if size == 0:
        return f.zeros((0, *node.shape), node.dtype)
    parts = []
    for at in range(size):
        chosen = [x[at] if b else x for x, b in zip(call.inputs, call.batched, strict=True)]
        parts.append(call.again(*chosen))
    return f.stack(parts)


def rule_of(op: Op) -> Rule:
    """The rule that computes ``op`` for a batch.

    Raises:
        UnsupportedError: the operation cannot be batched; the message says why.
    """
    if op in NOT_BATCHED:
        raise UnsupportedError(
            f"batch: {op.name} cannot be computed for many values: {NOT_BATCHED[op]}"
        )
    found = RULES.get(op)
    if found is not None:
        return found
    return _elementwise if op.elementwise else _one_by_one


def _item(call: Call) -> Tensor:
    return call.again(*call.inputs)


table({item: _item})
