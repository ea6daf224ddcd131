"""Affine views: how a variable is read out of the buffer of another without copying anything."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from symgraph.ops import elementwise, leaves, shape
from symgraph.sizes import Dim
from symgraph.tensor import Tensor

__all__ = [
    "AXIS_VIEWS",
    "VIEWS",
    "View",
    "compose",
    "contiguous_strides",
    "follow",
    "is_axis_view",
    "is_contiguous",
    "viewer",
    "whole",
]

#: Ops that say something about what they pass on.
MARKERS = (elementwise.stop_gradient, elementwise.assume_normalised)

#: Ops that only rename axes of what they read (or stretch an axis of size 1).
AXIS_VIEWS = frozenset(
    (
        shape.permute_dims,
        shape.expand_dims,
        shape.squeeze,
        shape.broadcast_to,
        *MARKERS,
    )
)

#: Ops whose result can be read out of the memory of their input.
VIEWS = AXIS_VIEWS | {shape.slice_, shape.reshape}


@dataclass(frozen=True, slots=True)
class View:
    """Element (i, j, ...) stands ``offset + i * strides[0] + ...`` elements into the buffer of
    ``base``."""

    base: Tensor
    offset: Dim
    strides: tuple[Dim, ...]
    shape: tuple[Dim, ...]

    def __str__(self) -> str:
        return f"offset {self.offset} strides ({', '.join(map(str, self.strides))})"


@functools.lru_cache(maxsize=4096)
def contiguous_strides(dims: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """Strides of a C-ordered array."""
    out: list[Dim] = []
    step: Dim = 1
    for d in reversed(dims):
        out.append(step)
        step = step * d
    return tuple(reversed(out))


def whole(node: Tensor) -> View:
    """The whole buffer of a materialised variable."""
    return View(node, 0, contiguous_strides(node.shape), node.shape)


def is_contiguous(view: View) -> bool:
    """Whether the elements stand one after another in C order (axes of size 1 do not matter)."""
    wanted = contiguous_strides(view.shape)
    return all(
        have == want or (type(d) is int and d == 1)
        for have, want, d in zip(view.strides, wanted, view.shape, strict=True)
    )


def is_axis_view(node: Tensor) -> bool:
    return node.op in AXIS_VIEWS


def compose(node: Tensor, view: View) -> View | None:
    """The view of a view op's result, given that of its input; None where the elements must be
    copied."""
    a = node.attrs
    strides: tuple[Dim, ...]
    if node.op in MARKERS:
        return view
    if node.op is shape.permute_dims:
        strides = tuple(view.strides[k] for k in a["axes"])
        return View(view.base, view.offset, strides, node.shape)
    if node.op is shape.expand_dims:
        left = iter(view.strides)
        strides = tuple(0 if k in a["axes"] else next(left) for k in range(node.ndim))
        return View(view.base, view.offset, strides, node.shape)
    if node.op is shape.squeeze:
        strides = tuple(s for k, s in enumerate(view.strides) if k not in a["axes"])
        return View(view.base, view.offset, strides, node.shape)
    if node.op is shape.broadcast_to:
        return View(view.base, view.offset, _stretched(node, view), node.shape)
    if node.op is shape.slice_:
        offset = view.offset
        for start, stride in zip(a["starts"], view.strides, strict=True):
            offset = offset + start * stride
        strides = tuple(s * step for s, step in zip(view.strides, a["steps"], strict=True))
        return View(view.base, offset, strides, node.shape)
    if node.op is shape.reshape:
        return _reshaped(node, view)
    return None


def _stretched(node: Tensor, view: View) -> tuple[Dim, ...]:
    lead = node.ndim - len(view.shape)
    return (0,) * lead + tuple(
        0 if type(d) is int and d == 1 else s for d, s in zip(view.shape, view.strides, strict=True)
    )


def _reshaped(node: Tensor, view: View) -> View | None:
    squeezed = [(d, s) for d, s in zip(view.shape, view.strides, strict=True) if d != 1]
    if [d for d in node.shape if d != 1] == [d for d, _ in squeezed]:
        left = iter(s for _, s in squeezed)
        return View(
            view.base,
            view.offset,
            tuple(0 if d == 1 else next(left) for d in node.shape),
            node.shape,
        )
    if is_contiguous(view):
        return View(view.base, view.offset, contiguous_strides(node.shape), node.shape)
    return None


def viewer() -> Callable[[Tensor], View]:
    """A function that tells how any variable is read, remembering what it found."""
    known: dict[Tensor, View] = {}

    def view(node: Tensor) -> View:
        found = known.get(node)
        if found is not None:
            return found
        chain = []
        while node not in known and node.op in VIEWS:
            chain.append(node)
            node = node.inputs[0]
        found = known.get(node)
        if found is None:
            found = known[node] = whole(node)
        for n in reversed(chain):
            found = compose(n, found)
            assert found is not None, "prepare has made every reshape a view"
            known[n] = found
        return found

    return view


def follow(axes: tuple[int | None, ...], node: Tensor) -> tuple[int | None, ...]:
    """The axis map of an axis view's input, given that of its result.

    An axis map names for every axis the axis of the iteration space it runs along (None: size 1).
    """
    a, source = node.attrs, node.inputs[0]
    if node.op in MARKERS:
        return axes
    if node.op is shape.permute_dims:
        out: list[int | None] = [None] * source.ndim
        for k, axis in enumerate(a["axes"]):
            out[axis] = axes[k]
        return tuple(out)
    if node.op is shape.expand_dims:
        return tuple(m for k, m in enumerate(axes) if k not in a["axes"])
    if node.op is shape.squeeze:
        left = iter(axes)
        return tuple(None if k in a["axes"] else next(left) for k in range(source.ndim))
    lead = node.ndim - source.ndim
    return tuple(
        None if type(d) is int and d == 1 else axes[k + lead] for k, d in enumerate(source.shape)
    )


def source_of(node: Tensor) -> Tensor:
    """What a chain of views reads."""
    while node.op in VIEWS:
        node = node.inputs[0]
    return node


def is_scalar_literal(node: Tensor) -> bool:
    """Whether a leaf is part of the expressions that use it, not a buffer."""
    return node.op is leaves.size or (node.op is leaves.constant and node.type.shape == ())
