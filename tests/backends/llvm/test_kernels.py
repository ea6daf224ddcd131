"""Compiled kernels are shared: between equal layers, between functions, between sizes."""

from __future__ import annotations

import numpy as np
import pytest
from stages import calls_of, native

import symgraph as sg
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
    assert compile_kernels(calls, host())[1] == 0


def test_what_is_compiled_is_counted() -> None:
    x = sg.tensor("x", shape=("n",))
    y = sg.exp(x * 0.7071) @ x
    first = native([x], y)
    again = native([x], y)
    assert first.compile_stats.compiled >= 1 and again.compile_stats.compiled == 0
    assert set(first.compile_stats.seconds) >= {"prepare", "partition", "loops", "llvm"}


@pytest.mark.parametrize("order", [0, 1])
def test_kernels_of_other_constants_are_not_shared(order: int) -> None:
    x = sg.tensor("x", shape=("n",))
    values = (0.0, -0.0)[:: 1 - 2 * order]
    results = [sg.function([x], sg.minimum(x, v), passes=())(np.zeros(1))[0] for v in values]
    assert [bool(np.signbit(r)) for r in results] == [bool(np.signbit(v)) for v in values]
