"""One-hot rows: what indexing by labels leaves in a gradient, in element-wise form."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from symgraph import functions as f
from symgraph.functions.creation import iota
from symgraph.functions.variables import number, size_value
from symgraph.ops import elementwise as e
from symgraph.ops import index, leaves
from symgraph.ops import reduction as r
from symgraph.ops import shape as s
from symgraph.passes.facts import one_hot_axes
from symgraph.passes.rules.coefficients import negated
from symgraph.passes.rules.explog import stable_log
from symgraph.passes.rules.layout import constant_along, is_one, reshaped
from symgraph.passes.rules.pattern import Node, P, Var, literal_of
from symgraph.passes.rules.rule import EXACT, FINITE_ONLY, ROUNDING, STABILISING, Match, Rule
from symgraph.sizes import Dim
from symgraph.tensor import Tensor, apply

__all__ = ["LABELS", "picked_rows"]

a, t, x = Var("a"), Var("t"), Var("x")


# ---- writing one element of each row -------------------------------------------------------------


def _row_place(i: Tensor, rank: int) -> int | None:
    """Where an index 0, 1, ..., n - 1 runs among ``rank`` index axes; None for another index."""
    base = i.inputs[0] if i.op.name in ("expand_dims", "reshape") else i
    places = [k for k, d in enumerate(i.shape) if not is_one(d)]
    if base.op is not leaves.iota or len(places) > 1 or i.size != base.size:
        return None
    return (places[0] if places else i.ndim - 1) + rank - i.ndim


def _rows(
    node: Tensor, indices: Sequence[Tensor], met: tuple[Dim, ...]
) -> tuple[int, Tensor, tuple[int, ...]] | None:
    """Where indices meet every row of ``node``'s first input once: the axis along which they pick,
    the labels, and the rows' places in the shape ``met`` of the elements.
    """
    base, axes, rank = node.inputs[0], node.attrs["axes"], len(met)
    if sorted(axes) != list(range(base.ndim)) or base.ndim < 2:
        return None
    places: dict[int, int] = {}
    picks: list[tuple[int, Tensor]] = []
    for axis, i in zip(axes, indices, strict=True):
        place = _row_place(i, rank)
        whole = place is not None and i.size == base.shape[axis] and met[place] == i.size
        if whole and place is not None and place not in places.values():
            places[axis] = place
        else:
            picks.append((axis, i))
    if len(picks) != 1 or any(
        k not in places.values() and not is_one(d) for k, d in enumerate(met)
    ):
        return None
    rows = tuple(places[k] for k in range(base.ndim) if k != picks[0][0])
    return *picks[0], rows


def picked_rows(x: Tensor) -> tuple[int, Tensor, tuple[int, ...]] | None:
    """For a gather of one element from each row: the axis of the picks, the labels, the rows'
    places.
    """
    return _rows(x, x.inputs[1:], x.shape) if x.op is index.gather else None


def _along_rows(x: Tensor, rank: int, rows: tuple[int, ...], axis: int) -> Tensor:
    """An operand of the write, laid out beside the array written to, with size 1 along ``axis``."""
    wide = reshaped(x, (1,) * (rank - x.ndim) + x.shape)
    order = [*rows, *(k for k in range(rank) if k not in rows)]
    moved = f.permute_dims(wide, order)
    return f.expand_dims(reshaped(moved, moved.shape[: len(rows)]), axis)


def _one_hot_write(m: Match) -> Tensor | None:
    """zeros.at[arange(n), k].add(v) is v where the column is k. A gather keeps the check of k's
    range.
    """
    base, updates = m.node.inputs[:2]
    if literal_of(base) != 0:
        return None
    found = _rows(m.node, m.node.inputs[2:], updates.shape)
    if found is None:
        return None
    axis, labels, rows = found
    line = iota(base.shape[axis])
    checked = _in_range_of(line, labels)
    spread = (
        f.expand_dims(line, tuple(range(1, base.ndim - axis))) if axis < base.ndim - 1 else line
    )
    hot = f.equal(_along_rows(checked, updates.ndim, rows, axis), spread)
    value = updates.inputs[0] if updates.op.name == "broadcast_to" else updates
    if value.ndim == 0:
        if m.facts.safe_scale(value, m.node.shape):
            return f.multiply(value, f.astype(hot, m.node.dtype))
    else:
        value = _along_rows(updates, updates.ndim, rows, axis)
    return f.where(hot, value, f.constant(0, m.node.dtype))


def _in_range_of(line: Tensor, labels: Tensor) -> Tensor:
    """The labels, checked as an index is, and counted from the front."""
    if labels.op is s.expand_dims:
        inner = apply(index.gather, (line, labels.inputs[0]), (("axes", (0,)),))
        return f.expand_dims(inner, labels.attrs["axes"])
    return apply(index.gather, (line, labels), (("axes", (0,)),))


# ---- sums of one-hot rows ------------------------------------------------------------------------


def _inside(labels: Tensor, n: Dim) -> Tensor:
    above = f.greater_equal(labels, 0)
    if isinstance(n, int) and n > np.iinfo(labels.dtype).max:
        return above
    return f.logical_and(above, f.less(labels, size_value(n, labels.dtype)))


def _sum_one_hot(m: Match) -> Tensor | None:
    """A one-hot row adds up to 1 if its label is in range, else to 0."""
    found = one_hot_axes(m.t)
    if found is None or m.node.attrs["axis"] != (found[0],):
        return None
    axis, labels, n = found
    if m.facts.in_range(labels, n):
        rows = tuple(d for k, d in enumerate(m.t.shape) if k != axis)
        return f.broadcast_to(f.constant(1, m.node.dtype), rows)
    return f.astype(_rows_inside(labels, n, axis, m.t.ndim), m.node.dtype)


def _rows_inside(labels: Tensor, n: Dim, axis: int, rank: int) -> Tensor:
    """Whether the label of each row is in range, without the axis that counts."""
    inside = _inside(labels, n)
    lead = (1,) * (rank - inside.ndim) + inside.shape
    kept = tuple(d for k, d in enumerate(lead) if k != axis)
    return reshaped(reshaped(inside, lead), kept)


def _sum_weighted(m: Match) -> Tensor | None:
    """A finite weight of each row times a one-hot row adds up to the weight."""
    found = one_hot_axes(m.t)
    if found is None or m.node.attrs["axis"] != (found[0],) or m.t.shape != m.node.inputs[0].shape:
        return None
    axis, labels, n = found
    if not constant_along(m.a, (axis,), m.t.ndim) or not m.facts.in_range(labels, n):
        return None
    return _row_value(m.a, axis, m.t.ndim)


def _picked_elements(m: Match) -> Tensor | None:
    """One-hot rows times x add up to the elements of x at the labels. What a logarithm may still be
    taken of stays a sum: that has its rule.
    """
    found, (axis, *more) = one_hot_axes(m.t), m.node.attrs["axis"]
    if found is None or more or found[0] != axis or m.t.shape != m.x.shape or m.x.ndim != 2:
        return None
    rows = m.x.shape[1 - axis]
    if found[1].size != rows or not m.facts.in_range(found[1], found[2]):
        return None
    if constant_along(m.x, (axis,), 2) or stable_log(m.x) is not None:
        return None
    places = iota(rows), reshaped(found[1], (rows,))
    return apply(index.gather, (m.x, *(places if axis == 1 else places[::-1])), (("axes", (0, 1)),))


def _checked_once(m: Match) -> Tensor | None:
    """An index into x that was looked up in 0, 1, ..., n - 1 is checked by x as well."""
    of, *indices = m.node.inputs
    axes = m.node.attrs["axes"]
    new = [_looked_up(i, of.shape[a]) for i, a in zip(indices, axes, strict=True)]
    if of.op is leaves.iota or all(i is j for i, j in zip(new, indices, strict=True)):
        return None
    return apply(index.gather, (of, *new), (("axes", axes),))


def _looked_up(i: Tensor, n: Dim) -> Tensor:
    line = i.inputs[0] if i.op is index.gather else i
    whole = line is not i and line.op is leaves.iota and line.attrs["length"] == n
    return i.inputs[1] if whole else i


def _row_value(a: Tensor, axis: int, rank: int) -> Tensor:
    """The value of each row, without the axis that counts, along which it is constant."""
    lead = (1,) * (rank - a.ndim) + a.shape
    return reshaped(reshaped(a, lead), tuple(d for k, d in enumerate(lead) if k != axis))


def _sum_picked(m: Match) -> Tensor | None:
    """The sum of a row that holds one value at its label is that value; 0 for a label out of
    range.
    """
    found = one_hot_axes(m.t)
    if found is None or m.node.attrs["axis"] != (found[0],) or m.t.shape != m.node.inputs[0].shape:
        return None
    axis, labels, n = found
    if not constant_along(m.a, (axis,), m.t.ndim):
        return None
    value = _row_value(m.a, axis, m.t.ndim)
    if m.facts.in_range(labels, n):
        return value
    return f.where(_rows_inside(labels, n, axis, m.t.ndim), value, number(0, m.node.dtype))


# ---- one-hot rows, however they are spelled ------------------------------------------------------


def _row_of_identity(m: Match) -> Tensor | None:
    """Rows of an identity matrix at labels are one-hot rows, with the same check of the labels."""
    matrix, *indices = m.node.inputs
    if m.node.attrs["axes"] != (0,) or matrix.ndim != 2 or not _is_identity(matrix):
        return None
    (labels,) = indices
    if labels.dtype.kind == "u" and labels.dtype.itemsize == 8:
        return None
    return f.one_hot(labels, matrix.shape[0], dtype=m.node.dtype)


def _is_identity(x: Tensor) -> bool:
    if x.shape[0] != x.shape[1]:
        return False
    if x.op is leaves.constant:
        value = x.attrs["value"]
        first = value.size == 0 or value[0, 0] == 1
        return bool(first and np.array_equal(value, np.eye(len(value))))
    compared = x.inputs[0] if x.op is e.astype else x
    found = one_hot_axes(compared)
    return found is not None and found[0] == 1 and _row_place(found[1], 2) == 0


def _hot(m: Match) -> bool:
    return one_hot_axes(m.t) is not None


def _picked_scale(m: Match) -> Tensor | None:
    """A scalar, or a finite weight of each row, at each label scales the one-hot rows."""
    if literal_of(m.a) == 1:
        return None
    if not m.facts.safe_scale(m.a, m.node.shape) and not _finite_weight(m):
        return None
    return f.multiply(m.a, f.astype(m.t, m.node.dtype))


def _finite_weight(m: Match) -> bool:
    found = one_hot_axes(m.t)
    if found is None or m.t.shape != m.node.shape:
        return False
    return constant_along(m.a, (found[0],), m.t.ndim) and m.facts.finite(m.a)


def _log_of_picked(m: Match) -> Tensor | None:
    """log of the sum of one-hot rows times a softmax: the log-softmax at the label.

    A label out of range picks nothing: log 0. In a product each row of the softmax must be whole,
    so that a NaN anywhere in it still shows.
    """
    found, total = one_hot_axes(m.t), m.node.inputs[0]
    if found is None or total.attrs["axis"] != (found[0],) or m.t.shape != m.x.shape:
        return None
    axis, labels, n = found
    product = total.inputs[0].op is e.multiply
    if product and not (m.x.op is r.softmax and axis in m.x.attrs["axis"]):
        return None
    log = stable_log(m.x)
    if log is None:
        return None
    picked = f.sum(f.where(m.t, log, f.constant(0, m.node.dtype)), axis=axis)
    if m.facts.in_range(labels, n):
        return picked
    nothing = f.constant(-math.inf, m.node.dtype)
    return f.where(_rows_inside(labels, n, axis, m.t.ndim), picked, nothing)


def _picked_sign(m: Match) -> Tensor | None:
    """The sign of a literal factor rises, too."""
    new = negated(m.y)
    return None if new is None else f.negative(f.where(m.t, new, number(0, m.node.dtype)))


PICKS = frozenset((index.gather,))

# fmt: off
LABELS: tuple[Rule, ...] = (
    Rule("one_hot_write", Node(frozenset((index.scatter_add,))), _one_hot_write, ROUNDING),
    Rule("one_hot_sum",   P.sum(P.astype(t)),                    _sum_one_hot,   EXACT),
    Rule("log_of_picked",
        P.log(P.sum(P.where(t, x, 0))), _log_of_picked, STABILISING),
    Rule("log_of_picked_product",
        P.log(P.sum(P.multiply(P.astype(t), x))), _log_of_picked, STABILISING),
    Rule("one_hot_weighted_sum",
        P.sum(P.multiply(a, P.astype(t))), _sum_weighted, FINITE_ONLY,
        sound=lambda m: m.facts.finite(m.a)),
    Rule("one_hot_picks",
        P.sum(P.multiply(P.astype(t), x)), _picked_elements, FINITE_ONLY,
        sound=lambda m: m.facts.finite(m.x)),
    Rule("labels_checked_once",
        Node(PICKS, children=PICKS), _checked_once, EXACT),
    Rule("picked_sum",    P.sum(P.where(t, a, 0)),               _sum_picked,    ROUNDING),
    Rule("picked_scale",  P.where(t, a, 0),                      _picked_scale,  ROUNDING, _hot),
    Rule("picked_negative",
        P.where(t, P.negative(a), 0), P.negative(P.where(t, a, 0)), ROUNDING, _hot),
    Rule("picked_negative_scale",
        P.where(t, P.multiply(x, a).named("y"), 0), _picked_sign, ROUNDING, _hot),
    Rule("where_minus_one_zero",
        P.where(t, -1, 0), lambda m: f.negative(f.astype(m.t, m.node.dtype)), ROUNDING),
    Rule("row_of_identity",
        Node(PICKS, children=frozenset((leaves.constant, e.astype, e.equal)), arity=2),
        _row_of_identity, EXACT),
)
# fmt: on
