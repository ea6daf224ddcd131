"""Argument reduction modulo pi/2 for huge arguments (Payne and Hanek 1983), in a function.

``x = M 2**e`` with a 53-bit integer ``M``. Of the bits of 2/pi only a window of 192 matters: those
before it contribute multiples of 4 to ``x 2/pi``, those after it less than 2**-136.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symgraph.backends.llvm.builder import Builder, Module, Value, lanes_of
from symgraph.backends.llvm.vectormath.floating import (
    Ints,
    Real,
    fast_two_sum,
    split_product,
    where,
)

__all__ = ["reduce_huge"]

SCALAR_NAME = "reduce_huge_1"
# 64 zero bits, then the first 1216 bits of 2/pi.
TWO_OVER_PI_BITS = (
    0x0000000000000000,
    0xA2F9836E4E441529,
    0xFC2757D1F534DDC0,
    0xDB6295993C439041,
    0xFE5163ABDEBBC561,
    0xB7246E3A424DD2E0,
    0x06492EEA09D1921C,
    0xFE1DEB1CB129A73E,
    0xE88235F52EBB4484,
    0xE99C7026B45F7E41,
    0x3991D639835339F4,
    0x9C845F8BBDF9283B,
    0x1FF897FFDE05980F,
    0xEF2F118B5A0A6D1F,
    0x6D367ECF27CB09B7,
    0x4F463F669E5FEA2D,
    0x7527BAC7EBE5F17B,
    0x3D0739F78A5292EA,
    0x6BFB5FB11F8D5D08,
    0x56033046FC7B6BAB,
)
HALF_PI = (float.fromhex("0x1.921fb54442d18p+0"), float.fromhex("0x1.1a62633145c07p-54"))


def reduce_huge(x: Real) -> tuple[Real, Real, Real]:
    """``r``, ``low``, ``n`` (modulo 4) with ``x = n pi/2 + r + low``, for finite ``|x| >= 2**20``.

    A call to a function that is emitted once per module and number of lanes. No lane may lie
    outside this domain: the bits of 2/pi would be read past their end.
    """
    b, type_ = x.b, x.value.type
    scalar = emitted(b.module, SCALAR_NAME, "double", scalar_body)
    lanes = lanes_of(type_)
    name = scalar if lanes == 1 else emitted(b.module, f"reduce_huge_{lanes}", type_, lane_by_lane)
    result = b.call(name, triple(type_), [x.value])
    r, low, n = (Real(b, part) for part in parts_of(b, result))
    return r, low, n


def triple(type_: str) -> str:
    return f"{{ {type_}, {type_}, {type_} }}"


def parts_of(b: Builder, result: Value) -> list[Value]:
    element = result.type[2:].split(", ")[0]
    return [b.emit(element, f"extractvalue {result}, {k}") for k in range(3)]


def emitted(
    module: Module, name: str, type_: str, body: Callable[[Builder], Sequence[Value]]
) -> str:
    """The name of an internal function of one value that returns three; ``body`` writes it once."""
    if name not in module.functions:
        returns, attributes = triple(type_), "noinline nounwind"
        b = Builder(
            module, name, returns, [(type_, "x")], linkage="internal", attributes=attributes
        )
        whole = Value("poison", returns)
        for k, part in enumerate(body(b)):
            whole = b.emit(returns, f"insertvalue {whole}, {part}, {k}")
        b.ret(whole)
    return name


def scalar_body(b: Builder) -> list[Value]:
    return [part.value for part in reduce_scalar(Real(b, b.args[0]))]


def lane_by_lane(b: Builder) -> list[Value]:
    """The scalar function for each lane, by way of the stack: a lane is chosen by its address."""
    (x,) = b.args
    lanes = lanes_of(x.type)
    given, *results = [b.emit("ptr", f"alloca {x.type}, align 64") for _ in range(4)]
    b.store(x, given, 64)
    with b.loop(b.i64(0), b.i64(lanes), 1) as loop:
        lane = b.load("double", b.gep("double", given, loop.index), 8)
        parts = parts_of(b, b.call(SCALAR_NAME, triple("double"), [lane]))
        for place, part in zip(results, parts, strict=True):
            b.store(part, b.gep("double", place, loop.index), 8)
    return [b.load(x.type, place, 64) for place in results]


def reduce_scalar(x: Real) -> tuple[Real, Real, Real]:
    """The reduction of one number, in 128-bit integers."""
    b, bits = x.b, x.bits()
    mantissa = (bits & ((1 << 52) - 1)) | (1 << 52)
    position = ((bits >> 52) & 0x7FF) - (1075 - 62)
    high, middle = product_window(b, mantissa, position)
    quarter = ((high >> 62) + ((high >> 61) & 1)) & 3
    turn = b.binary("or", b.shl(wide(b, high), Value("64", "i128")), middle)
    r, low = fraction_to_angle(b, turn)
    negative = x < 0.0
    n = Real(b, b.cast("sitofp", quarter.value, "double"))
    return where(negative, -r, r), where(negative, -low, low), where(negative, -n, n)


def wide(b: Builder, word: Ints) -> Value:
    return b.cast("zext", word.value, "i128")


def product_window(b: Builder, mantissa: Ints, position: Ints) -> tuple[Ints, Value]:
    """The top word, and the next word with two bits of the third, of ``mantissa`` times the window.

    The first result keeps its two integer bits; the second is meant to be read under it.
    """
    table = b.module.constant_array("i64", TWO_OVER_PI_BITS)
    start, shift = position >> 6, position & 63
    words = [b.load("i64", b.gep("i64", table, (start + k).value), 8) for k in range(4)]
    window = [
        Ints(b, b.intrinsic("llvm.fshl", words[k], words[k + 1], shift.value)) for k in range(3)
    ]
    sixty_four = Value("64", "i128")
    factor = wide(b, mantissa)
    lowest = b.mul(factor, wide(b, window[2]))
    middle = b.add(b.mul(factor, wide(b, window[1])), b.lshr(lowest, sixty_four))
    top = b.add(b.mul(factor, wide(b, window[0])), b.lshr(middle, sixty_four))
    word = Ints(b, b.cast("trunc", top, "i64"))
    return word, wide(b, Ints(b, b.cast("trunc", middle, "i64")))


def fraction_to_angle(b: Builder, turn: Value) -> tuple[Real, Real]:
    """Quarter turns in 2 + 126 bits to the signed angle past the nearest quarter, in two parts."""
    fraction = b.shl(turn, Value("2", "i128"))
    negative = b.icmp("slt", fraction, Value("0", "i128"))
    size = b.select(negative, b.sub(Value("0", "i128"), fraction), fraction)
    zeros = b.call(
        "llvm.ctlz.i128", "i128", [b.or_(size, Value("1", "i128")), Value("false", "i1")]
    )
    normal = b.shl(size, zeros)
    lz = Ints(b, b.cast("trunc", zeros, "i64"))
    leading = significand(b, normal, 75) * unit(lz, 53)
    trailing = significand(b, b.shl(normal, Value("53", "i128")), 75) * unit(lz, 106)
    product, rest = split_product(leading, leading.const(HALF_PI[0]))
    r, low = fast_two_sum(product, rest + (trailing * HALF_PI[0] + leading * HALF_PI[1]))
    sign = Real(b, b.select(negative, r.const(-1.0).value, r.const(1.0).value))
    return r.copysign(sign), low * sign


def significand(b: Builder, bits: Value, shift: int) -> Real:
    """The top ``128 - shift`` bits as a float."""
    word = b.cast("trunc", b.lshr(bits, Value(str(shift), "i128")), "i64")
    return Real(b, b.cast("sitofp", word, "double"))


def unit(zeros: Ints, extra: int) -> Real:
    """``2**-(zeros + extra)``."""
    exponent = Ints(zeros.b, zeros.b.const("i64", 1023 - extra)) - zeros
    return (exponent << 52).real()
