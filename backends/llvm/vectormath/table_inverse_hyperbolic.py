"""float32 asinh and acosh, and atanh, for processors with AVX-512."""

from __future__ import annotations

import math

from symgraph.backends.llvm.vectormath.avx512 import fix_up, reciprocal_estimate, root_estimate
from symgraph.backends.llvm.vectormath.floating import Real, fast_two_sum, where
from symgraph.backends.llvm.vectormath.table_logarithm import assemble, scaling, table_log1p_parts

__all__ = ["single_acosh", "single_asinh", "table_atanh"]

# (asinh(x) - x) / x**3 in x**2 on |x| <= 1/2: error 2**-29.3 of asinh(x).
ASINH_TAIL = (
    -0.1666664332151413,
    0.07498640567064285,
    -0.04438309371471405,
    0.02816452458500862,
    -0.013235408812761307,
)
# The unit in which the arguments of logarithms are computed: nothing overflows, and no scale factor
# is subnormal.
UNIT = 1 / 16
# Past this, in units, a root of a**2 +- 1 is a.
FAR = 2.0**24
# Responses to numbers below, at and above zero.
BELOW_DOMAIN_AT_ZERO = 0x03530822
POLE_AT_ZERO = 0x03030522
KEEP_INFINITIES = 0x00110022


def single_asinh(x: Real) -> Real:
    """``log(a + sqrt(a**2 + 1))`` with ``a = |x|``; a polynomial where that cancels."""
    a = x.abs() * UNIT
    one = a.const(UNIT**2)
    root, low = root_with_rest(a, one, a.mad(a, one))
    u, lost = fast_two_sum(root, a)
    index, minus_e, s = scaling(u * (2 / 3))
    leading, rest = assemble(minus_e + math.log2(UNIT), u.mad(s, -1.0), index, (low + lost) * s)
    z = x * x
    near = (x * z).mad(z.poly(ASINH_TAIL), x)
    value = where(a < 0.5 * UNIT, near, leading + rest)
    return fix_up(x, value.copysign(x), KEEP_INFINITIES)


def single_acosh(x: Real) -> Real:
    """``log(1 + t + sqrt(2 t + t**2))`` with ``t = x - 1``."""
    t = x.mad(UNIT, -UNIT)
    twice = t * (2 * UNIT)
    root, low = root_with_rest(t, twice, t.mad(t, twice).at_least(2.0**-100))
    y, lost = fast_two_sum(root, t)
    leading, rest = table_log1p_parts(y, y.mad(2 / 3, 2 / 3 * UNIT), low + lost, UNIT)
    return fix_up(t, leading + rest, BELOW_DOMAIN_AT_ZERO)


def root_with_rest(a: Real, plus: Real, square: Real) -> tuple[Real, Real]:
    """``sqrt(a**2 + plus)``, given its rounded square, and a rest up to 2**-14 of it."""
    inverse = root_estimate(square)
    root = square * inverse
    rest = (-root).mad(root, square) + a.mad(a, plus - square)
    far = a > FAR
    return where(far, a, root), where(far, a.const(0.0), rest * (inverse * 0.5))


def table_atanh(x: Real) -> Real:
    """``log(1 + 2 a / (1 - a)) / 2`` with ``a = |x|``."""
    a = x.abs()
    d = 1.0 - a
    d_low = (1.0 - d) - a
    inverse, twice = reciprocal_estimate(d), a * 2.0
    if x.double:
        inverse = inverse.mad((-d).mad(inverse, 1.0), inverse)
    y = twice * inverse
    low = (-y).mad(d_low, (-y).mad(d, twice)) * inverse
    if x.double:
        y, low = fast_two_sum(y, low)
    leading, rest = table_log1p_parts(y, y.mad(2 / 3, 2 / 3), low)
    return fix_up(d, (leading + rest) * 0.5, POLE_AT_ZERO).copysign(x)
