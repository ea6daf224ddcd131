"""What is right: the same formulas in mpmath, with as many digits as the point needs."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import mpmath as mp
import numpy as np

from stability.textbook import Formula

__all__ = ["error", "truth"]


def _elementwise(f: Any) -> Any:
    return np.frompyfunc(f, 1, 1)


EXACT = SimpleNamespace(
    exp=_elementwise(mp.exp),
    log=_elementwise(mp.log),
    sqrt=_elementwise(mp.sqrt),
    cos=_elementwise(mp.cos),
    erf=_elementwise(mp.erf),
    erfc=_elementwise(mp.erfc),
    sum=np.sum,
    prod=np.prod,
)


def truth(formula: Formula, point: Sequence[float]) -> list[float]:
    """The value, then the gradient."""
    largest = max(abs(p) for p in point)
    digits = 900 if largest > 1e4 else 900 + int(largest)
    with mp.workdps(digits):
        at = [mp.mpf(p) for p in point]
        h = max(mp.mpf(1), mp.mpf(largest)) * mp.mpf(10) ** (-digits // 3)
        if max(abs(p) for p in point) < 1e-100:
            h = mp.mpf(largest) * mp.mpf(10) ** (-digits // 3)
        value = formula.f(EXACT, np.array(at, dtype=object))
        slopes = [(_moved(formula, at, k, h) - _moved(formula, at, k, -h)) / (2 * h)
                  for k in range(len(at))]  # fmt: skip
        return [float(value), *(float(s) for s in slopes)]


def _moved(formula: Formula, at: list[Any], k: int, h: Any) -> Any:
    return formula.f(EXACT, np.array([p + h if i == k else p for i, p in enumerate(at)], object))


#: What lies below counts as zero: it is near or under the smallest normal number.
NOTHING = 1e-300


def error(got: Sequence[float] | float, want: Sequence[float] | float) -> float:
    """The largest error relative to the largest wanted number; NaN or infinity if not finite."""
    found, wanted = np.atleast_1d(got), np.atleast_1d(want)
    if not np.isfinite(found).all():
        return float("nan") if np.isnan(found).any() else float("inf")
    with np.errstate(over="ignore"):
        return float(np.max(np.abs(found - wanted)) / max(np.max(np.abs(wanted)), NOTHING))
