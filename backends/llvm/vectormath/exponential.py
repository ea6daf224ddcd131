"""exp, exp2, expm1 and the logistic sigmoid.

``x = n ln 2 + r`` with ``|r| <= ln(2)/2``; ``exp(r) = 1 + r + r**2 Q(r)``. ``n`` times the upper
part of ln 2 is exact, and the power of two is applied in two factors so that underflow is gradual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from symgraph.backends.llvm.vectormath.avx512 import has_avx512
from symgraph.backends.llvm.vectormath.floating import (
    Ints,
    Real,
    fast_two_sum,
    power_of_two,
    quotient,
    scale,
    two_sum,
    where,
)
from symgraph.backends.llvm.vectormath.table_exponential import (
    ratio,
    table_exp,
    table_exp2,
    table_exp_parts,
    table_expm1_parts,
)

__all__ = [
    "Reduced",
    "exp",
    "exp2",
    "exp2_of_fraction",
    "exp_of_negative",
    "expm1",
    "expm1_scaled",
    "reduce",
    "sigmoid",
]

LOG2_E = 1.4426950408889634
# ln 2 in two parts; the first has 15 (float32) or 42 (float64) bits, so n times it is exact.
LN2_PARTS = {
    "float": (0.693145751953125, 1.428606765330187e-06),
    "double": (float.fromhex("0x1.62e42fefa3800p-1"), float.fromhex("0x1.ef35793c76730p-45")),
}
# Q(r) = (exp(r) - 1 - r) / r**2 on |r| <= 0.3483; error relative to exp(r):
# 2**-29.7, 2**-28.2, 2**-57.7.
EXP_TAIL = {
    "float": (
        0.5,
        0.1666666567325592,
        0.041666287928819656,
        0.008333501406013966,
        0.0013945194659754634,
        0.00019789404177572578,
    ),
    "single": (
        0.4999999325390656,
        0.16666517762787217,
        0.041668421775690884,
        0.008369063402560545,
        0.0013813882503817805,
    ),
    "double": (
        0.5000000000000011,
        0.16666666666666397,
        0.04166666666652499,
        0.008333333333502098,
        0.0013888888945202634,
        0.00019841269494185468,
        2.4801491284874658e-05,
        2.755759363126761e-06,
        2.7630952075590117e-07,
        2.4998980105574115e-08,
    ),
}
LN2 = 0.6931471805599453
# (2**r - 1 - r ln 2) / r**2 on |r| <= 0.501; error relative to 2**r: 2**-27.9, 2**-28.3, 2**-57.0.
EXP2_TAIL = {
    "float": (
        0.24022647738456726,
        0.055503617972135544,
        0.009618529118597507,
        0.00133903871756047,
        0.00015320832608267665,
    ),
    "single": (
        0.24022647512078635,
        0.05550361864515756,
        0.009618529463382335,
        0.0013390387382635034,
        0.00015320831909493093,
    ),
    "double": (
        0.24022650695910122,
        0.05550410866482071,
        0.009618129107596535,
        0.001333355814669215,
        0.00015403530454739575,
        1.5252733541941879e-05,
        1.3215436230003684e-06,
        1.0178186167421749e-07,
        7.073650791601361e-09,
        4.436165598669836e-10,
    ),
}
# Beyond these bounds exp is 0 or infinite, and within them n fits the two-factor scaling.
EXP_RANGE = {"float": (-104.0, 89.0), "double": (-746.0, 710.0)}
EXP2_RANGE = {"float": (-151.0, 129.0), "double": (-1076.0, 1025.0)}
# Below the first bound expm1 is -1; below the second in magnitude it is its argument.
EXPM1_FLOOR = {"float": -30.0, "double": -50.0}
EXPM1_TINY = {"float": 2.0**-25, "double": 2.0**-54}


@dataclass(frozen=True, slots=True)
class Reduced:
    """``x = k ln 2 + r + low`` with ``tail = exp(r + low) - 1 - r``."""

    r: Real
    tail: Real
    k: Ints


def reduce(x: Real, grade: str | None = None, minus: Real | None = None) -> Reduced:
    """Split a clamped argument; ``grade`` picks the polynomial (the format's own by default).

    ``minus`` is a small amount to subtract from ``x`` without rounding the difference.
    """
    form = x.format
    upper, lower = LN2_PARTS[x.scalar]
    shifted = x.mad(LOG2_E, form.magic)
    n = shifted - form.magic
    exact = x - n * upper
    correction = n * lower if minus is None else n.mad(lower, minus)
    r = exact - correction
    low = (exact - r) - correction
    tail = (r * r).mad(r.poly(EXP_TAIL[grade or x.scalar]), low)
    return Reduced(r, tail, shifted.bits() - form.magic_bits)


def exp(x: Real) -> Real:
    low, high = EXP_RANGE[x.scalar]
    if has_avx512(x):
        return table_exp(x.clamp(low, high))
    return _above(low, x, lambda y: _scaled_exp(y.at_most(high)))


def exp_of_negative(x: Real) -> Real:
    """``exp(x)`` for ``x <= 0`` (or NaN)."""
    low = EXP_RANGE[x.scalar][0]
    return table_exp(x.at_least(low)) if has_avx512(x) else _above(low, x, _scaled_exp)


def _scaled_exp(x: Real) -> Real:
    part = reduce(x)
    return scale(1.0 + (part.r + part.tail), part.k)


def _above(bound: float, x: Real, function: Callable[[Real], Real]) -> Real:
    """``function(x)`` where x is not below the bound, else 0.

    What is 0 anyway is not computed by way of subnormal numbers: processors stumble over those.
    """
    gone = x < bound
    return where(gone, x.const(0.0), function(where(gone, x.const(0.0), x)))


def exp2(x: Real) -> Real:
    low, high = EXP2_RANGE[x.scalar]
    if has_avx512(x):
        return table_exp2(x.clamp(low, high))
    return _above(low, x, lambda y: _scaled_exp2(y.at_most(high)))


def _scaled_exp2(x: Real) -> Real:
    form = x.format
    shifted = x + form.magic
    r = x - (shifted - form.magic)
    return scale(exp2_of_fraction(r, x.scalar), shifted.bits() - form.magic_bits)


def exp2_of_fraction(r: Real, grade: str) -> Real:
    """``2**r`` for ``|r| <= 1/2``."""
    leading, error = fast_two_sum(r.const(1.0), r * LN2)
    return leading + (error + r * r * r.poly(EXP2_TAIL[grade]))


def expm1_scaled(part: Reduced, power: Real, base: tuple[Real, Real]) -> tuple[Real, Real]:
    """``power * (exp(r) - 1) + base`` as a leading part and a smaller rest.

    ``base`` is ``power - 1`` (scaled alike) and its rounding error.
    """
    leading, error = fast_two_sum(base[0], power * part.r)
    return leading, power.mad(part.tail, error + base[1])


def expm1(x: Real) -> Real:
    # Halved throughout, since 2**n itself overflows just below the largest finite result.
    y = x.clamp(EXPM1_FLOOR[x.scalar], EXP_RANGE[x.scalar][1])
    if has_avx512(x):
        leading, rest = table_expm1_parts(y, 0.5)
    else:
        part = reduce(y)
        power = power_of_two(part.k - 1, x)
        leading, rest = expm1_scaled(part, power, two_sum(power, x.const(-0.5)))
    return where(x.abs() < EXPM1_TINY[x.scalar], x, (leading + rest) * 2.0)


def sigmoid(x: Real) -> Real:
    """``1 / (1 + exp(-x))``; the exponential of ``-|x|`` never overflows."""
    parts = table_exp_parts if has_avx512(x) else exp_parts
    e, e_low = parts((-x.abs()).at_least(EXP_RANGE[x.scalar][0]))
    d, d_low = fast_two_sum(x.const(1.0), e)
    negative = x < 0.0
    n, n_low = where(negative, e, x.const(1.0)), where(negative, e_low, x.const(0.0))
    if has_avx512(x):
        return ratio((n, n_low), (d, d_low + e_low))
    return quotient(n, n_low, d, d_low + e_low)


def exp_parts(x: Real) -> tuple[Real, Real]:
    """``exp(x)`` of a clamped argument in two parts, each rounded once where it underflows."""
    part = reduce(x)
    leading, rest = fast_two_sum(x.const(1.0), part.r)
    leading, rest = fast_two_sum(leading, rest + part.tail)
    return scale(leading, part.k), scale(rest, part.k)
