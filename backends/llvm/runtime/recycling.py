"""Large outputs are kept, and handed out again once nobody else can see them.

A fresh array of some megabytes costs more in page faults than many kernels cost in arithmetic. So a
program keeps its last two arrays of each large output (two, since ``y = f(x)`` in a loop makes the
new one while ``y`` still holds the old). An array is used again only where our reference is the
only one, no weak reference could bring it back, it owns its memory, and its dtype and extents
are those wanted: every view, buffer and capsule of an array holds a reference to it.
"""

from __future__ import annotations

from ..builder import Module, Value
from .abi import ARRAY, OWN_FLAGS, Api
from .access import NULL, Entry, function
from .layout import Field, OutputField

__all__ = ["KEEP", "LIMIT", "define_recycle", "new_output"]

KEEP = 1 << 16  # bytes from which on an output is kept
LIMIT = 1 << 29  # bytes that one program keeps at most
KEPT = 2  # arrays kept for each output


def new_output(f: Entry, row: Value) -> Value:
    """A fresh array for a row of outputs, or NULL."""
    descr, rank = f.word(row, OutputField.DESCR, "ptr"), f.word(row, OutputField.RANK)
    f.incref(descr)
    return f.new_array(
        descr, f.b.cast("trunc", rank, "i32"), f.word(row, OutputField.EXTENTS, "ptr")
    )


def matches(f: Entry, row: Value, array: Value, other: str) -> None:
    """Leave unless the array owns its memory and has the dtype and extents of the row."""
    b = f.b
    for offset in (ARRAY.BASE, ARRAY.WEAK_REFERENCES):
        f.leave_if(b.not_(f.is_null(b.load("ptr", b.gep("i8", array, offset)))), other)
    flags, wanted = b.load("i32", b.gep("i8", array, ARRAY.FLAGS)), b.const("i32", OWN_FLAGS)
    f.leave_if(b.icmp("ne", b.and_(flags, wanted), wanted), other)
    descr = b.load("ptr", b.gep("i8", array, ARRAY.DESCR))
    f.leave_if(b.icmp("ne", descr, f.word(row, OutputField.DESCR, "ptr")), other)
    rank = b.cast("sext", b.load("i32", b.gep("i8", array, ARRAY.RANK)), "i64")
    f.leave_if(b.icmp("ne", rank, f.word(row, OutputField.RANK)), other)
    have, extents = b.gep("i8", array, ARRAY.DIMS), f.word(row, OutputField.EXTENTS, "ptr")
    dims = b.load("ptr", have)
    with b.loop(b.i64(0), rank, 1) as loop:
        same = b.icmp("eq", f.word(dims, loop.index), f.word(extents, loop.index))
        f.leave_if(b.not_(same), other)


def forget(f: Entry, row: Value, k: int) -> None:
    """Let go of a kept array that no call can use as it is."""
    b, pool = f.b, f.word(row, OutputField.POOL, "ptr")
    f.put(Field.KEPT_BYTES, b.sub(f.get(Field.KEPT_BYTES), f.word(pool, KEPT + k)))
    b.store(NULL, b.gep("i64", pool, k))
    b.store(b.i64(0), b.gep("i64", pool, KEPT + k))
    f.incref(f.object(Api.NONE))
    place = b.add(f.word(row, OutputField.PLACE), b.i64(k))
    f.call(Api.PyList_SetItem, "i32", f.get(Field.KEPT, "ptr"), place, f.object(Api.NONE))


def define_recycle(module: Module) -> None:
    """``ptr recycle(header, api, row, size)``: a kept array or a fresh one, then kept; or NULL."""
    define_keep(module)
    f = function(module, "recycle", "ptr", [("ptr", "row"), ("i64", "size")])
    b, (row, size) = f.b, f.b.args[2:]
    pool = f.word(row, OutputField.POOL, "ptr")
    for k in range(KEPT):
        useless, other = b.label("useless"), b.label("other")
        array = f.word(pool, k, "ptr")
        f.leave_if(f.is_null(array), other)
        count = b.load("i32", array)  # the low half of the reference count in every CPython
        f.leave_if(b.icmp("ne", count, b.const("i32", 1)), other)
        matches(f, row, array, useless)
        f.incref(array)
        b.ret(array)
        b.start(useless)
        forget(f, row, k)
        b.jump(other)
        b.start(other)
    array = new_output(f, row)
    with b.when(b.not_(f.is_null(array))):
        b.call("keep", "void", [f.header, f.api, row, size, array])
    b.ret(array)


def define_keep(module: Module) -> None:
    """``void keep(header, api, row, size, array)``: keep an array in the place of the oldest.

    Both kept ones go where that is not enough to stay below the limit. The tables are changed
    before any array is let go, since the end of an array may run Python (weak references).
    """
    extra = [("ptr", "row"), ("i64", "size"), ("ptr", "array")]
    f = function(module, "keep", "void", extra)
    b, (row, size, array) = f.b, f.b.args[2:]
    pool, place = f.word(row, OutputField.POOL, "ptr"), f.word(row, OutputField.PLACE)
    young, young_size, old_size = (f.word(pool, 0, "ptr"), f.word(pool, 2), f.word(pool, 3))
    others = b.sub(f.get(Field.KEPT_BYTES), b.add(young_size, old_size))
    limit = b.i64(LIMIT)
    both = b.icmp("sle", b.add(b.add(others, young_size), size), limit)
    alone = b.icmp("sle", b.add(others, size), limit)
    second = b.select(both, young, NULL)
    first = b.select(alone, array, NULL)
    sizes = b.select(alone, size, b.i64(0)), b.select(both, young_size, b.i64(0))
    for k, (kept, count) in enumerate(zip((first, second), sizes, strict=True)):
        b.store(kept, b.gep("i64", pool, k))
        b.store(count, b.gep("i64", pool, KEPT + k))
    f.put(Field.KEPT_BYTES, b.add(others, b.add(*sizes)))
    owner = f.get(Field.KEPT, "ptr")
    for k, kept in ((1, second), (0, first)):
        item = b.select(f.is_null(kept), f.object(Api.NONE), kept)
        f.incref(item)
        f.call(Api.PyList_SetItem, "i32", owner, b.add(place, b.i64(k)), item)
    b.ret()
