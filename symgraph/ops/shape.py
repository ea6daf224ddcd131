"""Operations that move elements: reshape, transpose, broadcast, slice and its transpose, concat."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import DTypeError, ShapeError
from symgraph.op import Attrs, Equations
from symgraph.ops.registry import declare
from symgraph.sizes import Dim, atoms_of, maximum, product
from symgraph.types import TensorType, equate, shape_text

Array = np.ndarray[Any, Any]


def _infer_reshape(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    x, shape = types[0], attrs["shape"]
    if equate(product(x.shape), product(shape), equations) is None:
        raise ShapeError(
            f"reshape: {shape_text(x.shape)} has {product(x.shape)} elements, "
            f"{shape_text(shape)} has {product(shape)}"
        )
    for atom in (a for d in shape for a in atoms_of(d)):
        if atom.kind == "floordiv":  # a size written as -1 beside an empty axis is not determined
            equate(maximum(atom.args[1], 1), atom.args[1], equations)
    return TensorType(x.dtype, shape, x.weak)


reshape = declare(
    "reshape", _infer_reshape, lambda x, shape: np.reshape(x, shape), "exact linear moves"
)


def _infer_permute(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    x, axes = types[0], attrs["axes"]
    if sorted(axes) != list(range(x.ndim)):
        raise ShapeError(f"permute_dims: axes={axes} is not a permutation of the {x.ndim} axes")
    return TensorType(x.dtype, tuple(x.shape[a] for a in axes))


permute_dims = declare(
    "permute_dims", _infer_permute, lambda x, axes: np.transpose(x, axes), "exact linear moves view"
)


def _infer_expand(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    x, axes = types[0], attrs["axes"]
    dims = iter(x.shape)
    shape = tuple(1 if k in axes else next(dims) for k in range(x.ndim + len(axes)))
    return TensorType(x.dtype, shape)


expand_dims = declare(
    "expand_dims", _infer_expand, lambda x, axes: np.expand_dims(x, axes), "exact linear moves view"
)


def _infer_squeeze(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    x, axes = types[0], attrs["axes"]
    for a in axes:
        if equate(x.shape[a], 1, equations) is None:
            raise ShapeError(
                f"squeeze: axis {a} of {shape_text(x.shape)} has size {x.shape[a]}, not 1"
            )
    return TensorType(x.dtype, tuple(d for k, d in enumerate(x.shape) if k not in axes))


squeeze = declare(
    "squeeze", _infer_squeeze, lambda x, axes: np.squeeze(x, axes), "exact linear moves view"
)


def _infer_broadcast(
    types: tuple[TensorType, ...], attrs: Attrs, equations: Equations
) -> TensorType:
    x, shape = types[0], attrs["shape"]
    if len(shape) < x.ndim:
        raise ShapeError(
            f"broadcast_to: {shape_text(x.shape)} has more axes than {shape_text(shape)}"
        )
    for have, want in zip(x.shape[::-1], shape[::-1], strict=False):
        if not (type(have) is int and have == 1) and equate(have, want, equations) is None:
            raise ShapeError(
                f"broadcast_to: {shape_text(x.shape)} does not stretch to {shape_text(shape)} "
                f"({have} against {want})"
            )
    return TensorType(x.dtype, shape)


broadcast_to = declare(
    "broadcast_to",
    _infer_broadcast,
    lambda x, shape: np.broadcast_to(x, shape),
    "exact linear moves view",
)


def _infer_slice(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    x = types[0]
    if not len(attrs["starts"]) == len(attrs["steps"]) == len(attrs["lengths"]) == x.ndim:
        raise ShapeError(f"slice: needs one start, step and length for each of {x.ndim} axes")
    _check_starts(x.shape, attrs, equations)
    return TensorType(x.dtype, attrs["lengths"])


def _check_starts(shape: tuple[Dim, ...], attrs: Attrs, equations: Equations) -> None:
    """On ``checked`` axes the first element must exist: 0 <= start < n, as max(n, ...) == n."""
    for axis in attrs.get("checked", ()):
        n, start = shape[axis], attrs["starts"][axis]
        for reached in (start + 1, n - start):
            if maximum(n, reached) != n:
                equations.append((maximum(n, reached), n))


def _positions(starts: Any, steps: Any, lengths: Any) -> tuple[slice, ...]:
    out = []
    for start, step, length in zip(starts, steps, lengths, strict=True):
        stop = start + step * length
        out.append(slice(start, None if stop < 0 else stop, step) if length else slice(0, 0))
    return tuple(out)


#: Elements start, start + step, ... of each axis; starts are nonnegative, steps may be negative.
slice_ = declare(
    "slice",
    _infer_slice,
    lambda x, starts, steps, lengths, checked=(): x[_positions(starts, steps, lengths)],
    "exact linear moves view",
)


def _infer_place(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    x, fill = types
    if x.dtype != fill.dtype:
        raise DTypeError(f"place: the fill is {fill.dtype.name}, the array {x.dtype.name}")
    if fill.ndim != 0:
        raise ShapeError(f"place: the fill has shape {shape_text(fill.shape)}, not ()")
    _check_starts(attrs["shape"], attrs, equations)
    return TensorType(x.dtype, attrs["shape"])


def _place(x: Array, fill: Array, starts: Any, steps: Any, shape: Any, checked: Any = ()) -> Array:
    out = np.full(shape, fill, x.dtype)
    out[_positions(starts, steps, x.shape)] = x
    return out


#: The transpose of slice: an array of ``shape`` holding ``fill`` with x written at the slice.
place = declare("place", _infer_place, _place, "exact moves")


def _infer_concat(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    axis, first = attrs["axis"], types[0]
    shape: list[Dim] = list(first.shape)
    total: Dim = first.shape[axis]
    for t in types[1:]:
        if t.dtype != first.dtype:
            raise DTypeError(
                f"concat: parts are {first.dtype.name} and {t.dtype.name}; cast one with astype"
            )
        if t.ndim != first.ndim:
            raise ShapeError(f"concat: parts have {first.ndim} and {t.ndim} axes")
        for k in range(first.ndim):
            met = shape[k] if k == axis else equate(shape[k], t.shape[k], equations)
            if met is None:
                raise ShapeError(
                    f"concat: parts {shape_text(first.shape)} and {shape_text(t.shape)} "
                    f"differ in axis {k} (joined along {axis})"
                )
            shape[k] = met
        total = total + t.shape[axis]
    shape[axis] = total
    return TensorType(first.dtype, tuple(shape))


concat = declare(
    "concat",
    _infer_concat,
    lambda *parts, axis: np.concatenate(parts, axis=axis),
    "exact linear moves",
)
