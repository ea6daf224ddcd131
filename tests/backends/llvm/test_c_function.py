"""Compiled functions called from C: addresses, ctypes, scipy.integrate, several threads."""

from __future__ import annotations

import ctypes
import gc
import math
import sys
import threading
from typing import Any

import numpy as np
import pytest
from scipy.integrate import nquad, quad

import symgraph as sg
from symgraph.errors import UnsupportedError, UsageError

Array = np.ndarray[Any, Any]


def gauss() -> Any:
    x, a = sg.scalar("x"), sg.scalar("a")
    return sg.function([x, a], sg.exp(-a * x**2), name="gauss")


def pointer(array: Array) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_double))


def test_numbers_come_by_value() -> None:
    f = gauss()
    assert f.ctypes(0.5, 2.0) == f(0.5, 2.0)
    made = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_double)(f.address)
    assert made(0.5, 2.0) == f(0.5, 2.0)


def test_vectors_come_as_pointers() -> None:
    v, s = sg.vector("v", shape=(5,)), sg.scalar("s")
    f = sg.function([v, s], sg.sum(sg.tanh(v) * s))
    a = np.random.default_rng(0).normal(size=5)
    assert f.ctypes(pointer(a), 3.0) == f(a, 3.0)


def test_no_inputs() -> None:
    assert sg.function([], sg.constant(2.0) * 3).ctypes() == 6


@pytest.mark.parametrize("rows", [3, 40, 300])
def test_work_memory_and_constants(rows: int) -> None:
    """Small work memory stands on the stack, larger comes from malloc."""
    v = sg.vector("v", shape=(30,))
    m = sg.constant(np.random.default_rng(1).normal(size=(rows, 30)))
    f = sg.function([v], sg.sum(sg.exp(sg.tanh(sg.expand_dims(m @ v, 1) * v) @ (v * 0.1))))
    a = np.random.default_rng(0).normal(size=30)
    assert f.ctypes(pointer(a)) == f(a)


def test_a_shared_variable_is_read_at_each_call() -> None:
    x, w = sg.scalar("x"), sg.shared(np.ones(4), name="w")
    f = sg.function([x], sg.sum(w) * x)
    call = f.ctypes
    assert call(2.0) == 8
    w.set_value(np.full(4, 10.0))
    assert call(2.0) == 80


def test_the_ctypes_function_outlives_the_function() -> None:
    w = sg.shared(np.arange(4.0), name="w")
    x = sg.scalar("x")
    f = sg.function([x], sg.sum(w * np.arange(4.0)) * x)
    call = f.ctypes
    del f, w
    gc.collect()
    assert call(2.0) == 28


