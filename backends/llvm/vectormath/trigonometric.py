"""sin, cos, tan and their inverses.

``x = n pi/2 + r + low`` with ``|r| <= pi/4``: for ``|n| < 2**20`` the multiples of the first three
parts of pi/2 are exact; larger arguments of any lane go through one internal function that
multiplies by the needed window of the bits of 2/pi (Payne and Hanek). This is the float64 code, and
the float32 code of processors without fused multiply-add.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from symgraph.backends.llvm.builder import Value
from symgraph.backends.llvm.vectormath.avx512 import has_avx512
from symgraph.backends.llvm.vectormath.floating import (
    Ints,
    Mask,
    Real,
    fast_two_sum,
    quotient,
    two_sum,
    via_double,
    where,
)
from symgraph.backends.llvm.vectormath.payne_hanek import reduce_huge
from symgraph.backends.llvm.vectormath.single_arcsine import single_acos, single_asin
from symgraph.backends.llvm.vectormath.single_arctangent import single_atan, single_atan2
from symgraph.backends.llvm.vectormath.single_trigonometric import (
    single_cos,
    single_sin,
    single_tan,
)
from symgraph.backends.llvm.vectormath.table_arctangent import table_atan, table_atan2

__all__ = ["acos", "asin", "atan", "atan2", "cos", "sin", "tan"]

TWO_OVER_PI = 0.6366197723675814
# pi/2 in three parts of 33 bits and the rest.
HALF_PI_PARTS = (
    float.fromhex("0x1.921fb54400000p+0"),
    float.fromhex("0x1.0b4611a600000p-34"),
    float.fromhex("0x1.3198a2e000000p-69"),
    float.fromhex("0x1.b839a252049c1p-104"),
)
# With fused multiply-add: pi/2 rounded, 33 bits of the rest, and what is left then.
FUSED_HALF_PI = (
    float.fromhex("0x1.921fb54442d18p+0"),
    float.fromhex("0x1.1a62633100000p-54"),
    float.fromhex("0x1.1701b839a2520p-88"),
)
FAST_LIMIT = 2.0**20
# Below this sin(x) and tan(x) round to x.
TINY = 2.0**-27
# (sin(r) - r) / r**3 in r**2 on |r| <= pi/4: error 2**-37.6, 2**-56.8 of sin(r).
SIN_TAIL = {
    "single": (
        -0.16666666641441202,
        0.00833332936331569,
        -0.00019839327311492195,
        2.7182379824167034e-06,
    ),
    "double": (
        -0.16666666666666632,
        0.00833333333332233,
        -0.0001984126982973572,
        2.7557313665036786e-06,
        -2.505075363763812e-08,
        1.5896521968442863e-10,
    ),
}
# (cos(r) - 1 + r**2 / 2) / r**4 in r**2, same interval: 2**-42.9, 2**-59.2 of cos(r).
COS_TAIL = {
    "single": (
        0.04166666661910761,
        -0.0013888883467278693,
        2.479945155042779e-05,
        -2.72050460847926e-07,
    ),
    "double": (
        0.041666666666666595,
        -0.0013888888888872902,
        2.4801587288751307e-05,
        -2.7557314149269655e-07,
        2.0875696633869967e-09,
        -1.1358312609903244e-11,
    ),
}


@dataclass(frozen=True, slots=True)
class Angle:
    """``x`` modulo a quarter turn, ``r + low``, and which quarter in two bits of ``quarter``."""

    r: Real
    low: Real
    quarter: Ints


def reduce(x: Real, grade: str) -> Angle:
    """The angle of any finite ``x``; NaN for others."""
    huge = (x.abs() >= FAST_LIMIT) & (x.abs() < math.inf)
    fast = reduce_moderate(x, grade)
    b = x.b
    merged = b.choose(
        huge.any(),
        lambda: select_huge(x, huge, fast),
        lambda: [fast.r.value, fast.low.value, fast.quarter.value],
    )
    return Angle(Real(b, merged[0]), Real(b, merged[1]), Ints(b, merged[2]))


def select_huge(x: Real, huge: Mask, fast: Angle) -> list[Value]:
    r, low, n = reduce_huge(where(huge, x, FAST_LIMIT))
    quarter = (n + x.format.magic).bits()
    picked = x.b.select(huge.value, quarter.value, fast.quarter.value)
    return [where(huge, r, fast.r).value, where(huge, low, fast.low).value, picked]


def reduce_moderate(x: Real, grade: str) -> Angle:
    """Cody and Waite's reduction, for ``|x| < 2**20``."""
    first, second, third, rest = HALF_PI_PARTS
    shifted = x.mad(TWO_OVER_PI, x.format.magic)
    n = shifted - x.format.magic
    if x.fuses and grade == "double":
        return reduce_fused(x, n, shifted.bits())
    r = x - n * first
    if grade == "single":
        # 24 bits of x: the multiple of pi/2 nearest to it is never nearer than 2**-34.
        return Angle(r - n * (second + third), x.const(0.0), shifted.bits())
    r, low = two_sum(r, -(n * second))
    # Where the subtraction cancels, low is zero and each step below is exact.
    r, low = two_sum(r, low - n * third)
    r, low = fast_two_sum(r, low - n * rest)
    return Angle(r, low, shifted.bits())


