"""Indexing: NumPy's basic and advanced forms, ``take``, writes as values (``x.at[i].set(v)``)."""

from __future__ import annotations

import operator
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import DTypeError, IndexRangeError, ShapeError, UsageError
from symgraph.functions.axes import one_axis
from symgraph.functions.creation import iota
from symgraph.functions.elementwise import where
from symgraph.functions.shape import (
    as_dims,
    broadcast_to,
    expand_dims,
    permute_dims,
    place_node,
    reshape,
    slice_node,
    squeeze,
)
from symgraph.functions.variables import as_tensor, cast, constant, number, size_value
from symgraph.ops import index as ops
from symgraph.ops import leaves
from symgraph.ops.reduction import item as item_op
from symgraph.sizes import Dim, Size, count_symbol, differ, lower_bound, maximum, minimum, product
from symgraph.tensor import Tensor, apply, describe
from symgraph.types import DTYPES, TupleType, broadcast_shapes, promote, shape_text

INT64 = DTYPES["int64"]


@dataclass(frozen=True, slots=True, eq=False)
class Basic:
    """The slice part of an index, per axis; starts of ``checked`` axes are checked when called."""

    starts: tuple[Dim, ...]
    steps: tuple[int, ...]
    lengths: tuple[Dim, ...]
    checked: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """An index in normal form: pin, reshape, slice, gather along ``axes``, lay out the result.

    ``pinned`` is the array's shape with the sizes that literal masks demand. ``squeezed`` are axes
    indexed by one integer; ``arrays`` the int64 index tensors of ``axes``; ``order`` and
    ``new_axes`` arrange what gather returns.
    """

    pinned: tuple[Dim, ...]
    shape: tuple[Dim, ...]
    basic: Basic
    squeezed: tuple[int, ...]
    axes: tuple[int, ...]
    arrays: tuple[Tensor, ...]
    order: tuple[int, ...]
    new_axes: tuple[int, ...]


def getitem(x: Any, index: Any, /) -> Tensor:
    """``x[index]``: integers, slices, ``...``, None, integer arrays, boolean masks.

    Raises:
        IndexRangeError: a literal index outside its axis (symbolic ones are checked when called).
        UsageError: too many indices, or an index of another kind.
    """
    t = as_tensor(x, "index")
    if isinstance(t.type, TupleType):
        return apply(item_op, (t,), (("index", operator.index(index)),))
    return read(t, plan_index(t, index))


def read(t: Tensor, plan: Plan) -> Tensor:
    """What the planned index selects."""
    base = reshape(broadcast_to(t, plan.pinned), plan.shape)
    basic = plan.basic
    out = slice_node(base, basic.starts, basic.steps, basic.lengths, basic.checked)
    if plan.arrays:
        out = apply(ops.gather, (out, *plan.arrays), (("axes", plan.axes),))
        out = permute_dims(out, plan.order)
    elif plan.squeezed:
        out = squeeze(out, plan.squeezed)
    return expand_dims(out, plan.new_axes) if plan.new_axes else out


def plan_index(t: Tensor, index: Any) -> Plan:
    """Normalise a user's index of ``t``."""
    entries = _expand(t, index if isinstance(index, tuple) else (index,))
    entries, pinned, shape = _masks(t, entries)
    return _arrange(t, entries, pinned, shape)


def _consumes(entry: Any) -> int:
    if entry is None or entry is Ellipsis:
        return 0
    if isinstance(entry, Tensor) and entry.dtype.kind == "b":
        return entry.ndim
    if isinstance(entry, np.ndarray) and entry.dtype.kind == "b":
        return entry.ndim
    return 1


