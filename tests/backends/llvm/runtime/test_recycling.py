"""Kept outputs come back only where nobody can see them."""

from __future__ import annotations

import ctypes
import dataclasses
import sys
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from runtime_kernels import F4, X, Y, affine, compiled, refuse_negative, step, vector_program

from symgraph.backends.llvm.runtime.program import (
    Base,
    OutputSpec,
    Pointer,
    Program,
    Size,
    SizeOp,
)
from symgraph.backends.llvm.runtime.recycling import KEEP, LIMIT

Array = np.ndarray[Any, Any]
LARGE = KEEP // 4  # float32 elements


def sized(count: int = 1, **other: Any) -> Program:
    """``count`` times 2 x + 1, whose outputs tell their size in slot 3."""
    return vector_program(
        initial=(0, 0, 4, 0),
        size_code=((int(SizeOp.MUL), 3, 0, 2),),
        outputs=(OutputSpec(F4, (0,), bytes=3),) * count,
        steps=tuple(
            step(affine, Pointer(X, 1), Pointer(Base("output", k), 1), Size(0))
            for k in range(count)
        ),
        **other,
    )


def numbers(count: int = LARGE, start: int = 0) -> Array:
    return np.arange(start, start + count, dtype=F4)


def place(array: Array) -> int:
    return int(array.ctypes.data)


def test_a_dropped_output_comes_back() -> None:
    f, x = compiled(sized()), numbers()
    first = f(x)
    where = place(first)
    del first
    again = f(x + 1)
    assert place(again) == where
    np.testing.assert_array_equal(again, 2 * x + 3)


def test_two_outputs_take_turns() -> None:
    """``y = f(x)`` in a loop holds the old result while the new one is made."""
    f, x = compiled(sized()), numbers()
    y = f(x)
    seen = []
    for _ in range(6):
        y = f(x)
        seen.append(place(y))
    assert len(set(seen)) == 2 and seen[0] == seen[2] == seen[4]


def test_a_small_output_is_fresh() -> None:
    f, x = compiled(sized()), numbers(LARGE - 1)
    first, plain = f(x), np.empty(3)
    assert sys.getrefcount(first) == sys.getrefcount(plain)


def test_results_that_are_held_keep_their_values() -> None:
    f, x = compiled(sized()), numbers()
    held = [f(x + k) for k in range(8)]
    for k, y in enumerate(held):
        np.testing.assert_array_equal(y, 2 * (x + k) + 1)
    assert len({place(y) for y in held}) == 8


