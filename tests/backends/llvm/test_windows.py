"""Placed slices and joins that share a kernel with what is around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from stages import both, calls_of, native

import symgraph as sg
from symgraph.tensor import Tensor

Array = np.ndarray[Any, Any]

X, Y = sg.tensor("x", shape=("n", "m")), sg.tensor("y", shape=("n", "k"))
V = sg.tensor("v", shape=("n",))

CASES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "a pad scaled": lambda x, y: sg.pad(x, ((1, 2), (3, 0))) * 2 + 1,
    "a pad of an expression": lambda x, y: sg.pad(x * x - 1, 1, constant_values=2.5) + 0.5,
    "a pad of an elementary function": lambda x, y: sg.pad(sg.exp(x), ((0, 1), (2, 2))) * 2,
    "a pad summed": lambda x, y: sg.sum(sg.pad(sg.exp(x), ((1, 1), (2, 2))), axis=1),
    "a pad of a transpose": lambda x, y: sg.pad(sg.matrix_transpose(x), ((1, 0), (0, 2))) - 1,
    "a pad of a reversed array": lambda x, y: sg.pad(x[::-1, ::-1], 2) + 1,
    "a pad of a row for all": lambda x, y: sg.pad(sg.broadcast_to(x[0], x.shape), 1) * 3,
    "a pad of one column": lambda x, y: sg.pad(x[:, :1], ((0, 0), (1, 4))) + 1,
    "columns joined": lambda x, y: sg.tanh(sg.concat([x, y * 2, x[:, ::-1]], axis=1)),
    "a join summed": lambda x, y: sg.sum(sg.concat([x, y], axis=1) * 1.5, axis=1),
    "rows joined": lambda x, y: sg.concat([x, x[::-1] + 1, x[:2]]) - 3,
    "a join of a literal": lambda x, y: sg.concat([x, sg.full((x.shape[0], 2), 7.0)], axis=1) * 2,
    "an element set": lambda x, y: x.at[1].set(-1.0),
    "a block set": lambda x, y: x.at[1:, 1:3].set(0.0) * 2,
    "a block added to": lambda x, y: x.at[:2, 1:].add(10.0),
    "a difference's gradient": lambda x, y: sg.grad(sg.sum((x[1:] - x[:-1]) ** 2), x),
    "both differences' gradient": lambda x, y: sg.grad(
        sg.sum((x[1:] - x[:-1]) ** 2) + sg.sum(sg.abs(x[:, 1:] - x[:, :-1])), x
    ),
    "a reversed slice's gradient": lambda x, y: sg.grad(sg.sum(x[::-1][1:] * x[:-1]), x),
    "every second": lambda x, y: sg.grad(sg.sum(sg.exp(x[:, ::2])), x),
    "ramps padded": lambda x, y: sg.pad(sg.arange(x.shape[0]) * 2, 1) + 1,
    "masks padded": lambda x, y: sg.where(sg.pad(x > 0, 1, constant_values=True), 1.0, 2.0),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("sizes", [(2, 3, 1), (5, 16, 7), (3, 40, 33)])
def test_the_value_is_that_of_the_reference(case: str, sizes: tuple[int, int, int]) -> None:
    n, m, k = sizes
    compiled, reference = both([X, Y], CASES[case](X, Y))
    rng = np.random.default_rng(7)
    arrays = [rng.normal(size=(n, m)), rng.normal(size=(n, k))]
    np.testing.assert_allclose(compiled(*arrays), reference(*arrays), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "int8", "int64", "bool"])
def test_other_dtypes(dtype: str) -> None:
    x = sg.tensor("x", shape=("n",), dtype=dtype)
    padded = sg.pad(x, (3, 2))
    compiled, reference = both([x], sg.where(padded == padded[::-1], padded, sg.pad(x, (1, 4))))
    for n in (0, 1, 13, 64):
        a = (np.arange(n) % 5).astype(dtype)
        np.testing.assert_array_equal(compiled(a), reference(a))


@pytest.mark.parametrize("sizes", [(0, 0), (0, 3), (2, 0), (1, 1)])
def test_nothing_is_read_where_there_is_nothing(sizes: tuple[int, int]) -> None:
    outputs = [sg.pad(X, 1) + 1, sg.concat([X, X], axis=1) * 2, sg.concat([X, X * 2]) + 1]
    compiled, reference = both([X], outputs)
    a = np.ones(sizes)
    for got, want in zip(compiled(a), reference(a), strict=True):
        np.testing.assert_array_equal(got, want)


def test_what_stands_beside_a_window_is_not_read() -> None:
    """NaN outside the window does not show: the product with 0 would be NaN."""
    a = np.full(20, np.nan)
    a[5:9] = 1.0
    f = sg.function([V], sg.pad(V[5:9], (3, 30)) * 2 + 1)
    np.testing.assert_array_equal(f(a), np.pad(a[5:9], (3, 30)) * 2 + 1)


def test_the_gradient_of_differences_is_one_kernel() -> None:
    cost = sg.sum((X[1:] - X[:-1]) ** 2) + sg.sum((X[:, 1:] - X[:, :-1]) ** 2)
    f = native([X], sg.grad(cost, X))
    assert len(f.calls) == 1
    rng = np.random.default_rng(3)
    a = rng.normal(size=(6, 19))
    want = np.zeros_like(a)
    for axis in (0, 1):
        d = 2 * np.diff(a, axis=axis)
        ahead = np.insert(d, 0, 0.0, axis=axis)
        want += ahead - np.append(d, np.zeros_like(np.take(d, [0], axis=axis)), axis=axis)
    np.testing.assert_allclose(f(a), want, rtol=1e-13, atol=1e-13)


def test_a_join_that_others_read_is_no_copy() -> None:
    assert [c.node.op.name for c in calls_of(sg.exp(sg.concat([X, Y], axis=1)))] == ["exp"]


def test_costly_parts_are_computed_once() -> None:
    names = [c.node.op.name for c in calls_of(sg.pad(sg.exp(X), 1) * sg.pad(sg.exp(X), 1))]
    assert names == ["exp", "multiply"]


@pytest.mark.parametrize("dtype", ["bool", "int8", "int16", "float32"])
@pytest.mark.parametrize("size", [3, 127, 128, 129, 300])
def test_masks_of_small_dtypes_have_many_lanes(dtype: str, size: int) -> None:
    x = sg.tensor("x", shape=("n",), dtype=dtype)
    f = native([x], [sg.pad(x, 1), ~sg.concat([x, x]) if dtype == "bool" else -sg.concat([x, x])])
    a = (np.random.default_rng(size).integers(0, 2, size)).astype(dtype)
    padded, joined = f(a)
    np.testing.assert_array_equal(padded, np.pad(a, 1))
    both_parts = np.concatenate([a, a])
    np.testing.assert_array_equal(joined, ~both_parts if dtype == "bool" else -both_parts)
