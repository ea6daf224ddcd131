"""The part of the entry that runs the kernels, with the GIL or, where the work is long, without.

A call that keeps the GIL only looks whether the shared variables it uses are free. A long one marks
them, lets the GIL go, and shares out the units of its larger steps to the pool of workers.
"""

from __future__ import annotations

from collections.abc import Callable

from symgraph.cell import CLAIM, LOCK

from ..builder import Builder, Module, Value
from ..threads.code import WORKERS
from .abi import Api
from .access import NULL, Entry, function
from .layout import ERROR_WORDS, Field
from .ranges import SHARED_WORK

__all__ = ["define_steps", "hold_shared", "leave_shared", "run_steps"]


def nothing() -> None:
    """The GIL is ours all along."""


YES, NO = Value("true", "i1"), Value("false", "i1")
STEP_WORDS = 5


def define_steps(module: Module) -> None:
    """File the functions ``hold``, ``leave`` and ``run_long``; the size code comes before."""
    define_hold(module)
    define_leave(module)
    define_run_long(module)


# ---- shared variables ----------------------------------------------------------------------------


def define_hold(module: Module) -> None:
    """``i1 hold(header, api, long)``: wait until the shared variables are free; mark them if long.

    False with an exception set.
    """
    f = function(module, "hold", "i1", [("i1", "long")])
    b = f.b
    look, wait, again, failed = map(b.label, ("look", "wait", "again", "failed"))
    b.jump(look)
    b.start(look)
    with f.rows(Field.LOCKS, 2) as (_, row):
        cell, changes = f.word(row, 0, "ptr"), f.word(row, 1)
        lock = f.word(cell, LOCK)
        used = b.select(
            b.icmp("ne", changes, b.i64(0)), b.icmp("ne", lock, b.i64(0)), negative(b, lock)
        )
        claimed = b.icmp("ne", f.word(cell, CLAIM), b.i64(0))
        f.leave_if(b.or_(used, claimed), wait)
    with b.when(b.args[2]):
        mark(f, 1)
        f.put(Field.HELD, 1)
    b.ret(YES)
    b.start(wait)
    answer = f.call(
        Api.PyObject_Vectorcall, "ptr", f.get(Field.WAIT, "ptr"), f.header, b.i64(0), NULL
    )
    b.branch(f.is_null(answer), failed, again)
    b.start(again)
    f.decref(answer)
    b.jump(look)
    b.start(failed)
    b.ret(NO)


def negative(b: Builder, value: Value) -> Value:
    return b.icmp("slt", value, b.i64(0))


def mark(f: Entry, sign: int) -> None:
    """Count this call in (1) or out (-1) at every shared variable it uses."""
    b = f.b
    with f.rows(Field.LOCKS, 2) as (_, row):
        place = b.gep("i64", f.word(row, 0, "ptr"), LOCK)
        step = b.select(b.icmp("ne", f.word(row, 1), b.i64(0)), b.i64(-sign), b.i64(sign))
        b.store(b.add(b.load("i64", place), step), place)


def define_leave(module: Module) -> None:
    """``void leave(header, api)``: the shared variables are free of this call."""
    f = function(module, "leave", "void", [])
    mark(f, -1)
    f.put(Field.HELD, 0)
    f.b.ret()


def is_long(f: Entry) -> Value:
    work = f.b.load("i64", f.get(Field.WORK, "ptr"))
    return f.b.icmp("sgt", work, f.get(Field.LONG))


def hold_shared(f: Entry, failed: str) -> Value:
    """Make sure of the shared variables before their addresses are read; whether the call is
    long."""
    b, long = f.b, is_long(f)
    with b.when(b.and_(long, b.icmp("sgt", f.get(Field.THREADS), b.i64(1)))):
        start_pool(f, failed)  # Python, which must not run while we have marked them
    some = b.icmp("ne", f.get(Field.N_LOCKS), b.i64(0))
    with b.when(some):
        good = b.call("hold", "i1", [f.header, f.api, long])
        f.leave_if(b.not_(good), failed)
    return long


def leave_shared(f: Entry) -> None:
    """Give the shared variables free, if they are marked."""
    b = f.b
    with b.when(b.icmp("ne", f.get(Field.HELD), b.i64(0))):
        b.call("leave", "void", [f.header, f.api])


# ---- steps ---------------------------------------------------------------------------------------


def run_steps(f: Entry, long: Value, failed: str) -> None:
    """Call the kernels in order; a data-dependent extent comes in between."""
    b = f.b
    away, here, done = map(b.label, ("away", "here", "done"))
    b.branch(long, away, here)
    b.start(away)
    good = b.call("run_long", "i1", [f.header, f.api])
    b.branch(good, done, failed)
    b.start(here)
    call_kernels(f, failed, lambda row, *call: (run_alone(f, *call), b.i64(0)))
    b.jump(done)
    b.start(done)


