"""Logarithms from a table in a register, for processors with AVX-512.

``x = 2**e m`` with ``0.75 <= m < 1.5``; a table over 16 equal stretches gives ``R``, near ``1/m``,
and ``-log(R)``. So ``log(x) = e ln 2 - log(R) + log(1 + f)`` with a small ``f = m R - 1`` (Tang
1990). The first two terms are multiples of a unit so large that their sum is exact. Around 1 the
table has ``R = 1`` (float32: on three stretches), so no digit is lost to cancellation.
"""

from __future__ import annotations

import math

from symgraph.backends.llvm.vectormath.avx512 import (
    exponent_of,
    logarithm_specials,
    look_up,
    scale_by_floor,
    significand_near_one,
)
from symgraph.backends.llvm.vectormath.floating import Ints, Real, two_sum

__all__ = [
    "assemble",
    "scaling",
    "split",
    "stretch",
    "table_log",
    "table_log1p",
    "table_log1p_parts",
    "table_log_of",
    "table_softplus",
]

# R: for float32 chosen so that its logarithm is within 2**-29.7 of a multiple of 2**-16 (the
# stretch where it is furthest, 11), for float64 of 10 bits.
INVERSES = {
    "float": (
        1.2879695892333984,
        1.2146339416503906,
        1.1569797992706299,
        1.0909028053283691,
        1.0,
        1.0,
        1.0,
        0.9086782932281494,
        0.8732142448425293,
        0.8353910446166992,
        0.8042094707489014,
        0.7741563320159912,
        0.747891902923584,
        0.7224082946777344,
        0.700000524520874,
        0.6747264862060547,
    ),
    "double": (
        1.29296875,
        1.21875,
        1.1533203125,
        1.09375,
        1.03125,
        1.0,
        0.9482421875,
        0.908203125,
        0.87109375,
        0.8369140625,
        0.8046875,
        0.775390625,
        0.7490234375,
        0.7236328125,
        0.69921875,
        0.677734375,
    ),
}
# -log(R) in multiples of 2**-16 and 2**-42, and the rest for float64. The zeros are negative
# so that log1p(-0.0) is -0.0.
LOGS = {
    "float": (
        -0.2530670166015625,
        -0.1944427490234375,
        -0.14581298828125,
        -0.087005615234375,
        -0.0,
        -0.0,
        -0.0,
        0.09576416015625,
        0.1355743408203125,
        0.1798553466796875,
        0.2178955078125,
        0.2559814453125,
        0.290496826171875,
        0.325164794921875,
        0.3566741943359375,
        0.3934478759765625,
    ),
    "double": (
        -0.2569409308975992,
        -0.19782574332998593,
        -0.1426450105980166,
        -0.08961215868976069,
        -0.03077165866670839,
        -0.0,
        0.053145337308023954,
        0.09628721945205143,
        0.1380056730195065,
        0.17803388700167488,
        0.21730127569003344,
        0.25438834435226454,
        0.28898500423224505,
        0.32347118030338606,
        0.3577916386389006,
        0.38899984509271235,
    ),
}
LOGS_LOW = (
    9.874803015966392e-14,
    6.604544877082384e-14,
    1.0738634766523493e-13,
    7.355770219435029e-14,
    -4.529814257790929e-14,
    -0.0,
    1.0422852029705249e-13,
    1.0004154004618119e-13,
    -6.278619479555556e-14,
    -1.579461481791619e-15,
    -5.204008743405884e-14,
    5.28323330087437e-14,
    -4.813879337354355e-14,
    -1.985660041320381e-14,
    -9.314286694228276e-14,
    -6.375615845906922e-14,
)
# ln 2 in multiples of the same units, and the rest.
LN2_PARTS = {
    "float": (0.693145751953125, 1.428606765330187e-06),
    "double": (0.6931471805598903, 5.497923018708371e-14),
}
# (log(1 + f) - f) / f**2 on [-0.0626, 0.0782] and |f| <= 0.0332: errors 2**-30.4 and 2**-55.5 of
# log(1 + f).
CURVE = {
    "float": (
        -0.4999999701976776,
        0.33333227038383484,
        -0.2500307559967041,
        0.2008288949728012,
        -0.16058889031410217,
    ),
    "double": (
        -0.49999999999999634,
        0.3333333333333228,
        -0.2500000000484039,
        0.2000000000875224,
        -0.1666664940939181,
        0.14285691191063415,
        -0.12522766986741896,
        0.11135605267636263,
    ),
}


