"""sinh, cosh, tanh and their inverses."""

from __future__ import annotations

import math

from symgraph.backends.llvm.vectormath.avx512 import has_avx512
from symgraph.backends.llvm.vectormath.exponential import expm1_scaled, reduce
from symgraph.backends.llvm.vectormath.floating import (
    Real,
    fast_two_sum,
    power_of_two,
    quotient,
    scale,
    two_sum,
    via_double,
    where,
)
from symgraph.backends.llvm.vectormath.logarithm import log1p_of
from symgraph.backends.llvm.vectormath.table_hyperbolic import table_cosh, table_sinh, table_tanh
from symgraph.backends.llvm.vectormath.table_inverse_hyperbolic import (
    single_acosh,
    single_asinh,
    table_atanh,
)

__all__ = ["acosh", "asinh", "atanh", "cosh", "sinh", "tanh"]

# Past the first bound tanh(x) rounds to 1; below the second it rounds to x.
TANH_ONE = {"float": 10.0, "double": 20.0}
TANH_TINY = {"float": 2.0**-13, "double": 2.0**-28}
# Past this exp(-x) does not count beside exp(x) in float64.
ONE_SIDED = 40.0
# Past this sinh and cosh overflow.
END = 711.0
# Below this the odd functions round to x in float64, and past its inverse 1 + x**2 rounds to x**2.
TINY = 2.0**-28


def tanh(x: Real) -> Real:
    """``-t / (2 + t)`` with ``t = expm1(-2|x|)`` kept in two parts."""
    if has_avx512(x):
        return table_tanh(x)
    size = x.abs()
    part = reduce(size.at_most(TANH_ONE[x.scalar]) * -2.0)
    power = power_of_two(part.k, x)
    t, t_low = fast_two_sum(*expm1_scaled(part, power, fast_two_sum(x.const(-1.0), power)))
    d = t + 2.0
    d_low = (t - (d - 2.0)) + t_low
    value = quotient(-t, -t_low, d, d_low)
    return where(size < TANH_TINY[x.scalar], x, value.copysign(x))


def cosh(x: Real) -> Real:
    return table_cosh(x) if has_avx512(x) else portable_cosh(x)


@via_double
def portable_cosh(x: Real, grade: str) -> Real:
    """``h + 1 / (4 h)`` with ``h = exp(|x|) / 2``, which overflows no sooner than the result."""
    part = reduce(x.abs().at_most(END), grade)
    half = scale(1.0 + (part.r + part.tail), part.k - 1)
    return half + 0.25 / half


def sinh(x: Real) -> Real:
    return table_sinh(x) if has_avx512(x) else portable_sinh(x)


@via_double
def portable_sinh(x: Real, grade: str) -> Real:
    """``h + h / (2 h + 1)`` with ``h = expm1(|x|) / 2``."""
    size = x.abs()
    part = reduce(size.at_most(END), grade)
    power = power_of_two(part.k - 1, x)
    leading, rest = expm1_scaled(part, power, two_sum(power, x.const(-0.5)))
    half, low = fast_two_sum(leading, rest)
    d, d_low = two_sum(x.const(1.0), half * 2.0)
    near = half + (quotient(half, low, d, low.mad(2.0, d_low)) + low)
    far = scale(1.0 + (part.r + part.tail), part.k - 1)
    value = where(size > ONE_SIDED, far, near).copysign(x)
    return where(size < TINY, x, value)


def log1p_or_log_twice(y: Real, y_low: Real, x: Real, big: float) -> Real:
    """``log(1 + y + y_low)``, or ``log(2 x)`` where ``x > big``."""
    far = x > big
    u, low = two_sum(y.const(1.0), y)
    low = low + y_low
    shift = where(far, x.const(1.0), 0.0)
    return log1p_of(where(far, x, u), where(far, x.const(0.0), low), shift)


def asinh(x: Real) -> Real:
    return single_asinh(x) if has_avx512(x) and not x.double else portable_asinh(x)


@via_double
def portable_asinh(x: Real, grade: str) -> Real:
    """``log(1 + a + a**2 / (1 + sqrt(1 + a**2)))`` with ``a = |x|``."""
    a = x.abs()
    square = a * a
    y, low = fast_two_sum(a, square / ((square + 1.0).sqrt() + 1.0))
    value = log1p_or_log_twice(y, low, a, 1 / TINY).copysign(x)
    return where((a < math.inf) & (a >= TINY), value, x)


def acosh(x: Real) -> Real:
    return single_acosh(x) if has_avx512(x) and not x.double else portable_acosh(x)


@via_double
def portable_acosh(x: Real, grade: str) -> Real:
    """``log(1 + t + sqrt(2 t + t**2))`` with ``t = x - 1``."""
    t = x - 1.0
    y, low = two_sum(t, t.mad(t, t * 2.0).sqrt())
    value = log1p_or_log_twice(y, low, x, 1 / TINY)
    return where(x < math.inf, where(x >= 1.0, value, math.nan), x)


def atanh(x: Real) -> Real:
    return table_atanh(x) if has_avx512(x) else portable_atanh(x)


@via_double
def portable_atanh(x: Real, grade: str) -> Real:
    """``log(1 + 2 a / (1 - a)) / 2`` with ``a = |x|``."""
    a = x.abs()
    d = 1.0 - a
    twice = a * 2.0
    y = twice / d if grade == "single" else quotient(twice, a.const(0.0), d, (1.0 - d) - a)
    u, low = two_sum(y.const(1.0), y)
    value = log1p_of(u, low) * 0.5
    value = where(a < 1.0, value, where(a.equals(1.0), a.const(math.inf), math.nan))
    return where(a < TINY, x, where(x.is_nan(), x, value.copysign(x)))
