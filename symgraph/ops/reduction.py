"""Reductions, row-wise functions, running sums. ``axis`` is a sorted tuple, dropped in results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.errors import DTypeError, GraphError, ShapeError
from symgraph.op import Attrs, Equations, Op
from symgraph.ops.ranges import SQUARES
from symgraph.ops.registry import declare
from symgraph.sizes import maximum
from symgraph.types import DTYPES, TensorType, TupleType, broadcast_shapes, equate

Array = np.ndarray[Any, Any]


def reduced(name: str, kinds: str, result: str = "same", some: bool = False) -> Callable[..., Any]:
    """The inference of an op that removes the axes in its attribute ``axis``.

    With ``some`` these must hold something: a size is checked when the function is called.
    """

    def infer(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
        (x,) = types
        if x.dtype.kind not in kinds:
            raise DTypeError(f"{name} is not defined for {x.dtype.name}; cast with astype first")
        axis = attrs["axis"]
        if any(not 0 <= a < x.ndim for a in axis) or list(axis) != sorted(set(axis)):
            raise GraphError(f"{name}: axis {axis} is not a sorted tuple of axes of rank {x.ndim}")
        for a in axis if some else ():
            if equate(maximum(x.shape[a], 1), x.shape[a], equations) is None:
                raise ShapeError(f"{name}: {nothing(name, a)}")
        shape = tuple(d for k, d in enumerate(x.shape) if k not in axis)
        return TensorType(x.dtype if result == "same" else DTYPES[result], shape)

    return infer


def nothing(name: str, axis: int) -> str:
    """Why a reduction without an identity fails."""
    return (
        f"axis {axis} is empty, and the {name} of nothing does not exist; join a least element "
        "with sg.concat first"
    )


def reduction(
    name: str,
    evaluate: Callable[..., Any],
    kinds: str,
    traits: str,
    result: str = "same",
    some: bool = False,
) -> Op:
    """Declare an op that removes the axes in its attribute ``axis``."""
    infer = reduced(name, kinds, result, some)
    return declare(name, infer, evaluate, "reduction " + traits)


def _in_order(reduce: Any) -> Callable[..., Any]:
    """NumPy's reduction whatever the strides are: NumPy adds up in the order of memory."""
    return lambda x, axis: reduce(np.asarray(x, order="C"), axis=axis, dtype=x.dtype)


sum_ = reduction("sum", _in_order(np.sum), "iuf", "linear")
prod = reduction("prod", _in_order(np.prod), "iuf", "")


def lowest(dtype: Any) -> Any:
    """What max of nothing is: the identity of maximum."""
    return -np.inf if dtype.kind == "f" else False if dtype.kind == "b" else np.iinfo(dtype).min


def highest(dtype: Any) -> Any:
    """What min of nothing is: the identity of minimum."""
    return np.inf if dtype.kind == "f" else True if dtype.kind == "b" else np.iinfo(dtype).max


def _plain(pick: Any, worst: Callable[[Any], Any]) -> Callable[..., Any]:
    def evaluate(x: Array, axis: tuple[int, ...]) -> Array:
        out = np.asarray(pick(x, axis=axis, initial=worst(x.dtype)))
        if x.dtype.kind == "f":  # signed zeros: the sign decides among equal zeros
            wanted = pick is np.max
            zero = (x == 0) & (np.signbit(x) != wanted)
            found = np.any(zero, axis=axis)
            sign = x.dtype.type(1.0 if wanted else -1.0)
            out = np.where((out == 0) & found, np.copysign(x.dtype.type(0), sign), out)
        return np.asarray(out, x.dtype)

    return evaluate


max_ = reduction("max", _plain(np.max, lowest), "biuf", "exact", some=True)
min_ = reduction("min", _plain(np.min, highest), "biuf", "exact", some=True)
any_ = reduction("any", lambda x, axis: np.any(x, axis=axis), "b", "exact", "bool")
all_ = reduction("all", lambda x, axis: np.all(x, axis=axis), "b", "exact", "bool")


def _first(pick: Any) -> Callable[..., Any]:
    def evaluate(x: Array, axis: tuple[int, ...]) -> Array:
        if x.shape[axis[0]] == 0:
            return np.zeros(np.delete(x.shape, axis[0]), np.int64)
        return np.asarray(pick(x, axis=axis[0]), np.int64)

    return evaluate


#: The position of the first maximum (or NaN) along one axis.
argmax = reduction("argmax", _first(np.argmax), "biuf", "exact discrete", "int64", True)
argmin = reduction("argmin", _first(np.argmin), "biuf", "exact discrete", "int64", True)


def _infer_max_and_argmax(
    types: tuple[TensorType, ...], attrs: Attrs, equations: Equations
) -> TupleType:
    value = max_.infer(types, attrs, equations)
    assert isinstance(value, TensorType)
    return TupleType((value, TensorType(DTYPES["int64"], value.shape)))


