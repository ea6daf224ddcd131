"""Brief texts, and differences between the graphs before and after a pass."""

from __future__ import annotations

from typing import Any

import pytest

import symgraph as sg
from symgraph.errors import UsageError
from symgraph.graph import Graph
from symgraph.passes.pipeline import PIPELINES, run_passes
from symgraph.passes.simplify import simplify
from symgraph.printer import DIFFERENCES, brief, diff
from symgraph.tensor import private_table

x, y = sg.vector("x", shape="n"), sg.vector("y", shape="n")


def last(text: str) -> str:
    return text.splitlines()[-1]


def test_the_same_graph_does_not_differ() -> None:
    g = Graph([sg.sin(x) + y])
    assert diff(g, g) == "2 kept, 0 rebuilt, 0 vanished, 0 appeared"


def test_what_vanished_and_what_appeared() -> None:
    before, after = sg.log(1 + sg.exp(x)), sg.softplus(x)
    lines = diff(Graph([before]), Graph([after])).splitlines()
    assert [line.split("  # ")[0] for line in lines[:-1]] == [
        "- exp(x)",
        "- 1 + exp(x)",
        "- log(1 + exp(x))",
        "+ softplus(x)",
    ]
    assert all("  # test_graph_diff.py:" in line for line in lines[:-1])
    assert lines[-1] == "0 kept, 0 rebuilt, 3 vanished, 1 appeared"


def test_operations_on_other_operands_count_as_rebuilt() -> None:
    deep = sg.cos(sg.sin(sg.negative(-x)))
    text = diff(Graph([deep]), Graph([simplify(deep)]))
    assert last(text) == "0 kept, 2 rebuilt, 2 vanished, 0 appeared"
    assert [line[0] for line in text.splitlines()[:-1]] == ["-", "-"]


def test_structures_are_compared_and_not_identities() -> None:
    with private_table():
        again = sg.sin(x) * 73.5
    assert again is not sg.sin(x) * 73.5
    text = diff(Graph([sg.sin(x) * 73.5]), Graph([again]))
    assert text == "2 kept, 0 rebuilt, 0 vanished, 0 appeared"


def test_expressions_and_functions_are_compared_too() -> None:
    x = sg.vector("x")
    y = sg.exp(x) * 1
    f = sg.function([x], y, backend="reference")
    assert diff(y, sg.exp(x)) == diff(Graph([y]), Graph([sg.exp(x)])) == diff(y, f)


@pytest.mark.parametrize("argument", ["before", "after"])
def test_what_is_no_graph_is_refused(argument: str) -> None:
    given: dict[str, Any] = {"before": Graph([]), "after": Graph([])} | {argument: "x"}
    with pytest.raises(UsageError, match=f"diff: {argument}='x' is not an expression, a graph or"):
        diff(**given)


def test_another_literal_is_a_difference() -> None:
    text = diff(Graph([sg.sin(x) * 73.5]), Graph([sg.sin(x) * 74.5]))
    assert last(text) == "1 kept, 0 rebuilt, 1 vanished, 1 appeared"


def test_many_differences_are_cut_and_counted() -> None:
    before = Graph([sg.sin(x * float(k + 100)) for k in range(60)])
    lines = diff(before, Graph([x])).splitlines()
    assert len(lines) == DIFFERENCES + 2
    assert lines[-2] == f"... and {120 - DIFFERENCES} more"
    assert lines[-1] == "0 kept, 0 rebuilt, 120 vanished, 0 appeared"


def test_an_observer_prints_what_each_pass_did() -> None:
    z = sg.matrix("z", shape=("n", 3))
    q = sg.exp(z) / sg.sum(sg.exp(z), axis=1, keepdims=True)
    told: dict[str, str] = {}
    run_passes(
        Graph([sg.sum(sg.log(q))]),
        PIPELINES["default"],
        lambda name, before, after, seconds: told.update({name: diff(before, after)}),
    )
    assert list(told) == [step.__name__ for step in PIPELINES["default"]]
    assert "+ log_softmax(z, axis=1)" in told["stabilise"]
    assert last(told["remove_dead"]).endswith("0 vanished, 0 appeared")


# ---- brief texts ---------------------------------------------------------------------------------


def test_a_short_expression_is_whole() -> None:
    assert brief(sg.sin(x) + 1) == "sin(x) + 1"


@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_deep_one_is_cut(width: int) -> None:
    z = x
    for _ in range(3000):
        z = sg.sin(z) + sg.cos(z) * y
    text = brief(z, width)
    assert 3 < len(text) <= width and "..." in text


def test_a_wide_one_is_cut() -> None:
    assert brief(sg.concat([sg.sin(x * float(k)) for k in range(300)])) == "concat(...)"


def test_leaves_have_names() -> None:
    assert brief(x) == "x" and brief(sg.constant(2.5)) == "2.5"
    assert brief(sg.exp(sg.vector())) == "exp(input)"
