"""The mathematical value of operations on whole arrays: reductions, rows, products, running sums.

To add an operation: one line in ``ARRAYS``. Float arguments are object arrays of mpmath numbers;
attributes come by name with their sizes already numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

from symgraph.backends.precise.scalars import REAL
from symgraph.ops import OPS

__all__ = ["ARRAYS"]

Array = np.ndarray[Any, Any]
Row = list[Any]
_exp, _log, _log1p = REAL["exp"], REAL["log"], REAL["log1p"]


def _filled(shape: tuple[int, ...], items: list[Any]) -> Array:
    out = np.empty(shape, object)
    out.reshape(-1)[:] = items
    return out


def _rows(x: Array, axis: tuple[int, ...]) -> tuple[tuple[int, ...], list[Row]]:
    """The shape of the other axes, and the elements along ``axis`` for each of their places."""
    kept = [k for k in range(x.ndim) if k not in axis]
    shape = tuple(x.shape[k] for k in kept)
    count = int(np.prod(shape, dtype=int))
    width = int(np.prod([x.shape[k] for k in axis], dtype=int))
    flat = np.transpose(x, [*kept, *axis]).reshape(count, width)
    return shape, [list(row) for row in flat]


def _reduced(function: Callable[[Row], Any]) -> Callable[..., Array]:
    def value(x: Array, axis: tuple[int, ...]) -> Array:
        shape, rows = _rows(x, axis)
        return _filled(shape, [function(row) for row in rows])

    return value


def _along(function: Callable[[Row], Row]) -> Callable[..., Array]:
    """A function of rows that gives rows."""

    def value(x: Array, axis: tuple[int, ...]) -> Array:
        kept = [k for k in range(x.ndim) if k not in axis]
        shape, rows = _rows(x, axis)
        order = [*kept, *axis]
        laid = _filled(
            (*shape, *(x.shape[k] for k in axis)), [v for row in rows for v in function(row)]
        )
        return np.transpose(laid, np.argsort(order))

    return value


def _positions(function: Callable[[Row], int]) -> Callable[..., Array]:
    def value(x: Array, axis: tuple[int, ...]) -> Array:
        shape, rows = _rows(x, axis)
        return np.array([function(row) for row in rows], np.int64).reshape(shape)

    return value


def _sum(row: Row) -> Any:
    return functools.reduce(lambda a, b: a + b, row, mpmath.mpf(0))


def _prod(row: Row) -> Any:
    return functools.reduce(lambda a, b: a * b, row, mpmath.mpf(1))


def _max(row: Row) -> Any:
    return functools.reduce(REAL["maximum"], row, -mpmath.inf)


def _min(row: Row) -> Any:
    return functools.reduce(REAL["minimum"], row, mpmath.inf)


def _first(row: Row, wanted: Any) -> int:
    return next((k for k, v in enumerate(row) if v != v or v == wanted), 0)


def _shifted(row: Row) -> tuple[Any, Row, Any]:
    """The largest element if finite, else 0; the row less it; and the log of its sum of exp."""
    top = _max(row)
    shift = top if mpmath.isfinite(top) else mpmath.mpf(0)
    moved = [v - shift for v in row]
    if top != shift or not row:
        return shift, moved, _log(_sum([_exp(v) for v in moved]))
    k = _first(row, top)  # its exp is 1: the others are what matters where they are tiny
    return shift, moved, _log1p(_sum([_exp(v) for j, v in enumerate(moved) if j != k]))


def _logsumexp(row: Row) -> Any:
    shift, _, total = _shifted(row)
    return shift + total


def _log_softmax(row: Row) -> Row:
    _, moved, total = _shifted(row)
    return [v - total for v in moved]


def _softmax(row: Row) -> Row:
    parts = [_exp(v) for v in _shifted(row)[1]]
    total = _sum(parts)
    return [REAL["divide"](p, total) for p in parts]


def _matmul(a: Array, b: Array) -> Array:
    if a.shape[-1] == 0:
        shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
        return _filled(shape, [mpmath.mpf(0)] * int(np.prod(shape, dtype=int)))
    return np.asarray(np.matmul(a, b))


def _cumulative_sum(x: Array, axis: int, reverse: bool) -> Array:
    if reverse:
        return np.flip(np.cumsum(np.flip(x, axis), axis=axis), axis)
    return np.asarray(np.cumsum(x, axis=axis))


def _scatter_add(base: Array, updates: Array, *indices: Array, axes: tuple[int, ...]) -> Array:
    out = base.copy()
    rest = [k for k in range(base.ndim) if k not in axes]
    view = np.transpose(out, [*axes, *rest])
    at = [np.where(i < 0, i + base.shape[a], i) for i, a in zip(indices, axes, strict=True)]
    places = np.broadcast_arrays(*at) if at else []
    for where in np.ndindex(places[0].shape if places else ()):
        place = tuple(int(p[where]) for p in places)
        view[place] = view[place] + updates[where]
    return out


#: Operations on arrays by name; where any input or result is a float.
ARRAYS: dict[str, Callable[..., Any]] = {
    "sum": _reduced(_sum),
    "prod": _reduced(_prod),
    "max": _reduced(_max),
    "min": _reduced(_min),
    "argmax": _positions(lambda row: _first(row, _max(row))),
    "argmin": _positions(lambda row: _first(row, _min(row))),
    "max_and_argmax": lambda x, axis: (
        ARRAYS["max"](x, axis=axis),
        ARRAYS["argmax"](x, axis=axis),
    ),
    "item": lambda x, index: x[index],
    "norm": _reduced(lambda row: mpmath.sqrt(_sum([v * v for v in row]))),
    "logsumexp": _reduced(_logsumexp),
    "softmax": _along(_softmax),
    "log_softmax": _along(_log_softmax),
    "matmul": _matmul,
    "cumulative_sum": _cumulative_sum,
    "linear_recurrence": OPS["linear_recurrence"].evaluate,
    "scatter_add": _scatter_add,
    "where": lambda c, a, b: np.where(c, a, b),
}
