"""The pool of this process: made at first need, grown to the largest number of threads asked for.

Workers are bare POSIX threads: they never hold the GIL, run no Python and die with the process. A
forked child has none of them and makes its own when a call asks for them.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from ..runtime.abi import Api, api_address, table
from .code import BLOCKS, COND, DONE, MUTEX, TICKET, WORKERS, Job, library

__all__ = ["LIMIT", "ensure", "size"]

LIMIT = 256  # threads of one call, the caller among them
PATIENCE = 2.0  # seconds that the end of the interpreter waits for a call under way
LINE = 64  # bytes
Words = ctypes.Array[ctypes.c_int64]
# signals of a fault in the code itself: faulthandler shall hear of them in a worker too
FAULTS = {signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV} | (
    {signal.SIGBUS, signal.SIGTRAP} if os.name == "posix" else set()
)


@dataclass(slots=True)
class Pool:
    """The workers' blocks, their threads, and the words that machine code knows them by."""

    words: Words
    blocks: Words
    threads: list[int] = field(default_factory=list)


class State:
    """What this process has; a forked child begins anew."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pool: Pool | None = None
        self.closed = False


state = State()
kept: list[object] = []  # memory and code that a thread may still look at: never freed


def aligned_words(count: int) -> Words:
    """Zeros at the beginning of a cache line."""
    buffer = ctypes.create_string_buffer(8 * count + LINE)
    kept.append(buffer)
    start = ctypes.addressof(buffer)
    return (ctypes.c_int64 * count).from_address((start + LINE - 1) // LINE * LINE)


def posix(name: str, *args: Any) -> int:
    """Call a function of the C library, the GIL released; integers are addresses."""
    function: Any = getattr(ctypes.CDLL(None), name)
    return int(function(*(ctypes.c_void_p(a) if isinstance(a, int) else a for a in args)))


def size() -> int:
    """How many workers wait for work: one less than the threads of the largest call."""
    return len(state.pool.threads) if state.pool is not None else 0


def ensure(threads: int) -> None:
    """Have workers for calls with ``threads`` threads, or as many as the system gives us.

    Without POSIX threads there are none, and calls use one thread.
    """
    with state.lock:
        if state.closed or table()[Api.pthread_cond_wait] == 0:
            return
        if state.pool is None:
            state.pool = open_pool()
        pool = state.pool
        while len(pool.threads) < min(threads, LIMIT) - 1 and start_worker(pool):
            pool.words[WORKERS] = len(pool.threads)
        table()[Api.POOL] = ctypes.addressof(pool.words)


def open_pool() -> Pool:
    """A pool without workers; from now on machine code knows how to deal out work."""
    blocks, words = aligned_words(LIMIT), aligned_words(LINE // 8)
    words[BLOCKS] = ctypes.addressof(blocks)
    kept.append(library())
    table()[Api.DISPATCH] = library().address("dispatch")
    return Pool(words, blocks)


def start_worker(pool: Pool) -> bool:
    """One more thread with a block of its own; whether the system gave us one.

    It blocks all signals but `FAULTS`, so that they reach the threads of Python.
    """
    block = aligned_words(Job.WORDS)
    start = ctypes.addressof(block)
    block[Job.TABLE] = api_address()
    for event in (TICKET, DONE):
        posix("pthread_mutex_init", start + 8 * (event + MUTEX), 0)
        posix("pthread_cond_init", start + 8 * (event + COND), 0)
    pool.blocks[len(pool.threads) + 1] = start
    thread = ctypes.c_size_t()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - FAULTS)
    try:
        code = library().address("worker")
        failed = posix("pthread_create", ctypes.byref(thread), 0, code, start)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if not failed:
        pool.threads.append(thread.value)
    return not failed


# ---- the end of a process, and the beginning of a forked one -------------------------------------


def close() -> None:
    """Let the workers end before the interpreter does; calls from here on use no pool."""
    with state.lock:
        state.closed = True
        table()[Api.POOL] = 0
        pool, state.pool = state.pool, None
    if pool is None:
        return
    stop = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(library().address("close"))
    deadline = time.monotonic() + PATIENCE
    while not stop(ctypes.addressof(pool.words)):
        if time.monotonic() > deadline:
            return  # some daemon thread is in a long call; what its workers use is never freed
        time.sleep(1e-3)
    for thread in pool.threads:
        posix("pthread_join", thread, 0)


def begin_anew() -> None:
    """In a forked child: the threads of the parent are not here."""
    global state
    if state.pool is not None:
        table()[Api.POOL] = 0
    state = State()


atexit.register(close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=begin_anew)
