"""The arena: where every stored variable lives, reusing the room of those no longer needed."""

from __future__ import annotations

from dataclasses import dataclass, field

from symgraph.sizes import Dim, lower_bound

__all__ = ["Arena", "Block"]

ALIGNMENT = 64


@dataclass(slots=True)
class Block:
    """A piece of the arena: ``bytes`` long (rounded up to the alignment when placed)."""

    bytes: Dim
    index: int


@dataclass(slots=True)
class Arena:
    """Blocks in order; ``free`` ones may be taken by requests that provably fit."""

    blocks: list[Block] = field(default_factory=list)
    free: dict[Dim, list[Block]] = field(default_factory=dict)

    def take(self, size: Dim) -> Block:
        """A block of at least ``size`` bytes."""
        same = self.free.get(size)
        if same:
            return same.pop()
        best: Block | None = None
        for blocks in self.free.values():
            if (
                blocks
                and _fits(size, blocks[-1].bytes)
                and (best is None or _fits(blocks[-1].bytes, best.bytes))
            ):
                best = blocks[-1]
        if best is not None:
            self.free[best.bytes].remove(best)
            return best
        block = Block(size, len(self.blocks))
        self.blocks.append(block)
        return block

    def release(self, block: Block) -> None:
        """Nobody reads the block any more."""
        self.free.setdefault(block.bytes, []).append(block)


def _fits(size: Dim, room: Dim) -> bool:
    gap = lower_bound(room - size)
    return gap is not None and gap >= 0
