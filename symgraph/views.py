"""Views of a graph for other tools and for the eye: networkx, dot, SVG, and a page of HTML."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from symgraph.drawing import page
from symgraph.errors import UnsupportedError, UsageError
from symgraph.graph import Graph
from symgraph.names import Names, origin_text
from symgraph.ops import leaves
from symgraph.printer import attributes_text, inline_text, node_refs
from symgraph.tensor import Tensor

__all__ = ["to_dot", "to_html", "to_networkx", "to_svg", "written"]


def to_networkx(graph: Graph) -> Any:
    """The graph as a ``networkx.DiGraph`` with an edge from each input to each node that uses it.

    A node's identifier is what ``print(graph)`` calls it (``x``, ``%3``; literals and sizes ``#1``,
    ``#2``, ...). Its attributes ``op``, ``type``, ``name``, ``origin`` are strings; a literal's
    name is its text. An edge's attribute ``positions`` is the tuple of places the input has among
    the inputs. ``view.graph["outputs"]`` lists the identifiers of the outputs.
    """
    import networkx

    names = Names([*graph.inputs, *graph.nodes])
    ids = _identifiers(graph, names)
    view = networkx.DiGraph(outputs=[ids[o] for o in graph.outputs])
    for node in graph.nodes:
        view.add_node(
            ids[node],
            op=node.op.name,
            type=names.type(node.type),
            name=node.name or inline_text(node, names) or "",
            origin=origin_text(node.origin),
        )
        for i in dict.fromkeys(node.inputs):
            view.add_edge(ids[i], ids[node], positions=positions(node, i))
    return view


def positions(node: Tensor, x: Tensor) -> tuple[int, ...]:
    """The places where x stands among the inputs of ``node``."""
    return tuple(k for k, i in enumerate(node.inputs) if i is x)


def _identifiers(graph: Graph, names: Names) -> dict[Tensor, str]:
    refs = node_refs(graph, names)
    literals = [n for n in graph.nodes if inline_text(n, names) is not None]
    return refs | {n: f"#{k}" for k, n in enumerate(literals, 1)}


def to_dot(graph: Graph) -> str:
    """The graph in the dot language: inputs as boxes, operations as ellipses, outputs doubled."""
    names = Names([*graph.inputs, *graph.nodes])
    ids, refs = _identifiers(graph, names), node_refs(graph, names)
    lines = ["digraph symgraph {", "  rankdir=TB;", '  node [fontname="Helvetica", fontsize=11];']
    outputs = set(graph.outputs)
    for node in graph.nodes:
        style = _style(node) + (", peripheries=2" if node in outputs else "")
        label = _label(node, names, refs)
        lines.append(f"  {_quoted(ids[node])} [label={_quoted(label)}, {style}];")
    for node in graph.nodes:
        many = len(node.inputs) > 1
        for k, i in enumerate(node.inputs):
            note = f" [label={_quoted(str(k))}]" if many else ""
            lines.append(f"  {_quoted(ids[i])} -> {_quoted(ids[node])}{note};")
    return "\n".join([*lines, "}", ""])


def _style(node: Tensor) -> str:
    if node.op is leaves.shared:
        return 'shape=box, style="rounded"'
    if node.op is leaves.input_:
        return "shape=box"
    return "shape=ellipse" if node.inputs else "shape=plaintext"


def _label(node: Tensor, names: Names, refs: dict[Tensor, str]) -> str:
    if node in names.leaves:
        return f"{refs[node]}\n{names.type(node.type)}"
    if inline_text(node, names) is not None:
        return refs[node]
    parts = (f"{refs[node]} {node.op.name}", attributes_text(node, names), names.type(node.type))
    return "\n".join(part for part in parts if part)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def to_svg(graph: Graph) -> str:
    """The graph drawn by graphviz, as SVG text.

    Raises:
        UnsupportedError: the program ``dot`` is not installed, or refused.
    """
    program = shutil.which("dot")
    if program is None:
        raise UnsupportedError(
            "to_svg: the graphviz program 'dot' is not installed; install graphviz (apt install "
            "graphviz, brew install graphviz), or use to_html(), which needs nothing"
        )
    done = subprocess.run(
        [program, "-Tsvg"], input=to_dot(graph), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UnsupportedError(f"to_svg: {program} failed: {done.stderr.strip()}")
    return done.stdout


def to_html(source: Any, title: str | None = None) -> str:
    """A self-contained page (no scripts, nothing from the network) that shows a graph.

    ``source`` is a graph or a compiled function. Pointing at a node shows its type and where the
    user wrote it; below the picture stands the printed text.
    """
    return page(source, title)


def written(text: str, path: Any, what: str) -> str:
    """The text, which is written to the file ``path`` unless that is None.

    Raises:
        UsageError: the path is neither a string nor a path.
    """
    if path is not None:
        if not isinstance(path, (str, os.PathLike)):
            raise UsageError(f"{what}: path={path!r} is not the name of a file")
        Path(path).write_text(text, encoding="utf-8")
    return text
