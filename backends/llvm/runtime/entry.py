"""The vectorcall entry: Python arguments in, kernels run, Python results out, in machine code.

``entry`` is what the type's vectorcall slot points at. It checks the arguments and hands them to
``run``; whatever does not fit at once goes to ``convert_and_run``, which lets Python make clean
arrays of it. One copy of this code serves every program of the process.
"""

from __future__ import annotations

from ..builder import Builder, Module, Value
from .abi import ARRAY, Api
from .access import NULL, Entry, function
from .arguments import MISFIT, define_arguments, leave_if_aliased, take_inputs
from .layout import FORMS, Field, OutputField
from .loaded import CONTEXT, OWNER, TABLE
from .recycling import KEEP, define_recycle, new_output
from .sizes import define_sizes
from .steps import define_steps, hold_shared, leave_shared, run_steps

__all__ = ["entry_ir", "entry_module"]

POSITIONAL = (1 << 63) - 1  # mask of nargsf; PY_VECTORCALL_ARGUMENTS_OFFSET is the top bit
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


def allocate(f: Entry, row: Value, failed: str) -> tuple[Value, Value]:
    """An output array, filed in the row's object; the array and where its data begin.

    Small ones are fresh, large ones (`KEEP`) are used again where nobody else sees them.
    """
    b = f.b
    size = b.load("i64", f.word(row, OutputField.BYTES, "ptr"))
    large = b.icmp("sge", size, b.i64(KEEP))
    array = b.choose(
        large,
        lambda: [b.call("recycle", "ptr", [f.header, f.api, row, size])],
        lambda: [new_output(f, row)],
    )[0]
    f.leave_if(f.is_null(array), failed)
    b.store(array, f.word(row, OutputField.OBJECT, "ptr"))
    return array, b.load("ptr", b.gep("i8", array, ARRAY.DATA))


def finish_outputs(f: Entry, failed: str) -> None:
    """Make the outputs whose extents are known only now, then let shared variables change."""
    b = f.b
    with f.rows(Field.LATE, len(OutputField)) as (_, row):
        _, target = allocate(f, row, failed)
        extents, rank = f.word(row, OutputField.EXTENTS, "ptr"), f.word(row, OutputField.RANK)
        with b.loop(b.i64(0), rank, 1, [f.word(row, OutputField.ITEMSIZE)]) as loop:
            loop.next = [b.mul(loop.carry[0], f.word(extents, loop.index))]
        f.copy(target, f.address(row, OutputField.BASE), loop.result[0])
    with f.rows(Field.COMMITS, 4) as (_, row):
        target = b.load("ptr", f.word(row, 0, "ptr"))
        f.copy(target, f.address(row, 1), b.load("i64", f.word(row, 3, "ptr")))


def make_outputs(f: Entry, failed: str, unfit: str) -> None:
    """The arrays that steps write into: ours, or those of the caller where they fit."""
    b, (args, outs) = f.b, f.b.args[2:]
    given, ours, ready = map(b.label, ("given", "ours", "ready"))
    b.branch(f.is_null(outs), ours, given)
    b.start(given)
    b.branch(b.call("adopt", "i1", [f.header, f.api, args, outs]), ready, unfit)
    b.start(ours)
    with f.rows(Field.EAGER, len(OutputField)) as (_, row):
        _, data = allocate(f, row, failed)
        b.store(data, f.word(row, OutputField.DATA, "ptr"))
    b.jump(ready)
    b.start(ready)


def call_other(f: Entry, args: Value, outs: Value) -> Value:
    """Let Python call the same program in other memory; the caller's arrays follow the inputs."""
    b = f.b
    inputs, results = f.get(Field.N_INPUTS), f.get(Field.N_OBJECTS)
    kept = b.select(f.is_null(outs), b.i64(0), results)
    count = b.add(inputs, kept)
    items = b.emit("ptr", f"alloca ptr, {count}, align 16")
    f.copy(items, args, b.mul(inputs, b.i64(8)))
    f.copy(b.gep("ptr", items, inputs), outs, b.mul(kept, b.i64(8)))
    return f.call(Api.PyObject_Vectorcall, "ptr", f.get(Field.OTHER, "ptr"), items, count, NULL)


