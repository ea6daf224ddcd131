"""Why a node is in a graph: from the user's line through derivatives and rewrites."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import UsageError
from symgraph.graph import Graph, topological
from symgraph.ops import leaves
from symgraph.origins import Derived, UserLine, root_line
from symgraph.passes.trace import Rewrite
from symgraph.printer import brief, structure
from symgraph.program import Function
from symgraph.tensor import Tensor, describe

__all__ = ["Explanation", "Step", "explain"]


@functools.cache
def _contracts() -> dict[str, str]:
    from symgraph.passes.rules.table import RULES

    return {rule.name: rule.contract for rule in RULES}


#: Steps in the middle of a longer chain than this are counted in its text, not shown.
SHOWN = 24
VARIABLES = (leaves.input_, leaves.shared)


@dataclass(frozen=True, slots=True)
class Step:
    """One step on the way to a node.

    ``kind`` is ``"line"`` (the user wrote ``node``), ``"bprop"`` or ``"jvp"`` (the derivative of
    ``source``), ``"rule"`` (a rewrite of ``source``), ``"rebuild"`` (the same operation on operands
    that were rewritten), ``"operand"`` (a number that ``source`` needs), ``"replaces"`` (a rewrite
    put this node, which was there already, in the place of ``source``), ``"replaced"`` (``source``
    is no longer in the graph, a rewrite made it this node), ``"gone"`` (nothing in the graph needs
    it any longer) or ``"unknown"``. ``rule``, ``contract`` and ``pass_name`` belong to rewrites; a
    pass is not known where the expression was stabilised before its derivative was taken.
    """

    kind: str
    node: Tensor
    source: Tensor | None = None
    rule: str | None = None
    contract: str | None = None
    pass_name: str | None = None
    line: UserLine | None = None

    def __str__(self) -> str:
        here = brief(self.node)
        at = f"{self.line}" if self.line is not None else "unknown place"
        if self.kind == "line":
            return f"{at}: {here}"
        if self.kind in ("bprop", "jvp"):
            assert self.source is not None
            what = self.source.op.name if self.source.inputs else brief(self.source)
            return f"{self.kind} of {what} at {at}: {here}"
        if self.kind == "operand":
            return f"a number it needs: {here}"
        if self.kind == "rebuild":
            return f"operands rewritten: {here}"
        if self.kind == "replaces":
            assert self.source is not None
            return f"also, by {self._rule()} at {at}, in place of {brief(self.source)}"
        if self.kind == "rule":
            return f"{self._rule()}: {here}"
        if self.kind == "replaced":
            return f"no longer there, {self._rule()} made it: {here}"
        if self.kind == "gone":
            return "no longer there: nothing that is computed needs it"
        return f"origin not recorded: {here}"

    def _rule(self) -> str:
        contract = f" [{self.contract}]" if self.contract else ""
        where = f" in {self.pass_name}" if self.pass_name else ""
        return f"rule {self.rule}{contract}{where}"


@dataclass(frozen=True, slots=True, repr=False)
class Explanation:
    """Why ``node`` is there: ``steps`` from the user's line to the node. ``str()`` is a text."""

    node: Tensor
    steps: tuple[Step, ...]

    @property
    def line(self) -> UserLine | None:
        """The user's line that it all goes back to."""
        return self.steps[0].line

    def __str__(self) -> str:
        shown = [str(s) for s in self.steps]
        if len(shown) > SHOWN:
            half = SHOWN // 2
            shown[half:-half] = [f"... {len(shown) - 2 * half} more steps ..."]
        return "\n".join("  " * bool(k) + text for k, text in enumerate(shown))

    def __repr__(self) -> str:
        return str(self)


def explain(node: Tensor | int | None, function: Function | None = None) -> Explanation:
    """The chain of lines, derivatives and rewrites that made ``node``.

    ``node`` is any expression. With ``function``, it is a node of that function's optimised graph
    (or the same expression made anew), the number of one of its outputs, or None for the first; the
    steps then name passes, and the nodes in whose place it stands. For an expression that went into
    the function and was rewritten, they tell what became of it.

    Raises:
        UsageError: not a node, a number without a function, not a function, or a node that this
            function knows nothing of.

    >>> import symgraph as sg
    >>> x = sg.vector("x")
    >>> y = sg.sum(sg.log(1 + sg.exp(x)))
    >>> f = sg.function([x], sg.grad(y, x), backend="reference")
    >>> [step.kind for step in explain(0, f).steps][:3]
    ['line', 'rule', 'bprop']
    >>> [step.contract for step in explain(0, f).steps][:3]
    [None, 'stabilising', None]
    """
    if function is not None and not isinstance(function, Function):
        raise UsageError(f"explain: function={function!r} is not a compiled function")
    found = _node(node, function)
    if function is None:
        return Explanation(found, tuple(_chain(found, (), None))[::-1])
    written = set(function.original.nodes)
    if found not in function.graph:
        past = _Past(function)
        twin = past.twin(found)
        if twin is None:
            lost = _chain(found, function.rewrites, written)
            return Explanation(found, (*tuple(lost)[::-1], *past.fate(found)))
        found = twin
    user = _user(found, function)
    steps = list(_chain(user, function.rewrites, written))[::-1]
    if user is not found:
        steps.append(Step("operand", found, user, line=root_line(user.origin)))
    stands = [r for r in function.rewrites if r.after is found and not _made(found, r)]
    steps += [
        Step("replaces", found, r.before, r.rule, r.contract, r.pass_name, r.line) for r in stands
    ]
    return Explanation(found, tuple(steps))


