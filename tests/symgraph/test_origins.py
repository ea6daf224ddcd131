"""Origins: the user's line, through the user's own helpers, and what a node derives from."""

from __future__ import annotations

import inspect
import threading
from typing import Any

import numpy as np

import symgraph as sg
from symgraph.graph import Graph
from symgraph.names import origin_text
from symgraph.origins import Derived, UserLine, deriving, root_line, with_origin
from symgraph.tensor import Tensor, describe


def here() -> int:
    """The line that calls this."""
    frame = inspect.currentframe()
    assert frame is not None and frame.f_back is not None
    return frame.f_back.f_lineno


def line_of(x: Tensor) -> int:
    line = root_line(x.origin)
    assert line is not None
    return line.line


x = sg.vector("x")


def test_the_line_of_an_operator() -> None:
    y, line = x + 41, here()
    assert line_of(y) == line
    assert str(y.origin) == f"test_origins.py:{line}"


def test_the_line_of_a_function_made_of_several_nodes() -> None:
    y, line = sg.mean(sg.var(x)) * 42, here()
    graph = Graph([y])
    assert {line_of(n) for n in graph.nodes if n.inputs} == {line}


def test_the_line_inside_an_expression_of_several_lines() -> None:
    first = here() + 1
    y = sg.exp(
        x * 43.5
        + sg.tanh(x - 44.5),
    )  # fmt: skip
    lines = {n.op.name: line_of(n) - first for n in Graph([y]).nodes if n.inputs}
    assert lines == {"multiply": 1, "subtract": 2, "tanh": 2, "add": 1, "exp": 0}


def layer(h: Tensor) -> Tensor:
    return sg.tanh(h * 45.5)  # the line of the helper, not of its caller


def test_a_users_helper_is_the_users_line() -> None:
    source, first = inspect.getsourcelines(layer)
    assert len(source) == 2
    assert line_of(layer(x)) == first + 1


numpy: Any = np  # its functions give tensors for tensors, which its own types do not say


def test_numpy_functions_are_looked_through() -> None:
    y, line = numpy.exp(x * 46.5), here()
    assert line_of(y) == line


def test_the_first_line_stays_when_a_node_is_built_again() -> None:
    first, line = x * 47.5, here()
    again = x * 47.5
    assert again is first and line_of(again) == line


def test_every_derivative_node_says_where_it_comes_from() -> None:
    cost, line = sg.sum(sg.sin(x) ** 2 * x), here()
    graph = Graph([cost])
    before = set(graph.nodes)
    sg.build_grad(graph, cost, [x])
    made = [n for n in graph.nodes if n not in before and n.inputs]
    assert made and all(isinstance(n.origin, Derived) and n.origin.how == "bprop" for n in made)
    assert all(line_of(n) in (line, line_of(x)) for n in made)


def test_text_of_a_derivation_names_operation_and_line() -> None:
    y, line = sg.exp(x * 48.5), here()
    with deriving(y, "bprop"):
        z = y * 49.5
    with deriving(z, "mul_one"):
        again = z + 50.5
    assert origin_text(z.origin) == f"bprop of exp at test_origins.py:{line}"
    assert origin_text(again.origin) == f"mul_one of multiply at test_origins.py:{line}"


def test_a_long_chain_of_derivations_has_a_root() -> None:
    y, line = x * 51.5, here()
    for k in range(3000):
        with deriving(y, "rule"):
            y = y + float(k)
    assert line_of(y) == line


def test_without_an_origin_there_is_no_text() -> None:
    assert origin_text(None) == "" and root_line(None) is None
    leaf = sg.scalar("leaf")
    leaf.origin = None
    assert describe(leaf) == "leaf"


def test_an_origin_is_restored_after_an_error() -> None:
    mark = UserLine(test_an_origin_is_restored_after_an_error.__code__, 0)
    try:
        with with_origin(mark):
            raise KeyError
    except KeyError:
        pass
    assert (x * 52.5).origin is not mark


def test_origins_are_per_thread() -> None:
    mark = UserLine(test_origins_are_per_thread.__code__, 0)
    found: list[Tensor] = []
    with with_origin(mark):
        worker = threading.Thread(target=lambda: found.append(x * 53.5))
        worker.start()
        worker.join()
        assert (x * 54.5).origin is mark
    assert found[0].origin is not mark


def test_describe_names_variables_and_operations() -> None:
    a, line = sg.scalar("a"), here()
    b, second = sg.exp(a), here()
    assert describe(a) == f"a (made at test_origins.py:{line})"
    assert describe(b) == f"the result of exp (made at test_origins.py:{second})"
