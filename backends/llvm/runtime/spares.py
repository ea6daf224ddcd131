"""Further copies of a program's tables, for calls that come while the first is in use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .program import Program

__all__ = ["Spares"]


class Spares:
    """Calls ``program`` in memory of its own, made by ``make`` where none is idle.

    There are never more copies than calls were ever under way at once.
    """

    __slots__ = ("_idle", "_make", "_program")

    def __init__(self, program: Program, make: Callable[[], Callable[..., Any]]) -> None:
        self._program, self._make = program, make
        self._idle: list[Callable[..., Any]] = []

    def __call__(self, *arrays: Any) -> Any:
        """The result for these inputs; arrays for the results may follow them."""
        count = len(self._program.inputs)
        inputs, outs = arrays[:count], arrays[count:]
        try:
            copy = self._idle.pop()
        except IndexError:
            copy = self._make()
        try:
            return copy(*inputs, out=self._shaped(outs)) if outs else copy(*inputs)
        finally:
            self._idle.append(copy)

    def release(self) -> None:
        """Drop the copies that no call is using."""
        self._idle.clear()

    def _shaped(self, outs: tuple[Any, ...]) -> Any:
        """The arrays for the results as a caller gives them."""
        if self._program.form == "one":
            return outs[0]
        if self._program.form == "dict":
            return dict(zip(self._program.keys, outs, strict=True))
        return list(outs) if self._program.form == "list" else outs
