"""The vectorcall entry: Python arguments in, kernels run, Python results out, in machine code.

``entry`` is what the type's vectorcall slot points at. It checks the arguments and hands them to
``run``; whatever does not fit at once goes to ``convert_and_run``, which lets Python make clean
arrays of it. One copy of this code serves every program of the process.
"""

from __future__ import annotations

import functools

from ..builder import Builder, Module, Value
from ..jit import Library, load
from .abi import ARRAY, FIT_FLAGS, Api
from .access import NULL, Entry, function
from .layout import ERROR_WORDS, FORMS, Field
from .sizes import define_sizes

__all__ = ["CONTEXT", "ENTRY_WORDS", "entry_address", "entry_ir"]

ENTRY_WORDS = 4  # words that an instance has behind its base class's part
CODE, OWNER, CONTEXT, TABLE = range(ENTRY_WORDS)  # entry, object that owns the header, header, api
MISFIT = Value("inttoptr (i64 1 to ptr)", "ptr")  # run: an argument needs conversion
POSITIONAL = (1 << 63) - 1  # mask of nargsf; PY_VECTORCALL_ARGUMENTS_OFFSET is the top bit
NESTED = "this compiled function is already running: a call inside its own call cannot be served"
DEAD = "this compiled function has been taken apart by the garbage collector"


# ---- results -------------------------------------------------------------------------------------


def define_container(module: Module) -> None:
    """``ptr container(header, api)``: an empty result, made first so that nothing can fail last."""
    f = function(module, "container", "ptr", [])
    b, form, count = f.b, f.get(Field.FORM), f.get(Field.N_OBJECTS)
    labels = {name: b.label(name) for name in FORMS if name != "one"}
    cases = " ".join(f"i64 {FORMS.index(name)}, label %{to}" for name, to in labels.items())
    b.do(f"switch {form}, label %{labels['none']} [ {cases} ]")
    b.start(labels["list"])
    b.do(f"ret {f.call(Api.PyList_New, 'ptr', count)}")
    b.start(labels["tuple"])
    b.do(f"ret {f.call(Api.PyTuple_New, 'ptr', count)}")
    b.start(labels["dict"])
    b.do(f"ret {f.call(Api.PyDict_Copy, 'ptr', f.get(Field.TEMPLATE, 'ptr'))}")
    b.start(labels["none"])
    f.incref(f.object(Api.NONE))
    b.ret(f.object(Api.NONE))


def define_deliver(module: Module) -> None:
    """``void deliver(header, api, container)``: move the outputs into the container."""
    f = function(module, "deliver", "void", [("ptr", "container")])
    b, container = f.b, f.b.args[2]
    form, objects = f.get(Field.FORM), f.get(Field.OBJECTS, "ptr")
    keys = f.get(Field.KEYS, "ptr")

    def is_form(name: str) -> Value:
        return b.icmp("eq", form, b.i64(FORMS.index(name)))

    with b.loop(b.i64(0), f.get(Field.N_OBJECTS), 1) as loop:
        place = b.gep("ptr", objects, loop.index)
        output = b.load("ptr", place)
        b.store(NULL, place)
        with b.when(is_form("list")):
            f.call(Api.PyList_SetItem, "i32", container, loop.index, output)
        with b.when(is_form("tuple")):
            f.call(Api.PyTuple_SetItem, "i32", container, loop.index, output)
        with b.when(is_form("dict")):
            key = f.word(keys, loop.index, "ptr")
            f.call(Api.PyDict_SetItem, "i32", container, key, output)
            f.decref(output)
    b.ret()


# ---- a call --------------------------------------------------------------------------------------


def take_inputs(f: Entry, args: Value, misfit: str) -> Value:
    """Read every argument's address and extents; nonzero where an extent changed."""
    b, array_type = f.b, f.object(Api.ARRAY_TYPE)
    table = f.get(Field.INPUTS, "ptr")
    with b.loop(b.i64(0), f.get(Field.N_INPUTS), 1, [f.get(Field.STALE)]) as loop:
        row = b.gep("[4 x i64]", table, loop.index)
        array = f.word(args, loop.index, "ptr")
        f.leave_if(b.icmp("ne", f.type_of(array), array_type), misfit)
        descr = b.load("ptr", b.gep("i8", array, ARRAY.DESCR))
        f.leave_if(b.icmp("ne", descr, f.word(row, 0, "ptr")), misfit)
        rank = b.cast("sext", b.load("i32", b.gep("i8", array, ARRAY.RANK)), "i64")
        f.leave_if(b.icmp("ne", rank, f.word(row, 1)), misfit)
        flags = b.load("i32", b.gep("i8", array, ARRAY.FLAGS))
        wanted = b.const("i32", FIT_FLAGS)
        f.leave_if(b.icmp("ne", b.and_(flags, wanted), wanted), misfit)
        data = b.load("i64", b.gep("i8", array, ARRAY.DATA))
        b.store(data, f.word(row, 3, "ptr"))
        extents = b.load("ptr", b.gep("i8", array, ARRAY.DIMS))
        loop.next = [take_extents(f, extents, f.word(row, 2, "ptr"), rank, loop.carry[0])]
    return loop.result[0]


