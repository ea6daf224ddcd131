"""Rules indexed by the operations they may fit."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from symgraph.errors import GraphError, UsageError
from symgraph.op import Op
from symgraph.ops import leaves
from symgraph.ops import shape as s
from symgraph.passes.rules.pattern import (
    Call,
    Kind,
    Matcher,
    Node,
    Number,
    Tree,
    could_match,
    marks_of,
    matcher,
    may_match,
    numbers_in,
    variants,
)
from symgraph.passes.rules.rule import FINITE_ONLY, Build, Condition, Rule
from symgraph.tensor import Tensor

__all__ = ["Candidate", "Entry", "Kinds", "RuleSet", "Signature", "Top"]

#: a rule; what matches it, None where every node of a fitting kind does; its condition; what must
#: hold for it to be sound, if that is asked; what makes the replacement
Candidate = tuple[Rule, Matcher | None, Condition | None, Condition | None, Build]

#: the operation of a node and the kinds of its inputs; of a constant, its marks instead
Signature = tuple[Any, ...]

#: an input that may be the top of a tree, the tree, and whether the node may belong to it too
Top = tuple[int, Tree, bool]

#: what a signature tells: the kind of the node, the rules that may fit, the inputs that may be tops
Entry = tuple[Kind, tuple[Candidate, ...], tuple[Top, ...]]

#: a rule's place, one variant of its left side and what to do with it
Indexed = tuple[int, Call | Node, Candidate]

#: variants of left sides by the operation asked for as first input, None for any: their number
#: in the order of trial, the rule's place, the rule
Variants = dict[Op | None, list[tuple[int, int, Rule, Call]]]

#: more signatures than this are forgotten, those of a program do not reach it
MANY = 1 << 16


class RuleSet:
    """Rules indexed by the operations of a node and of its inputs; earlier rules are tried first.

    ``relaxed`` sets fire finite-only rules everywhere, others only where their facts make them
    sound. A set never changes: ``rules + rule`` is another one that tries ``rule`` first, and
    ``rules - "name"`` one without the rule of that name.

    >>> import symgraph as sg
    >>> "exp_log" in sg.rules.fast, len(sg.rules.fast - "exp_log") == len(sg.rules.fast) - 1
    (True, True)
    """

    def __init__(self, rules: Iterable[Rule], relaxed: bool = False) -> None:
        self.rules = tuple(rules)
        self.relaxed = relaxed
        self._parts: dict[tuple[str, ...], RuleSet] = {}
        self._names = {rule.name: rule for rule in self.rules}
        #: what is known of the signatures met so far
        self.found: dict[Signature, Entry] = {}
        #: the rules for trees, those left out that could never fire
        self.trees: dict[Tree, tuple[Candidate, ...]] = {}
        for rule in self.rules:
            if isinstance(rule.left, Tree) and self._may_fire(rule):
                fits = self.trees.get(rule.left, ())
                self.trees[rule.left] = (*fits, self._candidate(rule, None))
        self._anywhere: list[Indexed] = []
        self._by_op: dict[Op, list[tuple[int, Rule, Call]]] | None = None
        self._of_op: dict[Op, Variants] = {}
        self._made: dict[tuple[int, int], Indexed] = {}
        self._by_ops: dict[tuple[Op, ...], list[Indexed]] = {}
        self._kinds: dict[tuple[Op, tuple[Op, ...], frozenset[str] | None], Kind] = {}
        self._numbers: dict[Number, list[Number]] = {}

    def __repr__(self) -> str:
        return f"<{len(self.rules)} rules>"

    def __len__(self) -> int:
        return len(self.rules)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __contains__(self, rule: object) -> bool:
        return rule in self._names if isinstance(rule, str) else rule in self._names.values()

    def __getitem__(self, name: str) -> Rule:
        """The rule of that name.

        Raises:
            UsageError: there is none.
        """
        found = self._names.get(name) if isinstance(name, str) else None
        if found is None:
            near = difflib.get_close_matches(str(name), self._names, 3)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise UsageError(f"rules: there is no rule {name!r}{hint}")
        return found

    def __add__(self, rule: Rule) -> RuleSet:
        if not isinstance(rule, Rule):
            raise UsageError(f"rules + {rule!r}: that is no rule; make one with sg.rule")
        if rule.name in self._names:
            raise UsageError(
                f"rules + {rule.name}: there is a rule of that name; take it out first, "
                f"rules - {rule.name!r}"
            )
        return RuleSet((rule, *self.rules), self.relaxed)

    def __sub__(self, name: str | Rule) -> RuleSet:
        gone = self[name.name if isinstance(name, Rule) else name]
        return RuleSet((r for r in self.rules if r is not gone), self.relaxed)

    def of(self, *contracts: str) -> RuleSet:
        """The rules with one of these contracts."""
        if contracts not in self._parts:
            kept = [r for r in self.rules if r.contract in contracts]
            self._parts[contracts] = RuleSet(kept, self.relaxed)
        return self._parts[contracts]

    def _may_fire(self, rule: Rule) -> bool:
        return self.relaxed or rule.contract != FINITE_ONLY or rule.sound is not None

    def _candidate(self, rule: Rule, match: Matcher | None) -> Candidate:
        sound = None if self.relaxed or rule.contract != FINITE_ONLY else rule.sound
        return rule, match, rule.when, sound, rule.maker()

    def _index(self) -> dict[Op, list[tuple[int, Rule, Call]]]:
        """The rules and their places by the operation of the left side; made at first use."""
        by_op: dict[Op, list[tuple[int, Rule, Call]]] = {}
        for k, rule in enumerate(self.rules):
            if isinstance(rule.left, Tree) or not self._may_fire(rule):
                continue
            for n in numbers_in(rule.left):
                if repr(n) not in map(repr, self._numbers.setdefault(n, [])):
                    self._numbers[n].append(n)
            if isinstance(rule.left, Node):
                self._anywhere.append((k, rule.left, self._candidate(rule, None)))
                continue
            if not isinstance(rule.left, Call):
                raise GraphError(f"rule {rule.name}: the left side is no operation")
            by_op.setdefault(rule.left.op, []).append((k, rule, rule.left))
        self._by_op = by_op
        return by_op

    def _variants(self, op: Op) -> Variants:
        """The variants of the left sides of one operation, in order and by the operation that their
        first input asks for; made when it is first met."""
        found = self._of_op.get(op)
        if found is None:
            by_op = self._by_op if self._by_op is not None else self._index()
            found = self._of_op[op] = {}
            number = itertools.count()
            for k, rule, left in by_op.get(op, ()):
                for variant in variants(left):
                    assert isinstance(variant, Call)
                    first = variant.args[0] if variant.args else None
                    asked = first.op if isinstance(first, Call) else None
                    found.setdefault(asked, []).append((next(number), k, rule, variant))
        return found

    def _matched(self, k: int, rule: Rule, variant: Call) -> Indexed:
        """A variant with its matcher; made when a node may first fit it."""
        found = self._made.get((k, id(variant)))
        if found is None:
            entry = k, variant, self._candidate(rule, matcher(variant))
            found = self._made[k, id(variant)] = entry
        return found

    def marks(self, constant: Tensor) -> frozenset[str] | None:
        """Which of the numbers in the rules a constant holds everywhere."""
        if self._by_op is None:
            self._index()
        return marks_of(constant, self._numbers)

    def kind(self, op: Op, ops: tuple[Op, ...], marks: frozenset[str] | None) -> Kind:
        """The one object for a kind."""
        found = self._kinds.get((op, ops, marks))
        if found is None:
            found = self._kinds[op, ops, marks] = Kind(op, ops, marks)
        return found

    def select(self, signature: Signature) -> Entry:
        """The kind of a node, and the rules that may fit it."""
        found = self.found.get(signature)
        if found is None:
            if len(self.found) > MANY:
                self.found.clear()
            op, *rest = signature
            inputs = () if op is leaves.constant else tuple(rest)
            ops = tuple([i.op for i in inputs])
            marks = rest[0] if op is leaves.constant else None
            if op is s.broadcast_to and ops[0] is leaves.constant:
                marks = inputs[0].marks
            entry = self.kind(op, ops, marks), self._select(op, inputs), self._tops(op, inputs)
            found = self.found[signature] = entry
        return found

    def _select(self, op: Op, inputs: tuple[Kind, ...]) -> tuple[Candidate, ...]:
        return tuple(
            candidate
            for _, pattern, candidate in self._by_operations(op, tuple([i.op for i in inputs]))
            if may_match(pattern, inputs) and _looks(candidate[0], inputs)
        )

    def _near(self, op: Op, children: tuple[Op, ...]) -> list[tuple[int, int, Rule, Call]]:
        """The variants that ask for this operation and this first input, in order."""
        found = self._variants(op)
        free = found.get(None, [])
        if not children or children[0] not in found:
            return free
        return sorted([*free, *found[children[0]]], key=lambda entry: entry[0])

    def _by_operations(self, op: Op, children: tuple[Op, ...]) -> list[Indexed]:
        found = self._by_ops.get((op, *children))
        if found is None:
            fits: list[Indexed] = [
                self._matched(k, rule, variant)
                for _, k, rule, variant in self._near(op, children)
                if could_match(variant, op, children)
            ]
            fits += [e for e in self._anywhere if could_match(e[1], op, children)]
            found = self._by_ops[op, *children] = sorted(fits, key=lambda entry: entry[0])
        return found

    def _tops(self, op: Op, inputs: tuple[Kind, ...]) -> tuple[Top, ...]:
        return tuple(
            (k, tree, op in tree.ops)
            for k, i in enumerate(inputs)
            for tree in self.trees
            if i.op in tree.ops and not (tree.ops | tree.near).isdisjoint(i.ops)
        )


def _looks(rule: Rule, inputs: tuple[Kind, ...]) -> bool:
    return rule.looks is None or rule.looks(inputs)


class Kinds(dict[Tensor, Kind]):
    """The kinds of nodes, those asked for before they were tried found out on the way."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules

    def __missing__(self, node: Tensor) -> Kind:
        """Of a node that something else has replaced."""
        inner = node.inputs[0] if node.op is s.broadcast_to else node
        marks = self.rules.marks(node) if inner.op is leaves.constant else None
        found = self[node] = self.rules.kind(node.op, tuple([i.op for i in node.inputs]), marks)
        return found
