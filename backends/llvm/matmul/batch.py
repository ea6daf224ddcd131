"""Batch entries of a product: where each begins, and which comes next."""

from __future__ import annotations

from dataclasses import dataclass

from ..builder import Builder, Value
from . import abi
from .blocking import Blocking
from .lanes import at
from .product import Table

__all__ = ["Batch", "batch_of"]


@dataclass(frozen=True, slots=True)
class Batch:
    """The batch axes as values of a function: their extents, and C, A and B along them."""

    places: tuple[Value, ...]
    strides: tuple[tuple[Value, ...], ...]
    extents: list[Value]
    storage: str

    def entry(self, b: Builder, indices: list[Value]) -> tuple[Value, Value, Value]:
        """Where C, A and B of one batch entry begin."""
        c, a, right = (
            at(b, place, *zip(indices, by, strict=True), element=self.storage)
            for place, by in zip(self.places, self.strides, strict=True)
        )
        return c, a, right

    def following(self, b: Builder, indices: list[Value]) -> list[Value]:
        """The indices of the next batch entry."""
        carry, out = b.i64(1), list[Value]()
        for index, extent in zip(reversed(indices), reversed(self.extents), strict=True):
            moved = b.add(index, carry)
            full = b.icmp("eq", moved, extent)
            out.insert(0, b.select(full, b.i64(0), moved))
            carry = b.select(full, b.i64(1), b.i64(0))
        return out


def batch_of(table: Table, blk: Blocking) -> Batch:
    """The batch axes of an argument table."""
    axes = range(abi.BATCH_AXES)
    firsts = (abi.C_BATCH, abi.A_BATCH, abi.B_BATCH)
    return Batch(
        tuple(table.pointer(p) for p in (abi.C, abi.A, abi.B)),
        tuple(tuple(table.integer(first + i) for i in axes) for first in firsts),
        [table.integer(abi.BATCH_EXTENT + i) for i in axes],
        blk.storage,
    )
