"""The arena: where every stored variable lives, reusing the room of those no longer needed."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

from symgraph.sizes import Dim, lower_bound, maximum

__all__ = ["Arena", "Block"]

ALIGNMENT = 64


@dataclass(slots=True)
class Block:
    """A piece of the arena: ``bytes`` long (rounded up to the alignment when placed)."""

    bytes: Dim
    index: int
    scratch: bool = False


@dataclass(slots=True)
class Arena:
    """Blocks in order; ``free`` ones may be taken by requests that provably fit.

    Scratch of single steps has blocks of its own: a small variable that lives long must not sit in
    the large workspace that the next step needs again. Such a block grows to the largest request.
    """

    blocks: list[Block] = field(default_factory=list)
    variables: dict[Dim, list[Block]] = field(default_factory=dict)
    workspaces: dict[Dim, list[Block]] = field(default_factory=dict)

    def take(self, size: Dim, scratch: bool = False) -> Block:
        """A block of at least ``size`` bytes."""
        free = self.workspaces if scratch else self.variables
        same = free.get(size)
        if same:
            return same.pop()
        best: Block | None = None
        for blocks in free.values():
            if (
                blocks
                and _fits(size, blocks[-1].bytes)
                and (best is None or _fits(blocks[-1].bytes, best.bytes))
            ):
                best = blocks[-1]
        if best is None and scratch:
            best = next((blocks[-1] for blocks in free.values() if blocks), None)
        if best is not None:
            free[best.bytes].remove(best)
            best.bytes = maximum(best.bytes, size)
            return best
        block = Block(size, len(self.blocks), scratch)
        self.blocks.append(block)
        return block

    def release(self, block: Block) -> None:
        """Nobody reads the block any more."""
        free = self.workspaces if block.scratch else self.variables
        free.setdefault(block.bytes, []).append(block)


@functools.lru_cache(maxsize=4096)
def _fits(size: Dim, room: Dim) -> bool:
    gap = lower_bound(room - size)
    return gap is not None and gap >= 0