def reduce_fused(x: Real, n: Real, quarter: Ints) -> Angle:
    """``x - n pi/2``; the first step is exact, and so is the product in the second."""
    first, second, third = FUSED_HALF_PI
    head = n.mad(-first, x)
    r = n.mad(-second, head)
    # What rounding r took away is exact too.
    return Angle(r, n.mad(-third, n.mad(-second, head - r)), quarter)


def sin_of_angle(angle: Angle, grade: str) -> tuple[Real, Real]:
    """``sin(r + low)`` as a leading part and a rest."""
    r, low = angle.r, angle.low
    z = r * r
    curve = r * z * z.poly(SIN_TAIL[grade])
    if grade == "single":
        return r, curve
    # sin(r + low) = sin(r) + low cos(r)
    return r, curve + low.mad(z * -0.5, low)


def cos_of_angle(angle: Angle, grade: str) -> tuple[Real, Real]:
    """``cos(r + low)`` as a leading part and a rest."""
    r, low = angle.r, angle.low
    z = r * r
    half = z * 0.5
    whole = 1.0 - half
    curve = (z * z).mad(z.poly(COS_TAIL[grade]), (1.0 - whole) - half)
    return whole, curve if grade == "single" else curve - r * low


def flip(value: Real, bit: Ints) -> Real:
    """The negative where bit 1 of ``bit`` is set."""
    top = value.format.bits - 2
    return (value.bits() ^ ((bit & 2) << top)).real()


def choose_by_quarter(angle: Angle, even: tuple[Real, Real], odd: tuple[Real, Real]) -> Real:
    """The sum of the pair for even or odd quarters."""
    is_even = (angle.quarter & 1).is_zero()
    return where(is_even, even[0], odd[0]) + where(is_even, even[1], odd[1])


def sin(x: Real) -> Real:
    if x.fuses and not x.double:
        return single_sin(x, lambda wide: double_sin(wide, "single"))
    return portable_sin(x)


def double_sin(x: Real, grade: str) -> Real:
    angle = reduce(x, grade)
    value = choose_by_quarter(angle, sin_of_angle(angle, grade), cos_of_angle(angle, grade))
    return where(x.abs() < TINY, x, flip(value, angle.quarter))


portable_sin = via_double(double_sin)


def cos(x: Real) -> Real:
    if x.fuses and not x.double:
        return single_cos(x, lambda wide: double_cos(wide, "single"))
    return portable_cos(x)


def double_cos(x: Real, grade: str) -> Real:
    angle = reduce(x, grade)
    value = choose_by_quarter(angle, cos_of_angle(angle, grade), sin_of_angle(angle, grade))
    return flip(value, angle.quarter + 1)


portable_cos = via_double(double_cos)


def tan(x: Real) -> Real:
    if x.fuses and not x.double:
        return single_tan(x, lambda wide: double_tan(wide, "single"))
    return portable_tan(x)


def double_tan(x: Real, grade: str) -> Real:
    angle = reduce(x, grade)
    s, s_low = fast_two_sum(*sin_of_angle(angle, grade))
    c, c_low = fast_two_sum(*cos_of_angle(angle, grade))
    even = (angle.quarter & 1).is_zero()
    n, d = where(even, s, -c), where(even, c, s)
    if grade == "single":
        return where(x.abs() < TINY, x, n / d)
    value = quotient(n, where(even, s_low, -c_low), d, where(even, c_low, s_low))
    return where(x.abs() < TINY, x, value)


portable_tan = via_double(double_tan)


# (asin(x) - x) / x**3 in x**2 on |x| <= 1/2: 2**-31.8, 2**-55.8 of asin(x).
ASIN_TAIL = {
    "single": (
        0.1666665999740751,
        0.07500503853523048,
        0.04451700881424422,
        0.03180737132195385,
        0.014439530676343761,
        0.03751565873599303,
    ),
    "double": (
        0.16666666666665408,
        0.07500000000337176,
        0.044642856828189775,
        0.030381959142890783,
        0.022371757903737372,
        0.017359707041167294,
        0.013885212359940096,
        0.01216936712399397,
        0.006527287097750299,
        0.019530190361931897,
        -0.01622733784984897,
        0.03191442727642298,
    ),
}
# (atan(t) - t) / t**3 in t**2 on |t| <= tan(pi/8): 2**-35.3, 2**-57.3 of atan(t).
ATAN_TAIL = {
    "single": (
        -0.3333333250037366,
        0.19999903997257792,
        -0.14282009574887633,
        0.11044705411239682,
        -0.0847630382963943,
        0.047440457477030254,
    ),
    "double": (
        -0.333333333333332,
        0.19999999999953205,
        -0.1428571428016217,
        0.1111111078192529,
        -0.09090897718379998,
        0.07692059590836145,
        -0.06663097718974993,
        0.05847848160832046,
        -0.050391390619858006,
        0.03806080426448491,
        -0.017903545453398322,
    ),
}
HALF_PI = (math.pi / 2, 6.123233995736766e-17)


