"""What a condition says of the values it chooses: where(x > 0, x, 1) is positive."""

from __future__ import annotations

import math

import numpy as np

from symgraph.op import Op
from symgraph.ops import elementwise as e
from symgraph.ops import leaves
from symgraph.passes.facts.known import INF, Known, made
from symgraph.tensor import Tensor

__all__ = ["given"]

#: the comparison that holds where another does not, NaN aside
_OPPOSITE = {
    e.greater: e.less_equal, e.less_equal: e.greater, e.less: e.greater_equal,
    e.greater_equal: e.less, e.equal: e.not_equal, e.not_equal: e.equal,
}  # fmt: skip
_TURNED = {
    e.greater: e.less, e.less: e.greater, e.greater_equal: e.less_equal,
    e.less_equal: e.greater_equal,
}  # fmt: skip


def given(condition: Tensor, holds: bool, x: Tensor, k: Known) -> Known:
    """What is known of x where a condition on x itself holds, or does not."""
    if x.dtype.kind != "f" or not any(i is x for i in condition.inputs):
        return k
    if condition.op is e.isnan:
        return k if holds else k._replace(nan=False)
    if condition.op is e.isfinite and holds:
        most = float(np.finfo(x.dtype).max)
        return k._replace(nan=False, lo=max(k.lo, -most), hi=min(k.hi, most))
    if condition.op not in _OPPOSITE:
        return k
    first, second = condition.inputs
    other, op = (second, condition.op) if first is x else (first, _TURNED.get(condition.op))
    if op is None or other.op is not leaves.constant or other.size != 1:
        return k
    value = float(other.attrs["value"].item())
    return _against(op if holds else _OPPOSITE[op], value, x, k, ordered=holds)


def _against(op: Op, value: float, x: Tensor, k: Known, ordered: bool) -> Known:
    """What is known of x where it compares so with a number; ``ordered`` says it is not NaN."""
    low, high = k.lo, k.hi
    if op in (e.greater, e.greater_equal):
        low = max(low, _beyond(value, INF, x) if op is e.greater else value)
    elif op in (e.less, e.less_equal):
        high = min(high, _beyond(value, -INF, x) if op is e.less else value)
    if math.isnan(value) or low > high or op in (e.equal, e.not_equal):
        return k
    return made(
        x.dtype, low, high, nan=k.nan and not ordered, minus=k.minus, nonzero=k.nonzero,
        integral=k.integral, positive=k.positive,
    )  # fmt: skip


def _beyond(value: float, towards: float, x: Tensor) -> float:
    """The number of x's dtype next to ``value``."""
    return float(np.nextafter(x.dtype.type(value), x.dtype.type(towards)))
