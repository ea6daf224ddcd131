"""Stored values that their readers make again from others."""

from __future__ import annotations

import numpy as np
from stages import both, clusters_of, parts_of

import symgraph as sg
from symgraph.tensor import Tensor

X = sg.tensor("x", shape=("n", "m"))
W = sg.tensor("w", shape=("m", "m"))


def stored(*outputs: Tensor) -> list[str]:
    return [n.op.name for n in parts_of(*outputs).stored]


def test_the_slope_of_tanh_is_made_from_its_value() -> None:
    h = sg.tanh(X)
    slope = 1 - sg.square(h)
    assert stored(h @ W, (h @ W) * slope) == ["matmul", "tanh", "multiply"]


def test_a_kernel_that_only_scales_disappears() -> None:
    """Two sums over different axes read x itself."""
    doubled = X * 2
    steps = clusters_of(sg.sum(doubled, axis=0), sg.sum(doubled, axis=1))
    assert sorted(steps) == [["multiply", "sum"], ["multiply", "sum"]]


def test_what_is_read_through_a_slice_is_stored() -> None:
    doubled = X * 2
    assert "multiply" in stored(sg.sum(doubled, axis=0), doubled[::2] + 1)


def test_elementary_functions_are_stored() -> None:
    e = sg.exp(X)
    assert "exp" in stored(sg.sum(e, axis=0), sg.sum(e, axis=1))


def test_long_expressions_are_stored() -> None:
    y = X
    for k in range(6):
        y = y * (k + 1.5) + 1
    assert stored(sg.sum(y, axis=0), sg.sum(y, axis=1)) == ["add", "sum", "sum"]


def test_outputs_are_stored() -> None:
    y = X * 2
    assert stored(y, sg.sum(y, axis=0), sg.sum(y, axis=1)) == ["multiply", "sum", "sum"]


def test_what_a_product_reads_is_stored() -> None:
    y = X * 2
    assert "multiply" in stored(y @ W, sg.sum(y, axis=0))


def test_the_values_are_the_same() -> None:
    h = sg.tanh(X)
    slope = 1 - sg.square(h)
    outputs = [h @ W, ((h @ W) * slope) @ W, sg.sum(X * 3, axis=0), sg.sum(X * 3, axis=1)]
    compiled, reference = both([X, W], outputs)
    rng = np.random.default_rng(11)
    arrays = [rng.normal(size=(5, 9)), rng.normal(size=(9, 9))]
    for got, want in zip(compiled(*arrays), reference(*arrays), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)
