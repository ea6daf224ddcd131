"""Several reductions carried through one walk of a row."""

from __future__ import annotations

import numpy as np
import pytest
from stages import both, parts_of

import symgraph as sg

X = sg.tensor("x", shape=("n", "m"))


@pytest.mark.parametrize("axis", [0, 1])
def test_one_walk_carries_sums_extremes_positions_and_counts(axis: int) -> None:
    outputs = [
        sg.sum(X, axis=axis), sg.max(X, axis=axis), sg.argmin(X, axis=axis), sg.prod(X, axis=axis),
        sg.sum(X * X, axis=axis), sg.any(X > 2, axis=axis), sg.argmax(X, axis=axis),
    ]  # fmt: skip
    native, reference = both([X], outputs)
    for shape in ((1, 1), (5, 3), (40, 9), (7, 70)):
        a = np.random.default_rng(0).normal(size=shape)
        for got, want in zip(native(a), reference(a), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def test_reductions_of_one_operand_share_its_walk() -> None:
    assert len(parts_of(sg.sum(X, axis=1), sg.max(X, axis=1), sg.argmax(X, axis=1)).steps) == 1


def test_sums_of_two_dtypes_do_not_share_a_walk() -> None:
    """Their numbers of lanes differ, and so their orders."""
    x = sg.tensor("x", shape=("n", "m"), dtype="float32")
    parts = parts_of(sg.sum(x, axis=1), sg.sum(sg.astype(x, "float64"), axis=1))
    assert len(parts.steps) == 2


def test_two_walks_of_three_axes() -> None:
    x = sg.tensor("x", shape=("a", "b", "c"))
    centred = x - sg.mean(x, axis=(0, 2), keepdims=True)
    native, reference = both([x], sg.mean(centred * centred, axis=(0, 2)))
    for shape in ((3, 4, 5), (1, 2, 33), (6, 1, 1), (2, 0, 3)):
        a = np.random.default_rng(2).normal(size=shape)
        np.testing.assert_allclose(native(a), reference(a), rtol=1e-12)
