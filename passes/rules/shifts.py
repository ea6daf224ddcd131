"""Shifts: softmax and log-softmax do not see what is added along a whole row, log-sum-exp adds it.

A shift that was subtracted for stability goes, and what is left of it carries no derivative.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from symgraph import functions as f
from symgraph.ops import elementwise as e
from symgraph.ops import index
from symgraph.ops import reduction as r
from symgraph.passes.rules.labels import picked_rows
from symgraph.passes.rules.layout import constant_along, layout, reshaped, same_values
from symgraph.passes.rules.pattern import Node, P, Pattern, Var, literal_of
from symgraph.passes.rules.rule import FINITE_ONLY, STABILISING, Match, Rule
from symgraph.tensor import Tensor, apply

__all__ = ["DETACHING", "SHIFTS"]

u, x, y = Var("u"), Var("x"), Var("y")
DEPTH = 4

#: a shift, its sign, and what it was added to
Shifted = tuple[Tensor, int, Tensor]


def _shifts(x: Tensor, axes: tuple[int, ...]) -> Iterator[Shifted]:
    """Every way to see x as ``rest + sign * shift``, the shift being constant along ``axes``."""
    if x.op not in (e.add, e.subtract):
        return
    first, second = x.inputs
    sign = 1 if x.op is e.add else -1
    if first.shape == x.shape and constant_along(second, axes, x.ndim):
        yield second, sign, first
    if second.shape == x.shape and constant_along(first, axes, x.ndim):
        yield first, 1, second if sign == 1 else f.negative(second)


def _scaled_shifts(x: Tensor, axes: tuple[int, ...]) -> Iterator[tuple[Tensor, Shifted]]:
    """The same below a factor or divisor that is constant along ``axes``; and x without what it
    scales.
    """
    if x.op not in (e.multiply, e.divide):
        return
    pairs = [x.inputs] if x.op is e.divide else [x.inputs, x.inputs[::-1]]
    for inner, scale in pairs:
        if constant_along(scale, axes, x.ndim) and inner.shape == x.shape:
            for found in _shifts(inner, axes):
                yield scale, found


def _is_level(shift: Tensor, x: Tensor) -> bool:
    """Whether the shift is the maximum (or its like) of x: infinite only where x is."""
    source = layout(shift).source
    if source.op not in (r.max_, r.min_, r.logsumexp):
        return False
    inner = source.inputs[0]
    own = x.inputs[0] if x.op is e.negative else x
    return any(inner is i or layout(inner).source is layout(i).source for i in (x, own))


def _harmless(m: Match, shift: Tensor, rest: Tensor) -> bool:
    return _is_level(shift, rest) or m.facts.finite(shift)


# ---- row functions that ignore shifts ------------------------------------------------------------


def _row_function(m: Match, inside: Tensor) -> Tensor:
    return apply(m.node.op, (inside,), tuple(m.node.attrs.items()))


def _without_level(m: Match) -> Tensor | None:
    for shift, _, rest in _shifts(m.node.inputs[0], m.node.attrs["axis"]):
        if _harmless(m, shift, rest):
            return _row_function(m, rest)
    return None


def _without_scaled_level(m: Match) -> Tensor | None:
    """Halving is exact: 0.5 * (x - max(x)) need not be shifted either."""
    inner = m.node.inputs[0]
    for scale, (shift, _, rest) in _scaled_shifts(inner, m.node.attrs["axis"]):
        if inner.op is e.multiply and _halves(scale) and _harmless(m, shift, rest):
            return _row_function(m, apply(e.multiply, (scale, rest)))
    return None


def _halves(scale: Tensor) -> bool:
    """Whether a literal is a power of two, of magnitude at most one and not tiny."""
    value = literal_of(scale)
    return value is not None and 1e-3 < abs(value) <= 1 and abs(math.frexp(value)[0]) == 0.5


def _without_any_shift(m: Match) -> Tensor | None:
    for _, _, rest in _shifts(m.node.inputs[0], m.node.attrs["axis"]):
        return _row_function(m, rest)
    return None


def _without_any_scaled_shift(m: Match) -> Tensor | None:
    inner = m.node.inputs[0]
    for scale, (_, _, rest) in _scaled_shifts(inner, m.node.attrs["axis"]):
        return _row_function(m, _scaled_like(inner, rest, scale))
    return None


def _scaled_like(inner: Tensor, rest: Tensor, scale: Tensor) -> Tensor:
    return apply(inner.op, (rest, scale))


# ---- log-sum-exp ---------------------------------------------------------------------------------


def _added_back(m: Match) -> Tensor | None:
    """logsumexp(x - b), laid out somehow, plus the same b; and every sign of it."""
    minus = m.node.op is e.subtract
    for first, level in enumerate(m.node.inputs):
        source = layout(level).source
        if source.op is not r.logsumexp or layout(level).stopped:
            continue
        other = m.node.inputs[1 - first]
        rest = _restored(m, source, other, 1 if minus else -1)
        if rest is not None:
            total = reshaped(f.logsumexp(rest, axis=source.attrs["axis"]), level.shape)
            return f.negative(total) if minus and first == 1 else total
    return None


def _restored(m: Match, source: Tensor, other: Tensor, sign: int) -> Tensor | None:
    """The operand of a log-sum-exp without the shift that ``other`` gives back, if it does."""
    inside, axes = source.inputs[0], source.attrs["axis"]
    for shift, way, rest in _shifts(inside, axes):
        if way == sign and _same(shift, other, axes, inside.ndim) and _harmless(m, shift, rest):
            return rest
    for scale, (shift, way, rest) in _scaled_shifts(inside, axes):
        if way != sign or other.op is not inside.op or not _is_level(shift, rest):
            continue
        pairs = [other.inputs] if other.op is e.divide else [other.inputs, other.inputs[::-1]]
        for moved, factor in pairs:
            if _same(shift, moved, axes, inside.ndim) and _same(scale, factor, axes, inside.ndim):
                return _scaled_like(inside, rest, scale)
    return None


def _same(b: Tensor, y: Tensor, axes: tuple[int, ...], rank: int) -> bool:
    """Whether y is b, which is constant along ``axes`` of ``rank``, with those axes kept or not."""
    if b.ndim == 0:
        return b is y
    return b.ndim == rank and same_values(b, y, axes)


def _picked_minus_level(m: Match) -> Tensor | None:
    """logsumexp(u) less one u of each row, where u is shifted: less the log-softmax there."""
    for first, level in enumerate(m.node.inputs):
        picked, found = m.node.inputs[1 - first], layout(level)
        if found.source.op is not r.logsumexp or picked.op is not index.gather or found.stopped:
            continue
        inside, axes = found.source.inputs[0], found.source.attrs["axis"]
        rows = picked_rows(picked)
        if picked.inputs[0] is not inside or rows is None or axes != (rows[0],):
            continue
        wanted = tuple(None if k not in rows[2] else rows[2].index(k) for k in range(picked.ndim))
        if level.shape == picked.shape == m.node.shape and found.axes == wanted:
            if next(_shifts(inside, axes), None) is None:
                continue
            new = apply(
                index.gather,
                (f.log_softmax(inside, axis=axes), *picked.inputs[1:]),
                tuple(picked.attrs.items()),
            )
            return new if first == 1 else f.negative(new)
    return None


# ---- derivatives ---------------------------------------------------------------------------------


def _detached(m: Match) -> Tensor | None:
    inside = _still(m.node.inputs[0], m.node.attrs["axis"], DEPTH)
    return None if inside is None else _row_function(m, inside)


def _still(x: Tensor, axes: tuple[int, ...], depth: int) -> Tensor | None:
    """x with the derivative stopped at its shifts that are reductions of itself; None if none
    is.
    """
    if depth == 0:
        return None
    if x.op is e.negative:
        inner = _still(x.inputs[0], axes, depth - 1)
        return None if inner is None else f.negative(inner)
    if x.op not in (e.add, e.subtract, e.multiply, e.divide):
        return None
    for k, part in enumerate(x.inputs):
        other = x.inputs[1 - k]
        if other.shape != x.shape:
            continue
        if not constant_along(part, axes, x.ndim):
            continue
        if x.op in (e.add, e.subtract):
            new = f.stop_gradient(part) if _reduces(part, other) else None
            place = k
        elif x.op is e.multiply or k == 1:
            new, place = None, k
        else:
            continue
        if new is None:
            new, place = _still(other, axes, depth - 1), 1 - k
        if new is not None:
            return apply(x.op, (new, x.inputs[1]) if place == 0 else (x.inputs[0], new))
    return None


def _reduces(shift: Tensor, x: Tensor) -> bool:
    """Whether the shift is a reduction of what it is subtracted from."""
    if shift.op is e.multiply:
        return any(_reduces(i, x) for i in shift.inputs)
    found = layout(shift)
    if found.stopped or found.source.op not in (r.max_, r.min_, r.logsumexp, r.sum_):
        return False
    inner = found.source.inputs[0]
    return inner is x or layout(inner).source is layout(x).source


ROWS = frozenset((r.softmax, r.log_softmax))
SUMS = frozenset((e.add, e.subtract))
SCALED = frozenset((e.multiply, e.divide))


def _logistic(name: str, part: Pattern) -> tuple[Rule, ...]:
    """max(x, 0) - y + log(1 + exp(-|x|)) is softplus(x) - y.

    As it stands it keeps tiny losses that the difference would lose; its derivative gains nothing.
    """
    tail = P.softplus(P.negative(P.abs(x)))
    less, more = P.subtract(P.softplus(x), y), P.add(P.softplus(x), y)
    return (
        Rule(name, P.add(P.subtract(part, y), tail), less, STABILISING),
        Rule(f"{name}_added", P.add(P.add(part, y), tail), more, STABILISING),
    )


#: Before differentiating: they put ``stop_gradient`` where the derivative is zero.
DETACHING: tuple[Rule, ...] = (
    Rule("shift_detached", Node(ROWS, children=SUMS | SCALED), _detached, STABILISING),
    *_logistic("logistic_of_parts", P.relu(x)),
    *_logistic("logistic_of_maximum", P.maximum(x, 0)),
)

# fmt: off
SHIFTS: tuple[Rule, ...] = (
    Rule("softmax_shift",      Node(ROWS, children=SUMS),          _without_level, STABILISING),
    Rule("softmax_shift_scaled",
        Node(ROWS, children=frozenset((e.multiply,))), _without_scaled_level, STABILISING),
    Rule("softmax_any_shift",  Node(ROWS, children=SUMS),          _without_any_shift, FINITE_ONLY),
    Rule("softmax_any_shift_scaled",
        Node(ROWS, children=SCALED), _without_any_scaled_shift, FINITE_ONLY),
    Rule("logsumexp_shift",
        Node(SUMS, children=frozenset((r.logsumexp,))), _added_back, STABILISING),
    Rule("logsumexp_shift_kept",
        P.add(P.expand_dims(P.logsumexp(u)), y), _added_back, STABILISING),
    Rule("logsumexp_shift_taken",
        P.subtract(P.expand_dims(P.logsumexp(u)), y), _added_back, STABILISING),
    Rule("logsumexp_less_picked",
        Node(frozenset((e.subtract,)), children=frozenset((index.gather,))), _picked_minus_level,
        STABILISING),
)
# fmt: on
