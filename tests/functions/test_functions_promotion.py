"""NumPy 2's promotion as users meet it: arrays, Python scalars, sizes, values that stay weak."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import DTypeError
from symgraph.types import DTYPES

PAIRS = list(itertools.product(DTYPES, DTYPES))
SCALARS: tuple[Any, ...] = (True, 3, 2.5)


@pytest.mark.parametrize(("a", "b"), PAIRS, ids=[f"{a}-{b}" for a, b in PAIRS])
def test_two_arrays(a: str, b: str) -> None:
    x, y = sg.vector("x", dtype=a, shape="n"), sg.vector("y", dtype=b, shape="n")
    want = np.result_type(np.dtype(a), np.dtype(b))
    for build in (sg.add, sg.multiply, sg.maximum, lambda p, q: sg.where(True, p, q)):
        assert build(x, y).dtype == want
    assert sg.concat([x, y]).dtype == want
    assert sg.divide(x, y).dtype == (want if want.kind == "f" else np.float64)
    values = np.ones(2, a), np.ones(2, b)
    got = sg.function([x, y], [x + y, x == y], backend="reference", passes=())(*values)
    assert got[0].dtype == (values[0] + values[1]).dtype
    assert got[1].tolist() == [True, True]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scalar", SCALARS)
def test_python_scalars_are_weak(dtype: str, scalar: Any) -> None:
    x = sg.vector("x", dtype=dtype, shape="n")
    array = np.ones(2, dtype)
    for build, plain in ((sg.add, np.add), (sg.multiply, np.multiply), (sg.maximum, np.maximum)):
        want = plain(array, scalar)
        assert build(x, scalar).dtype == want.dtype
        assert build(scalar, x).dtype == want.dtype
        assert build(x, sg.constant(scalar)).dtype == want.dtype
        got = sg.function([x], build(x, scalar), backend="reference", passes=())(array)
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", DTYPES)
def test_numpy_scalars_are_not_weak(dtype: str, kind: str) -> None:
    x = sg.vector("x", dtype=dtype, shape="n")
    scalar = np.dtype(kind).type(1)
    assert (x + scalar).dtype == np.result_type(np.dtype(dtype), np.dtype(kind))
    assert (scalar + x).dtype == np.result_type(np.dtype(dtype), np.dtype(kind))


def test_integers_that_do_not_fit() -> None:
    x = sg.vector("x", dtype="int8")
    calls: tuple[Callable[[], Any], ...] = (
        lambda: x + 300,
        lambda: sg.maximum(-129, x),
        lambda: sg.vector("u", dtype="uint8") - (-1),
    )
    for call in calls:
        with pytest.raises(DTypeError, match="does not fit"):
            call()


def test_sizes_are_weak() -> None:
    """However a size is computed with, a float32 program stays float32."""
    x = sg.matrix("x", shape=("n", 3), dtype="float32")
    n = x.shape[0]
    for y in (
        x / n,
        n * x,
        x * (n / 2),
        x * sg.sqrt(n),
        x / (1 / n),
        x * (1 - 1 / n),
        x + sg.log(n * n + 1),
        x**n,
    ):
        assert y.dtype == np.float32
        assert all(t.dtype != np.float64 or t.shape == () for t in sg.Graph([y]).nodes)
    i = sg.vector("i", shape="n", dtype="int16")
    assert (i * i.shape[0]).dtype == np.int16
    assert (i / i.shape[0]).dtype == np.float64
    assert sg.mean(x, axis=0).dtype == np.float32


def test_values_of_sizes() -> None:
    x = sg.vector("x", shape="n")
    n = x.shape[0]
    got = sg.function(
        [x], [sg.sum(x) / n, n / 2, sg.sqrt(n), sg.as_tensor(n * n - 1)],
        backend="reference", passes=(),
    )(np.ones(4))  # fmt: skip
    assert [float(v) for v in got] == [1.0, 2.0, 2.0, 15.0]


@pytest.mark.parametrize(("build", "dtype"), [
    (lambda c: c + 1, "int64"), (lambda c: c * 1.5, "float64"), (lambda c: sg.exp(c), "float64"),
    (lambda c: -c, "int64"), (lambda c: c / 2, "float64"),
    (lambda c: sg.where(True, c, 1), "int64"),
])  # fmt: skip
def test_weak_stays_weak(build: Any, dtype: str) -> None:
    """Operations on nothing but Python numbers give a value that is weak again."""
    y = build(sg.constant(2))
    assert y.type.weak and y.dtype == dtype
    x = sg.vector("x", dtype="float32")
    assert (x * y).dtype == np.float32


def test_promotion_does_not_depend_on_values() -> None:
    x = sg.vector("x", dtype="int8")
    assert {(x + k).dtype.name for k in (0, 1, 127, -128)} == {"int8"}
    assert (sg.vector("f", dtype="float32") * 1e300).dtype == np.float32
