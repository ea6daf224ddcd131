"""`matmul.blocking`: block sizes fit the registers and each other."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.matmul.blocking import FLOAT_BITS, INTEGER_BITS, blocking
from symgraph.backends.llvm.matmul.units import SIDE

SCALARS = [*FLOAT_BITS, *INTEGER_BITS]


@pytest.mark.parametrize("scalar", SCALARS)
def test_a_tile_and_its_operands_fit_the_registers(
    scalar: str, bits: int, target: Callable[[int], Target]
) -> None:
    blk = blocking(scalar, target(bits))
    assert blk.rows * blk.vectors + blk.vectors + 1 <= target(bits).registers
    assert blk.lanes * blk.bits == bits


@pytest.mark.parametrize("scalar", FLOAT_BITS)
def test_blocks_hold_whole_tiles(scalar: str, bits: int, target: Callable[[int], Target]) -> None:
    blk = blocking(scalar, target(bits))
    assert blk.mc % blk.rows == blk.nc % blk.width == blk.kc % blk.lanes == 0
    assert blk.strip_rows % blk.rows == blk.strip_rows % blk.width == 0
    assert SIDE % blk.rows == SIDE % blk.width == 0


def test_unknown_scalar(bits: int, target: Callable[[int], Target]) -> None:
    with pytest.raises(ValueError, match="no kernel for scalar 'half'; use float, double"):
        blocking("half", target(bits))