def _entry(t: Tensor, e: Any) -> Any:
    """One index entry as None, Ellipsis, slice, int, Size, int64/bool tensor or bool array."""
    if e is None or e is Ellipsis or isinstance(e, (slice, Size)):
        return e
    if isinstance(e, Tensor):
        if e.dtype.kind not in "biu":
            raise DTypeError(
                f"index of {describe(t)}: {describe(e)} is {e.dtype.name}; integers or bool are "
                "needed, cast with astype('int64')"
            )
        if e.op is leaves.size:
            return e.attrs["dim"]
        return e if e.dtype.kind == "b" else cast(e, INT64)
    if isinstance(e, (bool, np.bool_)):
        return np.array(e)
    if isinstance(e, (int, np.integer)):
        return int(e)
    if isinstance(e, (list, tuple, np.ndarray)):
        array = np.asarray(e)
        if array.dtype.kind == "b":
            return array
        if array.size == 0 and not isinstance(e, np.ndarray):
            array = array.astype(np.int64)
        if array.dtype.kind in "iu":
            return constant(array.astype(np.int64))
    raise UsageError(
        f"index of {describe(t)}: {e!r} is not an index; use ints, slices, ..., None, integer or "
        "bool arrays"
    )


def _expand(t: Tensor, entries: tuple[Any, ...]) -> list[Any]:
    known = [_entry(t, e) for e in entries]
    used = sum(_consumes(e) for e in known)
    dots = [k for k, e in enumerate(known) if e is Ellipsis]
    if len(dots) > 1:
        raise UsageError(
            f"index of {describe(t)}: more than one ellipsis; write : for the other axes"
        )
    if used > t.ndim:
        raise UsageError(
            f"index of {describe(t)}: {used} indices for {t.ndim} axes; drop some, or add axes "
            "with None"
        )
    k = dots[0] if dots else len(known)
    tail = (
        known[k:] if dots else []
    )  # the ellipsis stays: it parts index arrays even where it is empty
    return [*known[:k], *[slice(None)] * (t.ndim - used), *tail]


#: By the identity of the mask, which the node keeps alive (tensors have no ``==`` to look up by).
_positions: weakref.WeakValueDictionary[int, Tensor] = weakref.WeakValueDictionary()


def nonzero_positions(mask: Tensor) -> Tensor:
    """The positions where a bool vector holds; every use of one mask has the same count."""
    node = _positions.get(id(mask))
    if node is None or node.inputs[0] is not mask:
        node = apply(ops.nonzero, (mask,), (("count", count_symbol(mask.shape[0])),))
        _positions[id(mask)] = node
    return node


def _masks(t: Tensor, entries: list[Any]) -> tuple[list[Any], tuple[Dim, ...], tuple[Dim, ...]]:
    """Replace masks by positions; a mask over several axes joins them into one."""
    out: list[Any] = []
    pinned: list[Dim] = []
    shape: list[Dim] = []
    axis = 0
    for e in entries:
        width = _consumes(e)
        dims = t.shape[axis : axis + width]
        axis += width
        masks = (isinstance(e, Tensor) and e.dtype.kind == "b") or isinstance(e, np.ndarray)
        if not masks:
            out.append(e)
            pinned.extend(dims)
            shape.extend(dims)
            continue
        m = as_tensor(e, "mask")
        for have, want in zip(m.shape, dims, strict=True):
            if differ(have, want) or (type(have) is int and have == 1 != want):
                raise ShapeError(
                    f"index of {describe(t)}: a mask of shape {shape_text(m.shape)} for axes of "
                    "shape "
                    f"{shape_text(dims)}; they must agree"
                )
        if isinstance(e, np.ndarray):
            dims = e.shape
            out.append(constant(np.flatnonzero(e).astype(np.int64)))
        else:  # broadcast_to has the sizes checked when called
            out.append(nonzero_positions(reshape(broadcast_to(m, dims), (-1,))))
        pinned.extend(dims)
        shape.append(product(dims))
    return out, tuple(pinned), tuple(shape)


