"""Powers from tables in registers, for processors with AVX-512.

``a**y = 2**(y log2(a))``, the logarithm and the product in two parts. Those of float32 are in
``single_power``, float64 here.
"""

from __future__ import annotations

from symgraph.backends.llvm.vectormath.avx512 import (
    exponent_of,
    look_up,
    scale_by_floor,
    significand_near_one,
)
from symgraph.backends.llvm.vectormath.floating import Real, fast_two_sum, where
from symgraph.backends.llvm.vectormath.single_power import single_pow
from symgraph.backends.llvm.vectormath.table_exponential import EXP2_TAIL, POWERS
from symgraph.backends.llvm.vectormath.table_logarithm import INVERSES, stretch
from symgraph.backends.llvm.vectormath.table_logarithm_bases import BASES

__all__ = ["table_pow"]

# (log(1 + f) - f + f**2 / 2) / (f**3 / 2) on |f| <= 0.0333: error 2**-65 of log(1 + f).
CURVE = (
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
END = 1100.0


def table_pow(a: Real, y: Real) -> Real:
    """``a**y`` for positive finite ``a`` and finite ``y``; other arguments give anything."""
    return _double_pow(a, y) if a.double else single_pow(a, y)


def _double_pow(a: Real, y: Real) -> Real:
    log, log_low = _log2_parts(a)
    exponent = log * y
    low = log_low.mad(y, log.mad(y, -exponent))
    low = where(exponent.abs() < END, low, 0.0)
    return _exp2_of(exponent.clamp(-END, END), low)


def _exp2_of(exponent: Real, low: Real) -> Real:
    """``2**(exponent + low)``."""
    magic = exponent.format.magic / 16
    shifted = (exponent + low) + magic
    n = shifted - magic
    r = (exponent - n) + low
    power = look_up(POWERS, shifted.bits())
    return scale_by_floor(power.mad(r * r.poly(EXP2_TAIL["double"]), power), n)


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
    low = (f * square).mad(f.poly(CURVE), low)
    per, per_low = base.factor
    whole = head * per
    whole_low = head.mad(per_low, low.mad(per, head.mad(per, -whole)))
    total, lost = fast_two_sum(leading, whole)
    return total, lost + (whole_low + look_up(base.logs_low, index))
