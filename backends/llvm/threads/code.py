"""The pool in machine code: workers that wait without the GIL, and the dealing out of units.

A pool is a block of words that names its workers' blocks. The code of a worker and that of
whoever deals out work meet at *events*: a counter that one side raises and the other waits for,
first looking at it again and again for a short time, then asleep on a condition variable.
"""

from __future__ import annotations

from ..builder import Builder, Module, Value
from ..jit import Library, host
from ..objects import precompiled
from ..once import once
from ..runtime.abi import Api
from ..runtime.access import NULL, Entry

__all__ = ["BLOCKS", "COND", "DONE", "EVENT", "MUTEX", "TICKET", "WORKERS", "Job", "library"]

# an event, in words: the counter, whether somebody sleeps, a mutex and a condition variable
SLEEPS, MUTEX, COND, EVENT = 1, 8, 24, 40
# a worker, in words: work has been given, work is done, and the job
TICKET, DONE = 0, EVENT
# a pool, in words: whether a call uses it, how many workers, then (in two words) their blocks
BUSY, WORKERS, BLOCKS = range(3)
SPIN = 1 << 17  # cycles of looking before sleeping: some 50 us
ALONE = 1 << 11  # cycles of looking before letting others run: whom we wait for may need this CPU


class Job:
    """Words of a worker behind its two events."""

    KERNEL, FRAME, BEGIN, END, STATUS, TABLE = range(2 * EVENT, 2 * EVENT + 6)
    TAKEN, BEFORE, WORDS = range(2 * EVENT + 6, 2 * EVENT + 9)  # BEFORE: what DONE counted then


def place(b: Builder, base: Value, word: int | Value) -> Value:
    return b.gep("i64", base, word)


def read(b: Builder, base: Value, word: int, type_: str = "i64") -> Value:
    return b.load(type_, place(b, base, word))


def atomic_load(b: Builder, pointer: Value, order: str = "seq_cst") -> Value:
    return b.emit("i64", f"load atomic i64, ptr {pointer.ref} {order}, align 8")


def atomic_store(b: Builder, value: Value, pointer: Value, order: str = "seq_cst") -> None:
    b.do(f"store atomic {value}, ptr {pointer.ref} {order}, align 8")


def take(b: Builder, base: Value, word: int) -> Value:
    """Whether a word was 0 and is now 1: the pool, or a job, is ours."""
    flag = place(b, base, word)
    both = b.emit("{ i64, i1 }", f"cmpxchg ptr {flag.ref}, i64 0, i64 1 seq_cst seq_cst, align 8")
    return b.emit("i1", f"extractvalue {both}, 1")


# ---- events --------------------------------------------------------------------------------------


def define_announce(module: Module) -> None:
    """``void announce(api, event)``: raise the counter and wake who sleeps on it."""
    args = [("ptr", "api"), ("ptr", "event")]
    b = Builder(module, "announce", "void", args, linkage="internal")
    event = b.args[1]
    f = Entry(b, NULL, b.args[0])
    atomic_store(b, b.add(b.load("i64", event), b.i64(1)), event)
    sleeps = atomic_load(b, place(b, event, SLEEPS))
    with b.when(b.icmp("ne", sleeps, b.i64(0))):
        mutex = place(b, event, MUTEX)
        f.call(Api.pthread_mutex_lock, "i32", mutex)
        f.call(Api.pthread_cond_broadcast, "i32", place(b, event, COND))
        f.call(Api.pthread_mutex_unlock, "i32", mutex)
    b.ret()


