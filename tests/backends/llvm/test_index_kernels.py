"""Gathers, scatters and masks: checked positions, repeated writes, sizes found while running."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from stages import both

import symgraph as sg
from symgraph.errors import IndexRangeError, ShapeError

X = sg.tensor("x", shape=("n", "m"))
I = sg.tensor("i", shape=("k",), dtype="int64")
A = np.arange(12.0).reshape(4, 3)


def line_of(message: str) -> str:
    found = re.search(r"made at (\S+):(\d+)", message)
    assert found is not None, message
    return found.group(1)


OUT_OF_RANGE: dict[str, Any] = {
    "gather": lambda x, i: x[i],
    "gather of columns": lambda x, i: x[:, i] * 2,
    "gather amid other work": lambda x, i: sg.exp(sg.sum(x[i] + 1, axis=1)),
    "take_along_axis": lambda x, i: sg.take_along_axis(x, i[:, None], axis=0),
    "scatter_set": lambda x, i: x.at[i].set(1.0),
    "scatter_add": lambda x, i: x.at[i].add(1.0) * 2,
}


@pytest.mark.parametrize("bad", [4, -5, 2**40, -(2**63)])
@pytest.mark.parametrize("case", OUT_OF_RANGE)
def test_an_index_out_of_range_raises(case: str, bad: int) -> None:
    """The error names the index, the size of its axis and the user's line."""
    size = 3 if "columns" in case else 4
    f = sg.function([X, I], OUT_OF_RANGE[case](X, I), passes=())
    index = [0, 1, bad, 99]
    with pytest.raises(IndexRangeError, match=rf"index {bad} .* size {size}\b") as caught:
        f(A, index)
    assert line_of(str(caught.value)) == "test_index_kernels.py"
    f(A, [0, 1, -1, 2])


def test_the_first_of_two_errors_is_told_with_its_own_line() -> None:
    """Two gathers of one kernel; what the first misreads must not look like the second's index."""
    table = sg.tensor("t", shape=("r",), dtype="int64")
    first = table[I]
    second = X[first]
    f = sg.function([X, I, table], second * 2, passes=())
    with pytest.raises(IndexRangeError, match="index 7 is out of range for an axis of size 2"):
        f(A, [0, 7, 1], [1, 3])
    with pytest.raises(IndexRangeError, match="index 9 is out of range for an axis of size 4"):
        f(A, [0, 1, 1], [1, 9])


def test_an_index_into_an_empty_axis_raises() -> None:
    """The table has no element to read instead."""
    f = sg.function([X, I], X[:, I] * 2, passes=())
    for lanes in (1, 3, 40):
        with pytest.raises(IndexRangeError, match="index 0 is out of range for an axis of size 0"):
            f(np.zeros((5, 0)), np.zeros(lanes, "int64"))
    assert f(np.zeros((5, 0)), np.zeros(0, "int64")).shape == (5, 0)


def test_repeated_writes() -> None:
    """Additions accumulate; of several values the last one stays."""
    index = [1, 1, -1, 1]
    v = sg.tensor("v", shape=("k", "m"))
    values = np.arange(12.0).reshape(4, 3) + 100
    added, kept = sg.function([X, I, v], [X.at[I].add(v), X.at[I].set(v)], passes=())(
        A, index, values
    )
    want = A.copy()
    np.add.at(want, index, values)
    np.testing.assert_array_equal(added, want)
    want = A.copy()
    want[index] = values
    np.testing.assert_array_equal(kept, want)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int32", "float32", "float64"])
def test_gathers_of_every_width(dtype: str) -> None:
    x = sg.tensor("x", shape=("n",), dtype=dtype)
    f = sg.function([x, I], x[I])
    for n in (1, 5, 16, 33):
        a = np.random.default_rng(n).integers(0, 2, n).astype(dtype)
        index = np.random.default_rng(n).integers(-n, n, 3 * n + 1)
        np.testing.assert_array_equal(f(a, index), a[index])


@pytest.mark.parametrize("m", [1, 15, 16, 17, 255, 256, 257, 700])
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_rows_written_and_added_at_every_width(m: int, dtype: str) -> None:
    """A unit is a piece of the rows; two threads give the bits of one."""
    x, u = (sg.tensor(k, shape=(n, "m"), dtype=dtype) for k, n in (("x", "n"), ("u", "k")))
    k = sg.tensor("k", shape=("k",), dtype="int64")
    outputs = [x.at[k].add(u), x.at[k].set(u), x.at[k].add(u[:, ::-1])]
    rng = np.random.default_rng(m)
    a, b = (rng.integers(-60, 60, (n, m)).astype(dtype) for n in (20, 90))
    index = rng.integers(-20, 20, 90)
    added, written, back = a.copy(), a.copy(), a.copy()
    np.add.at(added, index, b)
    written[index] = b
    np.add.at(back, index, b[:, ::-1])
    for threads in (1, 2):
        got = sg.function([x, k, u], outputs, threads=threads)(a, index, b)
        for result, want in zip(got, (added, written, back), strict=True):
            np.testing.assert_array_equal(result, want)


