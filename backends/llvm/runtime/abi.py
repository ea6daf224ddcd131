"""What the entry knows of CPython and NumPy: one table of addresses and a few field offsets.

The table lives in this process for ever; machine code receives its address with every call, so the
code itself holds no absolute address.
"""

from __future__ import annotations

import ctypes
import enum
import functools
import importlib
import sysconfig
from typing import Any

import numpy as np

__all__ = ["ARRAY", "FIT_FLAGS", "TYPE", "Api", "ArrayField", "api_address", "refuse_free_threads"]

TYPE = 8  # offset of ob_type in every object, in bytes
FIT_FLAGS = 0x0101  # NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED
NUMPY_ARRAY_TYPE, NUMPY_NEW_FROM_DESCR = 2, 94  # indices into NumPy's own table


class ArrayField(enum.IntEnum):
    """Byte offsets in PyArrayObject_fields (numpy/ndarraytypes.h, 64-bit)."""

    DATA = 16
    RANK = 24
    DIMS = 32
    DESCR = 56
    FLAGS = 64


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
    PyLong_FromLongLong = enum.auto()
    PyArray_NewFromDescr = enum.auto()
    ARRAY_TYPE = enum.auto()
    BYTE_DESCR = enum.auto()
    NONE = enum.auto()
    RUNTIME_ERROR = enum.auto()
    OVERFLOW_ERROR = enum.auto()
    SYSTEM_ERROR = enum.auto()


OBJECTS: dict[Api, object] = {
    Api.ARRAY_TYPE: np.ndarray,
    Api.BYTE_DESCR: np.dtype(np.uint8),
    Api.NONE: None,
    Api.RUNTIME_ERROR: RuntimeError,
    Api.OVERFLOW_ERROR: OverflowError,
    Api.SYSTEM_ERROR: SystemError,
}


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
    if item is Api.PyArray_NewFromDescr:
        return int(numpy_table()[NUMPY_NEW_FROM_DESCR])
    function = ctypes.cast(getattr(ctypes.pythonapi, item.name), ctypes.c_void_p).value
    if function is None:
        raise SystemError(f"{item.name} has no address in this interpreter")
    return function


@functools.cache
def table() -> ctypes.Array[ctypes.c_int64]:
    """Our table, made once and never freed."""
    check_offsets()
    return (ctypes.c_int64 * len(Api))(*map(entry_of, Api))


def api_address() -> int:
    """The address of our table of addresses."""
    return ctypes.addressof(table())
