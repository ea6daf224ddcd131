"""Shared variables as the call entry sees them: an address in C memory that programs read at
call time."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

__all__ = ["SharedCell"]


class SharedCell:
    """The current array of one shared variable, and its data address where machine code reads it.

    Programs take the address of the cell, never that of the array, so ``replace`` is seen by every
    program at its next call. The array is the cell's own: nobody else may resize it.
    """

    __slots__ = ("__weakref__", "_address", "_array", "static")

    def __init__(self, array: np.ndarray[Any, Any], static: bool = True) -> None:
        self.static = static
        self._address = ctypes.c_int64(0)
        self._adopt(array)

    @property
    def array(self) -> np.ndarray[Any, Any]:
        """The array itself, not a copy: programs read and write this memory."""
        return self._array

    @property
    def location(self) -> int:
        """Where in memory the current data address stands; fixed for the life of the cell."""
        return ctypes.addressof(self._address)

    def replace(self, array: np.ndarray[Any, Any]) -> None:
        """Put another array of the same dtype and shape in place; ValueError for any other."""
        old = self._array
        if array.dtype != old.dtype or (self.static and array.shape != old.shape):
            raise ValueError(
                f"a shared variable of dtype {old.dtype} and shape {old.shape} cannot hold an "
                "array "
                f"of dtype {array.dtype} and shape {array.shape}"
            )
        self._adopt(array)

    def _adopt(self, array: np.ndarray[Any, Any]) -> None:
        flags = array.flags
        if not (flags.c_contiguous and flags.aligned and flags.writeable):
            raise ValueError(
                "a shared variable needs a C-contiguous, aligned, writeable array; "
                "pass numpy.array(value, order='C')"
            )
        self._array = array
        self._address.value = array.ctypes.data
