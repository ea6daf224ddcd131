"""Running a loaded kernel on NumPy arrays: the argument table made from shapes and strides."""

from __future__ import annotations

import ctypes
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..jit import Library
from . import abi
from .abi import MatmulKernel
from .units import units

__all__ = ["argument_table", "call"]

Array = NDArray[Any]


def argument_table(
    kernel: MatmulKernel,
    c: Array,
    a: Array,
    b: Array,
    room: Array,
    *,
    accumulate: bool = False,
    extra: Sequence[int] = (),
) -> Array:
    """The table for c = a @ b: 2-D arrays, or more axes with batch extents that broadcast to c's.

    ``room`` is 64-byte aligned scratch memory of `MatmulKernel.workspace_bytes`.
    Raises ValueError for more batch axes than the kernel has.
    """
    batch = c.shape[:-2]
    if len(batch) > abi.BATCH_AXES:
        raise ValueError(f"matmul: {len(batch)} batch axes in {c.shape}; at most {abi.BATCH_AXES}")
    table = np.zeros(kernel.entries, np.int64)
    for place, array in ((abi.C, c), (abi.A, a), (abi.B, b), (abi.WORKSPACE, room)):
        table[place] = array.ctypes.data
    table[abi.M : abi.K + 1] = c.shape[-2], c.shape[-1], a.shape[-1]
    for place, array in ((abi.A_ROW, a), (abi.B_ROW, b), (abi.C_ROW, c)):
        table[place : place + 2] = [s // array.itemsize for s in array.strides[-2:]]
    table[abi.ACCUMULATE] = accumulate
    table[abi.BATCH] = math.prod(batch)
    missing = abi.BATCH_AXES - len(batch)
    table[abi.BATCH_EXTENT : abi.BATCH_EXTENT + abi.BATCH_AXES] = [1] * missing + list(batch)
    for place, array in ((abi.A_BATCH, a), (abi.B_BATCH, b), (abi.C_BATCH, c)):
        spread = np.broadcast_to(array, batch + array.shape[-2:])
        strides = [s // array.itemsize for s in spread.strides[:-2]]
        table[place + missing : place + abi.BATCH_AXES] = strides
    table[abi.EXTRA :] = list(extra)
    return table


def call(
    library: Library,
    kernel: MatmulKernel,
    c: Array,
    a: Array,
    b: Array,
    *,
    accumulate: bool = False,
    extra: Sequence[int] = (),
    cuts: Sequence[int] = (),
) -> None:
    """c = a @ b, or c += a @ b, with fresh scratch memory; the dtypes must be the kernel's.

    The units are dealt out in ranges that end at ``cuts``, the last range first.
    """
    memory = np.empty(kernel.workspace_bytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    room = memory[start : start + kernel.workspace_bytes]
    table = argument_table(kernel, c, a, b, room, accumulate=accumulate, extra=extra)
    run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(
        library.address(kernel.name)
    )
    count = units(c.shape[-2], c.shape[-1], math.prod(c.shape[:-2]))
    ends = [0, *cuts, count]
    for begin, end in reversed(list(itertools.pairwise(ends))):
        run(table.ctypes.data, begin, end)
