"""Block sizes of the matrix product and the register tile's place, by scalar and target."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from ..jit import Target

__all__ = ["FLOAT_BITS", "Blocking", "blocking"]

FLOAT_BITS = {"float": 32, "double": 64}
INTEGER_BITS = {"i1": 8, "i8": 8, "i16": 16, "i32": 32, "i64": 64}  # as stored
MASK_BITS = {512: 8, 256: 32}  # narrowest scalar with masked loads, by vector width


@dataclass(frozen=True, slots=True)
class Blocking:
    """Sizes count scalars unless they say bytes; offsets are bytes from the start of the workspace.

    A register tile is ``rows`` x ``vectors * lanes``; ``mc`` x ``kc`` of A meet ``kc`` x ``nc`` of
    B (packed if need be). The vector path works on ``chunk`` results and ``run`` steps of K at a
    time and keeps ``partials`` sums per result, ``group`` consecutive steps of K going to one of
    them.
    """

    scalar: str
    storage: str
    bits: int
    lanes: int
    fused: bool
    masks: bool
    rows: int
    vectors: int
    mc: int
    kc: int
    nc: int
    group: int
    partials: int
    chunk: int = 512
    run: int = 4096
    strip: int = 32

    @property
    def width(self) -> int:
        """Columns of the register tile."""
        return self.vectors * self.lanes

    @property
    def size(self) -> int:
        """Bytes of one scalar in memory."""
        return self.bits // 8

    @property
    def is_float(self) -> bool:
        return self.scalar in FLOAT_BITS

    @property
    def masked_edges(self) -> bool:
        """Whether the register tile masks its edge: where masks are fast and cost no register."""
        return self.masks and self.lanes * self.bits == 512

    @property
    def tile_at(self) -> int:
        """A register tile on its way to C."""
        return 0

    @property
    def panel_at(self) -> int:
        """What follows the tile: packed panels of B, and more (see `workspace`)."""
        return _aligned((self.rows + 1) * self.width * self.size)

    @property
    def strip_rows(self) -> int:
        """Rows of A packed together: whole register tiles, and whole panels as for B."""
        return math.lcm(self.rows, self.width)


def _aligned(size: int) -> int:
    return -(-size // 64) * 64


def _tile(scalar: str, bits: int, registers: int, fused: bool) -> tuple[int, int]:
    """Rows and vectors of a register tile: as many sums as registers allow beside the operands.

    4 x 3 would also fit 16 registers, but leaves none to spare, and LLVM then copies without end.
    """
    if scalar not in FLOAT_BITS:
        return (4, 1) if bits == 8 else (4, 2)
    if registers == 32:
        return 8, 3
    return (6, 2) if fused else (4, 2)


@functools.cache
def blocking(scalar: str, target: Target) -> Blocking:
    """The block sizes for ``float``, ``double``, ``i1`` (stored as bytes), ``i8`` ... ``i64``.

    Raises ValueError for another scalar.
    """
    bits = FLOAT_BITS.get(scalar) or INTEGER_BITS.get(scalar)
    if bits is None:
        raise ValueError(
            f"matmul: no kernel for scalar {scalar!r}; use float, double, i1 or i8 to i64"
        )
    fused = bool({"+fma", "+neon"} & set(target.features.split(",")))
    lanes = target.vector_bits // bits
    rows, vectors = _tile(scalar, bits, target.registers, fused)
    is_float = scalar in FLOAT_BITS
    width = vectors * lanes
    group = min(4, lanes) if is_float else 4
    return Blocking(
        scalar=scalar,
        storage="i8" if scalar == "i1" else scalar,
        bits=bits,
        lanes=lanes,
        fused=fused,
        masks=bits >= MASK_BITS.get(target.vector_bits, 1 << 10),
        rows=rows,
        vectors=vectors,
        mc=96,
        kc=(3072 if target.vector_bits == 512 else 2048) // max(bits // 8, 4),
        nc=max(1, 528 // width) * width,
        group=group,
        partials=2 * lanes // group if is_float else 1,
    )
