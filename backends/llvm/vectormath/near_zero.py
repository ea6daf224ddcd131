"""``exp(a) + exp(b) - 1`` where it almost vanishes, in 128-bit fixed point, in a function.

There ``log(exp(a) + exp(b))`` has lost its leading digits, and float64 with them. With
``b <= a < 0`` and ``A = 2**s |a|`` in ``[1/2, 1)``, the sum times ``2**s`` is
``2**(s - n) exp(-r) - A phi(|a|)``, where ``-b = n ln 2 + r`` and ``phi(w) = (1 - exp(-w)) / w``.
All terms are below 2 and wrong by less than 2**-105.
"""

from __future__ import annotations

import math

from symgraph.backends.llvm.builder import Builder, Value, lanes_of
from symgraph.backends.llvm.vectormath.floating import Ints, Real

__all__ = ["excess_over_one"]

# Numbers have 126 bits after the point.
POINT = 126
ONE = 1 << POINT
# ln 2 with 117 bits after the point, like -b at first.
LN2 = 0x162E42FEFA39EF35793C7673007E5E
TERMS = 32
LOG2_E = 1.4426950408889634


def excess_over_one(a: Real, b: Real) -> tuple[Real, Real]:
    """``x`` and ``scale`` with ``exp(a) + exp(b) - 1 = x * scale``, a power of two.

    A call to a function that is emitted once per module and vector type. Wanted of every lane:
    ``-1.4 < a <= -2**-1000``, ``-700 < b <= a``, and a sum below ``|a| / 2`` in magnitude; or
    ``a = 0``, which gives 0 at once.
    """
    lanes, type_ = lanes_of(a.value.type), a.value.type
    name, returns = f"excess_over_one_{lanes}", f"{{ {type_}, {type_} }}"
    if name not in a.b.module.functions:
        emit(a.b, name, returns, type_)
    result = a.b.call(name, returns, [a.value, b.value])
    parts = [a.b.emit(type_, f"extractvalue {returns} {result.ref}, {k}") for k in range(2)]
    return Real(a.b, parts[0]), Real(a.b, parts[1])


def emit(outer: Builder, name: str, returns: str, type_: str) -> None:
    """The function itself: the scalar computation, lane after lane."""
    f = Builder(
        outer.module,
        name,
        returns,
        [(type_, "a"), (type_, "b")],
        linkage="internal",
        attributes="noinline nounwind",
    )
    lanes = lanes_of(type_)
    if lanes == 1:
        results = excess_or_zero(*(Real(f, v) for v in f.args))
    else:
        empty = Value("zeroinitializer", type_)
        with f.loop(f.i64(0), f.i64(lanes), 1, [empty] * 2) as loop:
            parts = excess_or_zero(*(Real(f, f.extract(v, loop.index)) for v in f.args))
            loop.next = [f.insert(v, p, loop.index) for v, p in zip(loop.carry, parts, strict=True)]
        results = loop.result
    whole = Value("poison", returns)
    for k, part in enumerate(results):
        whole = f.emit(returns, f"insertvalue {whole}, {part}, {k}")
    f.ret(whole)


def excess_or_zero(a: Real, b: Real) -> list[Value]:
    zero = a.const(0.0)
    return a.b.choose(
        a.equals(0.0).value,
        lambda: [zero.value, zero.value],
        lambda: [part.value for part in excess_scalar(a, b)],
    )


