"""log, log2, log10, log1p, softplus and logaddexp.

``x = 2**e (1 + f)`` with ``sqrt(1/2) <= 1 + f < sqrt(2)`` and ``f`` exact; then
``log(1 + f) = f + tail(f)``, added to ``e ln 2`` with the rounding errors carried along.
"""

from __future__ import annotations

import math

from symgraph.backends.llvm.vectormath.avx512 import has_avx512
from symgraph.backends.llvm.vectormath.exponential import (
    EXP_RANGE,
    LN2_PARTS,
    exp_of_negative,
)
from symgraph.backends.llvm.vectormath.floating import (
    Ints,
    Mask,
    Real,
    fast_two_sum,
    two_sum,
    where,
)
from symgraph.backends.llvm.vectormath.near_zero import excess_over_one
from symgraph.backends.llvm.vectormath.table_exponential import table_exp_parts
from symgraph.backends.llvm.vectormath.table_logarithm import (
    table_log,
    table_log1p,
    table_log_of,
    table_softplus,
)
from symgraph.backends.llvm.vectormath.table_logarithm_bases import table_log2, table_log10

__all__ = ["log", "log10", "log1p", "log2", "log_of_sum", "logaddexp", "softplus", "split", "tail"]

SQRT_HALF_BITS = {"float": 0x3F3504F3, "double": 0x3FE6A09E667F3BCD}
# (log(1 + f) - f + f**2 / 2) / f**3 on [sqrt(1/2) - 1, sqrt(2) - 1]; error relative to
# log(1 + f): 2**-28.3.
LOG_TAIL = (
    0.3333331346511841,
    -0.25000008940696716,
    0.2000211775302887,
    -0.16667993366718292,
    0.14219561219215393,
    -0.12405618280172348,
    0.11888141185045242,
    -0.11675548553466797,
    0.06746578961610794,
)
# (log((1 + s) / (1 - s)) / s - 2) / s**2 in s**2 on [0, 0.0295]; error relative to the logarithm:
# 2**-59.1.
LOG_RATIO = (
    0.6666666666666734,
    0.39999999999415714,
    0.2857142874216892,
    0.2222219859359638,
    0.18183563385609358,
    0.15314071534569781,
    0.14795768813271948,
)
# Where |log(exp(a) + exp(b))| is less than this part of the larger operand, float64 has lost digits
# that the result of this format needs.
CANCELLING = {"float": 2.0**-24, "double": 0.5}
LOG1P_TINY = {"float": 2.0**-25, "double": 2.0**-54}


def split(x: Real, *, subnormal: bool) -> tuple[Real, Real]:
    """The exponent ``e`` (as a float) and ``f`` of a positive finite ``x``.

    Other input gives any finite pair. ``subnormal=False`` promises a normal number.
    """
    form, root = x.format, SQRT_HALF_BITS[x.scalar]
    offset = 2.0**form.fraction + form.bias
    lift = x.const(offset)
    if subnormal:
        small = x < form.tiny
        x = where(small, x * 2.0 ** (form.fraction + 1), x)
        lift = where(small, x.const(offset + form.fraction + 1), lift)
    moved = x.bits() + (form.one_bits - root)
    # The biased exponent under the exponent of 2**fraction reads as 2**fraction + exponent.
    e = (moved >> form.fraction | _bits_of_unit(x)).real() - lift
    m = ((moved & ((1 << form.fraction) - 1)) + root).real()
    return e, m - 1.0


def _bits_of_unit(x: Real) -> int:
    """The bits of ``2**fraction``."""
    return (x.format.bias + x.format.fraction) << x.format.fraction


def tail(f: Real, plus: Real | float = 0.0) -> Real:
    """``log(1 + f) - f + plus`` for a small ``plus``."""
    square = f * f
    if not f.double:
        return square.mad(-0.5, (square * f).mad(f.poly(LOG_TAIL), plus))
    half = square * 0.5
    s = f / (f + 2.0)
    z = s * s
    return s.mad(z.mad(z.poly(LOG_RATIO), half), plus) - half


def log_of_sum(e: Real, f: Real, low: Real | None = None) -> Real:
    """``e ln 2 + log(1 + f)``, plus a small correction ``low`` of the logarithm."""
    upper, lower = LN2_PARTS[f.scalar]
    leading, error = fast_two_sum(e * upper, f)
    small = e.mad(lower, error if low is None else error + low)
    return leading + tail(f, small)


def specials(x: Real, value: Real) -> Real:
    """``value``, but the exact logarithm at zeros, negative numbers, infinity and NaN."""
    value = where(x > 0.0, value, where(x.equals(0.0), x.const(-math.inf), math.nan))
    return where(x < math.inf, value, x)


def log(x: Real) -> Real:
    if has_avx512(x):
        return table_log(x)
    e, f = split(x, subnormal=True)
    return specials(x, log_of_sum(e, f))


# 1 / ln b in two parts (the first of 12 or 26 bits), and log_b 2 in two (15 or 42 bits).
LOG2_UNITS = {
    "float": (1.4423828125, 0.000312228389, 1.0, 0.0),
    "double": (
        float.fromhex("0x1.7154760000000p+0"),
        float.fromhex("0x1.4ae0bf85ddf44p-26"),
        1.0,
        0.0,
    ),
}
LOG10_UNITS = {
    "float": (0.4342041015625, 9.03803408e-05, 0.301025390625, 4.60503898e-06),
    "double": (
        float.fromhex("0x1.bcb7b10000000p-2"),
        float.fromhex("0x1.49b9438ca9aaep-28"),
        float.fromhex("0x1.34413509f7800p-2"),
        float.fromhex("0x1.fef311f12b358p-46"),
    ),
}


