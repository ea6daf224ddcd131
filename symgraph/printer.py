"""Text for people: an expression as mathematics, a graph or function as numbered nodes.

>>> import symgraph as sg
>>> x, W, b = sg.matrix("x", shape=("n", 3)), sg.matrix("W", shape=(3, 2)), sg.vector("b", shape=2)
>>> y = sg.sum(sg.tanh(x @ W + b) ** 2, axis=0)
>>> print(pprint(y))
sum(tanh(x @ W + b) ** 2, axis=0)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from symgraph.errors import UsageError
from symgraph.graph import Graph, topological
from symgraph.names import Names, origin_text
from symgraph.ops import leaves
from symgraph.spelling import ATOM, Spelling, Text, literal, spell
from symgraph.tensor import Tensor, attribute_key

__all__ = [
    "attributes_text", "brief", "diff", "explicit", "inline_text", "node_refs", "operation_text",
    "pprint", "print_function", "print_graph", "spelled_out", "structure",
]  # fmt: skip

#: An expression that takes more characters than this is cut up into lines.
ONE_LINE = 200
#: Where an expression is cut up: about how long a line is.
LINE = 72
#: A shared part no longer than this is repeated rather than given a line.
REPEATED = 12
#: A brief text shows at most so many levels of operations, and so many of them.
DEEPEST, MOST = 8, 40
#: Differences longer than this are counted, not shown.
DIFFERENCES = 40

Speller = Callable[[Tensor, Names], Spelling]


def pprint(expr: Tensor | Graph | Printable, facts: bool = False) -> str:
    """An expression as one line of mathematics, with the parentheses Python would need.

    A long one is cut up: lines ``%1 = ...`` name the parts that are used several times or are long,
    so that the text grows linearly with the graph. Conversions and broadcasts that NumPy's rules
    imply are left out. ``facts=True`` lists the nodes of an expression, graph or function instead,
    each with its type and what simplification knows of its values.

    Raises:
        UsageError: not an expression, a graph or a function.
    """
    if not isinstance(expr, (Tensor, Graph)) and not hasattr(expr, "signature"):
        many = isinstance(expr, (list, tuple, dict))
        cure = "; print each by itself, or sg.Graph([...])" if many else ""
        raise UsageError(f"pprint: {expr!r} is not an expression, a graph or a function{cure}")
    if facts:
        return _with_facts(expr)
    if not isinstance(expr, Tensor):
        return str(expr)
    order, spelled = spelled_out(expr, spell)
    line = _one_line(order, spelled)
    return line if line is not None else "\n".join(_several_lines(order, spelled))


def spelled_out(root: Tensor, spelling: Speller) -> tuple[list[Tensor], dict[Tensor, Spelling]]:
    """The nodes shown in the text of ``root``, operands first, and how each is spelled."""
    names = Names(topological([root]))
    return _operands_first(root, lambda node: spelling(node, names))


def _operands_first(
    root: Tensor, spelling: Callable[[Tensor], Spelling]
) -> tuple[list[Tensor], dict[Tensor, Spelling]]:
    spelled = {root: spelling(root)}
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
        spelled[operands[k]] = spelling(operands[k])
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


# ---- brief texts ---------------------------------------------------------------------------------


def brief(expr: Tensor, width: int = 80) -> str:
    """An expression in at most ``width`` characters: what lies deeper is written ``...``.

    Takes time bounded by the width, whatever the size of the graph.

    >>> import symgraph as sg
    >>> x = sg.vector("x")
    >>> for _ in range(1000):
    ...     x = sg.sin(x) + 1
    >>> brief(x, 30)
    'sin(sin(sin(...) + 1) + 1) + 1'
    """
    text = ""
    for depth in range(1, DEEPEST + 1):
        longer = _shallow(expr, depth)
        if longer is None or len(longer) > width or longer == text:
            break
        text = longer
    return text or _shallow(expr, 1, within=width) or expr.op.name


def _shallow(root: Tensor, depth: int, within: int | None = None) -> str | None:
    """The text of the topmost levels; None where those hold too many nodes."""
    names = Names([])
    levels, order = {root: depth}, [root]
    spelled: dict[Tensor, Spelling] = {}
    for node in order:
        spelled[node] = _cut(node, levels[node], names)
        if len(order) + len(spelled[node].operands) > MOST:
            return None if within is None else f"{node.op.name}(...)"
        for o in spelled[node].operands:
            if o not in levels:
                levels[o] = levels[node] - 1
                order.append(o)
    texts: dict[Tensor, Text] = {}
    for node in _operands_first(root, spelled.__getitem__)[0]:
        texts[node] = spelled[node].join(*[texts[o] for o in spelled[node].operands])
    text = texts[root].text
    if within is not None and len(text) > within:
        return f"{root.op.name}(...)"
    return text


def _cut(node: Tensor, level: int, names: Names) -> Spelling:
    if node.op in (leaves.input_, leaves.shared):
        return Spelling((), lambda: Text(node.name or node.op.name))
    if level == 0 and node.inputs:
        return Spelling((), lambda: Text("..."))
    return spell(node, names)


def explicit(expr: Tensor, width: int = 80) -> str:
    """The operation as a call on brief operands, with nothing left out at the top.

    >>> import symgraph as sg
    >>> explicit(sg.constant(2.0) * sg.vector("x"))
    'multiply(2, x)'
    """
    if not expr.inputs:
        return brief(expr, width)
    room = max(8, (width - len(expr.op.name)) // len(expr.inputs))
    return f"{expr.op.name}({', '.join(brief(i, room) for i in expr.inputs)})"


# ---- differences ---------------------------------------------------------------------------------


def diff(before: Tensor | Graph | Printable, after: Tensor | Graph | Printable) -> str:
    """What a pass did, as a short text: operations that vanished, and those that appeared.

    Expressions, graphs and compiled functions (their optimised graphs) are compared by structure.
    An operation that merely stands on other operands now counts as rebuilt and is not shown.

    Raises:
        UsageError: one of them is none of these.

    >>> import symgraph as sg
    >>> x = sg.vector("x")
    >>> print(diff(sg.Graph([sg.exp(x) * 1]), sg.Graph([sg.exp(x)])))  # doctest: +ELLIPSIS
    - exp(x) * 1  # ...
    1 kept, 0 rebuilt, 1 vanished, 0 appeared
    """
    keys: dict[Any, int] = {}
    old = _operations(_graph_of(before, "before"), keys)
    new = _operations(_graph_of(after, "after"), keys)
    gone = [n for k, n in old.items() if k not in new]
    come = [n for k, n in new.items() if k not in old]
    kept = len(old) - len(gone)
    places = Counter(map(_place, come))
    rebuilt = places & Counter(map(_place, gone))
    lines = [f"- {text}" for text in _without(gone, Counter(rebuilt))]
    lines += [f"+ {text}" for text in _without(come, Counter(rebuilt))]
    if len(lines) > DIFFERENCES:
        lines[DIFFERENCES:] = [f"... and {len(lines) - DIFFERENCES} more"]
    same = rebuilt.total()
    counts = (kept, same, len(gone) - same, len(come) - same)
    summary = "{} kept, {} rebuilt, {} vanished, {} appeared".format(*counts)
    return "\n".join([*lines, summary])


def _graph_of(source: Any, argument: str) -> Graph:
    if isinstance(source, Tensor):
        return Graph([source])
    graph = source if isinstance(source, Graph) else getattr(source, "graph", None)
    if not isinstance(graph, Graph):
        raise UsageError(f"diff: {argument}={source!r} is not an expression, a graph or a function")
    return graph


def structure(graph: Graph, keys: dict[Any, int]) -> dict[Tensor, int]:
    """A number for each node that equal structures on the same variables share."""
    ids: dict[Tensor, int] = {}
    for node in graph.nodes:
        if node.op in (leaves.input_, leaves.shared):
            key: Any = id(node)
        else:
            key = (node.op, tuple(ids[i] for i in node.inputs), _attributes(node))
        ids[node] = keys.setdefault(key, len(keys))
    return ids


def _operations(graph: Graph, keys: dict[Any, int]) -> dict[int, Tensor]:
    return {k: node for node, k in structure(graph, keys).items() if node.inputs}


def _place(node: Tensor) -> Any:
    """What an operation keeps when it is rebuilt on other operands; literals do not change."""
    literals = tuple(_attributes(i) for i in node.inputs if i.op is leaves.constant)
    return node.op, _attributes(node), literals, str(node.type), node.origin


def _attributes(node: Tensor) -> Any:
    return tuple((k, attribute_key(v)) for k, v in node.attrs.items())


def _without(nodes: list[Tensor], rebuilt: Counter[Any]) -> Iterator[str]:
    for node in nodes:
        place = _place(node)
        if rebuilt[place]:
            rebuilt[place] -= 1
            continue
        where = origin_text(node.origin)
        yield brief(node) + (f"  # {where}" if where else "")


# ---- graphs --------------------------------------------------------------------------------------


Describe = Callable[[Tensor], str | None]


class Printable(Protocol):
    """What of a compiled function is printed."""

    signature: Any
    graph: Graph


def _with_facts(source: Tensor | Graph | Printable) -> str:
    from symgraph.passes.facts import Facts

    describe = Facts().describe
    graph = Graph([source]) if isinstance(source, Tensor) else source
    if isinstance(graph, Graph):
        return print_graph(graph, describe)
    return print_function(graph, describe)


def print_graph(graph: Graph, describe: Describe | None = None) -> str:
    """A graph as numbered nodes with types, what ``describe`` knows of them, and the user's
    lines.
    """
    names = Names([*graph.inputs, *graph.nodes])
    refs = node_refs(graph, names)
    outputs = [refs[o] for o in graph.outputs]
    return "\n".join(
        [
            _header("graph", graph.inputs, names),
            *node_lines(graph, names, refs, describe),
            f"  return {', '.join(outputs)}",
        ]
    )


def print_function(f: Printable, describe: Describe | None = None) -> str:
    """A compiled function: inputs, the nodes of its optimised graph, outputs and updates."""
    signature, graph = f.signature, f.graph
    names = Names([*signature.inputs, *graph.nodes, *signature.updated])
    refs = node_refs(graph, names)
    found = [refs[o] for o in graph.outputs]
    results, updates = found[: signature.n_outputs], found[signature.n_outputs :]
    lines = [_header(f"function {signature.name}", signature.inputs, names)]
    lines += node_lines(graph, names, refs, describe)
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


def node_lines(
    graph: Graph, names: Names, refs: dict[Tensor, str], describe: Describe | None = None
) -> Iterator[str]:
    """The lines of a graph's shared variables, operations and size checks."""
    for node in graph.nodes:
        if node.op is leaves.shared:
            yield f"  shared {refs[node]}: {names.type(node.type)}"
    for node in graph.nodes:
        if refs[node].startswith("%") and node not in names.leaves:
            line = f"  {refs[node]} = {operation_text(node, names, refs)} : {names.type(node.type)}"
            known = describe(node) if describe is not None else None
            yield line + (f", {known}" if known else "") + _comment(node)
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
