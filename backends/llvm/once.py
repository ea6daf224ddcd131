"""Values that a process has once, whichever threads ask for them first."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

__all__ = ["once"]

P = ParamSpec("P")
R = TypeVar("R")


def once(make: Callable[P, R]) -> Callable[P, R]:
    """``make``, which makes one value for each combination of (positional) arguments.

    Unlike ``functools.cache``, threads that come together all get the same value, so an address in
    it stays good. They may each have made one; only the first is kept. No lock is held meanwhile.
    """
    made: dict[tuple[Any, ...], R] = {}

    @functools.wraps(make)
    def get(*args: P.args, **kwargs: P.kwargs) -> R:
        found = made.get(args)
        return made.setdefault(args, make(*args, **kwargs)) if found is None else found

    return get
