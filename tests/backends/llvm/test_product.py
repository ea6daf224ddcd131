"""The matrix product as a step: any rank, views as operands, no copies for strides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from stages import both, clusters_of

import symgraph as sg

RNG = np.random.default_rng(4)
SHAPES = [
    ((3,), (3,)), ((3,), (3, 2)), ((4, 3), (3,)), ((4, 3), (3, 5)), ((2, 4, 3), (3, 5)),
    ((2, 1, 4, 3), (6, 3, 5)), ((2, 3, 1, 4, 3), (1, 3, 2, 3, 5)), ((0, 3), (3, 2)),
    ((4, 0), (0, 2)),
    ((3,), (2, 3, 4)), ((2, 0, 4, 3), (3, 2)), ((1, 1), (1, 1)), ((2, 1, 3, 1, 2, 2), (3, 2, 2, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), SHAPES)
@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_every_rank(left: tuple[int, ...], right: tuple[int, ...], dtype: str) -> None:
    a, b = sg.tensor("a", shape=left, dtype=dtype), sg.tensor("b", shape=right, dtype=dtype)
    x, y = (RNG.integers(-5, 6, s).astype(dtype) for s in (left, right))
    got = sg.function([a, b], a @ b, passes=())(x, y)
    want = x @ y
    assert got.dtype == want.dtype and got.shape == want.shape
    np.testing.assert_array_equal(got, want)


VIEWS: dict[str, Any] = {
    "transposed": lambda x: sg.matrix_transpose(x),
    "reversed": lambda x: x[::-1, ::-1],
    "strided": lambda x: x[::2, ::2],
    "stretched": lambda x: sg.broadcast_to(x[0], x.shape),
    "column": lambda x: sg.broadcast_to(x[:, 0][:, None], x.shape),
}


@pytest.mark.parametrize("view", VIEWS)
def test_views_are_read_where_they_stand(view: str) -> None:
    x = sg.tensor("x", shape=(6, 6))
    seen = VIEWS[view](x)
    product = seen @ sg.matrix_transpose(seen)
    assert clusters_of(product) == [["matmul"]]
    native, reference = both([x], product)
    a = RNG.integers(-5, 6, (6, 6)).astype("float64")
    np.testing.assert_array_equal(native(a), reference(a))


def test_a_literal_operand() -> None:
    x = sg.tensor("x", shape=("n", 3))
    native, reference = both([x], x @ sg.ones((3, 2)))
    np.testing.assert_array_equal(native(np.eye(3)), reference(np.eye(3)))
