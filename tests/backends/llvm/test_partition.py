"""Kernels: what fuses, what does not, and that nothing is computed twice."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from stages import both, clusters_of, parts_of

import symgraph as sg
from symgraph.backends.llvm.clusters import LIMIT, Cluster
from symgraph.tensor import Tensor

X = sg.tensor("x", shape=("n", "m"))
B = sg.tensor("b", shape=("m",))


def steps_of(*outputs: Tensor) -> int:
    return len(parts_of(*outputs).steps)


def normalised(x: Tensor) -> Tensor:
    """Layer normalisation: two reductions and what uses them."""
    centred = x - sg.mean(x, axis=1, keepdims=True)
    return centred / sg.sqrt(sg.mean(centred * centred, axis=1, keepdims=True) + 1e-5)


ONE_KERNEL = {
    "softmax of rows": sg.softmax(X, axis=1),
    "softmax of columns": sg.softmax(X, axis=0),
    "log-sum-exp": sg.logsumexp(X, axis=1),
    "layer norm": normalised(X),
    "chain with broadcast and reduction": sg.sum(sg.tanh(X * 2 + B) * X, axis=1),
    "total": sg.sum(sg.exp(X)),
    "variance": sg.var(X, axis=0),
    "through a transpose": sg.matrix_transpose(sg.exp(X)) * sg.matrix_transpose(X),
    "softmax of a transpose": sg.softmax(sg.matrix_transpose(X) + 1, axis=0),
    "reduction scaled": sg.sum(X, axis=1) * 2 + 1,
    "gather with arithmetic": sg.exp(X[np.array([0, 1])]) * 2,
    "comparison with a ramp": sg.where(
        sg.tensor("i", shape=("n", 1), dtype="int64") == sg.arange(10), 2.0, 0.0
    ),
    "masked": sg.where(X > 0, sg.sqrt(X), 0.0),
    "clipped ramp": sg.clip(sg.arange(X.shape[0]) * 2, 1, 5),
}


@pytest.mark.parametrize("name", ONE_KERNEL)
def test_one_kernel(name: str) -> None:
    assert steps_of(ONE_KERNEL[name]) == 1, clusters_of(ONE_KERNEL[name])


def test_two_results_of_one_walk_are_one_kernel() -> None:
    assert steps_of(*sg.max_and_argmax(X, axis=1)) == 1


def test_sums_and_extremes_of_one_walk_are_one_kernel() -> None:
    e = sg.exp(X)
    assert steps_of(sg.sum(e, axis=1), sg.max(e, axis=1)) == 1


VIEWS = {
    "transpose": sg.matrix_transpose(X),
    "slice": X[1:, ::-2],
    "flip": sg.flip(X, axis=0),
    "expand": X[:, None],
    "broadcast": sg.broadcast_to(X, (3, *X.shape)),
    "reshape": sg.reshape(X, (-1,)),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_cost_no_kernel(name: str) -> None:
    """Two inputs read through views, one sum."""
    view = VIEWS[name]
    assert clusters_of(view * 2) == [["multiply"]]


def test_reductions_over_different_axes_are_two_kernels() -> None:
    assert steps_of(sg.sum(sg.sum(X, axis=1), axis=0)) == 2


def test_products_stand_alone() -> None:
    w = sg.tensor("w", shape=("m", 5))
    assert clusters_of(sg.tanh(sg.exp(X) @ w)) == [["exp"], ["matmul"], ["tanh"]]


def test_nothing_is_computed_twice() -> None:
    """A value that two kernels need is stored once and read."""
    e = sg.exp(X)
    w = sg.tensor("w", shape=("m", 5))
    counts = Counter(name for step in clusters_of(e @ w, e + 1, sg.sum(e, axis=0)) for name in step)
    assert counts["exp"] == 1 and max(counts.values()) == 1


def test_a_stored_value_is_one_another_kernel_reads() -> None:
    e = sg.exp(X)
    y = sg.sum(e, axis=1)
    parts = parts_of(y)
    assert [n.op.name for n in parts.stored] == ["sum"]


def test_long_chains_split() -> None:
    y = X
    for k in range(3 * LIMIT):
        y = sg.sin(y) if k % 2 else y * 1.5
    parts = parts_of(y)
    sizes = [len(s.maps) for s in parts.steps if isinstance(s, Cluster)]
    assert sum(sizes) == 3 * LIMIT and max(sizes) <= LIMIT and min(sizes[:-1]) >= 16


def test_a_kernel_is_not_merged_across_a_path_through_another() -> None:
    """exp and the last add could share a loop, but a product lies between them."""
    w = sg.tensor("w", shape=("m", "m"))
    e = sg.exp(X)
    assert clusters_of(e + e @ w) == [["exp"], ["matmul"], ["add"]]


def test_a_stretched_operand_of_a_reduction_is_counted_as_often_as_it_repeats() -> None:
    """The sum of a broadcast walks the broadcast, not what was broadcast."""
    doubled = X * 2
    for y in (
        sg.sum(sg.broadcast_to(doubled, (4, *X.shape))),
        sg.sum(sg.broadcast_to(doubled[None], (4, *X.shape)), axis=0),
        sg.prod(sg.broadcast_to(doubled[:, None], (X.shape[0], 3, X.shape[1])), axis=(0, 1)),
    ):
        native, reference = both([X], y)
        values = np.arange(6.0).reshape(2, 3) + 1
        np.testing.assert_array_equal(native(values), reference(values))


def test_a_row_value_repeated_along_the_reduced_axis_is_written_everywhere() -> None:
    total = sg.sum(X, axis=1, keepdims=True)
    native, reference = both([X], [sg.broadcast_to(total, X.shape) + 0.0, X - total])
    values = np.arange(35.0).reshape(5, 7)
    for got, want in zip(native(values), reference(values), strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_cluster_prints() -> None:
    (cluster,) = parts_of(sg.sum(sg.exp(X), axis=1)).steps
    assert str(cluster) == "space (n, m) inner [1]: exp, sum"