def excess_scalar(a: Real, b: Real) -> tuple[Real, Real]:
    f = a.b
    mantissa, exponent = significand(a)
    shift = f.sub(f.i64(1022), exponent)  # s
    size = f.shl(mantissa, wide_const(POINT - 53))  # A
    twice, above = f.shl(size, wide_const(1)), f.add(shift, f.i64(1))
    small = f.lshr(twice, widened(f, least(f, above, 127)))  # |a|
    loss = multiply(f, size, series(f, small, 1))
    mantissa, exponent = significand(b)
    u = f.shl(mantissa, widened(f, f.sub(exponent, f.i64(1075 - 117))))
    turns = Real(f, f.intrinsic("llvm.floor", (b * -LOG2_E - 2.0**-40).value))
    n = f.cast("fptosi", turns.value, "i64")
    r = f.sub(u, f.mul(widened(f, n), wide_const(LN2)))
    power = series(f, f.shl(r, wide_const(POINT - 117)), 0)
    # n - s is between -1 and 5 here.
    down = f.and_(f.sub(f.add(n, f.i64(1)), shift), f.i64(7))
    gain = f.lshr(f.shl(power, wide_const(1)), widened(f, down))
    return as_double(f, f.sub(gain, loss)), power_of_two(f, f.sub(f.i64(1023), shift))


def wide_const(value: int) -> Value:
    return Value(str(value), "i128")


def widened(f: Builder, word: Value) -> Value:
    return f.cast("zext", word, "i128")


def least(f: Builder, x: Value, bound: int) -> Value:
    return f.select(f.icmp("slt", x, f.i64(bound)), x, f.i64(bound))


def significand(x: Real) -> tuple[Value, Value]:
    """The 53 bits of a normal number as ``i128``, and its biased exponent."""
    bits = x.bits()
    fraction: Ints = (bits & ((1 << 52) - 1)) | (1 << 52)
    return widened(x.b, fraction.value), ((bits >> 52) & 0x7FF).value


def series(f: Builder, x: Value, first: int) -> Value:
    """The sum of ``(-x)**k / (k + first)!``: ``exp(-x)`` from 0, ``phi(x)`` from 1."""
    coefficients = [ONE // math.factorial(k) for k in range(TERMS + 2)]
    words = [w for v in coefficients for w in (signed(v), v >> 64)]
    table = f.module.constant_array("i64", words)
    with f.loop(f.i64(0), f.i64(TERMS), 1, [wide_const(0)]) as loop:
        k = f.sub(f.i64(TERMS - 1 + first), loop.index)
        coefficient = f.load("i128", f.gep("i128", table, k), 16)
        loop.next = [f.sub(coefficient, multiply(f, x, loop.carry[0]))]
    return loop.result[0]


def signed(word: int) -> int:
    """The low 64 bits, as the text of LLVM takes them."""
    low = word & ((1 << 64) - 1)
    return low - (1 << 64) if low >> 63 else low


def multiply(f: Builder, x: Value, y: Value) -> Value:
    """The product of two numbers below 2, short of it by at most five units of bit 126 - 2."""
    half = wide_const(64)
    x_high, y_high = f.lshr(x, half), f.lshr(y, half)
    x_low, y_low = (f.and_(v, wide_const((1 << 64) - 1)) for v in (x, y))
    middle = f.add(
        f.lshr(f.mul(x_high, y_low), half),
        f.lshr(f.mul(x_low, y_high), half),
    )
    return f.shl(f.add(f.mul(x_high, y_high), middle), wide_const(128 - POINT))


def as_double(f: Builder, x: Value) -> Real:
    """A signed fixed-point number, rounded to float64."""
    negative = f.icmp("slt", x, wide_const(0))
    size = f.select(negative, f.sub(wide_const(0), x), x)
    zeros = f.call("llvm.ctlz.i128", "i128", [f.or_(size, wide_const(1)), Value("false", "i1")])
    top = f.cast("trunc", f.lshr(f.shl(size, zeros), wide_const(65)), "i64")
    lz = f.cast("trunc", zeros, "i64")
    value = Real(f, f.cast("sitofp", top, "double"))
    value = value * power_of_two(f, f.sub(f.i64(1023 + 65 - POINT), lz))
    return Real(f, f.select(negative, (-value).value, value.value))


def power_of_two(f: Builder, biased: Value) -> Real:
    return Ints(f, f.shl(biased, f.i64(52))).real()
