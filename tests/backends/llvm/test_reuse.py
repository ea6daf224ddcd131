"""Memory used again inside one call: dead operands, results not yet written, and correct values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from stages import native

import symgraph as sg

Array = np.ndarray[Any, Any]
N, M = 300, 40
UNIT = 8 * N * M
A = np.random.default_rng(5).normal(size=(N, M))


def matrix(name: str = "x", dtype: str = "float64") -> sg.Tensor:
    return sg.tensor(name, shape=("n", "m"), dtype=dtype)


def copies(f: Any) -> float:
    """How many matrices a call holds at once, its result among them."""
    return float(round(f.peak_bytes(n=N, m=M) / UNIT, 2))


def test_a_chain_needs_one_matrix_beside_its_result() -> None:
    """Running sums are calls of their own, which read other elements than they write."""
    x = matrix()
    y: Any = x
    for axis in (0, 1, 0, 1, 0):
        y = sg.cumsum(y, axis=axis)
    f = native([x], y, passes=())
    assert copies(f) == 2
    want = A
    for axis in (0, 1, 0, 1, 0):
        want = np.cumsum(want, axis=axis)
    np.testing.assert_allclose(f(A), want, rtol=1e-10, atol=1e-8)


def test_a_dead_operand_is_overwritten_where_it_is_read() -> None:
    """The map between two running sums writes where it reads."""
    x = matrix()
    f = native([x], sg.cumsum(sg.exp(sg.cumsum(x, axis=1) * 0.01) + 1, axis=0), passes=())
    assert copies(f) <= 2
    want = np.cumsum(np.exp(np.cumsum(A, axis=1) * 0.01) + 1, axis=0)
    np.testing.assert_allclose(f(A), want, rtol=1e-12)


def test_a_result_read_later_is_not_overwritten() -> None:
    x = matrix()
    first = sg.cumsum(x, axis=0)
    second = sg.cumsum(first, axis=1)
    third = sg.cumsum(second, axis=0)
    f = native([x], [first, third, second], passes=())
    want = [np.cumsum(A, 0), np.cumsum(np.cumsum(np.cumsum(A, 0), 1), 0)]
    got = f(A)
    np.testing.assert_allclose(got[0], want[0], rtol=1e-12)
    np.testing.assert_allclose(got[1], want[1], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(got[2], np.cumsum(want[0], 1), rtol=1e-9, atol=1e-9)


def test_an_operand_read_in_another_order_is_kept() -> None:
    x = matrix()
    s = sg.cumsum(x, axis=0)
    results = [s[::-1] + s, s[:, ::-1] * 2, sg.roll(s, 1, axis=0) + s]
    sums = np.cumsum(A, 0)
    wants = [sums[::-1] + sums, sums[:, ::-1] * 2, np.roll(sums, 1, axis=0) + sums]
    for result, want in zip(results, wants, strict=True):
        f = native([x], sg.cumsum(result, axis=1), passes=())
        np.testing.assert_allclose(f(A), np.cumsum(want, 1), rtol=1e-9, atol=1e-9)


def test_a_value_of_another_type_does_not_take_the_place() -> None:
    """float32 element k lies where float64 element k/2 did."""
    x = matrix()
    s = sg.cumsum(x, axis=0)
    single = sg.astype(s * 2, "float32")
    f = native([x], [sg.cumsum(single, axis=0), sg.cumsum(s + 1, axis=1)], passes=())
    sums = np.cumsum(A, 0)
    first, second = f(A)
    np.testing.assert_allclose(first, np.cumsum((sums * 2).astype("f4"), 0), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(second, np.cumsum(sums + 1, 1), rtol=1e-9, atol=1e-9)


STEPS: tuple[Callable[[Any, Any], Any], ...] = (
    lambda a, b: sg.cumsum(a * 0.1 + b * 0.1, axis=0),
    lambda a, b: sg.cumsum(a * 0.1 - b * 0.1, axis=1),
    lambda a, b: sg.tanh(a) * b,
    lambda a, b: a[::-1] - b,
    lambda a, b: sg.softmax(a, axis=1) + b,
    lambda a, b: sg.tanh(a @ sg.matrix_transpose(b)) @ b * 0.01,
    lambda a, b: sg.maximum(a, b) - sg.mean(a, axis=0),
    lambda a, b: a * 0.5 + sg.sum(b, axis=1, keepdims=True) * 0.01,
    lambda a, b: sg.sin(a[:, ::-1]) + sg.cos(b),
)


@pytest.mark.parametrize("seed", range(12))
def test_random_chains(seed: int) -> None:
    """Everything a call could overwrite too early, against the backend that overwrites nothing."""
    rng = np.random.default_rng(seed)
    x, y = matrix(), matrix("y")
    values: list[Any] = [x, y]
    for _ in range(25):
        a, b = (values[k] for k in rng.integers(max(0, len(values) - 6), len(values), 2))
        values.append(STEPS[rng.integers(len(STEPS))](a, b))
    chosen = [values[k] for k in rng.choice(np.arange(2, len(values)), 4, replace=False)]
    outputs = [*chosen, values[-1]]
    given = rng.normal(size=(2, 17, 9))
    plain = sg.function([x, y], outputs, backend="reference", passes=())
    for threads in (1, 2):
        f = sg.function([x, y], outputs, passes=(), threads=threads)
        targets = [np.full((17, 9), np.nan) for _ in outputs]
        for result in (f(*given), f(*given), f(*given, out=targets)):
            for got, want in zip(result, plain(*given), strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-9)


def test_assembling_is_linear() -> None:
    """Three times the layers, and no block more."""

    def arena(layers: int) -> Any:
        x = sg.tensor("x", shape=("b", 32))
        h: Any = x
        for k in range(layers):
            h = sg.tanh(h @ sg.shared(np.eye(32), name=f"w{k}") + k)
        return native([x], h).arena_bytes

    assert arena(100) == arena(300)
