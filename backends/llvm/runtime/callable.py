"""Objects whose call is the emitted entry: a type per base class, an instance per program."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.cell import wait_until_free

from ..once import once
from .abi import api_address, refuse_free_threads
from .layout import Field, Layout, address, flatten, native
from .loaded import CODE, CONTEXT, ENTRY_WORDS, OWNER, TABLE, entry_address
from .program import InputSpec, Program
from .spares import Spares

__all__ = ["Call", "Convert", "Explain", "Fail", "make_callable", "release"]

Array = np.ndarray[Any, Any]
Convert = Callable[..., tuple[Array, ...]]
Explain = Callable[[int, int, tuple[int, ...]], BaseException]
Fail = Callable[[int, int, tuple[int, ...]], BaseException]
Call = Callable[..., Any]

HAVE_VECTORCALL = 1 << 11  # Py_TPFLAGS_HAVE_VECTORCALL
SLOT_CALL, SLOT_MEMBERS = 50, 72  # Py_tp_call, Py_tp_members
MEMBER_OBJECT, MEMBER_SIZE, READ_ONLY = 16, 19, 1  # T_OBJECT_EX, T_PYSSIZET, READONLY
CALLBACKS = (
    Field.CONVERT,
    Field.EXPLAIN,
    Field.FAIL,
    Field.DIAGNOSE,
    Field.CALL,
    Field.WAIT,
    Field.START,
    Field.OTHER,
)
keep_forever: list[object] = []  # what the types below point at; they are never freed
OWNER_NAME, VECTORCALL_NAME = "_owner", "__vectorcalloffset__"


class Member(ctypes.Structure):
    """PyMemberDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("offset", ctypes.c_ssize_t),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


class TypeSlot(ctypes.Structure):
    """PyType_Slot."""

    _fields_ = (("slot", ctypes.c_int), ("value", ctypes.c_void_p))


class TypeSpec(ctypes.Structure):
    """PyType_Spec."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("basicsize", ctypes.c_int),
        ("itemsize", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("slots", ctypes.POINTER(TypeSlot)),
    )


def words_offset(base_class: type) -> int:
    """Where the entry's words begin: behind the base class's part of an instance."""
    return (base_class.__basicsize__ + 7) // 8 * 8


@once
def callable_type(base_class: type) -> type:
    """The subclass of ``base_class`` whose instances are called through the entry.

    The words behind an instance hold the entry's address, the object that owns the program's
    memory, and where its tables stand. The owner is a member for the garbage collector and the
    deallocator to find; its descriptor is then deleted, so no Python code can reach or replace it.
    """
    start = words_offset(base_class)
    vectorcall = Member(VECTORCALL_NAME.encode(), MEMBER_SIZE, start + 8 * CODE, READ_ONLY, None)
    owner = Member(OWNER_NAME.encode(), MEMBER_OBJECT, start + 8 * OWNER, 0, None)
    members = (Member * 3)(vectorcall, owner)
    call = ctypes.cast(ctypes.pythonapi.PyVectorcall_Call, ctypes.c_void_p).value
    slots = (TypeSlot * 3)(
        TypeSlot(SLOT_CALL, call), TypeSlot(SLOT_MEMBERS, ctypes.addressof(members))
    )
    name = f"{base_class.__module__}.{base_class.__qualname__}".encode()
    size = start + 8 * ENTRY_WORDS
    spec = TypeSpec(name, size, 0, HAVE_VECTORCALL, slots)
    prototype = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object)
    create = prototype(("PyType_FromSpecWithBases", ctypes.pythonapi))
    made: type = create(ctypes.addressof(spec), (base_class,))
    keep_forever.append((spec, members, slots))
    for hidden in (OWNER_NAME, VECTORCALL_NAME):
        if hidden in vars(made):
            delattr(made, hidden)
    return made


def diagnose(inputs: tuple[InputSpec, ...], arrays: tuple[object, ...]) -> BaseException:
    """Say what is wrong with the arrays that ``convert`` returned, a fault of the compiler's."""
    if len(arrays) != len(inputs):
        return SystemError(f"convert returned {len(arrays)} arrays for {len(inputs)} inputs")
    faults = [fault(spec, array) for spec, array in zip(inputs, arrays, strict=True)]
    return SystemError(
        "convert returned arrays that do not fit: " + "; ".join(filter(None, faults))
    )


