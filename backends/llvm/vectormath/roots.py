"""Square roots in two parts (float32), and cube roots for processors with AVX-512."""

from __future__ import annotations

from symgraph.backends.llvm.vectormath.avx512 import (
    exponent_of,
    fix_up,
    has_avx512,
    look_up,
    root_estimate,
    scale_by_floor,
    significand,
)
from symgraph.backends.llvm.vectormath.floating import Real, fast_two_sum, where

__all__ = ["root_parts", "table_cbrt"]

# m**(-1/3) on [1, 2]: relative error 2**-11.9.
INVERSE_CBRT = (1.5418870449066162, -0.8099605441093445, 0.31775736808776855, -0.04993697255849838)
# 2**(-k/3).
THIRDS = (1.0, 0.7937005259840998, 0.6299605249474366, *([1.0] * 13))
# float32: R, near 1 / m, for each eighth of [1, 2), chosen so that cbrt(2**k / R) is within 2**-37
# of a float32 number, for k = 1, then k = 2; eight places without use; then k = 0.
INVERSES = (
    0.9410659074783325,
    0.8420912027359009,
    0.7617958784103394,
    0.6957466006278992,
    0.6401246786117554,
    0.5925941467285156,
    0.5515841245651245,
    0.5163062214851379,
    0.9410438537597656,
    0.8419879078865051,
    0.7620525360107422,
    0.6958045363426208,
    0.6399480700492859,
    0.5925617218017578,
    0.5518470406532288,
    0.5162947773933411,
    1.0,
    1.0,
    1.0,
    1.0,
    1.0,
    1.0,
    1.0,
    1.0,
    0.9410455822944641,
    0.8419556617736816,
    0.7619302272796631,
    0.6957705020904541,
    0.6401355862617493,
    0.5926806926727295,
    0.5515526533126831,
    0.5159666538238525,
)
CBRTS = (
    1.2856911420822144,
    1.3342082500457764,
    1.3795278072357178,
    1.421869158744812,
    1.4619139432907104,
    1.499998688697815,
    1.5362883806228638,
    1.5705106258392334,
    1.6198819875717163,
    1.6810657978057861,
    1.737900972366333,
    1.7913931608200073,
    1.8420655727386475,
    1.8899143934249878,
    1.9352946281433105,
    1.978734016418457,
    1.0,
    1.0,
    1.0,
    1.0,
    1.0,
    1.0,
    1.0,
    1.0,
    1.020461082458496,
    1.059018611907959,
    1.0948675870895386,
    1.1285253763198853,
    1.1603152751922607,
    1.190491795539856,
    1.2193760871887207,
    1.246788501739502,
)
# ((1 + f)**(1/3) - 1) / f on |f| <= 0.063: error 2**-28.7 of (1 + f)**(1/3).
CURVE = (0.33333319425582886, -0.11111092567443848, 0.06187716871500015, -0.041285380721092224)
# Zeros, infinities and NaN are their own cube roots.
ITSELF = 0x00110122


def root_parts(x: Real, low: Real | None = None) -> tuple[Real, Real]:
    """``sqrt(x + low)`` of a float32 number in two parts; its error is below 2**-27."""
    if has_avx512(x):
        inverse = where(x.equals(0.0), x.const(0.0), root_estimate(x))
        root, half = x * inverse, inverse * 0.5
    else:
        root = x.sqrt()
        half = where(x.equals(0.0), x.const(0.0), 0.5 / root)
    rest = (-root).mad(root, x)
    return fast_two_sum(root, (rest if low is None else rest + low) * half)


def table_cbrt(x: Real) -> Real:
    a = x.abs()
    value = double_cbrt(a) if x.double else single_cbrt(a)
    return fix_up(x, value.copysign(x), ITSELF)


def single_cbrt(a: Real) -> Real:
    """``2**q cbrt(2**k / R) cbrt(1 + f)`` with ``f = m R - 1``, where ``a = 2**(3 q + k) m``."""
    e, m = exponent_of(a), significand(a)
    third = e * (1 / 3)
    q = Real(a.b, a.b.intrinsic("llvm.floor", third.value))
    # k in units of 8, and the upper three bits of the fraction under those of the exponent 0.
    index = q.mad(-3.0, e + a.format.magic / 8).bits() + (m.bits() >> (a.format.fraction - 3))
    f, root = m.mad(look_up(INVERSES, index), -1.0), look_up(CBRTS, index)
    return scale_by_floor((root * f).mad(f.poly(CURVE), root), third)


def double_cbrt(a: Real) -> Real:
    """``y (1 - e)**(-2/3)`` with ``u`` near ``m**(-1/3)``, ``y = m u**2`` and ``e = 1 - u y``.

    ``a = 2**(3 q) m`` with ``1 <= m < 8``, and ``u`` has 26 bits.
    """
    magic = a.format.magic
    e = exponent_of(a)
    q = (e - 1.0).mad(1 / 3, magic) - magic
    k = q.mad(-3.0, e)
    m = scale_by_floor(a, q * -3.0)
    u = significand(a).poly(INVERSE_CBRT) * look_up(THIRDS, (k + magic).bits())
    u = (u * (1 / 3)).mad((-m * u).mad(u * u, 1.0), u).high()
    square = u * u
    y = m * square
    low = m.mad(square, -y)
    e = (-u).mad(low, (-u).mad(y, 1.0))
    return scale_by_floor(y + (y * e).mad(e.mad(5 / 9, 2 / 3), low), q)
