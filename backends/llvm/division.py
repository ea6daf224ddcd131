"""Division with remainder, which never traps, and powers of integers."""

from __future__ import annotations

from symgraph.backends.llvm.builder import Builder, Value, lanes_of, scalar_of, vector_type
from symgraph.backends.llvm.scalars import is_signed, register_type
from symgraph.backends.llvm.vectormath import MATH2
from symgraph.types import DType

__all__ = ["floor_divide", "power", "remainder"]


def _safe_divisor(b: Builder, dtype: DType, y: Value) -> tuple[Value, Value]:
    """A divisor that never traps, and where the original was 0."""
    zero = b.icmp("eq", y, b.const(y.type, 0))
    trap = zero
    if is_signed(dtype):
        trap = b.or_(zero, b.icmp("eq", y, b.const(y.type, -1)))
    return b.select(trap, b.const(y.type, 1), y), zero


def _int_floor_divide(b: Builder, dtype: DType, x: Value, y: Value) -> Value:
    safe, zero = _safe_divisor(b, dtype, y)
    if not is_signed(dtype):
        return b.select(zero, b.const(x.type, 0), b.binary("udiv", x, safe))
    q = b.binary("sdiv", x, safe)
    r = b.sub(x, b.mul(q, safe))
    down = b.and_(
        b.icmp("ne", r, b.const(r.type, 0)), b.icmp("slt", b.xor(r, safe), b.const(r.type, 0))
    )
    q = b.select(down, b.sub(q, b.const(q.type, 1)), q)
    q = b.select(b.icmp("eq", y, b.const(y.type, -1)), b.sub(b.const(x.type, 0), x), q)
    return b.select(zero, b.const(x.type, 0), q)


def _float_divmod(b: Builder, x: Value, y: Value) -> tuple[Value, Value]:
    """Floor quotient and remainder as NumPy computes them, from the exact fmod."""
    zero = b.const(x.type, 0)
    mod = b.binary("frem", x, y)
    quotient = b.fdiv(b.fsub(x, mod), y)
    differs = b.xor(b.fcmp("olt", y, zero), b.fcmp("olt", mod, zero))
    wrap = b.and_(b.fcmp("une", mod, zero), differs)
    shifted = b.select(wrap, b.fadd(mod, y), mod)
    remainder = b.select(b.fcmp("oeq", mod, zero), b.intrinsic("llvm.copysign", zero, y), shifted)
    quotient = b.select(wrap, b.fsub(quotient, b.const(x.type, 1)), quotient)
    floor = b.intrinsic("llvm.floor", quotient)
    gap = b.fcmp("ogt", b.fsub(quotient, floor), b.const(x.type, 0.5))
    floor = b.select(gap, b.fadd(floor, b.const(x.type, 1)), floor)
    plain = b.fdiv(x, y)
    empty = b.intrinsic("llvm.copysign", zero, plain)
    floor = b.select(b.fcmp("oeq", quotient, zero), empty, floor)
    by_zero = b.fcmp("oeq", y, zero)
    return b.select(by_zero, plain, floor), remainder


def floor_divide(b: Builder, dtype: DType, v: list[Value]) -> Value:
    if dtype.kind == "f":
        return _float_divmod(b, v[0], v[1])[0]
    return _int_floor_divide(b, dtype, v[0], v[1])


def remainder(b: Builder, dtype: DType, v: list[Value]) -> Value:
    x, y = v
    if dtype.kind == "f":
        return _float_divmod(b, x, y)[1]
    q = _int_floor_divide(b, dtype, x, y)
    r = b.sub(x, b.mul(q, y))
    return b.select(b.icmp("eq", y, b.const(y.type, 0)), b.const(x.type, 0), r)


# ---- powers --------------------------------------------------------------------------------------


def _integer_power_function(b: Builder, dtype: DType, lanes: int) -> str:
    """The name of an internal function that raises integers to powers by squaring."""
    t = vector_type(register_type(dtype), lanes)
    name = f"power_{register_type(dtype)}_{dtype.kind}_{lanes}"
    if name in b.module.functions:
        return name
    f = Builder(b.module, name, t, [(t, "x"), (t, "p")], linkage="internal")
    x, p = f.args
    one, zero = f.const(t, 1), f.const(t, 0)
    power = f.select(f.icmp("slt", p, zero), zero, p) if is_signed(dtype) else p
    with f.loop(f.i64(0), _bit_length(f, power), 1, [one, x, power]) as loop:
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


def _bit_length(f: Builder, x: Value) -> Value:
    """An ``i64``: the number of bits of the longest lane."""
    lanes, scalar = lanes_of(x.type), scalar_of(x.type)
    joined = x if lanes == 1 else f.call(f"llvm.vector.reduce.or.v{lanes}{scalar}", scalar, [x])
    zeros = f.call(f"llvm.ctlz.{scalar}", scalar, [joined, Value("false", "i1")])
    length = f.sub(f.const(scalar, int(scalar[1:])), zeros)
    return length if scalar == "i64" else f.cast("zext", length, "i64")


def power(b: Builder, dtype: DType, v: list[Value]) -> Value:
    if dtype.kind == "f":
        return MATH2["pow"](b, v[0], v[1])
    name = _integer_power_function(b, dtype, lanes_of(v[0].type))
    return b.call(name, v[0].type, v)
