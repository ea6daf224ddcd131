"""How reductions accumulate: identity, combination, and the fixed order of floating-point sums.

A floating-point sum adds blocks of ``BLOCK`` vectors (or rows) plainly and collects the block sums
with compensation (two-sum), so that long sums lose less than pairwise ones do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from symgraph.backends.llvm.builder import Builder, Value, lanes_of, vector_type
from symgraph.backends.llvm.elementwise import LOWER
from symgraph.op import Op
from symgraph.ops import elementwise as e
from symgraph.ops import reduction as r
from symgraph.types import DType

__all__ = [
    "BLOCK", "better", "carries", "combine", "fold", "halves", "horizontal", "identity",
    "is_compensated", "is_extreme", "is_ordered", "is_position", "nothing", "peak",
    "position_type", "settle", "two_sum",
]  # fmt: skip

BLOCK = 8

#: The largest element that is a number, if any. It is all that softmax needs to subtract (a NaN
#: still reaches the sum), and it takes one instruction where max takes six.
peak = Op("peak", r.reduced("peak", "f"), r.max_.evaluate, r.max_.traits)


@dataclass(frozen=True, slots=True)
class Rule:
    """One reduction: its identity and the element-wise op that combines two partial results."""

    identity: Callable[[DType], Any]
    op: Op


RULES: dict[Op, Rule] = {
    r.sum_: Rule(lambda d: 0, e.add),
    r.prod: Rule(lambda d: 1, e.multiply),
    r.max_: Rule(r.lowest, e.maximum),
    peak: Rule(r.lowest, e.maximum),
    r.min_: Rule(r.highest, e.minimum),
    r.any_: Rule(lambda d: False, e.logical_or),
    r.all_: Rule(lambda d: True, e.logical_and),
}


def is_compensated(op: Op, dtype: DType) -> bool:
    """Whether this is a floating-point sum."""
    return op is r.sum_ and dtype.kind == "f"


def is_extreme(op: Op, dtype: DType) -> bool:
    """Whether this is the largest or the smallest of floating-point numbers."""
    return op in (r.max_, r.min_) and dtype.kind == "f"


def is_ordered(op: Op, dtype: DType) -> bool:
    """Whether the result depends on the order in which the elements are combined."""
    return op in (r.sum_, r.prod) and dtype.kind == "f"


def is_position(op: Op) -> bool:
    """Whether the reduction carries a position beside a value."""
    return op in (r.argmax, r.argmin)


def carries(op: Op, dtype: DType) -> int:
    """How many values a walk carries for this reduction."""
    if is_extreme(op, dtype) or (is_position(op) and dtype.kind == "f"):
        return 3
    return 2 if is_position(op) or is_compensated(op, dtype) else 1


def identity(b: Builder, op: Op, dtype: DType, type_: str) -> Value:
    """What a reduction of nothing gives, for positions the value part."""
    if is_position(op):
        return b.const(type_, r.lowest(dtype) if op is r.argmax else r.highest(dtype))
    return b.const(type_, RULES[op].identity(dtype))


def nothing(b: Builder, op: Op, dtype: DType, type_: str) -> Value:
    """What leaves an accumulator as it is: -0 for a float sum, which starts at 0.

    (LLVM makes a slow vector expansion of a choice between numbers and 0 under a known mask.)
    """
    return b.const(type_, -0.0) if is_compensated(op, dtype) else identity(b, op, dtype, type_)


def combine(b: Builder, op: Op, dtype: DType, acc: Value, v: Value) -> Value:
    if op is peak:
        return b.select(b.fcmp("ogt", v, acc), v, acc)
    return LOWER[RULES[op].op](b, dtype, [acc, v])


def two_sum(b: Builder, high: Value, low: Value, s: Value) -> tuple[Value, Value]:
    """high + s with the rounding error added to low."""
    total = b.fadd(high, s)
    back = b.fsub(total, high)
    error = b.fadd(b.fsub(high, b.fsub(total, back)), b.fsub(s, back))
    return total, b.fadd(low, error)


def settle(b: Builder, high: Value, low: Value) -> Value:
    """The sum from its two parts; an infinite or NaN high part stands alone."""
    finite = b.fcmp("olt", b.intrinsic("llvm.fabs", high), b.const(high.type, float("inf")))
    return b.select(finite, b.fadd(high, low), high)


def halves(b: Builder, v: Value) -> tuple[Value, Value]:
    """The first and the second half of a vector's lanes."""
    lanes = lanes_of(v.type) // 2
    if lanes == 1:
        return b.extract(v, 0), b.extract(v, 1)
    return b.shuffle(v, None, range(lanes)), b.shuffle(v, None, range(lanes, 2 * lanes))


def horizontal(b: Builder, op: Op, dtype: DType, v: Value) -> Value:
    """All lanes combined to one scalar, halving the vector each time."""
    while lanes_of(v.type) > 1:
        v = combine(b, op, dtype, *halves(b, v))
    return v


def fold(b: Builder, high: Value, low: Value) -> tuple[Value, Value]:
    """All lanes of a compensated sum in one, the rounding errors of that added to low."""
    while lanes_of(high.type) > 1:
        (first, second), lows = halves(b, high), halves(b, low)
        high, low = two_sum(b, first, b.fadd(*lows), second)
    return high, low


def better(b: Builder, op: Op, dtype: DType, v: Value, best: Value) -> Value:
    """Whether ``v`` beats ``best``: strictly, and the first NaN beats everything."""
    if dtype.kind == "f":
        wins = b.fcmp("ugt" if op is r.argmax else "ult", v, best)
        return b.and_(wins, b.fcmp("ord", best, best))
    return LOWER[e.greater if op is r.argmax else e.less](b, dtype, [v, best])


def position_type(lanes: int) -> str:
    return vector_type("i64", lanes)
