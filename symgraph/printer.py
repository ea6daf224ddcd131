"""Text for people: an expression as mathematics, a graph or function as numbered nodes.

>>> import symgraph as sg
>>> x, W, b = sg.matrix("x", shape=("n", 3)), sg.matrix("W", shape=(3, 2)), sg.vector("b", shape=2)
>>> y = sg.sum(sg.tanh(x @ W + b) ** 2, axis=0)
>>> print(pprint(y))
sum(tanh(x @ W + b) ** 2, axis=0)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from symgraph.graph import Graph, topological
from symgraph.names import Names, origin_text
from symgraph.ops import leaves
from symgraph.spelling import ATOM, Spelling, Text, literal, spell
from symgraph.tensor import Tensor

__all__ = [
    "attributes_text", "inline_text", "node_refs", "operation_text", "pprint", "print_function",
    "print_graph",
]  # fmt: skip

#: An expression that takes more characters than this is cut up into lines.
ONE_LINE = 200
#: Where an expression is cut up: about how long a line is.
LINE = 72
#: A shared part no longer than this is repeated rather than given a line.
REPEATED = 12


def pprint(expr: Tensor) -> str:
    """An expression as one line of mathematics, with the parentheses Python would need.

    A long one is cut up: lines ``%1 = ...`` name the parts that are used several times or are long,
    so that the text grows linearly with the graph. Conversions and broadcasts that NumPy's rules
    imply are left out.
    """
    if not isinstance(expr, Tensor):
        return str(expr)
    order, spelled = _displayed(expr)
    line = _one_line(order, spelled)
    return line if line is not None else "\n".join(_several_lines(order, spelled))


def _displayed(root: Tensor) -> tuple[list[Tensor], dict[Tensor, Spelling]]:
    """The nodes shown in the text of ``root``, operands first, and how each is spelled."""
    names = Names(topological([root]))
    spelled = {root: spell(root, names)}
    order: list[Tensor] = []
    stack: list[tuple[Tensor, int]] = [(root, 0)]
    while stack:
        node, k = stack.pop()
        operands = spelled[node].operands
        while k < len(operands) and operands[k] in spelled:
            k += 1
        if k == len(operands):
            order.append(node)
            continue
        stack.append((node, k + 1))
        spelled[operands[k]] = spell(operands[k], names)
        stack.append((operands[k], 0))
    return order, spelled


def _one_line(order: list[Tensor], spelled: dict[Tensor, Spelling]) -> str | None:
    texts: dict[Tensor, Text] = {}
    for node in order:
        texts[node] = text = spelled[node].join(*[texts[o] for o in spelled[node].operands])
        if len(text.text) > ONE_LINE:
            return None
    return texts[order[-1]].text


def _several_lines(order: list[Tensor], spelled: dict[Tensor, Spelling]) -> Iterator[str]:
    uses = Counter(o for node in order for o in spelled[node].operands)
    texts: dict[Tensor, Text] = {}
    count = 0
    for node in order:
        text = spelled[node].join(*[texts[o] for o in spelled[node].operands])
        limit = REPEATED if uses[node] > 1 else LINE
        if len(text.text) > limit and node is not order[-1]:
            count += 1
            yield f"%{count} = {text.text}"
            text = Text(f"%{count}")
        texts[node] = text
    yield texts[order[-1]].text


# ---- graphs --------------------------------------------------------------------------------------


class Printable(Protocol):
    """What of a compiled function is printed."""

    signature: Any
    graph: Graph


def print_graph(graph: Graph) -> str:
    """A graph as numbered nodes with types and the user's lines."""
    names = Names([*graph.inputs, *graph.nodes])
    refs = node_refs(graph, names)
    outputs = [refs[o] for o in graph.outputs]
    return "\n".join(
        [
            _header("graph", graph.inputs, names),
            *node_lines(graph, names, refs),
            f"  return {', '.join(outputs)}",
        ]
    )


def print_function(f: Printable) -> str:
    """A compiled function: inputs, the nodes of its optimised graph, outputs and updates."""
    signature, graph = f.signature, f.graph
    names = Names([*signature.inputs, *graph.nodes, *signature.updated])
    refs = node_refs(graph, names)
    found = [refs[o] for o in graph.outputs]
    results, updates = found[: signature.n_outputs], found[signature.n_outputs :]
    lines = [_header(f"function {signature.name}", signature.inputs, names)]
    lines += node_lines(graph, names, refs)
    lines += [f"  return {_returned(signature, results)}"] if signature.form != "none" else []
    targets = [names.leaves[v] for v in signature.updated]
    lines += [f"  update {v} = {new}" for v, new in zip(targets, updates, strict=True)]
    return "\n".join(lines)


def _header(what: str, inputs: Sequence[Tensor], names: Names) -> str:
    parts = [f"{names.leaves[i]}: {names.type(i.type)}" for i in inputs]
    return f"{what}({', '.join(parts)}):"


def _returned(signature: Any, results: list[str]) -> str:
    if signature.form == "dict":
        pairs = zip(signature.keys, results, strict=True)
        return f"{{{', '.join(f'{k!r}: {r}' for k, r in pairs)}}}"
    inner = ", ".join(results)
    if signature.form == "list":
        return f"[{inner}]"
    if signature.form == "tuple":
        return f"({inner},)" if len(results) == 1 else f"({inner})"
    return inner


def node_refs(graph: Graph, names: Names) -> dict[Tensor, str]:
    """How every node is referred to: by name, as a literal or size, or as ``%3``."""
    refs: dict[Tensor, str] = {}
    count = 0
    for node in graph.nodes:
        inline = names.leaves.get(node) or inline_text(node, names)
        if inline is None:
            count += 1
        refs[node] = inline or f"%{count}"
    return refs


def inline_text(node: Tensor, names: Names) -> str | None:
    """The text of a number or size, which needs no line of its own; None for other nodes."""
    if node.op is leaves.size or (node.op is leaves.constant and node.ndim == 0):
        return spell(node, names).join().within(ATOM)
    return None


def node_lines(graph: Graph, names: Names, refs: dict[Tensor, str]) -> Iterator[str]:
    """The lines of a graph's shared variables, operations and size checks."""
    for node in graph.nodes:
        if node.op is leaves.shared:
            yield f"  shared {refs[node]}: {names.type(node.type)}"
    for node in graph.nodes:
        if refs[node].startswith("%") and node not in names.leaves:
            line = f"  {refs[node]} = {operation_text(node, names, refs)} : {names.type(node.type)}"
            yield line + _comment(node)
    for (a, b), source in graph.equations.items():
        yield f"  check {names.dim(a)} == {names.dim(b)}{_comment(source)}"


def _comment(node: Tensor | None) -> str:
    origin = origin_text(node.origin) if node is not None else ""
    return f"  # {origin}" if origin else ""


def operation_text(node: Tensor, names: Names, refs: dict[Tensor, str]) -> str:
    """``sum %2, axis=(0,)``: the operation, its inputs, its attributes."""
    attributes = attributes_text(node, names)
    parts = ", ".join([*(refs[i] for i in node.inputs), *([attributes] if attributes else [])])
    return f"{node.op.name} {parts}" if parts else node.op.name


def attributes_text(node: Tensor, names: Names) -> str:
    """``axis=(0,), reverse=False``; the value of a constant."""
    if node.op is leaves.constant:
        return literal(node.attrs["value"]).text
    return ", ".join(f"{k}={names.attribute(v)}" for k, v in node.attrs.items())
