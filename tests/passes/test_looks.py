"""Declining early is only that: what the index leaves out would not have fired."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from rule_examples import examples_of

import symgraph as sg
from symgraph import Graph, Tensor
from symgraph.errors import SymgraphError
from symgraph.passes.facts import Facts
from symgraph.passes.rules.pattern import (
    Call,
    Env,
    Kind,
    Node,
    P,
    Tree,
    Var,
    could_match,
    matcher,
    may_match,
    variants,
)
from symgraph.passes.rules.rule import EXACT, Match, Rule
from symgraph.passes.rules.ruleset import Kinds, RuleSet
from symgraph.passes.rules.table import RULES
from symgraph.passes.rules.users import Users

a = Var("a")


@cache
def _graphs() -> list[tuple[Graph, Users]]:
    """Every rule's examples."""
    x, y, z = (sg.matrix(name, shape=("n", 3)) for name in "xyz")
    k = sg.tensor("k", shape=("n",), dtype="int64")
    found = []
    for rule in RULES:
        for example in examples_of(rule, x, y, z, k):
            try:
                graph = Graph([example()])
            except SymgraphError:  # an operation is not defined for this dtype
                continue
            done = {n: n for n in graph.nodes}
            found.append((graph, Users(graph.outputs, graph.nodes, done)))
    return found


def _places(rule: Rule) -> Iterator[tuple[Tensor, Env, Users]]:
    """The nodes that the left side of a rule fits, and its variables there."""
    assert not isinstance(rule.left, Tree)
    forms = [rule.left] if isinstance(rule.left, Node) else variants(rule.left)
    fits = [(form, matcher(form)) for form in forms]
    for graph, users in _graphs():
        for node in graph.nodes:
            for form, fit in fits:
                env: Env = {}
                if isinstance(form, Node):
                    if could_match(form, node.op, tuple(i.op for i in node.inputs)):
                        yield node, env, users
                elif fit(node, env):
                    yield node, env, users


def _seen(node: Tensor, kinds: Kinds) -> tuple[Kind, ...]:
    return tuple(kinds[i] for i in node.inputs)


@pytest.mark.parametrize("rule", [r for r in RULES if r.looks], ids=lambda rule: rule.name)
def test_a_rule_that_does_not_like_the_look_of_a_node_would_have_declined(rule: Rule) -> None:
    kinds, facts, make = Kinds(RuleSet([rule], relaxed=True)), Facts(), rule.maker()
    assert rule.looks is not None
    for node, env, users in _places(rule):
        if not rule.looks(_seen(node, kinds)):
            match = Match(node, env, facts, users)
            fires = (rule.when is None or rule.when(match)) and make(match) not in (None, node)
            assert not fires, f"{rule.name} on {sg.pprint(node)}"


def test_what_a_pattern_fits_is_of_a_kind_that_may_match() -> None:
    for rule in RULES:
        if isinstance(rule.left, (Node, Tree)):
            continue
        kinds = Kinds(RuleSet([rule], relaxed=True))
        for variant in variants(rule.left):
            fit = matcher(variant)
            for graph, _ in _graphs():
                for node in graph.nodes:
                    if fit(node, {}):
                        assert may_match(variant, _seen(node, kinds)), rule.name


TIMES = [
    Rule(name, P.multiply(value, a), a, EXACT)
    for name, value in {"one": 1, "two": 2.0, "zero": 0.0, "minus zero": -0.0}.items()
]


def _tried(rules: list[Rule], node: Tensor) -> list[str]:
    found = RuleSet(rules)
    _, candidates, _ = found.select((node.op, *_seen(node, Kinds(found))))
    return [candidate[0].name for candidate in candidates]


@pytest.mark.parametrize(
    ("value", "names"),
    [(1.0, ["one"]), (2.0, ["two"]), (0.0, ["zero"]), (-0.0, ["minus zero"]), (3.0, [])],
)
def test_rules_for_a_literal_are_tried_on_that_literal_only(value: float, names: list[str]) -> None:
    factor = sg.constant(value, dtype="float64")
    assert _tried(TIMES, sg.sin(sg.vector("x")) * factor) == names


def test_what_stands_twice_is_not_tried_on_operands_of_two_kinds() -> None:
    x, y = sg.vector("x"), sg.vector("y")
    same = [Rule("same", P.multiply(a, a), a, EXACT)]
    assert _tried(same, sg.sin(x) * sg.cos(x)) == []
    assert _tried(same, sg.sin(x) * sg.sin(y)) == ["same"]


def test_the_index_finds_what_a_look_at_every_rule_finds() -> None:
    """The same variants in the same order, for the operations of every graph and of no rule."""
    rules = RuleSet(RULES, relaxed=True)
    seen = {(n.op, tuple([i.op for i in n.inputs])) for g, _ in _graphs() for n in g.nodes}
    flipped = {(op, inputs[::-1]) for op, inputs in seen}
    for op, inputs in seen | flipped:
        every = [
            (k, variant)
            for k, rule in enumerate(RULES)
            if isinstance(rule.left, Call)
            for variant in variants(rule.left)
            if could_match(variant, op, inputs)
        ]
        assert [(k, variant) for k, variant, *_ in rules._near(op, inputs)] == every
