"""The rewrite trace: which rule fired, in which pass, on what, and where the user wrote it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from symgraph.origins import UserLine, root_line
from symgraph.tensor import Tensor

__all__ = ["Rewrite", "record", "recording"]


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One rewrite: ``before`` was replaced by ``after`` because of ``rule`` under its
    ``contract``.
    """

    rule: str
    contract: str
    pass_name: str
    before: Tensor
    after: Tensor

    @property
    def line(self) -> UserLine | None:
        """The user's line that the rewritten node goes back to, if it is known."""
        return root_line(self.before.origin)

    def __str__(self) -> str:
        where = f" ({self.line})" if self.line is not None else ""
        return (
            f"{self.pass_name}: {self.rule} [{self.contract}]: {self.before} -> {self.after}{where}"
        )


class _State(threading.local):
    log: list[Rewrite] | None = None


_state = _State()


@contextmanager
def recording() -> Iterator[list[Rewrite]]:
    """Inside, the rewrites of every pass are appended to the list this yields."""
    before = _state.log
    log: list[Rewrite] = []
    _state.log = log
    try:
        yield log
    finally:
        _state.log = before


def record(rewrites: list[Rewrite]) -> None:
    """Hand the rewrites of a pass to whoever is recording."""
    if _state.log is not None:
        _state.log.extend(rewrites)
