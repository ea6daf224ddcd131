"""Compiled kernels are shared: between equal layers, between functions, between sizes."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from stages import calls_of, native

import symgraph as sg
from symgraph.backends.llvm import kernels
from symgraph.backends.llvm.jit import host
from symgraph.backends.llvm.kernels import compile_kernels, emit_module
from symgraph.tensor import Tensor


def network(x: Tensor, depth: int) -> Tensor:
    for _ in range(depth):
        w = sg.tensor(None, shape=(8, 8))
        x = sg.tanh(x @ w + 0.5)
    return x


def test_equal_layers_share_their_kernels() -> None:
    x = sg.tensor("x", shape=("n", 8))
    for depth in (2, 5, 20):
        module, names = emit_module(calls_of(network(x, depth)), host())
        assert len(names) == 1 and len(module.functions) >= 1


def test_layers_with_a_scale_each_share_their_kernel() -> None:
    x, w = sg.tensor("x", shape=("n", 8)), sg.tensor("w", shape=(8, 8))
    y, scales = x, [0.7 + k / 100 for k in range(20)]
    for scale in scales:
        y = sg.tanh(y @ w * scale + scale)
    f = native([x, w], y)
    assert f.compile_stats.calls >= 20 and f.compile_stats.kernels <= 2
    rng = np.random.default_rng(0)
    want, weights = rng.normal(size=(3, 8)), rng.normal(size=(8, 8))
    got = f(want, weights)
    for scale in scales:
        want = np.tanh(want @ weights * scale + scale)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


def test_rates_of_optimisers_are_no_code() -> None:
    """Another learning rate compiles nothing new."""
    compiled = []
    for rate in (0.013, 0.027):
        w = sg.shared(np.zeros(5), name="w")
        x = sg.tensor("x", shape=(5,))
        f = native([x], [], updates=sg.optim.adam(sg.sum((w - x) ** 2), [w], learning_rate=rate))
        compiled.append(f.compile_stats.compiled)
        f(np.ones(5))
        np.testing.assert_allclose(w.get_value(), rate, rtol=1e-6)
    assert compiled[1] == 0


def test_the_number_of_distinct_kernels_does_not_grow_with_depth() -> None:
    x = sg.tensor("x", shape=("n", 8))
    ws = [sg.tensor(f"w{k}", shape=(8, 8)) for k in range(12)]
    counts = []
    for depth in (4, 8, 12):
        y = x
        for w in ws[:depth]:
            y = sg.tanh(y @ w)
        f = native([x, *ws[:depth]], sg.grad(sg.sum(y * y), ws[:depth]))
        counts.append(f.compile_stats.kernels)
    assert counts[0] == counts[1] == counts[2]


def test_two_functions_share_kernels() -> None:
    a, b = sg.tensor("a", shape=("n", "m")), sg.tensor("b", shape=("k", "l"))
    sg.function([a], sg.cos(a * 0.123) + 1)
    second = native([b], sg.cos(b * 0.123) + 1)
    assert second.compile_stats.compiled == 0 and second.compile_stats.kernels == 1


def test_one_compilation_serves_every_size() -> None:
    """The counter of compiled kernels stands still while the batch size changes."""
    x, w = sg.tensor("x", shape=("n", 5)), sg.tensor("w", shape=(5, 3))
    f = native([x, w], sg.softmax(sg.relu(x @ w) * 1.375, axis=1))
    calls = f.calls
    weights = np.random.default_rng(0).normal(size=(5, 3))
    for n in (1, 7, 150):
        a = np.random.default_rng(n).normal(size=(n, 5))
        z = np.exp(np.maximum(a @ weights, 0) * 1.375)
        np.testing.assert_allclose(f(a, weights), z / z.sum(axis=1, keepdims=True), rtol=1e-12)
    assert compile_kernels(calls, host()).compiled == 0


def test_what_is_compiled_is_counted() -> None:
    x = sg.tensor("x", shape=("n",))
    y = sg.exp(x * 0.7071) @ x
    first = native([x], y)
    again = native([x], y)
    made = first.compile_stats.compiled + first.compile_stats.from_disk
    assert made >= 1 and again.compile_stats.compiled == 0
    assert set(first.compile_stats.seconds) >= {"prepare", "partition", "loops", "llvm"}


@pytest.mark.parametrize("order", [0, 1])
def test_kernels_of_other_constants_are_not_shared(order: int) -> None:
    x = sg.tensor("x", shape=("n",))
    values = (0.0, -0.0)[:: 1 - 2 * order]
    results = [sg.function([x], sg.minimum(x, v), passes=())(np.zeros(1))[0] for v in values]
    assert [bool(np.signbit(r)) for r in results] == [bool(np.signbit(v)) for v in values]


def test_threads_that_want_the_same_kernel_compile_it_once() -> None:
    x = sg.tensor("x", shape=("n",))
    y = sg.sin(x * x) + sg.cos(x) * sg.tanh(x + x)
    with ThreadPoolExecutor(6) as pool:
        made = [f.result() for f in [pool.submit(native, [x], y) for _ in range(6)]]
    assert sum(f.compile_stats.compiled + f.compile_stats.from_disk for f in made) == 1
    a = np.linspace(-2, 2, 11)
    for f in made:
        np.testing.assert_allclose(f(a), np.sin(a * a) + np.cos(a) * np.tanh(a + a), rtol=1e-12)


def test_threads_compile_different_kernels_at_once() -> None:
    a = np.linspace(0.1, 2, 9)

    def work(k: int) -> bool:
        x = sg.tensor("x", shape=("n",))
        y = x
        for _ in range(k):
            y = sg.exp(-y) * x
        want = a
        for _ in range(k):
            want = np.exp(-want) * a
        return bool(np.allclose(native([x], y)(a), want, rtol=1e-12))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(1, 19)))


def test_the_stats_account_for_every_kernel() -> None:
    x = sg.tensor("x", shape=("n",), dtype="float32")
    first = native([x], sg.exp(x * x * x) + 1).compile_stats
    second = native([x], [sg.exp(x * x * x) + 1, sg.cumsum(x)]).compile_stats
    for stats in (first, second):
        assert stats.compiled + stats.from_disk + stats.from_memory == stats.kernels
        assert stats.code_bytes > 500 and stats.cache.startswith(os.environ["SYMGRAPH_CACHE_DIR"])
    assert second.from_memory >= 1 and second.code_bytes > first.code_bytes


def test_kernels_dropped_from_memory_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    x = sg.tensor("x", shape=("n",))
    f = native([x], sg.log1p(x) * 0.375)
    monkeypatch.setattr(kernels, "CAPACITY", 1)
    sg.function([x], sg.log1p(x) * x)
    again = native([x], sg.log1p(x) * 0.375)
    assert again.compile_stats.from_memory == 0
    np.testing.assert_array_equal(f(np.arange(9.0)), again(np.arange(9.0)))
