"""Square roots in two parts (float32) and cube roots, with fused multiply-add."""

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
    """``y (1 - e)**(-2/3)`` with ``u`` near ``m**(-1/3)``, ``y = m u**2`` and ``e = 1 - u y``.

    ``x = 2**(3 q) m`` with ``1 <= m < 8``, and ``u`` has 12 or 26 bits.
    """
    a, magic = x.abs(), x.format.magic
    e = exponent_of(a)
    q = (e - 1.0).mad(1 / 3, magic) - magic
    k = q.mad(-3.0, e)
    m = scale_by_floor(a, q * -3.0)
    u = significand(a).poly(INVERSE_CBRT) * look_up(THIRDS, (k + magic).bits())
    if x.double:
        u = (u * (1 / 3)).mad((-m * u).mad(u * u, 1.0), u)
    u = u.high()
    square = u * u
    y = m * square
    low = m.mad(square, -y)
    e = (-u).mad(low, (-u).mad(y, 1.0))
    value = y + (y * e).mad(e.mad(5 / 9, 2 / 3), low)
    return fix_up(x, scale_by_floor(value, q).copysign(x), ITSELF)
