"""All rules together come to an end: on every rule's example, and linearly in the rewrites."""

from __future__ import annotations

import warnings

import pytest
from rule_examples import examples_of

import symgraph as sg
from symgraph import Tensor
from symgraph.errors import GraphError, SymgraphError
from symgraph.passes.rules.engine import Counts, RuleSet, rewrite_outputs
from symgraph.passes.rules.pattern import P, Var
from symgraph.passes.rules.rule import EXACT, ROUNDING, Rule, RuleWarning
from symgraph.passes.rules.table import RULES

SETS = {"strict": sg.rules.strict, "default": sg.rules.default, "fast": sg.rules.fast}
a, b = Var("a"), Var("b")


def _examples(rule: Rule) -> list[Tensor]:
    x, y, z = (sg.matrix(name, shape=("n", 3)) for name in "xyz")
    k = sg.tensor("k", shape=("n",), dtype="int64")
    found = []
    for example in examples_of(rule, x, y, z, k):
        try:
            found.append(example())
        except SymgraphError:  # an operation is not defined for this dtype
            continue
    return found


def _settled(expression: Tensor, rules: RuleSet) -> Tensor:
    """The normal form; rules that undo one another are an error, and so is a second normal form."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuleWarning)
        (once,), _ = rewrite_outputs([expression], rules, "test")
        (twice,), log = rewrite_outputs([once], rules, "test")
    assert twice is once, f"simplified again: {', '.join(step.rule for step in log)}"
    return once


@pytest.mark.parametrize("passes", SETS)
@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_all_rules_settle_on_the_example_of_each(rule: Rule, passes: str) -> None:
    for example in _examples(rule):
        _settled(example, SETS[passes])


PLANTED = [
    Rule("log_taken_apart", P.softplus(a), P.log(P.add(1.0, P.exp(a))), ROUNDING),
    Rule("difference_of_sum", P.subtract(a, b), P.add(a, P.negative(b)), EXACT),
    Rule("square_apart", P.square(a), P.multiply(a, a), EXACT),
    Rule("ever_larger", P.tanh(a), P.tanh(P.sinh(a)), EXACT),
    Rule("literal_pushed_in", P.negative(P.abs(a)), P.multiply(-1.0, P.abs(a)), EXACT),
]


@pytest.mark.parametrize("planted", PLANTED, ids=[rule.name for rule in PLANTED])
def test_planted_rule_that_undoes_another_is_caught(planted: Rule) -> None:
    rules = RuleSet((*RULES, planted))
    with pytest.raises(GraphError, match=r"undo one another|without end"):
        for rule in (*RULES, planted):
            for example in _examples(rule):
                _settled(example, rules)


def test_built_in_rules_that_undo_one_another_stop_with_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = Rule("there", P.sinh(a), P.cosh(a), EXACT)
    back = Rule("back", P.cosh(a), P.sinh(a), EXACT)
    built_in = {"there": there, "back": back}
    monkeypatch.setattr("symgraph.passes.rules.engine.built_in", lambda: built_in)
    expression = 1 + sg.sinh(sg.vector("x"))
    with pytest.warns(RuleWarning, match="undo one another: there, back; rewriting stopped"):
        (out,), _ = rewrite_outputs([expression], RuleSet([there, back]), "test")
    assert out.op.name == "add" and out.inputs[1].op.name in ("sinh", "cosh")


def test_built_in_growth_stops_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    grow = Rule("grow", P.sinh(a), P.sinh(P.cosh(a)), EXACT)
    monkeypatch.setattr("symgraph.passes.rules.engine.built_in", lambda: {"grow": grow})
    with pytest.warns(RuleWarning, match="without end: grow"):
        rewrite_outputs([sg.sinh(sg.vector("x"))], RuleSet([grow]), "test")


def _work(expression: Tensor, rules: RuleSet) -> Counts:
    found: list[Counts] = []
    rewrite_outputs([expression], rules, "test", found.append)
    return found[0]


def _alternating(n: int) -> Tensor:
    x, y = sg.vector("x", shape="n"), sg.vector("y", shape="n")
    out = x
    for _ in range(n // 2):
        out = sg.log(1 + sg.exp(out)) + y
        out = sg.negative(-sg.log1p(sg.exp(-sg.abs(out * 1))))
    return out


@pytest.mark.parametrize("passes", SETS)
def test_long_chain_of_rewrites_is_linear(passes: str) -> None:
    small, large = (_work(_alternating(n), SETS[passes]) for n in (1_000, 10_000))
    assert large.rewrites > 10_000 / 2
    for what in ("visits", "attempts", "rewrites"):
        assert getattr(large, what) <= 10 * getattr(small, what) + 100, what
