"""``Graph``: the subroutines of section 6.5.6, order, depth, appending."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import GraphError
from symgraph.graph import Graph, ancestors, topological
from symgraph.op import Attrs, Equations, Op
from symgraph.tensor import Tensor, apply
from symgraph.types import TensorType


def test_the_subroutines_on_a_matrix_product() -> None:
    """C = A B: get_operation(C) is the product, get_inputs(C) = [A, B], get_consumers(A) = [C]."""
    A, B = sg.matrix("A"), sg.matrix("B")
    C = A @ B
    graph = Graph([C])
    assert graph.get_operation(C).name == "matmul"
    assert [i is e for i, e in zip(graph.get_inputs(C), (A, B), strict=True)] == [True, True]
    assert [c is C for c in graph.get_consumers(A)] == [True]
    assert graph.get_consumers(C) == []


def test_repeated_inputs_are_listed_twice_and_consumers_once() -> None:
    x = sg.vector("x")
    y = x * x
    graph = Graph([y])
    assert len(graph.get_inputs(y)) == 2 and len(graph.get_consumers(x)) == 1


def test_one_variable_used_by_several_operations() -> None:
    """Fig. 6.8 (d): the weights make the prediction and the penalty."""
    x, w = sg.vector("x", shape="n"), sg.vector("w", shape="n")
    graph = Graph([sg.sum(x * w), sg.sum(w**2)])
    assert [c.op.name for c in graph.get_consumers(w)] == ["multiply", "square"]


def test_a_stranger_is_refused() -> None:
    graph = Graph([sg.scalar("a") + 1])
    with pytest.raises(
        GraphError, match=r"stranger \(made at test_graph\.py:\d+\) is not in this graph"
    ):
        graph.get_operation(sg.scalar("stranger"))


def test_inputs_come_before_their_users() -> None:
    x = sg.vector("x")
    y = sg.exp(x) * x - sg.sum(x)
    order = topological([y])
    places = {n: k for k, n in enumerate(order)}
    assert all(places[i] < places[n] for n in order for i in n.inputs)
    assert len(order) == len(set(order)) and set(order) == ancestors([y])


def test_inputs_are_found_in_order_of_first_use() -> None:
    a, b = sg.scalar("a"), sg.scalar("b")
    assert [i.name for i in Graph([b - a]).inputs] == ["b", "a"]
    assert [i.name for i in Graph([b - a], [a, b]).inputs] == ["a", "b"]


def test_depth_of_logistic_regression() -> None:
    """Fig. 1.3: sigma(w1 x1 + w2 x2) has depth 3 where the elements are {mul, add, sigmoid}."""
    x1, x2, w1, w2 = (sg.scalar(name) for name in ("x1", "x2", "w1", "w2"))
    assert Graph([sg.sigmoid(w1 * x1 + w2 * x2)]).depth() == 3


def test_depth_with_the_regression_as_one_element() -> None:
    """Fig. 1.3: depth 1 where logistic regression is an operation itself."""

    def infer(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
        return types[0]

    def evaluate(w1: float, x1: float, w2: float, x2: float) -> float:
        return 1 / (1 + float(np.exp(-(w1 * x1 + w2 * x2))))

    whole = Op("logistic_regression", infer, evaluate)
    graph = Graph([apply(whole, tuple(sg.scalar(n) for n in ("w1", "x1", "w2", "x2")))])
    assert graph.depth() == 1


def test_depth_of_nothing_is_zero() -> None:
    assert Graph([sg.scalar("a")]).depth() == 0 and Graph([]).depth() == 0


def test_appending_keeps_what_is_there() -> None:
    x = sg.vector("x")
    y = sg.exp(x)
    graph = Graph([y])
    before = list(graph.nodes)
    graph.append([sg.sum(y * x)])
    assert all(a is b for a, b in zip(graph.nodes, before, strict=False))
    assert graph.count("sum") == 1 and [c.op.name for c in graph.get_consumers(y)] == ["multiply"]
    assert len(graph.outputs) == 1 and graph.outputs[0] is y


def test_build_grad_appends() -> None:
    x = sg.vector("x")
    cost = sg.sum(sg.exp(x))
    graph = Graph([cost])
    count = len(graph)
    table = sg.build_grad(graph, cost, [x])
    slope = table[x]
    assert isinstance(slope, Tensor) and slope in graph and len(graph) > count


def test_counting_operations() -> None:
    x = sg.matrix("x")
    graph = Graph([x @ x + sg.exp(x) + x])
    assert (graph.count("add"), graph.count("matmul", "exp"), graph.count("log")) == (2, 2, 0)


def test_equations_are_collected_with_their_node() -> None:
    u, v = sg.vector("u", shape="n"), sg.vector("v", shape="m")
    y = u + v
    graph = Graph([y])
    assert list(graph.equations) == [(u.shape[0], v.shape[0])]
    assert list(graph.equations.values()) == [y] or graph.equations[u.shape[0], v.shape[0]] is y