class Holder:
    """An object whose memory is that of an array, told by ``__array_interface__``."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.__array_interface__ = array.__array_interface__


def view_of(array: Any) -> memoryview:
    return memoryview(array)


WATCHERS: dict[str, Callable[[Array], Any]] = {
    "the array": lambda y: y,
    "a view": lambda y: y[3:5],
    "a view of a view": lambda y: y[3:][::2].reshape(-1, 1),
    "a transpose": lambda y: y.reshape(2, -1).T,
    "a memoryview": lambda y: view_of(y),
    "a slice of a memoryview": lambda y: view_of(y)[2:4],
    "a buffer in another array": lambda y: np.frombuffer(y, F4),
    "an array interface": lambda y: np.asarray(Holder(y)),
    "a capsule": lambda y: y.__dlpack__(),
    "an array from a capsule": np.from_dlpack,
    "an iterator": iter,
    "a flat iterator": lambda y: y.flat,
    "a broadcast": lambda y: np.broadcast_to(y, (2, *y.shape)),
    "a pointer": lambda y: y.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
    "a ctypes array": lambda y: np.ctypeslib.as_ctypes(y),
    "a container": lambda y: {"k": [y]},
    "a closure": lambda y: lambda: y,
    "an object array": lambda y: np.array([y, None], dtype=object),
    "a subclass": lambda y: y.view(np.ma.MaskedArray),
    "a record view": lambda y: y.view([("a", "f4")]),
    "a real part": lambda y: y.real,
}


@pytest.mark.parametrize("kind", list(WATCHERS))
def test_memory_that_somebody_sees_is_not_reused(kind: str) -> None:
    f, x = compiled(sized()), numbers()
    y = f(x)
    where, watcher = place(y), WATCHERS[kind](y)
    del y
    assert all(place(f(x - k)) != where for k in range(5))
    memory = np.ctypeslib.as_array((ctypes.c_float * LARGE).from_address(where))
    np.testing.assert_array_equal(memory, 2 * x + 1)
    assert watcher is not None


def test_a_weak_reference_does_not_come_back_to_life() -> None:
    f, x = compiled(sized()), numbers()
    first = f(x)
    watched = weakref.ref(first)
    del first
    second = f(x)
    assert second is not None and watched() is None


def test_a_finaliser_of_an_output_may_call_again() -> None:
    f, x = compiled(sized()), numbers()
    seen = []
    first = f(x)
    weakref.finalize(first, lambda: seen.append(1))
    del first
    for _ in range(4):
        f(x)
    assert seen == [1]


CHANGES: dict[str, Callable[[Array], Any]] = {
    "read-only": lambda y: y.setflags(write=False),
    "another shape": lambda y: setattr(y, "shape", (2, -1)),
    "resized": lambda y: y.resize(LARGE * 2, refcheck=False),
    "another dtype": lambda y: setattr(y, "dtype", np.int32),
}


@pytest.mark.parametrize("change", list(CHANGES))
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_output_changed_in_place_does_not_come_back(change: str) -> None:
    f, x = compiled(sized()), numbers()
    first = f(x)
    CHANGES[change](first)
    del first
    for _ in range(3):
        y = f(x)
        assert y.shape == x.shape and y.dtype is F4 and y.flags.writeable and y.flags.owndata
        np.testing.assert_array_equal(y, 2 * x + 1)


def test_a_result_is_an_argument_of_the_next_call() -> None:
    f, x = compiled(sized()), numbers()
    np.testing.assert_array_equal(f(f(f(x))), 8 * x + 7)
    y = x
    for _ in range(5):
        y = f(y)
    np.testing.assert_array_equal(y[:100], (32 * x + 31)[:100])


def test_sizes_that_change() -> None:
    f = compiled(sized())
    for n in (LARGE, 2 * LARGE, LARGE, 5, LARGE, 2 * LARGE, 2 * LARGE, LARGE):
        x = numbers(n)
        np.testing.assert_array_equal(f(x), 2 * x + 1)


@pytest.mark.parametrize("form", ["list", "tuple", "dict"])
def test_several_outputs(form: str) -> None:
    keys = ("a", "b", "c") if form == "dict" else ()
    f, x = compiled(sized(3, form=form, keys=keys)), numbers()
    for k in range(5):
        result = f(x + k)
        arrays = list(result.values()) if form == "dict" else list(result)
        assert len({place(y) for y in arrays}) == 3
        for y in arrays:
            np.testing.assert_array_equal(y, 2 * (x + k) + 1)


def test_what_is_kept_goes_with_the_function() -> None:
    f, x = compiled(sized()), numbers(1 << 20)
    tracemalloc.start()
    f(x)
    assert tracemalloc.get_traced_memory()[0] > 4 << 20
    del f
    assert tracemalloc.get_traced_memory()[0] < 1 << 16
    tracemalloc.stop()


def test_no_more_than_two_are_kept() -> None:
    f, x = compiled(sized()), numbers(1 << 20)
    tracemalloc.start()
    held = [f(x) for _ in range(6)]
    del held
    assert tracemalloc.get_traced_memory()[0] < (8 << 20) + (1 << 16)
    tracemalloc.stop()


def test_no_more_than_the_limit_is_kept() -> None:
    """Untouched pages cost nothing: the program has no steps."""
    f = compiled(dataclasses.replace(sized(3, form="list"), steps=()))
    tracemalloc.start()
    x = np.empty(LIMIT // 4 // 5 * 2, F4)
    own = tracemalloc.get_traced_memory()[0]
    for _ in range(3):
        f(x)
        kept = tracemalloc.get_traced_memory()[0] - own
        assert kept <= LIMIT + (1 << 16)
    tracemalloc.stop()


def test_reference_counts_are_exact() -> None:
    f, x = compiled(sized()), numbers()
    for _ in range(3):
        f(x)

    def counts() -> list[int]:
        return [sys.getrefcount(o) for o in (x, F4, None, f)]

    before = counts()
    for _ in range(1000):
        f(x)
    after = counts()
    assert all(abs(a - b) < 20 for a, b in zip(after, before, strict=True))


def test_a_failed_call_gives_its_arrays_back() -> None:
    steps = (
        step(refuse_negative, Pointer(X, 1), Pointer(Base("error"), 1)),
        step(affine, Pointer(X, 1), Pointer(Y, 1), Size(0)),
    )
    f, x = compiled(dataclasses.replace(sized(), steps=steps)), numbers()
    where = place(f(x))
    for _ in range(1000):
        with pytest.raises(Exception, match="fail"):
            f(x - 1)
    assert place(f(x)) == where