max_and_argmax = declare(
    "max_and_argmax",
    _infer_max_and_argmax,
    lambda x, axis: (max_.evaluate(x, axis=axis), argmax.evaluate(x, axis=axis)),
    "exact",
)


def _infer_item(types: tuple[Any, ...], attrs: Attrs, equations: Equations) -> TensorType:
    out = types[0].items[attrs["index"]]
    assert isinstance(out, TensorType)
    return out


#: One result of an op with several.
item = declare("item", _infer_item, lambda x, index: x[index], "exact")

# ---- lengths -------------------------------------------------------------------------------------


def _norm(x: Array, axis: tuple[int, ...]) -> Array:
    """The root of the sum of squares, scaled by a power of two where squares leave the range."""
    safe, kind = SQUARES[x.dtype.itemsize], x.dtype.type
    total = np.sum(np.square(x), axis=axis, dtype=x.dtype)
    low, high = total < kind(safe.lowest), total > kind(safe.highest)
    scale = np.where(low, kind(safe.up), np.where(high, kind(safe.down), kind(1)))
    again = np.sum(np.square(x * np.expand_dims(scale, axis)), axis=axis, dtype=x.dtype)
    return np.asarray(np.sqrt(again) / scale, x.dtype)


#: The length of vectors, without overflow or underflow on the way.
norm = reduction("norm", _norm, "f", "nonnegative")

# ---- stable row functions ------------------------------------------------------------------------


def _shift(x: Array, axis: tuple[int, ...]) -> Array:
    """The maximum, made finite: beside an infinite entry finite ones still count for nothing."""
    most = np.finfo(x.dtype).max
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    return np.asarray(np.clip(top, -most, most))


def _log_total(moved: Array, axis: tuple[int, ...]) -> Array:
    """log of the sum of exp; the terms that are 1 are counted, so that tiny ones still show."""
    top = moved == 0
    rest = np.sum(np.where(top, 0, np.exp(moved)), axis=axis, dtype=moved.dtype, keepdims=True)
    return np.asarray(np.log1p(np.sum(top, axis=axis, dtype=moved.dtype, keepdims=True) - 1 + rest))


def _logsumexp(x: Array, axis: tuple[int, ...]) -> Array:
    m = _shift(x, axis)
    total = _log_total(x - m, axis) + m
    return np.asarray(np.squeeze(total, axis), x.dtype)


def _softmax(x: Array, axis: tuple[int, ...]) -> Array:
    e = np.exp(x - _shift(x, axis))
    return np.asarray(e / np.sum(e, axis=axis, keepdims=True), x.dtype)


def _log_softmax(x: Array, axis: tuple[int, ...]) -> Array:
    s = x - _shift(x, axis)
    return np.asarray(s - _log_total(s, axis), x.dtype)


def _infer_rowwise(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    if types[0].dtype.kind != "f":
        raise DTypeError(
            f"softmax is not defined for {types[0].dtype.name}; cast with astype first"
        )
    return TensorType(types[0].dtype, types[0].shape)


#: log sum exp, shifted by the maximum, made finite.
logsumexp = reduction("logsumexp", _logsumexp, "f", "rowwise")
softmax = declare("softmax", _infer_rowwise, _softmax, "rowwise nonnegative unit")
log_softmax = declare("log_softmax", _infer_rowwise, _log_softmax, "rowwise")

# ---- running sums --------------------------------------------------------------------------------


def _infer_cumulative(
    types: tuple[TensorType, ...], attrs: Attrs, equations: Equations
) -> TensorType:
    return TensorType(types[0].dtype, types[0].shape)


def _cumulative_sum(x: Array, axis: int, reverse: bool) -> Array:
    if reverse:
        return np.flip(np.cumsum(np.flip(x, axis), axis=axis, dtype=x.dtype), axis)
    return np.cumsum(x, axis=axis, dtype=x.dtype)


cumulative_sum = declare("cumulative_sum", _infer_cumulative, _cumulative_sum, "linear scan")


def _infer_recurrence(
    types: tuple[TensorType, ...], attrs: Attrs, equations: Equations
) -> TensorType:
    shape = broadcast_shapes("linear_recurrence", [t.shape for t in types], equations)
    if types[0].shape != types[1].shape and len(types[0].shape) != len(types[1].shape):
        raise GraphError("linear_recurrence: operands need one shape")
    return TensorType(types[0].dtype, shape)


def _linear_recurrence(a: Array, b: Array, axis: int, reverse: bool) -> Array:
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    out = np.empty(b.shape, b.dtype)
    steps = range(len(b) - 1, -1, -1) if reverse else range(len(b))
    before: Array | None = None
    for t in steps:
        out[t] = b[t] if before is None else a[t] * before + b[t]
        before = out[t]
    return np.moveaxis(out, 0, axis)


#: s[t] = a[t] * s[t-1] + b[t] along one axis, s[first] = b[first]
linear_recurrence = declare("linear_recurrence", _infer_recurrence, _linear_recurrence, "scan")
