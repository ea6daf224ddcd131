"""float32 sin, cos and tan, for processors with fused multiply-add.

``x = n pi/2 + r + low`` with ``|r| <= pi/4``: with pi/2 in three parts the first step is exact and
the error of the second is known. Larger arguments of any lane go through float64 lanes, in a
function that is emitted once per module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from symgraph.backends.llvm.builder import Builder, lanes_of, vector_type
from symgraph.backends.llvm.vectormath.avx512 import has_avx512
from symgraph.backends.llvm.vectormath.floating import (
    Ints,
    Real,
    by_pieces,
    fast_two_sum,
    quotient,
    where,
)
from symgraph.backends.llvm.vectormath.table_exponential import ratio

__all__ = ["single_cos", "single_sin", "single_tan"]

TWO_OVER_PI = 0.6366197723675814
HALF_PI_PARTS = (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15)
FAST_LIMIT = 2.0**15
WIDE_LANES = 8
# (sin(r) - r) / r**3, (cos(r) - 1 + r**2 / 2) / r**4 and (tan(r) - r) / r**3 in r**2 on
# |r| <= pi/4: errors 2**-27.9, 2**-33.0 and 2**-29.5 of the function.
SIN_TAIL = (-0.16666655242443085, 0.008332189172506332, -0.00019518277258612216)
COS_TAIL = (0.04166664555668831, -0.0013887309469282627, 2.4432327336398885e-05)
TAN_TAIL = (
    0.33333349227905273,
    0.1333267241716385,
    0.05405944585800171,
    0.021282769739627838,
    0.010837703943252563,
    8.385919500142336e-05,
    0.00438036909326911,
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
    curve = z.mad(TAN_TAIL[0], (z * z) * z.poly(TAN_TAIL[1:]))
    # What the rounding of the square took away counts 0.6 times at the end of the range.
    low = (r * r.mad(r, -z)).mad(0.6, (z * low).mad(1.5, low))
    t, t_low = fast_two_sum(r, r.mad(curve, low))
    even, one = (angle.quarter & 1).is_zero(), x.const(1.0)
    n, d = where(even, t, -one), where(even, one, t)
    divide = ratio if has_avx512(x) else lambda n, d: quotient(*n, *d)
    value = divide((n, where(even, t_low, 0.0)), (d, where(even, x.const(0.0), t_low)))
    signed = value.bits() ^ (x.bits() & sign_bit(x))
    return with_large(x, signed.real(), "tan", wide)


def reduce(x: Real) -> Angle:
    """The angle of ``|x| < FAST_LIMIT``."""
    first, second, third = HALF_PI_PARTS
    shifted = x.mad(TWO_OVER_PI, x.format.magic)
    n = shifted - x.format.magic
    head = n.mad(-first, x)
    product = n * second
    lost = n.mad(second, -product)
    r, low = fast_two_sum(head, -product)
    return Angle(r, n.mad(-third, low - lost), shifted.bits())


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
    moderate = x.abs() < FAST_LIMIT
    merged = x.b.choose(
        (~moderate).any(),
        lambda: [where(moderate, value, call_wide(x, name, wide)).value],
        lambda: [value.value],
    )
    return Real(x.b, merged[0])


def call_wide(x: Real, name: str, wide: Callable[[Real], Real]) -> Real:
    """``wide`` between conversions, in a function that is emitted once per module."""
    b = x.b
    type_ = vector_type("float", WIDE_LANES)
    function = f"wide_{name}"
    if function not in b.module.functions:
        attributes = "noinline nounwind"
        body = Builder(
            b.module, function, type_, [(type_, "x")], linkage="internal", attributes=attributes
        )
        body.ret(wide(Real(body, body.args[0]).widen()).narrow().value)
    if lanes_of(x.value.type) == 1:
        result = b.call(function, type_, [b.splat(x.value, WIDE_LANES)])
        return Real(b, b.extract(result, 0))
    return by_pieces(x, lambda part: b.call(function, type_, [part]), WIDE_LANES, x.value)
