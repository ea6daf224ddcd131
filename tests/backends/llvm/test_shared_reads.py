"""Results that do not need each other but read one array are one walk over it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from stages import both, parts_of

import symgraph as sg
from symgraph.tensor import Tensor

X, Y = sg.tensor("x", shape=("n", "m")), sg.tensor("y", shape=("n", "m"))
V, C = sg.tensor("v", shape=("n",)), sg.tensor("c", shape=("m",))

#: What is computed at once, and in how many walks.
CASES: dict[str, tuple[Callable[[], list[Tensor]], int]] = {
    "a row sum and a map": (lambda: [sg.sum(X, axis=1), 2 * X], 1),
    "two maps": (lambda: [sg.exp(X), X + Y], 1),
    "sums of everything": (lambda: [sg.sum(X), sg.sum(X * Y), sg.max(X)], 1),
    "softmax and statistics of its rows": (
        lambda: [sg.softmax(X, axis=1), sg.sum(X * X, axis=1), X - Y], 1,
    ),
    "rows and columns": (lambda: [sg.sum(X, axis=0), sg.sum(X, axis=1), 2 * X], 2),
    "columns and a map": (lambda: [sg.sum(X, axis=0), 2 * X], 2),
    "one that waits for the other": (lambda: [sg.sum(X), X * sg.sum(sg.exp(X))], 2),
    "a turned map": (lambda: [X.T * 2, X + 1], 2),
    "everything twice": (lambda: [sg.softmax(X, axis=(0, 1)), 2 * X], 2),
    "functions of rows": (lambda: [sg.sum(X, axis=1), X + sg.exp(V)[:, None]], 2),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_walks(name: str) -> None:
    build, count = CASES[name]
    assert len(parts_of(*build()).steps) == count


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    native, reference = both([X, Y, V, C], CASES[name][0]())
    rng = np.random.default_rng(4)
    for n, m in ((1, 1), (3, 40), (70, 33), (2, 9000)):
        args = [rng.normal(size=s) for s in ((n, m), (n, m), (n,), (m,))]
        for got, want in zip(native(*args), reference(*args), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)


def test_many_readers_of_one_array_stay_within_the_size_of_a_kernel() -> None:
    parts = parts_of(*(sg.sin(X * k) for k in range(3, 103)))
    assert 4 <= len(parts.steps) <= 10
