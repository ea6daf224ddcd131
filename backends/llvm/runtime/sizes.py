"""The part of the entry that runs when an extent changed: size code, checks, arena, frame."""

from __future__ import annotations

from collections.abc import Callable

from ..builder import Builder, Module, Value
from .abi import ARRAY, Api
from .access import NULL, Entry, function
from .layout import Field
from .program import SizeOp

__all__ = ["define_sizes"]

OVERFLOW = "a size of this call does not fit in 64 bits"
LIMIT = "a commit of this program is larger than its shared variable"
ARENA = "a data-dependent size outgrew the memory planned for it"
ALIGNMENT = 64  # bytes; of the arena and of ALIGN64

Pair = tuple[Value, Value]  # result, and whether it left 64 bits
NEVER = Value("false", "i1")


def define_sizes(module: Module) -> None:
    """File the functions ``size_code``, ``drop``, ``report``, ``grow`` and ``refit``."""
    define_size_code(module)
    define_drop(module)
    define_report(module)
    define_grow(module)
    define_refit(module)


# ---- size bytecode -------------------------------------------------------------------------------


def checked(op: str) -> Callable[[Builder, Value, Value, Value], Pair]:
    """Arithmetic that says whether it overflowed."""

    def emit(b: Builder, old: Value, x: Value, y: Value) -> Pair:
        name = f"llvm.{op}.with.overflow.i64"
        both = b.call(name, "{ i64, i1 }", [x, y])
        return (
            b.emit("i64", f"extractvalue {both}, 0"),
            b.emit("i1", f"extractvalue {both}, 1"),
        )

    return emit


def muladd(b: Builder, old: Value, x: Value, y: Value) -> Pair:
    product, first = checked("smul")(b, old, x, y)
    total, second = checked("sadd")(b, old, old, product)
    return total, b.or_(first, second)


def divide(b: Builder, x: Value, y: Value) -> tuple[Value, Value, Value]:
    """Quotient, remainder and divisor, truncating; dividing by 0 or -1 is done as by 1."""
    odd = b.icmp("ult", b.add(y, b.i64(1)), b.i64(2))
    safe = b.select(odd, b.i64(1), y)
    return b.binary("sdiv", x, safe), b.binary("srem", x, safe), safe


def round_down(b: Builder, remainder: Value, y: Value) -> Value:
    """Whether truncation went the wrong way: a remainder whose sign is not the divisor's."""
    opposite = b.icmp("slt", b.xor(remainder, y), b.i64(0))
    return b.and_(opposite, b.icmp("ne", remainder, b.i64(0)))


def floordiv(b: Builder, old: Value, x: Value, y: Value) -> Pair:
    quotient, remainder, safe = divide(b, x, y)
    down = b.sub(quotient, b.cast("zext", round_down(b, remainder, safe), "i64"))
    negated, overflow = checked("ssub")(b, old, b.i64(0), x)
    minus = b.icmp("eq", y, b.i64(-1))
    result = b.select(b.icmp("eq", y, b.i64(0)), b.i64(0), b.select(minus, negated, down))
    return result, b.and_(minus, overflow)


def modulo(b: Builder, old: Value, x: Value, y: Value) -> Pair:
    _, remainder, safe = divide(b, x, y)
    return b.select(round_down(b, remainder, safe), b.add(remainder, safe), remainder), NEVER


def align(b: Builder, old: Value, x: Value, y: Value) -> Pair:
    raised, overflow = checked("sadd")(b, old, x, b.i64(ALIGNMENT - 1))
    return b.and_(raised, b.i64(-ALIGNMENT)), overflow


EMIT: dict[SizeOp, Callable[[Builder, Value, Value, Value], Pair]] = {
    SizeOp.MOVE: lambda b, old, x, y: (x, NEVER),
    SizeOp.ADD: checked("sadd"),
    SizeOp.SUB: checked("ssub"),
    SizeOp.MUL: checked("smul"),
    SizeOp.FLOORDIV: floordiv,
    SizeOp.MOD: modulo,
    SizeOp.MIN: lambda b, old, x, y: (b.intrinsic("llvm.smin", x, y), NEVER),
    SizeOp.MAX: lambda b, old, x, y: (b.intrinsic("llvm.smax", x, y), NEVER),
    SizeOp.ALIGN64: align,
    SizeOp.MULADD: muladd,
}


