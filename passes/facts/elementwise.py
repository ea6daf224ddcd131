"""Facts about element-wise results from facts about the operands: one line an operation."""

from __future__ import annotations

import math
from collections.abc import Callable

from symgraph.op import Op
from symgraph.ops import elementwise as e
from symgraph.passes.facts.conditions import given
from symgraph.passes.facts.known import INF, Known, limits_of, made, unknown, wider
from symgraph.tensor import Tensor

__all__ = ["ELEMENTWISE", "Transfer", "union"]

Transfer = Callable[[Tensor, list[Known]], Known]


def union(parts: list[Known]) -> Known:
    """Facts about a value whose every element is one of these."""
    return Known(
        min(k.lo for k in parts),
        max(k.hi for k in parts),
        any(k.nan for k in parts),
        any(k.minus for k in parts),
        all(k.nonzero for k in parts),
        all(k.integral for k in parts),
        all(k.positive for k in parts),
    )


# ---- arithmetic ----------------------------------------------------------------------------------


def _nonnegative(k: Known) -> bool:
    return k.lo >= 0


def _opposed(a: Known, b: Known) -> bool:
    """Whether infinities of opposite signs may meet in a sum."""
    return (a.hi == INF and b.lo == -INF) or (a.lo == -INF and b.hi == INF)


def _add(node: Tensor, ins: list[Known]) -> Known:
    a, b = ins
    if node.dtype.kind == "b":
        return unknown(node)
    grows = (a.positive and (b.positive or _nonnegative(b))) or (b.positive and _nonnegative(a))
    return made(
        node.dtype, a.lo + b.lo, a.hi + b.hi,
        nan=a.nan or b.nan or _opposed(a, b), minus=a.minus and b.minus,
        integral=a.integral and b.integral, positive=grows,
    )  # fmt: skip


def _subtract(node: Tensor, ins: list[Known]) -> Known:
    a, b = ins
    if node.inputs[0] is node.inputs[1]:
        return made(node.dtype, 0, 0, nan=a.nan or a.infinite, minus=False, integral=True)
    return made(
        node.dtype, a.lo - b.hi, a.hi - b.lo,
        nan=a.nan or b.nan or (a.hi == INF and b.hi == INF) or (a.lo == -INF and b.lo == -INF),
        minus=a.minus, integral=a.integral and b.integral,
    )  # fmt: skip


def _times(a: float, b: float) -> float:
    """A corner of a product; zero times infinity is not computed there, so the limit is 0."""
    return 0 if a == 0 or b == 0 else a * b


def _multiply(node: Tensor, ins: list[Known]) -> Known:
    a, b = ins
    if node.inputs[0] is node.inputs[1]:
        return _square(node, ins[:1])
    corners = [_times(p, q) for p in (a.lo, a.hi) for q in (b.lo, b.hi)]
    lost = (a.zero and b.infinite) or (b.zero and a.infinite)
    whole = a.integral and b.integral
    return made(
        node.dtype, min(corners), max(corners),
        nan=a.nan or b.nan or lost, minus=a.below or b.below,
        nonzero=whole and a.nonzero and b.nonzero and node.dtype.kind == "f",
        integral=whole, positive=a.positive and b.positive,
    )  # fmt: skip


def _square(node: Tensor, ins: list[Known]) -> Known:
    (a,) = ins
    least = 0 if a.lo <= 0 <= a.hi else min(abs(a.lo), abs(a.hi))
    most = max(abs(a.lo), abs(a.hi))
    return made(
        node.dtype, least * least, most * most, nan=a.nan, minus=False,
        nonzero=a.integral and a.nonzero and node.dtype.kind == "f",
        integral=a.integral, positive=a.positive,
    )  # fmt: skip


def _quotients(a: Known, b: Known) -> tuple[float, float]:
    """Bounds of a / b where b is never negative nor a negative zero."""
    corners = []
    for p in (a.lo, a.hi):
        for q in (b.lo, b.hi):
            if q == 0:
                corners.append(math.copysign(INF, p) if p else 0.0)
            elif not (math.isinf(p) and math.isinf(q)):
                corners.append(p / q)
    return (min(corners), max(corners)) if corners else (-INF, INF)


