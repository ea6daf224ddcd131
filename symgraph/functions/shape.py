"""Functions that move elements. Sizes may be ints, sizes of other tensors, or -1 in ``reshape``."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from symgraph.errors import DTypeError, ShapeError, UsageError
from symgraph.functions.axes import one_axis, some_axes
from symgraph.functions.variables import as_tensor, as_tensors, cast, number, promoted
from symgraph.ops import shape as ops
from symgraph.sizes import Dim, Size, differ, divide_exactly, floordiv, maximum, minimum, product
from symgraph.tensor import Tensor, apply, describe
from symgraph.types import broadcast_shapes, promote, shape_text


def as_dims(what: str, shape: Any, signed: bool = False) -> tuple[Dim, ...]:
    """A shape argument as dims; negative numbers only where ``signed``.

    Raises:
        UsageError: an entry is no size. ShapeError: a size is negative.
    """
    entries = tuple(shape) if isinstance(shape, (tuple, list, np.ndarray)) else (shape,)
    out: list[Dim] = []
    for d in entries:
        if isinstance(d, Size):
            out.append(d)
            continue
        if isinstance(d, Tensor) and "dim" in d.attrs:
            out.append(d.attrs["dim"])
            continue
        try:
            out.append(operator.index(d))
        except (TypeError, UsageError):
            raise UsageError(
                f"{what}: {d!r} in the shape is not a size; use ints, and sizes of variables such "
                "as x.shape[0]"
            ) from None
        if not signed and type(out[-1]) is int and out[-1] < 0:
            raise ShapeError(f"{what}: the size {out[-1]} is negative; sizes count from 0")
    return tuple(out)


def reshape(x: Any, shape: Any, /) -> Tensor:
    """The same elements in C order under another shape; one entry may be -1.

    Raises:
        ShapeError: the number of elements cannot agree, more than one -1.
    """
    t, dims = as_tensor(x, "reshape"), as_dims("reshape", shape, signed=True)
    unknown = [k for k, d in enumerate(dims) if type(d) is int and d < 0]
    if len(unknown) > 1 or any(dims[k] != -1 for k in unknown):
        raise ShapeError(
            f"reshape of {describe(t)}: the shape {shape_text(dims)} holds several negative sizes "
            "or one other "
            "than -1; leave a single -1 for the size to be found"
        )
    if unknown:
        k = unknown[0]
        known = product(d for j, d in enumerate(dims) if j != k)
        total = product(t.shape)
        if type(known) is int and known == 0:
            raise ShapeError(
                f"reshape of {describe(t)}: -1 in {shape_text(dims)} is ambiguous beside a size 0; "
                "write the size"
            )
        exact = divide_exactly(total, known)
        if exact is None and type(total) is int and type(known) is int:
            raise ShapeError(
                f"reshape of {describe(t)}: {shape_text(t.shape)} has {total} elements, not a "
                "multiple of the "
                f"{known} that {shape_text(dims)} asks for; change the other sizes"
            )
        dims = (*dims[:k], exact if exact is not None else floordiv(total, known), *dims[k + 1 :])
    return t if dims == t.shape else apply(ops.reshape, (t,), (("shape", dims),))


def expand_dims(x: Any, /, axis: Any = 0) -> Tensor:
    """x with axes of size 1 inserted at the given positions of the result."""
    t = as_tensor(x, "expand_dims")
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    axes = some_axes("expand_dims", axis, t.ndim + count, t)
    return apply(ops.expand_dims, (t,), (("axes", axes),)) if axes else t


def squeeze(x: Any, /, axis: Any = None) -> Tensor:
    """x without the given axes of size 1 (None: all that are statically 1)."""
    t = as_tensor(x, "squeeze")
    if axis is None:
        axes = tuple(k for k, d in enumerate(t.shape) if type(d) is int and d == 1)
    else:
        axes = some_axes("squeeze", axis, t.ndim, t)
    return apply(ops.squeeze, (t,), (("axes", axes),)) if axes else t


def permute_dims(x: Any, /, axes: Any) -> Tensor:
    """x with its axes in the order ``axes``."""
    t = as_tensor(x, "permute_dims")
    if isinstance(axes, (int, np.integer)):
        raise UsageError(f"permute_dims: axes={axes!r} is not a tuple; list all {t.ndim} axes")
    order = tuple(one_axis("permute_dims", a, t.ndim, t) for a in axes)
    if order == tuple(range(t.ndim)):
        return t
    return apply(ops.permute_dims, (t,), (("axes", order),))


def transpose(x: Any, /, axes: Any = None) -> Tensor:
    """NumPy's transpose: the axes reversed, or in the order given."""
    t = as_tensor(x, "transpose")
    return permute_dims(t, tuple(range(t.ndim))[::-1] if axes is None else axes)


