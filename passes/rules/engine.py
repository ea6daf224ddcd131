"""The driver of rules: bottom-up to a fixed point, each node once, without recursion.

A node is tried when its inputs are in normal form; a replacement is brought into normal form in the
same way before its users are. Left sides look only downwards, so when the outputs are done nothing
is left to rewrite. The cost is linear in nodes and rewrites.
"""

from __future__ import annotations

import functools
import gc
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from symgraph.errors import GraphError
from symgraph.graph import Graph, topological
from symgraph.op import Op
from symgraph.ops import leaves
from symgraph.ops.shape import broadcast_to
from symgraph.origins import Attempt, Derived, set_origin
from symgraph.passes.facts import Facts
from symgraph.passes.rebuild import successor
from symgraph.passes.rules.pattern import Tree
from symgraph.passes.rules.rule import Match, Rule, RuleWarning
from symgraph.passes.rules.ruleset import Candidate, Kinds, RuleSet, Signature, Top
from symgraph.passes.rules.users import Users
from symgraph.passes.trace import Rewrite, count_warning, record
from symgraph.tensor import Tensor, apply, is_outdated, reapply
from symgraph.types import TupleType

__all__ = ["Counts", "RuleSet", "rewrite_graph", "rewrite_outputs"]

#: how often a run is repeated because a node lost its other users
SWEEPS = 8

#: how many of the last rewrites are looked at to say which rules do not end
SHOWN = 20

#: why a node is replaced by itself on the normal forms of its inputs
REBUILD = "rebuild"


@functools.cache
def built_in() -> dict[str, Rule]:
    """Our own rules by name."""
    from symgraph.passes.rules.table import RULES

    return {rule.name: rule for rule in RULES}


@dataclass(slots=True)
class Counts:
    """How much work a run was: nodes visited, rules tried, rewrites made."""

    visits: int = 0
    attempts: int = 0
    rewrites: int = 0