def _divide(node: Tensor, ins: list[Known]) -> Known:
    a, b = ins
    lost = (a.zero and b.zero) or (a.infinite and b.infinite)
    nan, sure = a.nan or b.nan or lost, a.positive and b.positive
    if node.inputs[0] is node.inputs[1]:
        return made(node.dtype, 1, 1, nan=nan, integral=True)
    if b.hi < 0:
        hi, lo = (-q for q in _quotients(a, Known(-b.hi, -b.lo)))
    elif b.below:
        lo, hi = -INF, INF
    else:
        lo, hi = _quotients(a, b)
    return made(node.dtype, lo, hi, nan=nan, minus=a.below or b.below, positive=sure)


def _reciprocal(node: Tensor, ins: list[Known]) -> Known:
    (b,) = ins
    one = Known(1, 1, False, False, True, True, True)
    if b.below and b.hi >= 0:
        lo, hi = -INF, INF
    elif b.hi < 0:
        hi, lo = (-q for q in _quotients(one, Known(-b.hi, -b.lo)))
    else:
        lo, hi = _quotients(one, b)
    return made(node.dtype, lo, hi, nan=b.nan, minus=b.below, positive=b.positive)


def _negative(node: Tensor, ins: list[Known]) -> Known:
    (a,) = ins
    return made(
        node.dtype, -a.hi, -a.lo, nan=a.nan, nonzero=a.nonzero, integral=a.integral
    )  # fmt: skip


def _abs(node: Tensor, ins: list[Known]) -> Known:
    (a,) = ins
    least = 0 if a.lo <= 0 <= a.hi else min(abs(a.lo), abs(a.hi))
    return made(
        node.dtype, least, max(abs(a.lo), abs(a.hi)), nan=a.nan, minus=False,
        nonzero=a.nonzero, integral=a.integral, positive=a.positive,
    )  # fmt: skip


def _sqrt(node: Tensor, ins: list[Known]) -> Known:
    (a,) = ins
    low, high = (math.sqrt(max(v, 0)) for v in (a.lo, a.hi))
    return made(
        node.dtype, low, high, nan=a.nan or a.lo < 0, minus=a.minus,
        nonzero=a.nonzero and a.lo >= 0, positive=a.positive,
    )  # fmt: skip


def _sign(node: Tensor, ins: list[Known]) -> Known:
    (a,) = ins
    low = -1 if a.lo < 0 else 1 if a.lo > 0 or a.nonzero else 0
    high = 1 if a.hi > 0 else -1 if a.hi < 0 or a.nonzero else 0
    return made(
        node.dtype, low, high, nan=a.nan, minus=a.minus, nonzero=a.nonzero, integral=True,
        positive=a.positive,
    )  # fmt: skip


def _power(node: Tensor, ins: list[Known]) -> Known:
    a, b = ins
    if node.dtype.kind != "f":
        return unknown(node)
    even = b.lo == b.hi and b.integral and not math.isinf(b.lo) and b.lo % 2 == 0
    nan = a.nan or b.nan or not (a.lo >= 0 or b.integral)
    low = 0 if even or not a.below else -INF
    return made(
        node.dtype, low, INF, nan=nan, minus=low < 0, positive=a.positive,
    )  # fmt: skip


def _remainder(node: Tensor, ins: list[Known]) -> Known:
    a, b = ins
    if node.dtype.kind != "f":
        if b.lo > 0:
            top = b.hi - 1 if a.lo < 0 else min(a.hi, b.hi - 1)
            return made(node.dtype, 0, top)
        return unknown(node)
    low, high = (0.0, b.hi) if b.lo > 0 else (-INF, INF)
    nan = a.nan or b.nan or a.infinite or b.zero
    return made(node.dtype, low, high, nan=nan, integral=a.integral and b.integral)


def _floor_divide(node: Tensor, ins: list[Known]) -> Known:
    a, b = ins
    if node.dtype.kind != "f":
        return made(node.dtype, 0, a.hi) if a.lo >= 0 and b.lo >= 0 else unknown(node)
    return made(node.dtype, -INF, INF, integral=True)


# ---- minimum, maximum, selection -----------------------------------------------------------------


