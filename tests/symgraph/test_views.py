"""Views of a graph: networkx, dot, SVG through graphviz, and the page of HTML."""

from __future__ import annotations

import itertools
import stat
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import networkx
import numpy as np
import pytest

import symgraph as sg
from symgraph.drawing import picture
from symgraph.errors import UnsupportedError, UsageError
from symgraph.graph import Graph
from symgraph.layout import layered
from symgraph.views import to_dot, to_html, to_networkx, to_svg


def small() -> Graph:
    x, w = sg.vector("x", shape=3), sg.shared(np.zeros(3), name="w")
    return Graph([sg.sum(x * w * x + 2.0)])


def deep(layers: int) -> Graph:
    x = sg.vector("x", shape=4)
    y = x
    for k in range(layers):
        y = sg.tanh(y * float(k + 2))
    graph = Graph([sg.sum(y)])
    sg.build_grad(graph, graph.outputs[0], [x])
    return graph


# ---- networkx ------------------------------------------------------------------------------------


def test_nodes_carry_strings() -> None:
    view = to_networkx(small())
    assert view.nodes["x"]["op"] == "input"
    assert view.nodes["x"]["type"] == "float64[3]"
    assert view.nodes["w"] | {"origin": ""} == {
        "op": "shared", "type": "float64[3]", "name": "w", "origin": "",
    }  # fmt: skip
    assert {type(v) for _, data in view.nodes(data=True) for v in data.values()} == {str}


def test_origins_are_user_lines() -> None:
    nodes = to_networkx(small()).nodes(data=True)
    origins = {data["origin"] for _, data in nodes if data["op"] != "constant"}
    assert all(o.startswith("test_views.py:") for o in origins)


def test_edges_carry_positions() -> None:
    x = sg.scalar("x")
    view = to_networkx(Graph([x * x - (x * x) * 3]))
    assert list(view.edges(data="positions")) == [
        ("x", "%1", (0, 1)), ("%1", "%2", (0,)), ("%1", "%3", (0,)), ("#1", "%2", (1,)),
        ("%2", "%3", (1,)),
    ]  # fmt: skip


def test_the_view_is_acyclic_and_ends_in_the_outputs() -> None:
    view = to_networkx(small())
    assert networkx.is_directed_acyclic_graph(view)
    assert view.graph["outputs"] == ["%4"]
    assert not list(view.successors("%4"))


def test_identifiers_are_the_same_in_every_run() -> None:
    assert list(to_networkx(small())) == list(to_networkx(small()))


def test_a_function_gives_its_optimised_graph() -> None:
    x = sg.vector("x")
    f = sg.function([x], x * 2, backend="reference", passes=())
    assert [data["op"] for _, data in f.to_networkx().nodes(data=True)] == [
        "input", "constant", "multiply",
    ]  # fmt: skip


# ---- dot and SVG ---------------------------------------------------------------------------------


def test_dot_escapes_names() -> None:
    text = to_dot(Graph([sg.scalar('a "b"\\') + 1]))
    assert r'"a \"b\"\\" [label="a \"b\"\\\nfloat64[]", shape=box];' in text


def test_dot_numbers_the_edges_of_operations_with_several_inputs() -> None:
    text = to_dot(Graph([sg.scalar("a") - sg.scalar("b")]))
    assert '  "a" -> "%1" [label="0"];\n  "b" -> "%1" [label="1"];' in text


def test_svg_goes_through_graphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dot"
    program.write_text('#!/bin/sh\necho "<svg>$1"\nwc -l\necho "</svg>"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    lines = to_dot(small()).count("\n")
    assert to_svg(small()).split() == ["<svg>-Tsvg", str(lines), "</svg>"]


def test_svg_without_graphviz_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnsupportedError, match=r"install graphviz.*or use to_html\(\)"):
        to_svg(small())


def test_svg_reports_what_graphviz_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho no fonts >&2\nexit 3\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(UnsupportedError, match="no fonts"):
        to_svg(small())


# ---- HTML ----------------------------------------------------------------------------------------


