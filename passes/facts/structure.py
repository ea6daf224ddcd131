"""Symmetric, diagonal and triangular values: where the last two axes hold zeros.

A *band* ``(low, high)`` says that an element other than zero has ``low <= row - column <= high``.
A mask has two bands: where it may hold, and where it may not hold. Zeros are exact, as computed;
two transposed elements are equal up to the rounding of a matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from symgraph.op import Op
from symgraph.ops import elementwise as e
from symgraph.ops import leaves
from symgraph.ops import reduction as r
from symgraph.ops import shape as s
from symgraph.ops.product import matmul
from symgraph.passes.facts.known import INF, Known
from symgraph.passes.facts.rows import line_axis
from symgraph.tensor import Tensor
from symgraph.types import TupleType

__all__ = ["Layout", "layout_of"]

Array = np.ndarray[Any, Any]
Band = tuple[float, float]

FULL: Band = (-INF, INF)
NONE: Band = (INF, -INF)
#: A literal with more elements is not looked at.
LARGEST = 4096


class Layout(NamedTuple):
    """Where a value may be other than zero, where a mask may be False, and symmetry."""

    band: Band = FULL
    gaps: Band = FULL
    symmetric: bool = False


PLAIN = Layout()
Asked = Callable[[Tensor], Known]


def _hull(a: Band, b: Band) -> Band:
    return min(a[0], b[0]), max(a[1], b[1])


def _meet(a: Band, b: Band) -> Band:
    low, high = max(a[0], b[0]), min(a[1], b[1])
    return (low, high) if low <= high else NONE


def layout_of(x: Tensor, ins: list[Layout], known: Asked) -> Layout:
    """The layout of x from those of its inputs."""
    if isinstance(x.type, TupleType):
        return PLAIN
    if x.op is leaves.constant:
        return _literal(x.attrs["value"])
    if not x.inputs or not any(i.ndim >= 2 or i.ndim == 0 for i in x.inputs):
        return _lines(x) if x.dtype.kind == "b" else PLAIN
    if x.op in _SHAPED:
        return _SHAPED[x.op](x, ins)
    if "elementwise" not in x.op.traits:
        return PLAIN
    if x.op in _COMPARED and x.ndim >= 2:
        return _compared(x, ins)
    band, gaps = _bands(x, ins, known)
    return Layout(band, gaps, _mirrored(x, ins))


def _lines(x: Tensor) -> Layout:
    return _compared(x, []) if x.op in _COMPARED and x.ndim >= 2 else PLAIN


def _literal(value: Array) -> Layout:
    if value.ndim < 2:
        zero = value.size <= LARGEST and not value.any()
        return Layout(NONE if zero else FULL, FULL, value.ndim == 0)
    if not 0 < value.size <= LARGEST:
        return PLAIN
    *_, rows, columns = np.nonzero(value)
    gap = rows - columns
    band = (float(gap.min()), float(gap.max())) if gap.size else NONE
    turned = np.swapaxes(value, -1, -2)
    return Layout(band, FULL, turned.shape == value.shape and bool((turned == value).all()))


# ---- masks ---------------------------------------------------------------------------------------


def _compared(x: Tensor, ins: list[Layout]) -> Layout:
    """A comparison of row numbers with column numbers."""
    left, right = (_numbered(i, x.ndim) for i in x.inputs)
    if left is None or right is None or {left[0], right[0]} != {x.ndim - 2, x.ndim - 1}:
        return Layout(FULL, FULL, _mirrored(x, ins) if ins else False)
    # row + p against column + q: a bound on row - column
    gap = right[1] - left[1]
    op = x.op
    if left[0] == x.ndim - 1:
        gap, op = -gap, _SWAPPED[op]
    band, gaps = _COMPARED[op](gap)
    square = x.shape[-1] == x.shape[-2]
    even = gap == 0 and op in (e.equal, e.not_equal)
    return Layout(band, gaps, even and square)


def _numbered(x: Tensor, rank: int) -> tuple[int, float] | None:
    """The axis along which x counts, and from where: an iota with a literal added."""
    offset = 0.0
    if x.op in (e.add, e.subtract):
        a, b = x.inputs
        if a.op is leaves.constant and x.op is e.add:
            a, b = b, a
        value = b.attrs["value"] if b.op is leaves.constant else None
        if value is None or value.size != 1 or a.shape != x.shape:
            return None
        offset, x = (1 if x.op is e.add else -1) * float(value.item()), a
    if x.dtype.itemsize < 4:
        return None
    found = line_axis(x, rank)
    return (found[0], offset) if found is not None else None


_COMPARED: dict[Op, Callable[[float], tuple[Band, Band]]] = {
    e.equal: lambda g: ((g, g), FULL),
    e.not_equal: lambda g: (FULL, (g, g)),
    e.less: lambda g: ((-INF, math.ceil(g) - 1), (math.ceil(g), INF)),
    e.less_equal: lambda g: ((-INF, math.floor(g)), (math.floor(g) + 1, INF)),
    e.greater: lambda g: ((math.floor(g) + 1, INF), (-INF, math.floor(g))),
    e.greater_equal: lambda g: ((math.ceil(g), INF), (-INF, math.ceil(g) - 1)),
}
_SWAPPED = {
    e.equal: e.equal, e.not_equal: e.not_equal, e.less: e.greater, e.greater: e.less,
    e.less_equal: e.greater_equal, e.greater_equal: e.less_equal,
}  # fmt: skip

# ---- element-wise --------------------------------------------------------------------------------


def _flat(x: Tensor, out: Tensor) -> bool:
    """Whether x is the same in every element of the last two axes of ``out``."""
    return x.ndim == 0 or all(type(d) is int and d == 1 for d in x.shape[-2:])


def _band(i: Tensor, layout: Layout, x: Tensor) -> Band:
    """The band of an operand as it is stretched to the result's axes."""
    kept = i.ndim >= 2 and i.shape[-2:] == x.shape[-2:]
    return layout.band if kept or layout.band == NONE else FULL


