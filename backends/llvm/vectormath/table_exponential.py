"""Exponentials from a table in a register, for processors with AVX-512.

``x = n ln 2 + r`` with ``n`` a multiple of 1/16, so ``|r| <= ln(2)/32`` and a short polynomial is
enough: ``exp(x) = 2**floor(n) T (1 + p)`` with ``T = 2**(j/16)`` looked up and ``p = exp(r) - 1``
(Tang 1989). The instruction that scales by ``2**floor(n)`` underflows and overflows as it should.
"""

from __future__ import annotations

from dataclasses import dataclass

from symgraph.backends.llvm.vectormath.avx512 import (
    look_up,
    reciprocal_estimate,
    scale_by_floor,
)
from symgraph.backends.llvm.vectormath.floating import Ints, Real, fast_two_sum, two_sum, where

__all__ = ["ratio", "table_exp", "table_exp2", "table_exp_parts", "table_expm1_parts"]

WHOLE_BELOW = 0.0665
LOG2_E = 1.4426950408889634
# ln 2 rounded, and the rest.
LN2_PARTS = {
    "float": (0.6931471824645996, -1.9046542121259336e-09),
    "double": (0.6931471805599453, 2.3190468138462996e-17),
}
# 2**(j/16) as float64 rounds it (float32 rounds it once more).
POWERS = tuple(2.0 ** (j / 16) for j in range(16))
# What that rounding took away, relative to the power.
POWERS_LOW = {
    "float": (
        0.0,
        4.6285467902862365e-08,
        -1.199215748926008e-08,
        4.7297820771063925e-08,
        3.1934181521364735e-08,
        3.621057231839586e-08,
        -3.0990722876822474e-08,
        -7.475213337215791e-09,
        1.7114270889351246e-08,
        -3.047683350132502e-08,
        5.233334210430485e-09,
        6.10759176566944e-09,
        -1.4719605978541495e-08,
        -5.258795177098818e-09,
        -6.128259677495862e-09,
        5.140609271592211e-09,
    ),
    "double": (
        0.0,
        8.189317638195514e-17,
        -2.7939114859515733e-17,
        7.826573258636075e-17,
        3.3484623336251524e-17,
        3.7508542013031266e-17,
        1.9572585293112036e-17,
        5.68648095791174e-17,
        -6.835808657661923e-17,
        -2.3591094770850053e-17,
        5.1548301170786783e-17,
        1.5341410053603723e-17,
        4.875160526227061e-17,
        1.685487290628973e-17,
        1.790126907604513e-17,
        -5.5450656186394274e-17,
    ),
}
# (exp(r) - 1 - r) / r**2 on |r| <= 0.0219: errors 2**-29.2 and 2**-56.1 of exp(r).
EXP_TAIL = {
    "float": (0.5000165104866028, 0.1666703224182129),
    "double": (
        0.5000000000000007,
        0.1666666666432863,
        0.04166666665909925,
        0.008333474637470858,
        0.0013889136661958386,
    ),
}
# The same where exp(r) - 1 itself is wanted: errors 2**-32.3 (|r| <= 0.0665) and 2**-60 of it.
EXPM1_TAIL = {
    "float": (0.5, 0.1666666716337204, 0.04167138412594795, 0.008332747966051102),
    "double": (
        0.5000000000000004,
        0.1666666666666668,
        0.04166666666066183,
        0.008333333332197398,
        0.00138891124829871,
        0.00019841582634141981,
    ),
}
# (2**r - 1) / r on |r| <= 0.0316: errors 2**-29.2 and 2**-56.9 of 2**r.
EXP2_TAIL = {
    "float": (0.6931471824645996, 0.24023443460464478, 0.05550306290388107),
    "double": (
        0.693147180559947,
        0.24022650695910105,
        0.05550410865159118,
        0.009618129105824429,
        0.001333382394467443,
        0.00015403808448242123,
    ),
}