class Outline(HTMLParser):
    """Counts tags, checks that they nest, and keeps what would reach out to the network."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self.outside += [f"{tag} {k}" for k, _ in attrs if k in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(text: str) -> Outline:
    found = Outline()
    found.feed(text)
    found.close()
    assert found.open == []
    return found


def test_html_is_self_contained() -> None:
    found = outline(to_html(small()))
    assert found.outside == []
    assert "script" not in found.count and "link" not in found.count
    assert "@import" not in to_html(small()) and "url(" not in to_html(small())


def test_html_draws_every_node_and_edge() -> None:
    found = outline(to_html(small()))
    assert (found.count["rect"], found.count["path"]) == (
        6,
        6,
    )  # w, x, 4 operations; x * w * x twice


def test_hovering_shows_type_and_origin() -> None:
    text = picture(small())
    assert "<title>%1 = multiply x, w\nfloat64[3]\ntest_views.py:" in text


def test_names_are_escaped() -> None:
    text = to_html(Graph([sg.scalar("<b>&amp;") + 1]), title="<i>")
    outline(text)
    assert "<b>" not in text and "<h1>&lt;i&gt;</h1>" in text


def test_a_function_has_a_page() -> None:
    x = sg.vector("x")
    text = sg.function([x], x + 1, name="inc", backend="reference").to_html()
    assert "<title>function inc</title>" in text and "function inc(x: float64[_1]):" in text


def test_views_are_written_to_files(tmp_path: Path) -> None:
    x = sg.vector("x")
    f = sg.function([x], x + 1, backend="reference")
    html, dot = tmp_path / "f.html", tmp_path / "f.dot"
    assert f.to_html(html) == html.read_text(encoding="utf-8") == f.to_html()
    assert f.to_dot(str(dot)) == dot.read_text(encoding="utf-8") == f.to_dot()
    assert "<title>one</title>" in f.to_html(html, title="one")


def test_a_path_that_is_none_is_refused() -> None:
    x, path = sg.vector("x"), 3.5
    with pytest.raises(UsageError, match=r"to_dot: path=3\.5 is not the name of a file"):
        sg.function([x], x + 1, backend="reference").to_dot(cast(Any, path))


def test_five_hundred_nodes_make_a_page() -> None:
    graph = deep(100)
    assert len(graph) > 500
    found = outline(to_html(graph))
    assert found.count["rect"] > 400


def test_an_empty_graph_makes_a_page() -> None:
    outline(to_html(Graph([])))


# ---- layout --------------------------------------------------------------------------------------


def random_edges(count: int, seed: int) -> list[tuple[int, int]]:
    rng = np.random.default_rng(seed)
    pairs = {(int(rng.integers(0, b)), b) for b in range(1, count) for _ in range(2)}
    return sorted(pairs)


@pytest.mark.parametrize("seed", range(3))
def test_edges_point_down(seed: int) -> None:
    edges = random_edges(60, seed)
    plan = layered([40.0] * 60, edges)
    assert all(plan.layer[a] < plan.layer[b] for a, b in edges)


@pytest.mark.parametrize("seed", range(3))
def test_boxes_do_not_overlap(seed: int) -> None:
    widths = np.random.default_rng(seed).uniform(10, 90, 60).tolist()
    plan = layered(widths, random_edges(60, seed))
    for row in set(plan.layer):
        spans = sorted(
            (x - w / 2, x + w / 2)
            for x, w, at in zip(plan.x, widths, plan.layer, strict=True)
            if at == row
        )
        assert all(left[1] <= right[0] + 1e-6 for left, right in itertools.pairwise(spans))


def test_routes_run_from_node_to_node() -> None:
    edges = random_edges(30, 7)
    plan = layered([20.0] * 30, edges)
    for (a, b), route in zip(edges, plan.routes, strict=True):
        assert route[0] == (plan.x[a], plan.layer[a]) and route[-1] == (plan.x[b], plan.layer[b])


def test_a_chain_is_straight() -> None:
    plan = layered([10.0, 80.0, 30.0], [(0, 1), (1, 2)])
    assert plan.x == [40.0, 40.0, 40.0] and plan.layer == [0, 1, 2]