def matrix_transpose(x: Any, /) -> Tensor:
    """The last two axes exchanged."""
    t = as_tensor(x, "matrix_transpose")
    if t.ndim < 2:
        raise ShapeError(
            f"matrix_transpose: {describe(t)} has {t.ndim} axes, needs at least 2; add one with "
            "x[None] or x[:, None]"
        )
    n = t.ndim
    return apply(ops.permute_dims, (t,), (("axes", (*range(n - 2), n - 1, n - 2)),))


def moveaxis(x: Any, source: Any, destination: Any, /) -> Tensor:
    """x with the ``source`` axes at the ``destination`` positions, the others in order."""
    t = as_tensor(x, "moveaxis")
    src = [one_axis("moveaxis", a, t.ndim, t) for a in np.atleast_1d(source)]
    dst = [one_axis("moveaxis", a, t.ndim, t) for a in np.atleast_1d(destination)]
    if len(src) != len(dst) or len(set(src)) != len(src) or len(set(dst)) != len(dst):
        raise ShapeError(
            f"moveaxis of {describe(t)}: source {source} and destination {destination} do not pair "
            "up; "
            "name every axis once, and as many places as axes"
        )
    order = [k for k in range(t.ndim) if k not in src]
    for to, a in sorted(zip(dst, src, strict=True)):
        order.insert(to, a)
    return permute_dims(t, order)


def swapaxes(x: Any, axis1: int, axis2: int, /) -> Tensor:
    """x with two axes exchanged."""
    t = as_tensor(x, "swapaxes")
    order = list(range(t.ndim))
    a, b = one_axis("swapaxes", axis1, t.ndim, t), one_axis("swapaxes", axis2, t.ndim, t)
    order[a], order[b] = b, a
    return permute_dims(t, order)


def broadcast_to(x: Any, /, shape: Any) -> Tensor:
    """x stretched to ``shape``: axes of size 1 and missing leading axes repeat."""
    t, dims = as_tensor(x, "broadcast_to"), as_dims("broadcast_to", shape)
    if dims == t.shape and not t.type.weak:
        return t
    return apply(ops.broadcast_to, (t,), (("shape", dims),))


def broadcast_arrays(*arrays: Any) -> list[Tensor]:
    """All operands stretched to their common shape."""
    parts = as_tensors(arrays, "broadcast_arrays")
    shape = broadcast_shapes("broadcast_arrays", [p.shape for p in parts], [])
    return [broadcast_to(p, shape) for p in parts]


def concat(arrays: Sequence[Any], /, axis: int | None = 0) -> Tensor:
    """The arrays joined along ``axis`` (None: flattened first), promoted to one dtype."""
    _check_parts("concat", arrays)
    parts = promoted("concat", *arrays)
    if axis is None:
        parts, axis = tuple(reshape(p, (-1,)) for p in parts), 0
    if parts[0].ndim == 0:
        raise ShapeError(
            f"concat: {describe(parts[0])} is a scalar and has no axis to join along; use sg.stack"
        )
    k = one_axis("concat", axis, parts[0].ndim, parts[0])
    return parts[0] if len(parts) == 1 else apply(ops.concat, parts, (("axis", k),))


def _check_parts(what: str, arrays: Any) -> None:
    if isinstance(arrays, (list, tuple)) and arrays:
        return
    given = describe(arrays) if isinstance(arrays, Tensor) else repr(arrays)
    raise UsageError(f"{what}: {given} is not a non-empty list of arrays; write {what}([a, b])")