def _maximum(node: Tensor, ins: list[Known]) -> Known:
    a, b = ins
    both = union(ins)
    return made(
        node.dtype, max(a.lo, b.lo), max(a.hi, b.hi), nan=both.nan, minus=both.minus,
        nonzero=both.nonzero, integral=both.integral, positive=a.positive or b.positive,
    )  # fmt: skip


def _minimum(node: Tensor, ins: list[Known]) -> Known:
    a, b = ins
    both = union(ins)
    return made(
        node.dtype, min(a.lo, b.lo), min(a.hi, b.hi), nan=both.nan, minus=both.minus,
        nonzero=both.nonzero, integral=both.integral, positive=both.positive,
    )  # fmt: skip


def _clip(node: Tensor, ins: list[Known]) -> Known:
    return _minimum(node, [_maximum(node, ins[:2]), ins[2]])


def _relu(node: Tensor, ins: list[Known]) -> Known:
    (a,) = ins
    return made(
        node.dtype, max(a.lo, 0), max(a.hi, 0), nan=a.nan, minus=False, integral=a.integral,
        positive=a.positive,
    )  # fmt: skip


def _where(node: Tensor, ins: list[Known]) -> Known:
    chosen, a, b = ins
    if chosen.lo == chosen.hi:
        return a if chosen.lo else b
    condition, first, second = node.inputs
    return union([given(condition, True, first, a), given(condition, False, second, b)])


# ---- functions -----------------------------------------------------------------------------------


def _ranged(
    low: float, high: float, defined: tuple[float, float] = (-INF, INF), **facts: bool
) -> Transfer:
    """A function with values in ``low .. high`` and no NaN of its own inside ``defined``."""

    def transfer(node: Tensor, ins: list[Known]) -> Known:
        (a,) = ins
        outside = a.lo < defined[0] or a.hi > defined[1]
        return made(node.dtype, low, high, nan=a.nan or outside, **facts)

    return transfer


def _at(function: Callable[[float], float], v: float, above: float) -> float:
    """The function's value, where Python has one; what lies beyond its reach is ``above``."""
    try:
        return function(v)
    except (OverflowError, ValueError):
        return above


def _growing(
    function: Callable[[float], float], low: float, high: float, start: float = -INF
) -> Transfer:
    """A growing function, defined from ``start`` on, with values in ``low .. high``."""

    def transfer(node: Tensor, ins: list[Known]) -> Known:
        (a,) = ins
        bottom = low if a.lo <= start else _at(function, a.lo, low)
        top = high if a.hi == INF else low if a.hi <= start else _at(function, a.hi, high)
        bottom, top = wider(node.dtype, bottom, top)
        odd = function(0.0) == 0 if start < 0 else False
        return made(
            node.dtype, max(low, bottom), min(high, top), nan=a.nan or a.lo < start,
            minus=odd and a.below,
            positive=a.positive if odd else low >= 0,
        )  # fmt: skip

    return transfer


def _rounding(function: Callable[[float], float]) -> Transfer:
    def transfer(node: Tensor, ins: list[Known]) -> Known:
        (a,) = ins
        low, high = (v if math.isinf(v) else float(function(v)) for v in (a.lo, a.hi))
        return made(node.dtype, low, high, nan=a.nan, minus=a.below, integral=True)

    return transfer


def _periodic(node: Tensor, ins: list[Known]) -> Known:
    (a,) = ins
    return made(node.dtype, -1, 1, nan=a.nan or a.infinite)


def _sinh(node: Tensor, ins: list[Known]) -> Known:
    """An odd growing function without bounds: the sign is kept."""
    (a,) = ins
    low, high = 0 if a.lo >= 0 else -INF, 0 if a.hi <= 0 else INF
    return made(node.dtype, low, high, nan=a.nan, minus=a.below, positive=a.positive)


def _hypot(node: Tensor, ins: list[Known]) -> Known:
    """At least as long as each leg; half of that leaves room for rounding."""
    a, b = ins
    least = max(0, a.lo, -a.hi, b.lo, -b.hi) / 2
    return made(
        node.dtype, least, INF, nan=a.nan or b.nan, minus=False, positive=a.positive or b.positive
    )  # fmt: skip


