"""pow and cbrt."""

from __future__ import annotations

import math

from symgraph.backends.llvm.builder import Value
from symgraph.backends.llvm.vectormath.avx512 import has_avx512
from symgraph.backends.llvm.vectormath.exponential import LN2, exp2_of_fraction
from symgraph.backends.llvm.vectormath.floating import (
    Mask,
    Real,
    fast_two_sum,
    power_of_two,
    round_to_int,
    scale,
    via_double,
    where,
)
from symgraph.backends.llvm.vectormath.logarithm import split
from symgraph.backends.llvm.vectormath.roots import table_cbrt
from symgraph.backends.llvm.vectormath.table_power import table_pow

__all__ = ["cbrt", "pow"]

# log2(m) = (2 / ln 2) s (1 + z / 3 + z**2 Q(z)), s = (m - 1) / (m + 1), z = s**2 <= 0.0295.
# Q = 1/5 + z/7 + ...; error times z**2: LOGQERR.
LOG_SERIES = {
    "single": (
        0.20000076048235507,
        0.14273568252429264,
        0.11709294087879873,
    ),
    "double": (
        0.20000000000001125,
        0.14285714285050338,
        0.11111111259886955,
        0.0909089218838572,
        0.07693378505256655,
        0.06628411469498689,
        0.06598148652009476,
    ),
}
# 2 / ln 2 and 1 / 3: 26 bits, and the rest.
TWO_PER_LN2 = (float.fromhex("0x1.7154760000000p+1"), float.fromhex("0x1.4ae0bf85ddf44p-25"))
THIRD = (float.fromhex("0x1.5555550000000p-2"), float.fromhex("0x1.5555555555555p-28"))
# cbrt(m) on [sqrt(1/2), sqrt(2)], relative error 2**-19.6.
CBRT = (
    0.4216896773381445,
    1.056015522471842,
    -0.8360705676941992,
    0.5109665758823276,
    -0.17955717257253714,
    0.026954977873329677,
)
# Exponents further out make every pow overflow, underflow or round to the same result.
LARGEST_EXPONENT = 2.0**65
LARGEST_LOG = 1100.0


def pow(x: Real, y: Real) -> Real:
    """``x`` to the power ``y`` with the special cases of C (and NumPy)."""
    if y.value == y.const(0.5).value:
        return _square_root(x)
    if has_avx512(x):
        value = table_pow(x.abs(), y)
    elif x.double:
        value = pow_of_positive(x.abs(), y, "double")
    else:
        value = pow_of_positive(x.abs().widen(), y.widen(), "single").narrow()
    return with_specials(x, y, value)


def _square_root(x: Real) -> Real:
    """``x**0.5``: unlike a root, 0 at -0 and infinite at -inf."""
    return where(x.equals(-math.inf), x.const(math.inf), (x + 0.0).sqrt())


def pow_of_positive(a: Real, y: Real, grade: str) -> Real:
    limited = y.clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT)
    product = times_log2_short if grade == "single" else times_log2
    return exp2_of(*product(a, limited), grade)


def with_specials(x: Real, y: Real, value: Real) -> Real:
    """As ``pow_specials``, which is left out where every lane is positive and finite."""
    ordinary = (x > 0.0) & (x < math.inf) & (y.abs() < math.inf)

    def others() -> list[Value]:
        one = x.abs().equals(1.0)  # 0 times infinity
        return [pow_specials(x, y, where(one, x.const(1.0), value)).value]

    return Real(x.b, x.b.choose((~ordinary).any(), others, lambda: [value.value])[0])


def pow_specials(x: Real, y: Real, value: Real) -> Real:
    """``x**y``, given ``value`` for ``|x|**y`` with a positive finite ``|x|``."""
    a = x.abs()
    # Zero and infinite bases have no finite logarithm.
    vanishing = where(y < 0.0, a.const(math.inf), 0.0)
    growing = where(y < 0.0, a.const(0.0), math.inf)
    value = where(a.equals(0.0), vanishing, where(a.equals(math.inf), growing, value))
    integer, odd = parity(y)
    negative = x.copysign_of_one() < 0.0
    value = where(negative & odd, -value, value)
    invalid = (x < 0.0) & (a < math.inf) & ~integer
    value = where(invalid, value.const(math.nan), value)
    value = where(x.is_nan() | y.is_nan(), x + y, value)
    return where(y.equals(0.0) | x.equals(1.0), value.const(1.0), value)


