"""Running sums and products along every axis, both ways, through any layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from stages import both

import symgraph as sg


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("fn", [sg.cumulative_sum, sg.cumulative_prod])
def test_along_every_axis(fn: Any, axis: int) -> None:
    x = sg.tensor("x", shape=("a", "b", "c"))
    numpy: Any = np.cumsum if fn is sg.cumulative_sum else np.cumprod
    f = sg.function([x], fn(x, axis=axis), passes=())
    for shape in ((2, 3, 4), (1, 1, 1), (3, 0, 2), (2, 17, 3)):
        a = np.random.default_rng(0).normal(size=shape)
        np.testing.assert_allclose(f(a), numpy(a, axis=axis), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["int64", "float32"])
def test_through_views(dtype: str) -> None:
    x = sg.tensor("x", shape=("n", "m"), dtype=dtype)
    view = sg.matrix_transpose(x)[::-1, 1:]
    native, reference = both([x], sg.cumulative_sum(view, axis=0))
    a = np.random.default_rng(1).integers(-9, 9, (5, 6)).astype(dtype)
    np.testing.assert_array_equal(native(a), reference(a))


def test_the_first_element_meets_no_infinity() -> None:
    """0 * inf is not added to it."""
    x = sg.vector("x")
    got = sg.function([x], sg.cumulative_prod(x))(np.array([np.inf, 2.0, -1.0]))
    np.testing.assert_array_equal(got, [np.inf, np.inf, -np.inf])


def test_derivatives_run_backwards() -> None:
    x = sg.vector("x")
    native, reference = both([x], sg.grad(sg.sum(sg.square(sg.cumulative_prod(x))), x))
    a = np.random.default_rng(2).uniform(0.5, 1.5, 7)
    np.testing.assert_allclose(native(a), reference(a), rtol=1e-13)


def test_long_running_sums_count_exactly() -> None:
    x = sg.tensor("x", shape=("n",), dtype="int64")
    got = sg.function([x], sg.cumulative_sum(x))(np.ones(100_000, "int64"))
    np.testing.assert_array_equal(got, np.arange(1, 100_001))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rows_are_dealt_out(axis: int) -> None:
    """Another axis than one of size 1 is divided; two threads give the bits of one."""
    x = sg.tensor("x", shape=(1, "n", "m"))
    y = sg.cumulative_sum(x, axis=axis)
    one, two = (sg.function([x], y, threads=threads, passes=()) for threads in (1, 2))
    a = np.random.default_rng(6).normal(size=(1, 300, 200))
    assert one(a).tobytes() == two(a).tobytes()
    np.testing.assert_allclose(one(a), np.cumsum(a, axis), rtol=1e-12, atol=1e-12)