def define_wait(module: Module) -> None:
    """``void wait(api, event, old)``: return when the counter is no longer ``old``."""
    args = [("ptr", "api"), ("ptr", "event"), ("i64", "old")]
    b = Builder(module, "wait", "void", args, linkage="internal")
    event, old = b.args[1:]
    f = Entry(b, NULL, b.args[0])
    look, idle, sleep, again, doze, up, done = map(
        b.label, ("look", "idle", "sleep", "again", "doze", "up", "done")
    )
    start = b.call("llvm.readcyclecounter", "i64", [])
    b.jump(look)
    b.start(look)
    b.branch(b.icmp("ne", atomic_load(b, event, "acquire"), old), done, idle)
    b.start(idle)
    b.call("llvm.x86.sse2.pause", "void", [])
    spent = b.sub(b.call("llvm.readcyclecounter", "i64", []), start)
    with b.when(b.icmp("ugt", spent, b.i64(ALONE))):
        f.call(Api.sched_yield, "i32")
    b.branch(b.icmp("ult", spent, b.i64(SPIN)), look, sleep)
    b.start(sleep)
    mutex, sleeps = place(b, event, MUTEX), place(b, event, SLEEPS)
    f.call(Api.pthread_mutex_lock, "i32", mutex)
    atomic_store(b, b.i64(1), sleeps)
    b.jump(again)
    b.start(again)
    b.branch(b.icmp("ne", atomic_load(b, event), old), up, doze)
    b.start(doze)
    f.call(Api.pthread_cond_wait, "i32", place(b, event, COND), mutex)
    b.jump(again)
    b.start(up)
    atomic_store(b, b.i64(0), sleeps)
    f.call(Api.pthread_mutex_unlock, "i32", mutex)
    b.jump(done)
    b.start(done)
    b.ret()


# ---- both sides ----------------------------------------------------------------------------------


def run_job(b: Builder, kernel: Value, frame: Value, begin: Value, end: Value) -> Value:
    return b.emit("i64", f"call i64 {kernel.ref}({frame}, {begin}, {end})")


def run_block(b: Builder, block: Value, kernel: Value) -> None:
    """Do the job of a worker's block, whoever runs this."""
    bounds = (read(b, block, Job.BEGIN), read(b, block, Job.END))
    status = run_job(b, kernel, read(b, block, Job.FRAME, "ptr"), *bounds)
    b.store(status, place(b, block, Job.STATUS))


def give_job(b: Builder, block: Value) -> None:
    """The job is written: let the worker take it."""
    atomic_store(b, b.i64(0), place(b, block, Job.TAKEN))
    api = read(b, block, Job.TABLE, "ptr")
    b.call("announce", "void", [api, place(b, block, TICKET)])


def define_worker(module: Module) -> None:
    """``ptr worker(block)``, the life of a thread: wait, work, until the kernel is NULL.

    Whoever gave a job may have taken it back by then.
    """
    b = Builder(module, "worker", "ptr", [("ptr", "block")])
    (block,) = b.args
    api = read(b, block, Job.TABLE, "ptr")
    rest, ours, work, end = map(b.label, ("rest", "ours", "work", "end"))
    ticket, done = place(b, block, TICKET), place(b, block, DONE)
    seen = b.emit("ptr", "alloca i64")
    b.store(b.i64(0), seen)
    b.jump(rest)
    b.start(rest)
    b.call("wait", "void", [api, ticket, b.load("i64", seen)])
    b.store(atomic_load(b, ticket, "acquire"), seen)
    b.branch(take(b, block, Job.TAKEN), ours, rest)
    b.start(ours)
    kernel = read(b, block, Job.KERNEL, "ptr")
    b.branch(b.icmp("eq", kernel, NULL), end, work)
    b.start(work)
    run_block(b, block, kernel)
    b.call("announce", "void", [api, done])
    b.jump(rest)
    b.start(end)
    b.ret(NULL)


