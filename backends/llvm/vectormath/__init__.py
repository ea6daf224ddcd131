"""Vectorised elementary functions as LLVM IR, emitted at the builder's position.

``MATH[name](builder, x)`` and ``MATH2[name](builder, x, y)`` take float or double values, scalar or
vectors of any number of lanes, and return the result. It is straight-line code without calls, but
``sin``, ``cos``, ``tan``, ``logaddexp``, ``pow`` and ``atan2`` end the current block: where a lane
is huge, cancels, is special or gives a subnormal result, they branch, most to a function of their
own.
Special values are those of C and NumPy.

The features of the builder's module decide on the code: with AVX-512 most functions look numbers up
in tables that stay in registers (``table_*``), and with fused multiply-add some float32 functions
stay in float32 (``single_*``); otherwise the code is portable. On one target the same argument
gives the same bits, whatever the number of lanes.

Accuracy, on targets with and without fused multiply-add: 1 ulp in float32 and 2 ulp in float64;
without AVX-512, float64 logaddexp 6.
``docs/elementary-functions.md`` has measured errors and times.
"""

from __future__ import annotations

from collections.abc import Callable

from symgraph.backends.llvm.builder import Builder, Value
from symgraph.backends.llvm.vectormath.avx512 import alone
from symgraph.backends.llvm.vectormath.error_function import erf, erfc, erfcx
from symgraph.backends.llvm.vectormath.exponential import exp, exp2, expm1, sigmoid
from symgraph.backends.llvm.vectormath.floating import Real
from symgraph.backends.llvm.vectormath.hyperbolic import acosh, asinh, atanh, cosh, sinh, tanh
from symgraph.backends.llvm.vectormath.logarithm import (
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    softplus,
)
from symgraph.backends.llvm.vectormath.power import cbrt, pow
from symgraph.backends.llvm.vectormath.trigonometric import (
    acos,
    asin,
    atan,
    atan2,
    cos,
    sin,
    tan,
)

__all__ = ["MATH", "MATH2"]


def _unary(function: Callable[[Real], Real]) -> Callable[[Builder, Value], Value]:
    return lambda b, x: alone(function, Real(b, x)).value


def _binary(function: Callable[[Real, Real], Real]) -> Callable[[Builder, Value, Value], Value]:
    return lambda b, x, y: alone(function, Real(b, x), Real(b, y)).value


MATH: dict[str, Callable[[Builder, Value], Value]] = {
    "acos": _unary(acos),
    "acosh": _unary(acosh),
    "asin": _unary(asin),
    "asinh": _unary(asinh),
    "atan": _unary(atan),
    "atanh": _unary(atanh),
    "cbrt": _unary(cbrt),
    "cos": _unary(cos),
    "cosh": _unary(cosh),
    "erf": _unary(erf),
    "erfc": _unary(erfc),
    "erfcx": _unary(erfcx),
    "exp": _unary(exp),
    "exp2": _unary(exp2),
    "expm1": _unary(expm1),
    "log": _unary(log),
    "log10": _unary(log10),
    "log1p": _unary(log1p),
    "log2": _unary(log2),
    "sigmoid": _unary(sigmoid),
    "sin": _unary(sin),
    "sinh": _unary(sinh),
    "softplus": _unary(softplus),
    "tan": _unary(tan),
    "tanh": _unary(tanh),
}

MATH2: dict[str, Callable[[Builder, Value, Value], Value]] = {
    "atan2": _binary(atan2),
    "logaddexp": _binary(logaddexp),
    "pow": _binary(pow),
}