def stretch(v: Real) -> Ints:
    """Which sixteenth of ``[1, 2)`` the significand of a normal ``v`` is in: the low four bits."""
    return v.bits() >> (v.format.fraction - 4)


def assemble(minus_e: Real, f: Real, index: Ints, f_low: Real | None = None) -> tuple[Real, Real]:
    """``e ln 2 - log(R) + log(1 + f + f_low)`` as an exact leading part and a smaller rest.

    ``f_low`` is at most 2**-13 of 1 + f in float32, an ulp of it in float64.
    """
    upper, lower = LN2_PARTS[f.scalar]
    leading = minus_e.mad(-upper, look_up(LOGS[f.scalar], index))
    square = f * f
    curve = f.poly(CURVE[f.scalar], square)
    if f_low is None:
        low = square.mad(curve, f)
    else:
        # log(1 + f + f_low) - log(1 + f) = f_low / (1 + f) = f_low (1 - f) (1 + f**2 + ...)
        f_low = f_low if f.double else f_low.mad(square, f_low)
        low = f + square.mad(curve, f_low * (1.0 - f))
    if f.double:
        return leading, low + minus_e.mad(-lower, look_up(LOGS_LOW, index))
    return leading, minus_e.mad(-lower, low)


def split(x: Real) -> tuple[Real, Real, Ints]:
    """``-e``, ``f`` and the stretch of a positive finite ``x``."""
    m = significand_near_one(x)
    index = stretch(m * (4 / 3))
    # Both exponents are floored, and that of m is -1 or 0.
    minus_e = exponent_of(m) - exponent_of(x)
    return minus_e, m.mad(look_up(INVERSES[x.scalar], index), -1.0), index


def table_log(x: Real) -> Real:
    leading, rest = assemble(*split(x))
    return logarithm_specials(x, leading + rest)


def table_log_of(u: Real, low: Real, shift: Real | None) -> Real:
    """``log(u + low)`` for a normal positive ``u``, plus ``shift`` times ln 2."""
    minus_e, f, index = split(u)
    f_low = scale_by_floor(low * look_up(INVERSES[u.scalar], index), minus_e)
    minus_e = minus_e if shift is None else minus_e - shift
    leading, rest = assemble(minus_e, f, index, f_low)
    return leading + rest


def table_log1p(x: Real) -> Real:
    v = x.mad(2 / 3, 2 / 3)
    leading, rest = table_log1p_parts(x, v)
    return logarithm_specials(v, leading + rest)


def scaling(v: Real) -> tuple[Ints, Real, Real]:
    """The stretch, ``-e`` and ``s = R / 2**e`` of ``u``, given ``v``, about 2/3 of it."""
    index = stretch(v)
    minus_e = -1.0 - exponent_of(v)
    return index, minus_e, scale_by_floor(look_up(INVERSES[v.scalar], index), minus_e)


def table_log1p_parts(
    x: Real, v: Real, low: Real | None = None, unit: float = 1.0
) -> tuple[Real, Real]:
    """``log(1 + (x + low) / unit)`` of a finite ``x > -unit``; ``v`` is about 2/3 of ``unit + x``.

    With ``s = R / 2**e``, ``f = (1 + x / unit) s - 1`` is ``x (s / unit) + (s - 1)``: nothing is
    rounded away. The unit is a power of two.
    """
    index, minus_e, s = scaling(v)
    # Subtracting 1 - s, rather than adding s - 1, keeps the sign of x = -0.0.
    f = x.mad(s, -(1.0 - (s if unit == 1.0 else s * unit)))
    minus_e = minus_e if unit == 1.0 else minus_e + math.log2(unit)
    return assemble(minus_e, f, index, None if low is None else low * s)


def table_softplus(larger: Real, t: Real, t_low: Real) -> Real:
    """``larger + log(1 + t + t_low)`` for ``0 <= t <= 1``."""
    leading, rest = table_log1p_parts(t, t.mad(2 / 3, 2 / 3), t_low)
    total, lost = two_sum(larger, leading)
    return total + (lost + rest)
