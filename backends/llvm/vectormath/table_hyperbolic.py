"""tanh from tables in registers, for processors with AVX-512."""

from __future__ import annotations

from symgraph.backends.llvm.vectormath.avx512 import look_up, reciprocal_estimate
from symgraph.backends.llvm.vectormath.floating import Real, fast_two_sum, where
from symgraph.backends.llvm.vectormath.table_exponential import (
    ratio,
    table_exp_parts,
    table_expm1_parts,
)

__all__ = ["table_cosh", "table_sinh", "table_tanh"]

# float32: a polynomial about each of twelve centers, one for each half octave from 1/4 to 9.2 and
# one for all below 1/4; a stretch is named by the exponent and first fraction bit, modulo 16. The
# values at the centers are within 2**-27 of float32 numbers. Errors of the polynomials, relative:
# 2**-27.3 on [4, 6), below 2**-29 elsewhere. Below 1/4 it is tanh(t) - t.
LOWEST, FIRST_CENTER, END = 0.1875, 0.25, 9.2
CENTERS = (
    2.4997172355651855,
    3.50058650970459,
    4.999770164489746,
    6.998237133026123,
    8.603815078735352,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.31252342462539673,
    0.4375085234642029,
    0.6251066327095032,
    0.875141978263855,
    1.2497118711471558,
    1.7497650384902954,
)
COEFFICIENTS = (
    (
        0.986606776714325,
        0.9981800317764282,
        0.9999091625213623,
        0.9999983310699463,
        0.9999999403953552,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.3027310073375702,
        0.41157713532447815,
        0.5546735525131226,
        0.7039772272109985,
        0.8482028245925903,
        0.9413487911224365,
    ),
    (
        0.026607073843479156,
        0.003636623965576291,
        0.00018166039080824703,
        3.3377448289684253e-06,
        1.3303269952302799e-07,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.9083539247512817,
        0.8306042551994324,
        0.6923372745513916,
        0.5044160485267639,
        0.2805519700050354,
        0.11386245489120483,
    ),
    (
        -0.026250584051012993,
        -0.003630031133070588,
        -0.00018176472804043442,
        -3.3399842322978657e-06,
        -5.144168540027749e-07,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        -0.27498695254325867,
        -0.3418577313423157,
        -0.384021133184433,
        -0.3550974428653717,
        -0.23796500265598297,
        -0.10718425363302231,
    ),
    (
        0.01702980138361454,
        0.0024112039245665073,
        0.00012116001744288951,
        2.2266897303779842e-06,
        1.0796094329634798e-07,
        0.0,
        0.0,
        0.0,
        0.0,
        -0.33333224058151245,
        -0.21951377391815186,
        -0.13615447282791138,
        -0.017784520983695984,
        0.0818493440747261,
        0.10832525789737701,
        0.06294351816177368,
    ),
    (
        -0.008054875768721104,
        -0.001196179655380547,
        -5.9830032114405185e-05,
        -1.0998060133715626e-06,
        2.7640166990750004e-06,
        0.0,
        0.0,
        0.0,
        0.0,
        -4.234124207869172e-05,
        0.15817800164222717,
        0.17000845074653625,
        0.13785631954669952,
        0.0607578344643116,
        -0.012556562200188637,
        -0.023527169600129128,
    ),
    (
        0.002862607827410102,
        0.0004715290560852736,
        2.392112583038397e-05,
        4.4018599965056637e-07,
        1.4251022584232942e-08,
        0.0,
        0.0,
        0.0,
        0.0,
        0.1339152604341507,
        0.034076668322086334,
        -0.012437677942216396,
        -0.05372617393732071,
        -0.05977857857942581,
        -0.019228346645832062,
        0.003696948057040572,
    ),
    (
        -0.0006990444962866604,
        -0.00015687312406953424,
        -9.213154953613412e-06,
        -1.6997759644254984e-07,
        -5.20573667017743e-06,
        0.0,
        0.0,
        0.0,
        0.0,
        -0.0035326045472174883,
        -0.08495774120092392,
        -0.06488974392414093,
        -0.023432517424225807,
        0.01274127047508955,
        0.01509507093578577,
        0.0020823597442358732,
    ),
    (
        5.9453559515532106e-05,
        4.182104021310806e-05,
        2.615646508274949e-06,
        4.831028732610321e-08,
        -1.5831707855795685e-07,
        0.0,
        0.0,
        0.0,
        0.0,
        -0.0453864261507988,
        1.5700879096984863,
        0.9150656461715698,
        -0.020190687850117683,
        0.04452231526374817,
        -0.004451092332601547,
        -0.0019857671577483416,
    ),
)
# Past this float64 tanh rounds to 1.
DOUBLE_END = 20.0