def call_kernels(
    f: Entry,
    failed: str,
    run: Callable[..., tuple[Value, Value]],
    stop: Callable[[], None] = nothing,
    go_on: Callable[[], None] = nothing,
) -> None:
    """For each step ``run(row, kernel, frame, units)``: its status, and the range that failed.

    ``stop()`` comes before whatever needs the GIL, ``go_on()`` after it.
    """
    b = f.b
    with f.rows(Field.STEPS, STEP_WORDS) as (index, row):
        kernel, frame = f.word(row, 0, "ptr"), f.word(row, 1, "ptr")
        resize, call, broken, done = map(b.label, ("resize", "call", "broken", "done"))
        b.branch(f.is_null(kernel), resize, call)
        b.start(call)
        status, which = run(row, kernel, frame, b.load("i64", f.word(row, 2, "ptr")))
        b.branch(b.icmp("eq", status, b.i64(0)), done, broken)
        b.start(broken)
        stop()
        record = b.gep(f"[{ERROR_WORDS} x i64]", f.get(Field.ERROR, "ptr"), which)
        head = (f.header, f.api, f.get(Field.FAIL, "ptr"), index, status)
        b.call("report", "void", [*head, record, b.i64(ERROR_WORDS)])
        b.jump(failed)
        b.start(resize)
        stop()
        b.store(b.load("i64", f.address(frame, 1)), f.word(frame, 0, "ptr"))
        good = b.call("refit", "i1", [f.header, f.api, NO])
        f.leave_if(b.not_(good), failed)
        f.moves(Field.PATCHES)
        go_on()
        b.jump(done)
        b.start(done)


def run_alone(f: Entry, kernel: Value, frame: Value, units: Value) -> Value:
    """Call one kernel for all its units."""
    return f.b.emit("i64", f"call i64 {kernel.ref}({frame}, i64 0, {units})")


def define_run_long(module: Module) -> None:
    """``i1 run_long(header, api)``: the steps without the GIL; false with an exception set."""
    f = function(module, "run_long", "i1", [])
    b, failed = f.b, f.b.label("failed")
    state, which = b.emit("ptr", "alloca ptr"), b.emit("ptr", "alloca i64")
    k = f.get(Field.THREADS)

    def let_go() -> None:
        b.store(f.call(Api.PyEval_SaveThread, "ptr"), state)

    def take_back() -> None:
        f.call(Api.PyEval_RestoreThread, "void", b.load("ptr", state))

    def run(row: Value, kernel: Value, frame: Value, units: Value) -> tuple[Value, Value]:
        b.store(b.i64(0), which)
        stride, pool = f.word(row, 4), f.object(Api.POOL)
        ranges = count_ranges(f, b.load("i64", f.word(row, 3, "ptr")), units, k)
        one = b.or_(b.icmp("slt", ranges, b.i64(2)), b.icmp("eq", stride, b.i64(0)))
        args = (pool, kernel, frame, stride, units, ranges, which)
        status = b.choose(
            b.or_(one, f.is_null(pool)),
            lambda: [run_alone(f, kernel, frame, units)],
            lambda: [f.call(Api.DISPATCH, "i64", *args)],
        )[0]
        return status, b.load("i64", which)

    let_go()
    call_kernels(f, failed, run, take_back, let_go)
    take_back()
    b.ret(YES)
    b.start(failed)
    b.ret(NO)


def count_ranges(f: Entry, work: Value, units: Value, k: Value) -> Value:
    """How many ranges a step falls into: none smaller than is worth waking a worker for."""
    most = f.b.intrinsic("llvm.smin", k, units)
    return f.b.intrinsic("llvm.smin", most, f.b.binary("sdiv", work, f.b.i64(SHARED_WORK)))


def start_pool(f: Entry, failed: str) -> None:
    """Make the pool where this process has none, or too few workers: in a forked child."""
    b, pool, k = f.b, f.object(Api.POOL), f.get(Field.THREADS)
    workers = b.choose(f.is_null(pool), lambda: [b.i64(0)], lambda: [f.word(pool, WORKERS)])[0]
    with b.when(b.icmp("slt", b.add(workers, b.i64(1)), k)):
        start = f.get(Field.START, "ptr")
        answer = f.call(Api.PyObject_Vectorcall, "ptr", start, f.header, b.i64(0), NULL)
        f.leave_if(f.is_null(answer), failed)
        f.decref(answer)