def test_several_threads_at_once() -> None:
    v = sg.vector("v", shape=(50,))
    m = np.random.default_rng(1).normal(size=(200, 50))
    f = sg.function([v], sg.sum(sg.tanh(sg.constant(m) @ v) ** 2))
    call = f.ctypes
    inputs = np.random.default_rng(2).normal(size=(8, 50))
    wanted = [f(a) for a in inputs]
    wrong: list[float] = []

    def work(a: Array, want: float) -> None:
        where = pointer(a)
        wrong.extend(got for _ in range(300) if (got := call(where)) != want)

    threads = [threading.Thread(target=work, args=p) for p in zip(inputs, wanted, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# ---- scipy ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [None, "double (double)", "double (double, void *)"])
def test_quad_of_one_number(form: str | None) -> None:
    x = sg.scalar("x")
    f = sg.function([x], sg.exp(-(x**2)))
    assert quad(f.as_low_level_callable(form), -np.inf, np.inf)[0] == pytest.approx(
        math.sqrt(math.pi), rel=1e-12
    )


@pytest.mark.parametrize("form", [None, "double (int, double *, void *)"])
def test_quad_with_a_parameter(form: str | None) -> None:
    found = quad(gauss().as_low_level_callable(form), -np.inf, np.inf, args=(2.0,))[0]
    assert found == pytest.approx(math.sqrt(math.pi / 2), rel=1e-12)


def test_nquad() -> None:
    x, y, z = (sg.scalar(n) for n in "xyz")
    f = sg.function([x, y, z], x * y**2 * sg.exp(z))
    found = nquad(f.as_low_level_callable(), [[0, 1], [0, 2], [0, 1]])[0]
    assert found == pytest.approx(0.5 * 8 / 3 * (math.e - 1), rel=1e-12)


def test_nquad_of_a_vector() -> None:
    v = sg.vector("v", shape=(2,))
    f = sg.function([v], sg.sum(v**3))
    assert nquad(f.as_low_level_callable(), [[0, 1], [0, 2]])[0] == pytest.approx(4.5, rel=1e-12)


def test_a_wrong_count_gives_nan() -> None:
    call: Any = gauss().as_low_level_callable().function
    a = np.array([0.5, 2.0, 1.0])
    assert call(2, pointer(a)) == gauss()(0.5, 2.0)
    assert math.isnan(call(1, pointer(a))) and math.isnan(call(3, pointer(a)))


def test_another_signature_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'double \(float\)' is not one of"):
        gauss().as_low_level_callable("double (float)")


def test_a_signature_that_does_not_fit() -> None:
    with pytest.raises(UnsupportedError, match="it has 2 inputs; one number is wanted"):
        gauss().as_low_level_callable("double (double)")
    v, s = sg.vector("v", shape=(2,)), sg.scalar("s")
    with pytest.raises(UnsupportedError, match="numbers are wanted, or a single vector"):
        sg.function([v, s], sg.sum(v) * s).as_low_level_callable()


def test_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(UnsupportedError, match="needs scipy"):
        gauss().as_low_level_callable()


# ---- functions that C cannot call ----------------------------------------------------------------


def floating_index() -> Any:
    x, s = sg.vector("x", shape=(3,)), sg.scalar("s")
    return sg.function([x, s], sg.exp(x)[sg.astype(s, "int64")], passes=())


def of_single() -> Any:
    q = sg.scalar("q", dtype="float32")
    return sg.function([q], q * 2)


def of_integer() -> Any:
    i = sg.scalar("i", dtype="int64")
    return sg.function([i], sg.astype(i, "float64"))


def updating() -> Any:
    s, w = sg.scalar("s"), sg.shared(np.zeros(3), name="w")
    return sg.function([s], s * 2, updates={w: w + 1})


def varying() -> Any:
    s, w = sg.scalar("s"), sg.shared(np.zeros(3), name="w", shape=("k",))
    return sg.function([s], sg.sum(w) * s)


def of(shape: Any, result: Any, **options: Any) -> Any:
    """A function of one array of ``shape``."""
    x = sg.tensor("x", shape=shape)
    return sg.function([x], result(x), **options)


REFUSED = {
    "it updates w": updating,
    "must return one number": lambda: of((3,), lambda x: x * 2),
    "not a list": lambda: of((), lambda x: [x * 2]),
    r"q .*has dtype float32": of_single,
    r"i .*has dtype int64": of_integer,
    r"x .*has 2 axes": lambda: of((2, 2), sg.sum),
    r"x .*has a size known only from its array": lambda: of(("n",), sg.sum),
    "a size inside it depends on values": lambda: of((3,), lambda x: sg.sum(sg.exp(x[x > 0]))),
    "an index in it may be out of range": floating_index,
    "evaluated by Python": lambda: of((), lambda x: x * 2, backend="reference"),
    "without check_finite": lambda: of((), lambda x: x * 2, check_finite=True),
    "whose shapes are fixed": varying,
}


@pytest.mark.parametrize("reason", list(REFUSED))
def test_the_reason_is_named(reason: str) -> None:
    f = REFUSED[reason]()
    for ask in (lambda: f.address, lambda: f.ctypes, f.as_low_level_callable):
        with pytest.raises(UnsupportedError, match=reason):
            ask()
