"""Arrays from nothing: zeros, ones, ranges, identity. Sizes may be symbolic."""

from __future__ import annotations

import math
from typing import Any

from symgraph.errors import UsageError
from symgraph.functions.elementwise import (
    astype,
    equal,
    greater_equal,
    less_equal,
    logical_and,
    where,
)
from symgraph.functions.elementwise import maximum as maximum_of
from symgraph.functions.shape import as_dims, broadcast_to, expand_dims
from symgraph.functions.variables import as_tensor, cast, constant, number, size_value
from symgraph.ops import leaves as ops
from symgraph.ops.index import gather as gather_op
from symgraph.sizes import Dim, Size, maximum, minimum
from symgraph.tensor import Tensor, apply, describe
from symgraph.types import DTYPES, DType, as_dtype


def iota(length: Dim, dtype: DType = DTYPES["int64"]) -> Tensor:
    """0, 1, ..., length - 1."""
    return apply(ops.iota, (), (("length", length), ("dtype", dtype)))


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """An array of ``shape`` holding one value (a number or a scalar tensor)."""
    value = as_tensor(fill_value, "full")
    value = cast(value, as_dtype(dtype) if dtype is not None else value.dtype)
    return broadcast_to(value, as_dims("full", shape))


def zeros(shape: Any, dtype: Any = "float64") -> Tensor:
    """An array of zeros."""
    return full(shape, 0, dtype)


def ones(shape: Any, dtype: Any = "float64") -> Tensor:
    """An array of ones."""
    return full(shape, 1, dtype)


def full_like(x: Any, /, fill_value: Any, dtype: Any = None) -> Tensor:
    """An array of x's shape (and dtype, unless given) holding one value."""
    t = as_tensor(x, "full_like")
    return full(t.shape, fill_value, dtype if dtype is not None else t.dtype)


def zeros_like(x: Any, /, dtype: Any = None) -> Tensor:
    """Zeros of x's shape and dtype."""
    return full_like(x, 0, dtype)


def ones_like(x: Any, /, dtype: Any = None) -> Tensor:
    """Ones of x's shape and dtype."""
    return full_like(x, 1, dtype)


def eye(n_rows: Any, n_cols: Any = None, /, k: int = 0, dtype: Any = "float64") -> Tensor:
    """Ones on the k-th diagonal, zeros elsewhere."""
    (n,) = as_dims("eye", n_rows)
    (m,) = as_dims("eye", n_rows if n_cols is None else n_cols)
    rows = expand_dims(iota(n), 1)
    return astype(equal(rows + k if k else rows, iota(m)), dtype)


