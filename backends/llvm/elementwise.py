"""Element-wise ops as LLVM instructions: one line for regular ops, a function for each irregular
one.

A lowering gets the builder, the dtype of the operands, and one value per operand (a scalar or a
vector, bool as i1), and returns the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from symgraph.backends.llvm.builder import Builder, Value, lanes_of, scalar_of
from symgraph.backends.llvm.scalars import is_signed, register_type
from symgraph.backends.llvm.vectormath import MATH, MATH2
from symgraph.errors import UnsupportedError
from symgraph.op import Op
from symgraph.ops import elementwise as e
from symgraph.ops.ranges import SQUARES
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


# ---- division ------------------------------------------------------------------------------------


def _safe_divisor(b: Builder, dtype: DType, y: Value) -> tuple[Value, Value]:
    """A divisor that never traps, and where the original was 0."""
    zero = b.icmp("eq", y, _zero(b, y))
    trap = zero
    if is_signed(dtype):
        trap = b.or_(zero, b.icmp("eq", y, b.const(y.type, -1)))
    return b.select(trap, _one(b, y), y), zero


def _int_floor_divide(b: Builder, dtype: DType, x: Value, y: Value) -> Value:
    safe, zero = _safe_divisor(b, dtype, y)
    if not is_signed(dtype):
        return b.select(zero, _zero(b, x), b.binary("udiv", x, safe))
    q = b.binary("sdiv", x, safe)
    r = b.sub(x, b.mul(q, safe))
    down = b.and_(b.icmp("ne", r, _zero(b, r)), b.icmp("slt", b.xor(r, safe), _zero(b, r)))
    q = b.select(down, b.sub(q, _one(b, q)), q)
    q = b.select(b.icmp("eq", y, b.const(y.type, -1)), b.sub(_zero(b, x), x), q)
    return b.select(zero, _zero(b, x), q)


def _float_divmod(b: Builder, x: Value, y: Value) -> tuple[Value, Value]:
    """Floor quotient and remainder as NumPy computes them, from the exact fmod."""
    zero = _zero(b, x)
    mod = b.binary("frem", x, y)
    quotient = b.fdiv(b.fsub(x, mod), y)
    differs = b.xor(b.fcmp("olt", y, zero), b.fcmp("olt", mod, zero))
    wrap = b.and_(b.fcmp("une", mod, zero), differs)
    shifted = b.select(wrap, b.fadd(mod, y), mod)
    remainder = b.select(b.fcmp("oeq", mod, zero), b.intrinsic("llvm.copysign", zero, y), shifted)
    quotient = b.select(wrap, b.fsub(quotient, _one(b, x)), quotient)
    floor = b.intrinsic("llvm.floor", quotient)
    gap = b.fcmp("ogt", b.fsub(quotient, floor), b.const(x.type, 0.5))
    floor = b.select(gap, b.fadd(floor, _one(b, x)), floor)
    plain = b.fdiv(x, y)
    empty = b.intrinsic("llvm.copysign", zero, plain)
    floor = b.select(b.fcmp("oeq", quotient, zero), empty, floor)
    by_zero = b.fcmp("oeq", y, zero)
    return b.select(by_zero, plain, floor), remainder


def _floor_divide(b: Builder, dtype: DType, v: list[Value]) -> Value:
    if dtype.kind == "f":
        return _float_divmod(b, v[0], v[1])[0]
    return _int_floor_divide(b, dtype, v[0], v[1])


def _remainder(b: Builder, dtype: DType, v: list[Value]) -> Value:
    x, y = v
    if dtype.kind == "f":
        return _float_divmod(b, x, y)[1]
    q = _int_floor_divide(b, dtype, x, y)
    r = b.sub(x, b.mul(q, y))
    return b.select(b.icmp("eq", y, _zero(b, y)), _zero(b, x), r)


# ---- powers --------------------------------------------------------------------------------------


def _integer_power_function(b: Builder, dtype: DType) -> str:
    """The name of an internal function that raises one integer to one power by squaring."""
    t = register_type(dtype)
    name = f"power_{t}_{dtype.kind}"
    if name in b.module.functions:
        return name
    f = Builder(b.module, name, t, [(t, "x"), (t, "p")], linkage="internal")
    x, p = f.args
    one, zero = f.const(t, 1), f.const(t, 0)
    power = f.select(f.icmp("slt", p, zero), zero, p) if is_signed(dtype) else p
    bits = f.i64(8 * dtype.itemsize)
    with f.loop(f.i64(0), bits, 1, [one, x, power]) as loop:
        total, square, left = loop.carry
        odd = f.icmp("ne", f.and_(left, one), zero)
        loop.next = [
            f.select(odd, f.mul(total, square), total),
            f.mul(square, square),
            f.lshr(left, one),
        ]
    result = loop.result[0]
    if is_signed(dtype):  # 1 and -1 have integer reciprocals; all others round towards 0
        odd = f.icmp("ne", f.and_(p, one), zero)
        minus = f.select(odd, f.const(t, -1), one)
        unit = f.select(
            f.icmp("eq", x, one), one, f.select(f.icmp("eq", x, f.const(t, -1)), minus, zero)
        )
        result = f.select(f.icmp("slt", p, zero), unit, result)
    f.ret(result)
    return name


def _power(b: Builder, dtype: DType, v: list[Value]) -> Value:
    if dtype.kind == "f":
        return MATH2["pow"](b, v[0], v[1])
    name, lanes = _integer_power_function(b, dtype), lanes_of(v[0].type)
    scalar = scalar_of(v[0].type)
    if lanes == 1:
        return b.call(name, scalar, v)
    out = Value("poison", v[0].type)
    for lane in range(lanes):
        one = b.call(name, scalar, [b.extract(v[0], lane), b.extract(v[1], lane)])
        out = b.insert(out, one, lane)
    return out


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


def _hypot(b: Builder, dtype: DType, v: list[Value]) -> Value:
    """The legs are scaled by a power of two where their squares would leave the range."""
    safe = SQUARES[dtype.itemsize]
    one, two = [b.intrinsic("llvm.fabs", x) for x in v]
    top = b.select(b.fcmp("ogt", one, two), one, two)
    low = b.fcmp("olt", top, b.const(top.type, math.sqrt(safe.lowest)))
    high = b.fcmp("ogt", top, b.const(top.type, math.sqrt(safe.highest)))

    def pick(down: float, up: float) -> Value:
        rest = b.select(low, b.const(top.type, up), _one(b, top))
        return b.select(high, b.const(top.type, down), rest)

    scale, back = pick(safe.down, safe.up), pick(1 / safe.down, 1 / safe.up)
    legs = [b.fmul(x, scale) for x in (one, two)]
    total = b.fadd(b.fmul(legs[0], legs[0]), b.fmul(legs[1], legs[1]))
    return b.fmul(b.intrinsic("llvm.sqrt", total), back)


# ---- compositions of elementary functions --------------------------------------------------------


def _clip(b: Builder, dtype: DType, v: list[Value]) -> Value:
    return LOWER[e.minimum](b, dtype, [LOWER[e.maximum](b, dtype, [v[0], v[1]]), v[2]])


def _relu(b: Builder, dtype: DType, v: list[Value]) -> Value:
    return LOWER[e.maximum](b, dtype, [v[0], _zero(b, v[0])])


def _xlogy(b: Builder, dtype: DType, v: list[Value]) -> Value:
    x, y = v
    zero = b.and_(b.fcmp("oeq", x, _zero(b, x)), b.fcmp("ord", y, y))
    return b.select(zero, _zero(b, x), b.fmul(x, MATH["log"](b, y)))


def _logit(b: Builder, dtype: DType, v: list[Value]) -> Value:
    (x,) = v
    middle = b.and_(
        b.fcmp("ogt", x, b.const(x.type, 0.25)), b.fcmp("olt", x, b.const(x.type, 0.75))
    )
    two = b.const(x.type, 2)
    inner = b.fmul(two, MATH["atanh"](b, b.fsub(b.fmul(two, x), _one(b, x))))
    outer = b.fsub(MATH["log"](b, x), MATH["log1p"](b, b.fneg(x)))
    return b.select(middle, inner, outer)


def _log1mexp(b: Builder, dtype: DType, v: list[Value]) -> Value:
    (x,) = v
    near = b.fcmp("ogt", x, b.const(x.type, -math.log(2)))
    small = MATH["log"](b, b.fneg(MATH["expm1"](b, x)))
    return b.select(near, small, MATH["log1p"](b, b.fneg(MATH["exp"](b, x))))


def _log_erfc(b: Builder, dtype: DType, v: list[Value]) -> Value:
    (x,) = v
    tail = b.fsub(MATH["log"](b, MATH["erfcx"](b, x)), b.fmul(x, x))
    body = MATH["log1p"](b, b.fsub(_zero(b, x), MATH["erf"](b, x)))
    return b.select(b.fcmp("ogt", x, b.const(x.type, 0.5)), tail, body)


def _where(b: Builder, dtype: DType, v: list[Value]) -> Value:
    return b.select(v[0], v[1], v[2])


LOWER: dict[Op, Lowering] = {
    # ---- arithmetic ------------------------------------------------------------------------------
    e.add: _by_kind("fadd", "add", "or"),
    e.subtract: _by_kind("fsub", "sub"),
    e.multiply: _by_kind("fmul", "mul", "and"),
    e.divide: _by_kind("fdiv", ""),
    e.floor_divide: _floor_divide,
    e.remainder: _remainder,
    e.negative: _negative,
    e.reciprocal: lambda b, dtype, v: b.fdiv(_one(b, v[0]), v[0]),
    e.square: _square,
    e.sqrt: _unary_float("llvm.sqrt"),
    e.cbrt: _math("cbrt"),
    e.abs_: _absolute,
    e.sign: _sign,
    e.power: _power,
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
    e.hypot: _hypot,
    e.xlogy: _xlogy,
    e.logit: _logit,
    e.log1mexp: _log1mexp,
    e.log_erfc: _log_erfc,
    # ---- rounding --------------------------------------------------------------------------------
    e.floor: _unary_float("llvm.floor"),
    e.ceil: _unary_float("llvm.ceil"),
    e.trunc: _unary_float("llvm.trunc"),
    e.round_: _unary_float("llvm.roundeven"),
    # ---- markers ---------------------------------------------------------------------------------
    e.stop_gradient: lambda b, dtype, v: v[0],
    e.assume_normalised: lambda b, dtype, v: v[0],
}


def convert(b: Builder, x: Value, have: DType, want: DType) -> Value:
    """One dtype to another as NumPy's astype; floats out of an integer's range saturate."""
    to = register_type(want)
    if have == want:
        return x
    if have.kind == "f":
        if want.kind == "f":
            return b.cast("fpext" if want.itemsize > have.itemsize else "fptrunc", x, to)
        if want.kind == "b":
            return b.fcmp("une", x, _zero(b, x))
        return _saturating(b, x, want)
    if want.kind == "b":
        return b.icmp("ne", x, _zero(b, x))
    if want.kind == "f":
        return b.cast("sitofp" if is_signed(have) else "uitofp", x, to)
    if have.kind == "b":
        return b.cast("zext", x, to)
    if want.itemsize > have.itemsize:
        return b.cast("sext" if is_signed(have) else "zext", x, to)
    return b.cast("trunc", x, to) if want.itemsize < have.itemsize else x


def _saturating(b: Builder, x: Value, want: DType) -> Value:
    lanes, to = lanes_of(x.type), register_type(want)
    result = to if lanes == 1 else f"<{lanes} x {to}>"
    source = "f32" if scalar_of(x.type) == "float" else "f64"
    prefix = "" if lanes == 1 else f"v{lanes}"
    stem = "llvm.fptosi.sat" if is_signed(want) else "llvm.fptoui.sat"
    return b.call(f"{stem}.{prefix}{to}.{prefix}{source}", result, [x])


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
