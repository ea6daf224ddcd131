"""How arguments enter a call: arrays, numbers, keywords, and arrays for the results.

Each function answers for what fits at once. What does not is no error yet: Python looks at it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..builder import Module, Value
from .abi import ARRAY, FIT_FLAGS, OUT_FLAGS, SCALAR, Api
from .access import NULL, Entry, function
from .layout import CODES, FORMS, Field, InputField, OutputField

__all__ = ["MISFIT", "define_arguments", "leave_if_aliased", "take_inputs"]

MISFIT = Value("inttoptr (i64 1 to ptr)", "ptr")  # an argument needs conversion
INPUT_WORDS, OUTPUT_WORDS = len(InputField), len(OutputField)


def define_arguments(module: Module) -> None:
    """File ``take_scalar``, ``aliased``, ``gather_outs``, ``overlaps``, ``adopt``, ``by_name``."""
    define_take_scalar(module)
    define_aliased(module)
    define_gather_outs(module)
    define_overlaps(module)
    define_adopt(module)
    define_by_name(module)


# ---- inputs --------------------------------------------------------------------------------------


def take_inputs(f: Entry, args: Value, misfit: str) -> Value:
    """Read every argument's address and extents; nonzero where an extent changed."""
    b = f.b
    table = f.get(Field.INPUTS, "ptr")
    with b.loop(b.i64(0), f.get(Field.N_INPUTS), 1, [f.get(Field.STALE)]) as loop:
        row = b.gep(f"[{INPUT_WORDS} x i64]", table, loop.index)
        value = f.word(args, loop.index, "ptr")
        rank = f.word(row, InputField.RANK)
        scalar, array, on = map(b.label, ("scalar", "array", "taken"))
        b.branch(b.icmp("eq", rank, b.i64(0)), scalar, array)
        b.start(scalar)
        good = b.call("take_scalar", "i1", [f.header, f.api, row, value])
        one = b.block
        b.branch(good, on, misfit)
        b.start(array)
        changed = take_array(f, row, value, rank, loop.carry[0], misfit)
        other = b.block
        b.jump(on)
        b.start(on)
        loop.next = [b.phi("i64", [(loop.carry[0], one), (changed, other)])]
    return loop.result[0]


def fits(f: Entry, array: Value, row: Value, rank: Value, flags: int, misfit: str) -> None:
    """Leave unless this is exactly an ndarray of the row's dtype and rank with all the flags."""
    b = f.b
    f.leave_if(b.icmp("ne", f.type_of(array), f.object(Api.ARRAY_TYPE)), misfit)
    descr = b.load("ptr", b.gep("i8", array, ARRAY.DESCR))
    f.leave_if(b.icmp("ne", descr, f.word(row, 0, "ptr")), misfit)
    have = b.cast("sext", b.load("i32", b.gep("i8", array, ARRAY.RANK)), "i64")
    f.leave_if(b.icmp("ne", have, rank), misfit)
    set_ = b.load("i32", b.gep("i8", array, ARRAY.FLAGS))
    wanted = b.const("i32", flags)
    f.leave_if(b.icmp("ne", b.and_(set_, wanted), wanted), misfit)


def bytes_of(f: Entry, array: Value, itemsize: Value) -> Value:
    """The size of a contiguous array."""
    b = f.b
    rank = b.cast("sext", b.load("i32", b.gep("i8", array, ARRAY.RANK)), "i64")
    extents = b.load("ptr", b.gep("i8", array, ARRAY.DIMS))
    with b.loop(b.i64(0), rank, 1, [itemsize]) as axes:
        axes.next = [b.mul(axes.carry[0], f.word(extents, axes.index))]
    return axes.result[0]


def leave_if_met(f: Entry, one: Value, size: Value, other: Value, length: Value, to: str) -> None:
    """Leave where two blocks of memory have a byte in common."""
    b = f.b
    start, begin = b.cast("ptrtoint", one, "i64"), b.cast("ptrtoint", other, "i64")
    before = b.icmp("ult", begin, b.add(start, size))
    after = b.icmp("ult", start, b.add(begin, length))
    f.leave_if(b.and_(before, after), to)


def each_array(f: Entry, args: Value, of: Callable[[Value, Value], None]) -> None:
    """``of(data, bytes)`` for every argument that is read where it stands."""
    b = f.b
    with f.rows(Field.INPUTS, INPUT_WORDS) as (index, row):
        array, on = f.word(args, index, "ptr"), b.label("on")
        f.leave_if(b.icmp("eq", f.word(row, InputField.RANK), b.i64(0)), on)
        size = bytes_of(f, array, f.word(row, InputField.ITEMSIZE))
        of(b.load("ptr", b.gep("i8", array, ARRAY.DATA)), size)
        b.jump(on)
        b.start(on)


