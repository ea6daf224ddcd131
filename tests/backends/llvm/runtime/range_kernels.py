"""Hand-made kernels whose work falls into units, and programs long enough to be shared out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from runtime_kernels import F4, Owner, X, Y, argument, explain, fail, no_convert

from symgraph.backends.llvm.builder import Builder, Module, kernel_function
from symgraph.backends.llvm.jit import Library, load
from symgraph.backends.llvm.runtime.callable import make_callable
from symgraph.backends.llvm.runtime.program import (
    Base,
    InputSpec,
    OutputSpec,
    Pointer,
    Program,
    Size,
    Step,
)
from symgraph.cell import SharedCell

LONG = 1 << 40  # scalar operations: far more than it takes to leave the GIL and wake workers
ARENA, ERROR = Base("arena"), Base("error")


def square(b: Builder) -> None:
    """args x, y, scratch: y[u] = x[u] ** 2, by way of scratch[0]."""
    x, y, scratch = (argument(b, k) for k in range(3))
    with b.loop(b.args[1], b.args[2], 1) as loop:
        b.do(f"store volatile {b.load('float', b.gep('float', x, loop.index))}, ptr {scratch.ref}")
        value = b.emit("float", f"load volatile float, ptr {scratch.ref}")
        b.store(b.fmul(value, value), b.gep("float", y, loop.index))


def mark(b: Builder) -> None:
    """args x, y, scratch: y[u] = the first unit of the range that u belongs to."""
    y = argument(b, 1)
    with b.loop(b.args[1], b.args[2], 1) as loop:
        b.store(b.cast("sitofp", b.args[1], "float"), b.gep("float", y, loop.index))


def refuse(b: Builder) -> None:
    """args x, error: status u + 1 and the record (u, 7) at the first x[u] < 0 of the range."""
    x, error = argument(b, 0), argument(b, 1)
    with b.loop(b.args[1], b.args[2], 1) as loop:
        bad = b.fcmp("olt", b.load("float", b.gep("float", x, loop.index)), b.const("float", 0.0))
        with b.when(bad):
            b.store(loop.index, error)
            b.store(b.i64(7), b.gep("i64", error, 1))
            again = b.label("dead")
            b.do(f"ret {b.add(loop.index, b.i64(1))}")
            b.start(again)


def wait(b: Builder, cycles: int) -> None:
    """Let time pass."""
    look, over = b.label("look"), b.label("over")
    start = b.call("llvm.readcyclecounter", "i64", [])
    b.jump(look)
    b.start(look)
    now = b.call("llvm.readcyclecounter", "i64", [])
    b.branch(b.icmp("ult", b.sub(now, start), b.i64(cycles)), look, over)
    b.start(over)


def count(b: Builder) -> None:
    """args w: w[0] += 1, with a long time between reading and writing."""
    w = argument(b, 0)
    value = b.load("float", w)
    wait(b, 200_000)
    b.store(b.fadd(value, b.const("float", 1.0)), w)


def twice(b: Builder) -> None:
    """args w, y: y[0] and y[1] are w[0], read at two times."""
    w, y = argument(b, 0), argument(b, 1)
    for place in range(2):
        b.store(b.load("float", w), b.gep("float", y, place))
        wait(b, 200_000)


def rest(b: Builder) -> None:
    """No args; takes a long time."""
    wait(b, 20_000_000)


KERNELS = (square, mark, refuse, count, twice, rest)


@functools.cache
def library() -> Library:
    module = Module()
    for kernel in KERNELS:
        b = kernel_function(module, kernel.__name__)
        kernel(b)
        b.ret(b.i64(0))
    return load(str(module), optimise=False)


def step(kernel: Callable[[Builder], None], *args: Pointer | Size, **other: Any) -> Step:
    return Step(library().address(kernel.__name__), args, kernel.__name__, **other)


def ranged(kernel: Callable[[Builder], None], threads: int, *more: Step) -> Any:
    """A callable of a vector x: ``kernel`` with a unit per element and 4 bytes of scratch each.

    Slots: n, 0, LONG, bytes of one scratch, bytes of the arena.
    """
    scratch = Pointer(ARENA, 1, 3)
    second = scratch if kernel is not refuse else Pointer(ERROR, 1)
    args = (Pointer(X, 1), Pointer(Y, 1), second)
    used = args if kernel is not refuse else (args[0], second)
    program = Program(
        initial=(0, 0, LONG, 64, 64 * threads),
        inputs=(InputSpec("x", F4, (0,)),),
        outputs=(OutputSpec(F4, (0,)),),
        steps=(step(kernel, *used, units=0, work=2), *more),
        arena_slot=4,
        threads=threads,
    )
    return compiled(program)


def compiled(program: Program) -> Any:
    return make_callable(program, Owner, no_convert, explain, fail)


def counter(cell: SharedCell) -> Any:
    """A callable that adds 1 to a shared float32, in place; slots 0, LONG."""
    steps = (step(count, Pointer(Base("shared"), 0), work=1),)
    return compiled(
        Program((0, LONG), steps=steps, shared=(cell,), updated=(0,), form="none", outputs=())
    )


def reader(cell: SharedCell) -> Any:
    """A callable that reads a shared float32 twice; slots 0, LONG, 2."""
    steps = (step(twice, Pointer(Base("shared"), 0), Pointer(Y, 0), work=1),)
    outputs = (OutputSpec(F4, (2,)),)
    return compiled(Program((0, LONG, 2), steps=steps, shared=(cell,), outputs=outputs))


def pause() -> Any:
    """A callable that only takes time: some 10 ms; slots 0, LONG."""
    return compiled(Program((0, LONG), steps=(step(rest, work=1),), form="none"))