def define_run(module: Module) -> None:
    """``ptr run(header, api, args, outs)``: the result, NULL with an exception set, or MISFIT.

    ``outs`` is NULL, or holds an array of the caller's for every result.
    """
    f = function(module, "run", "ptr", [("ptr", "args"), ("ptr", "outs")])
    b = f.b
    failed, refused, misfit = b.label("failed"), b.label("refused"), b.label("misfit")
    nested, single, unfit = b.label("nested"), b.label("single"), b.label("unfit")
    one = b.icmp("eq", f.get(Field.FORM), b.i64(FORMS.index("one")))
    head = [f.header, f.api]
    result = b.choose(one, lambda: [NULL], lambda: [b.call("container", "ptr", head)])[0]
    f.leave_if(b.and_(f.is_null(result), b.not_(one)), refused)
    f.leave_if(b.icmp("ne", f.get(Field.BUSY), b.i64(0)), nested)
    changed = take_inputs(f, b.args[2], misfit)
    leave_if_aliased(f, b.args[2], misfit)
    f.put(Field.BUSY, 1)
    with b.when(b.icmp("ne", changed, b.i64(0))):
        f.moves(Field.RESETS)
        good = b.call("refit", "i1", [*head, Value("true", "i1")])
        f.leave_if(b.not_(good), failed)
    make_outputs(f, failed, unfit)
    long = hold_shared(f, failed)
    f.moves(Field.PATCHES)
    run_steps(f, long, failed)
    finish_outputs(f, failed)
    leave_shared(f)
    f.put(Field.BUSY, 0)
    f.leave_if(one, single)
    b.call("deliver", "void", [*head, result])
    b.do(f"ret {result}")

    b.start(single)
    objects = f.get(Field.OBJECTS, "ptr")
    output = b.load("ptr", objects)
    b.store(NULL, objects)
    b.do(f"ret {output}")

    b.start(nested)  # another thread is in these tables, or this one from a callback
    f.decref(result)
    b.do(f"ret {call_other(f, *b.args[2:])}")

    b.start(unfit)
    f.put(Field.BUSY, 0)
    b.jump(misfit)

    b.start(misfit)
    f.put(Field.STALE, 1)  # some extents may have been written
    f.decref(result)
    b.do(f"ret {MISFIT}")

    b.start(failed)
    leave_shared(f)
    b.call("drop", "void", head)
    f.put(Field.BUSY, 0)
    f.decref(result)
    b.jump(refused)
    b.start(refused)
    b.ret(NULL)


def define_convert_and_run(module: Module) -> None:
    """``ptr convert_and_run(header, api, args, nargsf, names)``: the way of all other arguments.

    Where there are names, Python makes the whole call if it knows how to.
    """
    extra = [("ptr", "args"), ("i64", "nargsf"), ("ptr", "names")]
    f = function(module, "convert_and_run", "ptr", extra)
    b = f.b
    by_python, by_position = b.label("by_python"), b.label("by_position")
    whole = f.get(Field.CALL, "ptr")
    b.branch(b.or_(f.is_null(whole), f.is_null(b.args[4])), by_position, by_python)
    b.start(by_python)
    b.do(f"ret {f.call(Api.PyObject_Vectorcall, 'ptr', whole, *b.args[2:])}")
    b.start(by_position)
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
    result = b.call("run", "ptr", [f.header, f.api, items, NULL])
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
    plain, named = b.label("plain"), b.label("named")
    words = b.gep("i8", b.args[0], offset)
    owner, header, api = (b.load("ptr", b.gep("ptr", words, k)) for k in (OWNER, CONTEXT, TABLE))
    f = Entry(b, header, api)
    b.branch(f.is_null(owner), dead, alive)
    b.start(alive)
    count = b.and_(nargsf, b.i64(POSITIONAL))
    b.branch(f.is_null(names), plain, named)
    b.start(plain)
    b.branch(b.icmp("eq", count, f.get(Field.N_INPUTS)), fast, slow)
    b.start(fast)
    ordered = b.call("run", "ptr", [header, api, args, NULL])
    b.branch(b.icmp("eq", ordered, MISFIT), slow, done)
    b.start(named)
    sorted_ = b.call("by_name", "ptr", [header, api, args, count, names])
    b.branch(b.icmp("eq", sorted_, MISFIT), slow, done)
    b.start(done)
    result = b.phi("ptr", [(ordered, fast), (sorted_, named)])
    b.do(f"ret {result}")
    b.start(slow)
    b.do(f"ret {b.call('convert_and_run', 'ptr', [header, api, args, nargsf, names])}")
    b.start(dead)
    f.complain(Api.RUNTIME_ERROR, DEAD)
    b.ret(NULL)


# ---- the whole -----------------------------------------------------------------------------------


def entry_ir(offset: int) -> str:
    """The entry's LLVM IR, for instances whose words begin ``offset`` bytes into the object."""
    return str(entry_module(offset))


def entry_module(offset: int) -> Module:
    """All functions of the entry."""
    module = Module()
    define_sizes(module)
    define_steps(module)
    define_arguments(module)
    define_recycle(module)
    for define in (define_container, define_deliver, define_run, define_convert_and_run):
        define(module)
    define_entry(module, offset)
    return module
