"""Indexing by data: gather, its transpose, writes, and the positions of a mask."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import DTypeError, IndexRangeError, ShapeError
from symgraph.op import Attrs, Equations
from symgraph.ops.registry import declare
from symgraph.sizes import Dim
from symgraph.types import DTYPES, TensorType, broadcast_shapes, equate, shape_text

Array = np.ndarray[Any, Any]


def _index_shape(name: str, types: tuple[TensorType, ...], equations: Equations) -> tuple[Dim, ...]:
    for t in types:
        if t.dtype != DTYPES["int64"]:
            raise DTypeError(f"{name}: an index array is {t.dtype.name}, not int64")
    return broadcast_shapes(name, [t.shape for t in types], equations)


def _rest(x: TensorType, axes: tuple[int, ...]) -> tuple[Dim, ...]:
    return tuple(d for k, d in enumerate(x.shape) if k not in axes)


def _infer_gather(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    x, axes = types[0], attrs["axes"]
    return TensorType(x.dtype, _index_shape("index", types[1:], equations) + _rest(x, axes))


def wrap(what: str, i: Array, extent: int) -> Array:
    """Indices counted from the end made nonnegative; raises where one is out of range."""
    bad = (i < -extent) | (i >= extent)
    if bad.any():
        raise IndexRangeError(
            f"{what}: index {int(i[bad].flat[0])} is out of range for an axis of size {extent}"
        )
    return np.where(i < 0, i + extent, i)


def _front(x: Array, axes: tuple[int, ...]) -> Array:
    rest = [k for k in range(x.ndim) if k not in axes]
    return np.transpose(x, [*axes, *rest])


def _gather(x: Array, *indices: Array, axes: tuple[int, ...]) -> Array:
    at = tuple(wrap("index", i, x.shape[a]) for i, a in zip(indices, axes, strict=True))
    return np.asarray(_front(x, axes)[at])


#: x indexed along ``axes`` by broadcast int64 arrays; the index axes come first, the others follow.
gather = declare("gather", _infer_gather, _gather, "exact moves checked")


def _infer_scatter(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    base, updates, axes = types[0], types[1], attrs["axes"]
    want = _index_shape("at", types[2:], equations) + _rest(base, axes)
    if updates.dtype != base.dtype:
        raise DTypeError(f"at: the value is {updates.dtype.name}, the array {base.dtype.name}")
    if len(updates.shape) != len(want):
        raise ShapeError(
            f"at: the value has shape {shape_text(updates.shape)}, the place {shape_text(want)}"
        )
    for have, wanted in zip(updates.shape, want, strict=True):
        if equate(have, wanted, equations) is None:
            raise ShapeError(
                f"at: the value has shape {shape_text(updates.shape)}, the place {shape_text(want)}"
            )
    return TensorType(base.dtype, base.shape)


def _scatter(how: Any) -> Any:
    def evaluate(base: Array, updates: Array, *indices: Array, axes: tuple[int, ...]) -> Array:
        out = base.copy()
        at = tuple(wrap("at", i, base.shape[a]) for i, a in zip(indices, axes, strict=True))
        how(_front(out, axes), at, updates)
        return out

    return evaluate


def _assign(view: Array, at: Any, updates: Array) -> None:
    view[at] = updates


def _accumulate(view: Array, at: Any, updates: Array) -> None:
    np.add.at(view, at, updates)


#: ``base`` with ``updates`` (in gather's layout) added at the indices; repeated indices accumulate.
scatter_add = declare("scatter_add", _infer_scatter, _scatter(_accumulate), "checked")
#: ``base`` with ``updates`` written at the indices; of repeated indices the last wins.
scatter_set = declare("scatter_set", _infer_scatter, _scatter(_assign), "exact checked")


def _infer_nonzero(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    if types[0].dtype.kind != "b" or types[0].ndim != 1:
        raise DTypeError("nonzero: needs a vector of bool")
    return TensorType(DTYPES["int64"], (attrs["count"],))


#: The positions where a bool vector holds; their number is known only when called.
nonzero = declare(
    "nonzero",
    _infer_nonzero,
    lambda mask, count: np.flatnonzero(mask).astype(np.int64),
    "exact discrete",
)
