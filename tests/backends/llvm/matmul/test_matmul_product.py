"""`matmul.product`: which products are turned, so that rows of C lie along memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from symgraph.backends.llvm.builder import Builder, Module
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.matmul import MatmulKernel, argument_table
from symgraph.backends.llvm.matmul.blocking import blocking
from symgraph.backends.llvm.matmul.product import Table, turned

Array = NDArray[Any]
Open = Callable[[Module, int], Any]
PLACE = ["c", "a", "b", "row", "rows", "col", "cols"]


def seen(
    c: Array, a: Array, b: Array, rectangle: list[int], fused: int, target: Target, opened: Open
) -> list[int]:
    """Byte offsets of C, A, B, then M, N, K, the six strides, row and col as `turned` has them."""
    module, blk = Module(), blocking("double", target)
    pointers = [("ptr", "out"), ("ptr", "args"), *(("ptr", p) for p in PLACE[:3])]
    numbers = [("i64", p) for p in PLACE[3:]]
    f = Builder(module, "f", "void", [*pointers, *numbers, ("i1", "fused")])
    p = turned(f, Table(f, f.args[1]), f.args[2:9], [f.args[1], f.args[9]], blk)
    places = [f.emit("i64", f"ptrtoint {x} to i64") for x in (p.c, p.a, p.b)]
    sizes = [p.m, p.n, p.k, p.a_row, p.a_col, p.b_row, p.b_col, p.c_row, p.c_col, p.row, p.col]
    for i, value in enumerate([*places, *sizes]):
        f.store(value, f.gep("i64", f.args[0], i))
    f.ret()
    kernel = MatmulKernel("f", "double", "double", 64, 0)
    table, out = argument_table(kernel, c, a, b, np.zeros(64, np.uint8)), np.zeros(14, np.int64)
    opened(module, target.vector_bits)("f", out, table, c, a, b, *rectangle, fused)
    found = [int(x) for x in out]
    firsts = {int(x.ctypes.data): x.nbytes for x in (c, a, b)}
    for i in range(3):
        start = max(s for s in firsts if s <= found[i])
        found[i] -= start
    return found


@pytest.mark.parametrize("fused", [0, 1])
def test_c_by_columns_is_turned_unless_an_epilogue_follows(
    fused: int, target: Callable[[int], Target], opened: Open
) -> None:
    c, a, b = np.zeros((5, 4)).T, np.zeros((4, 3)), np.zeros((3, 5))
    found = seen(c, a, b, [1, 2, 3, 2], fused, target(128), opened)
    corner = 8 * (3 * 4 + 1)
    if fused:
        assert found == [corner, 24, 24, 2, 2, 3, 3, 1, 5, 1, 1, 4, 1, 3]
    else:
        assert found == [corner, 24, 24, 2, 2, 3, 1, 5, 1, 3, 4, 1, 3, 1]


def test_c_by_rows_stays(target: Callable[[int], Target], opened: Open) -> None:
    c, a, b = np.zeros((4, 5)), np.zeros((4, 3)), np.zeros((3, 5))
    found = seen(c, a, b, [1, 2, 3, 2], 0, target(128), opened)
    assert found == [8 * (5 + 3), 24, 24, 2, 2, 3, 3, 1, 5, 1, 5, 1, 1, 3]


def test_a_column_becomes_a_row(target: Callable[[int], Target], opened: Open) -> None:
    c, a, b = np.zeros((4, 1)), np.zeros((4, 3)), np.zeros((3, 1))
    found = seen(c, a, b, [0, 4, 0, 1], 0, target(128), opened)
    assert found[3:6] == [1, 4, 3]
    assert found[6:12] == [1, 1, 1, 3, 1, 1]
