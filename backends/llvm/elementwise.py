"""Element-wise ops as LLVM instructions: one line for regular ops, a function for each irregular
one.

A lowering gets the builder, the dtype of the operands, and one value per operand (a scalar or a
vector, bool as i1), and returns the result.
"""

from __future__ import annotations

from collections.abc import Callable

from symgraph.backends.llvm import compositions, division
from symgraph.backends.llvm.builder import Builder, Value
from symgraph.backends.llvm.casts import convert
from symgraph.backends.llvm.scalars import is_signed
from symgraph.backends.llvm.vectormath import MATH, MATH2
from symgraph.errors import UnsupportedError
from symgraph.op import Op
from symgraph.ops import elementwise as e
from symgraph.tensor import Tensor, describe
from symgraph.types import DType

__all__ = ["LOWER", "Lowering", "lower_elementwise"]

Lowering = Callable[[Builder, DType, list[Value]], Value]


def _by_kind(floating: str, integer: str, boolean: str = "") -> Lowering:
    def lower(b: Builder, dtype: DType, v: list[Value]) -> Value:
        name = {"f": floating, "b": boolean}.get(dtype.kind, integer)
        return b.binary(name, v[0], v[1])

    return lower


def _compare(floating: str, signed: str, unsigned: str) -> Lowering:
    def lower(b: Builder, dtype: DType, v: list[Value]) -> Value:
        if dtype.kind == "f":
            return b.fcmp(floating, v[0], v[1])
        return b.icmp(signed if is_signed(dtype) else unsigned, v[0], v[1])

    return lower


def _extreme(intrinsic: str, signed: str, unsigned: str, boolean: str) -> Lowering:
    def lower(b: Builder, dtype: DType, v: list[Value]) -> Value:
        if dtype.kind == "f":
            return b.intrinsic(intrinsic, v[0], v[1])
        if dtype.kind == "b":
            return b.binary(boolean, v[0], v[1])
        return b.intrinsic(signed if is_signed(dtype) else unsigned, v[0], v[1])

    return lower


def _unary_float(intrinsic: str) -> Lowering:
    return lambda b, dtype, v: b.intrinsic(intrinsic, v[0])


def _math(name: str) -> Lowering:
    return lambda b, dtype, v: MATH[name](b, v[0])


def _math2(name: str) -> Lowering:
    return lambda b, dtype, v: MATH2[name](b, v[0], v[1])


def _zero(b: Builder, v: Value) -> Value:
    return b.const(v.type, 0)


def _one(b: Builder, v: Value) -> Value:
    return b.const(v.type, 1)


def _absolute(b: Builder, dtype: DType, v: list[Value]) -> Value:
    (x,) = v
    if dtype.kind == "f":
        return b.intrinsic("llvm.fabs", x)
    if not is_signed(dtype):
        return x
    return b.select(b.icmp("slt", x, _zero(b, x)), b.sub(_zero(b, x), x), x)


def _sign(b: Builder, dtype: DType, v: list[Value]) -> Value:
    (x,) = v
    zero, one = _zero(b, x), _one(b, x)
    if dtype.kind != "f":
        positive = b.select(b.icmp("sgt" if is_signed(dtype) else "ugt", x, zero), one, zero)
        if not is_signed(dtype):
            return positive
        return b.select(b.icmp("slt", x, zero), b.const(x.type, -1), positive)
    still = b.select(b.fcmp("oeq", x, zero), zero, x)  # sign(-0.0) is 0.0, NaN stays
    positive = b.select(b.fcmp("ogt", x, zero), one, still)
    return b.select(b.fcmp("olt", x, zero), b.const(x.type, -1), positive)


def _negative(b: Builder, dtype: DType, v: list[Value]) -> Value:
    return b.fneg(v[0]) if dtype.kind == "f" else b.sub(_zero(b, v[0]), v[0])


def _square(b: Builder, dtype: DType, v: list[Value]) -> Value:
    return b.fmul(v[0], v[0]) if dtype.kind == "f" else b.mul(v[0], v[0])


# ---- bits, classification ------------------------------------------------------------------------


def _shift(op: str) -> Lowering:
    def lower(b: Builder, dtype: DType, v: list[Value]) -> Value:
        x, amount = v
        bits = 8 * dtype.itemsize
        over = b.icmp("uge", amount, b.const(amount.type, bits))
        safe = b.select(over, b.const(amount.type, bits - 1), amount)
        if op == "shl":
            return b.select(over, _zero(b, x), b.shl(x, safe))
        if is_signed(dtype):
            return b.ashr(x, safe)
        return b.select(over, _zero(b, x), b.lshr(x, safe))

    return lower


def _classify(test: Callable[[Builder, Value], Value], constant: bool) -> Lowering:
    def lower(b: Builder, dtype: DType, v: list[Value]) -> Value:
        if dtype.kind != "f":
            return b.icmp("eq" if constant else "ne", v[0], v[0])
        return test(b, v[0])

    return lower


def _is_infinite(b: Builder, x: Value) -> Value:
    return b.fcmp("oeq", b.intrinsic("llvm.fabs", x), b.const(x.type, float("inf")))


