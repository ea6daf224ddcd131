"""Integer products wrap around, boolean products are any-of-both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from symgraph.backends.llvm.jit import Library
from symgraph.backends.llvm.matmul import MatmulKernel, call

Array = NDArray[Any]
Compiled = Callable[[str, int], tuple[Library, MatmulKernel]]
LaidOut = Callable[[Array, str, int, Any], tuple[Array, Array]]

INTEGERS: dict[str, type[np.signedinteger[Any]]] = {
    "i8": np.int8,
    "i16": np.int16,
    "i32": np.int32,
    "i64": np.int64,
}
SHAPES = ((1, 1, 9), (1, 70, 33), (70, 1, 33), (5, 7, 3), (33, 140, 20), (21, 9, 600))


@pytest.mark.parametrize("scalar", INTEGERS)
def test_integers_wrap_around(
    scalar: str, bits: int, layout: str, compiled: Compiled, laid_out: LaidOut
) -> None:
    rng, dtype = np.random.default_rng(8), INTEGERS[scalar]
    span = np.iinfo(dtype)
    for m, n, k in SHAPES:
        a, b, before = (
            rng.integers(span.min, span.max, s, dtype, endpoint=True)
            for s in ((m, k), (k, n), (m, n))
        )
        c, _ = laid_out(before, layout, 0, 0)
        call(*compiled(scalar, bits), c, laid_out(a, layout, 1, 1)[0], b, accumulate=True)
        np.testing.assert_array_equal(c, np.einsum("ik,kj->ij", a, b) + before)


def test_booleans(bits: int, layout: str, compiled: Compiled, laid_out: LaidOut) -> None:
    rng = np.random.default_rng(9)
    for m, n, k in SHAPES:
        a, b, before = (rng.random(s) < 0.2 for s in ((m, k), (k, n), (m, n)))
        c, _ = laid_out(before, layout, 0, False)
        call(*compiled("i1", bits), c, a, laid_out(b, layout, 1, True)[0])
        np.testing.assert_array_equal(c, a @ b)
        c[...] = before
        call(*compiled("i1", bits), c, a, b, accumulate=True)
        np.testing.assert_array_equal(c, (a @ b) | before)
