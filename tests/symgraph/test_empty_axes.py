"""Axes that turn out empty when a function is called: the same error from every backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import ShapeError

BACKENDS = ("reference", "llvm")
EXTREMES = ("max", "min", "argmax", "argmin")


def message(make: Callable[..., Any], *arrays: Any, backend: str) -> str:
    """The ShapeError of a call; every argument is an axis of its own size."""
    xs = [sg.tensor(f"x{k}", shape=(None,) * a.ndim) for k, a in enumerate(arrays)]
    f = sg.function(xs, make(*xs), backend=backend)
    with pytest.raises(ShapeError) as caught:
        f(*arrays)
    return str(caught.value)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", EXTREMES)
def test_an_extreme_of_nothing_names_operation_axis_and_line(name: str, backend: str) -> None:
    function = getattr(sg, name)
    text = message(lambda x: function(x, axis=1), np.zeros((3, 0)), backend=backend)
    for part in (f"in {name} made at", "test_empty_axes.py", "axis 1 is empty", f"{name} of noth"):
        assert part in text


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", EXTREMES)
def test_an_extreme_of_everything(name: str, backend: str) -> None:
    text = message(lambda x: getattr(sg, name)(x), np.zeros(0), backend=backend)
    assert "axis 0 is empty" in text


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_maximum_and_its_place(backend: str) -> None:
    text = message(lambda x: sg.max_and_argmax(x, axis=0)[1], np.zeros((0, 2)), backend=backend)
    assert "the max of nothing" in text


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", EXTREMES)
def test_no_rows_are_no_error(name: str, backend: str) -> None:
    x = sg.matrix("x")
    f = sg.function([x], getattr(sg, name)(x, axis=1), backend=backend)
    assert f(np.zeros((0, 3))).shape == (0,)


@pytest.mark.parametrize("backend", BACKENDS)
def test_row_functions_take_empty_rows(backend: str) -> None:
    x = sg.matrix("x")
    outputs = [sg.softmax(x, axis=1), sg.log_softmax(x, axis=1), sg.logsumexp(x, axis=1)]
    outputs.append(sg.grad(sg.sum(outputs[0] ** 2), x))
    soft, log_soft, total, gradient = sg.function([x], outputs, backend=backend)(np.zeros((3, 0)))
    assert soft.shape == log_soft.shape == gradient.shape == (3, 0)
    np.testing.assert_array_equal(total, np.full(3, -np.inf))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n", [0, 6])
def test_a_size_to_be_found_beside_an_empty_axis(n: int, backend: str) -> None:
    text = message(
        lambda x, y: sg.reshape(x, (y.shape[0], -1)) * 2, np.zeros(n), np.zeros(0), backend=backend
    )
    assert "leave the size open" in text
