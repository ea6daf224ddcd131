"""Failing kernels, nested calls, and reference counts on every path."""

from __future__ import annotations

import ctypes
import gc
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from runtime_kernels import (
    F4,
    NEGATIVE,
    Unexpected,
    X,
    Y,
    affine,
    compiled,
    refuse_negative,
    step,
    total,
    vector,
    vector_program,
)

from symgraph.backends.llvm.runtime.program import (
    Base,
    Form,
    OutputSpec,
    Pointer,
    Program,
    Size,
    Step,
)

ERROR = Base("error")
OK, BAD = vector(1, 2), vector(-1, 2)


def failing(form: Form = "one") -> Program:
    """2 x + 1 (and the sum of x, in other forms), where x[0] < 0 fails after the first output."""
    both = form != "one"
    return vector_program(
        outputs=(OutputSpec(F4, (0,)), OutputSpec(F4, ()))[: 1 + both],
        steps=(
            step(affine, Pointer(X, 1), Pointer(Y, 1), Size(0)),
            step(refuse_negative, Pointer(X, 1), Pointer(ERROR, 1)),
            *([step(total, Pointer(X, 1), Pointer(Base("output", 1), 1), Size(0))] * both),
        ),
        form=form,
        keys=("y", "sum") if form == "dict" else (),
    )


def outcome(call: Callable[[], object]) -> object:
    """What a call returns, or the exception it raises."""
    try:
        return call()
    except (Unexpected, RuntimeError, ValueError) as error:
        return error


def test_status_and_error_record_reach_fail() -> None:
    with pytest.raises(Unexpected) as caught:
        compiled(failing())(BAD)
    assert caught.value.args == ("fail", 1, NEGATIVE, (7, 8, 0, 0, 0, 0, 0, 0))


def test_a_program_works_after_it_failed() -> None:
    f = compiled(failing())
    for _ in range(3):
        assert isinstance(outcome(lambda: f(BAD)), Unexpected)
        assert f(OK).tolist() == [3, 5]


def test_fail_may_raise() -> None:
    def fail(step_index: int, status: int, record: tuple[int, ...]) -> BaseException:
        raise LookupError(step_index)

    with pytest.raises(LookupError):
        compiled(failing(), fail=fail)(BAD)


def test_fail_may_call_the_function() -> None:
    def fail(step_index: int, status: int, record: tuple[int, ...]) -> BaseException:
        return Unexpected(f(OK))

    f = compiled(failing("list"), fail=fail)
    for _ in range(3):
        with pytest.raises(Unexpected) as caught:
            f(BAD)
        assert [y.tolist() for y in caught.value.args[0]] == [[3, 5], 3]


def test_the_traceback_holds_no_frame_of_ours() -> None:
    with pytest.raises(Unexpected) as caught:
        compiled(failing())(BAD)
    assert caught.traceback[-1].name == "test_the_traceback_holds_no_frame_of_ours"


def test_convert_may_call_the_function() -> None:
    def convert(x: list[float]) -> tuple[Any, ...]:
        return (f(np.array(x, F4)),)

    f = compiled(vector_program(), convert)
    assert f([1.0]).tolist() == [7] and f([1.0, 2.0]).tolist() == [7, 11]


@pytest.mark.parametrize("form", ["one", "list"])
def test_a_call_from_inside_a_kernel_is_served_in_other_memory(form: Form) -> None:
    seen: list[Any] = []

    def call_back(args: int, begin: int, end: int) -> int:
        if not seen:
            seen.append(None)
            seen[0] = f(vector(1, 2, 3, 4))
        return 0

    kernel = ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(
        call_back
    )
    address = ctypes.cast(kernel, ctypes.c_void_p).value or 0
    program = failing(form)
    f = compiled(
        vector_program(
            outputs=program.outputs,
            steps=(Step(address, (), "calls back"), *program.steps),
            form=form,
        )
    )
    result = f(OK)
    assert (result if form == "one" else result[0]).tolist() == [3, 5]
    assert (seen[0] if form == "one" else seen[0][0]).tolist() == [3, 5, 7, 9]
    gc.collect()
    objects = len(gc.get_objects())
    for _ in range(300):
        seen.clear()
        f(vector(1, 2, 3))
    gc.collect()
    assert len(gc.get_objects()) - objects < 100


