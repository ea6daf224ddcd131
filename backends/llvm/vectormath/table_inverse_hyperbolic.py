"""float32 asinh and acosh, and atanh, for processors with AVX-512."""

from __future__ import annotations

import math

from symgraph.backends.llvm.vectormath.avx512 import fix_up, reciprocal_estimate
from symgraph.backends.llvm.vectormath.floating import Real, fast_two_sum, where
from symgraph.backends.llvm.vectormath.roots import root_parts
from symgraph.backends.llvm.vectormath.table_logarithm import (
    LN2_PARTS,
    table_log1p_parts,
    table_log_of,
)

__all__ = ["single_acosh", "single_asinh", "table_atanh"]

# (asinh(x) - x) / x**3 in x**2 on |x| <= 1/2: error 2**-29.3 of asinh(x).
ASINH_TAIL = (
    -0.1666664332151413,
    0.07498640567064285,
    -0.04438309371471405,
    0.02816452458500862,
    -0.013235408812761307,
)
# Past this asinh(x) is log(2 x), and acosh(x) is log(1 + 2 x).
FAR = 2.0**26
# The response to one is infinity.
POLE_AT_ONE = 0x00005022


def single_asinh(x: Real) -> Real:
    """``log(a + sqrt(a**2 + 1))`` with ``a = |x|``; a polynomial where that cancels."""
    a = x.abs()
    far = a > FAR
    square = a * a
    hypotenuse = a.mad(a, 1.0)
    s, low = root_parts(hypotenuse, a.mad(a, 1.0 - hypotenuse))
    u, lost = fast_two_sum(s, a)
    u, low = where(far, a, u), where(far, a.const(0.0), lost + low)
    value = table_log_of(u, low, where(far, a.const(1.0), 0.0))
    near = (a * square).mad(square.poly(ASINH_TAIL), a)
    value = where(a < math.inf, where(a < 0.5, near, value), a)
    return value.copysign(x)


def single_acosh(x: Real) -> Real:
    """``log(1 + t + sqrt(2 t + t**2))`` with ``t = x - 1``."""
    far = x > FAR
    t = x - 1.0
    twice = t * 2.0
    square = t.mad(t, twice)
    s, low = root_parts(square, t.mad(t, twice - square))
    y, lost = fast_two_sum(s, t)
    y, low = where(far, x, y), where(far, x.const(0.0), lost + low)
    leading, rest = table_log1p_parts(y, y.mad(2 / 3, 2 / 3), low)
    upper, lower = (where(far, x.const(part), 0.0) for part in LN2_PARTS["float"])
    value = (leading + upper) + (rest + lower)
    return where(x < math.inf, where(x >= 1.0, value, math.nan), x)


def table_atanh(x: Real) -> Real:
    """``log(1 + 2 a / (1 - a)) / 2`` with ``a = |x|``."""
    a = x.abs()
    d = 1.0 - a
    d_low = (1.0 - d) - a
    inverse, twice = reciprocal_estimate(d), a * 2.0
    if x.double:
        inverse = inverse.mad((-d).mad(inverse, 1.0), inverse)
    first = twice * inverse
    rest = (-first).mad(d_low, (-first).mad(d, twice)) * inverse
    y, low = fast_two_sum(first, rest)
    leading, rest = table_log1p_parts(y, y.mad(2 / 3, 2 / 3), low)
    value = where(a > 1.0, x.const(math.nan), (leading + rest) * 0.5)
    return fix_up(a, value, POLE_AT_ONE).copysign(x)
