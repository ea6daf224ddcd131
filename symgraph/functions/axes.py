"""Axis arguments as users write them, made into nonnegative positions."""

from __future__ import annotations

import operator
from typing import Any

from symgraph.errors import ShapeError, UsageError
from symgraph.tensor import Tensor, describe

__all__ = ["one_axis", "some_axes"]


def one_axis(what: str, axis: Any, ndim: int, x: Tensor | None = None) -> int:
    """One axis, counted from the end where negative.

    Raises:
        ShapeError: out of range. UsageError: not an integer.
    """
    if isinstance(axis, bool) or not hasattr(axis, "__index__"):
        raise UsageError(
            f"{what}{_of(x)}: axis={axis!r} is not an int; count axes from 0, or from the end "
            "with -1"
        )
    k = operator.index(axis)
    if not -ndim <= k < ndim:
        valid = f"; use {-ndim} to {ndim - 1}" if ndim else ""
        raise ShapeError(f"{what}: axis {k} is out of range for the {ndim} axes{_of(x)}{valid}")
    return k % ndim


def _of(x: Tensor | None) -> str:
    return f" of {describe(x)}" if x is not None else ""


def some_axes(what: str, axis: Any, ndim: int, x: Tensor | None = None) -> tuple[int, ...]:
    """A sorted tuple of axes from None (all), an int, or a tuple."""
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, (tuple, list)):
        found = [one_axis(what, a, ndim, x) for a in axis]
        if len(set(found)) != len(found):
            raise ShapeError(f"{what}: axis {tuple(axis)} names an axis twice; name each once")
        return tuple(sorted(found))
    return (one_axis(what, axis, ndim, x),)