def leave_if_aliased(f: Entry, args: Value, misfit: str) -> None:
    """Leave where an argument is memory that the steps overwrite: it must be copied first."""
    b = f.b
    with b.when(b.icmp("ne", f.get(Field.N_OVERWRITTEN), b.i64(0))):
        f.leave_if(b.call("aliased", "i1", [f.header, f.api, args]), misfit)


def define_aliased(module: Module) -> None:
    """``i1 aliased(header, api, args)``: whether a step could change an argument."""
    f = function(module, "aliased", "i1", [("ptr", "args")])
    b, found = f.b, f.b.label("found")

    def check(data: Value, size: Value) -> None:
        with f.rows(Field.OVERWRITTEN, 2) as (_, row):
            cell = b.load("ptr", f.word(row, 0, "ptr"))
            leave_if_met(f, data, size, cell, f.word(row, 1), found)

    each_array(f, b.args[2], check)
    b.ret(Value("false", "i1"))
    b.start(found)
    b.ret(Value("true", "i1"))


def take_array(
    f: Entry, row: Value, array: Value, rank: Value, changed: Value, misfit: str
) -> Value:
    """One argument's address and extents; ``changed`` gathers every differing bit."""
    b = f.b
    fits(f, array, row, rank, FIT_FLAGS, misfit)
    data = b.load("i64", b.gep("i8", array, ARRAY.DATA))
    b.store(data, f.word(row, InputField.DATA, "ptr"))
    extents = b.load("ptr", b.gep("i8", array, ARRAY.DIMS))
    slots = f.word(row, InputField.SLOTS, "ptr")
    with b.loop(b.i64(0), rank, 1, [changed]) as loop:
        extent, slot = f.word(extents, loop.index), f.word(slots, loop.index, "ptr")
        loop.next = [b.or_(loop.carry[0], b.xor(extent, b.load("i64", slot)))]
        b.store(extent, slot)
    return loop.result[0]


def define_take_scalar(module: Module) -> None:
    """``i1 take_scalar(header, api, row, value)``: copy a value of rank 0; false: it needs Python.

    An array of rank 0, NumPy's scalar, a Python float or a Python int that converts exactly.
    """
    f = function(module, "take_scalar", "i1", [("ptr", "row"), ("ptr", "value")])
    b, (row, value) = f.b, f.b.args[2:]
    misfit, copy, behind, number = map(b.label, ("misfit", "copy", "behind", "number"))
    integer, other = b.label("integer"), b.label("other")
    place, kind = f.word(row, InputField.DATA, "ptr"), f.type_of(value)
    is_array = b.icmp("eq", kind, f.object(Api.ARRAY_TYPE))
    array = b.label("array")
    b.branch(is_array, array, other)
    b.start(array)
    fits(f, value, row, b.i64(0), FIT_FLAGS, misfit)
    inside = b.load("ptr", b.gep("i8", value, ARRAY.DATA))
    from_array = b.block
    b.jump(copy)
    b.start(other)
    scalar = b.icmp("eq", kind, f.word(row, InputField.SCALAR_TYPE, "ptr"))
    twin = b.icmp("eq", kind, f.word(row, InputField.TWIN_TYPE, "ptr"))
    b.branch(b.or_(scalar, twin), behind, number)
    b.start(behind)
    beside = b.gep("i8", value, SCALAR)
    b.jump(copy)
    b.start(copy)
    source = b.phi("ptr", [(inside, from_array), (beside, behind)])
    f.copy(place, source, f.word(row, InputField.ITEMSIZE))
    b.ret(Value("true", "i1"))
    b.start(number)
    code = f.word(row, InputField.CODE)
    f.leave_if(b.icmp("eq", kind, f.object(Api.INT_TYPE)), integer)
    single = b.icmp("eq", code, b.i64(CODES.index("single")))
    real = b.icmp("eq", kind, f.object(Api.FLOAT_TYPE))
    f.leave_if(b.not_(b.and_(single, real)), misfit)
    b.store(b.cast("fptrunc", b.load("double", b.gep("i8", value, SCALAR)), "float"), place)
    b.ret(Value("true", "i1"))
    b.start(integer)
    take_integer(f, row, value, place, misfit)
    b.start(misfit)
    b.ret(Value("false", "i1"))