def fault(spec: InputSpec, array: object) -> str:
    """What keeps one converted array from the program, or nothing."""
    if type(array) is not np.ndarray:
        return f"{spec.name}: {type(array).__name__} is not exactly an ndarray"
    if array.dtype is not native(spec.dtype):
        same = " (an equal dtype, but another descriptor)" if array.dtype == spec.dtype else ""
        return f"{spec.name}: dtype {array.dtype!r}{same} where {spec.dtype!r} was due"
    if array.ndim != len(spec.dims):
        return f"{spec.name}: rank {array.ndim} where {len(spec.dims)} was due"
    if not (array.flags.c_contiguous and array.flags.aligned):
        return f"{spec.name}: not C-contiguous and aligned"
    return ""


def give(instance: object, owner: object, layout: Layout) -> None:
    """Fill the words behind a fresh instance; it holds a reference to ``owner`` from here on."""
    start = words_offset(type(instance).__base__ or object)
    code = entry_address(start)
    words = (ctypes.c_int64 * ENTRY_WORDS).from_address(id(instance) + start)
    words[CONTEXT] = address(layout.header)
    words[TABLE] = api_address()
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(owner))
    words[OWNER] = id(owner)
    words[CODE] = code


def make_callable(
    program: Program,
    base_class: type,
    convert: Convert,
    explain: Explain,
    fail: Fail,
    call: Call | None = None,
) -> Any:
    """An instance of a subclass of ``base_class`` whose call runs ``program``.

    ``base_class`` is a plain Python class; its ``__init__`` is not run, instances have what it
    gives them (``__dict__``, methods, weak references). A call whose arguments are exactly the
    ndarrays that the program expects never enters Python; for any other

    ``convert(*args, **kwargs)`` returns a tuple of one clean array per input (exactly an ndarray,
    C-contiguous, aligned, ``array.dtype is numpy.dtype(spec.dtype.type)``) or raises;

    ``explain(kind, index, slots)`` returns the exception for ``checks[index]`` (kind 0) or
    ``nonnegative[index]`` (kind 1) not holding, given the values of all slots;

    ``fail(step, status, record)`` returns the exception for a step that returned ``status``, given
    the error record, which is left as the kernel wrote it;

    ``call(*args, **kwargs)`` makes the whole call where keywords were given that do not simply
    name the inputs; without it such calls go to ``convert`` too. ``out`` is a keyword of every
    program that has no input of this name: results are written into these arrays.

    Callbacks may call the instance, and so may several threads at once: a call that finds the
    program's memory in use gets other memory. Raises RuntimeError on a free-threaded interpreter,
    and ValueError for a program that contradicts itself.
    """
    refuse_free_threads()
    parts = (program, base_class, convert, explain, fail, call)
    starter(program.threads)()
    return make_instance(*parts, Spares(program, functools.partial(make_instance, *parts, crowded)))


def starter(threads: int) -> Callable[[], None]:
    """What makes the pool of this process large enough for ``threads``."""
    if threads == 1:
        return nothing
    from ..threads import pool  # few programs need it; at the end of the interpreter none imports

    return functools.partial(pool.ensure, threads)


def nothing() -> None:
    """One thread needs no pool."""


def crowded(*args: object) -> None:
    """What a spare copy of a program would do if it were in use: only one call ever has it."""
    raise SystemError("a copy of a compiled function's memory is used by two calls")


def make_instance(
    program: Program,
    base_class: type,
    convert: Convert,
    explain: Explain,
    fail: Fail,
    call: Call | None,
    other: Call,
) -> Any:
    """A callable with tables of its own; ``other`` serves calls that find them in use."""
    layout = flatten(program)
    teller = functools.partial(diagnose, program.inputs)
    wait = functools.partial(wait_until_free, program.shared)
    start = starter(program.threads)
    callbacks = (convert, explain, fail, teller, call, wait, start, other)
    for place, callback in zip(CALLBACKS, callbacks, strict=True):
        layout.header[place] = 0 if callback is None else id(callback)
    kind = callable_type(base_class)
    instance: object = object.__new__(kind)
    give(instance, (layout, callbacks), layout)
    return instance


def release(instance: object) -> None:
    """Let go of the outputs that a callable keeps, and of its arena unless a call is using it."""
    start = words_offset(type(instance).__base__ or object)
    words = (ctypes.c_int64 * ENTRY_WORDS).from_address(id(instance) + start)
    layout, callbacks = ctypes.cast(words[OWNER], ctypes.py_object).value
    layout.pool[:] = 0
    layout.header[Field.KEPT_BYTES] = 0
    if not layout.header[Field.BUSY]:
        layout.header[Field.ARENA] = layout.header[Field.CAPACITY] = 0
        layout.header[Field.STALE] = 1
        layout.holder[0] = None
    for place in range(len(layout.kept)):
        layout.kept[place] = None
    if isinstance(callbacks[-1], Spares):
        callbacks[-1].release()