def stack(arrays: Sequence[Any], /, axis: int = 0) -> Tensor:
    """The arrays, of one shape, joined along a new axis."""
    _check_parts("stack", arrays)
    parts = promoted("stack", *arrays)
    for p in parts[1:]:
        if p.ndim != parts[0].ndim or any(map(differ, p.shape, parts[0].shape)):
            raise ShapeError(
                f"stack: {describe(parts[0])} has shape {shape_text(parts[0].shape)} and "
                f"{describe(p)} "
                f"{shape_text(p.shape)}; stack joins arrays of one shape, use sg.concat or reshape "
                "first"
            )
    k = one_axis("stack", axis, parts[0].ndim + 1)
    return concat([expand_dims(p, k) for p in parts], axis=k)


def slice_axis(x: Tensor, axis: int, start: Dim, length: Dim, step: int = 1) -> Tensor:
    """Elements start, start + step, ... (``length`` of them) of one axis."""
    starts: list[Dim] = [0] * x.ndim
    steps = [1] * x.ndim
    lengths = list(x.shape)
    starts[axis], steps[axis], lengths[axis] = start, step, length
    return slice_node(x, tuple(starts), tuple(steps), tuple(lengths))


def slice_node(
    x: Tensor,
    starts: tuple[Dim, ...],
    steps: tuple[int, ...],
    lengths: tuple[Dim, ...],
    checked: tuple[int, ...] = (),
) -> Tensor:
    """The slice op, or x itself where the slice is everything."""
    if checked:
        more = (("steps", steps), ("lengths", lengths), ("checked", checked))
        return apply(ops.slice_, (x,), (("starts", starts), *more))
    if lengths == x.shape and all(s == 0 for s in starts) and all(s == 1 for s in steps):
        return x
    return apply(ops.slice_, (x,), (("starts", starts), ("steps", steps), ("lengths", lengths)))


def place_node(
    x: Tensor,
    fill: Tensor,
    starts: tuple[Dim, ...],
    steps: tuple[int, ...],
    shape: tuple[Dim, ...],
    checked: tuple[int, ...] = (),
) -> Tensor:
    """An array of ``shape`` holding ``fill``, with x written at the slice."""
    attrs = (("starts", starts), ("steps", steps), ("shape", shape))
    return apply(ops.place, (x, fill), (*attrs, ("checked", checked)) if checked else attrs)


def split(x: Any, indices_or_sections: Any, /, axis: int = 0) -> list[Tensor]:
    """x cut along ``axis`` into equal sections, or before each of the given indices."""
    t = as_tensor(x, "split")
    k = one_axis("split", axis, t.ndim, t)
    n = t.shape[k]
    if isinstance(indices_or_sections, (int, np.integer)):
        parts = int(indices_or_sections)
        width = divide_exactly(n, parts) if parts > 0 else None
        if width is None:
            raise ShapeError(
                f"split of {describe(t)}: axis {k} of size {n} does not divide into {parts} equal "
                "parts; "
                "give the indices to cut at"
            )
        return [slice_axis(t, k, width * i, width) for i in range(parts)]
    cuts: list[Dim] = [
        0,
        *(_clipped(c, n) for c in as_dims("split", indices_or_sections, signed=True)),
        n,
    ]
    return [slice_axis(t, k, a, maximum(b - a, 0)) for a, b in pairwise(cuts)]


def _clipped(cut: Dim, n: Dim) -> Dim:
    """A position within an axis of size n: counted from the end where negative, never outside."""
    return maximum(n + cut if type(cut) is int and cut < 0 else minimum(cut, n), 0)


def flip(x: Any, /, axis: Any = None) -> Tensor:
    """x with the order of the elements reversed along the axes."""
    t = as_tensor(x, "flip")
    for k in some_axes("flip", axis, t.ndim, t):
        t = slice_axis(t, k, t.shape[k] - 1, t.shape[k], -1)
    return t


