"""`matmul.packing`: every item finds its place in its panel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from symgraph.backends.llvm.builder import Module
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.matmul.blocking import blocking
from symgraph.backends.llvm.matmul.packing import emit_pack

Array = NDArray[Any]
LaidOut = Callable[[Array, str, int, Any], tuple[Array, Array]]
DTYPES = {"float": np.float32, "double": np.float64, "i16": np.int16}


@pytest.mark.parametrize("of_a", [False, True], ids=["panel", "strip"])
@pytest.mark.parametrize("scalar", DTYPES)
def test_panels_hold_the_items(
    scalar: str,
    of_a: bool,
    bits: int,
    layout: str,
    target: Callable[[int], Target],
    laid_out: LaidOut,
    opened: Callable[[Module, int], Any],
) -> None:
    rng, module, blk = np.random.default_rng(30), Module(), blocking(scalar, target(bits))
    width = blk.strip_rows if of_a else blk.width
    name, dtype = emit_pack(module, blk, width), np.dtype(DTYPES[scalar])
    run = opened(module, bits)
    for count, depth in ((width, 40), (width + 3, 37), (1, 5), (2 * width, 1)):
        values = rng.integers(1, 100, (count, depth)).astype(dtype)
        source, _ = laid_out(values, layout, 1, 0)
        across, along = (s // dtype.itemsize for s in source.strides)
        room = np.zeros(-(-count // width) * width * depth + blk.lanes, dtype)
        run(name, source, across, along, count, depth, room)
        for w in range(count):
            panel = room[w // width * width * depth :]
            np.testing.assert_array_equal(panel[w % width :: width][:depth], values[w])
