"""Local partial derivatives of element-wise ops: one line an op, from inputs and output y.

Forward and reverse mode both follow from these. None is zero;
``Selected`` is a strong zero off its mask.
"""

from __future__ import annotations

import math
from typing import Any

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.op import Derivative, partials
from symgraph.ops import elementwise as e
from symgraph.ops import leaves
from symgraph.passes.derivatives.forms import Selected, table, undefined
from symgraph.tensor import Tensor

LN2, LN10 = math.log(2.0), math.log(10.0)
TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)


def _half_where_equal(a: Tensor, b: Tensor) -> Tensor:
    """1 where the operands differ, 1/2 where they tie: ties share equally."""
    return f.where(f.equal(a, b), number(0.5, a.dtype), number(1, a.dtype))


def _maximum(a: Tensor, b: Tensor, y: Tensor) -> tuple[Any, ...]:
    weight = _half_where_equal(a, b)
    return Selected(f.greater_equal(a, b), weight), Selected(f.greater_equal(b, a), weight)


def _minimum(a: Tensor, b: Tensor, y: Tensor) -> tuple[Any, ...]:
    weight = _half_where_equal(a, b)
    return Selected(f.less_equal(a, b), weight), Selected(f.less_equal(b, a), weight)


def _clip(x: Tensor, lo: Tensor, hi: Tensor, y: Tensor) -> tuple[Any, ...]:
    crossed = f.greater(lo, hi)  # then the upper bound is taken everywhere
    low, high = f.less(x, lo), f.logical_or(f.greater(x, hi), crossed)
    inside = f.logical_not(f.logical_or(low, high))
    return Selected(inside), Selected(f.logical_and(low, f.logical_not(crossed))), Selected(high)


def _pow(x: Tensor, p: Tensor, y: Tensor) -> tuple[Any, ...]:
    # p x^(p-1) is 0 for p = 0 even at x = 0; y log x is 0 where x = 0 and p > 0. The masks cover no
    # more points than these: elsewhere the formulas are right, and so are their derivatives.
    origin = f.equal(x, 0)
    flat = f.logical_and(origin, f.equal(p, 0))
    base = Selected(f.logical_not(flat), p * f.pow(x, p - 1))
    steady = f.logical_and(origin, f.greater(p, 0))
    exponent = Selected(f.logical_not(steady), y * f.log(x))
    return base, exponent


def _remainder(x: Tensor, y: Tensor, out: Tensor) -> tuple[Any, ...]:
    return 1, -f.floor_divide(x, y)


def _hypot(a: Tensor, b: Tensor, y: Tensor) -> tuple[Any, ...]:
    """A length: its derivative where it is 0 is 0."""
    apart = f.not_equal(y, 0)
    return Selected(apart, a / y), Selected(apart, b / y)


def _atan2(a: Tensor, b: Tensor, y: Tensor) -> tuple[Any, ...]:
    # Scaled by the larger leg, so that squares neither overflow nor underflow.
    scale = f.stop_gradient(f.maximum(f.abs(a), f.abs(b)))
    u, v = a / scale, b / scale
    r = (u * u + v * v) * scale
    return v / r, -u / r


def _logaddexp(a: Tensor, b: Tensor, y: Tensor) -> tuple[Any, ...]:
    known = a if a.op is leaves.constant else b  # of a finite constant, the test folds away
    same = f.logical_and(f.equal(a, b), f.isinf(known))  # their difference would be NaN
    gap = f.where(same, number(0, a.dtype), a - b)
    return f.sigmoid(gap), f.sigmoid(-gap)


def _xlogy(x: Tensor, y: Tensor, out: Tensor) -> tuple[Any, ...]:
    origin = f.logical_and(f.equal(x, 0), f.equal(y, 0))
    return f.log(y), Selected(f.logical_not(origin), x / y)


def _bell(x: Tensor) -> Tensor:
    """exp(-x^2); beyond 30 it is 0 in floats, and so are its derivatives at every order."""
    return f.exp(-f.square(f.clip(x, -30.0, 30.0)))


