"""float32 atan and atan2 from tables in registers, for processors with AVX-512.

The point ``(x, y)`` is turned back by one of 16 angles near its own; the angles and their sines and
cosines, times a factor, are looked up. The turned point has a small ``t = y / x``, and ``atan(t)``
is a short polynomial.
"""

from __future__ import annotations

from collections.abc import Callable

from symgraph.backends.llvm.vectormath.avx512 import look_up, reciprocal_estimate
from symgraph.backends.llvm.vectormath.floating import Mask, Real, fast_two_sum, where
from symgraph.backends.llvm.vectormath.wide_calls import with_rare

__all__ = ["single_atan", "single_atan2"]

# Angle k serves quotients from (k - 1/32) STEP on. The first is 0; the last, pi/2 as float32 rounds
# it, serves all larger ones. The others lie in the middle: multiples of 2**-22, so that pi minus
# them is exact, and within 2**-36 of the arctangent of sine over cosine.
STEP = 0.265
SINES = (
    0.0,
    0.3839338719844818,
    0.6473855972290039,
    0.9100377559661865,
    1.17538321018219,
    1.4424705505371094,
    1.70820951461792,
    1.9700464010238647,
    2.23818039894104,
    2.503880739212036,
    2.7703452110290527,
    3.0313785076141357,
    3.2947912216186523,
    3.5618278980255127,
    3.831744432449341,
    1.0,
)
COSINES = (*[1.0] * 15, -4.371138828673793e-08)
ANGLES = (
    0.0,
    0.3665800094604492,
    0.5745351314544678,
    0.7383332252502441,
    0.8658459186553955,
    0.9646115303039551,
    1.041175127029419,
    1.1010854244232178,
    1.150613784790039,
    1.1908245086669922,
    1.2243859767913818,
    1.2521543502807617,
    1.276123046875,
    1.2970879077911377,
    1.3155126571655273,
    1.5707963705062866,
)
PI = (3.1415927410125732, -8.742277657347586e-08)
# (atan(t) - t) / t**3 in t**2 on |t| <= 0.2568: error 2**-25.8 of atan(t).
TAIL = [-0.33332809805870056, 0.1995118260383606, -0.12976378202438354]
# Past this atan is pi/2.
END = 2.0**60
# atan2 of coordinates between these two needs no care.
LEAST, LARGEST = 2.0**-60, 2.0**60


def single_atan(x: Real) -> Real:
    size = x.abs()
    y = size.at_most(END)
    sine, cosine, angle = nearest(size)
    value = with_quotient(angle, x.const(0.0), y.mad(cosine, -sine), y.mad(sine, cosine))
    return value.copysign(x)


def single_atan2(y: Real, x: Real, wide: Callable[[Real, Real], Real]) -> Real:
    """The angle of the point ``(x, y)``; ``wide`` is the function in float64, for rare points."""
    ay, ax = y.abs(), x.abs()
    sine, cosine, angle = nearest(ay * reciprocal_estimate(ax))
    left = x < 0.0
    start = where(left, angle - PI[0], angle)
    start_low = where(left, x.const(-PI[1]), 0.0)
    n, d = (-sine).mad(ax, ay * cosine), sine.mad(ay, ax * cosine)
    value = with_quotient(start, start_low, n, d).copysign(y)
    return with_rare(extreme(ax) | extreme(ay), value, "atan2", wide, y, x)


def extreme(size: Real) -> Mask:
    """Is it zero, tiny, huge, infinite or NaN?"""
    bits, least = size.bits(), size.const(LEAST).bits()
    above, span = bits - least, size.const(LARGEST).bits() - least
    return Mask(size.b, size.b.icmp("ugt", above.value, span.value))


def nearest(quotient: Real) -> tuple[Real, Real, Real]:
    """Sine and cosine (times a factor) of the angle near that of a quotient, and the angle."""
    sixteenths = quotient.at_most(15.5 * STEP).mad(1 / STEP, quotient.format.magic / 16)
    index = sixteenths.bits() >> 4
    return look_up(SINES, index), look_up(COSINES, index), look_up(ANGLES, index)


def with_quotient(start: Real, start_low: Real, n: Real, d: Real) -> Real:
    """``start + start_low + atan(n / d)``."""
    inverse = reciprocal_estimate(d)
    first = n * inverse
    rest = (-first).mad(d, n) * inverse
    t = first + rest
    z = t * t
    total, lost = fast_two_sum(start, first)
    return total + (t * z).mad(z.mad(z.mad(TAIL[2], TAIL[1]), TAIL[0]), rest + (lost + start_low))