def define_size_code(module: Module) -> None:
    """``i1 size_code(header, api)``: run the bytecode; whether nothing overflowed."""
    f = function(module, "size_code", "i1", [])
    b = f.b
    labels = {op: b.label("op") for op in SizeOp}
    bad, join = b.label("bad"), b.label("join")
    with f.rows(Field.CODE, 4) as (_, row):
        target = f.word(row, 1, "ptr")
        old, x, y = (b.load("i64", f.word(row, k, "ptr")) for k in (1, 2, 3))
        cases = " ".join(f"i64 {int(op)}, label %{label}" for op, label in labels.items())
        b.do(f"switch {f.word(row, 0)}, label %{bad} [ {cases} ]")
        results = []
        for op, label in labels.items():
            b.start(label)
            result, overflow = EMIT[op](b, old, x, y)
            results.append((result, overflow, b.block))
            b.jump(join)
        b.start(join)
        value = b.phi("i64", [(result, block) for result, _, block in results])
        wrong = b.phi("i1", [(overflow, block) for _, overflow, block in results])
        b.store(value, target)
        f.leave_if(wrong, bad)
    b.ret(Value("true", "i1"))
    b.start(bad)
    b.ret(Value("false", "i1"))


# ---- errors --------------------------------------------------------------------------------------


def define_drop(module: Module) -> None:
    """``void drop(header, api)``: let go of the outputs made so far."""
    f = function(module, "drop", "void", [])
    b, objects = f.b, f.get(Field.OBJECTS, "ptr")
    with b.loop(b.i64(0), f.get(Field.N_OBJECTS), 1) as loop:
        place = b.gep("ptr", objects, loop.index)
        output = b.load("ptr", place)
        b.store(NULL, place)
        f.decref(output)
    b.ret()


def define_report(module: Module) -> None:
    """``void report(header, api, callback, a, b, words, n)``: raise what ``callback`` answers.

    ``callback(a, b, tuple(words))`` runs Python, which may use anything, this program too (in other
    memory): outputs are dropped, shared variables given free and the words copied first.
    """
    extra = [("ptr", "callback"), ("i64", "a"), ("i64", "b"), ("ptr", "words"), ("i64", "n")]
    f = function(module, "report", "void", extra)
    b, (callback, first, second, words, count) = f.b, f.b.args[2:]
    kept = b.emit("ptr", f"alloca i64, {count}, align 16")
    args = b.emit("ptr", "alloca ptr, i64 3, align 16")
    f.copy(kept, words, b.mul(count, b.i64(8)))
    b.call("drop", "void", [f.header, f.api])
    with b.when(b.icmp("ne", f.get(Field.HELD), b.i64(0))):
        b.call("leave", "void", [f.header, f.api])
    items = f.call(Api.PyTuple_New, "ptr", count)
    for place, value in enumerate((first, second)):
        b.store(f.call(Api.PyLong_FromLongLong, "ptr", value), b.gep("ptr", args, place))
    b.store(items, b.gep("ptr", args, 2))
    done = b.label("drop")
    f.leave_if(f.is_null(items), done)
    with b.loop(b.i64(0), count, 1) as loop:
        number = f.call(Api.PyLong_FromLongLong, "ptr", f.word(kept, loop.index))
        f.leave_if(f.is_null(number), done)
        f.call(Api.PyTuple_SetItem, "i32", items, loop.index, number)
    for place in range(2):
        f.leave_if(f.is_null(f.word(args, place, "ptr")), done)
    f.throw(f.call(Api.PyObject_Vectorcall, "ptr", callback, args, b.i64(3), NULL))
    b.jump(done)
    b.start(done)
    for place in range(3):
        f.decref(f.word(args, place, "ptr"))
    b.ret()


# ---- arena ---------------------------------------------------------------------------------------


