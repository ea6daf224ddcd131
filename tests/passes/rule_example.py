"""What an example of a rule is, and how to build a node of a bare operation for one."""

from __future__ import annotations

from collections.abc import Callable

import symgraph as sg
from symgraph import Tensor
from symgraph.tensor import apply

__all__ = ["Example", "node"]

#: x, y and z have the shape (n, 3) and one floating dtype; k holds n labels 0, 1 or 2
Example = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def node(op: sg.Op, *inputs: Tensor, **attrs: object) -> Tensor:
    """The operation on its inputs, without what its public function would do first."""
    return apply(op, inputs, tuple(attrs.items()))