class _Run:
    """One run over a graph: the normal forms found so far, and what was rewritten."""

    def __init__(
        self, rules: RuleSet, pass_name: str, outputs: Sequence[Tensor], nodes: Sequence[Tensor]
    ) -> None:
        self.rules, self.pass_name = rules, pass_name
        self.outputs, self.nodes = outputs, nodes
        self.limit = 100 * len(nodes) + 10_000
        self.facts = Facts()
        self.done: dict[Tensor, Tensor] = {}
        self.became: dict[Tensor, tuple[Tensor, str]] = {}
        self.opened: set[Tensor] = set()
        self.users = Users(outputs, nodes, self.done)
        self.kinds = Kinds(rules)
        self.seen: set[Op] = set()
        self.closed: dict[Tree, set[Tensor]] = {tree: set() for tree in rules.trees}
        self.attempt = Attempt()
        self.stopped = False
        self.log: list[Rewrite] = []
        self.counts = Counts()

    def results(self) -> list[Tensor]:
        """The normal forms of the outputs; nodes made on the way derive from what they replace."""
        before = set_origin(self.attempt)
        try:
            return self._sweep()
        finally:
            set_origin(before)

    def _sweep(self) -> list[Tensor]:
        done, replaced = self.done, self.became.keys()
        for node in self.nodes:
            if node in done:
                continue
            if node.after or not replaced.isdisjoint(node.inputs):
                self._settle(node)
                if node not in done:
                    self.normal_form(node)
            elif not self._settled(node) and not self._known(node):
                self.normal_form(node)
        return [self._finished(o) for o in self.outputs]

    def _finished(self, output: Tensor) -> Tensor:
        """The normal form of an output; being one is a use, which trees end at."""
        done = self.done
        while True:
            while (now := done[output]) is not output:
                output = now
            trees = [t for t in self.closed if output.op in t.ops and self._offered(output, t)]
            if all(self._close(output, t) for t in trees):
                return output
            self.normal_form(output)

    def normal_form(self, root: Tensor) -> None:
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
            else:
                waiting = [i for i in node.inputs if i not in done]
                if waiting:
                    stack.extend(reversed(waiting))
                else:
                    self._settle(node)

    def _known(self, node: Tensor) -> bool:
        """Whether the normal form of what replaces a node is known; then it is the node's too."""
        after = self.became.get(node)
        if after is None or after[0] not in self.done:
            return False
        self.done[node] = self.done[after[0]]
        return True

    def _stale(self, node: Tensor) -> bool:
        """Whether an input is no longer what it was."""
        done = self.done
        for i in node.inputs:
            if done.get(i) is not i:
                break
        else:
            return False
        return True

    def _settle(self, node: Tensor) -> None:
        born = "count" in node.attrs  # a size is born here: others refer to this very node
        if node.inputs and not born and (self._stale(node) or is_outdated(node)):
            new = self._rebuilt(node)
            if new is not node:
                self._replace(node, new, REBUILD)
                fresh = new not in self.done and new not in self.became and not self._stale(new)
                if fresh and (self._settled(new) or self._known(new)):
                    self.done[node] = self.done[new]
                return
        self._settled(node)

    def _rebuilt(self, node: Tensor) -> Tensor:
        """The node on the normal forms of its inputs; it comes from where the node came from."""
        done = self.done
        origin = node.origin if node.origin is not None else Derived(node, REBUILD)
        return reapply(node, tuple([done[i] for i in node.inputs]), origin)

    def _settled(self, node: Tensor) -> bool:
        """Whether a node whose inputs are in normal form is so too; else it is now replaced."""
        self.counts.visits += 1
        op, inputs, kinds = node.op, node.inputs, self.kinds
        self.seen.add(op)
        key: Signature
        if len(inputs) == 2:
            key = (op, kinds[inputs[0]], kinds[inputs[1]])
        elif inputs:
            key = (op, *[kinds[i] for i in inputs])
        else:
            key = (op, self.rules.marks(node)) if op is leaves.constant else (op,)
        entry = self.rules.found.get(key)
        if entry is None:
            entry = self.rules.select(key)
        kinds[node], fits, tops = entry
        after = self._rewrite(node, fits) if fits and "count" not in node.attrs else None
        if after is not None:
            self._replace(node, *after)
            return False
        if tops and not self._closed(node, tops):
            return False
        self.done[node] = node
        return True

    def _closed(self, node: Tensor, tops: tuple[Top, ...]) -> bool:
        """Whether the trees that end below this node are in normal form as wholes."""
        for k, tree, inner in tops:
            top = node.inputs[k]
            if not self._offered(top, tree):
                continue
            if inner and self.users.count(top) <= 1 and top.dtype == node.dtype:
                continue
            if not self._close(top, tree):
                return False
        return True

    def _offered(self, top: Tensor, tree: Tree) -> bool:
        """Whether what lies below ``top`` may be a tree that rules want to see."""
        if tree.kinds and top.type.dtype.kind not in tree.kinds:
            return False
        return not tree.needs or not tree.needs.isdisjoint(self.seen)

    def _close(self, top: Tensor, tree: Tree) -> bool:
        """Offer a tree to its rules, once; whether it stays as it is."""
        closed = self.closed[tree]
        if top in closed:
            return True
        closed.add(top)
        after = self._rewrite(top, self.rules.trees[tree])
        if after is None:
            return True
        del self.done[top]
        self._replace(top, *after)
        return False

    def _replace(self, node: Tensor, new: Tensor, why: str) -> None:
        self.became[node] = new, why
        self.users.moved(node, new, why == REBUILD)

    def _open(self, node: Tensor, stack: list[Tensor]) -> None:
        """A node whose replacement needs the node itself would never be done."""
        if node not in self.opened:
            self.opened.add(node)
            return
        first = next(k for k, n in enumerate(stack) if n is node)
        names = dict.fromkeys(self.became[n][1] for n in stack[first:] if n in self.became)
        self._refuse([n for n in names if n in self.rules], f"undo one another: {', '.join(names)}")
        self.done[node] = node

    def _refuse(self, names: list[str], what: str) -> None:
        """Rules that do not end: an error if a user's is among them, else a warning."""
        message = f"pass {self.pass_name}: rules {what}"
        if any(self.rules[n] is not built_in().get(n) for n in names):
            raise GraphError(message)
        count_warning()
        warnings.warn(f"{message}; rewriting stopped there", RuleWarning, stacklevel=1)

    def _rewrite(self, node: Tensor, fits: tuple[Candidate, ...]) -> tuple[Tensor, str] | None:
        if self.stopped:
            return None
        attempt = self.attempt
        self.counts.attempts += len(fits)
        attempt.source = node
        match = Match(node, {}, self.facts, self.users)
        for rule, fit, when, sound, right in fits:
            if fit is not None:
                match.env = {}
                if not fit(node, match.env):
                    continue
            attempt.how = rule.name
            if when is not None and not when(match):
                continue
            if sound is not None and not sound(match):
                continue
            found = right(match)
            if found is not None and found is not node:
                found = _fitted(found, node, rule)
                if found is not node:
                    self._noted(rule, node, found)
                    return found, rule.name
        return None

    def _noted(self, rule: Rule, node: Tensor, found: Tensor) -> None:
        self.counts.rewrites += 1
        self.log.append(Rewrite(rule.name, rule.contract, self.pass_name, node, found))
        if self.counts.rewrites > self.limit and not self.stopped:
            last = dict.fromkeys(step.rule for step in self.log[-SHOWN:])
            self._refuse(list(last), f"seem to fire without end: {', '.join(last)}")
            self.stopped = True