#: Below here exp(x) rounds off beside 1, by item size.
EXP_FAR = {4: -20.0, 8: -40.0}


def _log1mexp(x: Tensor, y: Tensor) -> tuple[Any, ...]:
    """-1/expm1(-x), which is -exp(x) far below 0; there the derivative of the quotient, a small
    number squared times a large one, would underflow.
    """
    edge = number(EXP_FAR[x.dtype.itemsize], x.dtype)
    far = f.less(x, edge)
    return (-f.where(far, f.exp(x), 1 / f.expm1(-f.where(far, edge, x))),)


#: From here on 1/erfcx(x) is sqrt(pi) (x + 1/(2x)), by item size.
ERFCX_LINEAR = {4: 1e2, 8: 1e4}


def _log_erfc(x: Tensor, y: Tensor) -> tuple[Any, ...]:
    """-2/sqrt(pi) / erfcx(x), which overflows far below 0; there erfc is no tail. Far above, the
    derivative of the quotient would underflow over the square of what does.
    """
    origin, edge = number(0, x.dtype), number(ERFCX_LINEAR[x.dtype.itemsize], x.dtype)
    right, far = f.greater(x, origin), f.greater(x, edge)
    left = _bell(x) / f.erfc(f.where(right, origin, x))
    middle = 1 / f.erfcx(f.where(right, f.where(far, edge, x), origin))
    steady = f.where(far, x, edge)
    near = -TWO_OVER_SQRT_PI * f.where(right, middle, left)
    return (f.where(far, -2 * (steady + 0.5 / steady), near),)


#: From here on the derivative of erfcx is a continued fraction, by item size.
ERFCX_FAR = {4: 3.0, 8: 4.5}
ERFCX_LEVELS = {4: 8, 8: 16}


def _erfcx(x: Tensor, y: Tensor) -> tuple[Any, ...]:
    """2 x y - 2/sqrt(pi); it cancels for large x, and is -y / (x + 1/(x + 1.5/(x + 2/(x + ...))))
    there.
    """
    size = x.dtype.itemsize
    far, edge = f.greater(x, ERFCX_FAR[size]), ERFCX_FAR[size]
    steady = f.where(far, x, number(edge, x.dtype))
    rest = (math.sqrt(edge * edge + 2 * ERFCX_LEVELS[size]) - edge) / 2  # of all further levels
    tail = steady + rest
    for k in range(ERFCX_LEVELS[size], 1, -1):
        tail = steady + 0.5 * k / tail
    return (f.where(far, -y / tail, 2 * x * y - TWO_OVER_SQRT_PI),)


COMPARISON = "a comparison is piecewise constant; its derivative is zero or does not exist"
DISCRETE = "its results are discrete"

