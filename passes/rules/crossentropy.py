"""What rows add up to, term by term: one-hot rows to one, a softmax to one, a gradient to zero."""

from __future__ import annotations

import math

import numpy as np

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.ops import elementwise as e
from symgraph.ops import leaves
from symgraph.ops import reduction as r
from symgraph.ops import shape as s
from symgraph.passes.facts import one_hot_axes
from symgraph.passes.rules.averages import is_tangent, normalised_part, row_sum_of
from symgraph.passes.rules.coefficients import coefficient
from symgraph.passes.rules.layout import constant_along, layout, reshaped
from symgraph.passes.rules.pattern import Kind, P, Var, literal_of, some_input
from symgraph.passes.rules.rule import FINITE_ONLY, ROUNDING, STABILISING, Match, Rule
from symgraph.sizes import product
from symgraph.tensor import Tensor

__all__ = ["CROSSENTROPY"]

a, t, x, y = Var("a"), Var("t"), Var("x"), Var("y")
DEPTH = 8

#: A linear combination: what a coefficient stands before, None for a plain number. A quotient c / n
#: counts as c before ("over", n), a row sum that is not known as 1 before ("sum", x).
Key = tuple[str, Tensor] | None
Total = dict[Key, float]


# ---- row totals ----------------------------------------------------------------------------------


class _Rows:
    """Sums along ``axes`` of rows; ``strict`` ones take only terms that can hold no NaN."""

    def __init__(self, m: Match, axes: tuple[int, ...], strict: bool) -> None:
        self.match, self.facts, self.axes, self.strict = m, m.facts, axes, strict

    def total(self, x: Tensor, depth: int = DEPTH) -> Total | None:
        """What x adds up to along the axes, if every term of it is known."""
        if depth == 0:
            return None
        if x.op in (e.add, e.subtract):
            first, second = (self._spread(i, x, depth - 1) for i in x.inputs)
            if first is None or second is None:
                return None
            return _plus(first, second, 1 if x.op is e.add else -1, self.match)
        if x.op is e.negative:
            inner = self.total(x.inputs[0], depth - 1)
            return None if inner is None else _plus({}, inner, -1, self.match)
        if self._sums_to_one(x):
            return {None: 1.0}
        if not self.strict and is_tangent(x, self.axes):
            return {}
        if x.op is e.multiply:
            return self._product(x, depth - 1)
        if x.op is e.where and not self.strict and literal_of(x.inputs[2]) == 0:
            return self._picked(x)
        return None if self.strict else {("sum", x): 1.0}

    def _spread(self, term: Tensor, whole: Tensor, depth: int) -> Total | None:
        """The total of a term of a sum; one that is the same along the rows counts times their
        length.
        """
        if not constant_along(term, self.axes, whole.ndim):
            return self.total(term, depth) if term.ndim == whole.ndim else None
        found = coefficient(term)
        count = product(whole.shape[k] for k in self.axes)
        if found is None or not isinstance(count, int):
            return None
        return _scaled({None: float(count)}, *found)

    def _sums_to_one(self, x: Tensor) -> bool:
        if self.strict and x.op is not e.astype:
            return False
        return self.facts.sums_to_one(x, self.axes)

    def _product(self, x: Tensor, depth: int) -> Total | None:
        for factor, rows in (x.inputs, x.inputs[::-1]):
            if rows.shape != x.shape or not constant_along(factor, self.axes, x.ndim):
                continue
            inner, scale = self.total(rows, depth), coefficient(factor)
            if inner is None:
                continue
            if scale is not None:
                return _scaled(inner, *scale)
            if inner == {None: 1.0} and not self.strict:
                return self._level(factor, depth)
        return None if self.strict else {("sum", x): 1.0}

    def _picked(self, x: Tensor) -> Total:
        """The total of rows that hold one value at a label."""
        found, value = one_hot_axes(x.inputs[0]), x.inputs[1]
        if found is not None and (found[0],) == self.axes and x.inputs[0].shape == x.shape:
            same = constant_along(value, self.axes, x.ndim)
            if same and self.facts.in_range(found[1], found[2]):
                return {("level", value): 1.0}
        return {("sum", x): 1.0}

    def _level(self, factor: Tensor, depth: int) -> Total | None:
        """The total of normalised rows times a factor of each."""
        found = layout(factor)
        if found.source.op is r.sum_ and found.source.inputs[0].ndim == factor.ndim:
            terms = found.source.inputs[0]
            if row_sum_of(factor, terms) == self.axes:
                return self.total(terms, depth)
        return {("level", factor): 1.0}


