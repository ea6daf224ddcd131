"""Every rule fires on an example and keeps its contract there; unsound rules are caught."""

from __future__ import annotations

import pytest
from contracts import ContractBroken, check_contract
from rule_examples import ABSOLUTE, examples_of

import symgraph as sg
from symgraph import Tensor
from symgraph.errors import SymgraphError
from symgraph.passes.rules import RULES
from symgraph.passes.rules.engine import RuleSet, rewrite_outputs
from symgraph.passes.rules.pattern import P, Var
from symgraph.passes.rules.rule import CONTRACTS, EXACT, ROUNDING, STABILISING, Rule

NAMES = [rule.name for rule in RULES]


def _inputs(dtype: str) -> list[Tensor]:
    xs = [sg.tensor(name, shape=("n", 3), dtype=dtype) for name in "xyz"]
    return [*xs, sg.tensor("k", shape=("n",), dtype="int64")]


def _fired(rule: Rule, inputs: list[Tensor]) -> tuple[Tensor, Tensor] | None:
    """An example before and after the rule alone was applied to it, if it fires on one."""
    rules = RuleSet([rule], relaxed=True)
    for example in examples_of(rule, *inputs):
        try:
            before = example()
        except SymgraphError:  # an operation is not defined for this dtype
            continue
        (after,), log = rewrite_outputs([before], rules, "test")
        if log:
            return before, after
    return None


def _attempt(rule: Rule, dtype: str) -> bool:
    inputs = _inputs(dtype)
    found = _fired(rule, inputs)
    if found is None:
        return False
    used = [v for v in inputs if v in sg.Graph([found[0]])] or inputs[:1]
    check_contract(rule.contract, *found, used, rule.ulps, rule.name in ABSOLUTE)
    return True


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_rule_fires_and_keeps_its_contract(rule: Rule) -> None:
    dtypes = ["float64", "float32", *(["int64"] if rule.contract == EXACT else [])]
    fired = [dtype for dtype in dtypes if _attempt(rule, dtype)]
    assert fired


def test_names_are_unique_and_contracts_known() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert {rule.contract for rule in RULES} <= set(CONTRACTS)


x, y = Var("x"), Var("y")
UNSOUND = [
    Rule("add_zero_is_not_exact", P.add(x, 0.0), x, EXACT),
    Rule("zero_absorbs_no_infinity", P.multiply(x, 0.0), P.subtract(0.0, 0.0), ROUNDING),
    Rule("exp_log_forgets_the_sign", P.exp(P.log(x)), x, ROUNDING),
    Rule("division_is_not_exact", P.divide(x, 3.0), P.multiply(x, 1 / 3), EXACT),
    Rule("overflow_on_the_way", P.divide(x, y), P.multiply(x, P.reciprocal(y)), ROUNDING),
    Rule("log_of_square_has_a_modulus", P.log(P.square(x)), P.multiply(2.0, P.log(x)), STABILISING),
    Rule("naive_softplus", P.softplus(x), P.log(P.add(1.0, P.exp(x))), STABILISING),
]


@pytest.mark.parametrize("rule", UNSOUND, ids=[r.name for r in UNSOUND])
def test_unsound_rule_is_caught(rule: Rule) -> None:
    with pytest.raises(ContractBroken):
        _attempt(rule, "float64")