@dataclass(frozen=True, slots=True)
class Sixteenths:
    """``x = n ln 2 + r``; the low four bits of ``index`` are the sixteenths of ``n``."""

    n: Real
    r: Real
    index: Ints


def reduce(x: Real, whole_below: float = 0.0) -> Sixteenths:
    """The split of ``x``; it is left whole, with ``n = 0``, where smaller than ``whole_below``."""
    magic = x.format.magic / 16
    shifted = x.mad(LOG2_E, magic)
    if whole_below:
        shifted = where(x.abs() < whole_below, x.const(magic), shifted)
    n = shifted - magic
    upper, lower = LN2_PARTS[x.scalar]
    return Sixteenths(n, n.mad(-lower, n.mad(-upper, x)), shifted.bits())


def table_exp(x: Real) -> Real:
    """``exp(x)`` of an argument clamped to where ``n`` fits."""
    part = reduce(x)
    power = look_up(POWERS, part.index)
    square = part.r * part.r
    p = square.mad(part.r.poly(EXP_TAIL[x.scalar], square), part.r)
    return scale_by_floor(power.mad(p, power), part.n)


def table_exp2(x: Real) -> Real:
    """``2**x`` of an argument clamped to where ``n`` fits."""
    magic = x.format.magic / 16
    shifted = x + magic
    n = shifted - magic
    r = x - n
    power = look_up(POWERS, shifted.bits())
    return scale_by_floor(power.mad(r * r.poly(EXP2_TAIL[x.scalar]), power), n)


def table_exp_parts(x: Real, unit: float = 1.0) -> tuple[Real, Real]:
    """``unit exp(x)`` in two parts, each rounded once where it underflows."""
    part = reduce(x)
    power = look_up([unit * t for t in POWERS], part.index)
    low = look_up(POWERS_LOW[x.scalar], part.index)
    square = part.r * part.r
    p = part.r + square.mad(part.r.poly(EXPM1_TAIL[x.scalar], square), low)
    leading, rest = fast_two_sum(power, power * p)
    return scale_by_floor(leading, part.n), scale_by_floor(rest, part.n)


def table_expm1_parts(x: Real, unit: float = 1.0, *, falling: bool = False) -> tuple[Real, Real]:
    """``unit (exp(x) - 1)`` as a leading part and a smaller rest; ``unit`` is a power of two.

    ``falling`` promises ``x <= 0``.
    """
    # Next to zero a split of float32 would cancel.
    part = reduce(x, 0.0 if x.double else WHOLE_BELOW)
    upper, lower = LN2_PARTS[x.scalar]
    power = scale_by_floor(look_up([unit * t for t in POWERS], part.index), part.n)
    # r is exact; what n ln 2 and the power lack is added to exp(r) - 1 in proportion to exp(r).
    r = part.n.mad(-upper, x)
    low = part.n.mad(-lower, look_up(POWERS_LOW[x.scalar], part.index))
    square = r * r
    p = r + square.mad(r.poly(EXPM1_TAIL[x.scalar], square), low.mad(r, low))
    minus = power.const(-unit)
    leading, lost = fast_two_sum(minus, power) if falling else two_sum(power, minus)
    return leading, power.mad(p, lost)


def ratio(n: tuple[Real, Real], d: tuple[Real, Real]) -> Real:
    """``(n + n_low) / (d + d_low)``, ``d`` finite and not tiny: an error just over half an ulp.

    An estimate of the inverse is enough: the remainder of the first quotient is exact up to its
    last bit, by fused multiply-add.
    """
    inverse = reciprocal_estimate(d[0])
    if d[0].double:
        inverse = inverse.mad((-d[0]).mad(inverse, 1.0), inverse)
    first = n[0] * inverse
    remainder = (-first).mad(d[0], n[0]) + (-first).mad(d[1], n[1])
    return remainder.mad(inverse, first)
