"""How many bits the values of a node can have: few bits mean that no backend rounds anything.

Numbers drawn as small multiples of 1/4 stay exact through sums and products, so that ops which
jump (floor, comparisons, argmax) see the same operand in every backend and after every rewrite.
"""

from __future__ import annotations

import numpy as np

from symgraph.graph import topological
from symgraph.tensor import Tensor
from symgraph.types import TensorType

__all__ = ["is_exact", "update_bits"]

#: Bits that every product or sum of so many elements of the small test arrays may add.
SUMMED = 9
INPUT_BITS = 6
LIMITS = {4: 23, 8: 52}

SAME = frozenset(
    (
        "negative", "abs", "maximum", "minimum", "clip", "relu", "where", "floor", "ceil", "trunc",
        "round", "stop_gradient", "gather", "max", "min", "scatter_set", "reshape", "permute_dims",
        "expand_dims", "squeeze", "broadcast_to", "slice", "place", "concat",
    )
)  # fmt: skip
ADDED = {"add": 1, "subtract": 1, "sum": SUMMED, "cumulative_sum": SUMMED, "scatter_add": SUMMED}
MULTIPLIED = {"multiply": 0, "square": 0, "matmul": SUMMED}


def _float_inputs(node: Tensor) -> list[Tensor]:
    typed = [i for i in node.inputs if isinstance(i.type, TensorType)]
    return [i for i in typed if i.dtype.kind == "f"]


def _constant_bits(node: Tensor) -> int | None:
    values = np.asarray(node.attrs["value"], dtype=np.float64)
    small = np.all(np.isfinite(values)) and np.all(values * 4 == np.round(values * 4))
    return INPUT_BITS if small and np.all(np.abs(values) <= 16) else None


def _count(node: Tensor, known: dict[Tensor, int | None]) -> int | None:
    name = node.op.name
    if name == "input":
        return INPUT_BITS
    if name == "constant":
        return _constant_bits(node)
    if name == "sign":
        return 1
    if name == "astype":
        source = node.inputs[0].dtype
        if source.kind == "f":
            return known[node.inputs[0]]
        return 1 if source.kind == "b" else 8 * source.itemsize
    counts = [known[i] for i in _float_inputs(node)]
    if name in SAME and None not in counts:
        return max((c for c in counts if c is not None), default=0)
    if None in counts:
        return None
    sizes = [c for c in counts if c is not None]
    if name in ADDED:
        return max(sizes) + ADDED[name]
    if name in MULTIPLIED:
        return (2 * sizes[0] if len(sizes) == 1 else sum(sizes)) + MULTIPLIED[name]
    return None


def update_bits(nodes: list[Tensor], known: dict[Tensor, int | None]) -> None:
    """Add the bits of every node under ``nodes``; None where values are rounded."""
    for node in topological(nodes, known):
        if not isinstance(node.type, TensorType) or node.dtype.kind != "f":
            known[node] = 0
            continue
        bits = _count(node, known)
        limit = LIMITS[node.dtype.itemsize]
        known[node] = bits if bits is not None and bits <= limit else None


def is_exact(node: Tensor, known: dict[Tensor, int | None]) -> bool:
    """Whether no value of ``node`` has been rounded."""
    update_bits([node], known)
    return known[node] is not None
