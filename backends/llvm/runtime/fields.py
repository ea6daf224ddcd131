"""The words that the emitted entry finds in a program's tables, by name."""

from __future__ import annotations

import enum

__all__ = ["CODES", "ERROR_WORDS", "FORMS", "Field", "InputField", "OutputField"]

ERROR_WORDS = 8
FORMS = ("one", "list", "tuple", "dict", "none")
CODES = ("none", "int", "single", "double")


class Field(enum.IntEnum):
    """Words of the header; ``X`` is the address of a table and ``N_X`` its number of rows."""

    BUSY = 0  # 1 while a call is using the tables
    STALE = enum.auto()  # 1 where slots and frame may not agree with the extents
    KEEP_STALE = enum.auto()  # what STALE becomes after a good refit: 1 where steps resize
    CONVERT = enum.auto()  # Python callbacks
    EXPLAIN = enum.auto()
    FAIL = enum.auto()
    DIAGNOSE = enum.auto()
    CALL = enum.auto()  # Python's way to call with keywords and out=; 0: none
    DIRECT = enum.auto()  # 1 where steps may write into arrays that the caller gives
    KEYWORDS = enum.auto()  # the name of each input (0: none), then "out"
    KEPT = enum.auto()  # a list that owns the outputs kept for later calls
    KEPT_BYTES = enum.auto()
    ARENA = enum.auto()  # aligned address
    CAPACITY = enum.auto()  # bytes behind it
    ARENA_NEED = enum.auto()  # address of the slot that holds the wanted size
    ARENA_DIMS = enum.auto()  # the extent NumPy is asked for
    HOLDER = enum.auto()  # a one-element list that owns the arena
    FORM = enum.auto()  # index into FORMS
    TEMPLATE = enum.auto()  # a dict of all keys
    KEYS = enum.auto()
    OBJECTS = enum.auto()  # the output arrays of the call under way
    N_OBJECTS = enum.auto()
    SLOTS = enum.auto()
    N_SLOTS = enum.auto()
    ERROR = enum.auto()
    INPUTS = enum.auto()  # rows of InputField
    N_INPUTS = enum.auto()
    CODE = enum.auto()  # op, dst, a, b
    N_CODE = enum.auto()
    CHECKS = enum.auto()  # a, b
    N_CHECKS = enum.auto()
    NONNEGATIVE = enum.auto()  # a
    N_NONNEGATIVE = enum.auto()
    LIMITS = enum.auto()  # a, largest value
    N_LIMITS = enum.auto()
    RESETS = enum.auto()  # moves before size code
    N_RESETS = enum.auto()
    FITS = enum.auto()  # moves after size code
    N_FITS = enum.auto()
    PATCHES = enum.auto()  # moves of every call
    N_PATCHES = enum.auto()
    EAGER = enum.auto()  # rows of OutputField
    N_EAGER = enum.auto()
    LATE = enum.auto()
    N_LATE = enum.auto()
    STEPS = enum.auto()  # address, frame, slots of units and of work, stride; or 0, a move
    N_STEPS = enum.auto()
    SHARED = enum.auto()  # cell, bytes
    N_SHARED = enum.auto()
    OVERWRITTEN = enum.auto()  # cell, bytes: shared variables that steps change in place
    N_OVERWRITTEN = enum.auto()
    COMMITS = enum.auto()  # cell, base, offset, bytes
    N_COMMITS = enum.auto()
    THREADS = enum.auto()  # how many may share out a step
    WORK = enum.auto()  # address of the slot that holds the scalar operations of all steps
    LONG = enum.auto()  # a call with more than these works without the GIL
    HELD = enum.auto()  # 1 while the shared variables are marked as ours
    WAIT = enum.auto()  # Python callbacks: wait for the shared variables,
    START = enum.auto()  # start the pool,
    OTHER = enum.auto()  # call the same program in other memory
    LOCKS = enum.auto()  # location of a cell, 1 where the call changes it
    N_LOCKS = enum.auto()


class InputField(enum.IntEnum):
    """Words of a row of INPUTS; those from SCALAR_TYPE to HIGH are 0 unless the rank is 0.

    The value of an input of rank 0 is copied into the program's memory, so that an update in place
    cannot change it.
    """

    DESCR = 0
    RANK = enum.auto()
    SLOTS = enum.auto()  # addresses of the extents' slots
    DATA = enum.auto()  # where the data address goes; rank 0: where the value goes
    SCALAR_TYPE = enum.auto()  # NumPy's scalar type
    TWIN_TYPE = enum.auto()  # Python's type that holds its value in the same way, or 0
    CODE = enum.auto()  # how Python numbers enter: index into CODES
    LOW = enum.auto()  # the range of Python ints that enter exactly
    HIGH = enum.auto()
    ITEMSIZE = enum.auto()


class OutputField(enum.IntEnum):
    """Words of a row of EAGER and LATE."""

    DESCR = 0
    RANK = enum.auto()
    EXTENTS = enum.auto()
    OBJECT = enum.auto()  # where the array goes
    DATA = enum.auto()  # where its data address goes
    BASE = enum.auto()  # LATE: what is copied into it
    OFFSET = enum.auto()
    ITEMSIZE = enum.auto()
    BYTES = enum.auto()  # address of its size
    POOL = enum.auto()  # arrays kept: two objects, then their sizes
    PLACE = enum.auto()  # index of the first in the list of KEPT
