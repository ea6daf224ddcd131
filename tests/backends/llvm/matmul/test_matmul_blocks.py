"""`matmul.blocks` and `matmul.driver`: packed operands, and what the kernels of a module share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from symgraph.backends.llvm.builder import Module
from symgraph.backends.llvm.jit import Library, Target
from symgraph.backends.llvm.matmul import MatmulKernel, call, emit_matmul
from symgraph.backends.llvm.matmul.blocking import blocking
from symgraph.backends.llvm.matmul.workspace import (
    FAR_BYTES,
    LARGE_BYTES,
    OFTEN_ROWS,
    REUSED_WIDTHS,
)

Array = NDArray[Any]
Compiled = Callable[[str, int], tuple[Library, MatmulKernel]]
DTYPES: dict[str, np.dtype[Any]] = {"float": np.dtype("f4"), "double": np.dtype("f8")}


@pytest.mark.parametrize("scalar", DTYPES)
def test_packing_never_shows(
    scalar: str, bits: int, target: Callable[[int], Target], compiled: Compiled
) -> None:
    rng, blk, dtype = np.random.default_rng(35), blocking(scalar, target(bits)), DTYPES[scalar]
    n = REUSED_WIDTHS * blk.width + 5
    k = max(blk.kc, LARGE_BYTES // (blk.size * n)) + 3
    m = max(OFTEN_ROWS, FAR_BYTES // (blk.size * k)) + 2
    a, b = (rng.standard_normal(s).astype(dtype) for s in ((m, k), (k, n)))
    plain, packed = np.empty((m, n), dtype), np.empty((m, n), dtype)
    call(*compiled(scalar, bits), plain, a, b)
    exact, size = a.astype(np.float64) @ b.astype(np.float64), np.abs(a) @ np.abs(b)
    assert (np.abs(plain - exact) <= 32 * np.finfo(dtype).eps * size).all()
    for left in (a, np.asfortranarray(a)):
        for right in (b, np.asfortranarray(b)):
            call(*compiled(scalar, bits), packed, left, right)
            assert packed.tobytes() == plain.tobytes()
    few = np.empty((3, n), dtype)
    call(*compiled(scalar, bits), few, a[:3], b)
    assert few.tobytes() == plain[:3].tobytes()


def test_kernels_of_a_scalar_share_all_but_their_ends(
    bits: int, target: Callable[[int], Target]
) -> None:
    module = Module()
    emit_matmul(module, "plain", "double", target(bits))
    before = set(module.functions)
    emit_matmul(
        module, "twice", "double", target(bits), epilogue=lambda b, acc, *_: b.fadd(acc, acc)
    )
    assert set(module.functions) - before == {"twice", "twice.finish"}


def test_unknown_scalar(bits: int, target: Callable[[int], Target]) -> None:
    with pytest.raises(ValueError, match="no kernel for scalar 'half'"):
        emit_matmul(Module(), "product", "half", target(bits))
