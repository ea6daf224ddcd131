"""A page of HTML that shows a graph as inline SVG; needs no other program and no network."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from html import escape
from typing import Any

from symgraph.graph import Graph
from symgraph.layout import Layout, layered
from symgraph.names import Names, origin_text
from symgraph.ops import leaves
from symgraph.origins import Derived
from symgraph.printer import inline_text, node_refs, operation_text, print_function, print_graph
from symgraph.tensor import Tensor

__all__ = ["page", "picture"]

ROW, BOX, GAP, MARGIN, CHARACTER = 84, 40, 18, 16, 6.7
WIDEST = 38  # characters of a label

STYLE = """
body { font: 14px system-ui, sans-serif; margin: 1.5rem; color: #1d2733; background: #fff }
svg { display: block; max-width: none } .scroll { overflow: auto; border: 1px solid #d5dbe3 }
text { font: 11px ui-monospace, Menlo, Consolas, monospace; fill: #1d2733; text-anchor: middle }
.type { fill: #5b6b7d; font-size: 10px }
path { fill: none; stroke: #9aa7b5; stroke-width: 1.2 }
rect { fill: #f3f6fa; stroke: #8596a8 } .input rect { fill: #e2f0e4; stroke: #5c9765 }
.shared rect { fill: #fdf0d5; stroke: #bf9434 } .derived rect { fill: #e8e6f7; stroke: #7d74b8 }
.output rect { stroke-width: 2.5; stroke: #b3372f }
g:hover rect { fill: #fff6b0 }
pre { font: 12px ui-monospace, Menlo, Consolas, monospace; overflow: auto }
.key span { padding: 1px 8px; margin-right: 8px; border: 1px solid }
"""

KEY = (
    ("input", "#e2f0e4", "#5c9765"), ("shared variable", "#fdf0d5", "#bf9434"),
    ("operation", "#f3f6fa", "#8596a8"), ("derived by a bprop, jvp or rule", "#e8e6f7", "#7d74b8"),
    ("output", "#fff", "#b3372f"),
)  # fmt: skip


def page(source: Any, title: str | None = None) -> str:
    """The page for a graph or compiled function (anything with a ``graph``)."""
    function = not isinstance(source, Graph)
    graph: Graph = source.graph if function else source
    text = print_function(source) if function else print_graph(source)
    heading = escape(title or (f"function {source.signature.name}" if function else "graph"))
    key = "".join(
        f'<span style="background:{fill};border-color:{line}">{what}</span>'
        for what, fill, line in KEY
    )
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{heading}</title>',
            f"<style>{STYLE}</style></head><body>",
            f'<h1>{heading}</h1><p class="key">{key}</p>',
            f'<div class="scroll">{picture(graph)}</div>',
            f"<pre>{escape(text)}</pre>",
            "</body></html>",
            "",
        ]
    )


def picture(graph: Graph) -> str:
    """The graph as an SVG element; literals and sizes stand inside the operations that use them."""
    names = Names([*graph.inputs, *graph.nodes])
    refs = node_refs(graph, names)
    nodes = [n for n in graph.nodes if inline_text(n, names) is None]
    labels = [_label(n, names, refs) for n in nodes]
    widths = [CHARACTER * max(map(len, label)) + 2 * GAP for label in labels]
    number = {n: k for k, n in enumerate(nodes)}
    edges = [(number[i], number[n]) for n in nodes for i in dict.fromkeys(n.inputs) if i in number]
    plan = layered(widths, edges)
    right = max((x + w / 2 for x, w in zip(plan.x, widths, strict=True)), default=0)
    points = [x for route in plan.routes for x, _ in route]
    width = max([right, *points]) + 2 * MARGIN
    height = ROW * (max(plan.layer, default=0) + 1) + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}">',
            *(f'<path d="{_curve(route)}"/>' for route in plan.routes),
            *_boxes(graph, nodes, labels, widths, plan, names),
            "</svg>",
        ]
    )


def _label(node: Tensor, names: Names, refs: dict[Tensor, str]) -> tuple[str, str]:
    head = refs[node]
    if node not in names.leaves:
        head = f"{head} = {operation_text(node, names, refs)}"
    return _cut(head), _cut(names.type(node.type))


def _cut(text: str) -> str:
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"


def _curve(route: list[tuple[float, int]]) -> str:
    """A smooth line from the bottom of one box through points to the top of another."""
    points = [(x + MARGIN, MARGIN + ROW * layer + BOX / 2) for x, layer in route]
    (x, y), (end_x, end_y) = points[0], points[-1]
    points = [(x, y + BOX / 2), *points[1:-1], (end_x, end_y - BOX / 2)]
    parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        middle = (y0 + y1) / 2
        parts.append(f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}")
    return " ".join(parts)


def _boxes(
    graph: Graph,
    nodes: list[Tensor],
    labels: list[tuple[str, str]],
    widths: list[float],
    plan: Layout,
    names: Names,
) -> Iterator[str]:
    outputs = set(graph.outputs)
    for node, (head, kind), w, x, layer in zip(
        nodes, labels, widths, plan.x, plan.layer, strict=True
    ):
        centre, top = x + MARGIN, MARGIN + ROW * layer
        role = _role(node) + (" output" if node in outputs else "")
        hover = "\n".join(filter(None, (head, names.type(node.type), origin_text(node.origin))))
        left, inner = centre - w / 2 + GAP / 2, w - GAP
        yield (
            f'<g class="{role}"><title>{escape(hover)}</title>'
            f'<rect x="{left:.1f}" y="{top}" width="{inner:.1f}" height="{BOX}" rx="5"/>'
            f'<text x="{centre:.1f}" y="{top + 16}">{escape(head)}</text>'
            f'<text class="type" x="{centre:.1f}" y="{top + 31}">{escape(kind)}</text></g>'
        )


def _role(node: Tensor) -> str:
    if node.op is leaves.input_:
        return "input"
    if node.op is leaves.shared:
        return "shared"
    return "derived" if isinstance(node.origin, Derived) else "operation"
