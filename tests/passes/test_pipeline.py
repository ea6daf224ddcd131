"""What ``passes=`` accepts, and what is said of a pass that breaks its contract."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import UsageError
from symgraph.passes.pipeline import run_passes

x = sg.vector("x")


def test_a_pass_that_returns_nothing_is_named() -> None:
    def forgets(graph: sg.Graph) -> Any:
        return None

    with pytest.raises(UsageError, match="pass forgets returned None"):
        sg.function([x], x + 1, passes=(forgets,))


def test_a_tuple_of_passes_runs_in_order_and_is_observed() -> None:
    seen: list[str] = []
    graph = sg.Graph([sg.log(1 + sg.exp(x))])
    run_passes(graph, sg.PIPELINES["default"], lambda name, *_: seen.append(name))
    assert seen == [step.__name__ for step in sg.PIPELINES["default"]]


def test_a_pass_of_ones_own_is_used() -> None:
    def doubled(graph: sg.Graph) -> sg.Graph:
        return sg.Graph([2 * o for o in graph.outputs], graph.inputs, graph.equations)

    f = sg.function([x], x + 1, passes=(doubled,))
    np.testing.assert_array_equal(f(np.array([1.0, 2.0])), [4.0, 6.0])