def take_extents(f: Entry, extents: Value, slots: Value, rank: Value, changed: Value) -> Value:
    """Write one argument's extents to their slots; ``changed`` gathers every differing bit."""
    b = f.b
    with b.loop(b.i64(0), rank, 1, [changed]) as loop:
        extent, slot = f.word(extents, loop.index), f.word(slots, loop.index, "ptr")
        loop.next = [b.or_(loop.carry[0], b.xor(extent, b.load("i64", slot)))]
        b.store(extent, slot)
    return loop.result[0]


def allocate(f: Entry, row: Value, failed: str) -> tuple[Value, Value]:
    """A fresh output array, filed in the row's object; the array and where its data begin."""
    descr, dims = f.word(row, 0, "ptr"), f.word(row, 2, "ptr")
    f.incref(descr)
    array = f.new_array(descr, f.b.cast("trunc", f.word(row, 1), "i32"), dims)
    f.leave_if(f.is_null(array), failed)
    f.b.store(array, f.word(row, 3, "ptr"))
    return array, f.b.load("ptr", f.b.gep("i8", array, ARRAY.DATA))


def run_steps(f: Entry, failed: str) -> None:
    """Call the kernels in order; a data-dependent extent comes in between."""
    b = f.b
    with f.rows(Field.STEPS, 3) as (index, row):
        kernel, argument = f.word(row, 0, "ptr"), f.word(row, 1, "ptr")
        resize, call, broken, done = map(b.label, ("resize", "call", "broken", "done"))
        b.branch(f.is_null(kernel), resize, call)
        b.start(call)
        units = b.load("i64", f.word(row, 2, "ptr"))
        status = b.emit("i64", f"call i64 {kernel.ref}({argument}, i64 0, {units})")
        b.branch(b.icmp("eq", status, b.i64(0)), done, broken)
        b.start(broken)
        head = (f.header, f.api, f.get(Field.FAIL, "ptr"), index, status)
        b.call("report", "void", [*head, f.get(Field.ERROR, "ptr"), b.i64(ERROR_WORDS)])
        b.jump(failed)
        b.start(resize)
        extent = b.load("i64", f.address(argument, 1))
        b.store(extent, f.word(argument, 0, "ptr"))
        good = b.call("refit", "i1", [f.header, f.api, Value("false", "i1")])
        f.leave_if(b.not_(good), failed)
        f.moves(Field.PATCHES)
        b.jump(done)
        b.start(done)


def finish_outputs(f: Entry, failed: str) -> None:
    """Make the outputs whose extents are known only now, then let shared variables change."""
    b = f.b
    with f.rows(Field.LATE, 8) as (_, row):
        _, target = allocate(f, row, failed)
        extents, rank = f.word(row, 2, "ptr"), f.word(row, 1)
        with b.loop(b.i64(0), rank, 1, [f.word(row, 7)]) as loop:
            loop.next = [b.mul(loop.carry[0], f.word(extents, loop.index))]
        f.copy(target, f.address(row, 5), loop.result[0])
    with f.rows(Field.COMMITS, 4) as (_, row):
        target = b.load("ptr", f.word(row, 0, "ptr"))
        f.copy(target, f.address(row, 1), b.load("i64", f.word(row, 3, "ptr")))


def define_run(module: Module) -> None:
    """``ptr run(header, api, args)``: the result, NULL with an exception set, or MISFIT."""
    f = function(module, "run", "ptr", [("ptr", "args")])
    b = f.b
    failed, refused, misfit = b.label("failed"), b.label("refused"), b.label("misfit")
    nested, single = b.label("nested"), b.label("single")
    one = b.icmp("eq", f.get(Field.FORM), b.i64(FORMS.index("one")))
    head = [f.header, f.api]
    result = b.choose(one, lambda: [NULL], lambda: [b.call("container", "ptr", head)])[0]
    f.leave_if(b.and_(f.is_null(result), b.not_(one)), refused)
    f.leave_if(b.icmp("ne", f.get(Field.BUSY), b.i64(0)), nested)
    changed = take_inputs(f, b.args[2], misfit)
    f.put(Field.BUSY, 1)
    with b.when(b.icmp("ne", changed, b.i64(0))):
        f.moves(Field.RESETS)
        good = b.call("refit", "i1", [*head, Value("true", "i1")])
        f.leave_if(b.not_(good), failed)
    with f.rows(Field.EAGER, 8) as (_, row):
        _, data = allocate(f, row, failed)
        b.store(data, f.word(row, 4, "ptr"))
    f.moves(Field.PATCHES)
    run_steps(f, failed)
    finish_outputs(f, failed)
    f.put(Field.BUSY, 0)
    f.leave_if(one, single)
    b.call("deliver", "void", [*head, result])
    b.do(f"ret {result}")

    b.start(single)
    objects = f.get(Field.OBJECTS, "ptr")
    output = b.load("ptr", objects)
    b.store(NULL, objects)
    b.do(f"ret {output}")

    b.start(nested)
    f.complain(Api.RUNTIME_ERROR, NESTED)
    f.decref(result)
    b.jump(refused)

    b.start(misfit)
    f.put(Field.STALE, 1)  # some extents may have been written
    f.decref(result)
    b.do(f"ret {MISFIT}")

    b.start(failed)
    b.call("drop", "void", head)
    f.put(Field.BUSY, 0)
    f.decref(result)
    b.jump(refused)
    b.start(refused)
    b.ret(NULL)


