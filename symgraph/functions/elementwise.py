"""Element-wise functions; operands broadcast and promote as in NumPy 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.errors import DTypeError, UsageError
from symgraph.functions.variables import as_tensor, cast, elementwise_node, number, promoted
from symgraph.op import Op
from symgraph.ops import elementwise as ops
from symgraph.tensor import Tensor, apply, describe
from symgraph.types import as_dtype

Unary = Callable[[Any], Tensor]
Binary = Callable[[Any, Any], Tensor]


def _unary(op: Op, floating: bool = False, doc: str = "") -> Unary:
    def function(x: Any, /) -> Tensor:
        return elementwise_node(op, x, floating=floating)

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = doc or f"Element-wise {op.name}; the shape of x" + (
        ", integers computed as float64." if floating else "."
    )
    return function


def _binary(op: Op, floating: bool = False, doc: str = "") -> Binary:
    def function(x1: Any, x2: Any, /) -> Tensor:
        return elementwise_node(op, x1, x2, floating=floating)

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = doc or f"Element-wise {op.name} of broadcast, promoted operands."
    return function


# ---- arithmetic ----------------------------------------------------------------------------------

add = _binary(ops.add)
subtract = _binary(ops.subtract)
multiply = _binary(ops.multiply)
divide = _binary(ops.divide, floating=True, doc="x1 / x2; integers divide as float64.")
floor_divide = _binary(ops.floor_divide)
remainder = _binary(ops.remainder, doc="x1 - x2 * floor(x1 / x2): the sign of x2, as in Python.")
negative = _unary(ops.negative)
reciprocal = _unary(ops.reciprocal, True)
square = _unary(ops.square)
sqrt = _unary(ops.sqrt, True)
cbrt = _unary(ops.cbrt, True)
abs = _unary(ops.abs_)
sign = _unary(ops.sign)


def positive(x: Any, /) -> Tensor:
    """x itself."""
    return as_tensor(x, "positive")


def pow(x1: Any, x2: Any, /) -> Tensor:
    """x1 ** x2, IEEE pow for floats. A literal exponent 1, 2 or -1 becomes the simpler op.

    An integer to a negative power found at run time is its reciprocal rounded towards zero: of 1
    and -1 the power itself, of all others 0.

    Raises:
        UsageError: an integer to a literal negative power (use a float base).
    """
    base, exponent = as_tensor(x1, "pow"), x2
    if isinstance(exponent, (int, float)) and not isinstance(exponent, bool):
        if base.dtype.kind in "iu" and isinstance(exponent, int) and exponent < 0:
            raise UsageError(
                f"pow: {describe(base)} is {base.dtype.name}, and an integer to the power "
                f"{exponent} is no "
                "integer; use astype('float64')"
            )
        keeps = base.dtype.kind == "f" or isinstance(exponent, int)
        if keeps and exponent == 2 and base.dtype.kind in "iuf":
            return square(base)
        if keeps and exponent == 1 and base.dtype.kind in "iuf":
            return base
        if base.dtype.kind == "f" and exponent == -1:
            return reciprocal(base)
    return elementwise_node(ops.power, x1, x2)


# ---- minimum, maximum, selection -----------------------------------------------------------------

maximum = _binary(ops.maximum, doc="The larger operand; NaN if either is, and -0 orders below +0.")
minimum = _binary(ops.minimum, doc="The smaller operand; NaN if either is, and -0 orders below +0.")
relu = _unary(ops.relu, doc="max(x, 0), with derivative 0 at 0.")


def clip(x: Any, /, min: Any = None, max: Any = None) -> Tensor:
    """x limited to [min, max] (either may be None); derivative 1 up to the bounds, 0 outside."""
    if min is None and max is None:
        return as_tensor(x, "clip")
    if max is None:
        a, lo = promoted("clip", x, min)
        return where(greater_equal(a, lo) | isnan(a), a, lo)
    if min is None:
        a, hi = promoted("clip", x, max)
        return where(less_equal(a, hi) | isnan(a), a, hi)
    return elementwise_node(ops.clip, x, min, max)


def where(condition: Any, x1: Any, x2: Any, /) -> Tensor:
    """x1 where the condition holds, x2 elsewhere; what is not selected adds no derivative."""
    c = as_tensor(condition, "where")
    if c.dtype.kind != "b":
        raise DTypeError(
            f"where: the condition {describe(c)} is {c.dtype.name}, not bool; write condition != 0"
        )
    a, b = promoted("where", x1, x2)
    return apply(ops.where, (c, a, b))


# ---- comparison, logic, bits ---------------------------------------------------------------------


def _comparison(op: Op) -> Binary:
    """Integers are compared as numbers, also int64 with uint64, which have no common type."""

    def function(x1: Any, x2: Any, /) -> Tensor:
        if isinstance(x1, _ARRAYS) and isinstance(x2, _ARRAYS):
            a, b = as_tensor(x1, op.name), as_tensor(x2, op.name)
            kinds = [(t.dtype.kind, t.dtype.itemsize) for t in (a, b) if not t.type.weak]
            if ("u", 8) in kinds and "i" in [kind for kind, _ in kinds]:
                return _signs(op, a, b) if b.dtype.kind == "u" else _signs(_MIRRORED[op], b, a)
        return elementwise_node(op, x1, x2)

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"Element-wise {op.name} of broadcast operands, as numbers."
    return function


def _signs(op: Op, signed: Tensor, unsigned: Tensor) -> Tensor:
    """A comparison with uint64: of the sign first, then without it."""
    negative = apply(ops.less, (signed, number(0, signed.dtype)))
    magnitudes = apply(op, (cast(signed, unsigned.dtype), unsigned))
    if op in (ops.less, ops.less_equal, ops.not_equal):
        return apply(ops.logical_or, (negative, magnitudes))
    return apply(ops.logical_and, (apply(ops.logical_not, (negative,)), magnitudes))


_ARRAYS = (Tensor, np.ndarray, np.generic)
_MIRRORED = {
    ops.equal: ops.equal, ops.not_equal: ops.not_equal,
    ops.less: ops.greater, ops.greater: ops.less,
    ops.less_equal: ops.greater_equal, ops.greater_equal: ops.less_equal,
}  # fmt: skip
equal = _comparison(ops.equal)
not_equal = _comparison(ops.not_equal)
less = _comparison(ops.less)
less_equal = _comparison(ops.less_equal)
greater = _comparison(ops.greater)
greater_equal = _comparison(ops.greater_equal)


def _as_bool(x: Any, what: str) -> Tensor:
    t = as_tensor(x, what)
    return t if t.dtype.kind == "b" else not_equal(t, number(0, t.dtype))


def logical_and(x1: Any, x2: Any, /) -> Tensor:
    """Whether both are nonzero."""
    return apply(ops.logical_and, (_as_bool(x1, "logical_and"), _as_bool(x2, "logical_and")))


def logical_or(x1: Any, x2: Any, /) -> Tensor:
    """Whether either is nonzero."""
    return apply(ops.logical_or, (_as_bool(x1, "logical_or"), _as_bool(x2, "logical_or")))


def logical_xor(x1: Any, x2: Any, /) -> Tensor:
    """Whether exactly one is nonzero."""
    return apply(ops.logical_xor, (_as_bool(x1, "logical_xor"), _as_bool(x2, "logical_xor")))


def logical_not(x: Any, /) -> Tensor:
    """Whether x is zero."""
    return apply(ops.logical_not, (_as_bool(x, "logical_not"),))


def _bits(op: Op, logic: Op) -> Binary:
    def function(x1: Any, x2: Any, /) -> Tensor:
        a, b = promoted(op.name, x1, x2)
        return apply(logic if a.dtype.kind == "b" else op, (a, b))

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"Bit-wise {op.name} of integers; the logical operation on bool."
    return function


bitwise_and = _bits(ops.bitwise_and, ops.logical_and)
bitwise_or = _bits(ops.bitwise_or, ops.logical_or)
bitwise_xor = _bits(ops.bitwise_xor, ops.logical_xor)
bitwise_left_shift = _binary(ops.bitwise_left_shift)
bitwise_right_shift = _binary(ops.bitwise_right_shift)


def bitwise_invert(x: Any, /) -> Tensor:
    """Every bit flipped; ``not`` on bool."""
    t = as_tensor(x, "bitwise_invert")
    return apply(ops.logical_not if t.dtype.kind == "b" else ops.bitwise_invert, (t,))


isnan = _unary(ops.isnan)
isinf = _unary(ops.isinf)
isfinite = _unary(ops.isfinite)

# ---- exponentials, logarithms, trigonometric, hyperbolic -----------------------------------------

exp = _unary(ops.exp, True)
exp2 = _unary(ops.exp2, True)
expm1 = _unary(ops.expm1, True)
log = _unary(ops.log, True, "The natural logarithm, element-wise.")
log2 = _unary(ops.log2, True)
log10 = _unary(ops.log10, True)
log1p = _unary(ops.log1p, True)
logaddexp = _binary(ops.logaddexp, True, "log(exp(x1) + exp(x2)) without overflow.")
xlogy = _binary(ops.xlogy, True, "x1 * log(x2), and 0 where x1 is 0 and x2 is not NaN.")
sigmoid = _unary(ops.sigmoid, True, "1 / (1 + exp(-x)), accurate on the whole line.")
logit = _unary(ops.logit, True, "log(x / (1 - x)), the inverse of sigmoid.")
softplus = _unary(ops.softplus, True, "log(1 + exp(x)), accurate on the whole line.")
log1mexp = _unary(ops.log1mexp, True, "log(1 - exp(x)), accurate for every x < 0.")
sin = _unary(ops.sin, True)
cos = _unary(ops.cos, True)
tan = _unary(ops.tan, True)
asin = _unary(ops.asin, True)
acos = _unary(ops.acos, True)
atan = _unary(ops.atan, True)
atan2 = _binary(ops.atan2, True)
hypot = _binary(
    ops.hypot, True, "sqrt(x1**2 + x2**2), without overflow on the way; its derivative at 0 is 0."
)
sinh = _unary(ops.sinh, True)
cosh = _unary(ops.cosh, True)
tanh = _unary(ops.tanh, True)
asinh = _unary(ops.asinh, True)
acosh = _unary(ops.acosh, True)
atanh = _unary(ops.atanh, True)
erf = _unary(ops.erf, True)
erfc = _unary(ops.erfc, True)
erfcx = _unary(ops.erfcx, True, "exp(x**2) * erfc(x), without overflow for positive x.")
log_erfc = _unary(ops.log_erfc, True, "log(erfc(x)), accurate in the tail.")


def _rounding(op: Op) -> Unary:
    def function(x: Any, /) -> Tensor:
        t = as_tensor(x, op.name)
        return t if t.dtype.kind in "iu" else elementwise_node(op, t)

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"Element-wise {op.name}; integers are returned as they are."
    return function


floor = _rounding(ops.floor)
ceil = _rounding(ops.ceil)
trunc = _rounding(ops.trunc)
round = _rounding(ops.round_)

# ---- conversion, markers -------------------------------------------------------------------------


def astype(x: Any, dtype: Any, /) -> Tensor:
    """x converted to ``dtype`` as NumPy does; floats to integers truncate.

    A float outside the integer type's range gives its nearest end, NaN gives 0.
    """
    t = as_tensor(x, "astype")
    wanted = as_dtype(dtype)
    if wanted.kind == "b" and t.dtype.kind != "b":
        return not_equal(t, number(0, t.dtype))
    return cast(t, wanted)


def stop_gradient(x: Any, /) -> Tensor:
    """x, taken as a constant by every derivative."""
    return apply(ops.stop_gradient, (as_tensor(x, "stop_gradient"),))


def nan_to_num(x: Any, /, nan: float = 0.0) -> Tensor:
    """x with NaN replaced; infinities become the largest finite numbers."""
    t = as_tensor(x, "nan_to_num")
    if t.dtype.kind != "f":
        return t
    big = float(np.finfo(t.dtype).max)
    return where(isnan(t), nan, clip(t, -big, big))