table(
    {
        # ---- arithmetic --------------------------------------------------------------------------
        e.add: partials(lambda a, b, y: (1, 1)),
        e.subtract: partials(lambda a, b, y: (1, -1)),
        e.multiply: partials(lambda a, b, y: (b, a)),
        e.divide: partials(lambda a, b, y: (1 / b, -(y / b))),
        e.floor_divide: partials(lambda a, b, y: (None, None)),
        e.remainder: partials(_remainder),
        e.negative: partials(lambda x, y: (-1,)),
        e.reciprocal: partials(lambda x, y: (-(y * y),)),
        e.square: partials(lambda x, y: (2 * x,)),
        e.sqrt: partials(lambda x, y: (0.5 / y,)),
        e.cbrt: partials(lambda x, y: (1 / (3 * y * y),)),
        e.abs_: partials(lambda x, y: (f.sign(x),)),
        e.sign: partials(lambda x, y: (None,)),
        e.power: partials(_pow),
        # ---- selection ---------------------------------------------------------------------------
        e.maximum: partials(_maximum),
        e.minimum: partials(_minimum),
        e.clip: partials(_clip),
        e.relu: partials(lambda x, y: (Selected(x > 0),)),
        e.where: partials(lambda c, a, b, y: (None, Selected(c), Selected(f.logical_not(c)))),
        # ---- exponentials and logarithms ---------------------------------------------------------
        e.exp: partials(lambda x, y: (y,)),
        e.exp2: partials(lambda x, y: (LN2 * y,)),
        e.expm1: partials(lambda x, y: (f.exp(x),)),
        e.log: partials(lambda x, y: (1 / x,)),
        e.log2: partials(lambda x, y: ((1 / LN2) / x,)),
        e.log10: partials(lambda x, y: ((1 / LN10) / x,)),
        e.log1p: partials(lambda x, y: (1 / (1 + x),)),
        e.logaddexp: partials(_logaddexp),
        e.xlogy: partials(_xlogy),
        e.sigmoid: partials(lambda x, y: (y * f.sigmoid(-x),)),
        e.softplus: partials(lambda x, y: (f.sigmoid(x),)),
        e.log1mexp: partials(_log1mexp),
        e.logit: partials(lambda x, y: ((1 / x) / (1 - x),)),
        # ---- trigonometric, hyperbolic, error function -------------------------------------------
        e.sin: partials(lambda x, y: (f.cos(x),)),
        e.cos: partials(lambda x, y: (-f.sin(x),)),
        e.tan: partials(lambda x, y: (1 + y * y,)),
        e.asin: partials(lambda x, y: (1 / f.sqrt((1 - x) * (1 + x)),)),
        e.acos: partials(lambda x, y: (-(1 / f.sqrt((1 - x) * (1 + x))),)),
        e.atan: partials(lambda x, y: (1 / (1 + x * x),)),
        e.atan2: partials(_atan2),
        e.hypot: partials(_hypot),
        e.sinh: partials(lambda x, y: (f.cosh(x),)),
        e.cosh: partials(lambda x, y: (f.sinh(x),)),
        e.tanh: partials(lambda x, y: (1 - f.square(y),)),
        e.asinh: partials(lambda x, y: (1 / f.hypot(x, 1.0),)),  # x * x would overflow
        e.acosh: partials(lambda x, y: (1 / (f.sqrt(x - 1) * f.sqrt(x + 1)),)),
        e.atanh: partials(lambda x, y: (1 / ((1 - x) * (1 + x)),)),
        e.erf: partials(lambda x, y: (TWO_OVER_SQRT_PI * _bell(x),)),
        e.erfc: partials(lambda x, y: (-TWO_OVER_SQRT_PI * _bell(x),)),
        e.erfcx: partials(_erfcx),
        e.log_erfc: partials(_log_erfc),
        # ---- piecewise constant: derivative 0 ----------------------------------------------------
        e.floor: partials(lambda x, y: (None,)),
        e.ceil: partials(lambda x, y: (None,)),
        e.trunc: partials(lambda x, y: (None,)),
        e.round_: partials(lambda x, y: (None,)),
        # ---- undefined, with the reason ----------------------------------------------------------
        **{
            op: undefined(COMPARISON)
            for op in (e.equal, e.not_equal, e.less, e.less_equal, e.greater, e.greater_equal)
        },
        **{
            op: undefined(DISCRETE)
            for op in (
                e.logical_and,
                e.logical_or,
                e.logical_xor,
                e.logical_not,
                e.bitwise_and,
                e.bitwise_or,
                e.bitwise_xor,
                e.bitwise_invert,
                e.bitwise_left_shift,
                e.bitwise_right_shift,
                e.isnan,
                e.isinf,
                e.isfinite,
            )
        },
        # ---- conversion, markers -----------------------------------------------------------------
        e.stop_gradient: Derivative(partials=lambda node: (None,)),
    }
)


def _astype_transpose(node: Tensor, g: Tensor) -> tuple[Any, ...]:
    return (f.astype(g, node.inputs[0].dtype),)


table(
    {
        e.assume_normalised: Derivative(
            transpose=lambda node, g: (g,), jvp=lambda node, t: t[0], structural=True
        )
    }
)
table({e.astype: Derivative(transpose=_astype_transpose, structural=True)})
