"""NumPy's names do what NumPy does."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph as sg
from symgraph.functions import aliases

ONE = ("absolute", "arcsin", "arccos", "arctan", "arcsinh", "arctanh", "cumsum", "cumprod")
TWO = ("arctan2", "mod", "power", "true_divide")
JOINS = ("concatenate", "vstack", "hstack")
BITS = ("left_shift", "right_shift")


@pytest.mark.parametrize("name", ONE)
def test_of_one_array(name: str) -> None:
    x = sg.vector("x")
    values = np.array([0.25, 0.5, 0.75])
    found = sg.function([x], getattr(sg, name)(x))(values)
    np.testing.assert_allclose(found, getattr(np, name)(values), rtol=1e-14)


@pytest.mark.parametrize("name", TWO)
def test_of_two_arrays(name: str) -> None:
    x, y = sg.vector("x", shape="n"), sg.vector("y", shape="n")
    a, b = np.array([0.25, 1.5, 7.0]), np.array([2.0, 0.5, 3.0])
    found = sg.function([x, y], getattr(sg, name)(x, y))(a, b)
    np.testing.assert_allclose(found, getattr(np, name)(a, b), rtol=1e-14)


@pytest.mark.parametrize("name", BITS)
def test_of_integers(name: str) -> None:
    x = sg.vector("x", dtype="int32")
    values = np.array([1, 6, -5], "int32")
    found = sg.function([x], getattr(sg, name)(x, 2))(values)
    np.testing.assert_array_equal(found, getattr(np, name)(values, 2))


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("name", JOINS)
def test_joining(name: str, rank: int) -> None:
    x = sg.tensor("x", shape=(2,) * rank)
    values = np.arange(2.0**rank).reshape((2,) * rank)
    found = sg.function([x], getattr(sg, name)([x, x + 1]))(values)
    np.testing.assert_array_equal(found, getattr(np, name)([values, values + 1]))


def test_the_rest() -> None:
    x = sg.vector("x", dtype="int8")
    found = sg.function([x], [sg.invert(x), sg.empty_like(x)])(np.array([1, -3], "int8"))
    np.testing.assert_array_equal(found[0], [-2, 2])
    assert found[1].shape == (2,)
    assert np.arccosh(2.0) == pytest.approx(float(sg.arccosh(sg.constant(2.0)).eval()))
    assert set(aliases.__all__) <= set(dir(sg))