def asin_parts(x: Real, grade: str) -> tuple[Real, Real, Real, Mask]:
    """``s``, ``low`` and ``curve`` with ``asin(s) = s + low + curve``, and where ``|x| > 1/2``.

    There ``s = sqrt((1 - |x|) / 2)``, and ``asin(s) = acos(|x|) / 2``; elsewhere ``s = |x|``.
    """
    a = x.abs()
    outer = a > 0.5
    z = where(outer, 0.5 - a * 0.5, a * a)
    root = where(outer, z.sqrt(), a)
    curve = root * z * z.poly(ASIN_TAIL[grade])
    if grade == "single":
        return root, root.const(0.0), curve, outer
    # The error of the square root: (z - s**2) / (2 s) with s cut so that its square is exact.
    head = root.high()
    low = (z - head * head) / (root + head) - (root - head)
    low = where(outer & (root > 0.0), low, 0.0)
    return root, low, curve, outer


def asin(x: Real) -> Real:
    return single_asin(x) if x.fuses and not x.double else portable_asin(x)


@via_double
def portable_asin(x: Real, grade: str) -> Real:
    s, low, curve, outer = asin_parts(x, grade)
    folded = HALF_PI[0] - ((s + (curve + (low - HALF_PI[1] * 0.5))) * 2.0)
    return where(outer, folded, s + curve).copysign(x)


def acos(x: Real) -> Real:
    return single_acos(x) if x.fuses and not x.double else portable_acos(x)


@via_double
def portable_acos(x: Real, grade: str) -> Real:
    s, low, curve, outer = asin_parts(x, grade)
    double = (s + (curve + low)) * 2.0
    high = where(x < 0.0, (math.pi / 2 - (s + (curve + (low - HALF_PI[1])))) * 2.0, double)
    signed, bend = s.copysign(x), curve.copysign(x)
    return where(outer, high, HALF_PI[0] - (signed + (bend - HALF_PI[1])))


# tan(pi/8); and pi/4 in two parts, small multiples of the first being exact.
TAN_EIGHTH = 0.41421356237309503
QUARTER_PI = (float.fromhex("0x1.921fb54442d00p-1"), float.fromhex("0x1.8469898cc5170p-49"))


def atan(x: Real) -> Real:
    if has_avx512(x):
        return table_atan(x) if x.double else single_atan(x)
    return portable_atan(x)


@via_double
def portable_atan(x: Real, grade: str) -> Real:
    return angle_of(x, x.const(1.0), grade)


def atan2(y: Real, x: Real) -> Real:
    """The angle of the point ``(x, y)``, in ``[-pi, pi]``; signs of zeros as in C."""
    if has_avx512(x):
        return table_atan2(y, x) if x.double else single_atan2(y, x, table_atan2)
    if x.double:
        return angle_of(y, x, "double")
    return angle_of(y.widen(), x.widen(), "single").narrow()


def angle_of(y: Real, x: Real, grade: str) -> Real:
    """``c pi/4 + sign * atan(t)`` with ``0 <= c <= 4`` and ``|t| <= tan(pi/8)``."""
    ay, ax = y.abs(), x.abs()
    swap = ay > ax
    a, b = shrink(where(swap, ax, ay), where(swap, ay, ax), grade)
    steep = a > b * TAN_EIGHTH
    t = tangent(a, b, steep, grade)
    z = t * t
    curve = t * z * z.poly(ATAN_TAIL[grade])
    left = x.copysign_of_one()
    c = where(steep, x.const(1.0), 0.0)
    c = where(swap, 2.0 - c, c)
    c = where(left < 0.0, 4.0 - c, c)
    sign = where(swap, -left, left)
    total, lost = fast_two_sum(c * QUARTER_PI[0], sign * t)
    return (total + (lost + sign.mad(curve, c * QUARTER_PI[1]))).copysign(y)


def tangent(a: Real, b: Real, steep: Mask, grade: str) -> Real:
    """``a / b``, or ``(a - b) / (a + b)`` where steep."""
    n, d = where(steep, a - b, a), where(steep, a + b, b)
    t = n / where(b.equals(0.0), b.const(1.0), d)
    if grade == "single":
        return t
    # What the rounding of the sum and of the difference took away.
    d_low, n_low = a - (d - b), a - (n + b)
    return t + where(steep, (n_low - t * d_low) / d, 0.0)


def shrink(a: Real, b: Real, grade: str) -> tuple[Real, Real]:
    """The same ratio ``a / b``, ``a <= b``, with ``a + b`` finite; two infinities become ones."""
    infinite = a.equals(math.inf) & b.equals(math.inf)
    a, b = where(infinite, a.const(1.0), a), where(infinite, b.const(1.0), b)
    if grade == "single":
        return a, b
    factor = where(b > 2.0**1000, b.const(2.0**-100), 1.0)
    return a * factor, b * factor