def _fitted(found: Tensor, node: Tensor, rule: Rule) -> Tensor:
    """The replacement stretched to the node's shape, where the rule dropped what stretched it."""
    new, old = found.type, node.type
    if new is old:
        return found
    if isinstance(old, TupleType) or isinstance(new, TupleType):
        if new != old:
            raise GraphError(f"rule {rule.name}: {new} replaces {old}")
        return found
    if new.dtype != old.dtype:
        raise GraphError(f"rule {rule.name}: {new} replaces {old}")
    if new.shape != old.shape:
        return apply(broadcast_to, (found,), (("shape", old.shape),))
    return found


def rewrite_outputs(
    outputs: Sequence[Tensor],
    rules: RuleSet,
    pass_name: str,
    counts: Callable[[Counts], None] | None = None,
) -> tuple[list[Tensor], list[Rewrite]]:
    """The normal forms of ``outputs`` under ``rules``, and the rewrites that led there."""
    found, _, log = _rewritten(outputs, topological(outputs), rules, pass_name, counts)
    return found, log


def _rewritten(
    outputs: Sequence[Tensor],
    nodes: Sequence[Tensor],
    rules: RuleSet,
    pass_name: str,
    counts: Callable[[Counts], None] | None = None,
) -> tuple[list[Tensor], Sequence[Tensor] | None, list[Rewrite]]:
    """Sweeps, until none leaves a node alone that had company when a rule asked.

    The outputs, the nodes they depend on if these are known, and the rewrites.
    """
    log: list[Rewrite] = []
    known: Sequence[Tensor] | None = None
    collects = gc.isenabled()
    gc.disable()  # nodes make no cycles; looking for some among them takes most of the time
    try:
        for _ in range(SWEEPS):
            run = _Run(rules, pass_name, outputs, nodes)
            outputs = run.results()
            log += run.log
            known = None
            if not run.log or not run.users.refused:
                break
            known = nodes = topological(outputs)
            if not run.users.freed(nodes):
                break
    finally:
        if collects:
            gc.enable()
    if counts is not None:
        counts(run.counts)
    return list(outputs), known, log


def rewrite_graph(graph: Graph, rules: RuleSet, pass_name: str) -> Graph:
    """The graph in normal form; inputs and equations are kept, rewrites go to the trace."""
    outputs, nodes, log = _rewritten(graph.outputs, graph.nodes, rules, pass_name)
    record(log)
    return successor(graph, outputs, nodes) if log else graph
