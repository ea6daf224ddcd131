"""Rows that sum to one, one-hot rows, and indices in range."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.ops import elementwise as e
from symgraph.ops import index, leaves
from symgraph.ops import reduction as r
from symgraph.ops import shape as s
from symgraph.sizes import Dim, is_one, product
from symgraph.tensor import Tensor

__all__ = ["in_range", "one_hot_axes", "sums_to_one"]

#: How many nodes one question may look at.
REACH = 64

Axes = tuple[int, ...]

# ---- one-hot rows --------------------------------------------------------------------------------


def one_hot_axes(x: Tensor) -> tuple[int, Tensor, Dim] | None:
    """For ``equal(index, iota)``: the axis that counts, the index (of size 1 there), how many
    classes.
    """
    if x.op is not e.equal or x.inputs[0].dtype.kind not in "iu":
        return None
    for index_, line in (x.inputs, x.inputs[::-1]):
        found = line_axis(line, x.ndim)
        if found is None:
            continue
        axis, n = found
        at = axis - (x.ndim - index_.ndim)
        if (
            (at < 0 or is_one(index_.shape[at]))
            and x.shape[axis] == n
            and _counts_to(line.dtype, n)
        ):
            return axis, index_, n
    return None


def _counts_to(dtype: np.dtype[Any], n: Dim) -> bool:
    """Whether 0 .. n - 1 are different numbers in ``dtype``."""
    return n <= np.iinfo(dtype).max + 1 if type(n) is int else dtype.itemsize >= 4


def line_axis(x: Tensor, rank: int) -> tuple[int, Dim] | None:
    """Where 0, 1, ..., n - 1 runs, if x is an iota with axes of size 1 put behind (or before)
    it.
    """
    base = x.inputs[0] if x.op in (s.expand_dims, s.reshape) else x
    if base.op is not leaves.iota or x.size != base.size:
        return None
    places = [k for k, d in enumerate(x.shape) if not is_one(d)]
    if len(places) != 1:
        return None
    return places[0] + rank - x.ndim, base.attrs["length"]


#: operations whose result has some of the elements of their first input, and no others
_KEEPS = frozenset(
    {
        s.reshape, s.permute_dims, s.expand_dims, s.squeeze, s.broadcast_to, s.slice_, index.gather,
        e.stop_gradient,
    }
)  # fmt: skip


def in_range(x: Tensor, n: Dim) -> bool:
    """Whether the integers x are known to lie in 0 .. n - 1."""
    for _ in range(REACH):
        if x.op is leaves.constant:
            value = x.attrs["value"]
            return type(n) is int and bool(((value >= 0) & (value < n)).all())
        if x.op is leaves.iota:
            return bool(x.attrs["length"] == n)
        if x.op in (r.argmax, r.argmin):
            return bool(x.inputs[0].shape[x.attrs["axis"][0]] == n)
        if x.op not in _KEEPS:
            return False
        x = x.inputs[0]
    return False


# ---- sums to one ---------------------------------------------------------------------------------


def sums_to_one(x: Tensor, axes: Axes) -> bool:
    """Whether x adds up to one along ``axes``, for every finite input."""
    if x.dtype.kind != "f":
        return False
    waiting = [(x, axes)]
    for _ in range(REACH):
        if not waiting:
            return True
        found = _step(*waiting.pop())
        if found is None:
            return False
        waiting += found
    return False


def _step(x: Tensor, axes: Axes) -> list[tuple[Tensor, Axes]] | None:
    """What else must add up to one so that x does; None where that is not known."""
    if x.op in _ENDS:
        return [] if _ENDS[x.op](x, axes) else _through(x, axes)
    return _through(x, axes)


def _through(x: Tensor, axes: Axes) -> list[tuple[Tensor, Axes]] | None:
    rule = _THROUGH.get(x.op)
    return rule(x, axes) if rule is not None else None


def _row_function(x: Tensor, axes: Axes) -> bool:
    return bool(x.attrs["axis"] == axes)


def _exponential(x: Tensor, axes: Axes) -> bool:
    inner = x.inputs[0]
    return inner.op is r.log_softmax and bool(inner.attrs["axis"] == axes)


def _literal(x: Tensor, axes: Axes) -> bool:
    value = x.attrs["value"]
    return value.dtype.kind == "f" and bool(
        (value.sum(axis=axes) == 1).all() and np.isfinite(value).all()
    )


def _one_hot(x: Tensor, axes: Axes) -> bool:
    if x.inputs[0].dtype.kind != "b":
        return False
    found = one_hot_axes(x.inputs[0])
    return found is not None and (found[0],) == axes and in_range(found[1], found[2])


_ENDS = {
    r.softmax: _row_function,
    e.assume_normalised: _row_function,
    e.exp: _exponential,
    leaves.constant: _literal,
    e.astype: _one_hot,
}


def _same(x: Tensor, axes: Axes) -> list[tuple[Tensor, Axes]] | None:
    return [(x.inputs[0], axes)]


def _permuted(x: Tensor, axes: Axes) -> list[tuple[Tensor, Axes]] | None:
    return [(x.inputs[0], tuple(sorted(x.attrs["axes"][k] for k in axes)))]


def _expanded(x: Tensor, axes: Axes) -> list[tuple[Tensor, Axes]] | None:
    """New axes have size 1: summing over them changes nothing."""
    new = x.attrs["axes"]
    old = [k for k in range(x.ndim) if k not in new]
    return [(x.inputs[0], tuple(old.index(k) for k in axes if k not in new))]


def _squeezed(x: Tensor, axes: Axes) -> list[tuple[Tensor, Axes]] | None:
    kept = [k for k in range(x.inputs[0].ndim) if k not in x.attrs["axes"]]
    return [(x.inputs[0], tuple(kept[k] for k in axes))]


def _stretched(x: Tensor, axes: Axes) -> list[tuple[Tensor, Axes]] | None:
    """Rows that are repeated still sum to one; a row's elements must not be."""
    a = x.inputs[0]
    behind = x.ndim - a.ndim
    inner = tuple(k - behind for k in axes)
    if any(k < 0 or a.shape[k] != x.shape[k + behind] for k in inner):
        return None
    return [(a, inner)]


