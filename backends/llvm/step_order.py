"""A topological order of steps that is kept up to date while steps grow and merge.

The incremental algorithm of Pearce and Kelly (2006): every step has a rank above the ranks of what
it reads; an edge that breaks this reorders only the steps ranked between its ends. Questions about
dependence therefore look at few steps, whatever the size of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

__all__ = ["StepOrder"]

S = TypeVar("S", bound=Hashable)


class StepOrder(Generic[S]):
    """Ranks of steps; ``reads(step)`` gives the steps one reads from."""

    def __init__(self, reads: Callable[[S], Iterable[S]]) -> None:
        self.reads = reads
        self.rank: dict[S, int] = {}
        self.readers: dict[S, dict[S, None]] = {}
        self._next = 0

    def append(self, step: S, read: Iterable[S]) -> None:
        """A new step, after all others."""
        self.rank[step] = self._next
        self._next += 1
        self.readers[step] = {}
        for r in read:
            self.readers[r][step] = None

    def depends(self, step: S, on: S) -> bool:
        """Whether ``step`` depends on ``on`` (or is it)."""
        return step is on or (self.rank[step] > self.rank[on] and self._search([step], on))

    def depends_indirectly(self, step: S, on: S) -> bool:
        """Whether ``step`` depends on ``on`` through a third step."""
        return self._search([r for r in self.reads(step) if r is not on and r is not step], on)

    def _search(self, starts: Iterable[S], goal: S) -> bool:
        floor = self.rank[goal]
        stack, seen = list(starts), set[S]()
        while stack:
            s = stack.pop()
            if s is goal:
                return True
            if s not in seen and self.rank[s] > floor:
                seen.add(s)
                stack.extend(self.reads(s))
        return False

    def connect(self, read: Iterable[S], step: S) -> None:
        """``step`` now reads these too (none of which depends on it)."""
        for r in dict.fromkeys(read):
            self.readers[r][step] = None
            if self.rank[r] > self.rank[step]:
                self._reorder(r, step)

    def _reorder(self, before: S, after: S) -> None:
        low, high = self.rank[after], self.rank[before]
        back = self._region(before, self.reads, lambda k: k >= low)
        ahead = self._region(after, lambda s: self.readers[s], lambda k: k <= high)
        pool = sorted(self.rank[s] for s in (*back, *ahead))
        for s, k in zip([*back, *ahead], pool, strict=True):
            self.rank[s] = k

    def _region(
        self, start: S, step: Callable[[S], Iterable[S]], inside: Callable[[int], bool]
    ) -> list[S]:
        found: dict[S, None] = {start: None}
        stack = [start]
        while stack:
            for n in step(stack.pop()):
                if n not in found and inside(self.rank[n]):
                    found[n] = None
                    stack.append(n)
        return sorted(found, key=self.rank.__getitem__)

    def contract(self, kept: S, gone: S) -> None:
        """``gone`` has become part of ``kept``; ``reads`` already answers for the union."""
        rank, readers = self.rank.pop(gone), self.readers.pop(gone)
        self.rank[kept] = min(self.rank[kept], rank)
        for r in readers:
            if r is not kept:
                self.readers[kept][r] = None
        self.readers[kept].pop(gone, None)
        for r in self.reads(kept):
            self.readers[r].pop(gone, None)
        self.connect([r for r in self.reads(kept) if r is not kept], kept)

    def steps(self) -> list[S]:
        """All steps in order."""
        return sorted(self.rank, key=self.rank.__getitem__)
