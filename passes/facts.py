"""What is known of a value without computing it: its sign, its range, whether it sums to one.

Facts are found by looking a few operations down, and remembered; nothing is assumed of inputs.
*Positive* is meant mathematically: exp(x) is positive although it may round to zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from symgraph.ops import elementwise as e
from symgraph.ops import index, leaves
from symgraph.ops import reduction as r
from symgraph.ops import shape as s
from symgraph.sizes import Dim, Size, symbols_of
from symgraph.tensor import Tensor

__all__ = ["Facts", "Span", "one_hot_axes"]

DEPTH = 6
Found = TypeVar("Found")

#: operations whose result has some of the elements of their first input, and no others
_KEEPS = frozenset(
    {
        s.reshape, s.permute_dims, s.expand_dims, s.squeeze, s.broadcast_to, s.slice_, index.gather,
        e.stop_gradient, r.max_, r.min_,
    }
)  # fmt: skip

#: bounds on the magnitude of a scalar made of literals and sizes, and the sizes it depends on
Span = tuple[float, float, frozenset[Any]]

_SAFE = (1e-30, 1e30)


class Facts:
    """Facts about the nodes of one run, each found once."""

    __slots__ = ("_memo", "_twins")

    def __init__(self) -> None:
        self._memo: dict[tuple[str, Tensor], Any] = {}
        self._twins: dict[Any, Tensor] = {}

    def first_of_twins(self, x: Tensor) -> Tensor:
        """The first node asked about that has x's operation and its two operands, in either
        order.
        """
        a, b = x.inputs
        return self._twins.setdefault((x.op, a, b), self._twins.get((x.op, b, a), x))

    def _once(self, name: str, x: Tensor, find: Callable[[], Found]) -> Found:
        key = (name, x)
        if key not in self._memo:
            self._memo[key] = find()
        found: Found = self._memo[key]
        return found

    def positive(self, x: Tensor) -> bool:
        """Mathematically greater than 0 for every finite input (NaN aside)."""
        return self._once("positive", x, lambda: _positive(x, DEPTH))

    def nonnegative(self, x: Tensor) -> bool:
        """At least 0, or NaN, also as computed."""
        return self._once("nonnegative", x, lambda: _nonnegative(x, DEPTH))

    def finite(self, x: Tensor) -> bool:
        """Neither NaN nor infinite, whatever the inputs are."""
        return self._once("finite", x, lambda: _finite(x, DEPTH))

    def scale(self, x: Tensor) -> Span | None:
        """Bounds of |x| for a scalar made of literals and sizes of at least 1; None for other
        values.
        """
        return self._once("scale", x, lambda: _scale(x, DEPTH))

    def safe_scale(self, x: Tensor, shape: tuple[Dim, ...]) -> bool:
        """Whether the scalar x may be multiplied into values of ``shape`` in any order.

        It is finite, nonzero and of moderate magnitude, except where a size is 0; and then
        ``shape``
        has no elements.
        """
        if x.ndim:
            return False
        span = self.scale(x)
        if span is None or span[0] < _SAFE[0] or span[1] > _SAFE[1]:
            return False
        return span[2] <= _symbols(shape) if span[2] else True

    def sums_to_one(self, x: Tensor, axes: tuple[int, ...]) -> bool:
        """Whether x adds up to one along ``axes`` for every finite input."""
        return self._once(f"one{axes}", x, lambda: _sums_to_one(x, axes))

    def in_range(self, x: Tensor, n: Dim) -> bool:
        """Whether the integers x are known to lie in 0 .. n - 1."""
        return _in_range(x, n, DEPTH)


def _symbols(shape: tuple[Dim, ...]) -> set[Any]:
    """The sizes that are factors of the number of elements: where one is 0 there are none."""
    found: set[Any] = set()
    for d in shape:
        if isinstance(d, Size) and len(d.terms) == 1:
            found |= {atom for atom, _ in d.terms[0][0]}
    return found


def _value(x: Tensor) -> np.ndarray[Any, Any] | None:
    return x.attrs["value"] if x.op is leaves.constant else None


_POSITIVE = frozenset({e.exp, e.exp2, e.sigmoid, e.softplus, e.cosh, r.softmax})


def _positive(x: Tensor, depth: int) -> bool:
    value = _value(x)
    if value is not None:
        return bool((value > 0).all()) if value.dtype.kind in "iuf" else False
    if x.op in _POSITIVE:
        return True
    if depth == 0 or not x.inputs:
        return x.op is leaves.size
    if x.dtype.kind != "f" and x.op not in _WRAP_FREE:
        return False
    ins, deeper = x.inputs, depth - 1
    if x.op in _KEEPS or x.op in (r.sum_, r.prod, e.sqrt, e.reciprocal, e.square):
        return _positive(ins[0], deeper)
    if x.op in (e.multiply, e.divide):
        return _positive(ins[0], deeper) and _positive(ins[1], deeper)
    if x.op is e.add:
        return any(
            _positive(a, deeper) and (_positive(b, deeper) or _nonnegative(b, deeper))
            for a, b in (ins, ins[::-1])
        )
    if x.op is e.maximum:
        return _positive(ins[0], deeper) or _positive(ins[1], deeper)
    return x.op is e.where and _positive(ins[1], deeper) and _positive(ins[2], deeper)


#: Integers that are positions or sizes, and what cannot wrap.
_COUNTS = frozenset({e.relu, leaves.size, leaves.iota, r.argmax, r.argmin, index.nonzero})
_WRAP_FREE = _KEEPS | {e.minimum, e.maximum, e.where}


def _nonnegative(x: Tensor, depth: int) -> bool:
    value = _value(x)
    if value is not None:
        return bool((value >= 0).all())
    if x.dtype.kind in "bu" or ("nonnegative" in x.op.traits and x.dtype.kind == "f"):
        return True
    if x.op in _COUNTS:
        return True
    if depth == 0 or not x.inputs or (x.dtype.kind == "i" and x.op not in _WRAP_FREE):
        return False  # signed integers wrap: even a square may be negative
    ins, deeper = x.inputs, depth - 1
    if x.op in _KEEPS or x.op in (r.sum_, r.prod):
        return _nonnegative(ins[0], deeper)
    if x.op is e.astype:
        return _nonnegative(ins[0], deeper) and x.dtype.kind == "f"
    if x.op in (e.multiply, e.divide, e.add, e.minimum):
        return _nonnegative(ins[0], deeper) and _nonnegative(ins[1], deeper)
    if x.op is e.maximum:
        return _nonnegative(ins[0], deeper) or _nonnegative(ins[1], deeper)
    return x.op is e.where and _nonnegative(ins[1], deeper) and _nonnegative(ins[2], deeper)


def _finite(x: Tensor, depth: int) -> bool:
    if x.dtype.kind != "f":
        return True
    value = _value(x)
    if value is not None:
        return bool(np.isfinite(value).all())
    if depth == 0 or not x.inputs:
        return x.op is leaves.size
    ins, deeper = x.inputs, depth - 1
    if x.op is e.astype:
        return ins[0].dtype.kind != "f"
    if x.op in (
        s.reshape,
        s.permute_dims,
        s.expand_dims,
        s.squeeze,
        s.broadcast_to,
        s.slice_,
        index.gather,
    ):
        return _finite(ins[0], deeper)
    if x.op in (e.negative, e.abs_, e.sign, e.stop_gradient):
        return _finite(ins[0], deeper)
    if x.op in (e.where, e.minimum, e.maximum, s.concat):
        return all(_finite(i, deeper) for i in ins if i.dtype.kind == "f")
    return False


def _scale(x: Tensor, depth: int) -> Span | None:
    value = _value(x)
    if value is not None:
        if value.size != 1 or value.dtype.kind != "f" or not math.isfinite(value.item()):
            return None
        size = abs(float(value.item()))
        return size, size, frozenset()
    if x.op is leaves.size:
        return 1.0, 2.0**63, frozenset(symbols_of(x.attrs["dim"]))
    if depth == 0 or x.op not in (e.multiply, e.divide, e.negative):
        return None
    parts = [_scale(i, depth - 1) for i in x.inputs]
    if any(p is None for p in parts):
        return None
    known = [p for p in parts if p is not None]
    if x.op is e.negative:
        return known[0]
    (a, b, one), (c, d, two) = known
    if x.op is e.multiply:
        return a * c, b * d, one | two
    return (a / d, b / c, one | two) if c > 0 else None


# ---- one-hot rows --------------------------------------------------------------------------------


def one_hot_axes(x: Tensor) -> tuple[int, Tensor, Dim] | None:
    """For ``equal(index, iota)``: the axis that counts, the index (of size 1 there), how many
    classes.
    """
    if x.op is not e.equal or x.inputs[0].dtype.kind not in "iu":
        return None
    for index_, line in (x.inputs, x.inputs[::-1]):
        found = _line_axis(line, x.ndim)
        if found is None:
            continue
        axis, n = found
        at = axis - (x.ndim - index_.ndim)
        if (
            (at < 0 or _is_one(index_.shape[at]))
            and x.shape[axis] == n
            and _counts_to(line.dtype, n)
        ):
            return axis, index_, n
    return None


def _counts_to(dtype: np.dtype[Any], n: Dim) -> bool:
    """Whether 0 .. n - 1 are different numbers in ``dtype``."""
    return n <= np.iinfo(dtype).max + 1 if type(n) is int else dtype.itemsize >= 4


def _line_axis(x: Tensor, rank: int) -> tuple[int, Dim] | None:
    """Where 0, 1, ..., n - 1 runs, if x is an iota with axes of size 1 put behind (or before)
    it.
    """
    base = x.inputs[0] if x.op in (s.expand_dims, s.reshape) else x
    if base.op is not leaves.iota or x.size != base.size:
        return None
    places = [k for k, d in enumerate(x.shape) if not _is_one(d)]
    if len(places) != 1:
        return None
    return places[0] + rank - x.ndim, base.attrs["length"]


def _is_one(d: Dim) -> bool:
    return type(d) is int and d == 1


def _sums_to_one(x: Tensor, axes: tuple[int, ...]) -> bool:
    if x.op is r.softmax:
        return bool(x.attrs["axis"] == axes)
    if x.op is e.assume_normalised and x.attrs["axis"] == axes:
        return True
    if x.op in (e.stop_gradient, e.assume_normalised):
        return _sums_to_one(x.inputs[0], axes)
    value = _value(x)
    if value is not None:
        return value.dtype.kind == "f" and bool(
            (value.sum(axis=axes) == 1).all() and np.isfinite(value).all()
        )
    if x.op is e.astype and x.inputs[0].dtype.kind == "b":
        found = one_hot_axes(x.inputs[0])
        return found is not None and (found[0],) == axes and _in_range(found[1], found[2], DEPTH)
    return False


def _in_range(x: Tensor, n: Dim, depth: int) -> bool:
    value = _value(x)
    if value is not None:
        return type(n) is int and bool(((value >= 0) & (value < n)).all())
    if x.op is leaves.iota:
        return bool(x.attrs["length"] == n)
    if x.op in (r.argmax, r.argmin):
        return bool(x.inputs[0].shape[x.attrs["axis"][0]] == n)
    if depth and x.op in _KEEPS:
        return _in_range(x.inputs[0], n, depth - 1)
    return False
