"""float64 atan and atan2 from a table in registers, for processors with AVX-512.

``atan(n / d) = atan(c) + atan((n - c d) / (d + c n))`` with one ``c`` for each sixteenth of
``[0, 1]``: 0 for the first, next to its middle for the others. The last argument is then below 1/32
(1/16 in the first) and a short polynomial is enough. Each ``c`` is chosen so that its arctangent is
a multiple of 2**-51 but for 2**-62.
"""

from __future__ import annotations

from symgraph.backends.llvm.vectormath.avx512 import (
    exponent_of,
    fix_up,
    look_up,
    reciprocal_estimate,
    scale_by_floor,
)
from symgraph.backends.llvm.vectormath.floating import Mask, Real, fast_two_sum, where

__all__ = ["table_atan", "table_atan2"]

CENTERS = (
    0.0,
    0.09374999999998815,
    0.15624999999863895,
    0.2187499999986258,
    0.28124999999994105,
    0.343749999999981,
    0.4062499999999469,
    0.4687499999999968,
    0.5312499999984136,
    0.5937499999998641,
    0.6562499999999535,
    0.7187499999980259,
    0.78124999999983,
    0.8437499999978495,
    0.9062499999976232,
    0.9687499999975432,
)
ANGLES = (
    0.0,
    0.09347678115857772,
    0.15499674192261237,
    0.2153576996964266,
    0.27416745111960417,
    0.3310960767041151,
    0.3858826693980282,
    0.43833655985795517,
    0.4883339510551683,
    0.5358112379603632,
    0.5807563535676379,
    0.6231993299327643,
    0.6632029927059877,
    0.700854407883194,
    0.7362574289801231,
    0.7695264804043909,
)
# pi/2 and pi in multiples of 2**-50, and the rest.
HALF_PI = (1.5707963267948966, 6.123233995736766e-17)
PI = (3.141592653589793, 1.2246467991473532e-16)
# (atan(u) - u) / u**3 in u**2 on |u| <= 1/15.9: error 2**-62.5 of atan(u).
TAIL = (
    -0.33333333333333154,
    0.1999999999935278,
    -0.1428571352980487,
    0.11110726119319339,
    -0.09001860264024986,
)
# Past this atan is pi/2.
END = 2.0**500
# So that an estimate of n / d never reaches 1.
BELOW_ONE = 1 - 2.0**-12
# The divisor of two zeros or two infinities becomes 1; the dividend 1 if it is infinite too, and
# otherwise 0.
FINITE_DIVISOR = 0x00A00A22
NOTHING_OVER_INFINITY = 0x00800000
ONE_IF_INFINITE = 0x00A00022


def table_atan(x: Real) -> Real:
    size = x.abs().at_most(END)
    one = x.const(1.0)
    swap = size > 1.0
    offset = tuple(where(swap, x.const(part), 0.0) for part in HALF_PI)
    value = from_offset(where(swap, one, size), where(swap, size, one), swap, offset)
    return value.copysign(x)


def table_atan2(y: Real, x: Real) -> Real:
    """The angle of the point ``(x, y)``, in ``[-pi, pi]``; signs of zeros as in C."""
    ay, ax = y.abs(), x.abs()
    swap, left = ay > ax, x.copysign_of_one() < 0.0
    n, d = where(swap, ax, ay), where(swap, ay, ax)
    n = fix_up(n, fix_up(d, n, NOTHING_OVER_INFINITY), ONE_IF_INFINITE)
    d = fix_up(d, d, FINITE_DIVISOR)
    shift = -exponent_of(d)
    offset = tuple(
        where(swap, x.const(half), where(left, x.const(whole), 0.0))
        for half, whole in zip(HALF_PI, PI, strict=True)
    )
    falls = Mask(x.b, x.b.xor(swap.value, left.value))
    value = from_offset(scale_by_floor(n, shift), scale_by_floor(d, shift), falls, offset)
    return rounded_once(value, n, d).copysign(y)


def rounded_once(value: Real, n: Real, d: Real) -> Real:
    """``value``, but ``n / d`` where that is subnormal."""
    unit = 2.0 ** (value.format.bias // 2)
    small = value < value.format.tiny
    merged = value.b.choose(
        small.any(),
        lambda: [where(small, n * unit / d * (1 / unit), value).value],
        lambda: [value.value],
    )
    return Real(value.b, merged[0])


def from_offset(n: Real, d: Real, falls: Mask, offset: tuple[Real, ...]) -> Real:
    """``offset + atan(n / d)``, or the difference where ``falls``, for ``0 <= n <= d``.

    ``d`` is neither tiny nor huge.
    """
    index = (n * reciprocal_estimate(d)).mad(BELOW_ONE, 1.0).bits() >> (n.format.fraction - 4)
    center, angle = look_up(CENTERS, index), look_up(ANGLES, index)
    top, bottom = (-center).mad(d, n), center.mad(n, d)
    top = where(falls, -top, top)
    inverse = reciprocal_estimate(bottom)
    inverse = inverse.mad((-bottom).mad(inverse, 1.0), inverse)
    first = top * inverse
    rest = (-first).mad(bottom, top) * inverse
    u = first + rest
    z = u * u
    start = where(falls, n.const(-1.0), 1.0).mad(angle, offset[0])
    total, lost = fast_two_sum(start, first)
    return total + (u * z).mad(z.poly(TAIL), (lost + rest) + offset[1])
