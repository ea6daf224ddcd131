"""Reductions and row functions. ``axis`` is an int, a tuple, or None for all axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symgraph.errors import ShapeError, UsageError
from symgraph.functions.axes import one_axis, some_axes
from symgraph.functions.creation import iota
from symgraph.functions.elementwise import (
    abs,
    astype,
    divide,
    maximum,
    not_equal,
    sqrt,
    square,
    subtract,
    where,
)
from symgraph.functions.shape import expand_dims, pad, reshape
from symgraph.functions.variables import as_tensor, cast, number, size_value
from symgraph.op import Op
from symgraph.ops import elementwise as elementwise_ops
from symgraph.ops import reduction as ops
from symgraph.sizes import product
from symgraph.tensor import Tensor, apply, describe
from symgraph.types import DTYPES, float_for

Reduction = Callable[..., Tensor]


def reduce_node(op: Op, x: Tensor, axes: tuple[int, ...], keepdims: bool = False) -> Tensor:
    """``op`` over ``axes``; ``keepdims`` puts axes of size 1 back."""
    out = apply(op, (x,), (("axis", axes),)) if axes or op.name not in _KEEPS else x
    return expand_dims(out, axes) if keepdims and axes else out


_KEEPS = {"sum", "prod", "max", "min", "any", "all"}


def _wide(x: Tensor, dtype: Any) -> Tensor:
    """Sums of bool and small integers are taken in 64 bits, as NumPy does."""
    if dtype is not None:
        return astype(x, dtype)
    if x.dtype.kind in "bi":
        return cast(x, DTYPES["int64"])
    return cast(x, DTYPES["uint64"]) if x.dtype.kind == "u" else x


def sum(x: Any, /, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """The sum over ``axis``; bool and integers are summed in 64 bits."""
    t = _wide(as_tensor(x, "sum"), dtype)
    return reduce_node(ops.sum_, t, some_axes("sum", axis, t.ndim, t), keepdims)


def prod(x: Any, /, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """The product over ``axis``; bool and integers are multiplied in 64 bits."""
    t = _wide(as_tensor(x, "prod"), dtype)
    return reduce_node(ops.prod, t, some_axes("prod", axis, t.ndim, t), keepdims)


def _floating(x: Any, what: str) -> Tensor:
    t = as_tensor(x, what)
    return cast(t, float_for(t.dtype))


def mean(x: Any, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The arithmetic mean over ``axis``; NaN over an empty axis."""
    t = _floating(x, "mean")
    axes = some_axes("mean", axis, t.ndim, t)
    total = reduce_node(ops.sum_, t, axes, keepdims)
    return divide(total, size_value(product(t.shape[a] for a in axes), t.dtype))


def var(x: Any, /, axis: Any = None, keepdims: bool = False, correction: float = 0) -> Tensor:
    """The variance over ``axis``: mean squared deviation, dividing by count - ``correction``.

    Infinite or NaN where the correction takes all of the count, as in NumPy.
    """
    deviation, axes, count = _deviation("var", x, axis, correction)
    return divide(reduce_node(ops.sum_, square(deviation), axes, keepdims), count)


def _deviation(
    what: str, x: Any, axis: Any, correction: float
) -> tuple[Tensor, tuple[int, ...], Tensor]:
    """What is left without the mean, the axes, and the count less the correction."""
    t = _floating(x, what)
    axes = some_axes(what, axis, t.ndim, t)
    count = size_value(product(t.shape[a] for a in axes), t.dtype)
    deviation = subtract(t, mean(t, axis=axes, keepdims=True))
    return deviation, axes, maximum(count - correction, 0) if correction else count


def std(x: Any, /, axis: Any = None, keepdims: bool = False, correction: float = 0) -> Tensor:
    """The standard deviation over ``axis``; its derivative where all elements are equal is 0."""
    deviation, axes, count = _deviation("std", x, axis, correction)
    return divide(norm(deviation, axis=axes, keepdims=keepdims), sqrt(count))


