"""erf, erfc and erfcx.

``erfc(a) = exp(-a**2) g(q) / (a + 4)`` for ``a >= 0`` with ``q = (a - 4) / (a + 4)``: under this
map polynomials cover the whole half line (Shepherd and Laframboise 1981). ``erf`` is odd and a
polynomial near zero. ``erfcx(a) = exp(a**2) erfc(a)`` is the same without the exponential, and
its asymptotic series beyond the polynomials.
"""

from __future__ import annotations

import math

from symgraph.backends.llvm.vectormath.exponential import reduce
from symgraph.backends.llvm.vectormath.floating import (
    Real,
    fast_two_sum,
    power_of_two,
    scale,
    split_product,
    two_sum,
    via_double,
    where,
)

__all__ = ["erf", "erfc", "erfcx"]

# erf(x) / x - 1 in x**2: on |x| <= 0.75 for float32 (2**-29.4 of erf), on |x| <= 1 for float64
# (2**-55.8).
ERF_SMALL = {
    "single": (
        0.12837916549685338,
        -0.37612618755131205,
        0.11283376502168209,
        -0.026834618817640474,
        0.005114330009686855,
        -0.0006749378030415872,
    ),
    "double": (
        0.12837916709551256,
        -0.3761263890318352,
        0.11283791670944199,
        -0.026866170643112898,
        0.0052239776061255485,
        -0.0008548325929468451,
        0.00012055293576840009,
        -1.4924712224386694e-05,
        1.6447129801546777e-06,
        -1.620629481617299e-07,
        1.3710878142063026e-08,
        -7.779244357802912e-10,
    ),
}
# log(erfc(a)) on [0.745, 4]; its error times erfc(a) is below 2**-31.4.
LOG_ERFC = (
    0.00012035439544330685,
    -1.1292369466918641,
    -0.6339431460977512,
    -0.1075859295696887,
    0.02464613964290095,
    -0.003982241285183381,
    0.0003936753429023592,
    -1.7416932303018353e-05,
)
# (a + 4) exp(a**2) erfc(a) in q for a <= 10.1: relative error 2**-30.2.
SCALED_SHORT = (
    1.095995660910112,
    -0.9765487453522903,
    0.7732087256691824,
    -0.5408529535146269,
    0.3308513728645205,
    -0.17402420587925466,
    0.07637331948588921,
    -0.026295118811105595,
    0.006215174675822436,
    -0.0003923269557376445,
    -0.0007576008132076517,
)
# The same in q + 0.1875 for 1 <= a <= 6: the error of erf(a) is below 2**-57.1.
SCALED_MIDDLE = (
    1.3102996536377296,
    -1.3334587770903676,
    1.1602503235012545,
    -0.8614586584313331,
    0.5408824602880551,
    -0.281678519938828,
    0.11702611961343819,
    -0.0354740609467658,
    0.005625501492793379,
    0.0007596323576918795,
    -0.0010147782607430606,
    -6.790509592624613e-05,
)
# The same up to a = 27.3 in q - center, in two pieces that meet at q = -1/8: error 2**-58.3 (with
# rounded coefficients 2**-54.9). Centers, what rounding took from the constant terms, polynomials.
PIECES_MEET = -0.125
CENTERS = (-0.5625, 0.3125)
CONSTANT_LOW = (2.0109492292754331e-16, 2.4277976385291095e-17)
SCALED_LEFT = (
    2.0320848738185333,
    -2.7149586964736474,
    2.774932477993371,
    -2.2189078421851667,
    1.3878644507722742,
    -0.6626575138807468,
    0.22494965904346134,
    -0.04252917153052668,
    -0.0027506190422392786,
    0.00396917791225163,
    -0.0005783285883991075,
    -0.00025128586198109194,
    8.0812124274359e-05,
    1.7314747186693665e-05,
    -8.581153788270706e-06,
    -1.4867848827516167e-06,
    7.999144877337122e-07,
)
SCALED_RIGHT = (
    0.8525279555335843,
    -0.6184491092906648,
    0.4163436095043616,
    -0.25841950530981495,
    0.14658244439640133,
    -0.07503543508682334,
    0.034010426568148046,
    -0.013221138539790279,
    0.004137736907440805,
    -0.0008745070169654842,
    1.5986946257839767e-05,
    7.940800314021218e-05,
    -3.285804362525743e-05,
    2.916704532328047e-06,
    3.029786593460339e-06,
    -1.2017587205577621e-06,
    -5.480538169506663e-08,
)
# Beyond these, erfc is zero in the format (and in float32, erf is 1 beyond 4).
ERFC_END = {"single": 10.1, "double": 27.3}


# sqrt(pi) a exp(a**2) erfc(a) in 1 / a**2, beyond the ends above: error 2**-31 and 2**-57.
SERIES = {
    "single": (1.0, -0.5, 0.75, -1.875, 6.5625, -29.53125),
    "double": (1.0, -0.5, 0.75, -1.875, 6.5625, -29.53125, 162.421875, -1055.7421875),
}
INVERSE_ROOT_PI = 1 / math.sqrt(math.pi)