def roll(x: Any, shift: Any, /, axis: Any = None) -> Tensor:
    """x with elements moved ``shift`` places along ``axis``, re-entering at the other end."""
    t = as_tensor(x, "roll")
    if axis is None:
        return reshape(roll(reshape(t, (-1,)), shift, axis=0), t.shape)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    shifts = shift if isinstance(shift, (tuple, list)) else (shift,) * len(axes)
    for a, s in zip(axes, as_dims("roll", shifts, signed=True), strict=True):
        t = _roll_one(t, s, one_axis("roll", a, t.ndim, t))
    return t


def _roll_one(t: Tensor, shift: Dim, axis: int) -> Tensor:
    n = t.shape[axis]
    wrap = maximum(n, 1)  # an empty axis has nothing to move, but the division must be defined
    moved = shift - floordiv(shift, wrap) * wrap
    cut = maximum(n - moved, 0)
    return concat([slice_axis(t, axis, cut, n - cut), slice_axis(t, axis, 0, cut)], axis=axis)


def tile(x: Any, repetitions: Any, /) -> Tensor:
    """x repeated as a whole along each axis, as np.tile."""
    t, counts = as_tensor(x, "tile"), as_dims("tile", repetitions)
    rank = builtin_max(t.ndim, len(counts))
    t = reshape(t, (1,) * (rank - t.ndim) + t.shape)
    counts = (1,) * (rank - len(counts)) + counts
    pairs = tuple(d for c, n in zip(counts, t.shape, strict=True) for d in (c, n))
    spread = broadcast_to(expand_dims(t, tuple(range(0, 2 * rank, 2))), pairs)
    return reshape(spread, tuple(c * n for c, n in zip(counts, t.shape, strict=True)))


builtin_max = max


def pad(x: Any, pad_width: Any, /, mode: str = "constant", constant_values: Any = 0) -> Tensor:
    """x surrounded by a constant: ``pad_width`` is n, (before, after), or one pair per axis."""
    t = as_tensor(x, "pad")
    if mode != "constant":
        raise UsageError(
            f"pad: mode={mode!r} is not supported; use 'constant', or sg.concat with pieces of x"
        )
    pairs = _pad_pairs(pad_width, t)
    value = _fill_value(constant_values, t)
    shape = tuple(lo + n + hi for (lo, hi), n in zip(pairs, t.shape, strict=True))
    return place_node(t, value, tuple(lo for lo, _ in pairs), (1,) * t.ndim, shape)


def _fill_value(value: Any, t: Tensor) -> Tensor:
    """One value of t's dtype: numbers convert as they do in NumPy, tensors must fit."""
    if isinstance(value, (bool, int, float, np.number)):
        return number(value.item() if isinstance(value, np.number) else value, t.dtype)
    fill = as_tensor(value, "pad")
    if fill.ndim != 0:
        raise ShapeError(
            f"pad: constant_values has shape {shape_text(fill.shape)}; give one number, and pad "
            "again for others"
        )
    wanted, _ = promote((t.dtype, False), (fill.dtype, fill.type.weak))
    if wanted != t.dtype:
        raise DTypeError(
            f"pad: constant_values is {fill.dtype.name}, {describe(t)} is {t.dtype.name}; cast "
            "one with astype"
        )
    return cast(fill, t.dtype)


def _pad_pairs(width: Any, x: Tensor) -> list[tuple[Dim, Dim]]:
    ndim = x.ndim
    if isinstance(width, (int, np.integer, Size)):
        width = ((width, width),) * ndim
    elif len(width) == 2 and not isinstance(width[0], (tuple, list)):
        width = (tuple(width),) * ndim
    elif len(width) == 1 and ndim != 1:
        width = (tuple(width[0]),) * ndim
    if len(width) != ndim:
        raise ShapeError(
            f"pad of {describe(x)}: {len(width)} pairs of widths for {ndim} axes; give one for "
            "each axis"
        )
    pairs = [as_dims("pad", p, signed=True) for p in width]
    if any(type(d) is int and d < 0 for p in pairs for d in p):
        raise ShapeError(
            f"pad of {describe(x)}: pad_width={width} holds a negative width; use slicing to cut"
        )
    return [(p[0], p[-1]) for p in pairs]
