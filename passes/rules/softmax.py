"""softmax, log-softmax and log-sum-exp, however they are spelled; and what is left of their
gradients.

A spelled softmax is exp(u) over sum(exp(u)). The sum may be kept, expanded, stretched or transposed
along; the division may be a product with the reciprocal; u may have its maximum subtracted.
"""

from __future__ import annotations

from collections.abc import Iterable

from symgraph import functions as f
from symgraph.ops import elementwise as e
from symgraph.ops import reduction as r
from symgraph.ops import shape as s
from symgraph.passes.rebuild import rebuilt
from symgraph.passes.rules.layout import (
    Layout,
    aligned,
    constant_along,
    is_one,
    layout,
    replay,
    reshaped,
    same_values,
)
from symgraph.passes.rules.pattern import Const, P, Var, literal_of
from symgraph.passes.rules.rule import FINITE_ONLY, STABILISING, Match, Rule
from symgraph.tensor import Tensor, apply

__all__ = ["SOFTMAX", "spelled_softmax"]

a, b, c, u, x, y = Var("a"), Var("b"), Var("c"), Var("u"), Var("x"), Var("y")
ONES = Const("ones")


# ---- a value beside its own reduction ------------------------------------------------------------


def _beside(value: Tensor, found: Layout, core: Tensor, rank: int) -> tuple[int, ...] | None:
    """The axes of ``core`` over which ``found`` reduces it, if the two line up in a result of
    ``rank``.

    ``value`` is core laid out somehow; ``found`` the reduction of core laid out somehow.
    """
    numerator = layout(value, core)
    if numerator.source is not core or numerator.stopped or found.stopped:
        return None
    reduced = found.source
    inner = layout(reduced.inputs[0], core)
    if inner.source is not core or inner.stopped or not _whole(inner, core):
        return None
    gone = reduced.attrs["axis"]
    kept = [inner.axes[k] for k in range(reduced.inputs[0].ndim) if k not in gone]
    above = aligned(numerator.axes, rank)
    below = [None if k is None else kept[k] for k in aligned(found.axes, rank)]
    over = tuple(sorted(_known([inner.axes[k] for k in gone])))
    for top, bottom in zip(above, below, strict=True):
        if bottom is None and top is not None and top not in over and not is_one(core.shape[top]):
            return None
        if bottom is not None and bottom != top:
            return None
    return over if set(over) <= set(_known(above)) and not set(over) & set(_known(below)) else None


def _whole(found: Layout, core: Tensor) -> bool:
    """Whether every element of ``core`` is there, once."""
    there = _known(found.axes)
    missing = set(range(core.ndim)) - set(there)
    return len(set(there)) == len(there) and all(is_one(core.shape[k]) for k in missing)


def _known(axes: Iterable[int | None]) -> list[int]:
    return [k for k in axes if k is not None]


def _sum_of_exp(x: Tensor) -> tuple[Layout, Tensor] | None:
    """x as a laid out sum of an exponential, and that exponential."""
    found = layout(x)
    if found.source.op is not r.sum_:
        return None
    core = layout(found.source.inputs[0]).source
    return (found, core) if core.op is e.exp else None


def spelled_softmax(value: Tensor, total: Tensor, rank: int) -> Tensor | None:
    """value / total, if value is an exponential and total its sum over some axes."""
    known = _sum_of_exp(total)
    if known is None:
        return None
    found, core = known
    axes = _beside(value, found, core, rank)
    if not axes:
        return None
    return replay(value, core, f.softmax(core.inputs[0], axis=axes))


def _softmax(m: Match) -> Tensor | None:
    return spelled_softmax(m.node.inputs[0], m.node.inputs[1], m.node.ndim)


def _softmax_by_reciprocal(m: Match) -> Tensor | None:
    """exp(u) times one over the sum."""
    for value, inverse in (m.node.inputs, m.node.inputs[::-1]):
        quotient = layout(inverse)
        if quotient.source.op is not e.divide or literal_of(quotient.source.inputs[0]) != 1:
            continue
        total = replay(inverse, quotient.source, quotient.source.inputs[1])
        found = spelled_softmax(value, total, m.node.ndim)
        if found is not None:
            return found
    return None


def _log_softmax(m: Match) -> Tensor | None:
    """x minus its own log-sum-exp."""
    return _spelled_log_softmax(m.node.inputs[0], m.node.inputs[1], m.node.ndim)


def _log_softmax_reversed(m: Match) -> Tensor | None:
    """The log-sum-exp of x minus x."""
    found = _spelled_log_softmax(m.node.inputs[1], m.node.inputs[0], m.node.ndim)
    return None if found is None else f.negative(found)


def _spelled_log_softmax(value: Tensor, level: Tensor, rank: int) -> Tensor | None:
    found = layout(level)
    if found.source.op is not r.logsumexp:
        return None
    core = layout(found.source.inputs[0]).source
    for candidate in (found.source.inputs[0], core):
        axes = _beside(value, found, candidate, rank)
        if axes:
            return replay(value, candidate, f.log_softmax(candidate, axis=axes))
    return None


