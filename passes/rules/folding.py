"""Values that depend on no input are computed now."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph import functions as f
from symgraph.functions.variables import size_value
from symgraph.ops import elementwise as e
from symgraph.ops import leaves
from symgraph.ops import shape as s
from symgraph.passes.rules.pattern import SMALL, Node
from symgraph.passes.rules.rule import EXACT, ROUNDING, Match, Rule
from symgraph.sizes import Size
from symgraph.tensor import Tensor
from symgraph.types import TensorType

__all__ = ["FOLDING"]

_CONSTANTS = frozenset((leaves.constant,))


def _fixed(value: Any) -> bool:
    """Whether an attribute holds no symbolic size."""
    if isinstance(value, tuple):
        return all(map(_fixed, value))
    return not isinstance(value, Size)


def _foldable(node: Tensor) -> bool:
    if (
        not isinstance(node.type, TensorType)
        or node.op is s.broadcast_to
        or "checked" in node.op.traits
    ):
        return False
    if not _fixed(node.shape) or not _fixed(tuple(node.attrs.values())):
        return False
    return bool(node.size <= max(SMALL, *(i.size for i in node.inputs)))


def _fold(m: Match) -> Tensor | None:
    """The value as a constant; it never gets larger than 64 elements or its largest input."""
    if not _foldable(m.node):
        return None
    with np.errstate(all="ignore"):
        arrays = [i.attrs["value"] for i in m.node.inputs]
        value = m.node.op.evaluate(*arrays, **m.node.attrs)
    return f.constant(np.asarray(value, m.node.dtype))


def _exactly(m: Match) -> bool:
    return "exact" in m.node.op.traits


def _static_size(m: Match) -> Tensor | None:
    dim = m.node.attrs["dim"]
    return size_value(dim, m.node.dtype) if isinstance(dim, int) else None


def _cast_size(m: Match) -> Tensor | None:
    """A size in another dtype, where every size is a number of it."""
    if m.node.dtype.kind != "f" and m.node.dtype.itemsize < 8:
        return None
    return size_value(m.node.inputs[0].attrs["dim"], m.node.dtype)


# fmt: off
FOLDING: tuple[Rule, ...] = (
    Rule("fold_exact",   Node(children=_CONSTANTS, every=True), _fold, EXACT, _exactly),
    Rule("fold",         Node(children=_CONSTANTS, every=True), _fold, ROUNDING),
    Rule("fold_size",    Node(frozenset((leaves.size,))), _static_size, EXACT),
    Rule("cast_size",
        Node(frozenset((e.astype,)), children=frozenset((leaves.size,))), _cast_size, EXACT),
)
# fmt: on
