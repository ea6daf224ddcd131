"""The driver of rules: bottom-up to a fixed point, each node once, without recursion.

A node is tried when its inputs are in normal form; a replacement is brought into normal form in the
same way before its users are. Left sides look only downwards, so when the outputs are done nothing
is left to rewrite. The cost is linear in nodes and rewrites.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from symgraph.errors import GraphError
from symgraph.graph import Graph, topological
from symgraph.op import Op
from symgraph.ops.shape import broadcast_to
from symgraph.origins import Derived, with_origin
from symgraph.passes.facts import Facts
from symgraph.passes.rebuild import rebuilt
from symgraph.passes.rules.pattern import Call, Matcher, Node, could_match, matcher, variants
from symgraph.passes.rules.rule import Match, Rule
from symgraph.passes.trace import Rewrite, record
from symgraph.tensor import Tensor, apply
from symgraph.types import TupleType

__all__ = ["Counts", "RuleSet", "rewrite_graph", "rewrite_outputs", "successor"]

Candidate = tuple[Rule, Matcher]


@dataclass(slots=True)
class Counts:
    """How much work a run was: nodes visited, rules tried, rewrites made."""

    visits: int = 0
    attempts: int = 0
    rewrites: int = 0


class RuleSet:
    """Rules indexed by the operations of a node and of its inputs; earlier rules are tried first.

    ``relaxed`` sets fire finite-only rules everywhere, others only where their facts make them
    sound.
    """

    def __init__(self, rules: Iterable[Rule], relaxed: bool = False) -> None:
        self.rules = tuple(rules)
        self.relaxed = relaxed
        self._anywhere: list[tuple[int, Rule, Node, Matcher]] = []
        self._by_op: dict[Op, list[tuple[int, Rule, Call, Matcher]]] | None = None
        self._found: dict[tuple[Op, ...], tuple[Candidate, ...]] = {}

    def _index(self) -> dict[Op, list[tuple[int, Rule, Call, Matcher]]]:
        """The variants of every left side by their operation; made at first use."""
        anywhere: list[tuple[int, Rule, Node, Matcher]] = []
        by_op: dict[Op, list[tuple[int, Rule, Call, Matcher]]] = {}
        for k, rule in enumerate(self.rules):
            if isinstance(rule.left, Node):
                anywhere.append((k, rule, rule.left, matcher(rule.left)))
                continue
            for variant in variants(rule.left):
                if not isinstance(variant, Call):
                    raise GraphError(f"rule {rule.name}: the left side is no operation")
                by_op.setdefault(variant.op, []).append((k, rule, variant, matcher(variant)))
        self._anywhere, self._by_op = anywhere, by_op
        return by_op

    def candidates(self, node: Tensor) -> tuple[Candidate, ...]:
        """The rules that may fit a node, judged by its operation and those of its inputs."""
        key = (node.op, *[i.op for i in node.inputs])
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._select(node.op, key[1:])
        return found

    def _select(self, op: Op, children: tuple[Op, ...]) -> tuple[Candidate, ...]:
        by_op = self._by_op if self._by_op is not None else self._index()
        fits = [
            (k, rule, match)
            for k, rule, pattern, match in [*by_op.get(op, ()), *self._anywhere]
            if could_match(pattern, op, children)
        ]
        return tuple((rule, match) for _, rule, match in sorted(fits, key=lambda c: c[0]))


class _Run:
    """One run over a graph: the normal forms found so far, and what was rewritten."""

    def __init__(self, rules: RuleSet, pass_name: str, size: int) -> None:
        self.rules, self.pass_name = rules, pass_name
        self.limit = 100 * size + 10_000
        self.facts = Facts()
        self.done: dict[Tensor, Tensor] = {}
        self.became: dict[Tensor, tuple[Tensor, str]] = {}
        self.opened: set[Tensor] = set()
        self.log: list[Rewrite] = []
        self.counts = Counts()

    def normal_form(self, root: Tensor) -> Tensor:
        stack, done, became = [root], self.done, self.became
        while stack:
            node = stack[-1]
            if node in done:
                stack.pop()
            elif node in became:
                target = became[node][0]
                if target in done:
                    done[node] = done[target]
                    stack.pop()
                else:
                    self._open(node, stack)
                    stack.append(target)
            elif "count" in node.attrs:  # a size is born here: others refer to this very node
                done[node] = node
            else:
                waiting = [i for i in node.inputs if i not in done]
                if waiting:
                    stack.extend(reversed(waiting))
                else:
                    self._settle(node)
        return done[root]

    def _settle(self, node: Tensor) -> None:
        new = rebuilt(node, tuple([self.done[i] for i in node.inputs])) if node.inputs else node
        if new is not node:
            self.became[node] = (new, "rebuild")
            return
        after = self._rewrite(node)
        if after is None:
            self.done[node] = node
        else:
            self.became[node] = after

    def _open(self, node: Tensor, stack: list[Tensor]) -> None:
        """A node whose replacement needs the node itself would never be done."""
        if node in self.opened:
            first = next(k for k, n in enumerate(stack) if n is node)
            names = dict.fromkeys(self.became[n][1] for n in stack[first:] if n in self.became)
            raise GraphError(f"pass {self.pass_name}: rules undo one another: {', '.join(names)}")
        self.opened.add(node)

    def _rewrite(self, node: Tensor) -> tuple[Tensor, str] | None:
        self.counts.visits += 1
        for rule, match in self.rules.candidates(node):
            self.counts.attempts += 1
            env: dict[str, Tensor] = {}
            if not match(node, env):
                continue
            with with_origin(Derived(node, rule.name)):
                found = rule.apply(Match(node, env, self.facts), not self.rules.relaxed)
                if found is None:
                    continue
                found = _fitted(found, node, rule)
            if found is node:
                continue
            self.counts.rewrites += 1
            if self.counts.rewrites > self.limit:
                raise GraphError(
                    f"pass {self.pass_name}: rule {rule.name} seems to fire without end"
                )
            self.log.append(Rewrite(rule.name, rule.contract, self.pass_name, node, found))
            return found, rule.name
        return None


def _fitted(found: Tensor, node: Tensor, rule: Rule) -> Tensor:
    """The replacement stretched to the node's shape, where the rule dropped what stretched it."""
    if isinstance(node.type, TupleType):
        if found.type != node.type:
            raise GraphError(f"rule {rule.name}: {found.type} replaces {node.type}")
        return found
    if found.dtype != node.dtype:
        raise GraphError(f"rule {rule.name}: {found.type} replaces {node.type}")
    if found.shape != node.shape:
        return apply(broadcast_to, (found,), (("shape", node.shape),))
    return found


def rewrite_outputs(
    outputs: Sequence[Tensor],
    rules: RuleSet,
    pass_name: str,
    counts: Callable[[Counts], None] | None = None,
) -> tuple[list[Tensor], list[Rewrite]]:
    """The normal forms of ``outputs`` under ``rules``, and the rewrites that led there."""
    run = _Run(rules, pass_name, len(topological(outputs)))
    results = [run.normal_form(o) for o in outputs]
    if counts is not None:
        counts(run.counts)
    return results, run.log


def rewrite_graph(graph: Graph, rules: RuleSet, pass_name: str) -> Graph:
    """The graph in normal form; inputs and equations are kept, rewrites go to the trace."""
    outputs, log = rewrite_outputs(graph.outputs, rules, pass_name)
    record(log)
    return successor(graph, outputs) if log else graph


def successor(graph: Graph, outputs: Sequence[Tensor]) -> Graph:
    """A graph of other outputs with the inputs and the equations of ``graph``."""
    new = Graph(outputs, graph.inputs)
    new.equations = {**new.equations, **graph.equations}
    return new
