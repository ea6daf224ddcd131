"""Audits: errors in ulps before and after each rule, a witness, and what was left out."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from traced_models import (
    MODELS,
    deep_network_hvp,
    naive_cross_entropy,
    planted,
    softplus_by_hand,
)

import symgraph as sg
from symgraph.errors import UnsupportedError, UsageError
from symgraph.passes.rules.pattern import P, Var
from symgraph.passes.rules.rule import EXACT, ROUNDING, STABILISING, Rule

x_ = Var("x")
SEED = 3
#: puts the number first
FIRST = Rule("number_first", P.multiply(x_, 2.0), P.multiply(2.0, x_), EXACT)


def test_a_stabilising_rule_is_measured_before_and_after() -> None:
    (rule,) = [r for r in softplus_by_hand().audit(seed=SEED).rules if r.contract == "stabilising"]
    assert rule.result is not None
    assert rule.result.before == np.inf and rule.result.after < 4 and not rule.result.worse
    assert "x = " in rule.result.witness and (rule.fired, rule.measured) == (1, 1)


def test_the_whole_function_is_measured() -> None:
    found = softplus_by_hand().audit(seed=SEED)
    assert found.whole is not None
    assert found.whole.before == np.inf and found.whole.after < 4
    assert "the whole function: inf before, " in str(found)


def test_the_cross_entropy_is_not_made_worse() -> None:
    found = naive_cross_entropy().audit(samples=3, seed=SEED)
    assert found.worse == () and "no rule made anything worse" in str(found)
    assert {r.rule for r in found.rules} == set(naive_cross_entropy().rewrites.counts())


WORSE = [
    Rule("naive_softplus", P.softplus(x_), P.log(P.add(1.0, P.exp(x_))), STABILISING),
    Rule("naive_expm1", P.expm1(x_), P.subtract(P.exp(x_), 1.0), ROUNDING),
    Rule("naive_log1p", P.log1p(x_), P.log(P.add(1.0, x_)), ROUNDING),
]


@pytest.mark.parametrize("rule", WORSE, ids=[r.name for r in WORSE])
def test_a_rule_that_makes_it_worse_is_named_with_a_witness(rule: Rule) -> None:
    x = sg.vector("x", shape=8)
    y = sg.softplus(x) + sg.expm1(x) + sg.log1p(x)
    f = sg.function([x], y, passes=planted(rule), backend="reference")
    found = f.audit(seed=SEED)
    (measured,) = found.worse
    assert measured.rule == rule.name and measured.result is not None
    assert measured.result.after > 100 and "x = " in measured.result.witness
    assert f"made something worse: {rule.name}" in str(found) and "WORSE by" in str(found)


def test_a_witness_shows_the_error() -> None:
    x = sg.vector("x", shape=8)
    f = sg.function([x], sg.expm1(x), passes=planted(WORSE[1]), backend="reference")
    result = f.audit(seed=SEED).rules[0].result
    assert result is not None
    at = float(result.witness.split("x = ")[1].split(" ")[0])
    got, want = np.exp(at) - 1.0, np.expm1(at)
    off = abs(got - want) / np.spacing(abs(want))
    assert off > 100 or (np.isnan(got) != np.isnan(want))


@pytest.mark.parametrize("shift", [1.0, 0.5])
def test_a_rule_that_looks_into_its_operands_starts_below_them(shift: float) -> None:
    x = sg.vector("x")
    found = sg.function([x], sg.sqrt(x + shift) - sg.sqrt(x), backend="reference").audit(seed=SEED)
    (rule,) = [r for r in found.rules if r.rule == "difference_of_roots"]
    assert found.worse == () and rule.result is not None
    assert rule.result.before > 1e9 and rule.result.after < 4


def test_starting_below_hides_no_worse_rule() -> None:
    x, y = sg.vector("x", shape=8), sg.vector("y", shape=8)
    rule = Rule("naive_expm1", P.expm1(x_), P.subtract(P.exp(x_), 1.0), STABILISING)
    f = sg.function([x, y], sg.expm1(sg.sin(x) * y), passes=planted(rule), backend="reference")
    assert [r.rule for r in f.audit(seed=SEED).worse] == ["naive_expm1"]


def test_a_few_ulps_of_several_rewrites_are_not_worse() -> None:
    x = sg.vector("x", shape=64)
    y = sg.exp(x) / (1 + sg.exp(x)) * sg.log(1 + sg.exp(x)) * sg.exp(-x) * sg.exp(x * 0.5)
    whole = sg.function([x], y, backend="reference").audit(samples=3, seed=SEED).whole
    assert whole is not None and not whole.worse


def test_rewrites_beyond_the_cap_are_counted() -> None:
    x = sg.vector("x", shape=4)
    y = x
    for k in range(9):
        y = sg.sin(sg.log(1 + sg.exp(y))) * (k + 2.5)
    f = sg.function([x], y, backend="reference")
    found = f.audit(samples=1, per_rule=2)
    fired = f.rewrites.by(contract="stabilising").counts()
    for rule in found.rules:
        if rule.rule in fired:
            assert (rule.fired, rule.measured) == (fired[rule.rule], min(2, fired[rule.rule]))
    assert max(fired.values()) == 9 and "2 of 9 measured" in str(found)


def test_what_is_too_large_is_said() -> None:
    f = deep_network_hvp("default")
    found = f.audit(samples=1, per_rule=1)
    assert found.whole is None and "not measured: one takes about" in str(found)
    assert sum(r.fired for r in found.rules) == len(f.rewrites)


def test_an_operation_of_the_users_own_is_left_out_with_the_reason() -> None:
    x = sg.vector("x", shape=4)
    twice = sg.Op(
        "twice",
        lambda types, attrs, equations: types[0],
        lambda a: 2 * a,
        frozenset({"elementwise"}),
    )
    from symgraph.tensor import apply

    f = sg.function([x], sg.negative(-apply(twice, (sg.log(1 + sg.exp(x)),))), backend="reference")
    found = f.audit(samples=1)
    assert "twice (made at test_audit.py:" in found.left_out
    assert any(r.result is not None and r.contract == "stabilising" for r in found.rules)


def test_without_rewrites_there_is_still_the_function() -> None:
    x = sg.vector("x", shape=3)
    found = sg.function([x], sg.sin(x), passes=(), backend="reference").audit(samples=1)
    assert found.rules == () and found.whole is not None and not found.whole.worse


def test_integers_are_compared_exactly() -> None:
    k = sg.vector("k", shape=3, dtype="int8")
    found = sg.function([k], sg.negative(-k), backend="reference").audit(samples=2)
    assert found.whole is not None and (found.whole.before, found.whole.after) == (0, 0)


def test_a_witness_tells_what_both_sides_gave() -> None:
    result = softplus_by_hand().audit(seed=SEED).rules[-1].result
    assert result is not None
    at = float(result.witness.split("x = ")[1].split(" ")[0])
    assert result.outcome == f"inf before, {at} after, where {at} is right"


def test_a_witness_of_a_reduction_is_the_whole_array() -> None:
    x = sg.vector("x", shape=3)
    f = sg.function([x], sg.sum(sg.exp(x) - 1), passes=(), backend="reference")
    whole = f.audit(samples=3, seed=SEED).whole
    assert whole is not None and whole.witness.startswith("x = [")


def test_exact_rules_that_change_no_bit_share_a_line() -> None:
    x = sg.vector("x", shape=3)
    f = sg.function([x], sg.negative(-sg.sin(x)) * 1.0, backend="reference")
    found = f.audit(samples=1)
    assert all(r.result is not None and r.result.same_bits for r in found.rules)
    assert "the same bits before and after: negative_twice 1 of 1, multiply_one 1 of 1" in str(
        found
    )


def test_an_exact_rule_that_changes_bits_is_measured() -> None:
    x = sg.vector("x", shape=8)
    wrong = Rule("double_is_triple", P.multiply(2.0, x_), P.multiply(3.0, x_), EXACT)
    f = sg.function([x], x * 2.0, passes=(*planted(FIRST), *planted(wrong)), backend="reference")
    (measured,) = f.audit(samples=1).worse
    assert measured.rule == "double_is_triple"


def test_shared_variables_keep_their_values() -> None:
    w = sg.shared(np.array([1.0, 2.0, 3.0]), name="w")
    f = sg.function([], None, updates={w: w - sg.log(1 + sg.exp(w))}, backend="reference")
    found = f.audit(samples=2)
    assert found.whole is not None and w.get_value().tolist() == [1.0, 2.0, 3.0]


def test_labels_stay_within_their_range() -> None:
    z, k = sg.matrix("z", shape=("n", 3)), sg.vector("k", shape="n", dtype="int64")
    y = -sg.mean(sg.log(sg.softmax(z))[sg.arange(z.shape[0]), k])
    found = sg.function([z, k], y, backend="reference").audit(samples=2)
    assert found.worse == () and found.left_out == ""


def test_sizes_found_while_running_are_measured() -> None:
    x = sg.vector("x", shape=24)
    f = sg.function([x], sg.sum(sg.log(1 + sg.exp(x[x > 0]))), backend="reference")
    found = f.audit(samples=3, seed=SEED)
    assert found.whole is not None and found.whole.before == np.inf and found.whole.after < 16


def test_exponentials_of_huge_numbers_take_no_time() -> None:
    x = sg.vector("x", shape=3)
    f = sg.function([x], sg.sigmoid(x * 1e30), passes=(), backend="reference")
    found = f.audit(samples=3, seed=SEED)
    assert found.whole is not None and found.whole.after < 4


@pytest.mark.parametrize("model", MODELS, ids=[m.__name__ for m in MODELS])
def test_the_default_pipeline_makes_no_model_worse(model: Any) -> None:
    found = model().audit(samples=1, seed=SEED, per_rule=1)
    assert found.worse == () and found.rules


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples=0 is not a whole number from 1 on"),
        ({"samples": 2.5}, "samples=2.5 is not"),
        ({"per_rule": True}, "per_rule=True is not"),
        ({"seed": -1}, "seed=-1 is not a whole number from 0 on"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=f"audit: {message}"):
        softplus_by_hand().audit(**options)


def test_an_audit_shows_itself() -> None:
    found = softplus_by_hand().audit(samples=1)
    assert repr(found) == str(found)


def test_without_mpmath_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [m for m in sys.modules if m.startswith("symgraph.backends.precise.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mpmath", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'symgraph\[audit\]'"):
        softplus_by_hand().audit()
