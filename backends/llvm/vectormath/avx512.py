"""AVX-512 instructions on vectors of any number of lanes: exponent, significand, scaling, tables.

Narrower vectors (the tail of a loop, a scalar) go through a whole register, wider ones through
several, so that a value's bits do not depend on the number of lanes beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symgraph.backends.llvm.builder import Value, lanes_of, scalar_of, vector_type
from symgraph.backends.llvm.vectormath.floating import Ints, Real, by_pieces

__all__ = [
    "alone",
    "exponent_of",
    "fix_up",
    "has_avx512",
    "limited",
    "logarithm_specials",
    "look_up",
    "reciprocal_estimate",
    "root_estimate",
    "scale_by_floor",
    "significand",
    "significand_near_one",
]

# "Use the current rounding": the last operand of most of these intrinsics.
CURRENT = Value("4", "i32")
LOGARITHM_RESPONSES = 0x03530422


def has_avx512(x: Real) -> bool:
    """May these instructions be used where ``x`` is computed?"""
    return {"avx512f", "avx512dq"} <= x.b.module.features


def scale_by_floor(x: Real, power: Real) -> Real:
    """``x * 2**floor(power)``, rounded once: underflow is gradual, overflow infinite."""

    def scalef(x: Value, power: Value) -> Value:
        return masked(like, "scalef", x, x, power, x, mask_of(x), CURRENT)

    like = x
    return by_register(x, scalef, x.value, power.value)


def exponent_of(x: Real) -> Real:
    """``floor(log2(|x|))``, of subnormal numbers too; -inf of zero, inf of infinity."""

    def getexp(x: Value) -> Value:
        return masked(like, "getexp", x, x, x, mask_of(x), CURRENT)

    like = x
    return by_register(x, getexp, x.value)


def significand_near_one(x: Real) -> Real:
    """The ``m`` in ``[0.75, 1.5)`` of a positive finite ``x = 2**e m``."""
    return significand(x, "3")


def significand(x: Real, interval: str = "0") -> Real:
    """The ``m`` in ``[1, 2)`` of a positive finite ``x = 2**e m``, or in another interval."""

    def getmant(x: Value) -> Value:
        return masked(like, "getmant", x, x, Value(interval, "i32"), x, mask_of(x), CURRENT)

    like = x
    return by_register(x, getmant, x.value)


def reciprocal_estimate(x: Real) -> Real:
    """``1 / x`` with a relative error below 2**-14."""
    return _estimate(x, "rcp14")


def root_estimate(x: Real) -> Real:
    """``1 / sqrt(x)`` with a relative error below 2**-14."""
    return _estimate(x, "rsqrt14")


def _estimate(like: Real, instruction: str) -> Real:
    def estimate(x: Value) -> Value:
        name = f"llvm.x86.avx512.{instruction}.{suffix(x)}.512"
        return like.b.call(name, x.type, [x, x, mask_of(x)])

    return by_register(like, estimate, like.value)


def limited(x: Real, bound: float) -> Real:
    """``x``, but no further from zero than ``bound``; ``bound`` also where ``x`` is NaN."""

    def smaller(x: Value, bound: Value) -> Value:
        # 2: the smaller size, with the sign of the first.
        return masked(like, "range", x, x, bound, Value("2", "i32"), x, mask_of(x), CURRENT)

    like = x
    return by_register(x, smaller, x.value, x.const(bound).value)


def logarithm_specials(x: Real, value: Real) -> Real:
    """``value``; the logarithm of ``x`` itself where that is zero, negative, infinite or NaN."""
    return fix_up(x, value, LOGARITHM_RESPONSES)


def fix_up(x: Real, value: Real, responses: int) -> Real:
    """``value``, but special results by the class of ``x``.

    ``responses`` has four bits for each class (QNaN, SNaN, zero, one, -inf, +inf, negative,
    positive, from the lowest): 0 keeps the value, 2 quiets ``x``, 3 is NaN, 4 -inf, 5 +inf,
    8 zero, 10 one.
    """

    def fixup(value: Value, x: Value) -> Value:
        lanes, bits = lanes_of(x.type), like.format.bits
        table = like.b.const(vector_type(f"i{bits}", lanes), responses)
        zero = Value("0", "i32")
        return masked(like, "fixupimm", x, value, x, table, zero, mask_of(x), CURRENT)

    like = x
    return by_register(x, fixup, value.value, x.value)


def look_up(table: Sequence[float], index: Ints) -> Real:
    """``table[index % len(table)]`` for a table of 16 numbers, which stays in registers.

    It may have 32 numbers for float32.
    """
    b, native = index.b, 512 // index.width
    scalar = "float" if native == 16 else "double"

    def permute(index: Value) -> Value:
        parts = [
            b.const_vector(scalar, table[k : k + native]) for k in range(0, len(table), native)
        ]
        type_ = parts[0].type
        if len(parts) == 1:
            return b.call("llvm.x86.avx512.permvar.sf.512", type_, [*parts, index])
        name = f"llvm.x86.avx512.vpermi2var.{suffix(parts[0])}.512"
        return b.call(name, type_, [parts[0], index, parts[1]])

    return by_register(index, permute, index.value)


def masked(like: Real, stem: str, x: Value, *args: Value) -> Value:
    """A call of one of the intrinsics that take a mask."""
    return like.b.call(f"llvm.x86.avx512.mask.{stem}.{suffix(x)}.512", x.type, list(args))


def suffix(x: Value) -> str:
    return "ps" if scalar_of(x.type) == "float" else "pd"


def mask_of(x: Value) -> Value:
    """The mask with every lane set."""
    return Value("-1", f"i{lanes_of(x.type)}")


def by_register(like: Real | Ints, function: Callable[..., Value], *values: Value) -> Real:
    """``function`` over vectors of any width, applied to whole registers of 512 bits."""
    b, lanes, native = like.b, lanes_of(like.value.type), 512 // like.width
    if lanes == native:
        return Real(b, function(*values))
    if lanes == 1:
        alone = [b.insert(Value("poison", vector_type(v.type, native)), v, 0) for v in values]
        return Real(b, b.extract(function(*alone), 0))
    return by_pieces(like, function, native, *values)


def alone(function: Callable[..., Real], *values: Real) -> Real:
    """``function(*values)``; scalars fill a register before it rather than for each instruction."""
    x, native = values[0], 512 // values[0].width
    if lanes_of(x.value.type) != 1 or not has_avx512(x):
        return function(*values)
    filled = [Real(v.b, _first_of(v, native)) for v in values]
    return Real(x.b, x.b.extract(function(*filled).value, 0))


def _first_of(x: Real, lanes: int) -> Value:
    """The scalar in lane 0, an ordinary argument of every function in the others."""
    if x.value.ref[0] not in "%@":
        return x.b.splat(x.value, lanes)  # still a constant
    return x.b.insert(x.b.const(vector_type(x.scalar, lanes), 1.0), x.value, 0)