def _plus(a: Total, b: Total, sign: int, m: Match) -> Total:
    """a + sign * b, where literals that cancel to within their rounding give 0."""
    out, eps = dict(a), 8 * float(np.finfo(m.node.dtype).eps)
    for key, value in b.items():
        before = out.get(key, 0.0)
        after = before + sign * value
        out[key] = 0.0 if abs(after) <= eps * abs(before) else after
    return out


def _scaled(x: Total, factor: float, divisor: Tensor | None) -> Total | None:
    if divisor is None:
        return {key: factor * value for key, value in x.items()}
    if any(key is not None for key in x):
        return None
    return {("over", divisor): factor * x.get(None, 0.0)}


def _is_zero(x: Total | None) -> bool:
    """Whether everything cancels."""
    return x is not None and not any(x.values())


# ---- rules ---------------------------------------------------------------------------------------


def _known_total(m: Match) -> Tensor | None:
    """The sum of a row of one-hot and literal terms, all of moderate size."""
    if m.node.dtype.kind != "f":
        return None
    found = _Rows(m, m.node.attrs["axis"], strict=True).total(m.t)
    if found is None or len(found) != 1:
        return None
    ((key, value),) = found.items()
    if not _moderate(value, m):
        return None
    near = round(value * 1024) / 1024  # literals such as 0.1 / 3 are meant to add up
    eps = 4 * float(np.finfo(m.node.dtype).eps)
    value = near if abs(value - near) <= eps * abs(near) else value
    level = number(value, m.node.dtype)
    total = level if key is None else f.divide(level, key[1])
    return f.broadcast_to(total, m.node.shape)


def _moderate(value: float, m: Match) -> bool:
    return math.isfinite(value) and 1e-6 < abs(value) < 1e6 and m.t.op is not leaves.constant


def _sum_of_normalised(m: Match) -> Tensor | None:
    """A factor of each row times rows that sum to one adds up to the factor."""
    axes = m.node.attrs["axis"]
    found = normalised_part(m.t, axes, m.facts)
    if found is None:
        return None
    lead = (1,) * (m.t.ndim - found[0].ndim) + found[0].shape
    kept = tuple(d for k, d in enumerate(lead) if k not in axes)
    scale = found[0] if found[0].ndim == 0 else reshaped(reshaped(found[0], lead), kept)
    return f.broadcast_to(scale, m.node.shape)


#: what may lead from a term to the sum in it, one by one or below a sign, a product or a fraction
_LEADING = frozenset(
    (
        s.expand_dims, s.squeeze, s.permute_dims, s.broadcast_to, e.stop_gradient,
        e.negative, e.multiply, e.divide, e.where, r.sum_,
    )
)  # fmt: skip
_ABOVE = frozenset((e.negative, e.multiply, e.divide))


def _may_be_nothing(kinds: tuple[Kind, ...]) -> bool:
    """Whether an operand may be a multiple of sums, or select the largest elements."""
    return any(
        k.op in _LEADING and (k.op not in _ABOVE or not _LEADING.isdisjoint(k.ops)) for k in kinds
    )


def _plus_nothing(m: Match) -> Tensor | None:
    """t plus a multiple of its own row sums, which are zero: a gradient by logits, with what a
    maximum that was subtracted leaves of them.
    """
    if m.node.dtype.kind != "f" or m.t.shape != m.node.shape:
        return None
    found = _own_sum(m.y, m.t, DEPTH)
    if found is None:
        shares = _shared(m.y)
        nothing = shares is not None and _is_zero(_level_of(shares, m, DEPTH))
        return m.t if nothing else None
    total = _Rows(m, found, strict=False).total(_unscaled(m.t))
    return m.t if _is_zero(total) else None


def _without_zero_sum(m: Match) -> Tensor | None:
    """The sum of t + y or y - t is that of y, where the rows of t add up to zero."""
    axes, whole = m.node.attrs["axis"], m.node.inputs[0]
    pairs = [whole.inputs] if whole.op is e.subtract else [whole.inputs, whole.inputs[::-1]]
    for rest, t in pairs:
        if rest.shape == whole.shape == t.shape and is_tangent(t, axes) and _holds(rest, t, 4):
            return f.sum(rest, axis=axes)
    return None


def _shown(m: Match) -> bool:
    """Whether what is wrong with x shows in y, too."""
    return m.node.dtype.kind == "f" and _holds(m.y, m.x, 6)


def _shared(y: Tensor) -> Tensor | None:
    """What y gives to the elements that share a maximum; None if it selects nothing."""
    source = layout(y).source
    if source.op is not e.where or literal_of(source.inputs[2]) != 0:
        return None
    shares = layout(source.inputs[1]).source
    for _ in range(2):
        if shares.op is e.negative or (shares.op is e.divide and _counts(shares.inputs[1])):
            shares = layout(shares.inputs[0]).source
    return shares


