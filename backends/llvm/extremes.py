"""The largest and the smallest of floating-point numbers, and where they stand.

The walk keeps the extreme of what is a number, of any sign of zero: one instruction. Beside it go
two masks of integers: whether a NaN was seen, and the signs that decide among zeros. Both are
looked at once, in the end. Where the lanes are folded anyway, two registers share a mask.
"""

from __future__ import annotations

from symgraph.backends.llvm.builder import Builder, Value, lanes_of, scalar_of, vector_type
from symgraph.backends.llvm.elementwise import LOWER
from symgraph.backends.llvm.reduction import better, halves
from symgraph.op import Op
from symgraph.ops import elementwise as e
from symgraph.ops import reduction as r
from symgraph.types import DType

__all__ = ["first_best", "join", "masks", "result", "step", "track", "unseen", "with_nan"]

WORDS = {"float": "i32", "double": "i64"}


def masks(b: Builder, op: Op, type_: str, shared: bool) -> list[Value]:
    """Nothing seen yet: no NaN, and no zero of the sign that wins."""
    lanes = lanes_of(type_)
    words = vector_type(WORDS[scalar_of(type_)], lanes // 2 if shared and lanes > 1 else lanes)
    return [b.const(words, 0), b.const(words, -1 if op is r.max_ else 0)]


def step(b: Builder, op: Op, seen: list[Value], value: Value) -> list[Value]:
    """The best so far and its masks with another value."""
    best, odd, signs = seen
    shared = lanes_of(odd.type) < lanes_of(value.type)
    parts = halves(b, value) if shared else (value, value)
    unordered = b.fcmp("uno", *parts)
    odd = b.select(unordered, b.const(odd.type, -1), odd)
    for part in parts if shared else parts[:1]:
        signs = _both(b, op, signs, b.cast("bitcast", part, scalar_of(signs.type)))
    return [_beyond(b, op, value, best), odd, signs]


def join(b: Builder, op: Op, seen: list[Value], more: list[Value]) -> list[Value]:
    """What two walks have seen together."""
    best = _beyond(b, op, more[0], seen[0])
    return [best, b.or_(seen[1], more[1]), _both(b, op, seen[2], more[2])]


def result(b: Builder, op: Op, seen: list[Value], folds: bool) -> Value:
    """The extreme: NaN if there was one, among zeros +0 as the largest and -0 as the smallest."""
    best, odd, signs = seen
    while folds and lanes_of(best.type) > 1:
        first, second = halves(b, best)
        best = _beyond(b, op, second, first)
    nan = b.icmp("ne", odd, b.const(odd.type, 0))
    minus = b.icmp("slt", signs, b.const(signs.type, 0))
    if folds and lanes_of(odd.type) > 1:
        nan, minus = _any(b, "or", nan), _any(b, "and" if op is r.max_ else "or", minus)
    zero = b.select(minus, b.const(best.type, -0.0), b.const(best.type, 0.0))
    signed = b.select(b.fcmp("oeq", best, b.const(best.type, 0.0)), zero, best)
    return b.select(nan, b.const(best.type, float("nan")), signed)


def _beyond(b: Builder, op: Op, value: Value, best: Value) -> Value:
    wins = b.fcmp("ogt" if op is r.max_ else "olt", value, best)
    return b.select(wins, value, best)


def _both(b: Builder, op: Op, x: Value, y: Value) -> Value:
    return b.and_(x, y) if op is r.max_ else b.or_(x, y)


def _any(b: Builder, how: str, truths: Value) -> Value:
    return b.call(f"llvm.vector.reduce.{how}.v{lanes_of(truths.type)}i1", "i1", [truths])


# ---- positions -----------------------------------------------------------------------------------


def unseen(b: Builder, type_: str) -> Value:
    """The mask of a position: no NaN yet."""
    return b.const(vector_type(WORDS[scalar_of(type_)], lanes_of(type_)), 0)


def track(b: Builder, op: Op, value: Value, best: Value, odd: Value) -> tuple[Value, Value, Value]:
    """Whether a value wins, as the first NaN does and nothing after it; the best and the mask then.

    The best of a lane that has seen a NaN is infinite: so the next step waits for one instruction.
    """
    up, top = ("gt", float("inf")) if op is r.argmax else ("lt", float("-inf"))
    end, word = b.const(value.type, top), scalar_of(odd.type)
    nan = b.select(b.fcmp("uno", value, value), b.const(odd.type, -1), b.const(odd.type, 0))
    kept = b.and_(b.cast("bitcast", value, word), b.not_(odd))  # 0 beats nothing infinite
    value = b.cast("bitcast", kept, scalar_of(value.type))
    wins = b.fcmp(f"u{up}", value, best)
    number = b.select(b.fcmp("olt" if op is r.argmax else "ogt", value, end), value, end)
    beyond = b.select(b.fcmp(f"o{up}", number, best), number, best)
    return wins, beyond, b.or_(odd, nan)


def with_nan(b: Builder, best: Value, odd: Value) -> Value:
    """The best of each lane, NaN (all bits) where one was seen."""
    bits = b.or_(b.cast("bitcast", best, scalar_of(odd.type)), odd)
    return b.cast("bitcast", bits, scalar_of(best.type))


def first_best(b: Builder, op: Op, dtype: DType, seen: list[Value], at_once: bool) -> Value:
    """The position of the best lane, the lowest one among equals; NaN is best of all.

    ``at_once``: each lane has seen one value at most, so its position is its number.
    """
    best, at, *odd = seen
    lanes = lanes_of(best.type)
    if lanes == 1:
        return at
    top = best
    while lanes_of(top.type) > 1:
        first, second = halves(b, top)
        wins = _ahead(b, op, second, first) if odd else better(b, op, dtype, second, first)
        top = b.select(wins, second, first)
    hits = LOWER[e.equal](b, dtype, [best, b.splat(top, lanes)])
    if odd:
        nan = b.icmp("ne", odd[0], b.const(odd[0].type, 0))
        hits = b.select(b.splat(_any(b, "or", nan), lanes), nan, hits)
    if at_once:
        bits = b.emit(f"i{lanes}", f"bitcast {hits} to i{lanes}")
        lane = b.intrinsic("llvm.cttz", bits, Value("true", "i1"))
        return lane if lanes == 64 else b.cast("zext" if lanes < 64 else "trunc", lane, "i64")
    places = b.select(hits, at, b.const(at.type, (1 << 63) - 1))
    while lanes_of(places.type) > 1:
        places = b.intrinsic("llvm.smin", *halves(b, places))
    return places


def _ahead(b: Builder, op: Op, value: Value, best: Value) -> Value:
    """Whether a number is beyond another."""
    return b.fcmp("ogt" if op is r.argmax else "olt", value, best)
