"""The rewrite trace: which rule fired, in which pass, on what, and where the user wrote it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import SupportsIndex, overload

from symgraph.errors import UsageError
from symgraph.origins import UserLine, root_line
from symgraph.passes.contracts import CONTRACTS
from symgraph.printer import brief, explicit
from symgraph.tensor import Tensor

__all__ = ["Rewrite", "Rewrites", "count_warning", "record", "recording", "warnings_given"]

#: A table of more rewrites than this shows the first ones and counts the others.
ROWS = 100


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
        return f"{self.pass_name}: {self.rule} [{self.contract}]: {self.change()}{where}"

    def change(self, width: int = 80) -> str:
        """``before -> after``, each in at most ``width`` characters.

        Where people would read both as the same (a broadcast became implicit, a number was folded)
        the operations are named instead.
        """
        before, after = brief(self.before, width), brief(self.after, width)
        if before == after:
            before, after = explicit(self.before, width), explicit(self.after, width)
        return f"{before} -> {after}"


class Rewrites(tuple[Rewrite, ...]):
    """The rewrites of a compilation in the order in which they were made: a tuple with questions.

    ``str()`` is a table with a row for each.

    >>> import symgraph as sg
    >>> x = sg.vector("x")
    >>> f = sg.function([x], sg.log(1 + sg.exp(x)), backend="reference")
    >>> sum(f.rewrites.counts().values())
    1
    >>> [brief(r.after) for r in f.rewrites.by(contract="stabilising")]
    ['softplus(x)']
    """

    __slots__ = ()

    def by(
        self,
        rule: str | None = None,
        contract: str | None = None,
        pass_name: str | None = None,
        line: str | int | UserLine | None = None,
    ) -> Rewrites:
        """The rewrites that fit all that is given.

        ``line`` is a number, a place such as ``"model.py:12"``, or a node's :class:`UserLine`.

        Raises:
            UsageError: a contract that does not exist, or a line that is none of these.
        """
        if contract is not None and contract not in CONTRACTS:
            raise UsageError(
                f"rewrites.by: contract={contract!r} is none of {', '.join(CONTRACTS)}"
            )
        if line is not None and not isinstance(line, (int, str, UserLine)):
            raise UsageError(
                f"rewrites.by: line={line!r} is not a number, a place such as 'model.py:12', nor a "
                "node's line"
            )
        return Rewrites(
            r
            for r in self
            if rule in (None, r.rule)
            and contract in (None, r.contract)
            and pass_name in (None, r.pass_name)
            and (line is None or _is_at(r.line, line))
        )

    def counts(self) -> dict[str, int]:
        """How often each rule fired, in order of first use."""
        return dict(Counter(r.rule for r in self))

    @overload
    def __getitem__(self, place: SupportsIndex) -> Rewrite: ...
    @overload
    def __getitem__(self, place: slice) -> Rewrites: ...
    def __getitem__(self, place: SupportsIndex | slice) -> Rewrite | Rewrites:
        if isinstance(place, slice):
            return Rewrites(super().__getitem__(place))
        return super().__getitem__(place)

    def __str__(self) -> str:
        if not self:
            return "no rewrites"
        head = ("pass", "rule", "contract", "line", "rewrite")
        shown = [_row(r) for r in self[:ROWS]]
        widths = [max(len(row[k]) for row in (head, *shown)) for k in range(4)]
        lines = [
            "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[4]])
            for row in (head, *shown)
        ]
        if len(self) > ROWS:
            lines.append(f"... and {len(self) - ROWS} more")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<{len(self)} rewrites by {len(self.counts())} rules>"


def _row(r: Rewrite) -> tuple[str, ...]:
    return r.pass_name, r.rule, r.contract, str(r.line or ""), r.change(64)


def _is_at(found: UserLine | None, wanted: str | int | UserLine) -> bool:
    if found is None:
        return False
    return found.line == wanted if isinstance(wanted, int) else str(found) == str(wanted)


class _State(threading.local):
    log: list[Rewrite] | None = None
    warnings: int = 0


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


def record(rewrites: Iterable[Rewrite]) -> None:
    """Hand the rewrites of a pass to whoever is recording."""
    if _state.log is not None:
        _state.log.extend(rewrites)


def count_warning() -> None:
    """A pass has warned the user."""
    _state.warnings += 1


def warnings_given() -> int:
    """How often passes have warned in this thread: what warned is not kept as if it were sound."""
    return _state.warnings