def _reshaped(x: Tensor, axes: Axes) -> list[tuple[Tensor, Axes]] | None:
    """Trailing axes that stay as they are; the leading ones are laid out anew."""
    a = x.inputs[0]
    tail = 0
    for have, want in zip(a.shape[::-1], x.shape[::-1], strict=False):
        if have != want:
            break
        tail += 1
    shift = a.ndim - x.ndim
    if any(k < x.ndim - tail for k in axes):
        return None
    return [(a, tuple(k + shift for k in axes))]


def _sliced(x: Tensor, axes: Axes) -> list[tuple[Tensor, Axes]] | None:
    a = x.inputs[0]
    whole = all(
        x.attrs["starts"][k] == 0 and x.attrs["steps"][k] == 1 and x.shape[k] == a.shape[k]
        for k in axes
    )
    return [(a, axes)] if whole else None


def _picked(x: Tensor, axes: Axes) -> list[tuple[Tensor, Axes]] | None:
    """Rows chosen by an index: the axes that are not indexed keep their order behind it."""
    a, indexed = x.inputs[0], x.attrs["axes"]
    rest = [k for k in range(a.ndim) if k not in indexed]
    front = x.ndim - len(rest)
    if any(k < front for k in axes):
        return None
    return [(a, tuple(rest[k - front] for k in axes))]


def _joined(x: Tensor, axes: Axes) -> list[tuple[Tensor, Axes]] | None:
    return None if x.attrs["axis"] in axes else [(i, axes) for i in x.inputs]


def _chosen(x: Tensor, axes: Axes) -> list[tuple[Tensor, Axes]] | None:
    """A choice made row by row between rows that sum to one."""
    chosen, *branches = x.inputs
    place = tuple(k - (x.ndim - chosen.ndim) for k in axes)
    if any(k >= 0 and not is_one(chosen.shape[k]) for k in place):
        return None
    if any(b.shape != x.shape for b in branches):
        return None
    return [(b, axes) for b in branches]


def _mixed(x: Tensor, axes: Axes) -> list[tuple[Tensor, Axes]] | None:
    """``c * p + d * q`` with literals that add up to one; ``d`` alone stands for d everywhere."""
    total, rest = 0.0, []
    for term in x.inputs:
        weight, p = _weighted(term, x, axes)
        if p is not None and p.shape != x.shape:
            return None
        total += weight
        rest += [(p, axes)] if p is not None else []
    return rest if rest and abs(total - 1) <= 8 * np.finfo(x.dtype).eps else None


def _number(x: Tensor) -> float | None:
    while x.op is s.broadcast_to:
        x = x.inputs[0]
    value = x.attrs["value"] if x.op is leaves.constant else None
    return float(value.item()) if value is not None and value.size == 1 else None


def _weighted(term: Tensor, x: Tensor, axes: Axes) -> tuple[float, Tensor | None]:
    """A term of a mixture: its weight and what is weighted, None for a plain number."""
    if term.op is e.multiply:
        for a, b in (term.inputs, term.inputs[::-1]):
            weight = _number(a)
            if weight is not None:
                return weight, b
    weight = _number(term)
    if weight is None:
        return 1.0, term
    count = 1
    for k in axes:
        d = x.shape[k]
        count = count * d if isinstance(d, int) else 0
    return (weight * count if count else float("nan")), None


def _averaged(x: Tensor, axes: Axes) -> list[tuple[Tensor, Axes]] | None:
    """The mean over other axes of rows that sum to one: ``sum(p, k) / n``."""
    for total, n in (x.inputs, x.inputs[::-1]) if x.op is e.multiply else (x.inputs,):
        if total.op is not r.sum_ or n.ndim or total.shape != x.shape:
            continue
        p, gone = total.inputs[0], total.attrs["axis"]
        if not _counts(n, product(p.shape[k] for k in gone), x.op is e.multiply):
            continue
        kept = [k for k in range(p.ndim) if k not in gone]
        return [(p, tuple(kept[k] for k in axes))]
    return None


def _counts(n: Tensor, size: Dim, inverse: bool) -> bool:
    """Whether the scalar n is ``size``, or a literal that is its reciprocal."""
    value = _number(n)
    if value is None or not isinstance(size, int):
        return not inverse and n.op is leaves.size and bool(n.attrs["dim"] == size)
    return abs(value * size - 1) <= 8 * np.finfo(n.dtype).eps if inverse else value == size


_THROUGH = {
    e.stop_gradient: _same,
    e.assume_normalised: _same,
    s.permute_dims: _permuted,
    s.expand_dims: _expanded,
    s.squeeze: _squeezed,
    s.broadcast_to: _stretched,
    s.reshape: _reshaped,
    s.slice_: _sliced,
    index.gather: _picked,
    s.concat: _joined,
    e.where: _chosen,
    e.add: _mixed,
    e.divide: _averaged,
    e.multiply: _averaged,
}
