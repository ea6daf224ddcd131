"""Where every stored variable of a program lives: in outputs, shared variables or the arena."""

from __future__ import annotations

import functools
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from symgraph.backends.llvm.kernel import Call
from symgraph.backends.llvm.loops import PointerParam
from symgraph.backends.llvm.memory import ALIGNMENT, Arena, Block
from symgraph.backends.llvm.runtime.program import Base
from symgraph.backends.llvm.slots import upper_bound
from symgraph.functions import SharedVariable
from symgraph.ops import index
from symgraph.sizes import Dim, product
from symgraph.sizes import Size as SymbolicSize
from symgraph.tensor import Tensor

__all__ = ["ARENA", "Placement"]

ARENA = Base("arena")
TINY = 1 << 12  # bytes of a result whose memory is not worth sharing: every call sets its address


@dataclass(frozen=True, slots=True)
class _Room:
    """The memory of result ``index``: free for others until call ``written`` makes ``node``."""

    index: int
    node: Tensor
    written: int


class Placement:
    """Gives each variable a ``base`` and, in the arena, a ``block``; each call its ``scratch``.

    ``cell`` numbers a shared variable; ``resizes`` says whether sizes are found out between calls.
    """

    def __init__(
        self,
        calls: Sequence[Call],
        results: Sequence[Tensor],
        updates: dict[SharedVariable, Tensor],
        cell: Callable[[SharedVariable], int],
        resizes: bool,
        threads: int,
    ) -> None:
        self.calls, self.results, self.updates = calls, results, updates
        self.cell, self.resizes, self.threads = cell, resizes, threads
        self.base: dict[Tensor, Base] = {}
        self.block: dict[Tensor, Block] = {}
        self.scratch: dict[int, list[Block]] = {}
        self.arena = Arena()
        #: the addresses among the parameters of each call
        self.pointers = [[p for p in c.params if isinstance(p, PointerParam)] for c in calls]
        self.writers, self.readers = self.users("write"), self.users("read")
        self.last_checked = max((k for k, c in enumerate(calls) if c.checked), default=-1)
        self.run()

    def bytes_of(self, node: Tensor) -> Dim:
        if node.op is index.nonzero:
            return (upper_bound(node.inputs[0].shape[0]) + 1) * node.dtype.itemsize
        return _bytes(node.shape, node.dtype.itemsize)

    def run(self) -> None:
        """Place outputs, updated variables, then blocks of the arena by lifetime."""
        for k, node in enumerate(self.results):
            if not any(isinstance(d, SymbolicSize) and d.counts for d in node.shape):
                self.base[node] = Base("output", k)
        for variable, value in self.updates.items():
            if value not in self.base and self.in_place(variable, value):
                self.base[value] = Base("shared", self.cell(variable))
        last = self.last_uses()
        self.share_results(last)
        releases: dict[int, list[Block]] = {}
        for k, pointers in enumerate(self.pointers):
            for p in pointers:
                if p.role in ("write", "scratch"):
                    self.place_param(k, p, last, releases)
            for block in releases.pop(k, []):
                self.arena.release(block)
            for block in self.scratch.get(k, []):
                self.arena.release(block)

    def place_param(
        self, k: int, p: PointerParam, last: dict[Tensor, int], releases: dict[int, list[Block]]
    ) -> None:
        if p.role == "scratch":
            size = self.scratch_bytes(p) * self.ranges(self.calls[k])
            self.scratch.setdefault(k, []).append(self.arena.take(size, True))
        elif p.node is not None and p.node not in self.base:
            size = self.bytes_of(p.node)
            block = self.inherited(k, p.node, size, last, releases) or self.arena.take(size)
            self.base[p.node] = ARENA
            self.block[p.node] = block
            releases.setdefault(last[p.node], []).append(block)

    def inherited(
        self,
        k: int,
        node: Tensor,
        size: Dim,
        last: dict[Tensor, int],
        releases: dict[int, list[Block]],
    ) -> Block | None:
        """The block of an operand that call ``k`` reads for the last time, only where it writes."""
        for p in self.pointers[k]:
            if p.role != "read" or p.node is None:
                continue
            block = self.block.get(p.node)
            if block is None or last[p.node] != k or block.bytes != size:
                continue
            free = releases.get(k, [])
            if any(b is block for b in free) and self.overwrites(k, node, p.node):
                releases[k] = [b for b in free if b is not block]
                return block
        return None

    def overwrites(self, k: int, node: Tensor, operand: Tensor) -> bool:
        """Whether call ``k`` may write ``node`` where ``operand`` stands."""
        if operand.dtype.itemsize != node.dtype.itemsize:
            return False
        starts = all(
            p.offset == 0 for p in self.pointers[k] if p.role == "write" and p.node is node
        )
        return starts and self.calls[k].aligned(operand, node)

    def share_results(self, last: dict[Tensor, int]) -> None:
        """Let the memory of results serve others of the same size until it is written.

        From the last call to the first: what ends latest goes in first, so that of a chain every
        other link does. Tiny results are left alone, since every call sets such an address.
        """
        rooms: dict[Dim, list[_Room]] = {}
        for place, node in enumerate(self.results):
            size = self.bytes_of(node)
            tiny = isinstance(size, int) and size < TINY
            if not tiny and node in self.writers and self.base.get(node) == Base("output", place):
                rooms.setdefault(size, []).append(_Room(place, node, self.writers[node][0]))
        if not rooms:
            return
        for same in rooms.values():
            same.sort(key=_written)
        firsts = ((node, at[0]) for node, at in self.writers.items())
        for node, k in sorted(firsts, key=lambda item: -item[1]):
            if node not in self.base:
                self.enter(node, k, last[node], rooms.get(self.bytes_of(node), []))

    def enter(self, node: Tensor, first: int, end: int, rooms: list[_Room]) -> None:
        """Put what lives from call ``first`` to ``end`` into the room that is needed soonest after
        that, if there is one; ``rooms`` are in the order in which they are needed.
        """
        at = bisect_left(rooms, end, key=_written)
        while at < len(rooms) and rooms[at].written == end:
            if self.overwrites(end, rooms[at].node, node):
                break
            at += 1
        if at < len(rooms):
            room = rooms.pop(at)
            self.base[node] = Base("output", room.index)
            insort(rooms, _Room(room.index, node, first), key=_written)

    def users(self, role: str) -> dict[Tensor, list[int]]:
        """The calls that read (or write) each variable, in order."""
        found: dict[Tensor, list[int]] = {}
        for k, pointers in enumerate(self.pointers):
            for p in pointers:
                if p.role == role and p.node is not None:
                    calls = found.setdefault(p.node, [])
                    if not calls or calls[-1] != k:
                        calls.append(k)
        return found

    def ranges(self, call: Call) -> int:
        """How many threads may share out a call, each with scratch memory of its own."""
        return self.threads if call.units != 1 and call.work != 0 else 1

    def scratch_bytes(self, p: PointerParam) -> Dim:
        """The scratch memory of one thread; with several, each begins at an aligned address."""
        size = upper_bound(p.bytes)
        return (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT if self.threads > 1 else size

    def last_uses(self) -> dict[Tensor, int]:
        """The last step that touches each variable; those read at the end live to the end."""
        last: dict[Tensor, int] = {}
        for k, pointers in enumerate(self.pointers):
            for p in pointers:
                if p.node is not None:
                    last[p.node] = k
        for node in (*self.results, *self.updates.values()):
            last[node] = len(self.calls)
        return last

    def in_place(self, variable: SharedVariable, value: Tensor) -> bool:
        """Whether the new value may overwrite the old: nothing reads that later, nothing can
        fail."""
        writers, readers = self.writers.get(value, []), self.readers.get(variable, [])
        if len(writers) != 1 or self.resizes:
            return False
        (at,) = writers
        if self.last_checked >= at or (readers and readers[-1] > at):
            return False
        # an argument that is the memory of the variable is copied when the call begins
        return at not in readers or self.calls[at].aligned(variable, value)


@functools.lru_cache(maxsize=4096)
def _bytes(shape: tuple[Dim, ...], size: int) -> Dim:
    """The most bytes that elements of ``size`` bytes take."""
    return upper_bound(product(shape)) * size


def _written(room: _Room) -> int:
    return room.written
