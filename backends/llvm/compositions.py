"""Functions composed of elementary ones, accurate where the plain formula is not."""

from __future__ import annotations

import math

from symgraph.backends.llvm.builder import Builder, Value
from symgraph.backends.llvm.vectormath import MATH
from symgraph.ops.ranges import SQUARES
from symgraph.types import DType

__all__ = ["hypot", "log1mexp", "log_erfc", "logit", "xlogy"]


def hypot(b: Builder, dtype: DType, v: list[Value]) -> Value:
    """The legs are scaled by a power of two where their squares would leave the range."""
    safe = SQUARES[dtype.itemsize]
    one, two = [b.intrinsic("llvm.fabs", x) for x in v]
    top = b.select(b.fcmp("ogt", one, two), one, two)
    low = b.fcmp("olt", top, b.const(top.type, math.sqrt(safe.lowest)))
    high = b.fcmp("ogt", top, b.const(top.type, math.sqrt(safe.highest)))

    def pick(down: float, up: float) -> Value:
        rest = b.select(low, b.const(top.type, up), b.const(top.type, 1))
        return b.select(high, b.const(top.type, down), rest)

    scale, back = pick(safe.down, safe.up), pick(1 / safe.down, 1 / safe.up)
    legs = [b.fmul(x, scale) for x in (one, two)]
    total = b.fadd(b.fmul(legs[0], legs[0]), b.fmul(legs[1], legs[1]))
    return b.fmul(b.intrinsic("llvm.sqrt", total), back)


def xlogy(b: Builder, dtype: DType, v: list[Value]) -> Value:
    x, y = v
    zero = b.and_(b.fcmp("oeq", x, b.const(x.type, 0)), b.fcmp("ord", y, y))
    return b.select(zero, b.const(x.type, 0), b.fmul(x, MATH["log"](b, y)))


def logit(b: Builder, dtype: DType, v: list[Value]) -> Value:
    (x,) = v
    middle = b.and_(
        b.fcmp("ogt", x, b.const(x.type, 0.25)), b.fcmp("olt", x, b.const(x.type, 0.75))
    )
    two = b.const(x.type, 2)
    inner = b.fmul(two, MATH["atanh"](b, b.fsub(b.fmul(two, x), b.const(x.type, 1))))
    outer = b.fsub(MATH["log"](b, x), MATH["log1p"](b, b.fneg(x)))
    return b.select(middle, inner, outer)


def log1mexp(b: Builder, dtype: DType, v: list[Value]) -> Value:
    (x,) = v
    near = b.fcmp("ogt", x, b.const(x.type, -math.log(2)))
    small = MATH["log"](b, b.fneg(MATH["expm1"](b, x)))
    return b.select(near, small, MATH["log1p"](b, b.fneg(MATH["exp"](b, x))))


def log_erfc(b: Builder, dtype: DType, v: list[Value]) -> Value:
    (x,) = v
    tail = b.fsub(MATH["log"](b, MATH["erfcx"](b, x)), b.fmul(x, x))
    body = MATH["log1p"](b, b.fsub(b.const(x.type, 0), MATH["erf"](b, x)))
    return b.select(b.fcmp("ogt", x, b.const(x.type, 0.5)), tail, body)
