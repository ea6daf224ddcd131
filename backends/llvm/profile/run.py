"""Running a program with a clock around every kernel."""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numpy.typing import NDArray

from symgraph.backends.llvm.once import once
from symgraph.sizes import Atom

from ..builder import Builder, Module, kernel_function
from ..jit import Library, host
from ..kernel import Call
from ..objects import precompiled
from ..runtime.program import Program, Resize, Size, Step
from .account import account, title, user_lines
from .peaks import peaks
from .report import KernelProfile, Profile

__all__ = ["profile"]

Words = np.ndarray[Any, np.dtype[np.int64]]
LATEST = np.iinfo(np.int64).max
CALIBRATION = 0.01  # seconds
START, END = 0, 1  # the earliest start and the latest end of a step's ranges, in ticks


def _counter() -> str:
    """The instruction that reads a clock without a system call."""
    x86 = llvm.get_process_triple().startswith(("x86_64", "i686"))
    return "llvm.readcyclecounter" if x86 else "llvm.readsteadycounter"


@once
def _library() -> Library:
    """``now`` reads the clock; ``timed`` is a kernel around a kernel: its arguments are that
    kernel's address, where ticks go, and that kernel's arguments.
    """
    return precompiled("profile clock", ("now", "timed"), _clock_module, host())


def _clock_module() -> Module:
    module = Module()
    b = Builder(module, "now", "i64", [])
    b.ret(b.call(_counter(), "i64", []))
    b = kernel_function(module, "timed")
    args, begin, end = b.args
    kernel = b.load("ptr", args)
    ticks = b.load("ptr", b.gep("i64", args, 1))
    rest = b.gep("i64", args, 2)
    first = b.call(_counter(), "i64", [])
    status = b.emit("i64", f"call i64 {kernel.ref}({rest}, {begin}, {end})")
    last = b.call(_counter(), "i64", [])
    b.emit("i64", f"atomicrmw umin {ticks}, {first} monotonic")
    b.emit("i64", f"atomicrmw umax {b.gep('i64', ticks, 1)}, {last} monotonic")
    b.ret(status)
    return module


def _timed(program: Program, ticks: Words) -> Program:
    """The program with a clock around each step; row k of ``ticks`` belongs to step k."""
    initial, steps = list(program.initial), list[Step | Resize]()
    address = _library().address("timed")
    for k, step in enumerate(program.steps):
        if isinstance(step, Resize):
            steps.append(step)
            continue
        head = (Size(len(initial)), Size(len(initial) + 1))
        initial += [step.address, ticks[k:].ctypes.data]
        steps.append(replace(step, address=address, args=(*head, *step.args)))
    return replace(program, initial=tuple(initial), steps=tuple(steps))


@contextmanager
def _restored(program: Program) -> Iterator[None]:
    """Shared variables as they were, whatever the calls in between did to them."""
    saved = [cell.array.copy() for cell in program.shared]
    try:
        yield
    finally:
        for cell, array in zip(program.shared, saved, strict=True):
            np.copyto(cell.array, array)


@once
def _tick() -> float:
    """Seconds per tick of the clock."""
    now = ctypes.CFUNCTYPE(ctypes.c_int64)(_library().address("now"))
    start, first = time.perf_counter(), int(now())
    while time.perf_counter() - start < CALIBRATION:
        pass
    return (time.perf_counter() - start) / (int(now()) - first)


def _measure(
    run: Callable[..., Any], arguments: Sequence[Any], ticks: Words, rounds: int
) -> NDArray[np.float64]:
    """Seconds of each step, the median over the rounds."""
    samples = []
    for _ in range(rounds):
        ticks[:, START], ticks[:, END] = LATEST, 0
        run(*arguments)
        samples.append(ticks[:, END] - ticks[:, START])
    return np.asarray(np.median(samples, axis=0) * _tick(), np.float64)


def profile(
    name: str,
    program: Program,
    calls: Mapping[int, Call],
    make: Callable[[Program], Any],
    arguments: Sequence[Any],
    sizes: Mapping[Atom, int],
    rounds: int,
) -> Profile:
    """Call the program ``rounds`` times with a clock around every kernel.

    ``calls`` are the kernel calls by step, ``make`` gives a callable of a program, ``sizes`` are
    the sizes of these ``arguments``. Shared variables keep their values.
    """
    ticks = np.zeros((max(len(program.steps), 1), 2), np.int64)
    with _restored(program):
        plain, timed = make(program), make(_timed(program, ticks))
        for run in (plain, timed):
            run(*arguments)  # the first call finds cold caches and makes the arena
        whole = [_seconds(plain, arguments) for _ in range(rounds)]
        spent = _measure(timed, arguments, ticks, rounds)
    rows = [_row(k, call, float(spent[k]), sizes) for k, call in calls.items()]
    rows.sort(key=lambda row: -row.seconds)
    return Profile(name, program.threads, rounds, statistics.median(whole), tuple(rows), peaks())


def _row(step: int, call: Call, seconds: float, sizes: Mapping[Atom, int]) -> KernelProfile:
    found = account(call, sizes)
    return KernelProfile(
        step, title(call), seconds, found.bytes, found.flops, found.dtype, user_lines(call)
    )


def _seconds(run: Callable[..., Any], arguments: Sequence[Any]) -> float:
    start = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - start