def _level_of(x: Tensor, m: Match, depth: int) -> Total | None:
    """A combination of scalars and of totals, which are one, of softmaxes that m.t holds, too."""
    x = layout(x).source
    scale = coefficient(x)
    if depth == 0 or scale is not None:
        return None if scale is None else _scaled({None: 1.0}, *scale)
    if x.op is r.sum_:
        rows = x.inputs[0]
        one = m.facts.sums_to_one(rows, x.attrs["axis"]) and _holds(m.t, rows, 4)
        return {None: 1.0} if one else None
    if x.op in (e.add, e.subtract):
        first, second = (_level_of(i, m, depth - 1) for i in x.inputs)
        if first is None or second is None:
            return None
        return _plus(first, second, 1 if x.op is e.add else -1, m)
    if x.op is e.multiply:
        for factor, rest in (x.inputs, x.inputs[::-1]):
            scale = coefficient(factor)
            if scale is not None:
                inner = _level_of(rest, m, depth - 1)
                return None if inner is None else _scaled(inner, *scale)
    return None


def _holds(x: Tensor, part: Tensor, depth: int) -> bool:
    """Whether a NaN in ``part`` shows in the sum or product x of it."""
    if x is part:
        return True
    if depth == 0 or x.op not in (e.add, e.subtract, e.multiply, e.negative):
        return False
    return any(_holds(i, part, depth - 1) for i in x.inputs)


def _unscaled(x: Tensor) -> Tensor:
    """x without scalar factors and signs."""
    for _ in range(DEPTH):
        if x.op is e.negative:
            x = x.inputs[0]
        elif x.op is e.multiply and x.inputs[0].ndim == 0:
            x = x.inputs[1]
        elif x.op is e.multiply and x.inputs[1].ndim == 0:
            x = x.inputs[0]
        else:
            break
    return x


def _parallel(a: Tensor, b: Tensor) -> bool:
    """Whether a and b are scalar multiples of one another as they stand."""
    a, b = _unscaled(a), _unscaled(b)
    flipped = a.op is b.op is e.subtract and a.inputs[0] is b.inputs[1]
    return a is b or (flipped and a.inputs[1] is b.inputs[0])


def _own_sum(y: Tensor, t: Tensor, depth: int) -> tuple[int, ...] | None:
    """The axes if y is a multiple, finite where t is, of the sums of t along them."""
    if depth == 0:
        return None
    source = layout(y).source
    if source.op is r.sum_:
        axes: tuple[int, ...] = source.attrs["axis"]
        return axes if _parallel(source.inputs[0], t) else None
    if source.op is e.negative:
        return _own_sum(source.inputs[0], t, depth - 1)
    if source.op is e.where and literal_of(source.inputs[2]) == 0:
        return _own_sum(source.inputs[1], t, depth - 1)
    if source.op is e.divide and _counts(source.inputs[1]):
        return _own_sum(source.inputs[0], t, depth - 1)
    if source.op is e.multiply:
        for factor, rest in (source.inputs, source.inputs[::-1]):
            if factor.ndim == 0:
                return _own_sum(rest, t, depth - 1)
            within = t.op is e.multiply and any(i is factor for i in t.inputs)
            if within and factor.op is r.softmax:
                return _own_sum(rest, t, depth - 1)
    return None


def _counts(x: Tensor) -> bool:
    """Whether x is at least 1: how many elements share a maximum."""
    source = layout(x).source
    return source.op is e.maximum and any(literal_of(i) == 1 for i in source.inputs)


# fmt: off
CROSSENTROPY: tuple[Rule, ...] = (
    Rule("sum_of_labels",
        P.sum(t), _known_total, ROUNDING, ulps=16, looks=some_input((e.add, e.subtract))),
    Rule("sum_normalised",     P.sum(t),                           _sum_of_normalised, FINITE_ONLY),
    Rule("sum_of_zero_sum",    P.sum(P.add(x, y)),                 _without_zero_sum, STABILISING),
    Rule("sum_less_zero_sum",  P.sum(P.subtract(x, y)),            _without_zero_sum, STABILISING),
    Rule("difference_beside",  P.add(P.subtract(x, x), y),         y, STABILISING, _shown),
    Rule("scaled_difference_beside",
        P.add(P.multiply(a, P.subtract(x, x)), y), y, STABILISING,
        lambda m: _shown(m) and literal_of(m.a) is not None),
    Rule("plus_zero_sum",      P.add(t, y),                        _plus_nothing, STABILISING,
        looks=_may_be_nothing),
)
# fmt: on
