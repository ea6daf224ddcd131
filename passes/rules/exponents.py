"""What a value is the exponential of, however it is spelled: a power, a product, a mask, moved
about.

Weights stay mathematics: ``w * exp(u)`` is the exponential of ``u + log(w)``. A weight counts only
where its logarithm is known without trouble: a literal, a condition (0 is the exponential of -inf),
a softmax or a sigmoid, or what is never zero.
"""

from __future__ import annotations

import math

import numpy as np

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.ops import elementwise as e
from symgraph.ops import index, leaves
from symgraph.ops import reduction as r
from symgraph.ops import shape as s
from symgraph.passes.facts import Facts
from symgraph.passes.rebuild import rebuilt
from symgraph.passes.rules.layout import Layout, layout, replay
from symgraph.passes.rules.moving import MOVES
from symgraph.passes.rules.pattern import literal_of
from symgraph.tensor import Tensor

__all__ = ["exponent", "power_level", "reduced_as", "sum_of_exponentials"]

DEPTH = 6
_LAID_OUT = MOVES | {s.broadcast_to, s.slice_, index.gather, e.stop_gradient}
_EXPONENTIALS = frozenset((e.exp, e.exp2, e.power))


def exponent(x: Tensor, facts: Facts, vanishing: bool = False) -> Tensor | None:
    """u where x is exp(u) for every input, and an exponential is in it; of the shape of x.

    With ``vanishing`` weights may be zero, too: a derivative of u by such a weight is infinite.
    """
    if not _has_exponential(x, DEPTH):
        return None
    found = _logarithm(x, facts, DEPTH, vanishing)
    if found is None:
        return None
    return found if found.shape == x.shape else f.broadcast_to(found, x.shape)


def sum_of_exponentials(x: Tensor, facts: Facts) -> tuple[Layout, Tensor] | None:
    """x as a laid out sum of exponentials, and their exponents."""
    found = layout(x)
    if found.source.op is not r.sum_:
        return None
    inside = exponent(found.source.inputs[0], facts)
    return None if inside is None else (found, inside)


def reduced_as(total: Tensor, found: Layout, inside: Tensor) -> Tensor:
    """The log-sum-exp of ``inside``, laid out as ``total`` is."""
    axis = found.source.attrs["axis"]
    return replay(total, found.source, f.logsumexp(inside, axis=axis))


def _has_exponential(x: Tensor, depth: int) -> bool:
    if x.op in _EXPONENTIALS:
        return x.op is not e.power or _base(x) is not None or _has_exponential(x.inputs[0], 0)
    if depth == 0:
        return False
    if x.op in _LAID_OUT or x.op is e.divide:
        return _has_exponential(x.inputs[0], depth - 1)
    if x.op in (e.multiply, e.where):
        return any(_has_exponential(i, depth - 1) for i in x.inputs[-2:])
    return False


def _base(x: Tensor) -> float | None:
    """The logarithm of the base of a power of a positive literal."""
    value = literal_of(x.inputs[0])
    return math.log(value) if value is not None and 0 < value < math.inf else None


def _logarithm(x: Tensor, facts: Facts, depth: int, vanishing: bool) -> Tensor | None:
    """log(x), with no overflow or underflow on the way."""
    ins = x.inputs
    if x.op is e.exp:
        return ins[0]
    if x.op is e.exp2:
        return f.multiply(number(math.log(2), x.dtype), ins[0])
    if x.op is e.power:
        return _log_of_power(x)
    if x.op is leaves.constant:
        return _log_of_constant(x)
    if x.op is r.softmax:
        return f.log_softmax(ins[0], axis=x.attrs["axis"])
    if x.op is e.sigmoid:
        return f.negative(f.softplus(f.negative(ins[0])))
    if x.op is e.astype and ins[0].dtype.kind == "b":
        return f.where(ins[0], number(0, x.dtype), number(-math.inf, x.dtype))
    found = _of_parts(x, facts, depth - 1, vanishing) if depth and ins else None
    if found is None and x.dtype.kind == "f" and _is_weight(x, facts, vanishing):
        return f.log(x)
    return found


def _is_weight(x: Tensor, facts: Facts, vanishing: bool) -> bool:
    if vanishing:
        return facts.nonnegative(x)
    return facts.positive(x) and facts.nonzero(x)


def _log_of_power(x: Tensor) -> Tensor | None:
    base, y = x.inputs
    rate = _base(x)
    if rate is not None:
        return f.multiply(number(rate, x.dtype), y)
    return power_level(y, base.inputs[0]) if base.op is e.exp and y.dtype == x.dtype else None


def power_level(y: Tensor, log: Tensor) -> Tensor:
    """y * log as the logarithm of a power: 0 for 1**y and for x**0, whatever y and x are."""
    value = literal_of(y)
    product = f.multiply(y, log)
    if value is not None and value != 0 and math.isfinite(value):
        return product
    empty = f.logical_and(f.equal(y, 0), f.isinf(log))
    one = f.logical_and(f.isinf(y), f.equal(log, 0))
    return f.where(f.logical_or(empty, one), number(0, log.dtype), product)


def _of_parts(x: Tensor, facts: Facts, depth: int, vanishing: bool) -> Tensor | None:
    if x.op in _LAID_OUT:
        inner = _logarithm(x.inputs[0], facts, depth, vanishing)
        if inner is None:
            return None
        same = inner.shape == x.inputs[0].shape
        inner = inner if same else f.broadcast_to(inner, x.inputs[0].shape)
        return rebuilt(x, (inner, *x.inputs[1:]))
    if x.op not in (e.multiply, e.divide, e.where):
        return None
    first, second = (_logarithm(i, facts, depth, vanishing) for i in x.inputs[-2:])
    if first is None or second is None or (x.op is e.divide and _may_vanish(x.inputs[1])):
        return None
    if x.op is e.where:
        return f.where(x.inputs[0], first, second)
    return f.add(first, second) if x.op is e.multiply else f.subtract(first, second)


def _may_vanish(x: Tensor) -> bool:
    """Whether a divisor may be zero: only literals and exponentials are trusted."""
    return not (bool(literal_of(x)) or _has_exponential(x, DEPTH))


def _log_of_constant(x: Tensor) -> Tensor | None:
    value = x.attrs["value"]
    if value.dtype.kind != "f" or not bool(((value >= 0) & (value < math.inf)).all()):
        return None
    with np.errstate(divide="ignore"):
        return f.constant(np.log(value), x.dtype)
