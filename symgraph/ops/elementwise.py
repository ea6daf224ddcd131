"""Element-wise operations: type rule, NumPy value and traits of each, one line an op."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symgraph.errors import DTypeError
from symgraph.op import Attrs, Equations, Op
from symgraph.ops.ranges import SQUARES
from symgraph.ops.registry import declare, elementwise
from symgraph.types import TensorType, broadcast_shapes

Array = np.ndarray[Any, Any]

# ---- arithmetic ----------------------------------------------------------------------------------

add = elementwise("add", np.add, kinds="biuf", traits="commutative associative exact")
subtract = elementwise("subtract", np.subtract, kinds="iuf", traits="exact")
multiply = elementwise(
    "multiply", np.multiply, kinds="biuf", traits="commutative associative exact"
)
divide = elementwise("divide", np.divide, traits="exact")
floor_divide = elementwise("floor_divide", np.floor_divide, kinds="iuf", traits="exact")
remainder = elementwise("remainder", np.remainder, kinds="iuf", traits="exact")
negative = elementwise("negative", np.negative, kinds="iuf", traits="exact involution")
reciprocal = elementwise("reciprocal", lambda x: x.dtype.type(1) / x, traits="exact")
square = elementwise("square", np.square, kinds="iuf", traits="exact nonnegative")
sqrt = elementwise("sqrt", np.sqrt, traits="exact nonnegative monotone")
cbrt = elementwise("cbrt", np.cbrt, traits="monotone")


def _hypot(x: Array, y: Array) -> Array:
    """Scaled by a power of two where squares leave the range; NaN if any is NaN."""
    safe, kind = SQUARES[x.dtype.itemsize], x.dtype.type
    top = np.maximum(np.abs(x), np.abs(y))
    low, high = top < kind(math.sqrt(safe.lowest)), top > kind(math.sqrt(safe.highest))
    scale = np.where(low, kind(safe.up), np.where(high, kind(safe.down), kind(1)))
    return np.asarray(np.sqrt(np.square(x * scale) + np.square(y * scale)) / scale)


hypot = elementwise("hypot", _hypot, traits="commutative nonnegative", doc="sqrt(x^2 + y^2)")
abs_ = elementwise("abs", np.abs, kinds="iuf", traits="exact nonnegative idempotent")
sign = elementwise("sign", np.sign, kinds="iuf", traits="exact idempotent")


def _float_power(x: Array, y: Array) -> Array:
    """IEEE pow. NumPy takes the square root for one repeated exponent 1/2: wrong at -0 and -inf."""
    x, y = np.broadcast_arrays(x, y)
    return np.asarray(np.power(x.reshape(-1), np.array(y).reshape(-1))).reshape(x.shape)


def _pow(x: Array, y: Array) -> Array:
    if x.dtype.kind == "f":
        return _float_power(x, y)
    if x.dtype.kind == "u":
        return np.asarray(np.power(x, y))
    powers = np.power(x, np.maximum(y, 0))
    # An integer to a negative power: the reciprocal rounded towards zero (of 0: 0).
    units = np.where(x == 1, 1, np.where(x == -1, np.where(y % 2 == 0, 1, -1), 0)).astype(x.dtype)
    return np.where(y < 0, units, powers)


power = elementwise("pow", _pow, kinds="iuf")

# ---- minimum, maximum, selection -----------------------------------------------------------------


def _signed(pick: Any, zeros: Any) -> Any:
    def evaluate(x: Array, y: Array) -> Array:
        out = pick(x, y)
        if x.dtype.kind == "f":  # -0 orders below +0; NumPy leaves it open
            tie = (x == 0) & (y == 0)
            if tie.any():
                out = np.where(tie, np.copysign(x * 0, zeros(np.signbit(x), np.signbit(y))), out)
        return np.asarray(out)

    return evaluate


maximum = elementwise(
    "maximum",
    _signed(np.maximum, lambda a, b: np.where(a & b, -1.0, 1.0)),
    kinds="biuf",
    traits="commutative associative idempotent exact selects",
)
minimum = elementwise(
    "minimum",
    _signed(np.minimum, lambda a, b: np.where(a | b, -1.0, 1.0)),
    kinds="biuf",
    traits="commutative associative idempotent exact selects",
)
clip = elementwise(
    "clip",
    lambda x, lo, hi: minimum.evaluate(maximum.evaluate(x, lo), hi),
    kinds="iuf",
    traits="exact selects",
    doc="x between two bounds",
)
relu = elementwise(
    "relu",
    lambda x: maximum.evaluate(x, np.zeros_like(x)),
    kinds="iuf",
    traits="exact selects nonnegative monotone idempotent",
)


def _infer_where(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    condition, a, b = types
    if condition.dtype.kind != "b":
        raise DTypeError(
            f"where: the condition is {condition.dtype.name}, not bool; compare it first"
        )
    if a.dtype != b.dtype:
        raise DTypeError(f"where: branches are {a.dtype.name} and {b.dtype.name}")
    shape = broadcast_shapes("where", [t.shape for t in types], equations)
    return TensorType(a.dtype, shape, a.weak and b.weak)


where = declare("where", _infer_where, np.where, "elementwise exact selects")

# ---- comparison, logic, bits ---------------------------------------------------------------------

equal = elementwise("equal", np.equal, kinds="biuf", result="bool", traits="commutative exact")
not_equal = elementwise(
    "not_equal", np.not_equal, kinds="biuf", result="bool", traits="commutative exact"
)
less = elementwise("less", np.less, kinds="biuf", result="bool", traits="exact")
less_equal = elementwise("less_equal", np.less_equal, kinds="biuf", result="bool", traits="exact")
greater = elementwise("greater", np.greater, kinds="biuf", result="bool", traits="exact")
greater_equal = elementwise(
    "greater_equal", np.greater_equal, kinds="biuf", result="bool", traits="exact"
)
logical_and = elementwise(
    "logical_and", np.logical_and, kinds="b", traits="commutative associative idempotent exact"
)
logical_or = elementwise(
    "logical_or", np.logical_or, kinds="b", traits="commutative associative idempotent exact"
)
logical_xor = elementwise(
    "logical_xor", np.logical_xor, kinds="b", traits="commutative associative exact"
)
logical_not = elementwise("logical_not", np.logical_not, kinds="b", traits="exact involution")
bitwise_and = elementwise(
    "bitwise_and", np.bitwise_and, kinds="biu", traits="commutative associative idempotent exact"
)
bitwise_or = elementwise(
    "bitwise_or", np.bitwise_or, kinds="biu", traits="commutative associative idempotent exact"
)
bitwise_xor = elementwise(
    "bitwise_xor", np.bitwise_xor, kinds="biu", traits="commutative associative exact"
)
bitwise_invert = elementwise("bitwise_invert", np.invert, kinds="biu", traits="exact involution")
bitwise_left_shift = elementwise("bitwise_left_shift", np.left_shift, kinds="iu", traits="exact")
bitwise_right_shift = elementwise("bitwise_right_shift", np.right_shift, kinds="iu", traits="exact")
isnan = elementwise("isnan", np.isnan, kinds="biuf", result="bool", traits="exact")
isinf = elementwise("isinf", np.isinf, kinds="biuf", result="bool", traits="exact")
isfinite = elementwise("isfinite", np.isfinite, kinds="biuf", result="bool", traits="exact")

# ---- exponentials and logarithms -----------------------------------------------------------------

exp = elementwise("exp", np.exp, traits="nonnegative monotone")
exp2 = elementwise("exp2", np.exp2, traits="nonnegative monotone")
expm1 = elementwise("expm1", np.expm1, traits="monotone")
log = elementwise("log", np.log, traits="monotone")
log2 = elementwise("log2", np.log2, traits="monotone")
log10 = elementwise("log10", np.log10, traits="monotone")
log1p = elementwise("log1p", np.log1p, traits="monotone")
logaddexp = elementwise("logaddexp", np.logaddexp, traits="commutative associative")


def _xlogy(x: Array, y: Array) -> Array:
    zero = (x == 0) & ~np.isnan(y)
    return np.where(zero, x.dtype.type(0), x * np.log(np.where(zero, y.dtype.type(1), y)))


xlogy = elementwise("xlogy", _xlogy, doc="x log y, and 0 where x is 0 (y not NaN)")


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    one = x.dtype.type(1)
    return np.asarray(np.where(x >= 0, one / (one + e), e / (one + e)))


sigmoid = elementwise("sigmoid", _sigmoid, traits="nonnegative unit monotone")
softplus = elementwise(
    "softplus", lambda x: np.logaddexp(x, x.dtype.type(0)), traits="nonnegative monotone"
)


def _logit(x: Array) -> Array:
    middle = (x > 0.25) & (x < 0.75)
    inner = np.where(middle, x, x.dtype.type(0.5))
    tail = np.where(middle, x.dtype.type(0.5), x)
    return np.where(middle, 2 * np.arctanh(2 * inner - 1), np.log(tail) - np.log1p(-tail))


def _log1mexp(x: Array) -> Array:
    near = x > -math.log(2)
    small = np.log(-np.expm1(np.where(near, x, x.dtype.type(-1))))
    return np.where(near, small, np.log1p(-np.exp(np.where(near, x.dtype.type(-1), x))))


log1mexp = elementwise("log1mexp", _log1mexp, doc="log(1 - exp(x))")

logit = elementwise("logit", _logit, traits="monotone", doc="log(x / (1 - x))")

# ---- trigonometric, hyperbolic, error function ---------------------------------------------------

sin = elementwise("sin", np.sin)
cos = elementwise("cos", np.cos)
tan = elementwise("tan", np.tan)
asin = elementwise("asin", np.arcsin)
acos = elementwise("acos", np.arccos)
atan = elementwise("atan", np.arctan, traits="monotone")
atan2 = elementwise("atan2", np.arctan2)
sinh = elementwise("sinh", np.sinh, traits="monotone")
cosh = elementwise("cosh", np.cosh)
tanh = elementwise("tanh", np.tanh, traits="monotone")
asinh = elementwise("asinh", np.arcsinh, traits="monotone")
acosh = elementwise("acosh", np.arccosh)
atanh = elementwise("atanh", np.arctanh)


def _by_math(scalar: Any) -> Any:
    vectorised = np.vectorize(scalar, otypes=[np.float64])
    return lambda x: np.asarray(vectorised(x.astype(np.float64)) if x.size else x).astype(x.dtype)


erf = elementwise("erf", _by_math(math.erf), traits="monotone")
erfc = elementwise("erfc", _by_math(math.erfc), traits="nonnegative")

_ASYMPTOTIC = 26.0  # here erfc is still a normal number


def _erfcx_scalar(x: float) -> float:
    """exp(x^2) erfc(x); the square in two parts, since its rounding error would be amplified."""
    if math.isnan(x):
        return x
    if x < -_ASYMPTOTIC - 1:
        return math.inf
    if x > _ASYMPTOTIC:
        z = 0.5 / x / x
        series = 1 - z * (1 - 3 * z * (1 - 5 * z * (1 - 7 * z * (1 - 9 * z * (1 - 11 * z)))))
        return series / x / math.sqrt(math.pi)
    head = math.ldexp(round(math.ldexp(x, 20)), -20)
    rest = math.exp((x - head) * (x + head))
    try:
        return math.exp(head * head) * rest * math.erfc(x)
    except OverflowError:
        return math.inf


erfcx = elementwise("erfcx", _by_math(_erfcx_scalar), traits="nonnegative", doc="exp(x^2) erfc(x)")


def _log_erfc(x: Array) -> Array:
    half = x.dtype.type(0.5)
    tail = np.maximum(x, half)
    body = np.log1p(0 - erf.evaluate(np.minimum(x, half)))
    return np.asarray(np.where(x > half, np.log(erfcx.evaluate(tail)) - tail * tail, body))


log_erfc = elementwise("log_erfc", _log_erfc, doc="log(erfc(x))")

# ---- rounding ------------------------------------------------------------------------------------

floor = elementwise("floor", np.floor, traits="exact idempotent monotone")
ceil = elementwise("ceil", np.ceil, traits="exact idempotent monotone")
trunc = elementwise("trunc", np.trunc, traits="exact idempotent monotone")
round_ = elementwise("round", np.round, traits="exact idempotent monotone", doc="halves go to even")

# ---- conversion, markers -------------------------------------------------------------------------


def _infer_astype(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    return TensorType(attrs["dtype"], types[0].shape, attrs.get("weak", False))


def _astype(x: Array, dtype: Any, weak: bool = False) -> Array:
    with np.errstate(invalid="ignore", over="ignore"):
        out = x.astype(dtype)
        if x.dtype.kind != "f" or dtype.kind not in "iu":
            return out
        # C leaves a float out of the integer's range undefined; here it saturates and NaN gives 0.
        limits = np.iinfo(dtype)
        out = np.where(x >= float(limits.max), dtype.type(limits.max), out)
        out = np.where(x <= float(limits.min), dtype.type(limits.min), out)
        return np.where(np.isnan(x), dtype.type(0), out)


astype = declare("astype", _infer_astype, _astype, "elementwise exact")


def _infer_same(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    return types[0]


#: The user's word that the values sum to one along the attribute ``axis``.
assume_normalised: Op = declare(
    "assume_normalised", _infer_same, lambda x, axis: x, "elementwise exact linear"
)
stop_gradient: Op = declare("stop_gradient", _infer_same, lambda x: x, "elementwise exact marker")
