"""Steps that only move elements: joins, fills, placed slices, repeated outputs."""

from __future__ import annotations

import numpy as np
import pytest
from stages import both, calls_of

import symgraph as sg

X, Y = sg.tensor("x", shape=("n", 3)), sg.tensor("y", shape=("m", 3))
A, B = np.arange(6.0).reshape(2, 3), np.arange(9.0).reshape(3, 3) + 50

CASES = {
    "rows": (sg.concat([X, Y]), np.concatenate([A, B])),
    "rows of views": (
        sg.concat([X[::-1, ::-1], Y * 2, X]),
        np.concatenate([A[::-1, ::-1], B * 2, A]),
    ),
    "columns": (sg.concat([X, X[:, :1], -X], axis=1), np.concatenate([A, A[:, :1], -A], axis=1)),
    "one array twice": (sg.concat([X, X], axis=-1), np.concatenate([A, A], axis=1)),
    "stacked": (sg.stack([X, X + 1], axis=1), np.stack([A, A + 1], axis=1)),
    "padded": (
        sg.pad(X, ((1, 2), (0, 1)), constant_values=7.0),
        np.pad(A, ((1, 2), (0, 1)), constant_values=7.0),
    ),
    "rolled": (sg.roll(X, 1, axis=0), np.roll(A, 1, axis=0)),
    "repeated": (sg.repeat(X, 2, axis=1), np.repeat(A, 2, axis=1)),
    "tiled": (sg.tile(X, (2, 1, 2)), np.tile(A, (2, 1, 2))),
    "filled": (sg.full((X.shape[0], 2), 4.0), np.full((2, 2), 4.0)),
    "slice written": (X.at[:, ::2].set(-1.0), np.where(np.arange(3) % 2 == 0, -1.0, A)),
}


@pytest.mark.parametrize("case", CASES)
def test_moved(case: str) -> None:
    built, want = CASES[case]
    f = sg.function([X, Y], built, passes=())
    got = f(A, B)
    np.testing.assert_array_equal(got, want)
    assert got.flags.c_contiguous and got.flags.owndata


@pytest.mark.parametrize("sizes", [(0, 0), (0, 2), (3, 0), (1, 1)])
def test_joins_of_nothing(sizes: tuple[int, int]) -> None:
    native, reference = both([X, Y], [sg.concat([X, Y]), sg.concat([X, X], axis=1), sg.pad(X, 1)])
    arrays = [np.ones((n, 3)) for n in sizes]
    for got, want in zip(native(*arrays), reference(*arrays), strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_join_is_one_copy_per_part() -> None:
    assert len(calls_of(sg.concat([X, Y, X]))) == 3


def test_computed_parts_are_written_to_their_places() -> None:
    joined = sg.concat([sg.exp(X), X, sg.matrix_transpose(sg.sin(sg.matrix_transpose(X)))], axis=1)
    assert [c.node.op.name for c in calls_of(joined)] == ["exp", "sin", "concat"]
    want = np.concatenate([np.exp(A), A, np.sin(A)], axis=1)
    np.testing.assert_allclose(sg.function([X], joined)(A), want, rtol=1e-15)


def test_parts_that_others_read_are_copied() -> None:
    e = sg.exp(X)
    joined, total = sg.function([X], [sg.concat([e, X]), sg.sum(e, axis=0)], passes=())(A)
    np.testing.assert_allclose(joined, np.concatenate([np.exp(A), A]), rtol=1e-15)
    np.testing.assert_allclose(total, np.exp(A).sum(axis=0), rtol=1e-15)


def test_sums_of_rows_are_written_to_their_places() -> None:
    joined = sg.stack([sg.sum(X, axis=1), sg.max(X, axis=1)], axis=0)
    got = sg.function([X], joined, passes=())(A)
    np.testing.assert_array_equal(got, np.stack([A.sum(axis=1), A.max(axis=1)]))


def test_a_shared_variable_may_become_a_join_of_its_parts() -> None:
    w = sg.shared(np.arange(6.0), name="w")
    f = sg.function([], [], updates={w: sg.concat([w[3:] * 2, w[:3] * 3])})
    f()
    np.testing.assert_array_equal(w.get_value(), [6.0, 8.0, 10.0, 0.0, 3.0, 6.0])
    w.set_value(np.arange(6.0))
    sg.function([], [], updates={w: sg.concat([sg.exp(w[:3]), sg.sin(w[:3])])})()
    want = np.concatenate([np.exp(np.arange(3.0)), np.sin(np.arange(3.0))])
    np.testing.assert_allclose(w.get_value(), want, rtol=1e-15)


def test_booleans_are_moved() -> None:
    p = sg.tensor("p", shape=("n",), dtype="bool")
    a = np.arange(40) % 3 == 0
    got = sg.function([p], sg.concat([p, ~p[::-1]]))(a)
    np.testing.assert_array_equal(got, np.concatenate([a, ~a[::-1]]))