def _user(node: Tensor, function: Function) -> Tensor:
    """The node itself; for one that depends on no variable, what uses it in this function.

    Numbers and sizes are the same node wherever they are written, so that the line on record may be
    that of another model.
    """
    graph, seen = function.graph, {node}
    waiting = [node] if node in graph else []
    for n in waiting:
        if any(i.op in VARIABLES for i in topological([n])):
            return n
        fresh = [c for c in graph.get_consumers(n) if c not in seen]
        seen.update(fresh)
        waiting.extend(fresh)
    return node


def _node(node: Any, function: Function | None) -> Tensor:
    if isinstance(node, Tensor):
        return node
    if function is None:
        raise UsageError(f"explain: {node!r} is not a node; pass one, or an output with a function")
    outputs = function.graph.outputs
    place = 0 if node is None else node
    number = isinstance(place, (int, np.integer)) and not isinstance(place, bool)
    if not number or not -len(outputs) <= place < len(outputs):
        raise UsageError(
            f"explain: {node!r} is neither a node nor the number of one of the {len(outputs)} "
            f"outputs of {function.name}"
        )
    return outputs[int(place)]


def _made(node: Tensor, rewrite: Rewrite) -> bool:
    """Whether this rewrite is the one that made the node."""
    origin = node.origin
    return (
        isinstance(origin, Derived)
        and origin.source is rewrite.before
        and origin.how == rewrite.rule
    )


def _chain(node: Tensor, rewrites: Any, written: set[Tensor] | None) -> Iterator[Step]:
    """The steps from the node back to the user's line."""
    passes = {(r.before, r.rule): r for r in rewrites}
    while isinstance(node.origin, Derived):
        source, how = node.origin.source, node.origin.how
        known = passes.get((source, how))
        line = root_line(node.origin)
        if how in ("bprop", "jvp", "rebuild"):
            yield Step(how, node, source, line=line)
        elif known is not None:
            yield Step("rule", node, source, how, known.contract, known.pass_name, line)
        else:
            yield Step("rule", node, source, how, _contracts().get(how), line=line)
        node = source
    before = _rebuilt_from(node, written) if written is not None else None
    if before is not None:
        yield Step("rebuild", node, before, line=root_line(node.origin))
        node = before
    if node.origin is None:
        yield Step("unknown", node)
    else:
        yield Step("line", node, line=root_line(node.origin))


def _rebuilt_from(node: Tensor, written: set[Tensor]) -> Tensor | None:
    """What the user wrote as this node, where its operands have been rewritten since."""
    if node in written or node.origin is None:
        return None
    return next((w for w in written if w.origin is node.origin and w.op is node.op), None)


class _Past:
    """What a function is and was made of, compared by structure: passes build nodes of their
    own."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.keys: dict[Any, int] = {}
        sides = [side for r in function.rewrites for side in (r.before, r.after)]
        sources = _sources([*function.original.nodes, *sides])
        whole = Graph([*function.graph.outputs, *function.original.outputs, *sides, *sources])
        self.ids = structure(whole, self.keys)
        self.known = len(self.keys)
        self.first = {k: n for n, k in reversed(self.ids.items())}
        self.present = {self.ids[n]: n for n in function.graph.nodes}

    def _id(self, node: Tensor) -> int:
        found = self.ids.get(node)
        return found if found is not None else structure(Graph([node]), self.keys)[node]

    def twin(self, node: Tensor) -> Tensor | None:
        """The node of the optimised graph that is the same expression."""
        return self.present.get(self._id(node))

    def fate(self, node: Tensor) -> Iterator[Step]:
        """What became of a node that is not in the optimised graph."""
        if self._id(node) >= self.known:
            raise UsageError(
                f"explain: {describe(node)} is not in the optimised graph of {self.function.name} "
                "and nothing on record was made of it; explain(node) alone says where it comes from"
            )
        seen: set[int] = set()
        while (k := self._id(node)) not in seen and k not in self.present:
            seen.add(k)
            step = self._step(k)
            yield step or Step("gone", node)
            node = step.node if step is not None else node

    def _step(self, k: int) -> Step | None:
        """What was made of what has this number."""
        for r in self.function.rewrites:
            if self.ids[r.before] == k:
                return Step("replaced", r.after, r.before, r.rule, r.contract, r.pass_name, r.line)
        for n in self.ids:
            if isinstance(n.origin, Derived) and self.ids.get(n.origin.source) == k != self.ids[n]:
                how, line = n.origin.how, root_line(n.origin)
                if how in _contracts():
                    return Step("replaced", n, n.origin.source, how, _contracts()[how], line=line)
        return self._rebuilt(self.first[k])

    def _rebuilt(self, node: Tensor) -> Step | None:
        """The same operation on operands that were rewritten."""
        origin = node.origin
        for n in (*self.present.values(), *(r.before for r in self.function.rewrites)):
            if n.op is node.op and n.origin is origin is not None and self.ids[n] != self.ids[node]:
                return Step("rebuild", n, node, line=root_line(n.origin))
        return None


def _sources(nodes: list[Tensor]) -> list[Tensor]:
    """Everything that the nodes derive from."""
    seen: dict[Tensor, None] = {}
    for node in nodes:
        while isinstance(node.origin, Derived) and node.origin.source not in seen:
            node = node.origin.source
            seen[node] = None
    return list(seen)