PATHS: dict[str, Callable[[Any], object]] = {
    "good": lambda f: f(OK),
    "step fails": lambda f: f(BAD),
    "convert raises": lambda f: f(1.0),
    "keyword": lambda f: f(x=OK),
    "misfit": lambda f: f("misfit"),
    "check fails": lambda f: f(vector()),
}


def convert(*args: Any, **names: Any) -> tuple[Any, ...]:
    if names:
        return tuple(names.values())
    if args == ("misfit",):
        return (np.zeros((2, 2)),)
    raise Unexpected(args)


def with_check(form: Form) -> Program:
    """``failing``, where an empty x fails the check that n - 1 is not negative."""
    program = failing(form)
    return vector_program(
        initial=(0, 0, 4, 0, 1),
        size_code=((2, 3, 0, 4),),
        nonnegative=(3,),
        outputs=program.outputs,
        steps=program.steps,
        form=form,
        keys=program.keys,
    )


@pytest.mark.parametrize("form", ["one", "list", "tuple", "dict"])
@pytest.mark.parametrize("path", PATHS)
def test_no_reference_is_lost(path: str, form: Form) -> None:
    f = compiled(with_check(form), convert)
    watched = (OK, BAD, F4, None, f, Unexpected, np.ndarray)

    def many(count: int) -> None:
        for _ in range(count):
            outcome(lambda: PATHS[path](f)) if path != "misfit" else misfit(f)

    many(50)
    gc.collect()
    tracemalloc.start()
    many(50)
    before, memory = [sys.getrefcount(o) for o in watched], tracemalloc.get_traced_memory()[0]
    many(2000)
    after, grown = [sys.getrefcount(o) for o in watched], tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert max(abs(a - b) for a, b in zip(after, before, strict=True)) < 20
    assert grown - memory < 20_000


def misfit(f: Any) -> None:
    try:
        f("misfit")
    except SystemError:
        return
    raise AssertionError("convert's answer was accepted")


def counts(result: Any) -> list[int]:
    """Reference counts of a result and of the arrays in it."""
    held = list(result.values()) if isinstance(result, dict) else result
    inside = [] if isinstance(result, np.ndarray) else [sys.getrefcount(array) for array in held]
    return [sys.getrefcount(result), *inside]


def test_results_are_the_callers_alone() -> None:
    def plain() -> np.ndarray[Any, Any]:
        return np.zeros(2, F4)

    assert counts(compiled(failing())(OK)) == counts(plain())
    assert counts(compiled(failing("list"))(OK)) == counts([plain(), plain()])
    assert counts(compiled(failing("tuple"))(OK)) == counts((plain(), plain()))
    assert counts(compiled(failing("dict"))(OK)) == counts({"y": plain(), "sum": plain()})


def test_an_exception_is_the_callers_alone() -> None:
    error = Unexpected("same")
    f = compiled(failing(), fail=lambda *a: error)
    before = sys.getrefcount(error)
    for _ in range(10):
        assert outcome(lambda: f(BAD)) is error
        error.__traceback__ = None
    assert sys.getrefcount(error) == before


def test_free_threads_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sysconfig.get_config_var", lambda name: 1)
    with pytest.raises(RuntimeError, match="free-threaded"):
        compiled(vector_program())


class Finalised:
    """Garbage in a cycle that calls a function when the collector finds it."""

    def __init__(self, call: Callable[[], object], seen: list[object]) -> None:
        self.cycle, self.call, self.seen = self, call, seen

    def __del__(self) -> None:
        self.seen.append(self.call())


@pytest.mark.parametrize("form", ["list", "tuple", "dict"])
def test_a_collection_inside_a_call_may_call_too(form: Form) -> None:
    f, seen = compiled(failing(form)), list[object]()
    threshold = gc.get_threshold()
    gc.set_threshold(1)  # before 3.12 a new container collects at once
    try:
        for n in range(200):
            Finalised(lambda: f(vector(1, 2, 3)), seen)
            outcome(lambda: f(BAD))
            result = f(np.full(n + 1, n, F4))
            first, last = result.values() if form == "dict" else result
            assert first.tolist() == [2 * n + 1] * (n + 1) and last == n * (n + 1)
    finally:
        gc.set_threshold(*threshold)
    assert len(seen) > 10