def _arrange(
    t: Tensor, entries: list[Any], pinned: tuple[Dim, ...], shape: tuple[Dim, ...]
) -> Plan:
    advanced = any(isinstance(e, Tensor) for e in entries)
    starts, steps, lengths = [], [], []
    squeezed: list[int] = []
    axes: list[int] = []
    arrays: list[Tensor] = []
    layout: list[str] = []
    checked: tuple[int, ...] = ()
    axis = 0
    for e in entries:
        if e is None or e is Ellipsis:
            layout.append("new" if e is None else "gap")
            continue
        n = shape[axis]
        start: Dim = 0
        step, length = 1, n
        if isinstance(e, slice):
            start, step, length = slice_bounds(t, e, n)
            layout.append("slice")
        elif isinstance(e, Tensor) or advanced:
            axes.append(axis)
            arrays.append(e if isinstance(e, Tensor) else size_value(e, INT64))
            layout.append("array")
        else:
            start, unsure = position(t, e, n, axis)
            length = 1
            squeezed.append(axis)
            checked += (axis,) if unsure else ()
            layout.append("int")
        starts.append(start)
        steps.append(step)
        lengths.append(length)
        axis += 1
    order, new_axes = _layout(layout, arrays)
    basic = Basic(tuple(starts), tuple(steps), tuple(lengths), checked)
    return Plan(pinned, shape, basic, tuple(squeezed), tuple(axes), tuple(arrays), order, new_axes)


