"""What the entry knows of CPython and NumPy: one table of addresses and a few field offsets.

The table lives in this process for ever; machine code receives its address with every call, so the
code itself holds no absolute address.
"""

from __future__ import annotations

import ctypes
import enum
import importlib
import sysconfig
import weakref
from typing import Any

import numpy as np

from ..once import once

__all__ = [
    "ARRAY",
    "FIT_FLAGS",
    "OUT_FLAGS",
    "OWN_FLAGS",
    "SCALAR",
    "TYPE",
    "Api",
    "ArrayField",
    "api_address",
    "refuse_free_threads",
    "table",
]

TYPE = 8  # offset of ob_type in every object, in bytes
FIT_FLAGS = 0x0101  # NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED
OUT_FLAGS = FIT_FLAGS | 0x0400  # NPY_ARRAY_WRITEABLE
OWN_FLAGS = OUT_FLAGS | 0x0004  # NPY_ARRAY_OWNDATA
SCALAR = 16  # offset of the value in a NumPy scalar and in a Python float
NUMPY_ARRAY_TYPE, NUMPY_NEW_FROM_DESCR = 2, 94  # indices into NumPy's own table


class ArrayField(enum.IntEnum):
    """Byte offsets in PyArrayObject_fields (numpy/ndarraytypes.h, 64-bit)."""

    DATA = 16
    RANK = 24
    DIMS = 32
    BASE = 48
    DESCR = 56
    FLAGS = 64
    WEAK_REFERENCES = 72


ARRAY = ArrayField


class Api(enum.IntEnum):
    """Entries of our table: functions of CPython and NumPy, then objects."""

    Py_IncRef = 0
    Py_DecRef = enum.auto()
    PyErr_SetString = enum.auto()
    PyErr_SetObject = enum.auto()
    PyObject_Vectorcall = enum.auto()
    PyObject_CallOneArg = enum.auto()
    PyTuple_New = enum.auto()
    PyTuple_Size = enum.auto()
    PyTuple_GetItem = enum.auto()
    PyTuple_SetItem = enum.auto()
    PyList_New = enum.auto()
    PyList_SetItem = enum.auto()
    PyDict_Copy = enum.auto()
    PyDict_SetItem = enum.auto()
    PyDict_GetItem = enum.auto()
    PyDict_Size = enum.auto()
    PyList_GetItem = enum.auto()
    PyList_Size = enum.auto()
    PyLong_AsLongLongAndOverflow = enum.auto()
    PyLong_FromLongLong = enum.auto()
    PyArray_NewFromDescr = enum.auto()
    ARRAY_TYPE = enum.auto()
    BYTE_DESCR = enum.auto()
    NONE = enum.auto()
    FLOAT_TYPE = enum.auto()
    INT_TYPE = enum.auto()
    LIST_TYPE = enum.auto()
    TUPLE_TYPE = enum.auto()
    DICT_TYPE = enum.auto()
    RUNTIME_ERROR = enum.auto()
    OVERFLOW_ERROR = enum.auto()
    SYSTEM_ERROR = enum.auto()
    PyEval_SaveThread = enum.auto()
    PyEval_RestoreThread = enum.auto()
    pthread_mutex_lock = enum.auto()
    pthread_mutex_unlock = enum.auto()
    pthread_cond_wait = enum.auto()
    pthread_cond_broadcast = enum.auto()
    sched_yield = enum.auto()
    POOL = enum.auto()  # the pool of worker threads, 0 while there is none
    DISPATCH = enum.auto()  # the function that deals out units to it


OBJECTS: dict[Api, object] = {
    Api.ARRAY_TYPE: np.ndarray,
    Api.BYTE_DESCR: np.dtype(np.uint8),
    Api.NONE: None,
    Api.FLOAT_TYPE: float,
    Api.INT_TYPE: int,
    Api.LIST_TYPE: list,
    Api.TUPLE_TYPE: tuple,
    Api.DICT_TYPE: dict,
    Api.RUNTIME_ERROR: RuntimeError,
    Api.OVERFLOW_ERROR: OverflowError,
    Api.SYSTEM_ERROR: SystemError,
}


POSIX = frozenset(item for item in Api if item.name.startswith(("pthread_", "sched_")))