# ---- masks ---------------------------------------------------------------------------------------

P = sg.tensor("p", shape=("n",), dtype="bool")
MASKS = {"some": [True, False, True, True], "none": [False] * 4, "all": [True] * 4}
CASES: dict[str, Any] = {
    "selected": lambda x, p: x[p],
    "work on selected": lambda x, p: sg.exp(x[p]) * 2 + 1,
    "sum": lambda x, p: sg.sum(x[p], axis=0),
    "softmax": lambda x, p: sg.softmax(x[p], axis=0),
    "product": lambda x, p: x[p] @ sg.matrix_transpose(x[p]),
    "written": lambda x, p: x.at[p].set(0.0),
    "two masks": lambda x, p: [x[p], x[~p], x[p & (x[:, 0] > 2)]],
    "mask of a mask": lambda x, p: x[p][x[p][:, 0] > 2],
    "gradient": lambda x, p: sg.grad(sg.sum(sg.sum(sg.square(x[p]), axis=0) ** 2), x),
    "joined": lambda x, p: sg.concat([x[p], x]),
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("case", CASES)
def test_sizes_found_while_running(case: str, mask: str) -> None:
    made = CASES[case](X, P)
    native, reference = both([X, P], made if isinstance(made, list) else [made])
    for got, want in zip(native(A, MASKS[mask]), reference(A, MASKS[mask]), strict=True):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-13)


def test_counts_that_disagree_raise() -> None:
    q = sg.tensor("q", shape=("n",), dtype="bool")
    f = sg.function([X, P, q], X[P] + X[q], passes=())
    f(A, MASKS["some"], [False, True, True, True])
    with pytest.raises(ShapeError, match="sizes differ"):
        f(A, MASKS["some"], MASKS["all"])
    f(A, MASKS["none"], MASKS["none"])


def test_a_mask_over_two_axes() -> None:
    q = sg.tensor("q", shape=("n", "m"), dtype="bool")
    f = sg.function([X, q], [X[q], sg.sum(X[q])], passes=())
    selected, total = f(A, A % 2 == 0)
    np.testing.assert_array_equal(selected, A[A % 2 == 0])
    assert total == A[A % 2 == 0].sum()


def test_one_function_serves_every_count() -> None:
    f = sg.function([X, P], sg.tanh(X[P]) + 1)
    for n in (0, 1, 7, 150):
        a = np.random.default_rng(n).normal(size=(n, 3))
        keep = a[:, 0] > 0
        np.testing.assert_allclose(f(a, keep), np.tanh(a[keep]) + 1, rtol=1e-14)


@pytest.mark.parametrize("backend", ["llvm", "reference"])
def test_sizes_found_while_running_survive_givens(backend: str) -> None:
    """Values that only have the size of a mask follow the mask to its new operands."""
    x, w = sg.tensor("x", shape=(4,)), sg.shared(np.array([1.0, -2.0, -3.0, 4.0]), name="w")
    below = x < 0
    f = sg.function([], x.at[below].set(9.0), givens={x: w}, backend=backend)
    assert f().tolist() == [1, 9, 9, 4]
    g = sg.function([x], [x[below] * 2, x.at[below].set(0.0)], backend=backend)
    assert [v.tolist() for v in g([-1.0, 1.0, 2.0, 3.0])] == [[-2], [0, 1, 2, 3]]


@pytest.mark.parametrize("rows", [0, 1, 3, 40, 70])
@pytest.mark.parametrize("declared", [False, True])
def test_positions_that_count_an_axis(rows: int, declared: bool) -> None:
    """Diagonals, one element of each row, whole rows: as NumPy finds them, at every offset."""
    n: int | str = rows if declared else "n"
    x, k = sg.tensor("x", shape=(n, 70)), sg.tensor("k", shape=(n,), dtype="int64")
    count = sg.arange(x.shape[0])
    outputs = [
        x[count, k], x[:, ::-1][count, k] + 1, x[count] * 2, x[count, 3], sg.sum(x[count, k]),
        x[count[:, None], k], sg.take_along_axis(x, k[:, None], axis=1), x[::-1][count, k],
    ]  # fmt: skip
    if declared:
        outputs.append(x[count, count])  # the last axis is no shorter
    f, reference = both([x, k], outputs)
    rng = np.random.default_rng(rows)
    a, i = rng.integers(-9, 9, (rows, 70)).astype(float), rng.integers(-70, 70, rows)
    for got, want in zip(f(a, i), reference(a, i), strict=True):
        np.testing.assert_array_equal(got, want)


def test_an_index_beside_one_that_counts_an_axis_is_checked() -> None:
    i = sg.tensor("i", shape=("n",), dtype="int64")
    f = sg.function([X, i], X[sg.arange(X.shape[0]), i])
    with pytest.raises(IndexRangeError, match="index 3 is out of range"):
        f(A, np.array([0, 1, 2, 3]))