def _logsumexp(m: Match) -> Tensor:
    return f.logsumexp(m.u, axis=m.s.attrs["axis"])


def _logsumexp_scaled(m: Match) -> Tensor:
    return f.logsumexp(m.u, axis=m.s.attrs["axis"]) + f.log(m.c)


def _sum_by_matmul(m: Match) -> Tensor | None:
    """An exponential times a matrix of ones is its sum along rows, or columns; each row alike."""
    after = literal_of(m.node.inputs[1]) is not None
    x, ones = m.node.inputs if after else m.node.inputs[::-1]
    if literal_of(ones) != 1 or layout(x).source.op is not e.exp:
        return None
    axis, facing = (x.ndim - 1, ones.ndim - 2) if after else (x.ndim - 2, ones.ndim - 1)
    if x.shape[axis] != ones.shape[facing]:
        return None
    return f.sum(x, axis=axis, keepdims=True)


# ---- shifts --------------------------------------------------------------------------------------


def _is_maximum(shift: Tensor, x: Tensor) -> bool:
    source = layout(shift).source
    if source.op not in (r.max_, r.min_, r.logsumexp):
        return False
    inner = source.inputs[0]
    return inner is x or layout(inner).source is layout(x).source


def _shift(m: Match) -> tuple[Tensor, Tensor] | None:
    """(x, shift) of the shifted operand of a row function, if the shift is constant along its
    axes.
    """
    inner = m.node.inputs[0]
    pairs = [inner.inputs] if inner.op is e.subtract else [inner.inputs, inner.inputs[::-1]]
    for value, shift in pairs:
        if value.shape == inner.shape and constant_along(shift, m.node.attrs["axis"], inner.ndim):
            return value, shift
    return None


def _without_shift(m: Match) -> Tensor | None:
    found = _shift(m)
    return None if found is None else apply(m.node.op, (found[0],), tuple(m.node.attrs.items()))


def _harmless_shift(m: Match) -> bool:
    found = _shift(m)
    return found is not None and (_is_maximum(found[1], found[0]) or m.facts.finite(found[1]))


def _add_back(m: Match) -> Tensor | None:
    """logsumexp(x - c), laid out somehow, plus the same c."""
    axes = m.s.attrs["axis"]
    if m.x.shape != m.s.inputs[0].shape or not constant_along(m.b, axes, m.x.ndim):
        return None
    level = next(i for i in m.node.inputs if i is not m.y)
    same = m.b is m.y if m.b.ndim == 0 else m.b.ndim == m.x.ndim and same_values(m.b, m.y, axes)
    if not same or not (_is_maximum(m.b, m.x) or m.facts.finite(m.b)):
        return None
    return reshaped(f.logsumexp(m.x, axis=axes), level.shape)


# ---- gradients -----------------------------------------------------------------------------------

DEPTH = 8


def _softmax_average(m: Match) -> Tensor | None:
    """sum(a exp(u)) / sum(exp(u)) is the sum of a times the softmax of u."""
    axes = m.s.attrs["axis"]
    if m.t.attrs["axis"] != axes or m.t.inputs[0].shape != m.u.shape:
        return None
    return f.sum(f.multiply(m.a, f.softmax(m.u, axis=axes)), axis=axes)


def _weighted_quotient(m: Match) -> Tensor | None:
    """q times the sum of (a / q) q is q times the sum of a; a NaN in q still shows."""
    axes = m.q.attrs["axis"]
    if m.s.attrs["axis"] != axes or m.a.shape != m.q.shape:
        return None
    return f.multiply(m.q, f.sum(m.a, axis=axes, keepdims=m.q.ndim > len(axes)))


def _softmax_factor(m: Match) -> Tensor | None:
    """exp(u) times terms that all have one over its sum as a factor: softmax(u) times the rest.

    This is what differentiating a softmax spelled as exp over sum leaves behind.
    """
    value = m.e
    total = _denominator(m.y, layout(value).source, m.node.ndim)
    if total is None:
        return None
    found, rest = spelled_softmax(value, total, m.node.ndim), _quotient(m.y, total, DEPTH)
    return None if found is None or rest is None else apply(e.multiply, (found, rest))


def _denominator(x: Tensor, core: Tensor, rank: int) -> Tensor | None:
    """A sum of ``core`` by which something in x is divided, at the rank of the whole."""
    level = [x]
    for _ in range(DEPTH):
        following: list[Tensor] = []
        for node in level:
            if node.op is e.divide and node.ndim == rank:
                known = _sum_of_exp(node.inputs[1])
                if known is not None and known[1] is core:
                    return node.inputs[1]
            if node.op in _TRANSPARENT:
                following.extend(node.inputs)
        level = following[:DEPTH]
    return None


_TRANSPARENT = frozenset(
    (e.add, e.subtract, e.multiply, e.divide, e.negative, r.sum_, s.expand_dims)
)