def take_integer(f: Entry, row: Value, value: Value, place: Value, misfit: str) -> None:
    """Store a Python int in the row's dtype, or leave; ends in a return."""
    b = f.b
    over = b.emit("ptr", "alloca i32, align 4")
    number = f.call(Api.PyLong_AsLongLongAndOverflow, "i64", value, over)
    f.leave_if(b.icmp("ne", b.load("i32", over), b.const("i32", 0)), misfit)
    f.leave_if(b.icmp("slt", number, f.word(row, InputField.LOW)), misfit)
    f.leave_if(b.icmp("sgt", number, f.word(row, InputField.HIGH)), misfit)
    labels = {name: b.label(name) for name in CODES if name != "none"}
    cases = " ".join(f"i64 {CODES.index(name)}, label %{to}" for name, to in labels.items())
    b.do(f"switch {f.word(row, InputField.CODE)}, label %{misfit} [ {cases} ]")
    b.start(labels["int"])
    b.store(number, place)  # little-endian: the low bytes come first
    b.ret(Value("true", "i1"))
    b.start(labels["double"])
    b.store(b.cast("sitofp", number, "double"), place)
    b.ret(Value("true", "i1"))
    b.start(labels["single"])
    b.store(b.cast("sitofp", number, "float"), place)
    b.ret(Value("true", "i1"))


# ---- arrays for the results ----------------------------------------------------------------------


def define_gather_outs(module: Module) -> None:
    """``i1 gather_outs(header, api, out, outs)``: the caller's arrays in order; false: misfit."""
    f = function(module, "gather_outs", "i1", [("ptr", "out"), ("ptr", "outs")])
    b, (out, outs) = f.b, f.b.args[2:]
    form, count = f.get(Field.FORM), f.get(Field.N_OBJECTS)
    misfit = b.label("misfit")
    labels = {name: b.label(name) for name in FORMS if name != "none"}
    cases = " ".join(f"i64 {FORMS.index(name)}, label %{to}" for name, to in labels.items())
    b.do(f"switch {form}, label %{misfit} [ {cases} ]")
    b.start(labels["one"])
    b.store(out, outs)
    b.ret(Value("true", "i1"))
    for name, kind, size, item in (
        ("list", Api.LIST_TYPE, Api.PyList_Size, Api.PyList_GetItem),
        ("tuple", Api.TUPLE_TYPE, Api.PyTuple_Size, Api.PyTuple_GetItem),
        ("dict", Api.DICT_TYPE, Api.PyDict_Size, Api.PyDict_GetItem),
    ):
        b.start(labels[name])
        f.leave_if(b.icmp("ne", f.type_of(out), f.object(kind)), misfit)
        f.leave_if(b.icmp("ne", f.call(size, "i64", out), count), misfit)
        keys = f.get(Field.KEYS, "ptr")
        with b.loop(b.i64(0), count, 1) as loop:
            place = f.word(keys, loop.index, "ptr") if name == "dict" else loop.index
            found = f.call(item, "ptr", out, place)
            f.leave_if(f.is_null(found), misfit)
            b.store(found, b.gep("ptr", outs, loop.index))
        b.ret(Value("true", "i1"))
    b.start(misfit)
    b.ret(Value("false", "i1"))


def define_overlaps(module: Module) -> None:
    """``i1 overlaps(header, api, first, size, args, outs, place)``: whether a result's memory is
    that of an argument, a shared variable or a result before it."""
    extra = [("ptr", "first"), ("i64", "size"), ("ptr", "args"), ("ptr", "outs"), ("i64", "place")]
    f = function(module, "overlaps", "i1", extra)
    b, (first, size, args, outs, place) = f.b, f.b.args[2:]
    found = b.label("found")

    def meets(other: Value, length: Value) -> None:
        leave_if_met(f, first, size, other, length, found)

    each_array(f, args, meets)
    with f.rows(Field.SHARED, 2) as (_, row):
        meets(b.load("ptr", f.word(row, 0, "ptr")), f.word(row, 1))
    with b.loop(b.i64(0), place, 1) as before:
        array = f.word(outs, before.index, "ptr")
        table = f.get(Field.EAGER, "ptr")
        row = b.gep(f"[{OUTPUT_WORDS} x i64]", table, before.index)
        data = b.load("ptr", b.gep("i8", array, ARRAY.DATA))
        meets(data, bytes_of(f, array, f.word(row, OutputField.ITEMSIZE)))
    b.ret(Value("false", "i1"))
    b.start(found)
    b.ret(Value("true", "i1"))


