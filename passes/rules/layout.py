"""Looking through operations that only lay elements out differently, and doing the same to
others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symgraph.ops import elementwise as e
from symgraph.ops import shape as s
from symgraph.passes.rebuild import rebuilt
from symgraph.sizes import Dim, is_one
from symgraph.tensor import Tensor, apply

__all__ = [
    "MOVING",
    "Layout",
    "constant_along",
    "is_one",
    "layout",
    "replay",
    "reshaped",
    "same_values",
]

DEPTH = 8

#: what :func:`layout` looks through
MOVING = frozenset((s.expand_dims, s.squeeze, s.permute_dims, s.broadcast_to, e.stop_gradient))


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the axes of a value come from: for each its axis in ``source``, None where it only
    repeats.
    """

    source: Tensor
    axes: tuple[int | None, ...]
    stopped: bool


def layout(x: Tensor, stop: Tensor | None = None) -> Layout:
    """Follow x down through expand_dims, squeeze, permute_dims, broadcast_to and stop_gradient."""
    axes: list[int | None] = list(range(x.ndim))
    stopped = False
    for _ in range(DEPTH):
        if x is stop:
            break
        step = _step(x)
        if step is None:
            break
        stopped = stopped or x.op is e.stop_gradient
        axes = [None if a is None else step[a] for a in axes]
        x = x.inputs[0]
    return Layout(x, tuple(axes), stopped)


def _step(x: Tensor) -> list[int | None] | None:
    """For each axis of x the axis of its input, or None if x is no such operation."""
    if x.op is e.stop_gradient:
        return list(range(x.ndim))
    if x.op is s.permute_dims:
        return list(x.attrs["axes"])
    if x.op is s.expand_dims:
        places = iter(range(x.ndim))
        return [None if k in x.attrs["axes"] else next(places) for k in range(x.ndim)]
    if x.op is s.squeeze:
        return [k for k in range(x.inputs[0].ndim) if k not in x.attrs["axes"]]
    if x.op is s.broadcast_to:
        have = x.inputs[0].shape
        extra = x.ndim - len(have)
        return [
            None if k < extra or (is_one(have[k - extra]) and not is_one(d)) else k - extra
            for k, d in enumerate(x.shape)
        ]
    return None


def replay(x: Tensor, source: Tensor, new: Tensor) -> Tensor:
    """What leads from ``source`` up to x by first inputs, done to ``new`` (of the same shape)
    instead.
    """
    chain: list[Tensor] = []
    while x is not source:
        chain.append(x)
        x = x.inputs[0]
    for step in reversed(chain):
        new = rebuilt(step, (new, *step.inputs[1:]))
    return new


def aligned(axes: Sequence[int | None], rank: int) -> tuple[int | None, ...]:
    """The axes of an operand as broadcasting sees them in a result of ``rank`` axes."""
    return (None,) * (rank - len(axes)) + tuple(axes)


def constant_along(x: Tensor, axes: tuple[int, ...], rank: int) -> bool:
    """Whether x, broadcast to ``rank`` axes, does not change along ``axes``."""
    extra = rank - x.ndim
    return all(a < extra or is_one(x.shape[a - extra]) for a in axes)


def same_values(a: Tensor, b: Tensor, axes: tuple[int, ...]) -> bool:
    """Whether b is a, which has size 1 along ``axes``, with those axes taken out or kept."""
    if a is b:
        return True
    la, lb = layout(a), layout(b)
    if la.source is not lb.source or la.stopped != lb.stopped:
        return False
    kept = tuple(m for k, m in enumerate(la.axes) if k not in axes)
    return lb.axes in (la.axes, kept)


def reshaped(x: Tensor, shape: tuple[Dim, ...]) -> Tensor:
    """x under another shape by the simplest operation: expand_dims or squeeze where only 1s
    differ.
    """
    if x.shape == shape:
        return x
    if len(shape) > x.ndim:
        added = _extra_ones(x.shape, shape)
        if added is not None:
            return apply(s.expand_dims, (x,), (("axes", added),))
    elif len(shape) < x.ndim:
        dropped = _extra_ones(shape, x.shape)
        if dropped is not None:
            return apply(s.squeeze, (x,), (("axes", dropped),))
    return apply(s.reshape, (x,), (("shape", shape),))


def _extra_ones(short: tuple[Dim, ...], long: tuple[Dim, ...]) -> tuple[int, ...] | None:
    """Positions of ``long`` that hold a 1 which ``short`` lacks, if nothing else differs."""
    out: list[int] = []
    at = 0
    for k, d in enumerate(long):
        left = len(long) - k - (len(short) - at)
        if at < len(short) and short[at] == d and not (is_one(d) and left > 0):
            at += 1
        elif is_one(d):
            out.append(k)
        else:
            return None
    return tuple(out) if at == len(short) else None
