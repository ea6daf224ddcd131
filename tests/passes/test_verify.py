"""The verifier accepts what the pipelines make and finds what is damaged."""

from __future__ import annotations

import pytest

import symgraph as sg
from symgraph import Graph
from symgraph.errors import GraphError
from symgraph.passes.pipeline import PIPELINES, run_passes
from symgraph.types import TensorType
from symgraph.verify import verify, verify_pass


def _classifier() -> Graph:
    z = sg.matrix("z", shape=("n", "c"))
    k = sg.vector("k", shape="m", dtype="int64")
    q = sg.exp(z) / sg.sum(sg.exp(z), axis=1, keepdims=True)
    cost = -sg.mean(sg.log(q)[sg.arange(z.shape[0]), k])
    return Graph([cost, sg.grad(cost, z)], [z, k])


@pytest.mark.parametrize("name", PIPELINES)
def test_every_pass_of_a_pipeline_leaves_a_valid_graph(name: str) -> None:
    run_passes(_classifier(), PIPELINES[name], verify_pass)


def test_equations_survive_every_pass() -> None:
    before = _classifier()
    after, _ = run_passes(before, PIPELINES["default"])
    assert before.equations and set(before.equations) <= set(after.equations)


def test_original_graph_is_valid() -> None:
    verify(_classifier())


def test_wrong_type_is_found() -> None:
    x = sg.vector("x", shape=3)
    y = sg.sin(x) + 12345.0  # a node nobody else holds
    y.type = TensorType(y.dtype, (4,))
    with pytest.raises(GraphError, match="its inputs give float64\\[3\\]"):
        verify(Graph([y]))


def test_wrong_order_is_found() -> None:
    graph = Graph([sg.exp(sg.vector("x"))])
    graph.nodes.reverse()
    with pytest.raises(GraphError, match="stands before its input"):
        verify(graph)


def test_repeated_node_is_found() -> None:
    graph = Graph([sg.exp(sg.vector("x"))])
    graph.nodes.append(graph.nodes[0])
    with pytest.raises(GraphError, match="stands twice"):
        verify(graph)


def test_undeclared_input_is_found() -> None:
    x, y = sg.vector("x", shape=2), sg.vector("y", shape=2)
    with pytest.raises(GraphError, match=r"y .*not among the inputs"):
        verify(Graph([x + y], [x]))


def test_lost_equation_is_found() -> None:
    graph = Graph([sg.vector("x", shape="n") + sg.vector("y", shape="m")])
    graph.equations = {}
    with pytest.raises(GraphError, match="the equation n = m"):
        verify(graph)


def test_pass_that_changes_a_type_is_named() -> None:
    x = sg.vector("x", shape=3)

    def halve(graph: Graph) -> Graph:
        return Graph([sg.astype(graph.outputs[0], "float32")], graph.inputs)

    with pytest.raises(GraphError, match="pass halve: output 0 was float64"):
        run_passes(Graph([x + 1], [x]), (halve,), verify_pass)


def test_pass_that_loses_an_equation_is_named() -> None:
    x, y = sg.vector("x", shape="n"), sg.vector("y", shape="m")

    def forget(graph: Graph) -> Graph:
        return Graph([x], graph.inputs)

    with pytest.raises(GraphError, match="pass forget: the equation n = m"):
        run_passes(Graph([x + y], [x, y]), (forget,), verify_pass)


def test_pass_that_drops_an_output_is_named() -> None:
    x = sg.vector("x")

    def drop(graph: Graph) -> Graph:
        return Graph(graph.outputs[:1], graph.inputs)

    with pytest.raises(GraphError, match="pass drop: 2 outputs became 1"):
        run_passes(Graph([x, x + 1], [x]), (drop,), verify_pass)