def define_dispatch(module: Module) -> None:
    """``i64 dispatch(pool, kernel, frame, stride, units, k, which)``: the units in ``k`` ranges.

    Range r works in the frame ``stride`` bytes behind that of r - 1. The caller does range 0, then
    those that no worker has begun: on a crowded machine nobody waits for a thread that does not
    run. Returns the status of the lowest range that failed, its number in ``which``. Where
    the pool is in use the caller does it all.
    """
    args = [("ptr", "pool"), ("ptr", "kernel"), ("ptr", "frame"), ("i64", "stride")]
    args += [("i64", "units"), ("i64", "k"), ("ptr", "which")]
    b = Builder(module, "dispatch", "i64", args)
    pool, kernel, frame, stride, units, k, which = b.args
    alone, shared = b.label("alone"), b.label("shared")
    b.store(b.i64(0), which)
    b.branch(take(b, pool, BUSY), shared, alone)
    b.start(alone)
    b.do(f"ret {run_job(b, kernel, frame, b.i64(0), units)}")
    b.start(shared)
    workers = atomic_load(b, place(b, pool, WORKERS), "acquire")
    ranges = b.intrinsic("llvm.smin", k, b.add(workers, b.i64(1)))
    share, rest = b.binary("udiv", units, ranges), b.binary("urem", units, ranges)

    def bound(r: Value) -> Value:
        """The first ``rest`` ranges have one unit more than ``share``."""
        return b.add(b.mul(r, share), b.intrinsic("llvm.smin", r, rest))

    blocks = read(b, pool, BLOCKS, "ptr")
    with b.loop(b.i64(1), ranges, 1) as loop:
        r = loop.index
        block = b.load("ptr", b.gep("ptr", blocks, r))
        b.store(kernel, place(b, block, Job.KERNEL))
        b.store(b.gep("i8", frame, b.mul(r, stride)), place(b, block, Job.FRAME))
        b.store(bound(r), place(b, block, Job.BEGIN))
        b.store(bound(b.add(r, b.i64(1))), place(b, block, Job.END))
        b.store(read(b, block, DONE), place(b, block, Job.BEFORE))
        give_job(b, block)
    first = run_job(b, kernel, frame, b.i64(0), bound(b.i64(1)))
    with b.loop(b.i64(1), ranges, 1, [first]) as loop:
        r, status = loop.index, loop.carry[0]
        block = b.load("ptr", b.gep("ptr", blocks, r))
        mine, theirs, over = map(b.label, ("mine", "theirs", "over"))
        b.branch(take(b, block, Job.TAKEN), mine, theirs)
        b.start(mine)
        run_block(b, block, kernel)
        b.jump(over)
        b.start(theirs)
        api, before = read(b, block, Job.TABLE, "ptr"), read(b, block, Job.BEFORE)
        b.call("wait", "void", [api, place(b, block, DONE), before])
        b.jump(over)
        b.start(over)
        here = read(b, block, Job.STATUS)
        fresh = b.icmp("eq", status, b.i64(0))
        failed = b.and_(fresh, b.icmp("ne", here, b.i64(0)))
        b.store(b.select(failed, r, b.load("i64", which)), which)
        loop.next = [b.select(fresh, here, status)]
    atomic_store(b, b.i64(0), place(b, pool, BUSY))
    b.ret(loop.result[0])


def define_close(module: Module) -> None:
    """``i64 close(pool)``: 1 with every worker told to end and the pool never free again.

    0 where a call is using it.
    """
    b = Builder(module, "close", "i64", [("ptr", "pool")])
    (pool,) = b.args
    ours, used = b.label("ours"), b.label("used")
    b.branch(take(b, pool, BUSY), ours, used)
    b.start(used)
    b.do("ret i64 0")
    b.start(ours)
    blocks, workers = read(b, pool, BLOCKS, "ptr"), read(b, pool, WORKERS)
    with b.loop(b.i64(1), b.add(workers, b.i64(1)), 1) as loop:
        block = b.load("ptr", b.gep("ptr", blocks, loop.index))
        b.store(NULL, place(b, block, Job.KERNEL))
        give_job(b, block)
    b.ret(b.i64(1))


@once
def library() -> Library:
    """The loaded code, one copy per process."""
    return precompiled("threads", ("worker", "dispatch", "close"), pool_module, host())


def pool_module() -> Module:
    """The functions of the pool."""
    module = Module()
    for define in (define_announce, define_wait, define_worker, define_dispatch, define_close):
        define(module)
    return module
