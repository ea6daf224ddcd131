"""Shared variables as the call entry sees them: an address in C memory that programs read at
call time, beside a lock.

The lock is two words that only a thread with the GIL reads or writes. A call that keeps the GIL
from beginning to end merely looks whether it may go on. One that lets the GIL go marks ``LOCK``
until it ends. Python code claims a variable by ``CLAIM``, lets no call begin and waits for those
under way. A call takes all its variables or none, and waits for nothing once it has them; so
nobody waits in a circle.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

__all__ = ["CLAIM", "LOCK", "SharedCell", "holding", "wait_until_free"]

ADDRESS, LOCK, CLAIM = range(3)  # words of a cell's location
SHORT, LONG = 20e-6, 1e-3  # seconds between two looks at a lock that somebody holds


class SharedCell:
    """The current array of one shared variable, and its data address where machine code reads it.

    Programs take the address of the cell, never that of the array, so ``replace`` is seen by every
    program at its next call. The array is the cell's own: nobody else may resize it.
    """

    __slots__ = ("__weakref__", "_array", "_owner", "_words", "static")

    def __init__(self, array: np.ndarray[Any, Any], static: bool = True) -> None:
        self.static = static
        self._words = (ctypes.c_int64 * 3)()
        self._owner = 0
        self._adopt(array)
        known.add(self)

    @property
    def array(self) -> np.ndarray[Any, Any]:
        """The array itself, not a copy: programs read and write this memory."""
        return self._array

    @property
    def location(self) -> int:
        """Where in memory the words stand; fixed for the life of the cell.

        They are the data address, the calls under way without the GIL (0: none, n: n that read,
        -1: one that changes the variable), and the thread that holds the variable from Python (0:
        none).
        """
        return ctypes.addressof(self._words)

    def copy(self) -> np.ndarray[Any, Any]:
        """A copy of the array as it is while no call changes it."""
        with holding((self,)):
            return self._array.copy()

    def replace(self, array: np.ndarray[Any, Any]) -> None:
        """Put another array of the same dtype and shape in place, once nobody reads the old one.

        ValueError for an array of any other dtype or shape.
        """
        old = self._array
        if array.dtype != old.dtype or (self.static and array.shape != old.shape):
            raise ValueError(
                f"a shared variable of dtype {old.dtype} and shape {old.shape} cannot hold an "
                "array "
                f"of dtype {array.dtype} and shape {array.shape}"
            )
        with holding((self,)):
            self._adopt(array)

    def _adopt(self, array: np.ndarray[Any, Any]) -> None:
        flags = array.flags
        if not (flags.c_contiguous and flags.aligned and flags.writeable):
            raise ValueError(
                "a shared variable needs a C-contiguous, aligned, writeable array; "
                "pass numpy.array(value, order='C')"
            )
        self._array = array
        self._words[ADDRESS] = array.ctypes.data


# ---- the lock ------------------------------------------------------------------------------------


@contextmanager
def holding(cells: Iterable[SharedCell]) -> Iterator[None]:
    """Inside, no other thread reads or changes these variables through a call or by value.

    All are taken at once or none. A thread may take again what it holds already.
    """
    me = threading.get_ident()
    wanted = [cell for cell in dict.fromkeys(cells) if cell._owner != me]
    try:
        with claims.changed:
            claims.changed.wait_for(lambda: not any(cell._owner for cell in wanted))
            for cell in wanted:
                cell._owner = cell._words[CLAIM] = me
        pause = SHORT
        while any(cell._words[LOCK] for cell in wanted):  # calls under way: none begins any more
            time.sleep(pause)
            pause = min(pause * 1.25, LONG)
        yield
    finally:
        with claims.changed:
            for cell in wanted:
                if cell._owner == me:
                    cell._owner = cell._words[CLAIM] = 0
            claims.changed.notify_all()


def wait_until_free(cells: Sequence[SharedCell]) -> None:
    """Return when nobody uses these variables; anybody may take them again at once.

    Raises RuntimeError where the calling thread itself holds one of them.
    """
    if any(cell._owner == threading.get_ident() for cell in cells):
        raise RuntimeError("a shared variable is used by a call made while it is being changed")
    with holding(cells):
        pass


class Claims:
    """Guards who holds a variable from Python."""

    def __init__(self) -> None:
        self.changed = threading.Condition()


claims = Claims()
known: weakref.WeakSet[SharedCell] = weakref.WeakSet()


def forget_holders() -> None:
    """In a forked child: whoever held a variable is not here."""
    claims.changed = threading.Condition()
    for cell in list(known):
        cell._owner = cell._words[LOCK] = cell._words[CLAIM] = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_holders)