def scaled_erfc(a: Real) -> tuple[Real, Real]:
    """``exp(a**2) erfc(a)`` for ``a >= 0`` in two parts, float64.

    The inverse is cut to 40 bits, so that ``q = 1 - 8 inverse`` is exact; the value there, of
    ``a + defect``, is corrected by the derivative ``2 a y - 2 / sqrt(pi)`` of the scaled function.
    """
    s, s_low = two_sum(a, a.const(4.0))
    inverse = ((1.0 / s).bits() & -(1 << 13)).real()
    high, low = piecewise(1.0 - inverse * 8.0)
    y, y_low = fast_two_sum(*split_product(inverse, high))
    head, s_head = inverse.high(), s.high()
    remainder = (1.0 - head * s_head) - head * (s - s_head) - (inverse - head) * s
    defect = (remainder - inverse * s_low) * s
    slope = (a * 2.0).mad(y, -2.0 / math.sqrt(math.pi))
    return y, y_low + (inverse * low - defect * slope)


def piecewise(q: Real) -> tuple[Real, Real]:
    """The polynomial of ``q``'s piece, in two parts."""
    left = q < PIECES_MEET

    def pick(pair: tuple[float, float]) -> Real:
        return where(left, q.const(pair[0]), pair[1])

    t = q - pick(CENTERS)
    constant, *rest = [pick(pair) for pair in zip(SCALED_LEFT, SCALED_RIGHT, strict=True)]
    high, low = fast_two_sum(constant, t * t.poly(rest))
    return high, low + pick(CONSTANT_LOW)


@via_double
def erfc(x: Real, grade: str) -> Real:
    a = x.abs().at_most(ERFC_END[grade])
    value = erfc_short(a) if grade == "single" else erfc_long(a)
    value = where(x < 0.0, 2.0 - value, value)
    return where(a < 2.0**-55, a.const(1.0), value)


def erfc_short(a: Real) -> Real:
    part = reduce(-(a * a), "single")
    inverse = 1.0 / (a + 4.0)
    scaled = inverse * inverse.mad(-8.0, 1.0).poly(SCALED_SHORT)
    return (1.0 + (part.r + part.tail)) * scaled * power_of_two(part.k, a)


def erfc_long(a: Real) -> Real:
    head = a.high()
    # a**2 is head**2, exact, and the small rest.
    part = reduce(-(head * head), minus=(a - head) * (a + head))
    e, e_low = fast_two_sum(a.const(1.0), part.r)
    e, e_low = fast_two_sum(e, e_low + part.tail)
    y, y_low = fast_two_sum(*scaled_erfc(a))
    high, low = split_product(e, y)
    return scale(high + (low + e.mad(y_low, y * e_low)), part.k)


@via_double
def erfcx(x: Real, grade: str) -> Real:
    """``exp(x**2) erfc(x)``; for negative ``x`` it is ``2 exp(x**2)`` minus its mirror."""
    a = x.abs()
    far = a > ERFC_END[grade]
    near = where(far, a.const(1.0), a)
    if grade == "single":
        inverse = 1.0 / (near + 4.0)
        y, y_low = inverse * inverse.mad(-8.0, 1.0).poly(SCALED_SHORT), a.const(0.0)
    else:
        y, y_low = fast_two_sum(*scaled_erfc(near))
    inverse = 1.0 / where(far, a, a.const(1.0))
    tail = (inverse * inverse).poly(SERIES[grade][1:]) * (inverse * inverse)
    base = inverse * INVERSE_ROOT_PI
    y = where(far, base.mad(tail, base), y)
    y_low = where(far, a.const(0.0), y_low)
    value = where(x < 0.0, mirrored(a, y, y_low), y + y_low)
    return where(a < 2.0**-55, a.const(1.0), value)


def mirrored(a: Real, y: Real, y_low: Real) -> Real:
    """``2 exp(a**2) - (y + y_low)`` for ``a >= 0``."""
    a = a.at_most(ERFC_END["double"])
    head = a.high()
    part = reduce(head * head, minus=-((a - head) * (a + head)))
    e, e_low = fast_two_sum(a.const(1.0), part.r)
    high, low = scale(e * 2.0, part.k), scale((e_low + part.tail) * 2.0, part.k)
    total, error = two_sum(high, -y)
    return where(high < math.inf, total + ((error + low) - y_low), high)


@via_double
def erf(x: Real, grade: str) -> Real:
    a = x.abs()
    near = x.mad((x * x).poly(ERF_SMALL[grade]), x)
    if grade == "single":
        part = reduce(a.at_most(4.0).poly(LOG_ERFC), grade)
        complement = 1.0 + (part.r + part.tail)
    else:
        end = a.at_most(6.0)
        part = reduce(-(end * end))
        inverse = 1.0 / (end + 4.0)
        scaled = inverse * inverse.mad(-8.0, 1.1875).poly(SCALED_MIDDLE)
        complement = (1.0 + (part.r + part.tail)) * scaled
    far = (1.0 - complement * power_of_two(part.k, x)).copysign(x)
    return where(a < (0.75 if grade == "single" else 1.0), near, far)