def parity(y: Real) -> tuple[Mask, Mask]:
    """Where ``y`` is an integer (every number from 2**fraction up is), and where an odd one."""
    size, unit = y.abs(), 2.0**y.format.fraction
    # Adding 2**fraction leaves an integer; its lowest bit is then the lowest of all.
    shifted = size + unit
    moderate = size < unit
    integer = (shifted - unit).equals(size) | (size >= unit)
    lowest = where(moderate, shifted, size).bits() & 1
    odd = integer & ~lowest.is_zero() & (size < 2.0 * unit)
    return integer, odd


def times_log2_short(a: Real, y: Real) -> tuple[Real, Real]:
    """``y log2(a)`` for a float32 result: its nearest integer and the rest, no low part."""
    e, f = split(a, subnormal=False)
    s = f / (f + 2.0)
    z = s * s
    log = s.mad((z * z).mad(z.poly(LOG_SERIES["single"]), z * (1 / 3) + 1.0) * (2 / LN2), e)
    product = (y * log).clamp(-LARGEST_LOG, LARGEST_LOG)
    return product, product.const(0.0)


def times_log2(a: Real, y: Real) -> tuple[Real, Real]:
    """``y log2(a)`` in two parts, to about 2**-65 of its size."""
    log, log_low = log2_parts(a)
    head = (log + log_low).high()
    rest = (log - head) + log_low
    y_head = y.high()
    high = y_head * head
    low = (y - y_head).mad(head, y * rest)
    low = where(high.abs() < LARGEST_LOG, low, 0.0)
    return high.clamp(-LARGEST_LOG, LARGEST_LOG), low


def log2_parts(a: Real) -> tuple[Real, Real]:
    """``log2(a)`` of a positive finite float64 in two parts."""
    e, f = split(a, subnormal=True)
    d = f + 2.0
    inverse = 1.0 / d
    s = f * inverse
    # s in two parts: the head's product with the cut divisor is exact.
    head, d_head = s.high(), d.high()
    d_low = f - (d_head - 2.0)
    low = ((f - head * d_head) - head * d_low) * inverse
    # w = z / 3 + z**2 Q(z), its leading part cut so that times the head of s it is exact.
    z = s * s
    z_head = (head * head).high()
    z_low = (head * head - z_head) + low * (s + head)
    leading = z_head * THIRD[0]
    w_head = leading.high()
    w_low = (leading - w_head) + z_head * THIRD[1] + z_low * (1 / 3)
    w_low = (z * z).mad(z.poly(LOG_SERIES["double"]), w_low)
    # s (1 + w)
    first, error = fast_two_sum(head, head * w_head)
    second = error + (head.mad(w_low, low * (w_head + w_low)) + low)
    # times 2 / ln 2, plus e
    first_head = first.high()
    rest = (first - first_head) + second
    high = first_head * TWO_PER_LN2[0]
    small = first_head.mad(TWO_PER_LN2[1], rest * (2 / LN2))
    total, lost = fast_two_sum(e, high)
    return total, lost + small


def exp2_of(high: Real, low: Real, grade: str) -> Real:
    """``2**(high + low)``, for sums within twice the exponent range."""
    n, bits = round_to_int(high + low)
    r = (high - n) + low
    return scale(exp2_of_fraction(r, grade), bits - r.format.magic_bits)


def cbrt(x: Real) -> Real:
    return table_cbrt(x) if has_avx512(x) else portable_cbrt(x)


@via_double
def portable_cbrt(x: Real, grade: str) -> Real:
    a = x.abs()
    e, f = split(a, subnormal=grade == "double")
    m = f + 1.0
    # e = 3 q + k with k in -1, 0, 1
    q, bits = round_to_int(e * (1 / 3))
    k = e - q * 3.0
    up, down = k > 0.0, k < 0.0
    root = where(up, m.const(2 ** (1 / 3)), where(down, m.const(2 ** (-1 / 3)), 1.0))
    start = m.poly(CBRT) * root
    m = m * where(up, m.const(2.0), where(down, m.const(0.5), 1.0))
    if grade == "single":
        value = start + (m / (start * start) - start) * (1 / 3)
    else:
        # One step of third order; the square of the cut start is exact.
        start = start.high()
        ratio = m / (start * start)
        value = start + start * ((ratio - start) / (start * 2.0 + ratio))
    value = (value * power_of_two(bits, x)).copysign(x)
    return where((a > 0.0) & (a < math.inf), value, x)
