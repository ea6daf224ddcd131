"""``print(graph)`` and ``print(f)``: header, numbered nodes, checks, results, updates, origins."""

from __future__ import annotations

import re

import numpy as np

import symgraph as sg
from symgraph.graph import Graph
from symgraph.printer import print_function, print_graph


def body(text: str) -> list[str]:
    """The lines without the comments."""
    return [re.sub(r"  # .*", "", line) for line in text.splitlines()]


def test_a_graph_has_header_nodes_and_return() -> None:
    x, w = sg.tensor("x", shape=("n", 3), dtype="float32"), sg.tensor("w", shape=3, dtype="float32")
    assert body(str(Graph([sg.sum(x * w, axis=0)]))) == [
        "graph(x: float32[n, 3], w: float32[3]):",
        "  %1 = multiply x, w : float32[n, 3]",
        "  %2 = sum %1, axis=(0,) : float32[3]",
        "  return %2",
    ]


def test_literals_and_sizes_stand_inside_the_line() -> None:
    x = sg.vector("x", shape="n")
    assert body(print_graph(Graph([(x + 2.5) / (x.shape[0] + 1)])))[1:] == [
        "  %1 = add x, 2.5 : float64[n]",
        "  %2 = divide %1, (n + 1) : float64[n]",
        "  return %2",
    ]


def test_array_constants_have_a_line() -> None:
    x = sg.vector("x", shape=2)
    assert body(print_graph(Graph([x * np.array([1.0, 2.0])])))[1:3] == [
        "  %1 = constant array([1, 2]) : float64[2]",
        "  %2 = multiply x, %1 : float64[2]",
    ]


def test_sizes_that_must_agree_are_listed() -> None:
    u, v = sg.vector("u"), sg.vector("v", shape="m")
    text = print_graph(Graph([u + v]))
    assert body(text)[2] == "  check _1 == m"
    assert re.search(r"check _1 == m  # test_printer_graphs\.py:\d+$", text, re.M)


def test_a_count_found_while_running_is_a_size() -> None:
    x = sg.vector("x", shape="n")
    assert body(print_graph(Graph([x[x > 0]])))[1:4] == [
        "  %1 = greater x, 0 : bool[n]",
        "  %2 = nonzero %1, count=_count1 : int64[_count1]",
        "  %3 = gather x, %2, axes=(0,) : float64[_count1]",
    ]


def test_derived_nodes_say_from_what() -> None:
    x, w = sg.matrix("x", shape=("n", 3)), sg.matrix("w", shape=(3, 2))
    line = sg.sum(x @ w)
    graph = Graph([line])
    sg.build_grad(graph, line, [w])
    made = re.findall(r"# (.*)", print_graph(graph))
    number = re.fullmatch(r"test_printer_graphs\.py:(\d+)", made[0])
    assert number is not None
    assert f"bprop of matmul at test_printer_graphs.py:{number[1]}" in made


def test_a_function_shows_shared_variables_results_and_updates() -> None:
    x, w = sg.vector("x", shape=2), sg.shared(np.zeros(2), name="w")
    f = sg.function(
        [x], {"y": x * w}, updates={w: w + x}, name="step", backend="reference", passes=()
    )
    assert body(str(f)) == [
        "function step(x: float64[2]):",
        "  shared w: float64[2]",
        "  %1 = multiply x, w : float64[2]",
        "  %2 = add w, x : float64[2]",
        "  return {'y': %1}",
        "  update w = %2",
    ]


def test_the_form_of_the_results_is_shown() -> None:
    x = sg.scalar("x")
    shown = {
        form: body(print_function(sg.function([x], outputs, backend="reference", passes=())))[-1]
        for form, outputs in {"one": x, "list": [x, x], "tuple": (x,), "dict": {"a": x}}.items()
    }
    assert shown == {
        "one": "  return x",
        "list": "  return [x, x]",
        "tuple": "  return (x,)",
        "dict": "  return {'a': x}",
    }


def test_a_function_without_outputs_returns_nothing() -> None:
    w = sg.shared(0.0, name="w")
    f = sg.function([], None, updates={w: w + 1}, backend="reference", passes=())
    assert body(str(f))[-1] == "  update w = %1"
    assert not any("return" in line for line in body(str(f)))


def test_unused_inputs_stay_in_the_header() -> None:
    x, unused = sg.scalar("x"), sg.vector("unused")
    f = sg.function([unused, x], x + 1, backend="reference", passes=())
    assert body(str(f))[0] == "function f(unused: float64[_1], x: float64[]):"


def test_updates_of_a_variable_that_is_only_written_are_named() -> None:
    w, x = sg.shared(0.0, name="w"), sg.scalar("x")
    f = sg.function([x], None, updates={w: x * 2}, backend="reference", passes=())
    assert body(str(f))[-1] == "  update w = %1"


def test_reprs_are_short() -> None:
    x = sg.scalar("x")
    f = sg.function([x, sg.scalar()], x + 1, name="inc", backend="reference", passes=())
    assert re.fullmatch(r"<symgraph function inc\(x, #1\), \d+ nodes>", repr(f))
    assert repr(Graph([x + 1])) == "<graph of 3 nodes, 1 outputs>"
