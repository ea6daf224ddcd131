"""Rules that users add, rules they switch off, and what is said when that goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import GraphError, UsageError
from symgraph.passes.rules.ruleset import RuleSet

x, y = sg.vector("x", shape="n"), sg.vector("y", shape="n")
HALF_ANGLE = sg.rule("half_angle", lambda a: 2 * (sg.sin(a) * sg.cos(a)), lambda a: sg.sin(2 * a))


def _ops(expression: Any) -> list[str]:
    return [n.op.name for n in sg.Graph([expression]).nodes if n.inputs]


def test_added_rule_simplifies() -> None:
    out = sg.simplify(2 * (sg.sin(x) * sg.cos(x)), rules=sg.rules.default + HALF_ANGLE)
    assert _ops(out) == ["multiply", "sin"]


def test_added_rule_is_used_by_function() -> None:
    f = sg.function([x], 2 * (sg.cos(x) * sg.sin(x)), passes=sg.rules.default + HALF_ANGLE)
    assert "half_angle" in [step.rule for step in f.rewrites]
    np.testing.assert_allclose(f(np.array([0.3, 2.0])), np.sin([0.6, 4.0]), rtol=1e-15)


def test_a_rule_alone() -> None:
    kept, changed = sg.negative(-x), 2 * (sg.sin(x) * sg.cos(x))
    out = sg.simplify([kept, changed], rules=[HALF_ANGLE])
    assert out[0] is kept and _ops(out[1]) == ["multiply", "sin"]


def test_rule_switched_off_by_name() -> None:
    expression = sg.log(1 + sg.exp(x))
    on = sg.simplify(expression)
    fired = {s.rule for s in sg.function([x], expression).rewrites}
    off = sg.rules.default
    for name in fired:
        off = off - name
    assert _ops(on) == ["softplus"] and _ops(sg.simplify(expression, rules=off)) != ["softplus"]


def test_sets_do_not_change() -> None:
    before = len(sg.rules.default)
    more, fewer = sg.rules.default + HALF_ANGLE, sg.rules.default - "divide_one"
    assert (len(more), len(fewer), len(sg.rules.default)) == (before + 1, before - 1, before)
    assert "half_angle" in more and more["half_angle"] is HALF_ANGLE and HALF_ANGLE in more
    assert "divide_one" not in fewer and "half_angle" not in sg.rules.default


def test_strict_holds_exact_rules_only() -> None:
    assert {rule.contract for rule in sg.rules.strict} == {"exact"}
    assert set(sg.rules.strict) < set(sg.rules.default) == set(sg.rules.fast)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_one_rule_serves_every_dtype(dtype: str) -> None:
    rule = sg.rule("doubled", lambda a: a + a, lambda a: 3 * a - a, "exact")
    v = sg.tensor("v", shape=3, dtype=dtype)
    out = sg.simplify(v + v, rules=rule)
    assert _ops(out) == ["multiply", "subtract"] and out.dtype == v.dtype


def test_condition_sees_facts_and_users() -> None:
    positive = sg.rule(
        "abs_gone", lambda a: sg.abs(a), lambda a: a, "exact", when=lambda m: m.facts.positive(m.a)
    )
    assert sg.simplify(sg.abs(sg.exp(x)), rules=positive) is sg.exp(x)
    assert _ops(sg.simplify(sg.abs(x), rules=positive)) == ["abs"]
    single = sg.rule(
        "split", lambda a, b: sg.exp(a + b), lambda a, b: sg.exp(a) * sg.exp(b), "rounding",
        when=lambda m: m.alone(m.node.inputs[0]),
    )  # fmt: skip
    shared = x + y
    assert _ops(sg.simplify(sg.exp(shared), rules=single)).count("exp") == 2
    both = sg.simplify([sg.exp(shared), sg.sin(shared)], rules=single)
    assert _ops(both[0]) == ["add", "exp"]


def test_finite_only_rule_waits_for_fast_or_its_condition() -> None:
    gone = sg.rule("gone", lambda a: sg.sinh(a) - sg.sinh(a), lambda a: 0.0, "finite-only")
    without = [sg.rules.default - "subtract_same", sg.rules.fast - "subtract_same"]
    kept, dropped = (sg.simplify(sg.sinh(x) - sg.sinh(x), rules=r + gone) for r in without)
    assert "sinh" in _ops(kept) and "sinh" not in _ops(dropped)


def test_rules_that_undo_one_another_are_named() -> None:
    there = sg.rule("there", lambda a: sg.sinh(a), lambda a: sg.cosh(a))
    back = sg.rule("back", lambda a: sg.cosh(a), lambda a: sg.sinh(a))
    with pytest.raises(GraphError, match="undo one another: there, back"):
        sg.simplify(sg.sinh(x), rules=sg.rules.default + there + back)


def test_rule_that_undoes_a_built_in_one_is_named() -> None:
    back = sg.rule("back", lambda a: sg.softplus(a), lambda a: sg.log(1 + sg.exp(a)))
    with pytest.raises(GraphError, match=r"undo one another: .*back"):
        sg.simplify(sg.log(1 + sg.exp(x)), rules=sg.rules.default + back)


def test_endless_growth_is_an_error() -> None:
    grow = sg.rule("grow", lambda a: sg.sinh(a), lambda a: sg.sinh(sg.cosh(a)))
    with pytest.raises(GraphError, match="without end: grow"):
        sg.function([x], sg.sinh(x), passes=sg.rules.default + grow)


def _any(value: Any) -> Any:
    """A value that the type checker does not look into."""
    return value


WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: sg.rule("", lambda a: -a, lambda a: a), "name=''"),
    (lambda: sg.rule("r", lambda a: -a, lambda a: a, "exactly"), "contract='exactly' is not one"),
    (lambda: sg.rule("r", lambda a: a, lambda a: a), "left is no operation"),
    (lambda: sg.rule("r", lambda a: -a, lambda b: b), "right uses b, which left does not bind"),
    (lambda: sg.rule("r", lambda a, b: -a, lambda b: b), "right uses b, which left does not bind"),
    (lambda: sg.rule("r", lambda a: -a, lambda a: a + x), "right uses x, which is no parameter"),
    (lambda: sg.rule("r", lambda *a: -a[0], lambda a: a), r"left takes \*a"),
    (lambda: sg.rule("r", lambda a: sg.astype(a, "int8"), lambda a: a), "astype, which has"),
    (lambda: sg.rule("r", lambda a: a @ a, lambda a: a), "left cannot be traced on scalars"),
    (lambda: sg.rule("r", _any(-x), lambda a: a), "left=.* is not a function"),
    (lambda: sg.rule("r", lambda a: -a, lambda a: a, when=_any(True)), "when=True"),
    (lambda: sg.rule("r", lambda a: -a, lambda a: a, sound=lambda m: True), "sound= belongs"),
    (lambda: sg.rules.default - "divide_on", "no rule 'divide_on'; did you mean divide_one"),
    (lambda: sg.rules.default + _any("divide_one"), "'divide_one': that is no rule"),
    (lambda: sg.rules.default + sg.rules.default["divide_one"], "there is a rule of that name"),
    (lambda: sg.simplify(x, rules=_any(["divide_one"])), "rules=.*is not a set of rules"),
    (lambda: sg.simplify(x, "fast", rules=sg.rules.fast), "passes='fast' and rules= exclude"),
    (
        lambda: sg.function([x], x, passes=_any(HALF_ANGLE)),
        "is not a pipeline's name or a tuple",
    ),
]


@pytest.mark.parametrize(("make", "message"), WRONG, ids=[m for _, m in WRONG])
def test_what_does_not_fit_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_a_set_tells_what_it_is() -> None:
    assert repr(RuleSet([HALF_ANGLE])) == "<1 rules>" and list(RuleSet([HALF_ANGLE])) == [
        HALF_ANGLE
    ]
