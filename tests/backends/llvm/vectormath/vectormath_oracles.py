"""What the functions should give: float64 NumPy and SciPy for float32, mpmath for float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import scipy.special
from vectormath_harness import Array

# Names that NumPy spells differently, or that it does not have.
_NUMPY: dict[str, Callable[..., Any]] = {
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "atanh": np.arctanh,
    "erf": scipy.special.erf,
    "erfc": scipy.special.erfc,
    "erfcx": scipy.special.erfcx,
    "pow": np.power,
    "sigmoid": scipy.special.expit,
    "softplus": lambda x: np.logaddexp(0.0, x),
}


def _erfcx(x: Any) -> Any:
    """exp(x^2) erfc(x), from its asymptotic series where that has all the digits."""
    if x < 60:
        return mpmath.exp(x * x) * mpmath.erfc(x)
    z, term, total = 1 / (2 * x * x), mpmath.mpf(1), mpmath.mpf(1)
    for k in range(1, 24, 2):
        term *= -k * z
        total += term
    return total / (x * mpmath.sqrt(mpmath.pi))


_MPMATH: dict[str, Callable[..., Any]] = {
    "exp2": lambda x: mpmath.power(2, x),
    "log2": lambda x: mpmath.log(x, 2),
    "pow": mpmath.power,
    "logaddexp": lambda a, b: max(a, b) + mpmath.log1p(mpmath.exp(-abs(a - b))),
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "erfc": lambda x: mpmath.erfc(min(x, 100)),
    "erfcx": _erfcx,
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
}
PRECISION = 140


def double_reference(name: str) -> Callable[..., Any]:
    """The function in float64 NumPy or SciPy, good to a few float64 ulps."""
    return _NUMPY[name] if name in _NUMPY else getattr(np, name)


def reference(name: str, *arrays: Array) -> Array:
    with np.errstate(all="ignore"):
        result: Array = double_reference(name)(*[a.astype("float64") for a in arrays])
    return result


def exact(name: str, *arrays: Array) -> tuple[Array, Array]:
    """The true values as unevaluated sums of two float64 arrays; NaN where there is no real one."""
    function = _MPMATH[name] if name in _MPMATH else getattr(mpmath, name)
    high, low = np.full(arrays[0].size, np.nan), np.zeros(arrays[0].size)
    with mpmath.workprec(PRECISION):
        for k, point in enumerate(zip(*[a.tolist() for a in arrays], strict=True)):
            value = function(*map(mpmath.mpf, point))
            if isinstance(value, mpmath.mpf):
                high[k] = float(value)
                low[k] = float(value - high[k]) if np.isfinite(high[k]) else 0.0
    return high, low
