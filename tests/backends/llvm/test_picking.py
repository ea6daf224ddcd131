"""Picking from an expression computes the expression of what is picked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from stages import clusters_of

import symgraph as sg
from symgraph.errors import IndexRangeError

Z = sg.tensor("z", shape=("n", 4))
Y = sg.tensor("y", shape=("n",), dtype="int64")
ROWS = sg.arange(Z.shape[0])


def log_softmax(z: Any) -> Any:
    moved = z - z.max(axis=1, keepdims=True)
    return moved - np.log(np.exp(moved).sum(axis=1, keepdims=True))


def test_the_table_is_not_computed() -> None:
    """One kernel of rows: no full log-softmax, and no kernel that reads it back."""
    (kernel,) = clusters_of(sg.log_softmax(Z, axis=1)[ROWS, Y])
    assert kernel.count("gather") == 1


def test_values() -> None:
    draw = np.random.default_rng(5)
    z, y = draw.standard_normal((6, 4)), np.array([0, 3, -1, 2, -4, 1])
    f = sg.function([Z, Y], sg.log_softmax(Z, axis=1)[ROWS, Y])
    np.testing.assert_allclose(f(z, y), log_softmax(z)[np.arange(6), y], rtol=1e-14)


def test_columns_of_a_stretched_expression() -> None:
    a, b = sg.tensor("a", shape=("n", 1)), sg.tensor("b", shape=(4,))
    f = sg.function([a, b, Y], (sg.exp(a) * b)[sg.arange(a.shape[0]), Y])
    av, bv, y = np.arange(3.0)[:, None], np.arange(4.0) + 1, np.array([3, 0, -2])
    np.testing.assert_allclose(f(av, bv, y), (np.exp(av) * bv)[np.arange(3), y], rtol=1e-14)


@pytest.mark.parametrize("position", [4, -5])
def test_positions_are_still_checked(position: int) -> None:
    f = sg.function([Z, Y], sg.log_softmax(Z, axis=1)[ROWS, Y])
    with pytest.raises(IndexRangeError, match=f"{position} is out of range for an axis of size 4"):
        f(np.zeros((2, 4)), np.array([0, position]))


def test_a_deep_expression_is_no_deep_recursion() -> None:
    x = Z
    for k in range(3000):
        x = x + (k % 2)
    f = sg.function([Z, Y], x[ROWS, Y], passes=())
    assert f(np.zeros((1, 4)), np.array([2]))[0] == 1500
