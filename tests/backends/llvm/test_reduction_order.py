"""The order of floating-point sums.

Promised: the bits of a sum are a function of the operand's logical shape, the axes, the dtype and
the target (the width of its vectors), never of memory layout, of what the sum is fused with, or of
how often it runs. Not promised: equal bits on another target, or after a pass that rewrites the
sum itself (``passes="default"`` may move a transpose through it).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.tensor import Tensor

Array = np.ndarray[Any, Any]
ROWS, COLUMNS = 37, 101
AXES = (None, 0, 1)
RNG = np.random.default_rng(20261120)
VALUES = (RNG.normal(size=(ROWS, COLUMNS)) * 10.0 ** RNG.integers(-6, 6, (ROWS, COLUMNS))).astype(
    "float32"
)


def summed(view: Callable[[Tensor], Tensor], axis: int | None, array: Array) -> bytes:
    x = sg.tensor("x", shape=(None,) * array.ndim, dtype="float32")
    result: Array = sg.function([x], sg.sum(view(x), axis=axis), passes=())(array)
    return result.tobytes()


def spread(array: Array) -> Array:
    """The same elements, every second row and third column of a larger array."""
    wide = np.zeros((2 * ROWS, 3 * COLUMNS), "float32")
    wide[::2, ::3] = array
    return wide


LAYOUTS: dict[str, tuple[Callable[[Tensor], Tensor], Array]] = {
    "transposed in the graph": (sg.matrix_transpose, np.ascontiguousarray(VALUES.T)),
    "sliced in the graph": (lambda x: x[::2, ::3], spread(VALUES)),
    "flipped in the graph": (
        lambda x: sg.flip(x, axis=1),
        np.ascontiguousarray(VALUES[:, ::-1]),
    ),
    "transposed memory": (lambda x: x, np.asfortranarray(VALUES)),
    "strided memory": (lambda x: x, spread(VALUES)[::2, ::3]),
    "reversed memory": (lambda x: x, np.ascontiguousarray(VALUES[::-1, ::-1])[::-1, ::-1]),
    "unaligned memory": (
        lambda x: x,
        np.concatenate([np.zeros(1, "float32"), VALUES.ravel()])[1:].reshape(VALUES.shape),
    ),
    "an extra axis of size 1": (lambda x: x[:, 0], VALUES[:, None]),
}


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_do_not_change_a_bit(layout: str, axis: int | None) -> None:
    view, array = LAYOUTS[layout]
    assert summed(view, axis, array) == summed(lambda x: x, axis, VALUES)


def fused(x: Tensor, axis: int | None) -> dict[str, list[Tensor]]:
    """A sum (first) beside or amid other work."""
    s = sg.sum(x, axis=axis, keepdims=True)
    one = 0 if axis is None else axis
    return {
        "with its use": [s, sg.exp(x - s)],
        "with a maximum": [s, sg.max(x, axis=axis)],
        "with a position": [s, sg.argmax(x, axis=one)],
        "with a double sum": [s, sg.sum(sg.astype(x, "float64"), axis=axis)],
        "with an integer sum": [s, sg.sum(sg.astype(x > 0, "int64"), axis=axis)],
        "with a turned use": [s, sg.sum(sg.matrix_transpose(x * 1.0), axis=0), x * 1.0],
        "of a product with one": [sg.sum(x * 1.0, axis=axis, keepdims=True), sg.sin(x * 1.0)],
    }


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("case", list(fused(sg.matrix("x"), 0)))
def test_fusion_does_not_change_a_bit(case: str, axis: int | None) -> None:
    x = sg.tensor("x", shape=("n", "m"), dtype="float32")
    got = sg.function([x], fused(x, axis)[case], passes=())(VALUES)[0]
    assert got.tobytes() == summed(lambda x: x, axis, VALUES)


def test_a_turned_producer_does_not_change_a_bit() -> None:
    """sum(exp(x).T) runs as the sum of a transposed array, not as the loop of exp would."""
    x = sg.tensor("x", shape=("n", "m"))
    turned = sg.function([x], sg.sum(sg.matrix_transpose(sg.abs(x)), axis=1), passes=())
    plain = sg.function([x], sg.sum(sg.abs(x), axis=1), passes=())
    array = VALUES.astype("float64") * math.pi
    assert turned(array).tobytes() == plain(np.ascontiguousarray(array.T)).tobytes()


def test_rows_do_not_depend_on_how_many_there_are() -> None:
    x = sg.tensor("x", shape=("n", "m"), dtype="float32")
    for axis in (0, 1):
        f = sg.function([x], sg.sum(x, axis=axis), passes=())
        cut = VALUES[:5] if axis else VALUES[:, :5]
        assert f(np.ascontiguousarray(cut)).tobytes() == f(VALUES)[:5].tobytes()


def root_mean_square_error(got: Array, exact: Array) -> float:
    return float(np.sqrt(np.mean((got.astype("float64") - exact) ** 2)))


@pytest.mark.parametrize("draw", ["uniform", "normal"])
@pytest.mark.parametrize("shape", [(1000, 100), (100, 10_000), (10, 100_000)])
def test_long_sums_lose_no_more_than_pairwise_ones(draw: str, shape: tuple[int, int]) -> None:
    """A million float32 in rows and in columns, against exactly rounded sums.

    One sum may be lucky, so the errors of all rows are taken together; 5% is what luck is left.
    """
    array = getattr(np.random.default_rng(0), draw)(size=shape).astype("float32")
    exact = np.array([math.fsum(row) for row in array.tolist()])
    x = sg.tensor("x", shape=(None, None), dtype="float32")
    rows = sg.function([x], sg.sum(x, axis=1))(array)
    columns = sg.function([x], sg.sum(x, axis=0))(np.ascontiguousarray(array.T))
    pairwise = root_mean_square_error(np.sum(array, axis=1), exact)
    assert root_mean_square_error(rows, exact) <= 1.05 * pairwise
    assert root_mean_square_error(columns, exact) <= 1.05 * pairwise


def test_a_million_positive_numbers_lose_at_most_the_last_bit() -> None:
    array = np.random.default_rng(7).uniform(size=10**6).astype("float32")
    x = sg.tensor("x", shape=("n",), dtype="float32")
    exact = math.fsum(array.tolist())
    error = abs(float(sg.function([x], sg.sum(x))(array)) - exact)
    assert error <= max(abs(float(np.sum(array)) - exact), float(np.spacing(np.float32(exact))))


def test_infinities_pass_through_compensated_sums() -> None:
    x = sg.vector("x")
    f = sg.function([x], sg.sum(x))
    big = np.full(200, np.finfo("float64").max)
    assert f(np.r_[np.ones(50), np.inf, np.ones(100)]) == np.inf
    assert np.isnan(f(np.r_[np.inf, np.ones(100), -np.inf]))
    assert f(big) == np.inf