def numpy_table() -> Any:
    """NumPy's own table of C functions and types."""
    prototype = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    pointer = prototype(("PyCapsule_GetPointer", ctypes.pythonapi))
    core = importlib.import_module("numpy._core._multiarray_umath")  # as NumPy's C header does
    found = pointer(core._ARRAY_API, None)
    return ctypes.cast(found, ctypes.POINTER(ctypes.c_void_p))


def check_offsets() -> None:
    """Compare the offsets above with a live array; SystemError if this is another ABI."""
    array = np.zeros((3, 5), dtype=np.float32)

    def word(offset: int) -> int:
        return ctypes.c_int64.from_address(id(array) + offset).value

    dims = (ctypes.c_int64 * 2).from_address(word(ARRAY.DIMS))
    flags = ctypes.c_int32.from_address(id(array) + ARRAY.FLAGS).value
    rank = ctypes.c_int32.from_address(id(array) + ARRAY.RANK).value
    facts = (word(TYPE), word(ARRAY.DATA), word(ARRAY.DESCR), rank, tuple(dims), flags & FIT_FLAGS)
    wanted = (id(np.ndarray), array.ctypes.data, id(array.dtype), 2, (3, 5), FIT_FLAGS)
    if facts != wanted or numpy_table()[NUMPY_ARRAY_TYPE] != id(np.ndarray):
        raise SystemError(f"arrays are laid out differently here: {facts} where {wanted} was due")
    check_owners(array)
    check_scalars()


def check_owners(array: np.ndarray[Any, Any]) -> None:
    """Compare what tells whether anybody else sees an array with live arrays."""

    def words(owner: np.ndarray[Any, Any]) -> tuple[int, int, int, int]:
        place = id(owner)
        count = ctypes.c_int32.from_address(place).value
        flags = ctypes.c_int32.from_address(place + ARRAY.FLAGS).value
        base, weak = (
            ctypes.c_int64.from_address(place + offset).value
            for offset in (ARRAY.BASE, ARRAY.WEAK_REFERENCES)
        )
        return count, flags & OWN_FLAGS, base, weak

    count, *alone = words(array)
    view = array[1:]
    reference = weakref.ref(array)
    more, _, _, weak = words(array)
    seen = (alone, words(view)[1:3], more - count, weak)
    wanted = ([OWN_FLAGS, 0, 0], (OUT_FLAGS, id(array)), 1, id(reference))
    if seen != wanted:
        raise SystemError(f"arrays are owned differently here: {seen} where {wanted} was due")


def check_scalars() -> None:
    """Compare where the value of a scalar stands with live ones."""
    kinds: list[Any] = [float, *map(np.dtype, "?bhilBHILfd")]
    for kind in kinds:
        scalar: Any = 1.0 if kind is float else np.ones((), kind)[()]
        value = np.ones((), kind)
        if ctypes.string_at(id(scalar) + SCALAR, value.nbytes) != value.tobytes():
            raise SystemError(f"scalars of {kind!r} are laid out differently here")


def refuse_free_threads() -> None:
    """RuntimeError on an interpreter built without the GIL: its objects look different."""
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise RuntimeError(
            "the llvm backend does not run on a free-threaded interpreter; use a build of Python "
            'with the GIL, or backend="reference"'
        )


def entry_of(item: Api) -> int:
    """The address that stands in our table for ``item``."""
    if item in OBJECTS:
        return id(OBJECTS[item])
    if item in (Api.POOL, Api.DISPATCH):
        return 0  # threads.pool fills these in
    if item is Api.PyArray_NewFromDescr:
        return int(numpy_table()[NUMPY_NEW_FROM_DESCR])
    if item in POSIX and not hasattr(ctypes.pythonapi, item.name):
        return 0
    function = ctypes.cast(getattr(ctypes.pythonapi, item.name), ctypes.c_void_p).value
    if function is None:
        raise SystemError(f"{item.name} has no address in this interpreter")
    return function


@once
def table() -> ctypes.Array[ctypes.c_int64]:
    """Our table, made once and never freed."""
    check_offsets()
    return (ctypes.c_int64 * len(Api))(*map(entry_of, Api))


def api_address() -> int:
    """The address of our table of addresses."""
    return ctypes.addressof(table())
