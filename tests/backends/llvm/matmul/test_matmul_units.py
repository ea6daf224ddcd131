"""`matmul.units`: units cover C once, and every way of dealing them out gives the same bits."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from symgraph.backends.llvm.jit import Library
from symgraph.backends.llvm.matmul import MatmulKernel, argument_table, call, units
from symgraph.backends.llvm.matmul.units import SIDE
from symgraph.sizes import evaluate, symbol, symbols_of

Array = NDArray[Any]
Compiled = Callable[[str, int], tuple[Library, MatmulKernel]]

SHAPES = ((1, 300, 40), (300, 1, 40), (97, 145, 33), (40, 260, 900), (260, 49, 7))
DTYPES = {"float": np.float32, "double": np.float64, "i32": np.int32}


def count(m: int, n: int, batch: int = 1) -> int:
    """The units of a product of known sizes."""
    found = units(m, n, batch)
    assert isinstance(found, int)
    return found


def test_numbers_of_units() -> None:
    assert [count(m, n) for m, n in ((1, 1), (48, 48), (49, 48), (97, 145))] == [1, 1, 2, 12]
    assert count(49, 1, 6) == 12
    assert count(0, 5) == count(5, 0) == count(5, 5, 0) == 0


def test_symbolic_units() -> None:
    m, n = symbol("m"), symbol("n")
    total = units(m, n, 2)
    values = {atom: {"m": 97, "n": 145}[atom.name] for atom in symbols_of(total)}
    assert evaluate(total, values) == 24


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("scalar", DTYPES)
def test_split_never_shows(
    scalar: str, bits: int, shape: tuple[int, int, int], compiled: Compiled
) -> None:
    rng, (m, n, k) = np.random.default_rng(20), shape
    a, b, before = (
        (8 * rng.standard_normal(s)).astype(DTYPES[scalar]) for s in ((2, m, k), (k, n), (2, m, n))
    )
    total, product = count(m, n, 2), compiled(scalar, bits)
    plain = before.copy()
    call(*product, plain, a, b, accumulate=True)
    for cuts in (list(range(1, total)), [total // 2], [1, total - 1]):
        for order in ((0, 1, 2), (0, 2, 1)):
            shape3 = [before.shape[i] for i in order]
            c = np.empty(shape3, before.dtype).transpose(order)
            c[...] = before
            call(*product, c, a, b, accumulate=True, cuts=cuts)
            assert c.tobytes() == plain.tobytes()


def test_a_range_writes_its_units_only(bits: int, compiled: Compiled) -> None:
    lib, kernel = compiled("double", bits)
    c, a, b = np.full((100, 150), 7.0), np.ones((100, 3)), np.ones((3, 150))
    memory = np.empty(kernel.workspace_bytes + 64, np.uint8)
    table = argument_table(kernel, c, a, b, memory[-memory.ctypes.data % 64 :])
    run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(
        lib.address(kernel.name)
    )
    down = -(-100 // SIDE)
    assert run(table.ctypes.data, 2, 2 * down + 1) == 0
    expected = np.full((100, 150), 7.0)
    expected[2 * SIDE :, :SIDE] = expected[:, SIDE : 2 * SIDE] = 3
    expected[:SIDE, 2 * SIDE : 3 * SIDE] = 3
    np.testing.assert_array_equal(c, expected)
