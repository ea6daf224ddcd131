"""Norms, variances and differences of squares and roots, without overflow or cancellation."""

from __future__ import annotations

import math

import numpy as np

from symgraph import functions as f
from symgraph.functions.variables import number, size_value
from symgraph.ops import elementwise as e
from symgraph.ops import leaves
from symgraph.ops import reduction as r
from symgraph.ops import shape as s
from symgraph.passes.rules.pattern import Const, Kind, P, Var, literal_of
from symgraph.passes.rules.rule import (
    EXACT,
    FINITE_ONLY,
    STABILISING,
    Look,
    Match,
    Rule,
    floating,
)
from symgraph.sizes import Dim, product
from symgraph.tensor import Tensor, apply

__all__ = ["NORMS"]

a, b, x, y = (Var(n) for n in "abxy")
c, d = Const("c"), Const("d")

#: how deep a sum of squares under a root is looked into
DEPTH = 100


# ---- lengths -------------------------------------------------------------------------------------


def _norm(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return apply(r.norm, (x,), (("axis", axes),))


def _norm_of_sum(m: Match) -> Tensor:
    return _norm(m.x, m.a.attrs["axis"])


def _root(x: Tensor, found: dict[Tensor, Tensor | None], depth: int) -> Tensor | None:
    """The root, up to sign, of a square, a sum of squares or a positive literal."""
    if x not in found:
        found[x] = _new_root(x, found, depth)
    return found[x]


def _new_root(x: Tensor, found: dict[Tensor, Tensor | None], depth: int) -> Tensor | None:
    if x.op is e.square:
        return x.inputs[0]
    if x.op is r.sum_ and x.inputs[0].op is e.square:
        return _norm(x.inputs[0].inputs[0], x.attrs["axis"])
    if x.op is e.add and depth > 0:
        one = _root(x.inputs[0], found, depth - 1)
        two = None if one is None else _root(x.inputs[1], found, depth - 1)
        return None if one is None or two is None else f.hypot(one, two)
    value = literal_of(x)
    return None if value is None or not 0 < value < math.inf else f.sqrt(x)


def _hypot_of_sum(m: Match) -> Tensor | None:
    """Beside a literal, squares of values that are known to be moderate are safe as they are."""
    beside = literal_of(m.x) is not None or literal_of(m.y) is not None
    if beside and m.facts.bounded(m.x) and m.facts.bounded(m.y):
        return None
    return _root(m.a, {}, DEPTH)


def _length_scaled(m: Match) -> Tensor | None:
    """The root of a mean square: the length over the root of the count."""
    count = m.y
    if count.op is not leaves.size and (literal_of(count) or 0) <= 0:
        return None
    return f.divide(_norm(m.x, m.a.attrs["axis"]), f.sqrt(count))


def _length_times(m: Match) -> Tensor | None:
    value = literal_of(m.c)
    if value is None or not 0 < value < math.inf:
        return None
    return f.multiply(_norm(m.x, m.a.attrs["axis"]), number(math.sqrt(value), m.node.dtype))


def _squares_of_norm(m: Match) -> Tensor:
    return f.sum(f.square(m.x), axis=m.a.attrs["axis"])


def _norm_negative(m: Match) -> Tensor:
    return _norm(m.x, m.node.attrs["axis"])


# ---- variances -----------------------------------------------------------------------------------


#: what a mean is taken of, over which axes, and whether it keeps them
Mean = tuple[Tensor, tuple[int, ...], bool]


#: what makes a mean of a sum
MEANS = frozenset((e.divide, e.multiply))


def _may_be_means(kinds: tuple[Kind, ...]) -> bool:
    """Whether the first operand and what the second is made of may be means."""
    return kinds[0].op in MEANS and MEANS.issuperset(kinds[1].ops)


def _mean(x: Tensor) -> Mean | None:
    """What x is the mean of: a sum over its count, or times the inverse of it."""
    if x.op not in MEANS:
        return None
    for total, count in (x.inputs, x.inputs[::-1])[: 2 if x.op is e.multiply else 1]:
        kept = total.op is s.expand_dims
        inner = total.inputs[0] if kept else total
        if inner.op is not r.sum_:
            continue
        axes = inner.attrs["axis"]
        size = product(inner.inputs[0].shape[k] for k in axes)
        whole = not kept or total.attrs["axes"] == axes
        if whole and _counts(count, size, x.op is e.multiply):
            return inner.inputs[0], axes, kept
    return None


def _counts(x: Tensor, size: Dim, inverse: bool) -> bool:
    """Whether x is ``size`` as a value, or its inverse."""
    if inverse:
        return type(size) is int and size > 0 and literal_of(x) == x.dtype.type(1 / size).item()
    if x.op is leaves.size:
        return bool(x.attrs["dim"] == size)
    return type(size) is int and literal_of(x) == size


def _deviation(of: Mean, mean: Tensor) -> Tensor:
    source, axes, kept = of
    return f.subtract(source, mean if kept else f.expand_dims(mean, axes))


def _mean_like(x: Tensor, of: Mean) -> Tensor:
    _, axes, kept = of
    count = size_value(product(x.shape[k] for k in axes), x.dtype)
    return f.divide(f.sum(x, axis=axes, keepdims=kept), count)


def _variance(m: Match) -> Tensor | None:
    """mean(x^2) - mean(x)^2 cancels; the mean squared deviation does not."""
    squares, plain = _mean(m.a), _mean(m.b)
    if squares is None or plain is None or squares[0].op is not e.square:
        return None
    if squares[0].inputs[0] is not plain[0] or squares[1:] != plain[1:]:
        return None
    return _mean_like(f.square(_deviation(plain, m.b)), plain)


def _covariance(m: Match) -> Tensor | None:
    """mean(x y) - mean(x) mean(y), likewise; deviations multiply what the means did not."""
    both, one, two = _mean(m.a), _mean(m.x), _mean(m.y)
    if both is None or one is None or two is None or both[0].op is not e.multiply:
        return None
    if not both[1:] == one[1:] == two[1:] or one[0].shape != two[0].shape:
        return None
    first, second = both[0].inputs
    if not ((first is one[0] and second is two[0]) or (first is two[0] and second is one[0])):
        return None
    return _mean_like(f.multiply(_deviation(one, m.x), _deviation(two, m.y)), both)


#: the sum of as many values of this size as memory holds is finite in float32
COUNTED = 1e20


def _small_deviations(m: Match) -> bool:
    """Whether no product of deviations overflows, nor a sum of them."""
    means = [_mean(mean) for mean in (m.x, m.y)]
    sizes = [2 * m.facts.magnitude(mean[0]) for mean in means if mean is not None]
    return len(sizes) == 2 and sizes[0] * sizes[1] <= COUNTED


# ---- differences that cancel ---------------------------------------------------------------------

#: what is rounded near 1 already gains nothing from a factored difference
_SATURATING = frozenset((e.tanh, e.sin, e.cos, e.sigmoid, e.erf))


def _exact_operand(m: Match) -> bool:
    return floating(m) and m.x.op not in _SATURATING


def _of_exact(k: int) -> Look:
    """Whether input ``k`` may be the square of such an operand."""
    return lambda kinds: kinds[k].ops[0] not in _SATURATING


def _difference_of_roots(m: Match) -> Tensor | None:
    """sqrt(x + c) - sqrt(x + d) is (c - d) / (sqrt(x + c) + sqrt(x + d))."""
    (first, c1), (second, c2) = _shift(m.x), _shift(m.y)
    if first is not second or c1 == c2:
        return None
    return f.divide(number(c1 - c2, m.node.dtype), f.add(f.sqrt(m.x), f.sqrt(m.y)))


def _difference_of_reciprocals(m: Match) -> Tensor | None:
    """1 / (x + c) - 1 / (x + d) is (d - c) / (x + c) / (x + d)."""
    (first, c1), (second, c2) = _shift(m.x), _shift(m.y)
    if first is not second or c1 == c2:
        return None
    return f.divide(f.divide(number(c2 - c1, m.node.dtype), m.x), m.y)


def _shift(x: Tensor) -> tuple[Tensor, float]:
    """x as a value plus a finite literal."""
    if x.op in (e.add, e.subtract):
        one, two = x.inputs
        left, right = literal_of(one), literal_of(two)
        if right is not None and math.isfinite(right):
            return one, float(right) if x.op is e.add else -float(right)
        if left is not None and math.isfinite(left) and x.op is e.add:
            return two, float(left)
    return x, 0.0


def _root_less_one(m: Match) -> Tensor:
    """sqrt(1 + x) - 1 is x / (sqrt(1 + x) + 1), and sqrt(x) where 1 is lost beside it."""
    precision = np.finfo(m.node.dtype).nmant + 2
    far = f.greater(m.x, number(2.0 ** (2 * precision), m.node.dtype))
    return f.where(far, f.sqrt(m.x), f.divide(m.x, f.add(m.a, number(1, m.node.dtype))))


def _half_angle(sign: int, m: Match) -> Tensor:
    """1 - cos(x) is 2 sin(x / 2)^2."""
    half = f.sin(f.multiply(number(0.5, m.node.dtype), m.x))
    return f.multiply(number(2 * sign, m.node.dtype), f.square(half))


SUM_OF_SQUARES = P.sum(P.square(x)).named("a")

# fmt: off
NORMS: tuple[Rule, ...] = (
    # ---- lengths ---------------------------------------------------------------------------------
    Rule("sqrt_sum_square",    P.sqrt(SUM_OF_SQUARES), _norm_of_sum, STABILISING),
    Rule("sqrt_mean_square",   P.sqrt(P.divide(SUM_OF_SQUARES, y)), _length_scaled, STABILISING),
    Rule("sqrt_scaled_squares",
        P.sqrt(P.multiply(c, SUM_OF_SQUARES)), _length_times, STABILISING),
    Rule("sqrt_add_squares",   P.sqrt(P.add(x, y).named("a")), _hypot_of_sum, STABILISING),
    Rule("guarded_length",
        P.where(P.equal(P.sum(P.square(x)), 0.0), 0.0, P.norm(x).named("a")),
        lambda m: m.a, STABILISING,
        lambda m: m.node.inputs[0].shape == m.a.shape),
    Rule("square_norm",        P.square(P.norm(x).named("a")), _squares_of_norm, STABILISING),
    Rule("norm_negative",      P.norm(P.negative(x)), _norm_negative, EXACT),
    Rule("norm_abs",           P.norm(P.abs(x)), _norm_negative, EXACT),
    Rule("hypot_negative",     P.hypot(P.negative(x), y), P.hypot(x, y), EXACT),
    Rule("hypot_abs",          P.hypot(P.abs(x), y), P.hypot(x, y), EXACT),
    Rule("square_hypot",
        P.square(P.hypot(x, y)), P.add(P.square(x), P.square(y)), STABILISING),
    # ---- variances -------------------------------------------------------------------------------
    Rule("mean_square_less_squared_mean",
        P.subtract(a, P.square(b)), _variance, STABILISING, floating, looks=_may_be_means),
    Rule("mean_product_less_means",
        P.subtract(a, P.multiply(x, y)), _covariance, FINITE_ONLY, floating,
        sound=_small_deviations, looks=_may_be_means),
    # ---- differences that cancel -----------------------------------------------------------------
    Rule("difference_of_squares",
        P.subtract(P.square(x), P.square(y)),
        P.multiply(P.subtract(x, y), P.add(x, y)), STABILISING, _exact_operand),
    Rule("one_minus_square",
        P.subtract(1.0, P.square(x)),
        P.multiply(P.subtract(1.0, x), P.add(1.0, x)), STABILISING, _exact_operand,
        looks=_of_exact(1)),
    Rule("square_minus_one",
        P.subtract(P.square(x), 1.0),
        P.multiply(P.subtract(x, 1.0), P.add(1.0, x)), STABILISING, _exact_operand,
        looks=_of_exact(0)),
    Rule("difference_of_roots",
        P.subtract(P.sqrt(x), P.sqrt(y)), _difference_of_roots, STABILISING),
    Rule("difference_of_reciprocals",
        P.subtract(P.divide(1.0, x), P.divide(1.0, y)), _difference_of_reciprocals, STABILISING),
    Rule("root_less_one",
        P.subtract(P.sqrt(P.add(1.0, x)).named("a"), 1.0), _root_less_one, STABILISING),
    Rule("one_minus_cos",
        P.subtract(1.0, P.cos(x)), lambda m: _half_angle(1, m), STABILISING),
    Rule("cos_minus_one",
        P.subtract(P.cos(x), 1.0), lambda m: _half_angle(-1, m), STABILISING),
)
# fmt: on