def arange(start: Any, /, stop: Any = None, step: Any = 1, dtype: Any = None) -> Tensor:
    """start, start + step, ... before stop. Bounds are Python numbers or sizes; int64 for integers.

    Raises:
        UsageError: a step of 0, or a symbolic tensor as bound (its length could not be known).
    """
    if stop is None:
        start, stop = 0, start
    bounds = [_bound(b) for b in (start, stop, step)]
    start, stop, step = bounds
    if step == 0:
        raise UsageError("arange: the step is 0, so the end is never reached; use another step")
    if any(isinstance(b, float) for b in bounds):
        length: Dim = max(0, math.ceil((stop - start) / step))
        kind = as_dtype("float64" if dtype is None else dtype)
        return cast(start + iota(length, DTYPES["float64"]) * step, kind)
    sign = 1 if step > 0 else -1
    length = maximum((stop - start + step - sign) // step, 0)
    out = iota(length)
    if step != 1:
        out = out * step
    if not (isinstance(start, int) and start == 0):
        out = out + size_value(start, DTYPES["int64"])
    return out if dtype is None else cast(out, as_dtype(dtype))


def _bound(b: Any) -> Any:
    if isinstance(b, Tensor) and "dim" in b.attrs:
        return b.attrs["dim"]
    if isinstance(b, (int, float, Size)) and not isinstance(b, bool):
        return b
    try:
        return b.item()
    except AttributeError:
        raise UsageError(
            f"arange: {b!r} is not a number or a size; its value, and so the length, would only be "
            "known when "
            "called"
        ) from None


def linspace(
    start: Any, stop: Any, /, num: Any = 50, dtype: Any = None, endpoint: bool = True
) -> Tensor:
    """``num`` evenly spaced values from start to stop (included unless ``endpoint=False``).

    ``num`` is an int or a size.
    """
    symbolic = isinstance(num, Size) or (isinstance(num, Tensor) and "dim" in num.attrs)
    if not symbolic and (not isinstance(num, int) or num < 0):
        raise UsageError(
            f"linspace: num={num!r} is not a nonnegative int or a size; write the number of points"
        )
    kind = as_dtype("float64" if dtype is None else dtype)
    (num,) = as_dims("linspace", num)
    steps = num - 1 if endpoint else num
    if symbolic:
        return cast(_symbolic_line(start, stop, num, steps, endpoint), kind)
    at = iota(num, DTYPES["float64"])
    first, last = as_tensor(start, "linspace"), as_tensor(stop, "linspace")
    first, last = cast(first, DTYPES["float64"]), cast(last, DTYPES["float64"])
    if steps <= 0:
        return cast(broadcast_to(first, (num,)), kind)
    line = at * ((last - first) / float(steps)) + first
    if endpoint:  # the end is hit exactly
        line = where(equal(at, float(steps)), last, line)
    return cast(line, kind)


def _symbolic_line(start: Any, stop: Any, num: Dim, steps: Dim, endpoint: bool) -> Tensor:
    """``linspace`` of a number of points known when called; a single point is the start."""
    double = DTYPES["float64"]
    at = iota(num, double)
    first, last = (cast(as_tensor(v, "linspace"), double) for v in (start, stop))
    count = size_value(steps, double)
    line = at * ((last - first) / maximum_of(count, 1.0)) + first
    if endpoint:
        line = where(logical_and(equal(at, count), greater_equal(at, 1.0)), last, line)
    return line


def tril(x: Any, /, k: int = 0) -> Tensor:
    """The lower triangle of the last two axes; zeros above diagonal ``k``."""
    return _triangle("tril", x, k, lower=True)


def triu(x: Any, /, k: int = 0) -> Tensor:
    """The upper triangle of the last two axes; zeros below diagonal ``k``."""
    return _triangle("triu", x, k, lower=False)


def _triangle(what: str, x: Any, k: int, lower: bool) -> Tensor:
    t = as_tensor(x, what)
    if t.ndim < 2:
        raise UsageError(
            f"{what}: {describe(t)} has {t.ndim} axes, needs at least 2; use sg.diag for vectors"
        )
    rows = expand_dims(iota(t.shape[-2]), 1) + k
    columns = iota(t.shape[-1])
    keep = greater_equal(rows, columns) if lower else less_equal(rows, columns)
    return where(keep, t, number(0, t.dtype))


def diag(x: Any, /) -> Tensor:
    """A vector on the diagonal of a square matrix, or the diagonal of a matrix."""
    t = as_tensor(x, "diag")
    if t.ndim == 1:
        n = t.shape[0]
        return where(equal(expand_dims(iota(n), 1), iota(n)), t, number(0, t.dtype))
    if t.ndim != 2:
        raise UsageError(f"diag: {describe(t)} has {t.ndim} axes; a vector or a matrix is needed")
    along = iota(minimum(t.shape[0], t.shape[1]))
    return apply(gather_op, (t, along, along), (("axes", (0, 1)),))


def one_hot(indices: Any, /, num_classes: Any, dtype: Any = "float64", axis: int = -1) -> Tensor:
    """A new axis of ``num_classes`` entries: 1 at the index, 0 elsewhere.

    Indices count as in ``x[indices]``: from the end where negative, and one out of range raises
    IndexRangeError when called. Every row therefore sums to one.
    """
    t = as_tensor(indices, "one_hot")
    if t.dtype.kind not in "iu":
        raise UsageError(
            f"one_hot: {describe(t)} is {t.dtype.name}; integers are needed, cast with "
            "astype('int64')"
        )
    (n,) = as_dims("one_hot", num_classes)
    place = axis % (t.ndim + 1)
    classes = iota(n)
    line = expand_dims(classes, tuple(range(1, t.ndim + 1 - place))) if t.ndim > place else classes
    found = apply(gather_op, (classes, cast(t, DTYPES["int64"])), (("axes", (0,)),))
    return astype(equal(expand_dims(found, place), line), dtype)


__all__ = [
    "arange", "constant", "diag", "eye", "full", "full_like", "iota", "linspace", "one_hot", "ones",
    "ones_like", "tril", "triu", "zeros", "zeros_like",
]  # fmt: skip
