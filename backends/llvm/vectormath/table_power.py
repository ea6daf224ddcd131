"""Powers from tables in registers, for processors with AVX-512; those of float32 in float64.

``a**y = 2**(y log2(a))``. For float64 results the logarithm and the product have two parts.
"""

from __future__ import annotations

from symgraph.backends.llvm.vectormath.avx512 import (
    exponent_of,
    look_up,
    scale_by_floor,
    significand_near_one,
)
from symgraph.backends.llvm.vectormath.floating import Real, fast_two_sum, where
from symgraph.backends.llvm.vectormath.table_exponential import EXP2_TAIL, LOG2_E, POWERS
from symgraph.backends.llvm.vectormath.table_logarithm import INVERSES, LOGS, split, stretch
from symgraph.backends.llvm.vectormath.table_logarithm_bases import BASES

__all__ = ["table_pow"]

# (log(1 + f) - f) / f**2 on |f| <= 0.0318: error 2**-37.3 of log(1 + f).
CURVE = (
    -0.5000000000171818,
    0.33333327048208905,
    -0.24999986570256658,
    0.20020113145967747,
    -0.16690905538377993,
)
# (2**r - 1) / r on |r| <= 1/32: error 2**-29.2 of 2**r.
SHORT_EXP2_TAIL = (0.6931471800001523, 0.2402342927844891, 0.0555059832022855)
# (log(1 + f) - f + f**2 / 2) / (f**3 / 2) on |f| <= 0.0333: error 2**-65 of log(1 + f).
DOUBLE_CURVE = (
    0.6666666666666666,
    -0.4999999999999911,
    0.3999999999999918,
    -0.3333333334400798,
    0.2857142858128232,
    -0.24999965351541342,
    0.22222190238363104,
    -0.2004164273385793,
    0.18220258237836462,
)
# Past this every power of two overflows or underflows.
END = {"float": 200.0, "double": 1100.0}


def table_pow(a: Real, y: Real) -> Real:
    """``a**y`` for positive finite ``a`` and finite ``y``; other arguments give anything."""
    return _double_pow(a, y) if a.double else _single_pow(a.widen(), y.widen()).narrow()


def _single_pow(a: Real, y: Real) -> Real:
    minus_e, f, index = split(a)
    log = (f * f).mad(f.poly(CURVE), f) + look_up(LOGS["double"], index)
    exponent = (log.mad(LOG2_E, -minus_e) * y).clamp(-END["float"], END["float"])
    return _exp2_of(exponent, None, SHORT_EXP2_TAIL)


def _double_pow(a: Real, y: Real) -> Real:
    log, log_low = _log2_parts(a)
    exponent = log * y
    low = log_low.mad(y, log.mad(y, -exponent))
    end = END["double"]
    low = where(exponent.abs() < end, low, 0.0)
    return _exp2_of(exponent.clamp(-end, end), low, EXP2_TAIL["double"])


def _exp2_of(exponent: Real, low: Real | None, tail: tuple[float, ...]) -> Real:
    """``2**(exponent + low)``."""
    magic = exponent.format.magic / 16
    shifted = (exponent if low is None else exponent + low) + magic
    n = shifted - magic
    r = exponent - n if low is None else (exponent - n) + low
    power = look_up(POWERS, shifted.bits())
    return scale_by_floor(power.mad(r * r.poly(tail), power), n)


def _log2_parts(a: Real) -> tuple[Real, Real]:
    """``log2(a)`` in two parts, the second up to 2**-11 of the first, to about 2**-63 of it."""
    base = BASES[2]["double"]
    m = significand_near_one(a)
    index = stretch(m * (4 / 3))
    leading = look_up(base.logs, index) - (exponent_of(m) - exponent_of(a))
    # 1 + f + f_low is exact.
    inverse = look_up(INVERSES["double"], index)
    product = m * inverse
    f, f_low = product - 1.0, m.mad(inverse, -product)
    half = f * 0.5
    square = f * half
    head = f - square
    low = ((f - head) - square) - f.mad(half, -square)
    # log(1 + f + f_low) - log(1 + f) = f_low (1 - f + f**2 - f**3).
    slope = 1.0 - f
    low = f_low.mad((slope + slope).mad(square, slope), low)
    low = (f * square).mad(f.poly(DOUBLE_CURVE), low)
    per, per_low = base.factor
    whole = head * per
    whole_low = head.mad(per_low, low.mad(per, head.mad(per, -whole)))
    total, lost = fast_two_sum(leading, whole)
    return total, lost + (whole_low + look_up(base.logs_low, index))
