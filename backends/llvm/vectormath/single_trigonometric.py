"""float32 sin, cos and tan, for processors with fused multiply-add.

``x = n pi/2 + r + low`` with ``|r| <= pi/4``: with pi/2 in three parts the first step is exact and
the error of the second is known. Larger arguments of any lane go through float64 lanes, in a
function that is emitted once per module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from symgraph.backends.llvm.vectormath.avx512 import has_avx512, reciprocal_estimate
from symgraph.backends.llvm.vectormath.floating import Ints, Real, fast_two_sum, where
from symgraph.backends.llvm.vectormath.wide_calls import with_rare

__all__ = ["single_cos", "single_sin", "single_tan"]

TWO_OVER_PI = 0.6366197723675814
HALF_PI_PARTS = (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15)
FAST_LIMIT = 2.0**15
# (sin(r) - r) / r**3, (cos(r) - 1 + r**2 / 2) / r**4 and (tan(r) - r) / r**3 in r**2 on
# |r| <= pi/4: errors 2**-27.9, 2**-33.0 and 2**-29.5 of the function.
SIN_TAIL = (-0.16666655242443085, 0.008332189172506332, -0.00019518277258612216)
COS_TAIL = (0.04166664555668831, -0.0013887309469282627, 2.4432327336398885e-05)
TAN_TAIL = (
    0.33333349227905273,
    0.13332675397396088,
    0.05405891314148903,
    0.021286210045218468,
    0.010827434249222279,
    9.826026507653296e-05,
    0.004372690804302692,
)


@dataclass(frozen=True, slots=True)
class Angle:
    """A number modulo a quarter turn, ``r + low``, and which quarter in two bits of ``quarter``."""

    r: Real
    low: Real
    quarter: Ints


def single_sin(x: Real, wide: Callable[[Real], Real]) -> Real:
    """``sin(x)``; ``wide`` is the function for large arguments, from float64 to float64."""
    angle = reduce(x.abs())
    value = flip(sin_or_cos(angle, angle.quarter), angle.quarter)
    signed = value.bits() ^ (x.bits() & sign_bit(x))
    return with_large(x, signed.real(), "sin", wide)


def single_cos(x: Real, wide: Callable[[Real], Real]) -> Real:
    angle = reduce(x)
    quarter = angle.quarter + 1
    return with_large(x, flip(sin_or_cos(angle, quarter), quarter), "cos", wide)


def single_tan(x: Real, wide: Callable[[Real], Real]) -> Real:
    """A polynomial, and its reciprocal in odd quarters."""
    angle = reduce(x.abs())
    r, low = angle.r, angle.low
    z = r * r
    # tan(r + low) = tan(r) + low (1 + tan(r)**2), whose square is about 1.5 z.
    low = (z * low).mad(1.5, low)
    # What the rounding of the square took away counts 0.6 times at the end of the range.
    low = (r * r.mad(r, -z)).mad(0.6, low)
    curve = (r * z).mad(z.poly(TAN_TAIL), low)
    t, t_low = fast_two_sum(r, curve)
    inverse = reciprocal_estimate(t) if has_avx512(x) else 1.0 / t
    odd = inverse.mad((-t_low).mad(inverse, (-t).mad(inverse, 1.0)), inverse)
    value = where((angle.quarter & 1).is_zero(), t, odd)
    signs = (x.bits() & sign_bit(x)) ^ (angle.quarter << (x.format.bits - 1))
    return with_large(x, (value.bits() ^ signs).real(), "tan", wide)


def reduce(x: Real) -> Angle:
    """The angle of ``|x| < FAST_LIMIT``."""
    first, second, third = HALF_PI_PARTS
    shifted = x.mad(TWO_OVER_PI, x.format.magic)
    n = shifted - x.format.magic
    head = n.mad(-first, x)
    r = head - n * second
    # head - r is exactly the rounded product.
    low = n.mad(-third, n.mad(-second, head - r))
    return Angle(r, low, shifted.bits())


def sin_or_cos(angle: Angle, quarter: Ints) -> Real:
    """The sine in even quarters, the cosine in odd ones; signs to be flipped by ``quarter & 2``."""
    r, low = angle.r, angle.low
    z = r * r
    sine = (r * z).mad(z.poly(SIN_TAIL), low)
    half = z * 0.5
    whole = 1.0 - half
    cosine = (z * z).mad(z.poly(COS_TAIL), (-r).mad(low, (1.0 - whole) - half))
    even = (quarter & 1).is_zero()
    return where(even, r, whole) + where(even, sine, cosine)


def flip(value: Real, quarter: Ints) -> Real:
    """The negative where bit 1 of ``quarter`` is set."""
    return (value.bits() ^ ((quarter & 2) << (value.format.bits - 2))).real()


def sign_bit(x: Real) -> int:
    return 1 << (x.format.bits - 1)


def with_large(x: Real, value: Real, name: str, wide: Callable[[Real], Real]) -> Real:
    """``value``, but ``wide`` of arguments past the limit (NaN of infinity) and of NaN."""
    return with_rare(~(x.abs() < FAST_LIMIT), value, name, wide, x)