def _layout(layout: list[str], arrays: list[Tensor]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where the index axes and the new axes go in the result (NumPy's rule)."""
    kept = [k for k in layout if k != "int"]
    spots = [k for k, e in enumerate(kept) if e == "array"]
    width = max((a.ndim for a in arrays), default=0)
    together = not spots or spots == list(range(spots[0], spots[-1] + 1))
    before = kept[: spots[0]] if spots and together else []
    lead = sum(e == "slice" for e in before)
    total = width + sum(e == "slice" for e in kept)
    order = (*range(width, width + lead), *range(width), *range(width + lead, total))
    after = [e for e in kept[len(before) :] if e != "array"]
    final = [e for e in (*before, *["array"] * width, *after) if e != "gap"]
    return order, tuple(k for k, e in enumerate(final) if e == "new")


def slice_bounds(t: Tensor, s: slice, n: Dim) -> tuple[Dim, int, Dim]:
    """(start, step, length) of a slice of an axis of size n, clipped as Python does."""
    step = 1 if s.step is None else operator.index(s.step)
    if step == 0:
        raise UsageError(f"index of {describe(t)}: the slice step is 0; use another step")
    if type(n) is int and all(b is None or type(b) is int for b in (s.start, s.stop)):
        r = range(*s.indices(n))
        return (r.start if len(r) else 0), step, len(r)
    start, stop = _bound(t, s.start, n), _bound(t, s.stop, n)
    if step > 0:  # a start past the end and a stop before the start both give length 0
        first = maximum(start, 0) if start is not None else 0
        last = minimum(stop, n) if stop is not None else n
        return first, step, maximum((last - first + (step - 1)) // step, 0)
    first = minimum(start, n - 1) if start is not None else n - 1
    last = maximum(stop, -1) if stop is not None else -1
    return first, step, maximum((first - last + (-step - 1)) // -step, 0)


def _bound(t: Tensor, b: Any, n: Dim) -> Dim | None:
    """A slice bound counted from the front, not yet clipped."""
    if b is None:
        return None
    if isinstance(b, Tensor):
        if b.op is not leaves.size and b.op is not leaves.constant:
            raise UsageError(
                f"index of {describe(t)}: a slice bound computed by the graph ({describe(b)}) "
                "would give a size known only at run time; use sizes, or sg.take with sg.arange"
            )
        b = b.attrs["dim"] if b.op is leaves.size else int(b.attrs["value"])
    if isinstance(b, Size):
        return b
    k = operator.index(b)
    return n + k if k < 0 else k


def position(t: Tensor, i: Dim, n: Dim, axis: int) -> tuple[Dim, bool]:
    """One integer index as a nonnegative position, and whether the call must check its range."""
    wrapped = n + i if type(i) is int and i < 0 else i
    if type(wrapped) is int and type(n) is int:
        if not 0 <= wrapped < n:
            raise IndexRangeError(
                f"index of {describe(t)}: {i} is out of range for axis {axis} of size {n}; use "
                f"{-n} to {n - 1}"
            )
        return wrapped, False
    need = -i if type(i) is int and i < 0 else i + 1
    room, below = lower_bound(n - need), lower_bound(wrapped)
    return wrapped, room is None or room < 0 or below is None or below < 0


def take(x: Any, indices: Any, /, axis: int | None = None) -> Tensor:
    """The elements at ``indices`` along ``axis`` (None: of the flattened array)."""
    t = as_tensor(x, "take")
    if axis is None:
        t, axis = reshape(t, (-1,)), 0
    k = one_axis("take", axis, t.ndim, t)
    i = as_tensor(indices if not isinstance(indices, list) else np.asarray(indices), "take")
    if i.dtype.kind not in "iu":
        raise DTypeError(
            f"take: {describe(i)} is {i.dtype.name}; integers are needed, cast with astype('int64')"
        )
    out = apply(ops.gather, (t, cast(i, INT64)), (("axes", (k,)),))
    return permute_dims(
        out, (*range(i.ndim, i.ndim + k), *range(i.ndim), *range(i.ndim + k, out.ndim))
    )


def take_along_axis(x: Any, indices: Any, /, axis: int = -1) -> Tensor:
    """``x[..., indices[..., j, ...], ...]``: one index per position, other axes broadcast."""
    t, i = as_tensor(x, "take_along_axis"), as_tensor(indices, "take_along_axis")
    if i.dtype.kind not in "iu":
        raise DTypeError(
            f"take_along_axis: {describe(i)} is {i.dtype.name}; integers are needed, cast with "
            "astype('int64')"
        )
    if t.ndim != i.ndim:
        raise ShapeError(
            f"take_along_axis: {describe(t)} has {t.ndim} axes, the indices {describe(i)} "
            f"{i.ndim}; "
            "add axes with [None], or use sg.take"
        )
    k = one_axis("take_along_axis", axis, t.ndim, t)
    rest_t = tuple(1 if a == k else d for a, d in enumerate(t.shape))
    rest_i = tuple(1 if a == k else d for a, d in enumerate(i.shape))
    shape = broadcast_shapes("take_along_axis", [rest_t, rest_i], [])
    t = broadcast_to(t, (*shape[:k], t.shape[k], *shape[k + 1 :]))
    at = [
        cast(i, INT64) if a == k else reshape(iota(shape[a]), (shape[a],) + (1,) * (t.ndim - a - 1))
        for a in range(t.ndim)
    ]
    return apply(ops.gather, (t, *at), (("axes", tuple(range(t.ndim))),))


def repeat(x: Any, repeats: Any, /, axis: int | None = None) -> Tensor:
    """Every element ``repeats`` times along ``axis``: one size, or a list of an int for each.

    Raises:
        ShapeError: the list is not as long as the axis.
    """
    t = as_tensor(x, "repeat")
    if axis is None:
        t, axis = reshape(t, (-1,)), 0
    k = one_axis("repeat", axis, t.ndim, t)
    if np.size(repeats) != 1:
        return _repeat_each(t, np.asarray(repeats), k)
    (count,) = as_dims("repeat", repeats)
    wide = broadcast_to(expand_dims(t, k + 1), (*t.shape[: k + 1], count, *t.shape[k + 1 :]))
    return reshape(wide, (*t.shape[:k], t.shape[k] * count, *t.shape[k + 1 :]))


def _repeat_each(t: Tensor, repeats: np.ndarray[Any, Any], axis: int) -> Tensor:
    n, count = t.shape[axis], len(repeats)
    if differ(n, count):
        raise ShapeError(f"repeat: {count} repeats for axis {axis} of size {n}")
    t = broadcast_to(
        t, (*t.shape[:axis], count, *t.shape[axis + 1 :])
    )  # an equation where n is a size
    return take(t, np.repeat(np.arange(count), repeats), axis=axis)


class IndexedUpdate:
    """``x.at``: index it, then ``.set(v)`` or ``.add(v)`` gives x with that part changed."""

    __slots__ = ("_index", "_x")

    def __init__(self, x: Tensor, index: Any = None) -> None:
        self._x, self._index = x, index

    def __getitem__(self, index: Any) -> IndexedUpdate:
        return IndexedUpdate(self._x, (index,))

    def set(self, value: Any) -> Tensor:
        """x with the indexed part replaced; of repeated indices the last wins."""
        return self._write(value, "set")

    def add(self, value: Any) -> Tensor:
        """x with ``value`` added to the indexed part; repeated indices accumulate."""
        return self._write(value, "add")

    def _write(self, value: Any, how: str) -> Tensor:
        x = self._x
        if self._index is None:
            raise UsageError(f"x.at.{how}: index first, as in x.at[0].{how}(value)")
        plan = plan_index(x, self._index[0])
        target = read(x, plan)
        v = as_tensor(value, f"at.{how}")
        wanted, _ = promote((x.dtype, False), (v.dtype, v.type.weak))
        if wanted != x.dtype:
            raise DTypeError(
                f"at.{how}: a {v.dtype.name} value does not fit {describe(x)} ({x.dtype.name}); "
                "use astype"
            )
        try:
            v = broadcast_to(cast(v, x.dtype), target.shape)
        except ShapeError:
            raise ShapeError(
                f"at.{how} of {describe(x)}: the value has shape {shape_text(v.shape)}, the place "
                f"{shape_text(target.shape)}; the value must broadcast to the place"
            ) from None
        base = reshape(broadcast_to(x, plan.pinned), plan.shape)
        return reshape(_scatter(base, v, plan, how), x.shape)


def _scatter(base: Tensor, value: Tensor, plan: Plan, how: str) -> Tensor:
    v = squeeze(value, plan.new_axes) if plan.new_axes else value
    if plan.arrays:
        inverse = np.argsort(plan.order)
        v = permute_dims(v, inverse.tolist())
    rest = [k for k in range(base.ndim) if k not in plan.axes]
    if plan.arrays and all(_whole(plan.basic, k, base.shape[k]) for k in rest):
        op = ops.scatter_add if how == "add" else ops.scatter_set
        return apply(op, (base, v, *plan.arrays), (("axes", plan.axes),))
    if plan.arrays:
        at: list[Tensor] = []
        for k in range(base.ndim):
            if k in plan.axes:
                index = plan.arrays[plan.axes.index(k)]
                at.append(reshape(index, (*index.shape, *(1,) * len(rest))))
            else:
                line = iota(plan.basic.lengths[k]) * plan.basic.steps[k]
                line = line + size_value(plan.basic.starts[k], INT64)
                after = len(rest) - rest.index(k) - 1
                at.append(reshape(line, (plan.basic.lengths[k], *(1,) * after)))
        op = ops.scatter_add if how == "add" else ops.scatter_set
        return apply(op, (base, v, *at), (("axes", tuple(range(base.ndim))),))
    return _write_slice(
        base, expand_dims(v, plan.squeezed) if plan.squeezed else v, plan.basic, how
    )


def _whole(basic: Basic, k: int, n: Dim) -> bool:
    return basic.starts[k] == 0 and basic.steps[k] == 1 and basic.lengths[k] == n


def _write_slice(base: Tensor, v: Tensor, basic: Basic, how: str) -> Tensor:
    zero = number(0, base.dtype)
    at = (basic.starts, basic.steps, base.shape, basic.checked)
    moved = place_node(v, zero, *at)
    if how == "add":
        return base + moved
    inside = broadcast_to(constant(True, "bool"), v.shape)
    return where(place_node(inside, constant(False, "bool"), *at), moved, base)


__all__ = ["IndexedUpdate", "getitem", "nonzero_positions", "repeat", "take", "take_along_axis"]