def table_tanh(x: Real) -> Real:
    size = x.abs()
    value = _by_exponential(size) if x.double else _by_polynomials(size)
    return value.copysign(x)


def _by_polynomials(size: Real) -> Real:
    a = size.at_most(END)
    index = a.at_least(LOWEST).bits() >> (a.format.fraction - 1)
    t = a - look_up(CENTERS, index)
    start, *rest = [look_up(column, index) for column in COEFFICIENTS]
    return t.poly([where(a < FIRST_CENTER, a, start), *rest])


def _by_exponential(size: Real) -> Real:
    """``-t / (2 + t)`` with ``t = expm1(-2 a)`` in two parts."""
    leading, rest = table_expm1_parts(size.at_most(DOUBLE_END) * -2.0, falling=True)
    t, t_low = fast_two_sum(leading, rest)
    d = t + 2.0
    return ratio((-t, -t_low), (d, (t - (d - 2.0)) + t_low))


# Past these sinh and cosh overflow.
OVERFLOW = {"float": 90.0, "double": 711.0}
# Past this 1 / (4 h) does not count beside h.
BALANCE = 2.0**60
# (sinh(x) - x) / x**3 in x**2 on [0, 1]: errors 2**-31.5 and 2**-61.8 of sinh(x).
SINH_TAIL = {
    "float": (
        0.1666666716337204,
        0.008333311416208744,
        0.0001984263799386099,
        2.7838941605295986e-06,
    ),
    "double": (
        0.16666666666666669,
        0.008333333333332915,
        0.00019841269841589553,
        2.7557319108254053e-06,
        2.5052130735682628e-08,
        1.605668054690464e-10,
        7.775947282468632e-13,
    ),
}


def table_sinh(x: Real) -> Real:
    """``h - 1 / (4 h)`` with ``h = exp(|x|) / 2``; a polynomial where that cancels."""
    size, square = x.abs(), x * x
    h, low, inverse = _halves(size)
    far = (h + (low - inverse)).copysign(x)
    return where(size < 1.0, (x * square).mad(square.poly(SINH_TAIL[x.scalar]), x), far)


def table_cosh(x: Real) -> Real:
    """``h + 1 / (4 h)`` with ``h = exp(|x|) / 2``, which overflows no sooner than the result."""
    h, low, inverse = _halves(x.abs())
    return h + (inverse + low)


def _halves(size: Real) -> tuple[Real, Real, Real]:
    """``h = exp(size) / 2`` in two parts, and ``1 / (4 h)``."""
    h, low = table_exp_parts(size.at_most(OVERFLOW[size.scalar]), 0.5)
    return h, low, _quarter_of_inverse(h.at_most(BALANCE), low)


def _quarter_of_inverse(h: Real, low: Real) -> Real:
    """``1 / (4 (h + low))`` to 2**-28 or 2**-56 of it, by Newton's steps from an estimate."""
    inverse = reciprocal_estimate(h)
    if h.double:
        inverse = inverse.mad((-h).mad(inverse, 1.0), inverse)
    missing = (-low).mad(inverse, (-h).mad(inverse, 1.0))
    quarter = inverse * 0.25
    return quarter.mad(missing, quarter)
