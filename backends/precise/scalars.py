"""The mathematical value of every element-wise operation at one point, with mpmath.

To add an operation: one line in ``REAL``. Arguments are mpmath numbers, infinities and NaN
included; a complex result, a division by zero and a domain error mean NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath

__all__ = ["REAL", "TRUTH", "Scalar", "guarded"]

Scalar = Callable[..., Any]
mp = mpmath.mp
inf, nan = mpmath.inf, mpmath.nan

#: Exponentials of numbers beyond 2 to this power would not fit any computer: they are 0 or inf.
HUGE = 4096
#: Beyond 2 to this power an exponential is computed in two steps.
LARGE = 20
#: Beyond this the tail of the error function is its asymptotic series.
FAR = 10**10


def guarded(function: Scalar) -> Scalar:
    """The function, NaN where it leaves the real numbers."""

    def value(*args: Any) -> Any:
        try:
            out = function(*args)
        except (ZeroDivisionError, ValueError, OverflowError):
            return nan
        return nan if isinstance(out, mpmath.mpc) else out

    return value


def _nan_in(*args: Any) -> bool:
    return any(a != a for a in args)


# ---- arithmetic ----------------------------------------------------------------------------------


def _divide(a: Any, b: Any) -> Any:
    if b == 0:
        return nan if a == 0 or a != a else mpmath.sign(a) * inf
    return a / b


def _floor_divide(a: Any, b: Any) -> Any:
    if _nan_in(a, b) or (mpmath.isinf(a) and mpmath.isinf(b)):
        return nan
    if mpmath.isinf(b):
        return mpmath.mpf(0 if a == 0 or (a > 0) == (b > 0) else -1)
    if b == 0:
        return _divide(a, b)
    return nan if mpmath.isinf(a) else mpmath.floor(a / b)


def _remainder(a: Any, b: Any) -> Any:
    if _nan_in(a, b) or b == 0 or mpmath.isinf(a):
        return nan
    if mpmath.isinf(b):
        return a if a == 0 or (a > 0) == (b > 0) else b
    return a % b


def _cbrt(a: Any) -> Any:
    return mpmath.sign(a) * mpmath.cbrt(abs(a))


def _is_integer(a: Any) -> bool:
    return bool(mpmath.isfinite(a) and mpmath.floor(a) == a)


def _is_odd(a: Any) -> bool:
    return _is_integer(a) and bool(a % 2 == 1)


def _pow(a: Any, b: Any) -> Any:
    """IEEE pow, without the sign of a zero."""
    if b == 0 or a == 1:
        return mpmath.mpf(1)
    if _nan_in(a, b):
        return nan
    if mpmath.isinf(b):
        if abs(a) == 1:
            return mpmath.mpf(1)
        return inf if (abs(a) > 1) == (b > 0) else mpmath.mpf(0)
    if a < 0 and mpmath.isfinite(a) and not _is_integer(b):
        return nan
    size = _magnitude_pow(abs(a), b)
    return -size if a < 0 and _is_odd(b) else size


def _magnitude_pow(a: Any, b: Any) -> Any:
    if a == 0:
        return mpmath.mpf(0) if b > 0 else inf
    if mpmath.isinf(a):
        return inf if b > 0 else mpmath.mpf(0)
    if mpmath.mag(b) + mpmath.mag(mpmath.log(a)) > HUGE:
        return inf if (a > 1) == (b > 0) else mpmath.mpf(0)
    return mpmath.power(a, b)


def _maximum(a: Any, b: Any) -> Any:
    return nan if _nan_in(a, b) else max(a, b)


def _minimum(a: Any, b: Any) -> Any:
    return nan if _nan_in(a, b) else min(a, b)


# ---- exponentials and logarithms -----------------------------------------------------------------


def _beyond(a: Any) -> bool:
    return bool(mpmath.isfinite(a) and mpmath.mag(a) > HUGE)


def _exp(a: Any) -> Any:
    if _beyond(a):
        return inf if a > 0 else mpmath.mpf(0)
    return _exp_of_large(a) if _large(a) else mpmath.exp(a)


def _large(a: Any) -> bool:
    return bool(mpmath.isfinite(a) and mpmath.mag(a) > LARGE)


def _exp_of_large(a: Any) -> Any:
    """The exponential by the remainder after division by log 2.

    From 600 bits on mpmath itself raises e to whole powers, up to a thousand times slower.
    """
    with mpmath.workprec(mp.prec + int(mpmath.mag(a)) + 20):
        power = mpmath.nint(a / mp.ln2)
        rest = a - power * mp.ln2
    return mpmath.ldexp(mpmath.exp(rest), int(power))


def _expm1(a: Any) -> Any:
    if _beyond(a):
        return inf if a > 0 else mpmath.mpf(-1)
    return _exp_of_large(a) - 1 if _large(a) else mpmath.expm1(a)


def _exp2(a: Any) -> Any:
    return _pow(mpmath.mpf(2), a)


def _log(a: Any) -> Any:
    return -inf if a == 0 else mpmath.log(a)


def _log1p(a: Any) -> Any:
    return -inf if a == -1 else mpmath.log1p(a)


def _logaddexp(a: Any, b: Any) -> Any:
    if _nan_in(a, b):
        return nan
    high, low = max(a, b), min(a, b)
    return high if mpmath.isinf(high) else high + _log1p(_exp(low - high))


def _xlogy(a: Any, b: Any) -> Any:
    return mpmath.mpf(0) if a == 0 and b == b else a * _log(b)


def _softplus(a: Any) -> Any:
    return _log1p(_exp(a)) if a < 0 else a + _log1p(_exp(-a))


def _hyperbolic(function: Scalar, limit: Scalar) -> Scalar:
    return lambda a: limit(a) if _beyond(a) else function(a)


# ---- error functions -----------------------------------------------------------------------------


def _scaled_tail(a: Any) -> Any:
    """exp(a**2) * erfc(a) for large a: 1/(a sqrt(pi)) * sum of (-1)^k (2k-1)!! / (2 a^2)^k."""
    term = total = mpmath.mpf(1)
    for k in range(1, 1 + mp.prec // 32):
        term = term * (1 - 2 * k) / (2 * a * a)
        total += term
    return total / (a * mpmath.sqrt(mp.pi))


def _erfc(a: Any) -> Any:
    if mpmath.isinf(a) or a < FAR:
        return mpmath.erfc(a)
    return _scaled_tail(a) * _exp(-a * a)


def _erfcx(a: Any) -> Any:
    if a > FAR:
        return mpmath.mpf(0) if mpmath.isinf(a) else _scaled_tail(a)
    size = int(mpmath.mag(a)) if mpmath.isfinite(a) and a != 0 else 0
    with mpmath.workprec(mp.prec + 2 * max(0, size)):
        return _exp(a * a) * mpmath.erfc(a)


def _log_erfc(a: Any) -> Any:
    if a < 1:
        return _log1p(-mpmath.erf(a))
    return _log(_erfcx(a)) - a * a


def _log1mexp(a: Any) -> Any:
    return _log1p(-_exp(a)) if a < -1 else _log(-_expm1(a))


# ---- the table -----------------------------------------------------------------------------------

# fmt: off
#: Element-wise operations on floats by name.
REAL: dict[str, Scalar] = {
    "add": lambda a, b: a + b, "subtract": lambda a, b: a - b, "multiply": lambda a, b: a * b,
    "divide": _divide, "floor_divide": _floor_divide, "remainder": _remainder, "pow": _pow,
    "negative": lambda a: -a, "reciprocal": lambda a: _divide(mpmath.mpf(1), a),
    "square": lambda a: a * a, "sqrt": mpmath.sqrt, "cbrt": _cbrt,
    "abs": abs, "sign": mpmath.sign,
    "maximum": _maximum, "minimum": _minimum, "relu": lambda a: _maximum(a, mpmath.mpf(0)),
    "clip": lambda a, low, high: _minimum(_maximum(a, low), high),
    "exp": _exp, "exp2": _exp2, "expm1": _expm1,
    "log": _log, "log1p": _log1p,
    "log2": lambda a: _log(a) / mpmath.log(2), "log10": lambda a: _log(a) / mpmath.log(10),
    "logaddexp": _logaddexp, "xlogy": _xlogy,
    "sigmoid": lambda a: 1 / (1 + _exp(-a)), "softplus": _softplus,
    "log1mexp": _log1mexp,
    "logit": lambda a: _log(a) - _log1p(-a),
    "sin": mpmath.sin, "cos": mpmath.cos, "tan": mpmath.tan,
    "asin": mpmath.asin, "acos": mpmath.acos, "atan": mpmath.atan,
    "hypot": lambda a, b: nan if _nan_in(a, b) else mpmath.hypot(a, b),
    "atan2": lambda a, b: nan if _nan_in(a, b) else mpmath.atan2(a, b),
    "sinh": _hyperbolic(mpmath.sinh, lambda a: mpmath.sign(a) * inf),
    "cosh": _hyperbolic(mpmath.cosh, lambda a: inf),
    "tanh": _hyperbolic(mpmath.tanh, mpmath.sign),
    "asinh": mpmath.asinh, "acosh": mpmath.acosh, "atanh": mpmath.atanh,
    "erf": mpmath.erf, "erfc": _erfc, "erfcx": _erfcx, "log_erfc": _log_erfc,
    "floor": mpmath.floor, "ceil": mpmath.ceil, "round": mpmath.nint,
    "trunc": lambda a: mpmath.floor(a) if a >= 0 else mpmath.ceil(a),
    "assume_normalised": lambda a: a, "stop_gradient": lambda a: a,
}
#: Those whose result is true or false.
TRUTH: dict[str, Scalar] = {
    "equal": lambda a, b: a == b, "not_equal": lambda a, b: a != b,
    "less": lambda a, b: a < b, "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b, "greater_equal": lambda a, b: a >= b,
    "isnan": lambda a: a != a, "isinf": mpmath.isinf, "isfinite": mpmath.isfinite,
}
# fmt: on
