"""Hand-made kernels and programs for the tests of the call entry."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.backends.llvm.builder import Builder, Module, Value, kernel_function
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

F4 = np.dtype(np.float32)
I8 = np.dtype(np.int64)
X, Y = Base("input", 0), Base("output", 0)
NEGATIVE = 1_000_005  # status of the kernel "refuse_negative"; too big for a cached int


class Owner:
    """The base class of the callables in these tests."""

    def greet(self) -> str:
        return "hello"


def argument(b: Builder, place: int, type_: str = "ptr") -> Value:
    return b.load(type_, b.gep("i64", b.args[0], place))


def element_wise(b: Builder, count: Value, of: Callable[[Value], None]) -> None:
    with b.loop(b.i64(0), count, 1) as loop:
        of(loop.index)


def affine(b: Builder) -> None:
    """args x, y, n: y = 2 x + 1."""
    x, y = argument(b, 0), argument(b, 1)

    def one(i: Value) -> None:
        twice = b.fmul(b.load("float", b.gep("float", x, i)), b.const("float", 2.0))
        b.store(b.fadd(twice, b.const("float", 1.0)), b.gep("float", y, i))

    element_wise(b, argument(b, 2, "i64"), one)


def add_into(b: Builder) -> None:
    """args x, y, n: y += x."""
    x, y = argument(b, 0), argument(b, 1)

    def one(i: Value) -> None:
        place = b.gep("float", y, i)
        b.store(b.fadd(b.load("float", place), b.load("float", b.gep("float", x, i))), place)

    element_wise(b, argument(b, 2, "i64"), one)


def total(b: Builder) -> None:
    """args x, y, n: y[0] = sum of x."""
    x, zero = argument(b, 0), b.const("float", 0.0)
    with b.loop(b.i64(0), argument(b, 2, "i64"), 1, [zero]) as loop:
        loop.next = [b.fadd(loop.carry[0], b.load("float", b.gep("float", x, loop.index)))]
    b.store(loop.result[0], argument(b, 1))


def positive(b: Builder) -> None:
    """args x, kept, count, n: kept = x[x > 0], count[0] = how many."""
    x, kept = argument(b, 0), argument(b, 1)
    with b.loop(b.i64(0), argument(b, 3, "i64"), 1, [b.i64(0)]) as loop:
        value = b.load("float", b.gep("float", x, loop.index))
        b.store(value, b.gep("float", kept, loop.carry[0]))
        keep = b.fcmp("ogt", value, b.const("float", 0.0))
        loop.next = [b.add(loop.carry[0], b.cast("zext", keep, "i64"))]
    b.store(loop.result[0], argument(b, 2))


def refuse_negative(b: Builder) -> None:
    """args x, error: record (7, 8) and return NEGATIVE where x[0] < 0."""
    error = argument(b, 1)
    bad = b.fcmp("olt", b.load("float", argument(b, 0)), b.const("float", 0.0))
    with b.when(bad):
        b.store(b.i64(7), error)
        b.store(b.i64(8), b.gep("i64", error, 1))
        b.do(f"ret i64 {NEGATIVE}\ndead:")


def store_words(b: Builder) -> None:
    """args y, n, slots: y = the first n slots."""
    b.call(
        "llvm.memmove.p0.p0.i64",
        "void",
        [
            argument(b, 0),
            argument(b, 2),
            b.mul(argument(b, 1, "i64"), b.i64(8)),
            Value("false", "i1"),
        ],
    )


def store_address(b: Builder) -> None:
    """args y, p: y[0] = p."""
    b.store(argument(b, 1, "i64"), argument(b, 0))


KERNELS = (affine, add_into, total, positive, refuse_negative, store_words, store_address)


@functools.cache
def library() -> Library:
    module = Module()
    for kernel in KERNELS:
        b = kernel_function(module, kernel.__name__)
        kernel(b)
        b.ret(b.i64(0))
    return load(str(module))


def step(kernel: Callable[[Builder], None], *args: Pointer | Size) -> Step:
    return Step(library().address(kernel.__name__), args, kernel.__name__)


def vector_program(**other: Any) -> Program:
    """f(x) = 2 x + 1 for a float32 vector; slot 0 is n, slot 1 is 0, slot 2 is 4 (bytes)."""
    parts: dict[str, Any] = {
        "initial": (0, 0, 4),
        "inputs": (InputSpec("x", F4, (0,)),),
        "outputs": (OutputSpec(F4, (0,)),),
        "steps": (step(affine, Pointer(X, 1), Pointer(Y, 1), Size(0)),),
    }
    return Program(**{**parts, **other})


class Unexpected(Exception):
    """What the callbacks below answer; its arguments are theirs."""


def no_convert(*args: object, **kwargs: object) -> tuple[np.ndarray[Any, Any], ...]:
    raise Unexpected("convert", args, kwargs)


def explain(kind: int, index: int, slots: tuple[int, ...]) -> Exception:
    return Unexpected("explain", kind, index, slots)


def fail(step_index: int, status: int, record: tuple[int, ...]) -> Exception:
    return Unexpected("fail", step_index, status, record)


def compiled(
    program: Program,
    convert: Callable[..., tuple[np.ndarray[Any, Any], ...]] = no_convert,
    explain: Callable[[int, int, tuple[int, ...]], BaseException] = explain,
    fail: Callable[[int, int, tuple[int, ...]], BaseException] = fail,
) -> Any:
    return make_callable(program, Owner, convert, explain, fail)


def vector(*values: float) -> np.ndarray[Any, Any]:
    return np.array(values, dtype=F4)