def _is_finite(b: Builder, x: Value) -> Value:
    return b.fcmp("olt", b.intrinsic("llvm.fabs", x), b.const(x.type, float("inf")))


# ---- selection -----------------------------------------------------------------------------------


def _clip(b: Builder, dtype: DType, v: list[Value]) -> Value:
    return LOWER[e.minimum](b, dtype, [LOWER[e.maximum](b, dtype, [v[0], v[1]]), v[2]])


def _relu(b: Builder, dtype: DType, v: list[Value]) -> Value:
    return LOWER[e.maximum](b, dtype, [v[0], _zero(b, v[0])])


def _where(b: Builder, dtype: DType, v: list[Value]) -> Value:
    return b.select(v[0], v[1], v[2])


LOWER: dict[Op, Lowering] = {
    # ---- arithmetic ------------------------------------------------------------------------------
    e.add: _by_kind("fadd", "add", "or"),
    e.subtract: _by_kind("fsub", "sub"),
    e.multiply: _by_kind("fmul", "mul", "and"),
    e.divide: _by_kind("fdiv", ""),
    e.floor_divide: division.floor_divide,
    e.remainder: division.remainder,
    e.negative: _negative,
    e.reciprocal: lambda b, dtype, v: b.fdiv(_one(b, v[0]), v[0]),
    e.square: _square,
    e.sqrt: _unary_float("llvm.sqrt"),
    e.cbrt: _math("cbrt"),
    e.abs_: _absolute,
    e.sign: _sign,
    e.power: division.power,
    # ---- selection -------------------------------------------------------------------------------
    e.maximum: _extreme("llvm.maximum", "llvm.smax", "llvm.umax", "or"),
    e.minimum: _extreme("llvm.minimum", "llvm.smin", "llvm.umin", "and"),
    e.clip: _clip,
    e.relu: _relu,
    e.where: _where,
    # ---- comparison, logic, bits -----------------------------------------------------------------
    e.equal: _compare("oeq", "eq", "eq"),
    e.not_equal: _compare("une", "ne", "ne"),
    e.less: _compare("olt", "slt", "ult"),
    e.less_equal: _compare("ole", "sle", "ule"),
    e.greater: _compare("ogt", "sgt", "ugt"),
    e.greater_equal: _compare("oge", "sge", "uge"),
    e.logical_and: _by_kind("", "", "and"),
    e.logical_or: _by_kind("", "", "or"),
    e.logical_xor: _by_kind("", "", "xor"),
    e.logical_not: lambda b, dtype, v: b.not_(v[0]),
    e.bitwise_and: _by_kind("", "and", "and"),
    e.bitwise_or: _by_kind("", "or", "or"),
    e.bitwise_xor: _by_kind("", "xor", "xor"),
    e.bitwise_invert: lambda b, dtype, v: b.not_(v[0]),
    e.bitwise_left_shift: _shift("shl"),
    e.bitwise_right_shift: _shift("shr"),
    e.isnan: _classify(lambda b, x: b.fcmp("uno", x, x), False),
    e.isinf: _classify(_is_infinite, False),
    e.isfinite: _classify(_is_finite, True),
    # ---- exponentials, logarithms, trigonometric, hyperbolic -------------------------------------
    **{
        op: _math(op.name)
        for op in (
            e.exp,
            e.exp2,
            e.expm1,
            e.log,
            e.log2,
            e.log10,
            e.log1p,
            e.sigmoid,
            e.softplus,
            e.sin,
            e.cos,
            e.tan,
            e.asin,
            e.acos,
            e.atan,
            e.sinh,
            e.cosh,
            e.tanh,
            e.asinh,
            e.acosh,
            e.atanh,
            e.erf,
            e.erfc,
            e.erfcx,
        )
    },
    e.logaddexp: _math2("logaddexp"),
    e.atan2: _math2("atan2"),
    e.hypot: compositions.hypot,
    e.xlogy: compositions.xlogy,
    e.logit: compositions.logit,
    e.log1mexp: compositions.log1mexp,
    e.log_erfc: compositions.log_erfc,
    # ---- rounding --------------------------------------------------------------------------------
    e.floor: _unary_float("llvm.floor"),
    e.ceil: _unary_float("llvm.ceil"),
    e.trunc: _unary_float("llvm.trunc"),
    e.round_: _unary_float("llvm.roundeven"),
    # ---- markers ---------------------------------------------------------------------------------
    e.stop_gradient: lambda b, dtype, v: v[0],
    e.assume_normalised: lambda b, dtype, v: v[0],
}


def lower_elementwise(b: Builder, node: Tensor, args: list[Value]) -> Value:
    """The value of an element-wise node from those of its operands.

    Raises:
        UnsupportedError: the op has no native code; names the op and where the user made it.
    """
    dtype = node.inputs[-1].dtype
    if node.op is e.astype:
        return convert(b, args[0], dtype, node.dtype)
    rule = node.op.lower or LOWER.get(node.op)
    if rule is None:
        raise UnsupportedError(
            f"{describe(node)}: the op {node.op.name} has no native code for {dtype.name}; give "
            "the Op "
            "a lower= function, or compile with backend='reference'"
        )
    out: Value = rule(b, dtype, args)
    return out
