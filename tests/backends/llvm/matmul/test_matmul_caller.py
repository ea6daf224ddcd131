"""`matmul.caller` and `matmul.abi`: the argument table of a product."""

from __future__ import annotations

import numpy as np
import pytest

from symgraph.backends.llvm.matmul import MatmulKernel, abi, argument_table

KERNEL = MatmulKernel("f", "float", "float", 128, 2)


def test_every_entry() -> None:
    a, b = np.zeros((2, 1, 4, 3), np.float32), np.zeros((7, 3, 5), np.float32)[:, ::-1]
    c, room = np.zeros((2, 7, 4, 5), np.float32), np.zeros(128, np.uint8)
    table = argument_table(KERNEL, c, a, b, room, accumulate=True, extra=[8, 9])
    assert len(table) == KERNEL.entries == abi.EXTRA + 2
    assert list(table[:3]) == [x.ctypes.data for x in (c, a, b)]
    assert list(table[abi.M : abi.K + 1]) == [4, 5, 3]
    assert list(table[abi.A_ROW : abi.C_COL + 1]) == [3, 1, -5, 1, 5, 1]
    assert table[abi.WORKSPACE] == room.ctypes.data
    assert list(table[abi.ACCUMULATE : abi.BATCH + 1]) == [1, 14]
    assert list(table[abi.BATCH_EXTENT :][:3]) == [1, 2, 7]
    assert list(table[abi.A_BATCH :][:3]) == [0, 12, 0]
    assert list(table[abi.B_BATCH :][:3]) == [0, 0, 15]
    assert list(table[abi.C_BATCH :][:3]) == [0, 140, 20]
    assert list(table[abi.EXTRA :]) == [8, 9]


def test_too_many_batch_axes() -> None:
    c, a = np.empty((2, 3, 4, 5, 6, 7), np.float32), np.empty((6, 7), np.float32)
    with pytest.raises(ValueError, match=r"4 batch axes in \(2, 3, 4, 5, 6, 7\); at most 3"):
        argument_table(KERNEL, c, a, a, np.empty(128, np.uint8))