def _quotient(x: Tensor, total: Tensor, depth: int) -> Tensor | None:
    """x without the factor 1 / total that every term of it has; None if one lacks it."""
    if depth == 0 or x.op not in _TRANSPARENT:
        return None
    ins, deeper = x.inputs, depth - 1
    if x.op is e.divide and ins[1] is total:
        return ins[0]
    if x.op in (e.divide, e.negative):
        return _with_input(x, 0, _quotient(ins[0], total, deeper))
    if x.op is e.multiply:
        first = _with_input(x, 0, _quotient(ins[0], total, deeper))
        return first if first is not None else _with_input(x, 1, _quotient(ins[1], total, deeper))
    if x.op is s.expand_dims:
        same = total.op is s.expand_dims and total.attrs["axes"] == x.attrs["axes"]
        return _with_input(x, 0, _quotient(ins[0], total.inputs[0], deeper)) if same else None
    if x.op is r.sum_:
        inside = f.expand_dims(total, x.attrs["axis"]) if total.ndim or not ins[0].ndim else total
        return _with_input(x, 0, _quotient(ins[0], inside, deeper))
    return _with_input(
        _with_input(x, 0, _quotient(ins[0], total, deeper)), 1, _quotient(ins[1], total, deeper)
    )


def _with_input(x: Tensor | None, k: int, new: Tensor | None) -> Tensor | None:
    if x is None or new is None:
        return None
    inputs = (*x.inputs[:k], new, *x.inputs[k + 1 :])
    return rebuilt(x, inputs)


SOFT = P.softmax(u).named("q")
WEIGHTED = P.sum(P.multiply(P.divide(a, SOFT), SOFT)).named("s")

# fmt: off
SOFTMAX: tuple[Rule, ...] = (
    Rule("softmax_quotient",
        P.divide(x, y), _softmax, STABILISING),
    Rule("softmax_product",
        P.multiply(P.exp(u), y), _softmax_by_reciprocal, STABILISING),
    Rule("softmax_product_laid_out",
        P.multiply(P.permute_dims(x), y), _softmax_by_reciprocal, STABILISING),
    Rule("sum_of_exp_by_matmul",   P.matmul(x, ONES), _sum_by_matmul, STABILISING),
    Rule("sum_of_exp_by_matmul_first", P.matmul(ONES, x), _sum_by_matmul, STABILISING),
    Rule("logsumexp_spelled",
        P.log(P.sum(P.exp(u)).named("s")), _logsumexp, STABILISING),
    Rule("logsumexp_scaled",
        P.log(P.multiply(c, P.sum(P.exp(u)).named("s"))), _logsumexp_scaled, STABILISING,
        lambda m: m.facts.positive(m.c)),
    Rule("log_softmax_spelled",
        P.subtract(x, P.expand_dims(y)), _log_softmax, STABILISING),
    Rule("log_softmax_vector",
        P.subtract(x, P.logsumexp(y)), _log_softmax, STABILISING),
    Rule("log_softmax_reversed",
        P.subtract(P.expand_dims(y), x), _log_softmax_reversed, STABILISING),
    Rule("log_softmax_reversed_vector",
        P.subtract(P.logsumexp(y), x), _log_softmax_reversed, STABILISING),
    Rule("log_of_softmax",
        P.log(P.softmax(x)), lambda m: f.log_softmax(m.x, axis=m.node.inputs[0].attrs["axis"]),
        STABILISING),
    Rule("softmax_average",
        P.divide(P.sum(P.multiply(a, P.exp(u))).named("t"), P.sum(P.exp(u)).named("s")),
        _softmax_average, STABILISING),
    Rule("softmax_factor",
        P.multiply(P.exp(u).named("e"), y), _softmax_factor, STABILISING),
    Rule("softmax_weighted_quotient", P.multiply(SOFT, P.expand_dims(WEIGHTED)), _weighted_quotient,
        STABILISING),
    Rule("softmax_weighted_quotient_vector", P.multiply(SOFT, WEIGHTED), _weighted_quotient,
        STABILISING),
    # ---- shifts ----------------------------------------------------------------------------------
    Rule("softmax_shift",
        P.softmax(P.subtract(x, y)), _without_shift, STABILISING, _harmless_shift),
    Rule("softmax_shift_added",
        P.softmax(P.add(x, y)), _without_shift, STABILISING, _harmless_shift),
    Rule("softmax_any_shift",  P.softmax(P.subtract(x, y)),            _without_shift, FINITE_ONLY),
    Rule("softmax_any_shift_added", P.softmax(P.add(x, y)),            _without_shift, FINITE_ONLY),
    Rule("log_softmax_shift",
        P.log_softmax(P.subtract(x, y)), _without_shift, STABILISING, _harmless_shift),
    Rule("log_softmax_shift_added",
        P.log_softmax(P.add(x, y)), _without_shift, STABILISING, _harmless_shift),
    Rule("logsumexp_shift",
        P.add(P.logsumexp(P.subtract(x, b)).named("s"), y), _add_back, STABILISING),
    Rule("logsumexp_shift_kept",
        P.add(P.expand_dims(P.logsumexp(P.subtract(x, b)).named("s")), y), _add_back, STABILISING),
)
# fmt: on
