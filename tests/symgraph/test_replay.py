"""Replay: each rewrite is computed again, and one that broke its contract is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from traced_models import deep_network_hvp, naive_cross_entropy, planted, softplus_by_hand

import symgraph as sg
from symgraph.errors import ShapeError, SymgraphError, UsageError
from symgraph.passes.rules.pattern import P, Var
from symgraph.passes.rules.rule import EXACT, FINITE_ONLY, ROUNDING, STABILISING, Rule
from symgraph.replay import replay

x_ = Var("x")
SEED = 7


@pytest.mark.parametrize("passes", ["strict", "default", "fast"])
def test_the_rewrites_of_real_models_keep_their_contracts(passes: str) -> None:
    for f in (naive_cross_entropy(passes=passes), deep_network_hvp(passes)):
        found = f.replay(seed=SEED)
        assert found.passed, f"seed {SEED}: {found}"
        assert [s.rewrite for s in found.steps] == list(f.rewrites)


def test_given_arguments_are_used() -> None:
    f = softplus_by_hand()
    steep = f.replay(np.array([0.0, 800.0, -800.0]))
    assert steep.passed  # the infinity of the original is what the rule is for
    with pytest.raises(SymgraphError):
        f.replay(np.zeros((2, 2)))


PLANTED = [
    Rule("wrong_value", P.exp(x_), P.expm1(x_), ROUNDING),
    Rule("wrong_bits", P.divide(x_, 3.0), P.multiply(x_, 1 / 3), EXACT),
    Rule("wrong_after_all", P.exp(x_), P.square(x_), STABILISING),
    Rule("wrong_even_if_finite", P.exp(x_), P.negative(x_), FINITE_ONLY),
]


@pytest.mark.parametrize("rule", PLANTED, ids=[r.name for r in PLANTED])
def test_a_planted_unsound_rule_is_reported(rule: Rule) -> None:
    x = sg.vector("x", shape="n")
    y = sg.sin(sg.exp(x) + 1) * (x / 3.0)
    f = sg.function([x], y, passes=planted(rule), backend="reference")
    found = replay(f, seed=SEED)
    assert not found.passed and [s.rewrite.rule for s in found.failures] == [rule.name]
    assert "1 broke their contracts" in str(found)
    assert f"BROKEN  {rule.name} [{rule.contract}] in plant (test_replay.py:" in str(found)


def test_a_rule_that_loses_a_nan_is_reported() -> None:
    x = sg.vector("x", shape="n")
    lossy = Rule("lossy", P.multiply(x_, 0.0), P.subtract(0.0, 0.0), ROUNDING)
    f = sg.function([x], x * 0.0, passes=planted(lossy), backend="reference")
    assert not f.replay(np.array([1.0, np.nan])).passed


def test_the_report_has_a_line_for_each_rule_that_kept_its_contract() -> None:
    f = naive_cross_entropy()
    found = f.replay(seed=SEED)
    lines = str(found).splitlines()
    assert lines[0] == f"replay of f: {len(f.rewrites)} rewrites, all keep their contracts"
    rules = [line.split()[1] for line in lines[1:]]
    assert rules == list(f.rewrites.counts()) and all(s.startswith("ok ") for s in lines[1:])
    assert repr(found) == str(found)


def test_a_seed_that_is_none_is_refused() -> None:
    seed: Any = "3"
    with pytest.raises(UsageError, match="replay: seed='3' is not a whole number from 0 on"):
        naive_cross_entropy().replay(seed=seed)


def test_symbolic_sizes_that_depend_on_each_other_find_values() -> None:
    a, b = sg.vector("a", shape="n"), sg.vector("b", shape="m")
    joined = sg.concat([a, b])
    total = sg.sum(joined * sg.vector("c", shape=joined.shape))
    inputs = [n for n in sg.Graph([total]).nodes if n.op.name == "input"]
    f = sg.function(inputs, sg.negative(-total), backend="reference")
    assert f.replay().passed and len(f.rewrites)


def test_shared_variables_keep_their_values() -> None:
    w = sg.shared(np.array([1.0, 2.0]), name="w")
    f = sg.function([], sg.log(1 + sg.exp(w)), backend="reference")
    assert f.replay().passed and len(f.rewrites)


def test_sizes_that_no_small_array_has_ask_for_arguments() -> None:
    x = sg.vector("x", shape="n")
    f = sg.function([x], sg.negative(-x[100]), backend="reference")
    with pytest.raises(SymgraphError, match="no small arrays were found that fit the inputs"):
        f.replay()
    assert f.replay(np.zeros(200)).passed
    with pytest.raises((ShapeError, SymgraphError)):
        f.replay(np.zeros(3))