def define_convert_and_run(module: Module) -> None:
    """``ptr convert_and_run(header, api, args, nargsf, names)``: the way of all other arguments."""
    extra = [("ptr", "args"), ("i64", "nargsf"), ("ptr", "names")]
    f = function(module, "convert_and_run", "ptr", extra)
    b = f.b
    failed, misfit, odd = b.label("failed"), b.label("misfit"), b.label("odd")
    arrays = f.call(Api.PyObject_Vectorcall, "ptr", f.get(Field.CONVERT, "ptr"), *b.args[2:])
    f.leave_if(f.is_null(arrays), failed)
    count = f.call(Api.PyTuple_Size, "i64", arrays)
    f.leave_if(b.icmp("slt", count, b.i64(0)), odd)
    f.leave_if(b.icmp("ne", count, f.get(Field.N_INPUTS)), misfit)
    items = b.emit("ptr", f"alloca ptr, {count}, align 16")
    with b.loop(b.i64(0), count, 1) as loop:
        item = f.call(Api.PyTuple_GetItem, "ptr", arrays, loop.index)
        b.store(item, b.gep("ptr", items, loop.index))
    result = b.call("run", "ptr", [f.header, f.api, items])
    f.leave_if(b.icmp("eq", result, MISFIT), misfit)
    f.decref(arrays)
    b.do(f"ret {result}")
    b.start(misfit)
    f.throw(f.call(Api.PyObject_CallOneArg, "ptr", f.get(Field.DIAGNOSE, "ptr"), arrays))
    b.jump(odd)
    b.start(odd)
    f.decref(arrays)
    b.jump(failed)
    b.start(failed)
    b.ret(NULL)


def define_entry(module: Module, offset: int) -> None:
    """``ptr entry(self, args, nargsf, names)``, whose words are ``offset`` bytes into ``self``."""
    signature = [("ptr", "self"), ("ptr", "args"), ("i64", "nargsf"), ("ptr", "names")]
    b = Builder(module, "entry", "ptr", signature)
    args, nargsf, names = b.args[1:]
    dead, alive, fast, slow, done = map(b.label, ("dead", "alive", "fast", "slow", "done"))
    words = b.gep("i8", b.args[0], offset)
    owner, header, api = (b.load("ptr", b.gep("ptr", words, k)) for k in (OWNER, CONTEXT, TABLE))
    f = Entry(b, header, api)
    b.branch(f.is_null(owner), dead, alive)
    b.start(alive)
    count = b.and_(nargsf, b.i64(POSITIONAL))
    fits = b.and_(f.is_null(names), b.icmp("eq", count, f.get(Field.N_INPUTS)))
    b.branch(fits, fast, slow)
    b.start(fast)
    result = b.call("run", "ptr", [header, api, args])
    b.branch(b.icmp("eq", result, MISFIT), slow, done)
    b.start(done)
    b.do(f"ret {result}")
    b.start(slow)
    b.do(f"ret {b.call('convert_and_run', 'ptr', [header, api, args, nargsf, names])}")
    b.start(dead)
    f.complain(Api.RUNTIME_ERROR, DEAD)
    b.ret(NULL)


# ---- loading -------------------------------------------------------------------------------------


def entry_ir(offset: int) -> str:
    """The entry's LLVM IR, for instances whose words begin ``offset`` bytes into the object."""
    module = Module()
    define_sizes(module)
    for define in (define_container, define_deliver, define_run, define_convert_and_run):
        define(module)
    define_entry(module, offset)
    return str(module)


@functools.cache
def library(offset: int) -> Library:
    """The loaded code, one copy per process and offset."""
    return load(entry_ir(offset), optimise=False)


def entry_address(offset: int) -> int:
    """Where the vectorcall function for instances with this offset stands."""
    return library(offset).address("entry")
