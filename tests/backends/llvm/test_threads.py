"""``threads=k`` on real functions: the same bits for every k, and calls from several threads."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from at_once import at_once

import symgraph as sg
from symgraph.backends.llvm.c_function import slot_values
from symgraph.backends.llvm.compile import LLVMFunction
from symgraph.backends.llvm.runtime import layout
from symgraph.backends.llvm.runtime.program import Pointer

THREADS = (1, 2, 3, 4)
Array = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def small_work_is_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every call of this module run without the GIL."""
    monkeypatch.setattr(layout, "long_work", lambda threads: 0)


def elementwise() -> tuple[list[Any], Any, list[Array]]:
    x = sg.vector("x", dtype="float32")
    value = sg.exp(-x * x / 2) * sg.tanh(x) + sg.log1p(x * x)
    rng = np.random.default_rng(1)
    return [x], [value, sg.sum(value), sg.max(value)], [rng.normal(size=300_001).astype("f4")]


def rows() -> tuple[list[Any], Any, list[Array]]:
    x = sg.matrix("x")
    shifted = x - sg.max(x, axis=1, keepdims=True)
    log_sum = sg.log(sg.sum(sg.exp(shifted), axis=1, keepdims=True))
    loss = sg.mean(shifted - log_sum)
    rng = np.random.default_rng(2)
    return [x], [loss, sg.grad(loss, x), sg.sum(x, axis=0)], [rng.normal(size=(501, 203))]


def product() -> tuple[list[Any], Any, list[Array]]:
    a, b, c = sg.matrix("a", dtype="float32"), sg.matrix("b", dtype="float32"), sg.vector("c")
    out = sg.tanh(a @ b + c.astype("float32"))
    rng = np.random.default_rng(3)
    arrays = [rng.normal(size=s) for s in ((301, 203), (203, 157), (157,))]
    return [a, b, c], [out, a.T @ out], [v.astype("f4") for v in arrays[:2]] + arrays[2:]


@pytest.mark.parametrize("case", [elementwise, rows, product])
def test_bits_do_not_depend_on_threads(case: Callable[[], Any]) -> None:
    inputs, outputs, arrays = case()
    wanted = sg.function(inputs, outputs)(*arrays)
    for threads in THREADS:
        f = sg.function(inputs, outputs, threads=threads)
        for _ in range(3):
            for got, want in zip(f(*arrays), wanted, strict=True):
                assert np.array_equal(got, want), f"{case.__name__}, threads={threads}"


def network(threads: int, backend: str = "llvm") -> tuple[Any, list[Any]]:
    """A training step of a small network, and its shared variables; seed 4."""
    rng = np.random.default_rng(4)
    x, t = sg.matrix("x"), sg.matrix("t")
    sizes = [(30, 40), (40, 20)]
    weights = [sg.shared(rng.normal(size=s) / 8, name=f"w{k}") for k, s in enumerate(sizes)]
    loss = sg.mean((sg.tanh(x @ weights[0]) @ weights[1] - t) ** 2)
    gradients = sg.grad(loss, weights)
    updates = {w: w - 0.1 * g for w, g in zip(weights, gradients, strict=True)}
    step = sg.function([x, t], loss, updates=updates, threads=threads, backend=backend)
    return step, weights


def test_training_gives_the_same_weights_for_every_number_of_threads() -> None:
    rng = np.random.default_rng(5)
    x, t = rng.normal(size=(500, 30)), rng.normal(size=(500, 20))
    results = []
    for threads in THREADS:
        step, weights = network(threads)
        losses = [float(step(x, t)) for _ in range(5)]
        results.append((losses, [w.get_value() for w in weights]))
    for losses, values in results[1:]:
        assert losses == results[0][0]
        for got, want in zip(values, results[0][1], strict=True):
            assert np.array_equal(got, want)


@pytest.mark.parametrize("backend", ["llvm", "reference"])
@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("varying", [False, True])
def test_no_update_is_lost(backend: str, checked: bool, varying: bool) -> None:
    start = np.zeros(3000)
    total = sg.shared(start, name="total", shape=("n",) if varying else None)
    x = sg.vector("x", shape=("n",) if varying else (3000,))
    options: dict[str, Any] = {"backend": backend, "check_finite": checked}
    add = sg.function([x], sg.sum(total), updates={total: total + x}, **options)
    take = sg.function([x], [], updates={total: total - x}, **options)
    ones = np.ones(3000)

    def run(f: Any, times: int) -> None:
        for _ in range(times):
            f(ones)

    at_once(*[functools.partial(run, add, 60)] * 2, functools.partial(run, take, 20))
    assert np.array_equal(total.get_value(), np.full(3000, 100.0))


def test_readers_see_whole_values_while_others_train_and_set() -> None:
    """Rows of ``w`` are equal at any time, whatever multiple of one they are."""
    w = sg.shared(np.ones((400, 50)), name="w")
    double = sg.function([], [], updates={w: w * 2})
    spread = sg.function([], sg.max(w) - sg.min(w), threads=2)

    def train() -> None:
        for _ in range(100):
            double()

    def read() -> None:
        for _ in range(100):
            assert float(spread()) == 0
            value = w.get_value()
            assert np.ptp(value) == 0

    def put() -> None:
        for k in range(50):
            w.set_value(np.full((400, 50), float(k)))

    at_once(train, read, read, put)


def test_a_failed_call_changes_nothing_and_frees_its_variables() -> None:
    w = sg.shared(np.zeros(5000), name="w")
    x, k = sg.vector("x", shape=(5000,)), sg.vector("k", dtype="int64")
    f = sg.function([x, k], sg.sum(x[k]), updates={w: w + x}, threads=2)
    x_value, good, bad = np.ones(5000), np.arange(5000), np.arange(5000)
    bad[4321] = 5000

    def fail() -> None:
        for _ in range(50):
            with pytest.raises(IndexError, match="5000 is out of range"):
                f(x_value, bad)

    def succeed() -> None:
        for _ in range(50):
            assert float(f(x_value, good)) == 5000

    at_once(fail, succeed)
    assert np.array_equal(w.get_value(), np.full(5000, 50.0))


def test_outputs_of_calls_at_once_are_apart() -> None:
    x = sg.vector("x")
    f = sg.function([x], {"double": x * 2, "square": x * x}, threads=2)

    def call(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(100):
            value = rng.normal(size=rng.integers(1, 20_000))
            out = {"double": np.empty_like(value), "square": np.empty_like(value)}
            for got in (f(value), f(x=value), f(value, out=out)):
                assert np.array_equal(got["double"], value * 2), f"seed {seed}"
                assert np.array_equal(got["square"], value * value), f"seed {seed}"

    at_once(*(functools.partial(call, seed) for seed in range(4)))


def test_scratch_memory_is_planned_for_every_range() -> None:
    """A matrix product packs its operands into scratch memory, each thread for itself."""
    a, b = sg.matrix("a", shape=(301, 203)), sg.matrix("b", shape=(203, 157))
    one, three = (sg.function([a, b], sg.tanh(a @ b), threads=k) for k in (1, 3))
    assert isinstance(one, LLVMFunction) and isinstance(three, LLVMFunction)
    program = three._assembly.program
    values = slot_values(program, (a, b))
    args = [arg for step in program.steps for arg in getattr(step, "args", ())]
    strides = {arg.stride for arg in args if isinstance(arg, Pointer)} - {None}
    sizes = [values[slot] for slot in strides if slot is not None]
    assert sizes and all(size > 0 and size % 64 == 0 for size in sizes)
    assert three.peak_bytes() >= one.peak_bytes() + 2 * min(sizes)
