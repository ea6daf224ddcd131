"""``out=``: results in the caller's arrays, whatever their layout, and errors before any change."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import (
    DTypeError,
    IndexRangeError,
    ShapeError,
    SymgraphError,
    UnsupportedError,
    UsageError,
)

Array = np.ndarray[Any, Any]
A = np.random.default_rng(3).normal(size=(4, 5))
BACKENDS = ("llvm", "reference")


def plain(backend: str = "llvm") -> Any:
    x = sg.tensor("x", shape=("n", "m"))
    return sg.function([x], sg.exp(x) * 2, backend=backend)


LAYOUTS: dict[str, Callable[[], Array]] = {
    "contiguous": lambda: np.empty((4, 5)),
    "fortran": lambda: np.empty((5, 4)).T,
    "strided": lambda: np.empty((8, 15))[::2, ::3],
    "reversed": lambda: np.empty((4, 5))[::-1, ::-1],
    "unaligned": lambda: np.empty(161, np.uint8)[1:].view(float).reshape(4, 5),
    "a matrix": lambda: np.matrix(np.empty((4, 5))),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_any_layout(layout: str, backend: str) -> None:
    f, out = plain(backend), LAYOUTS[layout]()
    assert f(A, out=out) is out
    np.testing.assert_array_equal(out, f(A))


def test_an_exact_array_is_written_without_a_copy() -> None:
    """Steps write into the memory itself, so nothing is allocated."""
    import tracemalloc

    f, x, out = plain(), np.zeros((1000, 1000)), np.empty((1000, 1000))
    f(x, out=out)
    tracemalloc.start()
    f(x, out=out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4096 and out[3, 4] == 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_out_may_overlap_the_arguments(backend: str) -> None:
    x, y = sg.vector("x"), sg.vector("y")
    f = sg.function([x, y], x[::-1] + sg.cumsum(y), backend=backend)
    memory = np.random.default_rng(0).normal(size=30)
    for first, second, third in ((0, 10, 0), (0, 10, 10), (0, 10, 5), (3, 3, 4), (0, 10, 20)):
        now = memory.copy()
        a, b, out = (now[k : k + 10] for k in (first, second, third))
        want = f(a.copy(), b.copy())
        assert f(a, b, out=out) is out
        np.testing.assert_array_equal(out, want)


def test_out_may_be_a_shared_variable() -> None:
    w = sg.shared(np.arange(6.0), name="w")
    f = sg.function([], w[::-1] * 1)
    f(out=w.cell.array)
    np.testing.assert_array_equal(w.get_value(), np.arange(6.0)[::-1])


def test_out_of_an_update_in_place() -> None:
    w = sg.shared(np.arange(6.0), name="w")
    f = sg.function([], w * 2, updates={w: w + 1})
    out = np.empty(6)
    assert f(out=out) is out
    np.testing.assert_array_equal(out, np.arange(6.0) * 2)
    np.testing.assert_array_equal(w.get_value(), np.arange(6.0) + 1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("form", ["list", "tuple", "dict"])
def test_several_results(form: str, backend: str) -> None:
    x = sg.vector("x")
    y: Any = [x * 2, sg.sum(x)]
    y = tuple(y) if form == "tuple" else dict(zip("ab", y, strict=True)) if form == "dict" else y
    f = sg.function([x], y, backend=backend)
    a = np.arange(4.0)
    for first in (np.empty(4), np.empty(8)[::2]):
        arrays = [first, np.empty(())]
        out: Any = dict(zip("ab", arrays, strict=True)) if form == "dict" else arrays
        out = tuple(out) if form == "tuple" else out
        result = f(a, out=out)
        given = list(result.values()) if form == "dict" else list(result)
        assert type(result) is type(f(a)) and all(
            r is o for r, o in zip(given, arrays, strict=True)
        )
        np.testing.assert_array_equal(given[0], a * 2)
        assert given[1] == 6


def test_results_that_overlap_each_other() -> None:
    """Both are computed first; the later one is written last."""
    x = sg.vector("x")
    f = sg.function([x], [x * 2, x * 3])
    memory = np.zeros(6)
    f(np.ones(4), out=[memory[:4], memory[2:]])
    np.testing.assert_array_equal(memory, [2, 2, 3, 3, 3, 3])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        (3.0, UsageError, "f: out is float, not an array"),
        ([np.empty((4, 5))], UsageError, "f: out is list"),
        (np.empty((4, 5), "f4"), DTypeError, "dtype float32; the result has float64"),
        (np.empty((4, 5), ">f8"), DTypeError, ">f8"),
        (np.empty((5, 4)), ShapeError, r"shape \(5, 4\); the result has \(4, 5\)"),
        (np.empty((4, 5, 1)), ShapeError, r"\(4, 5, 1\)"),
        (np.broadcast_to(np.empty(5), (4, 5)), UsageError, "read-only"),
    ],
)
def test_a_wrong_array(out: Any, error: type[Exception], message: str, backend: str) -> None:
    with pytest.raises(error, match=message):
        plain(backend)(A, out=out)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_wrong_array_is_named_and_nothing_is_changed(backend: str) -> None:
    x, w = sg.vector("x"), sg.shared(np.zeros(3), name="w")
    f = sg.function([x], {"a": x * 2, "b": x * 3}, updates={w: w + 1}, backend=backend)
    good = np.full(3, 7.0)
    for out, message in (
        ({"a": good, "b": np.empty(2)}, r"out\['b'\] has shape"),
        ({"b": good, "a": "text"}, r"out\['a'\] is str"),
        ({"a": good}, "keys"),
        ([good, good], "a dict with the keys"),
    ):
        with pytest.raises(SymgraphError, match=message):
            f(np.ones(3), out=out)
        assert good.tolist() == [7] * 3 and not w.get_value().any()
    pair = sg.function([x], [x * 2, x * 3], backend=backend)
    for other, message in (([good], "out is 1 arrays"), ([good, 1], r"out\[1\] is int")):
        with pytest.raises(UsageError, match=message):
            pair(np.ones(3), out=other)
    assert good.tolist() == [7] * 3


def test_a_failed_call_leaves_the_array() -> None:
    x, i = sg.vector("x"), sg.tensor("i", shape=("k",), dtype="int64")
    f = sg.function([x, i], sg.exp(x)[i])
    out = np.full(3, 7.0)
    with pytest.raises(IndexRangeError):
        f(np.ones(4), np.array([0, 1, 9]), out=out)
    assert out.tolist() == [7] * 3
    assert f(np.zeros(4), np.array([0, 1, 3]), out=out).tolist() == [1] * 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_size_that_turns_out_wrong_leaves_the_arrays(backend: str) -> None:
    """The first result does not depend on the size that is found out, and is ready by then."""
    x, y = sg.vector("x", shape="n"), sg.vector("y", shape="m")
    found = sg.zeros_like(x[x > 0])
    f = sg.function([x, y], [sg.exp(x), sg.sum(found + y)], backend=backend)
    out = [np.full(3, 7.0), np.array(7.0)]
    with pytest.raises(ShapeError):
        f(np.ones(3), np.ones(2), out=out)
    assert [a.tolist() for a in out] == [[7] * 3, 7]
    f(np.zeros(3), np.ones(0), out=out)
    assert [a.tolist() for a in out] == [[1] * 3, 0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_size_known_too_late(backend: str) -> None:
    x = sg.vector("x")
    f = sg.function([x], x[x > 0], backend=backend)
    with pytest.raises(UnsupportedError, match="known only after the call"):
        f(np.ones(3), out=np.empty(3))


def test_no_results() -> None:
    w = sg.shared(np.zeros(3), name="w")
    f = sg.function([], None, updates={w: w + 1})
    with pytest.raises(UsageError, match="no results"):
        f(out=np.empty(3))


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_input_named_out_has_precedence(backend: str) -> None:
    x, y = sg.vector("x"), sg.vector("out")
    f = sg.function([x, y], x + y, backend=backend)
    given = np.ones(3)
    assert f(given, out=given).tolist() == [2] * 3 and given.tolist() == [1] * 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_out_none_is_no_out(backend: str) -> None:
    f = plain(backend)
    np.testing.assert_array_equal(f(A, out=None), f(A))


def test_a_name_made_at_run_time() -> None:
    """The interpreter interns the names in programs; others are equal but not identical."""
    f, out = plain(), np.empty((4, 5))
    names = json.loads('{"out": 1, "x": 2}')
    f(**{k: {"out": out, "x": A}[k] for k in names})
    np.testing.assert_array_equal(out, f(A))


@pytest.mark.parametrize("wrapper", ["check_finite", "varying"])
def test_functions_around_a_program(wrapper: str) -> None:
    x = sg.vector("x", shape="n")
    w = sg.shared(np.ones(3), name="w", shape=("n",)) if wrapper == "varying" else None
    y = x * 2 if w is None else x * 2 + w
    f = sg.function([x], y, check_finite=wrapper == "check_finite")
    out = np.empty(3)
    assert f(np.ones(3), out=out) is out and out.tolist() == f(np.ones(3)).tolist()
    with pytest.raises(ShapeError, match="out has shape"):
        f(np.ones(3), out=np.empty(4))


def test_reference_counts() -> None:
    f, out, wrong = plain(), np.empty((4, 5)), np.empty((4, 6))
    bad: Any = A.tolist()

    def calls() -> None:
        f(A, out=out)
        f(bad, out=out)
        f(A, out=LAYOUTS["strided"]())
        with pytest.raises(ShapeError):
            f(A, out=wrong)

    calls()
    before = [sys.getrefcount(o) for o in (A, out, wrong)]
    for _ in range(200):
        calls()
    assert [sys.getrefcount(o) for o in (A, out, wrong)] == before


def test_two_results_cannot_share_an_array() -> None:
    x = sg.vector("x")
    f = sg.function([x], [x + 1, x * 2])
    room = np.zeros(3)
    with pytest.raises(UsageError, match=r"out\[1\] is the same array as f: out\[0\]"):
        f(np.ones(3), out=[room, room])
    assert not room.any()
