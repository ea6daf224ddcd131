"""Contiguous axes become one loop; reduced and strided ones stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from stages import calls_of

import symgraph as sg
from symgraph.backends.llvm.clusters import Cluster
from symgraph.backends.llvm.join_axes import FIXED, join_axes
from symgraph.backends.llvm.loops import Nest, build_nest
from symgraph.backends.llvm.partition import partition
from symgraph.backends.llvm.views import viewer
from symgraph.tensor import Tensor

X = sg.tensor("x", shape=("n", 4, 5))
B = sg.tensor("b", shape=(5,))


def extents(y: Tensor) -> tuple[int | str, ...]:
    """The loops of the one kernel of ``y`` after joining."""
    parts = partition([y])
    (cluster,) = (s for s in parts.steps if isinstance(s, Cluster))
    nest: Nest = join_axes(build_nest(cluster, parts.stored, viewer()))
    return nest.extents


@pytest.mark.parametrize(
    ("y", "loops"),
    [
        (sg.exp(X), ("p0*20",)),
        (X + B, ("p0*4", 5)),
        (X[:, ::2] * 2, ("p0*2", 5)),
        (sg.sum(X, axis=2), ("p0*4", 5)),
        (sg.sum(X, axis=0), ("p0", 20)),
        (sg.sum(X, axis=1), ("p0", 4, 5)),
        (sg.sum(X, axis=(1, 2)), ("p0", 4, 5)),
    ],
    ids=["contiguous", "broadcast", "strided", "rows", "columns", "between", "two reduced"],
)
def test_loops(y: Tensor, loops: tuple[int | str, ...]) -> None:
    assert extents(y) == loops


@pytest.mark.parametrize(
    "fn",
    [
        lambda x, b: np.exp(x),
        lambda x, b: x + b,
        lambda x, b: np.transpose(x, (2, 0, 1)) * 2,
        lambda x, b: x[:, ::2] * 2,
    ],
)
@pytest.mark.parametrize("n", [0, 1, 7])
def test_values(fn: Callable[..., Any], n: int) -> None:
    draw = np.random.default_rng(3)
    x, b = draw.standard_normal((n, 4, 5)), draw.standard_normal(5)
    f = sg.function([X, B], fn(X, B))
    np.testing.assert_allclose(f(x, b), fn(x, b), rtol=1e-15)


def step_of(*shape: int | str) -> Tensor:
    return sg.tensor("w", shape=shape) - 0.1 * sg.tensor("g", shape=shape)


def test_long_maps_that_differ_in_a_size_are_one_kernel() -> None:
    calls = calls_of(*(step_of(*s) for s in ((40, 50), (31, 70), (FIXED + 1,), (2, 9999))))
    assert len(calls) == 4 and len({c.key for c in calls}) == 1
    assert [c.units for c in calls] == [2, 3, 2, 20]


@pytest.mark.parametrize(
    "y",
    [
        step_of(FIXED),
        step_of(40, 1, 3) + sg.tensor("b", shape=(50, 1)),
        sg.tensor("v", shape=(9999,))[::-1] * 2,
    ],
)
def test_short_and_strided_maps_keep_their_sizes(y: Tensor) -> None:
    assert all("space (p" not in call.key for call in calls_of(y))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8"])
def test_long_maps_of_many_sizes(dtype: str) -> None:
    """One kernel stands for every length around a unit and a vector."""
    rng = np.random.default_rng(8)
    for n in (FIXED, FIXED + 1, FIXED + 31, FIXED + 32, 2 * FIXED, 2 * FIXED + 127, 5000):
        x, y = (sg.tensor(k, shape=(n,), dtype=dtype) for k in "xy")
        a, b = (rng.integers(-9, 9, n).astype(dtype) for _ in "xy")
        np.testing.assert_array_equal(sg.function([x, y], x * 3 - y)(a, b), a * 3 - b)
