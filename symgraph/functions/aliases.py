"""NumPy's names for functions that the Array API standard calls otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.functions.creation import zeros_like
from symgraph.functions.elementwise import (
    abs,
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_right_shift,
    divide,
    pow,
    remainder,
)
from symgraph.functions.reduction import cumulative_prod, cumulative_sum
from symgraph.functions.shape import concat, expand_dims
from symgraph.functions.variables import as_tensor
from symgraph.tensor import Tensor

__all__ = [
    "absolute", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh",
    "concatenate", "cumprod", "cumsum", "empty_like", "hstack", "invert", "left_shift", "mod",
    "power", "right_shift", "true_divide", "vstack",
]  # fmt: skip

absolute = abs
arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2
arcsinh, arccosh, arctanh = asinh, acosh, atanh
concatenate = concat
cumsum, cumprod = cumulative_sum, cumulative_prod
empty_like = zeros_like
invert, left_shift, right_shift = bitwise_invert, bitwise_left_shift, bitwise_right_shift
mod, power, true_divide = remainder, pow, divide


def vstack(arrays: Sequence[Any], /) -> Tensor:
    """The arrays joined along the first axis; vectors count as rows."""
    parts = [as_tensor(a, "vstack") for a in arrays]
    return concat([expand_dims(p, tuple(range(2 - p.ndim))) if p.ndim < 2 else p for p in parts])


def hstack(arrays: Sequence[Any], /) -> Tensor:
    """The arrays joined along the second axis; vectors along their only one."""
    parts = [expand_dims(p, 0) if p.ndim == 0 else p for p in map(as_tensor, arrays)]
    return concat(parts, axis=0 if parts and parts[0].ndim == 1 else 1)
