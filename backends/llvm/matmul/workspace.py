"""How much scratch memory a product needs, as a function of its sizes and strides.

The workspace of the general product: a register tile, panels of B, a strip of A, a block of sums
for an epilogue; each only where it is used, and no longer than the sizes ask for. That of the
vector path: sums, partial sums, gathered vectors, gathered rows of the matrix. The kernels compute
the places of the parts in the same way (`blocks`, `vecmat`).
"""

from __future__ import annotations

import functools

from symgraph.sizes import Dim, maximum, minimum

from ..jit import Target
from .blocking import Blocking, blocking

__all__ = [
    "ACROSS",
    "FAR_BYTES",
    "FEW_ROWS",
    "HOT_BYTES",
    "LARGE_BYTES",
    "OFTEN_ROWS",
    "PART",
    "REUSED_WIDTHS",
    "largest_workspace",
    "workspace_bytes",
]

LARGE_BYTES = 1 << 19  # a B up to this size is read where it lies
OFTEN_ROWS = 96  # and a larger one too, unless C has more rows than this
FAR_BYTES = 1 << 20  # columns of A are packed where the first and the last are so far apart
REUSED_WIDTHS = 4  # and used for more than so many register tiles
HOT_BYTES = 1 << 16  # a block of C up to this size need not go to C before an epilogue
PART = 64  # alignment of a part of the workspace
FEW_ROWS = 96  # of A at most, where it is packed in place of B (see `across`)
ACROSS = 48  # columns of C that are turned at a time

Strides = tuple[Dim, Dim]


@functools.lru_cache(maxsize=1024)
def workspace_bytes(
    scalar: str,
    target: Target,
    shape: tuple[Dim, Dim, Dim],
    left: Strides,
    right: Strides,
    *,
    fused: bool = False,
) -> Dim:
    """Bytes that one running product needs, aligned to 64.

    ``shape`` is M, N, K; ``left`` and ``right`` are the strides of A and B from row to row and from
    column to column, and C is stored by rows. ``fused``: with an epilogue. Sizes that are known
    only in a call give a size; it bounds all that such a call may need.
    """
    blk = blocking(scalar, target)
    m, n, _ = shape
    row, column = (isinstance(d, int) and d == 1 for d in (m, n))
    if row or column:
        return _line_bytes(blk, shape, left, right)
    found = _blocks_bytes(blk, shape, left, right, fused)
    if isinstance(m, int) and isinstance(n, int):
        return found
    return maximum(found, _line_bytes(blk, shape, left, right))


def largest_workspace(blk: Blocking, *, fused: bool) -> int:
    """Bytes that suffice for every product."""
    shape, apart = (1 << 40,) * 3, (1 << 40, 1 << 40)
    found = _blocks_bytes(blk, shape, (1, 1 << 40), apart, fused)
    lines = [_line_bytes(blk, s, apart, apart) for s in ((1, *shape[1:]), (1, 1, shape[2]))]
    few = _across_bytes(blk, (FEW_ROWS, *shape[1:]), (1, 1 << 40))
    most = [found, few, *lines]
    assert all(isinstance(x, int) for x in most), most
    return max(int(x) for x in most)


def _blocks_bytes(
    blk: Blocking, shape: tuple[Dim, Dim, Dim], a: Strides, b: Strides, fused: bool
) -> Dim:
    m, n, k = shape
    depth = minimum(k, blk.kc)
    total: Dim = blk.panel_at
    if _may_pack(blk, shape, b):
        total += depth * minimum(_whole(n, blk.width), blk.nc) * blk.size + 2 * PART
    if _may_pack_left(blk, shape, a):
        total += (depth * blk.strip_rows + blk.lanes) * blk.size + PART
    if fused:
        total += minimum(m * n * blk.size, HOT_BYTES) + PART
    return maximum(total, _across_bytes(blk, shape, b))


def _across_bytes(blk: Blocking, shape: tuple[Dim, Dim, Dim], b: Strides) -> Dim:
    """Packed rows of A, a block of sums, and that block turned; 0 where B is the one to pack."""
    (m, _, k), (row, col) = shape, b
    if not blk.is_float or _is(col, 1) or (isinstance(row, int) and row != 1):
        return 0
    if isinstance(m, int) and not blk.rows < m <= FEW_ROWS:
        return 0
    sizes = [d for d in shape if isinstance(d, int)]
    if len(sizes) == 3 and 2 * sizes[0] * (sizes[1] + sizes[2]) > sizes[1] * sizes[2]:
        return 0
    panels = minimum(k * _whole(m, blk.width) * blk.size, LARGE_BYTES)
    blocks = 2 * ACROSS * _whole(minimum(m, FEW_ROWS), blk.lanes) * blk.size
    return blk.panel_at + panels + blocks + 2 * PART


def _may_pack(blk: Blocking, shape: tuple[Dim, Dim, Dim], b: Strides) -> bool:
    m, n, k = shape
    if not _is(b[1], 1) or not (blk.masked_edges or (isinstance(n, int) and n % blk.lanes == 0)):
        return True
    small = _at_most(k * n * blk.size, LARGE_BYTES)
    return not (small or _at_most(m, OFTEN_ROWS))


def _may_pack_left(blk: Blocking, shape: tuple[Dim, Dim, Dim], a: Strides) -> bool:
    _, n, k = shape
    row, col = a
    if (isinstance(row, int) and row != 1) or _is(col, 1):
        return False
    return not (_at_most(col * k * blk.size, FAR_BYTES) or _at_most(n, REUSED_WIDTHS * blk.width))


def _line_bytes(blk: Blocking, shape: tuple[Dim, Dim, Dim], a: Strides, b: Strides) -> Dim:
    """One of the operands is a vector: A if it has one row, else B, which has one column."""
    m, n, k = shape
    held = minimum(k, blk.run)
    row, column = _is(m, 1), _is(n, 1)
    scalars: Dim = 0
    if not (row and column):
        pitch = minimum(_whole(maximum(m, n), blk.lanes), blk.chunk)
        scalars = (1 + blk.partials) * pitch + blk.lanes
        steps, (t_n, t_k) = (a[1], (b[1], b[0])) if row else (b[0], a)
        known = row or column
        if not (known and _is(steps, 1)):
            scalars += held
        if not (known and blk.masks and (_is(t_n, 1) or (blk.is_float and _is(t_k, 1)))):
            scalars += blk.strip * pitch
    if _may_be_one(m) and _may_be_one(n):
        near = _is(a[1], 1) and _is(b[0], 1)
        scalars = maximum(scalars, blk.lanes + (0 if near else 2 * held))
    return scalars * blk.size


def _may_be_one(d: Dim) -> bool:
    return not isinstance(d, int) or d == 1


def _whole(d: Dim, by: int) -> Dim:
    """``d`` rounded up to a multiple of ``by``; a bound of it where it is not known."""
    return -(-d // by) * by if isinstance(d, int) else d + by - 1


def _is(d: Dim, value: int) -> bool:
    return isinstance(d, int) and d == value


def _at_most(d: Dim, limit: int) -> bool:
    return isinstance(d, int) and d <= limit
