"""`matmul.microkernel`: one register tile of C, of every height and width."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from symgraph.backends.llvm.builder import Module
from symgraph.backends.llvm.jit import Target, assembly
from symgraph.backends.llvm.matmul.blocking import blocking
from symgraph.backends.llvm.matmul.microkernel import emit_microkernels

DTYPES = {"float": np.float32, "double": np.float64, "i32": np.int32}


@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize("scalar", DTYPES)
def test_tiles(
    scalar: str,
    accumulate: int,
    bits: int,
    target: Callable[[int], Target],
    opened: Callable[[Module, int], Any],
) -> None:
    rng, module, blk = np.random.default_rng(31), Module(), blocking(scalar, target(bits))
    names, dtype = emit_microkernels(module, blk), DTYPES[scalar]
    run = opened(module, bits)
    for vectors, name in enumerate(names, 1):
        width = vectors * blk.lanes
        for rows, depth in ((1, 3), (blk.rows, 66), (blk.rows - 1, 0)):
            cols = width - 1 if blk.masked_edges else width
            a = rng.integers(-9, 9, (blk.rows, depth)).astype(dtype)
            b = rng.integers(-9, 9, (depth + 1, width)).astype(dtype)
            c = np.full((blk.rows, width + 2), 7, dtype)
            expected = c.copy()
            expected[:rows, :cols] = a[:rows] @ b[:depth, :cols] + 7 * accumulate
            run(name, depth, a, depth, 1, rows, b, width, cols, c, width + 2, accumulate)
            np.testing.assert_array_equal(c, expected)


@pytest.mark.parametrize("scalar", ["float", "double"])
def test_sums_stay_in_registers(scalar: str, bits: int, target: Callable[[int], Target]) -> None:
    module, blk = Module(), blocking(scalar, target(bits))
    name = emit_microkernels(module, blk)[-1]
    text = assembly(str(module).replace("define internal", "define"), target(bits))
    body = text.split(f"\n{name}:\n")[1].split(".Lfunc_end")[0]
    products = ("vfmadd", "mulps", "mulpd", "fmla")
    hot = max(body.split(".LBB"), key=lambda part: sum(part.count(word) for word in products))
    assert "rsp" not in hot
