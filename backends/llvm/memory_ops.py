"""Operations about memory that only this backend knows: copies and windows."""

from __future__ import annotations

from symgraph.op import Op
from symgraph.ops import index
from symgraph.types import DTYPES, TensorType

__all__ = ["READS_MEMORY", "copy", "inside", "window"]

#: A contiguous copy of a view.
copy = Op(
    "copy", lambda types, attrs, equations: TensorType(types[0].dtype, types[0].shape), lambda x: x
)

#: Element i of the result is element (i - start) * step of x where the mask holds, elsewhere 0.
window = Op(
    "window",
    lambda types, attrs, equations: TensorType(types[0].dtype, types[1].shape),
    lambda x, inside, starts, steps: x,
)

#: A mask of ``shape`` without memory: on each axis the positions from ``lows`` up to ``highs``.
inside = Op(
    "inside",
    lambda types, attrs, equations: TensorType(DTYPES["bool"], attrs["shape"]),
    lambda lows, highs, shape: None,
)

#: Operations that read their first operand from memory, wherever they like.
READS_MEMORY = frozenset((index.gather, window))
