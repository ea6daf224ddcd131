"""No recursion over graphs: long chains and deep diamonds at Python's default recursion limit.

Nothing here measures time; what is checked is that it finishes, and that sizes grow linearly.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest

import symgraph as sg
from symgraph.graph import Graph
from symgraph.printer import pprint, print_graph
from symgraph.tensor import Tensor
from symgraph.views import to_dot

DEEP = 100_000


def chain(x: Tensor, length: int) -> Tensor:
    """``length`` operations on top of each other."""
    y = x
    for k in range(length // 2):
        y = sg.sin(y) + (0.25 if k % 2 else -0.5)
    return y


def diamond(x: Tensor, levels: int) -> Tensor:
    """Every level uses the one below twice: 2 ** levels paths."""
    y = x
    for _ in range(levels):
        y = y * y + y
    return y


@pytest.fixture(autouse=True)
def at_the_default_limit() -> None:
    assert sys.getrecursionlimit() <= 1000


def test_a_long_chain_builds_prints_and_goes() -> None:
    x = sg.scalar("x")
    y = chain(x, DEEP)
    graph = Graph([y])
    assert graph.depth() == DEEP
    text = pprint(y)
    assert 2 * DEEP < len(text) < 60 * DEEP
    assert max(map(len, text.splitlines())) < 200
    assert print_graph(graph).count("\n") == DEEP + 1
    del graph, y
    assert sg.Graph([x]).depth() == 0  # the chain has been taken apart without a crash


def test_a_long_chain_is_differentiated() -> None:
    x = sg.scalar("x")
    y = chain(x, DEEP)
    graph = Graph([y])
    slope = sg.build_grad(graph, y, [x])[x]
    assert isinstance(slope, Tensor) and slope in graph and len(graph) < 8 * DEEP
    assert len(pprint(slope)) < 100 * DEEP


def test_grad_of_a_chain_has_the_right_value() -> None:
    x = sg.scalar("x")
    slope = sg.grad(chain(x, 2000), x).eval({x: 0.3}, backend="reference")
    value, wanted = 0.3, 1.0
    for k in range(1000):
        wanted *= np.cos(value)
        value = np.sin(value) + (0.25 if k % 2 else -0.5)
    np.testing.assert_allclose(slope, wanted, rtol=1e-10)


def test_a_diamond_of_sixty_levels_prints_in_lines() -> None:
    text = pprint(diamond(sg.scalar("x"), 60))
    assert len(text) < 60 * 100


def test_a_diamond_of_sixty_levels_is_differentiated() -> None:
    x = sg.scalar("x")
    y = diamond(x, 60)
    slope = sg.grad(y, x)
    assert len(Graph([slope])) < 60 * 12
    # dy/dx of y = x**2 + x at 0 is 1 at every level
    assert slope.eval({x: 0.0}, backend="reference") == 1.0
    assert len(pprint(slope)) < 60 * 400


def test_dot_of_a_diamond_is_linear() -> None:
    assert len(to_dot(Graph([diamond(sg.scalar("x"), 60)]))) < 60 * 400


def test_a_wide_operation_prints() -> None:
    parts = [sg.vector(f"v{k}") for k in range(400)]
    text = pprint(sg.concat(parts))
    assert text.startswith("concat([v0, v1, ") and text.endswith("v399])")


def test_deep_chains_are_let_go_with_their_derivatives() -> None:
    x = sg.scalar("x")
    y = chain(x, DEEP // 4)
    graph = Graph([y])
    table = sg.build_grad(graph, y, [x])
    del table, graph, y
    assert pprint(x + 1) == "x + 1"
