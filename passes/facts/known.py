"""What is known of one value's elements, and how bounds are rounded to its dtype.

Bounds hold for what is *computed*: rounding to nearest is monotone, so a bound that goes through
the same operation and the same rounding bounds the results. Python's floats are wide enough that
one more rounding gives float32 arithmetic exactly. Functions that are not correctly rounded get
bounds a few units wider.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from symgraph.tensor import Tensor
from symgraph.types import DTYPES, DType, TupleType

__all__ = ["INF", "Known", "constant", "limits_of", "made", "unknown", "wider"]

INF = math.inf
Array = np.ndarray[Any, Any]


class Known(NamedTuple):
    """Facts about every element of a value.

    All but ``positive`` hold as computed, for any inputs. Elements that are not NaN lie in
    ``lo .. hi``.
    """

    lo: float
    hi: float
    #: some element may be NaN
    nan: bool = True
    #: some element may be a negative zero
    minus: bool = True
    #: no element is a zero
    nonzero: bool = False
    #: elements that are finite are integers
    integral: bool = False
    #: greater than zero in mathematics, for finite inputs
    positive: bool = False

    @property
    def finite(self) -> bool:
        return not self.nan and not self.infinite

    @property
    def infinite(self) -> bool:
        """Whether some element may be infinite."""
        return self.lo == -INF or self.hi == INF

    @property
    def below(self) -> bool:
        """Whether some element may have a sign bit."""
        return self.lo < 0 or self.minus

    @property
    def zero(self) -> bool:
        """Whether some element may be zero."""
        return not self.nonzero


@functools.lru_cache(maxsize=32)
def limits_of(dtype: DType) -> tuple[float, float]:
    """The least and the greatest value of a dtype."""
    if dtype.kind == "f":
        return -INF, INF
    if dtype.kind == "b":
        return 0, 1
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def unknown(x: Tensor) -> Known:
    """All that the dtype says."""
    if isinstance(x.type, TupleType):
        return Known(-INF, INF)
    return made(x.dtype, *limits_of(x.dtype))


#: the relative rounding error of a dtype, twice, and its least positive number
_UNITS = {
    d: (float(np.finfo(d).eps), float(np.finfo(d).smallest_subnormal))
    for d in DTYPES.values()
    if d.kind == "f"
}


_LARGEST = float(np.finfo(np.float32).max)


def _rounded(v: float, dtype: DType) -> float:
    if dtype.itemsize == 8 or math.isinf(v):
        return float(v)
    if abs(v) <= _LARGEST:
        return float(np.float32(v))
    with np.errstate(over="ignore"):
        return float(np.float32(v))


def made(
    dtype: DType,
    lo: float,
    hi: float,
    *,
    nan: bool = True,
    minus: bool = True,
    nonzero: bool = False,
    integral: bool = False,
    positive: bool = False,
) -> Known:
    """Facts with bounds rounded to ``dtype``; an integer that may leave its range wraps."""
    if dtype.kind == "f":
        lo = -INF if math.isnan(lo) else _rounded(lo, dtype)
        hi = INF if math.isnan(hi) else _rounded(hi, dtype)
        nonzero = nonzero or lo > 0 or hi < 0
        possible = not nonzero and lo <= 0 <= hi
        return Known(lo, hi, nan, minus and possible, nonzero, integral, positive or lo > 0)
    least, most = limits_of(dtype)
    if not (least <= lo and hi <= most):
        lo, hi, nonzero, positive = least, most, False, False
    nonzero = nonzero or lo > 0 or hi < 0
    return Known(lo, hi, False, False, nonzero, True, positive or lo > 0)


def wider(dtype: DType, lo: float, hi: float) -> tuple[float, float]:
    """Bounds for a function computed to a few units in the last place; signs stay."""
    eps, least = _UNITS[dtype]
    if lo and not math.isinf(lo):
        slack = 8 * (eps * abs(lo) + least)
        lo = max(lo - slack, 0) if lo > 0 else lo - slack
    if hi and not math.isinf(hi):
        slack = 8 * (eps * abs(hi) + least)
        hi = min(hi + slack, 0) if hi < 0 else hi + slack
    return lo, hi


def constant(value: Array) -> Known:
    """What there is to know of a literal."""
    kind = value.dtype.kind
    if value.size == 0:
        return Known(0, 0, False, False, True, True, True)
    if kind != "f":
        lo, hi = int(value.min()), int(value.max())
        return Known(lo, hi, False, False, bool(value.all()), True, kind != "b" and lo > 0)
    low, high = float(np.fmin.reduce(value, axis=None)), float(np.fmax.reduce(value, axis=None))
    if math.isnan(low):
        return Known(-INF, INF)
    return Known(
        low,
        high,
        bool(np.isnan(value).any()),
        bool(((value == 0) & np.signbit(value)).any()),
        bool((value != 0).all()),
        bool((np.isinf(value) | (value == np.trunc(value))).all()),
        bool((value > 0).all()),
    )
