"""Rules indexed by the operations they may fit."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from symgraph.errors import GraphError, UsageError
from symgraph.op import Op
from symgraph.ops import leaves
from symgraph.ops import shape as s
from symgraph.passes.rules.pattern import (
    CONSTANT_OPS,
    Call,
    Kind,
    Matcher,
    Node,
    Number,
    Pattern,
    Tree,
    Var,
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

#: a rule's place, one variant of its left side, the rule, and what makes the variant's matcher
Indexed = tuple[int, Call | Node, Rule, Callable[[], Matcher] | None]

#: what a left side asks each input to be: made by an operation, or `ANY`, or `LITERAL`
Asked = tuple[Op | str, ...]

#: a rule's place, the rule and its left side
Placed = tuple[int, Rule, Call]

ANY, LITERAL = "any", "literal"

#: inputs of a node of which all combinations of what they grant are looked up
FEW = 4

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
        #: left sides that are no pattern, by the operations they name; None where they name none
        self._anywhere: dict[Op | None, list[tuple[int, Node, Rule]]] = {}
        self._by_op: dict[Op, list[Placed]] | None = None
        self._of_op: dict[Op, dict[Asked, list[Placed]]] = {}
        self._nodes_of: dict[Op, list[tuple[Node, Indexed]]] = {}
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
            import difflib  # only needed for the message

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
        make = rule.memo.get("maker")
        if make is None:
            make = rule.memo["maker"] = rule.maker()
        return rule, match, rule.when, sound, make

    def _index(self) -> dict[Op, list[Placed]]:
        """The rules and their places by the operation of the left side; made at first use."""
        by_op: dict[Op, list[Placed]] = {}
        for k, rule in enumerate(self.rules):
            left = rule.left
            if isinstance(left, Tree) or not self._may_fire(rule):
                continue
            if isinstance(left, Node):
                entry = k, left, rule
                for op in (None,) if left.ops is None else left.ops:
                    self._anywhere.setdefault(op, []).append(entry)
                continue
            if not isinstance(left, Call):
                raise GraphError(f"rule {rule.name}: the left side is no operation")
            for n in _numbers_of(rule):
                if repr(n) not in map(repr, self._numbers.setdefault(n, [])):
                    self._numbers[n].append(n)
            by_op.setdefault(left.op, []).append((k, rule, left))
        self._by_op = by_op
        return by_op

    def _lefts(self, op: Op) -> dict[Asked, list[Placed]]:
        """The left sides of one operation by what they ask of its inputs, in either order where the
        operation commutes; made when it is first met."""
        found = self._of_op.get(op)
        if found is None:
            by_op = self._by_op if self._by_op is not None else self._index()
            found = self._of_op[op] = {}
            for placed in by_op.get(op, ()):
                asked = _asked_of(placed[1], placed[2])
                found.setdefault(asked, []).append(placed)
                if "commutative" in op.traits and len(asked) == 2 and asked[0] != asked[1]:
                    found.setdefault(asked[::-1], []).append(placed)
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
            [
                self._candidate(rule, None if fit is None else fit())
                for _, left, rule, fit in self._by_operations(op, tuple([i.op for i in inputs]))
                if may_match(left, inputs) and (rule.looks is None or rule.looks(inputs))
            ]
        )

    def _near(self, op: Op, children: tuple[Op, ...]) -> list[Indexed]:
        """The left sides that fit this operation on inputs made by these, in order."""
        found = self._lefts(op)
        if len(children) > FEW:
            fits = {k for k in found if len(k) == len(children) and all(map(_granted, k, children))}
        else:
            fits = {k for k in itertools.product(*map(_offered, children)) if k in found}
        rules = {placed[0]: placed for asked in fits for placed in found[asked]}
        return [
            (k, variant.left, rules[k][1], variant.matcher)
            for k in sorted(rules)
            for variant in _variants_of(rules[k][1])
            if variant.asked in fits
        ]

    def _nodes(self, op: Op) -> list[tuple[Node, Indexed]]:
        """The left sides of any operation that fit this one on some inputs."""
        found = self._nodes_of.get(op)
        if found is None:
            entries = [*self._anywhere.get(op, ()), *self._anywhere.get(None, ())]
            found = self._nodes_of[op] = [
                (left, (k, left, rule, None)) for k, left, rule in entries if left.takes(op)
            ]
        return found

    def _by_operations(self, op: Op, children: tuple[Op, ...]) -> list[Indexed]:
        found = self._by_ops.get((op, *children))
        if found is None:
            fits = self._near(op, children)
            fits += [entry for left, entry in self._nodes(op) if left.over(children)]
            found = self._by_ops[op, *children] = sorted(fits, key=lambda entry: entry[0])
        return found

    def _tops(self, op: Op, inputs: tuple[Kind, ...]) -> tuple[Top, ...]:
        return tuple(
            (k, tree, op in tree.ops)
            for k, i in enumerate(inputs)
            for tree in self.trees
            if i.op in tree.ops and not (tree.ops | tree.near).isdisjoint(i.ops)
        )


class _Variant:
    """A left side with its operands in one order, and what matches it: made when it may fit."""

    __slots__ = ("_matcher", "asked", "left")

    def __init__(self, left: Call) -> None:
        self.left, self.asked = left, asks(left)
        self._matcher: Matcher | None = None

    def matcher(self) -> Matcher:
        if self._matcher is None:
            self._matcher = matcher(self.left)
        return self._matcher


def _variants_of(rule: Rule) -> list[_Variant]:
    """The left side of a rule with its operands in every order."""
    found: list[_Variant] | None = rule.memo.get("variants")
    if found is None:
        made = variants(rule.left) if isinstance(rule.left, Call) else []
        found = rule.memo["variants"] = [_Variant(v) for v in made if isinstance(v, Call)]
    return found


def _asked_of(rule: Rule, left: Call) -> Asked:
    """What the left side of a rule asks as it is written."""
    found: Asked | None = rule.memo.get("asked")
    if found is None:
        found = rule.memo["asked"] = asks(left)
    return found


def _numbers_of(rule: Rule) -> list[Number]:
    """The numbers that the left side of a rule asks for."""
    found: list[Number] | None = rule.memo.get("numbers")
    if found is None:
        found = rule.memo["numbers"] = numbers_in(rule.left)
    return found


def asks(left: Call) -> Asked:
    """What a left side asks each input to be."""
    return tuple([_asked(arg) for arg in left.args])


def _asked(arg: Pattern) -> Op | str:
    if isinstance(arg, Call):
        return arg.op
    return ANY if isinstance(arg, Var) else LITERAL


def _offered(child: Op) -> Asked:
    """What an input that ``child`` makes grants."""
    return (child, ANY, LITERAL) if child in CONSTANT_OPS else (child, ANY)


def _granted(asked: Op | str, child: Op) -> bool:
    return asked in _offered(child)


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
