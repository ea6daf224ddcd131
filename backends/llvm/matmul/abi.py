"""What callers of a matrix-product kernel must know: the argument table, the epilogue, the result.

A kernel has the form of `kernel_function`: ``args`` points to 8-byte entries at the positions
below, `units` says how many units it has, and the answer is 0. Strides count elements (not bytes)
and may be zero or negative; pointers address element (0, 0) of batch entry 0. Operands must not
overlap C. BATCH is the product of the three batch extents (unused axes have extent 1); the last
batch axis varies fastest; a stride of 0 broadcasts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ..builder import Builder, Value

__all__ = [
    "A",
    "ACCUMULATE",
    "A_BATCH",
    "A_COL",
    "A_ROW",
    "B",
    "BATCH",
    "BATCH_AXES",
    "BATCH_EXTENT",
    "B_BATCH",
    "B_COL",
    "B_ROW",
    "C",
    "C_BATCH",
    "C_COL",
    "C_ROW",
    "EXTRA",
    "Epilogue",
    "K",
    "M",
    "MatmulKernel",
    "N",
    "WORKSPACE",
]

C, A, B = 0, 1, 2  # pointers: C is M x N, A is M x K, B is K x N
M, N, K = 3, 4, 5
A_ROW, A_COL = 6, 7  # elements from one row to the next, from one column to the next
B_ROW, B_COL = 8, 9
C_ROW, C_COL = 10, 11
WORKSPACE = (
    12  # pointer, 64-byte aligned, `MatmulKernel.workspace_bytes` long, not shared by threads
)
ACCUMULATE = 13  # 0: C = A @ B; 1: C = C + A @ B
BATCH = 14
BATCH_AXES = 3
BATCH_EXTENT = 15  # three entries, the slowest axis first
A_BATCH = 18  # three entries: strides of A along the batch axes
B_BATCH = 21
C_BATCH = 24
EXTRA = 27  # first of `extra_args` entries handed to the epilogue

Epilogue: TypeAlias = Callable[
    [Builder, Value, Value, Value, "Value | None", "list[Value]"],
    Value,
]
"""``epilogue(b, acc, row, col, lanes_mask, extra)`` gives what is stored in place of ``acc``.

``acc`` holds finished values of C at (``row``, ``col`` + lane); lanes off ``lanes_mask`` (a vector
of i1; None: all lanes count) are never stored, and memory must not be touched on their behalf.
``row`` and ``col`` are i64, counted within one batch entry; ``extra`` are the EXTRA entries as i64.
"""


@dataclass(frozen=True, slots=True)
class MatmulKernel:
    """An emitted kernel: its function, its scalar, and what its argument table must provide."""

    name: str
    scalar: str
    storage: str  # the LLVM type in memory: the scalar itself, or i8 for i1
    workspace_bytes: int
    extra_args: int

    @property
    def entries(self) -> int:
        """Length of the argument table."""
        return EXTRA + self.extra_args