def define_adopt(module: Module) -> None:
    """``i1 adopt(header, api, args, outs)``: let the steps write into the caller's arrays.

    False, with nothing done, where one of them does not fit exactly or overlaps what is read.
    """
    f = function(module, "adopt", "i1", [("ptr", "args"), ("ptr", "outs")])
    b, (args, outs) = f.b, f.b.args[2:]
    misfit = b.label("misfit")
    with f.rows(Field.EAGER, OUTPUT_WORDS) as (index, row):
        array = f.word(outs, index, "ptr")
        rank, extents = f.word(row, OutputField.RANK), f.word(row, OutputField.EXTENTS, "ptr")
        fits(f, array, row, rank, OUT_FLAGS, misfit)
        have = b.load("ptr", b.gep("i8", array, ARRAY.DIMS))
        with b.loop(b.i64(0), rank, 1, [f.word(row, OutputField.ITEMSIZE)]) as axes:
            extent = f.word(extents, axes.index)
            f.leave_if(b.icmp("ne", f.word(have, axes.index), extent), misfit)
            axes.next = [b.mul(axes.carry[0], extent)]
        data = b.load("ptr", b.gep("i8", array, ARRAY.DATA))
        block = [f.header, f.api, data, axes.result[0], args, outs, index]
        f.leave_if(b.call("overlaps", "i1", block), misfit)
    with f.rows(Field.EAGER, OUTPUT_WORDS) as (index, row):
        array = f.word(outs, index, "ptr")
        f.incref(array)
        b.store(array, f.word(row, OutputField.OBJECT, "ptr"))
        data = b.load("ptr", b.gep("i8", array, ARRAY.DATA))
        b.store(data, f.word(row, OutputField.DATA, "ptr"))
    b.ret(Value("true", "i1"))
    b.start(misfit)
    b.ret(Value("false", "i1"))


# ---- keywords ------------------------------------------------------------------------------------


def define_by_name(module: Module) -> None:
    """``ptr by_name(header, api, args, count, names)``: ``run`` with the arguments in order.

    MISFIT where a name is unknown to the interpreter's table, given twice, or one is missing.
    """
    extra = [("ptr", "args"), ("i64", "count"), ("ptr", "names")]
    f = function(module, "by_name", "ptr", extra)
    b, (args, count, names) = f.b, f.b.args[2:]
    misfit, inputs = b.label("misfit"), f.get(Field.N_INPUTS)
    room = b.add(inputs, b.i64(1))
    f.leave_if(b.icmp("sgt", count, inputs), misfit)
    values = b.emit("ptr", f"alloca ptr, {room}, align 16")
    outs = b.emit("ptr", f"alloca ptr, {f.get(Field.N_OBJECTS)}, align 16")
    with b.loop(b.i64(0), room, 1) as loop:
        given = b.icmp("slt", loop.index, count)
        value = b.choose(given, lambda: [f.word(args, loop.index, "ptr")], lambda: [NULL])[0]
        b.store(value, b.gep("ptr", values, loop.index))
    known = f.get(Field.KEYWORDS, "ptr")
    with b.loop(b.i64(0), f.call(Api.PyTuple_Size, "i64", names), 1) as loop:
        name = f.call(Api.PyTuple_GetItem, "ptr", names, loop.index)
        with b.loop(b.i64(0), room, 1, [b.i64(-1)]) as search:
            same = b.icmp("eq", name, f.word(known, search.index, "ptr"))
            search.next = [b.select(same, search.index, search.carry[0])]
        place = search.result[0]
        f.leave_if(b.icmp("slt", place, b.i64(0)), misfit)
        slot = b.gep("ptr", values, place)
        f.leave_if(b.not_(f.is_null(b.load("ptr", slot))), misfit)
        b.store(f.word(args, b.add(count, loop.index), "ptr"), slot)
    with b.loop(b.i64(0), inputs, 1) as loop:
        f.leave_if(f.is_null(f.word(values, loop.index, "ptr")), misfit)
    out = f.word(values, inputs, "ptr")
    plain, direct = b.label("plain"), b.label("direct")
    head: Sequence[Value] = (f.header, f.api)
    f.leave_if(f.is_null(out), plain)
    f.leave_if(b.icmp("eq", f.get(Field.DIRECT), b.i64(0)), misfit)
    b.branch(b.call("gather_outs", "i1", [*head, out, outs]), direct, misfit)
    b.start(direct)
    b.do(f"ret {b.call('run', 'ptr', [*head, values, outs])}")
    b.start(plain)
    b.do(f"ret {b.call('run', 'ptr', [*head, values, NULL])}")
    b.start(misfit)
    b.ret(MISFIT)
