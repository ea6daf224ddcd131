"""One-hot rows in every spelling, what they add up to, and the picks that they are."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph as sg
from symgraph import Graph, Tensor
from symgraph.passes.simplify import simplify

n = "n"
x = sg.matrix("x", shape=(n, 4))
w = sg.vector("w", shape=n)
k = sg.vector("k", shape=n, dtype="int64")
KS = np.array([2, 0, -1])


def _counts(expression: Tensor, *names: str) -> list[int]:
    graph = Graph([expression])
    return [graph.count(name) for name in names]


# ---- rows of an identity matrix ------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_rows_of_an_identity_are_one_hot(dtype: str) -> None:
    hot = sg.one_hot(k, 4, dtype=dtype)
    assert simplify(sg.eye(4, dtype=dtype)[k]) is simplify(hot)
    assert simplify(sg.constant(np.eye(4, dtype=dtype))[k]) is simplify(hot)
    f = sg.function([k], sg.eye(4, dtype=dtype)[k], backend="reference")
    np.testing.assert_array_equal(f(KS), np.eye(4, dtype=dtype)[KS])
    with pytest.raises(IndexError, match="index 4 is out of range"):
        f(np.array([4]))


def test_rows_of_a_symbolic_identity() -> None:
    rows = sg.eye(w.shape[0])[k]
    assert simplify(rows) is simplify(sg.one_hot(k, w.shape[0]))


def test_labels_in_more_axes() -> None:
    many = sg.matrix("many", shape=("n", 3), dtype="int64")
    labels = np.array([[0, 1, 2], [3, 3, -1]])
    out = simplify(sg.eye(4)[many])
    assert out is simplify(sg.one_hot(many, 4))
    np.testing.assert_array_equal(out.eval({many: labels}, backend="reference"), np.eye(4)[labels])


@pytest.mark.parametrize(
    "matrix",
    [
        sg.eye(4, 5),
        sg.eye(4, k=1),
        sg.constant(2 * np.eye(4)),
        sg.constant(np.eye(4)[[0, 1, 3, 2]]),
        sg.constant(np.eye(4)[:3]),
    ],
    ids=["wide", "off the diagonal", "scaled", "permuted", "cut"],
)
def test_other_matrices_stay(matrix: Tensor) -> None:
    labels = np.array([1, 0, -1])
    out = simplify(matrix[k])
    assert out is not simplify(sg.one_hot(k, 4))
    got, want = (e.eval({k: labels}, backend="reference") for e in (out, matrix[k]))
    np.testing.assert_array_equal(got, want)


def test_columns_of_an_identity_stay() -> None:
    assert _counts(simplify(sg.eye(4)[:, k]), "gather") == [1]


# ---- sums ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "total"),
    [
        (0.9 * sg.one_hot(k, 4) + 0.1 / 4, 1.0),
        (0.7 * sg.one_hot(k, 3) + 0.3 / 3, 1.0),
        (sg.one_hot(k, 4) - 0.25 * sg.one_hot(k + 0, 4), 0.75),
    ],
    ids=["smoothed", "smoothed by thirds", "two labels"],
)
def test_rows_of_labels_and_literals_add_up(rows: Tensor, total: float) -> None:
    out = simplify(sg.sum(rows, axis=1))
    assert _counts(out, "sum", "gather") == [0, 0]
    np.testing.assert_array_equal(out.eval({k: np.array([1, 0])}, backend="reference"), [total] * 2)


def test_rows_with_what_may_be_nan_are_summed() -> None:
    for rows in (sg.one_hot(k, 4) + x, sg.one_hot(k, 4) * w[:, None] + 0.1, 0.1 + sg.softmax(x)):
        assert _counts(simplify(sg.sum(rows, axis=1)), "sum") == [1]


def test_sums_along_the_other_axis_count() -> None:
    rows = 0.9 * sg.one_hot(k, 4) + 0.1
    out = simplify(sg.sum(rows, axis=0))
    want = np.sum(0.9 * np.eye(4)[KS] + 0.1, axis=0)
    np.testing.assert_allclose(out.eval({k: KS}, backend="reference"), want, rtol=1e-14)


def test_value_at_a_label_that_may_be_out_of_range() -> None:
    hot = k[:, None] == sg.arange(4)
    out = simplify(sg.sum(sg.where(hot, w[:, None], 0.0), axis=1))
    assert _counts(out, "sum") == [0]
    values = {k: np.array([3, 4, -1]), w: np.array([1.0, 2.0, np.nan])}
    np.testing.assert_array_equal(out.eval(values, backend="reference"), [1, 0, 0])


def test_softmax_sums_to_one_only_in_fast() -> None:
    total = sg.sum(sg.softmax(x), axis=1)
    assert _counts(simplify(total), "sum") == [1]
    assert _counts(simplify(total, "fast"), "sum", "softmax") == [0, 0]
    assert _counts(simplify(sg.sum(sg.softmax(x), axis=0), "fast"), "sum") == [1]


# ---- picks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_derivative_of_a_pick_is_one_hot(dtype: str) -> None:
    z = sg.matrix("z", shape=(n, 4), dtype=dtype)
    picked = z[sg.arange(z.shape[0]), k]
    assert simplify(sg.grad(sg.sum(picked), z)) is simplify(sg.one_hot(k, 4, dtype=dtype))
    along = sg.take_along_axis(z, k[:, None], axis=1)
    assert simplify(sg.grad(sg.sum(along), z)) is simplify(sg.one_hot(k, 4, dtype=dtype))


def test_scales_and_signs_at_labels_stand_outside() -> None:
    hot = sg.one_hot(k, 4)
    chosen = hot > 0
    assert chosen.dtype == np.bool_
    picked = sg.where(sg.one_hot(k, 4, dtype="bool"), 3.0, 0.0)
    assert simplify(picked) is simplify(3.0 * hot)
    signed = simplify(sg.where(sg.one_hot(k, 4, dtype="bool"), -w[:, None], 0.0))
    assert signed.op.name == "negative"


def test_infinite_values_at_labels_stay_selections() -> None:
    hot = sg.one_hot(k, 4, dtype="bool")
    out = simplify(sg.where(hot, w[:, None], 0.0))
    assert _counts(out, "where", "multiply") == [1, 0]
    value = out.eval({k: KS, w: np.array([np.inf, np.nan, 1.0])}, backend="reference")
    np.testing.assert_array_equal(value, [[0, 0, np.inf, 0], [np.nan, 0, 0, 0], [0, 0, 0, 1]])


# ---- labels out of range -------------------------------------------------------------------------


def test_labels_of_a_single_class_are_checked() -> None:
    """0 is the only value of arange(1), but k is still compared with it."""
    rows = sg.arange(k.shape[0])
    written = sg.zeros((k.shape[0], 1)).at[rows, k].add(sg.ones(k.shape[0]))
    for expression in (written, sg.one_hot(k, 1)):
        f = sg.function([k], expression, backend="reference")
        np.testing.assert_array_equal(f(np.array([0, -1, 0])), np.ones((3, 1)))
        with pytest.raises(sg.errors.IndexRangeError, match="1"):
            f(np.array([0, 1, 0]))


# ---- one-hot rows that pick ----------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1])
def test_rows_picked_by_one_hot_rows_are_read(axis: int) -> None:
    x, labels = sg.matrix("x", shape=(3, 3)), sg.vector("labels", shape=3, dtype="int64")
    hot = sg.one_hot(labels, 3, axis=axis)
    bounded = sg.tanh(sg.where(sg.isfinite(x), x, 0.5))
    at = {x: np.arange(9.0).reshape(3, 3) / 8, labels: np.array([2, 0, 2])}
    rows = np.arange(3)
    places = (rows, at[labels]) if axis == 1 else (at[labels], rows)
    for source, passes in ((x, "fast"), (bounded, "default")):
        found = simplify(sg.sum(hot * source, axis=axis), passes)
        assert sg.Graph([found]).count("gather") == 1
        assert sg.Graph([found]).count("sum", "equal") == 0
        values = at[x] if source is x else np.tanh(at[x])
        np.testing.assert_allclose(found.eval(at, backend="reference"), values[places], rtol=1e-15)


def test_default_keeps_what_one_hot_rows_spoil() -> None:
    x, labels = sg.matrix("x", shape=(2, 3)), sg.vector("labels", shape=2, dtype="int64")
    found = simplify(sg.sum(sg.one_hot(labels, 3) * x, axis=1))
    at = {x: np.array([[1.0, np.inf, 2.0], [3.0, 4.0, 5.0]]), labels: np.array([0, 1])}
    np.testing.assert_array_equal(found.eval(at, backend="reference"), [np.nan, 4.0])


def test_labels_are_checked_by_the_array_they_index() -> None:
    x, labels = sg.matrix("x", shape=(4, 2)), sg.vector("labels", dtype="int64")
    looked_up = simplify(x[sg.arange(4)[labels]])
    assert looked_up is x[labels]
    assert simplify(x[sg.arange(3)[labels]]) is not x[labels]
    with pytest.raises(sg.errors.IndexRangeError):
        looked_up.eval({x: np.zeros((4, 2)), labels: np.array([4])}, backend="reference")
