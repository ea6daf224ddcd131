"""`matmul.finish`: a tile on its way to C."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from symgraph.backends.llvm.builder import Module
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.matmul.abi import EXTRA
from symgraph.backends.llvm.matmul.blocking import blocking
from symgraph.backends.llvm.matmul.finish import emit_finish

Array = NDArray[Any]
LaidOut = Callable[[Array, str, int, Any], tuple[Array, Array]]


@pytest.mark.parametrize("accumulate", [0, 1])
def test_tile_to_any_layout(
    accumulate: int,
    bits: int,
    layout: str,
    target: Callable[[int], Target],
    laid_out: LaidOut,
    opened: Callable[[Module, int], Any],
) -> None:
    rng, module, blk = np.random.default_rng(34), Module(), blocking("double", target(bits))
    name = emit_finish(module, "f", blk, None, 0)
    run, args = opened(module, bits), np.zeros(EXTRA, np.int64)
    for rows, cols in ((3, blk.lanes), (1, 2 * blk.lanes + 1), (5, 1)):
        pitch = cols + blk.lanes
        tile, before = rng.standard_normal((rows, pitch)), rng.standard_normal((rows, cols))
        c, _ = laid_out(before, layout, 1, 0)
        strides = [s // 8 for s in c.strides]
        run(name, args, tile, pitch, c, *strides, rows, cols, 0, 0, accumulate, 1)
        np.testing.assert_array_equal(c, tile[:, :cols] + accumulate * before)


def test_epilogue_runs_for_finished_sums_only(
    bits: int, target: Callable[[int], Target], opened: Callable[[Module, int], Any]
) -> None:
    module, blk = Module(), blocking("double", target(bits))
    name = emit_finish(module, "f", blk, lambda b, acc, *_: b.fadd(acc, acc), 0)
    run, args = opened(module, bits), np.zeros(EXTRA, np.int64)
    tile, c = np.ones(2 * blk.lanes), np.zeros(blk.lanes)
    for last in (0, 1):
        run(name, args, tile, blk.lanes, c, blk.lanes, 1, 1, blk.lanes, 0, 0, 0, last)
        assert (c == 1 + last).all()
