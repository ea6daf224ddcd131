"""What kernels see: row functions spelled out, copies where no view exists, few batch axes."""

from __future__ import annotations

import numpy as np
import pytest
from stages import both, prepared

import symgraph as sg
from symgraph.backends.llvm.prepare import EXPANSIONS
from symgraph.graph import topological
from symgraph.tensor import Tensor

X = sg.tensor("x", shape=("n", 4))


def ops_of(*outputs: Tensor) -> list[str]:
    """The names of the ops under the prepared outputs."""
    return [n.op.name for n in topological(prepared(*outputs)) if n.inputs]


@pytest.mark.parametrize("fn", [sg.softmax, sg.log_softmax, sg.logsumexp])
def test_row_functions_are_spelled_out(fn: object) -> None:
    assert callable(fn)
    names = ops_of(fn(X, axis=1))
    assert {"peak", "where", "sum", "exp"} <= set(names)
    assert not {op.name for op in EXPANSIONS if op.name.endswith(("softmax", "sumexp"))} & set(
        names
    )


@pytest.mark.parametrize("fn", [sg.log_softmax, sg.logsumexp])
def test_terms_equal_to_the_maximum_are_counted(fn: object) -> None:
    assert callable(fn)
    names = ops_of(fn(X, axis=1))
    assert {"equal", "where", "log1p"} <= set(names)
    assert names.count("sum") == 2
    assert "log" not in names


def test_a_reduction_over_axes_of_size_one_is_none() -> None:
    y = sg.tensor("y", shape=("n", 1, 3))
    assert ops_of(sg.sum(y, axis=1)) == ["squeeze"]
    assert "argmax" not in ops_of(sg.argmax(y, axis=1))


@pytest.mark.parametrize("fn", [sg.softmax, sg.log_softmax])
def test_row_functions_along_an_axis_of_size_one(fn: object) -> None:
    """The case a reduction over nothing hides in."""
    assert callable(fn)
    y = sg.tensor("y", shape=("n", 1))
    native, reference = both([y], fn(y, axis=1))
    values = np.array([[1.5], [np.inf], [np.nan], [-np.inf]])
    np.testing.assert_array_equal(native(values), reference(values))


def test_both_halves_of_max_and_argmax_are_reductions_of_one_operand() -> None:
    names = ops_of(*sg.max_and_argmax(X, axis=0))
    assert names == ["max", "argmax"]


def test_a_view_that_can_be_reshaped_is_not_copied() -> None:
    assert "copy" not in ops_of(sg.reshape(X[1:], (-1,)))


def test_a_transposed_array_is_copied_before_a_reshape() -> None:
    assert ops_of(sg.reshape(sg.matrix_transpose(X), (-1,))) == ["permute_dims", "copy", "reshape"]


def test_four_batch_axes_become_one() -> None:
    a, b = sg.tensor("a", shape=(2, 1, 3, 1, 4, 5)), sg.tensor("b", shape=(1, 2, 3, 2, 5, 6))
    (product,) = [n for n in topological(prepared(a @ b)) if n.op.name == "matmul"]
    assert product.shape == (24, 4, 6)


def test_many_batch_axes_agree_with_numpy() -> None:
    rng = np.random.default_rng(3)
    a, b = sg.tensor("a", shape=(2, 1, "n", 1, 4, 5)), sg.tensor("b", shape=(2, 3, 2, 5, 6))
    x, y = rng.normal(size=(2, 1, 3, 1, 4, 5)), rng.normal(size=(2, 3, 2, 5, 6))
    f = sg.function([a, b], a @ b, passes=())
    np.testing.assert_allclose(f(x, y), x @ y, rtol=1e-13, atol=1e-13)


def test_a_table_that_is_a_ramp_needs_no_memory_or_a_copy() -> None:
    """Gathering from arange gives what is asked for, or refuses."""
    i = sg.tensor("i", shape=("k",), dtype="int64")
    native, reference = both([i], sg.arange(5)[i] * 2)
    np.testing.assert_array_equal(native([4, -5, 0]), reference([4, -5, 0]))
    with pytest.raises(sg.errors.IndexRangeError, match="5"):
        native([0, 5])


def test_origins_survive() -> None:
    """Nodes that prepare makes belong to the line of the node they come from."""
    y = sg.softmax(X, axis=1)
    made = [n for n in topological(prepared(y)) if n.op.name == "exp"]
    assert [n.origin for n in made] == [y.origin]
