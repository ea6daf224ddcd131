"""Where a node comes from: a line of the user's, the bprop of another node, or a rule."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

__all__ = [
    "Attempt",
    "Derived",
    "Origin",
    "UserLine",
    "current_origin",
    "deriving",
    "root_line",
    "set_origin",
    "user_line",
    "with_origin",
]

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_ROOTS = tuple(
    dict.fromkeys(
        [_HERE] + [os.path.realpath(_HERE + sub) + os.sep for sub in ("", "passes", "backends")]
    )
)
_inside: dict[str, bool] = {}


@dataclass(frozen=True, slots=True)
class UserLine:
    """A place in the user's code, decoded only when shown."""

    code: CodeType
    lasti: int

    @property
    def line(self) -> int:
        found = self.code.co_firstlineno
        for start, end, line in self.code.co_lines():
            if line is not None and start <= self.lasti < end:
                return line
        return found

    def __str__(self) -> str:
        return f"{os.path.basename(self.code.co_filename)}:{self.line}"


@dataclass(frozen=True, slots=True, eq=False)
class Derived:
    """Made from another node: ``how`` is ``"bprop"``, ``"jvp"`` or the name of a rule."""

    source: Any
    how: str

    def __str__(self) -> str:
        return f"{self.how} of {self.source.op.name}"


Origin = UserLine | Derived


class Attempt:
    """What a driver of rules is trying; it becomes an origin when a node is made."""

    __slots__ = ("how", "source")

    def __init__(self) -> None:
        self.source: Any = None
        self.how = ""


class _State(threading.local):
    origin: Origin | Attempt | None = None


_state = _State()


def _is_ours(filename: str) -> bool:
    ours = filename.startswith(_ROOTS) or os.path.realpath(filename).startswith(_ROOTS)
    _inside[filename] = ours
    return ours


def user_line() -> UserLine | None:
    """The innermost line outside this package, or None at the bottom of the stack.

    For :func:`current_origin`, which what makes a node calls.
    """
    frame: FrameType | None = sys._getframe(2)  # current_origin and what asks it are ours
    while frame is not None:
        code = frame.f_code
        ours = _inside.get(code.co_filename)
        if not (_is_ours(code.co_filename) if ours is None else ours):
            return UserLine(code, frame.f_lasti)
        frame = frame.f_back
    return None


def current_origin() -> Origin | None:
    """The origin that a node made now should carry."""
    origin = _state.origin
    if origin is None:
        return user_line()
    return Derived(origin.source, origin.how) if isinstance(origin, Attempt) else origin


def set_origin(origin: Origin | Attempt | None) -> Origin | Attempt | None:
    """Nodes made from now on carry this origin; the one they carried before is given back."""
    before = _state.origin
    _state.origin = origin
    return before


class _Carried:
    """Inside, nodes carry an origin; a class, since this is entered for every node."""

    __slots__ = ("before", "origin")

    def __init__(self, origin: Origin | None) -> None:
        self.origin = origin

    def __enter__(self) -> None:
        self.before = set_origin(self.origin)

    def __exit__(self, *error: object) -> None:
        set_origin(self.before)


def with_origin(origin: Origin | None) -> AbstractContextManager[None]:
    """Nodes made inside carry this origin."""
    return _Carried(origin)


def deriving(source: Any, how: str) -> AbstractContextManager[None]:
    """Nodes made inside derive from ``source`` by ``how``."""
    return _Carried(Derived(source, how))


def root_line(origin: Origin | None) -> UserLine | None:
    """The user's line at the end of a chain of derivations."""
    while isinstance(origin, Derived):
        origin = origin.source.origin
    return origin