def _check_nonempty(what: str, t: Tensor, axes: tuple[int, ...]) -> None:
    for a in axes:
        if isinstance(t.shape[a], int) and t.shape[a] == 0:
            raise ShapeError(
                f"{what} of {describe(t)}: axis {a} is empty, and the {what} of nothing does not "
                "exist; "
                "join a least element with sg.concat first"
            )


def max(x: Any, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The largest element over ``axis``; NaN if any is NaN. Ties share the gradient equally."""
    t = as_tensor(x, "max")
    axes = some_axes("max", axis, t.ndim, t)
    _check_nonempty("max", t, axes)
    return reduce_node(ops.max_, t, axes, keepdims)


def min(x: Any, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The smallest element over ``axis``; NaN if any is NaN. Ties share the gradient equally."""
    t = as_tensor(x, "min")
    axes = some_axes("min", axis, t.ndim, t)
    _check_nonempty("min", t, axes)
    return reduce_node(ops.min_, t, axes, keepdims)


def _positions(op: Op, x: Any, axis: Any, keepdims: bool) -> Tensor:
    t = as_tensor(x, op.name)
    if axis is None:
        out = apply(op, (reshape(t, (-1,)),), (("axis", (0,)),))
        return expand_dims(out, tuple(range(t.ndim))) if keepdims and t.ndim else out
    k = one_axis(op.name, axis, t.ndim, t)
    _check_nonempty(op.name, t, (k,))
    return reduce_node(op, t, (k,), keepdims)


def argmax(x: Any, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The int64 position of the first maximum (or NaN) along one axis or the flattened array."""
    return _positions(ops.argmax, x, axis, keepdims)


def argmin(x: Any, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The int64 position of the first minimum (or NaN) along one axis or the flattened array."""
    return _positions(ops.argmin, x, axis, keepdims)


def max_and_argmax(x: Any, /, axis: int) -> tuple[Tensor, Tensor]:
    """The maximum along one axis and its first position, in one pass."""
    t = as_tensor(x, "max_and_argmax")
    k = one_axis("max_and_argmax", axis, t.ndim, t)
    both = apply(ops.max_and_argmax, (t,), (("axis", (k,)),))
    return item(both, 0), item(both, 1)


def item(x: Tensor, index: int) -> Tensor:
    """One result of an op with several."""
    return apply(ops.item, (x,), (("index", index),))


def _truth(x: Any, what: str) -> Tensor:
    t = as_tensor(x, what)
    return t if t.dtype.kind == "b" else not_equal(t, number(0, t.dtype))


def any(x: Any, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether any element over ``axis`` is nonzero."""
    t = _truth(x, "any")
    return reduce_node(ops.any_, t, some_axes("any", axis, t.ndim, t), keepdims)


def all(x: Any, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether all elements over ``axis`` are nonzero."""
    t = _truth(x, "all")
    return reduce_node(ops.all_, t, some_axes("all", axis, t.ndim, t), keepdims)


def count_nonzero(x: Any, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """How many elements over ``axis`` are nonzero (int64)."""
    return sum(_truth(x, "count_nonzero"), axis=axis, keepdims=keepdims)


def logsumexp(x: Any, /, axis: Any = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) over ``axis`` without overflow; infinities give their limits."""
    t = _floating(x, "logsumexp")
    axes = some_axes("logsumexp", axis, t.ndim, t)
    return reduce_node(ops.logsumexp, t, axes, keepdims) if axes else t


def _rowwise(op: Op, x: Any, axis: Any) -> Tensor:
    t = _floating(x, op.name)
    if t.ndim == 0:
        raise ShapeError(
            f"{op.name}: {describe(t)} is a scalar and has no axis to normalise over; use "
            "sg.sigmoid"
        )
    axes = some_axes(op.name, axis, t.ndim, t)
    if not axes:
        raise UsageError(
            f"{op.name} of {describe(t)}: axis=() names no axis; name one, or None for all"
        )
    return apply(op, (t,), (("axis", axes),))


def softmax(x: Any, /, axis: Any = -1) -> Tensor:
    """exp(x) / sum(exp(x)) over ``axis``, shifted by the maximum (eq. 4.1, 6.29)."""
    return _rowwise(ops.softmax, x, axis)


def log_softmax(x: Any, /, axis: Any = -1) -> Tensor:
    """log(softmax(x)), finite for finite x (eq. 6.30)."""
    return _rowwise(ops.log_softmax, x, axis)


def assume_normalised(x: Any, /, axis: Any = -1) -> Tensor:
    """x, declared to sum to one along ``axis`` (probabilities). Not checked.

    Rewrites may rely on it: the gradient of softmax with cross-entropy becomes q - p instead of
    q * sum(p) - p. Derivatives pass through unchanged.
    """
    t = _floating(x, "assume_normalised")
    axes = some_axes("assume_normalised", axis, t.ndim, t)
    return apply(elementwise_ops.assume_normalised, (t,), (("axis", axes),))


def norm(x: Any, /, axis: Any = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """The vector norm over ``axis`` for ord 1, 2 or inf; its derivative at 0 is 0.

    Squares neither overflow nor underflow on the way to the 2-norm.
    """
    t = _floating(x, "norm")
    if ord == 1:
        return sum(abs(t), axis=axis, keepdims=keepdims)
    if ord == float("inf"):
        return max(abs(t), axis=axis, keepdims=keepdims)
    if ord != 2:
        raise UsageError(
            f"norm: ord={ord!r} is not one of 1, 2, inf; write sg.sum(abs(x) ** p) ** (1 / p)"
        )
    axes = some_axes("norm", axis, t.ndim, t)
    return reduce_node(ops.norm, t, axes, keepdims) if axes else abs(t)


# ---- running sums --------------------------------------------------------------------------------


def _flat_axis(what: str, x: Any, axis: Any) -> tuple[Tensor, int]:
    t = _wide(as_tensor(x, what), None)
    if axis is None:
        if t.ndim != 1:
            raise UsageError(
                f"{what} of {describe(t)}: it has {t.ndim} axes; say along which with axis="
            )
        return t, 0
    return t, one_axis(what, axis, t.ndim, t)


def cumulative_sum(
    x: Any, /, axis: Any = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """Running sums along ``axis`` (optional for vectors)."""
    t, k = _flat_axis("cumulative_sum", x if dtype is None else astype(x, dtype), axis)
    out = apply(ops.cumulative_sum, (t,), (("axis", k), ("reverse", False)))
    return _with_initial(out, k, 0) if include_initial else out


def cumulative_prod(
    x: Any, /, axis: Any = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """Running products along ``axis`` (optional for vectors); derivatives hold at zeros too."""
    t, k = _flat_axis("cumulative_prod", x if dtype is None else astype(x, dtype), axis)
    out = running_product(t, k, False)
    return _with_initial(out, k, 1) if include_initial else out


def running_product(t: Tensor, axis: int, reverse: bool) -> Tensor:
    """s[i] = x[i] * s[i-1] as a linear recurrence that starts with x itself."""
    n = t.shape[axis]
    at = reshape(iota(n), (n,) + (1,) * (t.ndim - axis - 1))
    first = at == (size_value(n - 1, DTYPES["int64"]) if reverse else 0)
    start = where(first, t, number(0, t.dtype))
    return apply(ops.linear_recurrence, (t, start), (("axis", axis), ("reverse", reverse)))


def _with_initial(x: Tensor, axis: int, value: int) -> Tensor:
    width = [(0, 0)] * x.ndim
    width[axis] = (1, 0)
    return pad(x, width, constant_values=value)
