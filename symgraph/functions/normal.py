"""The standard normal distribution function and its logarithm, right in both tails."""

from __future__ import annotations

import math
from typing import Any

from symgraph.functions.elementwise import erfc, log1p, log_erfc, where
from symgraph.functions.variables import as_tensor, cast
from symgraph.tensor import Tensor
from symgraph.types import float_for

__all__ = ["log_ndtr", "ndtr"]

HALF_ROOT = math.sqrt(0.5)


def _floating(x: Any, what: str) -> Tensor:
    t = as_tensor(x, what)
    return cast(t, float_for(t.dtype))


def ndtr(x: Any, /) -> Tensor:
    """The probability that a standard normal variable is at most x."""
    return 0.5 * erfc(_floating(x, "ndtr") * -HALF_ROOT)


def log_ndtr(x: Any, /) -> Tensor:
    """The logarithm of ``ndtr``, without underflow on the left nor cancellation on the right."""
    t = _floating(x, "log_ndtr")
    right = log1p(-0.5 * erfc(t * HALF_ROOT))
    return where(t > 0, right, log_erfc(t * -HALF_ROOT) - math.log(2))