# ---- conversion ----------------------------------------------------------------------------------


def _astype(node: Tensor, ins: list[Known]) -> Known:
    (a,) = ins
    have, want = node.inputs[0].dtype, node.dtype
    if want.kind == "b":
        return made(want, 1 if a.nonzero and not a.nan else 0, 0 if a.lo == a.hi == 0 else 1)
    if want.kind == "f":
        narrows = have.kind == "f" and want.itemsize < have.itemsize
        return made(
            want, a.lo, a.hi, nan=a.nan, minus=a.minus or (narrows and a.lo < 0),
            nonzero=a.nonzero and (a.integral or not narrows),
            integral=a.integral, positive=a.positive,
        )  # fmt: skip
    if have.kind != "f":
        return made(want, a.lo, a.hi, nonzero=a.nonzero)
    least, most = limits_of(want)
    low, high = (
        v if not math.isinf(v) else (least if v < 0 else most) for v in (a.lo, a.hi)
    )  # fmt: skip
    low, high = (max(least, min(most, math.trunc(v))) for v in (low, high))
    return made(want, min(low, 0) if a.nan else low, max(high, 0) if a.nan else high)


def _same(node: Tensor, ins: list[Known]) -> Known:
    return ins[0]


_HALF_TURN = (-1.58, 1.58)

# fmt: off
ELEMENTWISE: dict[Op, Transfer] = {
    # ---- arithmetic ------------------------------------------------------------------------------
    e.add: _add, e.subtract: _subtract, e.multiply: _multiply, e.divide: _divide,
    e.negative: _negative, e.reciprocal: _reciprocal, e.square: _square, e.sqrt: _sqrt,
    e.abs_: _abs, e.sign: _sign, e.power: _power, e.remainder: _remainder,
    e.floor_divide: _floor_divide, e.cbrt: _sinh, e.hypot: _hypot,
    # ---- selection -------------------------------------------------------------------------------
    e.maximum: _maximum, e.minimum: _minimum, e.clip: _clip, e.relu: _relu, e.where: _where,
    # ---- exponentials and logarithms -------------------------------------------------------------
    e.exp:       _growing(math.exp, 0, INF),
    e.exp2:      _growing(lambda v: 2.0**v, 0, INF),
    e.expm1:     _growing(math.expm1, -1, INF),
    e.log:       _growing(math.log, -INF, INF, 0),
    e.log2:      _growing(math.log2, -INF, INF, 0),
    e.log10:     _growing(math.log10, -INF, INF, 0),
    e.log1p:     _growing(math.log1p, -INF, INF, -1),
    e.sigmoid:   _ranged(0, 1, minus=False, positive=True),
    e.softplus:  _ranged(0, INF, minus=False, positive=True),
    e.logit:     _ranged(-INF, INF, (0, 1)),
    e.log1mexp:  _ranged(-INF, 0, (-INF, 0)),
    # ---- trigonometric, hyperbolic, error function -----------------------------------------------
    e.sin: _periodic, e.cos: _periodic,
    e.asin:      _ranged(*_HALF_TURN, (-1, 1)),
    e.acos:      _ranged(0, 3.15, (-1, 1)),
    e.atan:      _ranged(*_HALF_TURN),
    e.sinh: _sinh, e.asinh: _sinh,
    e.cosh:      _ranged(0, INF, minus=False, positive=True),
    e.tanh:      _growing(math.tanh, -1, 1),
    e.acosh:     _ranged(0, INF, (1, INF)),
    e.atanh:     _ranged(-INF, INF, (-1, 1)),
    e.erf:       _growing(math.erf, -1, 1),
    e.erfc:      _ranged(0, 2, minus=False, positive=True),
    e.erfcx:     _ranged(0, INF, minus=False, positive=True),
    e.log_erfc:  _ranged(-INF, 0.694),
    # ---- rounding, conversion, markers -----------------------------------------------------------
    e.floor: _rounding(math.floor), e.ceil: _rounding(math.ceil), e.trunc: _rounding(math.trunc),
    e.round_: _rounding(round), e.astype: _astype,
    e.stop_gradient: _same, e.assume_normalised: _same,
}
# fmt: on
