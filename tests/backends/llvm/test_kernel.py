"""When a kernel may write over what it reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from stages import calls_of

import symgraph as sg
from symgraph.backends.llvm.kernel import Call
from symgraph.tensor import Tensor

X = sg.tensor("x", shape=("n", "n"))

CROSSED = {
    "transposed": X + sg.matrix_transpose(X),
    "reversed": X + X[::-1],
    "shifted": X[1:] - X[:-1],
    "a row for all": X - X[0],
    "a sum that is needed again": X / sg.sum(X, axis=1, keepdims=True),
}


def last_call(y: Tensor) -> tuple[Call, Tensor]:
    call = calls_of(y)[-1]
    assert call.nest is not None
    return call, call.node


@pytest.mark.parametrize("case", CROSSED)
def test_a_kernel_that_reads_elsewhere_must_not_overwrite(case: str) -> None:
    call, node = last_call(CROSSED[case])
    assert not call.aligned(X, node)


def test_a_map_may_overwrite_its_operand() -> None:
    call, node = last_call(X * 2 + 1)
    assert call.aligned(X, node)


@pytest.mark.parametrize("axis", [None, 1])
def test_one_walk_may_sum_its_operand_and_overwrite_it(axis: int | None) -> None:
    y = X * 2
    call = calls_of(sg.sum(X * X, axis=axis), y)[0]
    assert call.nest is not None and call.nest.inner and call.aligned(X, y)


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (70, 9), (40, 1000)])
def test_an_update_beside_sums_of_the_old_value(axis: int | None, shape: tuple[int, int]) -> None:
    old = np.random.default_rng(8).normal(size=shape)
    w = sg.shared(old, "w")
    f = sg.function([], sg.sum(w * w, axis=axis), updates={w: w * 2})
    np.testing.assert_allclose(f(), (old * old).sum(axis), rtol=1e-12)
    np.testing.assert_array_equal(w.get_value(), 2 * old)


UPDATES: dict[str, Any] = {
    "scaled": lambda w: w * 2 + 1,
    "transposed": lambda w: w + sg.matrix_transpose(w),
    "reversed": lambda w: w[::-1] * 2,
    "rolled": lambda w: sg.roll(w, 1, axis=0),
    "less its first row": lambda w: w - w[0],
    "softmax of rows": lambda w: sg.softmax(w, axis=1),
    "softmax of columns": lambda w: sg.softmax(w, axis=0),
    "squared": lambda w: w @ w,
    "written": lambda w: w.at[1:].set(w[:-1]),
    "scattered": lambda w: w.at[np.array([0, 0, 2])].add(w),
    "running": lambda w: sg.cumulative_sum(w[:, ::-1], axis=1),
    "its own sum": lambda w: sg.broadcast_to(sg.sum(w), w.shape) + w,
    "gathered": lambda w: w[np.array([2, 0, 1])],
    "itself": lambda w: w,
    "joined": lambda w: sg.concat([w[1:], w[:1]]),
}


@pytest.mark.parametrize("passes", [(), "default"])
@pytest.mark.parametrize("case", UPDATES)
def test_updates_read_only_old_values(case: str, passes: Any) -> None:
    """Whether or not the new value is written over the old one."""
    start = np.arange(9.0).reshape(3, 3) + 0.5
    w = sg.shared(start.copy(), name="w")
    v = sg.tensor("v", shape=(3, 3))
    want = sg.function([v], UPDATES[case](v), backend="reference", passes=())
    f = sg.function([], w * 1, updates={w: UPDATES[case](w)}, passes=passes)
    expected = start
    for _ in range(3):
        np.testing.assert_allclose(f(), expected, rtol=1e-13)
        expected = want(expected)
        np.testing.assert_allclose(w.get_value(), expected, rtol=1e-13)