def log_base(x: Real, units: tuple[float, float, float, float]) -> Real:
    """``log(x)`` over ``log`` of a base, with the leading products exact."""
    per_high, per_low, unit, unit_low = units
    e, f = split(x, subnormal=True)
    curve = tail(f)
    high = (f + curve).high()
    low = (f - high) + curve
    rest = low.mad(per_high, (low + high) * per_low)
    if unit_low:
        rest = e.mad(unit_low, rest)
    leading, error = fast_two_sum(e * unit, high * per_high)
    return specials(x, leading + (error + rest))


def log2(x: Real) -> Real:
    if has_avx512(x):
        return table_log2(x)
    return log_base(x, LOG2_UNITS[x.scalar])


def log10(x: Real) -> Real:
    if has_avx512(x):
        return table_log10(x)
    return log_base(x, LOG10_UNITS[x.scalar])


def log1p_of(u: Real, low: Real, shift: Real | None = None) -> Real:
    """``log(u + low)`` for a normal positive ``u`` and ``low`` up to its rounding error.

    ``shift`` adds so many times ln 2.
    """
    if has_avx512(u):
        return table_log_of(u, low, shift)
    e, f = split(u, subnormal=False)
    # low / 2**e; past the fraction's range low no longer matters, and 2**-e would leave the format.
    scaled = low * _power_of_exponent(u)
    scaled = where(u < 2.0 ** (u.format.fraction + 2), scaled, 0.0)
    # The correction is scaled / (1 + f); two terms of the quotient are enough.
    correction = scaled.mad(f * f - f, scaled)
    return log_of_sum(e if shift is None else e + shift, f, correction)


def _power_of_exponent(u: Real) -> Real:
    """``2**-e`` for the exponent ``e`` that ``split`` finds."""
    form, root = u.format, SQRT_HALF_BITS[u.scalar]
    moved = u.bits() + (form.one_bits - root)
    exponent: Ints = moved & ~((1 << form.fraction) - 1)
    return (u.ints(2 * form.one_bits) - exponent).real()


def log1p(x: Real) -> Real:
    if has_avx512(x):
        return table_log1p(x)
    u, low = two_sum(x.const(1.0), x)
    value = specials(u, log1p_of(u, low))
    return where(x.abs() < LOG1P_TINY[x.scalar], x, value)


def softplus(x: Real) -> Real:
    """``log(1 + exp(x))`` as ``max(x, 0) + log1p(exp(-|x|))``."""
    if has_avx512(x):
        end, larger = EXP_RANGE[x.scalar][0], where(x > 0.0, x, 0.0)
        t, t_low = table_exp_parts((-x.abs()).at_least(end))
        return where(x.abs() > -end, larger, table_softplus(larger, t, t_low))
    if not x.double:
        return softplus(x.widen()).narrow()
    return where(x > 0.0, x, 0.0) + log1p_of_unit(exp_of_negative(-x.abs()))


def log1p_of_unit(t: Real) -> Real:
    """``log1p(t)`` for ``0 <= t <= 1``, or NaN."""
    u, low = fast_two_sum(t.const(1.0), t)
    value = log1p_of(u, low)
    return where(t < LOG1P_TINY[t.scalar], t, where(t.is_nan(), t, value))


def logaddexp(a: Real, b: Real) -> Real:
    """``log(exp(a) + exp(b))``, in float64; where it almost vanishes, by way of fixed point."""
    if not a.double:
        return log_of_two(a.widen(), b.widen(), CANCELLING["float"]).narrow()
    return log_of_two(a, b, CANCELLING["double"])


def log_of_two(a: Real, b: Real, cancelling: float) -> Real:
    swap = b > a
    larger, smaller = where(swap, b, a), where(swap, a, b)
    value = sum_of_logarithm(larger, smaller)
    cancels = (value.abs() < larger.abs() * cancelling) & (larger <= -(2.0**-1000))
    merged = a.b.choose(
        cancels.any(),
        lambda: [near_zero(larger, smaller, cancels, value).value],
        lambda: [value.value],
    )
    return Real(a.b, merged[0])


def sum_of_logarithm(larger: Real, smaller: Real) -> Real:
    """``larger + log1p(exp(smaller - larger))``."""
    minus, lost = two_sum(smaller, -larger)
    # Equal infinities differ by NaN; a NaN operand must stay one.
    equal, end = smaller.equals(larger), EXP_RANGE["double"][0]
    minus = where(equal, larger.const(0.0), minus)
    lost = where((minus > end) & ~equal, lost, 0.0)
    if not has_avx512(larger):
        t = exp_of_negative(minus)
        return larger + log1p_of_unit(lost.mad(t, t))
    t, t_low = table_exp_parts(minus.at_least(end))
    value = table_softplus(larger, t, lost.mad(t, t_low))
    alone = (minus <= end) | (equal & larger.abs().equals(math.inf))
    # A zero loses its sign, as in any sum with something positive.
    return where(alone, larger + 0.0, value)


def near_zero(larger: Real, smaller: Real, cancels: Mask, value: Real) -> Real:
    """``log1p`` of what ``exp(larger) + exp(smaller)`` exceeds 1 by, in the lanes that cancel."""
    a = where(cancels, larger, 0.0)
    x, unit = excess_over_one(a, where(cancels, smaller, 0.0))
    return where(cancels, log1p(x * unit), value)