def define_grow(module: Module) -> None:
    """``i1 grow(header, api, need)``: a new arena of ``need`` bytes; false where it failed."""
    f = function(module, "grow", "i1", [("i64", "need")])
    b, need = f.b, f.b.args[2]
    holder = f.get(Field.HOLDER, "ptr")
    f.put(Field.CAPACITY, 0)
    f.put(Field.ARENA, 0)
    f.incref(f.object(Api.NONE))
    f.call(Api.PyList_SetItem, "i32", holder, b.i64(0), f.object(Api.NONE))  # free it first
    f.put(Field.ARENA_DIMS, b.intrinsic("llvm.uadd.sat", need, b.i64(ALIGNMENT)))
    f.incref(f.object(Api.BYTE_DESCR))
    block = f.new_array(
        f.object(Api.BYTE_DESCR), Value("1", "i32"), b.gep("i64", f.header, Field.ARENA_DIMS)
    )
    failed = b.label("failed")
    f.leave_if(f.is_null(block), failed)
    f.call(Api.PyList_SetItem, "i32", holder, b.i64(0), block)
    start = b.load("i64", b.gep("i8", block, ARRAY.DATA))
    f.put(Field.ARENA, b.and_(b.add(start, b.i64(ALIGNMENT - 1)), b.i64(-ALIGNMENT)))
    f.put(Field.CAPACITY, need)
    b.ret(Value("true", "i1"))
    b.start(failed)
    b.ret(Value("false", "i1"))


# ---- refit ---------------------------------------------------------------------------------------


def define_refit(module: Module) -> None:
    """``i1 refit(header, api, grows)``: bring slots, arena and frame up to the extents.

    False with an exception set, the slots then marked stale.
    """
    f = function(module, "refit", "i1", [("i1", "grows")])
    b, failed = f.b, f.b.label("failed")
    f.put(Field.STALE, 1)
    whole = b.call("size_code", "i1", [f.header, f.api])
    require(f, whole, failed, lambda: f.complain(Api.OVERFLOW_ERROR, OVERFLOW))
    check_slots(f, failed)
    need = b.load("i64", f.get(Field.ARENA_NEED, "ptr"))
    fits = b.icmp("sle", need, f.get(Field.CAPACITY))
    with b.when(b.not_(fits)):
        require(f, b.args[2], failed, lambda: f.complain(Api.SYSTEM_ERROR, ARENA))
        grown = b.call("grow", "i1", [f.header, f.api, need])
        require(f, grown, failed, lambda: None)
    f.moves(Field.FITS)
    f.put(Field.STALE, f.get(Field.KEEP_STALE))
    b.ret(Value("true", "i1"))
    b.start(failed)
    b.ret(Value("false", "i1"))


def require(f: Entry, cond: Value, failed: str, otherwise: Callable[[], None]) -> None:
    """Go on where ``cond`` holds; else emit ``otherwise`` and go to ``failed``."""
    with f.b.when(f.b.not_(cond)):
        otherwise()
        f.leave_if(Value("true", "i1"), failed)


def check_slots(f: Entry, failed: str) -> None:
    """The program's checks, explained by Python, and the bounds of its commits."""

    def explain(kind: int, index: Value) -> None:
        head = (f.header, f.api, f.get(Field.EXPLAIN, "ptr"), f.b.i64(kind), index)
        words = (f.get(Field.SLOTS, "ptr"), f.get(Field.N_SLOTS))
        f.b.call("report", "void", [*head, *words])

    with f.rows(Field.CHECKS, 2) as (index, row):
        a, b = (f.b.load("i64", f.word(row, k, "ptr")) for k in range(2))
        require(f, f.b.icmp("eq", a, b), failed, lambda: explain(0, index))
    with f.rows(Field.NONNEGATIVE, 1) as (index, row):
        a = f.b.load("i64", f.word(row, 0, "ptr"))
        require(f, f.b.icmp("sge", a, f.b.i64(0)), failed, lambda: explain(1, index))
    with f.rows(Field.LIMITS, 2) as (_, row):
        a = f.b.load("i64", f.word(row, 0, "ptr"))
        inside = f.b.icmp("ule", a, f.word(row, 1))
        require(f, inside, failed, lambda: f.complain(Api.SYSTEM_ERROR, LIMIT))
