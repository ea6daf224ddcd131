"""Activations built from the language, exact where textbook forms overflow or cancel."""

from __future__ import annotations

import math
from typing import Any

from symgraph.functions.elementwise import erfc, expm1, sigmoid, where
from symgraph.functions.variables import as_tensor, cast
from symgraph.tensor import Tensor
from symgraph.types import float_for

__all__ = ["elu", "gelu", "leaky_relu", "silu"]


def _floating(x: Any, what: str) -> Tensor:
    t = as_tensor(x, what)
    return cast(t, float_for(t.dtype))


def leaky_relu(x: Any, /, negative_slope: Any = 0.01) -> Tensor:
    """x where positive, ``negative_slope * x`` elsewhere; the derivative at 0 is the slope."""
    t = _floating(x, "leaky_relu")
    return where(t > 0, t, t * negative_slope)


def elu(x: Any, /, alpha: Any = 1.0) -> Tensor:
    """x where positive, ``alpha * (exp(x) - 1)`` elsewhere; the derivative at 0 is alpha."""
    t = _floating(x, "elu")
    below = where(t > 0, 0.0, t)  # so that what is not selected does not overflow
    return where(t > 0, t, alpha * expm1(below))


def gelu(x: Any, /) -> Tensor:
    """x times the standard normal distribution function at x (Hendrycks and Gimpel, 2016).

    Exact; the tail is taken from ``erfc``, since ``1 + erf`` cancels for negative x.
    """
    t = _floating(x, "gelu")
    return t * (0.5 * erfc(t * -math.sqrt(0.5)))


def silu(x: Any, /) -> Tensor:
    """x * sigmoid(x)."""
    t = _floating(x, "silu")
    return t * sigmoid(t)