def _zero_at_zero(op: Op) -> bool:
    if op not in _KEEPING:
        with np.errstate(all="ignore"):
            try:
                value = op.evaluate(np.zeros(1, np.float64))
            except (TypeError, ValueError, AttributeError):
                value = np.ones(1)
        _KEEPING[op] = bool(np.all(np.asarray(value) == 0))
    return _KEEPING[op]


_KEEPING: dict[Op, bool] = {e.astype: True, e.assume_normalised: True, e.stop_gradient: True}


def _bands(x: Tensor, ins: list[Layout], known: Asked) -> tuple[Band, Band]:
    bands = [_band(i, layout, x) for i, layout in zip(x.inputs, ins, strict=True)]
    op = x.op
    if len(ins) == 1:
        if op is e.logical_not:
            return ins[0].gaps, bands[0]
        return (bands[0] if _zero_at_zero(op) else FULL), FULL
    if op is e.multiply:
        a, b = x.inputs
        first = bands[0] if known(b).finite else FULL
        second = bands[1] if known(a).finite else FULL
        return _meet(first, second), FULL
    if op is e.divide:
        safe = known(x.inputs[1])
        return (bands[0] if safe.nonzero and not safe.nan else FULL), FULL
    if op is e.where:
        chosen = ins[0] if x.inputs[0].shape[-2:] == x.shape[-2:] else PLAIN
        return _hull(_meet(chosen.band, bands[1]), _meet(chosen.gaps, bands[2])), FULL
    if op is e.logical_and:
        return _meet(*bands), _hull(ins[0].gaps, ins[1].gaps)
    if op is e.logical_or:
        return _hull(*bands), _meet(ins[0].gaps, ins[1].gaps) if _alike(x) else FULL
    if op in (e.add, e.subtract, e.maximum, e.minimum):
        return _hull(*bands), FULL
    return FULL, FULL


def _alike(x: Tensor) -> bool:
    return all(i.shape[-2:] == x.shape[-2:] for i in x.inputs)


def _mirrored(x: Tensor, ins: list[Layout]) -> bool:
    """Whether x equals its transpose: all operands do, or a commutative operation meets both."""
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        return x.ndim == 0
    parts = zip(x.inputs, ins, strict=True)
    if all(_flat(i, x) or (i.ndim >= 2 and k.symmetric) for i, k in parts):
        return True
    return "commutative" in x.op.traits and len(ins) == 2 and _transposed(*x.inputs)


def _transposed(a: Tensor, b: Tensor) -> bool:
    """Whether one is the other with the last two axes exchanged."""
    return _turned(a) is b or _turned(b) is a


def _turned(x: Tensor) -> Tensor | None:
    if x.op is not s.permute_dims or x.ndim < 2:
        return None
    swapped = (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2)
    return x.inputs[0] if x.attrs["axes"] == swapped else None


# ---- other operations ----------------------------------------------------------------------------


def _permuted(x: Tensor, ins: list[Layout]) -> Layout:
    axes, n = x.attrs["axes"], x.ndim
    if n < 2 or set(axes[-2:]) != {n - 1, n - 2}:
        return PLAIN
    (a,) = ins
    if axes[-1] == n - 1:
        return a
    return Layout((-a.band[1], -a.band[0]), (-a.gaps[1], -a.gaps[0]), a.symmetric)


def _kept(x: Tensor, ins: list[Layout]) -> Layout:
    """The last two axes stay as they are."""
    a = x.inputs[0]
    if a.ndim == 0:
        square = x.ndim >= 2 and x.shape[-1] == x.shape[-2]
        return Layout(ins[0].band, FULL, square)
    if a.ndim < 2 or x.ndim < 2 or a.shape[-2:] != x.shape[-2:]:
        return PLAIN
    if x.op is s.expand_dims and any(k >= x.ndim - 2 for k in x.attrs["axes"]):
        return PLAIN
    if x.op is s.squeeze and any(k >= a.ndim - 2 for k in x.attrs["axes"]):
        return PLAIN
    return ins[0]


def _summed(x: Tensor, ins: list[Layout]) -> Layout:
    a = x.inputs[0]
    if a.ndim < 2 or any(k >= a.ndim - 2 for k in x.attrs["axis"]):
        return PLAIN
    return ins[0]


def _product(x: Tensor, ins: list[Layout]) -> Layout:
    a, b = x.inputs
    return Layout(symmetric=_transposed(a, b))


_SHAPED: dict[Op, Callable[[Tensor, list[Layout]], Layout]] = {
    s.permute_dims: _permuted,
    s.expand_dims: _kept,
    s.squeeze: _kept,
    s.broadcast_to: _kept,
    r.sum_: _summed,
    matmul: _product,
}
