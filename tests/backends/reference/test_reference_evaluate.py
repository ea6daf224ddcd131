"""The oracle itself: sizes read off arrays, equations, the observer, errors with their place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.backends.reference import bind_sizes, evaluate_graph, resolve
from symgraph.backends.reference.evaluate import check_equations
from symgraph.errors import IndexRangeError, ShapeError, UsageError
from symgraph.graph import Graph
from symgraph.sizes import symbol
from symgraph.tensor import Tensor

N = symbol("n")
((((ATOM, _),), _),) = N.terms


def test_sizes_are_read_off_the_arrays() -> None:
    x, y = sg.tensor("x", shape=("n", 3)), sg.tensor("y", shape=(N + 1,))
    assert bind_sizes([(x, np.zeros((4, 3))), (y, np.zeros(5))]) == {ATOM: 4}


def test_a_symbol_that_is_two_sizes_is_refused() -> None:
    x, y = sg.tensor("x", shape=("n",)), sg.tensor("y", shape=("n", 2))
    with pytest.raises(ShapeError, match=r"axis 0 of y .*has size 5, but n is 4 from axis 0 of x"):
        bind_sizes([(x, np.zeros(4)), (y, np.zeros((5, 2)))])


def test_a_size_that_is_not_what_was_declared_is_refused() -> None:
    x, y = sg.tensor("x", shape=("n",)), sg.tensor("y", shape=(2 * N,))
    with pytest.raises(ShapeError, match=r"axis 0 of y .*has size 5.*2\*n = 8"):
        bind_sizes([(x, np.zeros(4)), (y, np.zeros(5))])


def test_attributes_are_resolved_inside_tuples() -> None:
    assert resolve(((N, 2), "axis", N * 3), {ATOM: 4}) == ((4, 2), "axis", 12)


def test_equations_name_the_operation_and_both_sizes() -> None:
    x, y = sg.tensor("x", shape=("n",)), sg.tensor("y", shape=("m",))
    z = x + y
    graph = Graph([z], (x, y))
    sizes = bind_sizes([(x, np.zeros(3)), (y, np.zeros(4))])
    with pytest.raises(ShapeError, match=r"sizes differ in add made at .*: n is 3.* and m is 4"):
        check_equations(graph, sizes)


def test_equations_of_unknown_sizes_wait_or_are_refused() -> None:
    x, y = sg.tensor("x", shape=("n",)), sg.tensor("y", shape=("m",))
    graph = Graph([x + y], (x, y))
    check_equations(graph, {ATOM: 3}, complete=False)
    with pytest.raises(UsageError, match="not determined"):
        check_equations(graph, {ATOM: 3})


def test_every_node_is_observed_once_in_order() -> None:
    x = sg.vector("x")
    y = sg.exp(x) * 2
    seen: list[tuple[str, Any]] = []
    graph = Graph([y, y], (x,))
    results = evaluate_graph(graph, {x: np.zeros(2)}, lambda n, v: seen.append((n.op.name, v)))
    names = [name for name, _ in seen]
    assert sorted(names) == ["constant", "exp", "input", "multiply"]
    assert names.index("input") < names.index("exp") < names.index("multiply")
    assert [r.tolist() for r in results] == [[2, 2], [2, 2]]


def test_a_missing_value_is_named() -> None:
    x, y = sg.vector("x"), sg.vector("y")
    with pytest.raises(UsageError, match="no value was given for y"):
        evaluate_graph(Graph([x * 2, y * 2], (x, y)), {x: np.zeros(1)})


def test_an_index_out_of_range_names_the_line() -> None:
    x, i = sg.vector("x"), sg.tensor("i", shape=("k",), dtype="int64")
    picked: Tensor = x[i]
    graph = Graph([picked], (x, i))
    with pytest.raises(IndexRangeError, match=r"index 3 .* size 3.*test_reference_evaluate"):
        evaluate_graph(graph, {x: np.zeros(3), i: np.array([0, 3])})


def test_ieee_values_pass_without_warnings(recwarn: pytest.WarningsRecorder) -> None:
    x = sg.vector("x")
    f = sg.function([x], [sg.log(x), 1 / x, sg.sqrt(x - 1), x // 0.0], backend="reference")
    f([0.0])
    assert not recwarn.list


def test_sizes_found_while_running_are_bound() -> None:
    x = sg.vector("x")
    kept = x[x > 0]
    f = sg.function([x], [kept * 2, sg.sum(kept) / kept.shape[0]], backend="reference")
    doubled, mean = f([1.0, -1.0, 3.0])
    assert doubled.tolist() == [2, 6] and mean == 2
