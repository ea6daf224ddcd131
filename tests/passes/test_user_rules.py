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
    (lambda: sg.rule("r", lambda a: a @ a, lambda a: a), "left uses matmul.*like="),
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


WRONG += [
    (lambda: sg.rule("r", lambda a: sg.sum(a), lambda a: a), r"left uses sum, which.*like="),
    (
        lambda: sg.rule("r", lambda a: sg.sum(a, axis=2), lambda a: a),
        "left cannot be traced on mat",
    ),
    (lambda: sg.rule("r", lambda a: sg.exp(a), lambda a: sg.sum(a)), r"right uses sum.*like="),
    (lambda: sg.rule("r", lambda a: a.T, lambda a: a), r"left uses permute_dims.*like="),
    (lambda: sg.rule("r", lambda a: -a, lambda a: a, like=[]), r"like=\[\] is not a list.*: a"),
    (lambda: sg.rule("r", lambda a: a, lambda a: a, like=[x]), "left is no operation"),
    (lambda: sg.rule("r", lambda a, b: -a, lambda a: a, like=[x, y]), "uses b, which left does"),
    (lambda: sg.rule("r", lambda a: sg.exp(a), lambda a: sg.sum(a), like=[x]), "right gives"),
    (lambda: sg.rule("r", lambda a: sg.sum(a, axis=1), lambda a: a, like=[x]), "traced on like="),
]
M, N = sg.matrix("M"), sg.matrix("N")
TRACE = sg.rule(
    "my_trace", lambda a, b: sg.trace(a @ b), lambda a, b: sg.sum(a * b.T),
    like=[sg.matrix("a", shape=("m", "n")), sg.matrix("b", shape=("n", "m"))],
)  # fmt: skip
ROWS = sg.rule("rows", lambda a: sg.sum(sg.exp(a), axis=1), lambda a: 2 * sg.sin(sg.sum(a, axis=1)),
               like=[M])  # fmt: skip


def _fires(rule: Any, expression: Any) -> bool:
    return sg.simplify(expression, rules=[rule]) is not expression


def test_conditions_are_found_as_booleans() -> None:
    rule = sg.rule("r", lambda c, a: sg.where(c, a, sg.sin(a)), lambda c, a: sg.cos(a))
    assert sg.simplify(sg.where(x > 0, x, sg.sin(x)), rules=[rule]) is sg.cos(x)


def test_axes_of_a_sum_must_agree() -> None:
    cube = sg.tensor("t", shape=("a", "b", "c"))
    assert _fires(ROWS, sg.sum(sg.exp(M), axis=1)) and _fires(ROWS, sg.sum(sg.exp(M), axis=-1))
    for other in (sg.sum(sg.exp(M), axis=0), sg.sum(sg.exp(M)), sg.sum(sg.exp(cube), axis=1)):
        assert not _fires(ROWS, other)


def test_softmax_and_moves_have_attributes_that_must_agree() -> None:
    rule = sg.rule("r", lambda a: sg.softmax(a, axis=1).T, lambda a: sg.softmax(a.T, axis=0),
                   like=[M])  # fmt: skip
    assert sg.simplify(sg.softmax(M, axis=1).T, rules=[rule]) is sg.softmax(M.T, axis=0)
    assert not _fires(rule, sg.softmax(M, axis=0).T)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_matrix_rule_computes_the_same(dtype: str) -> None:
    a, b = (sg.matrix(n, shape=s, dtype=dtype) for n, s in (("a", (3, 4)), ("b", (4, 3))))
    f = sg.function([a, b], sg.trace(a @ b), passes=sg.rules.default + TRACE)
    assert "my_trace" in f.rewrites.counts()
    rng = np.random.default_rng(4)
    u, v = rng.normal(size=(3, 4)).astype(dtype), rng.normal(size=(4, 3)).astype(dtype)
    np.testing.assert_allclose(f(u, v), np.trace(u @ v), rtol=1e-5)
    assert _fires(TRACE, sg.trace(a @ b))


def test_one_name_is_one_size() -> None:
    square = sg.rule("r", lambda a: sg.exp(a.T), lambda a: sg.exp(a).T,
                     like=[sg.matrix("a", shape=("n", "n"))])  # fmt: skip
    assert _fires(square, sg.exp(sg.matrix("s", shape=(3, 3)).T))
    assert not _fires(square, sg.exp(sg.matrix("s", shape=(3, 4)).T))


def test_sizes_within_a_left_side_are_those_of_the_match() -> None:
    rule = sg.rule("r", lambda a: sg.exp(sg.mean(a, axis=0)), lambda a: sg.sin(sg.sum(a, axis=0)),
                   like=[M])  # fmt: skip
    other = sg.exp(sg.sum(M, axis=0) / M.shape[1])
    assert _fires(rule, sg.exp(sg.mean(M, axis=0))) and not _fires(rule, other)


def test_operands_and_literals_of_shaped_rules() -> None:
    rule = sg.rule("r", lambda a: 2 * sg.sum(a) + 1, lambda a: sg.cos(sg.sum(a)), like=[x])
    assert _fires(rule, 2 * sg.sum(y) + 1) and _fires(rule, 1 + sg.sum(y) * 2)
    assert not _fires(rule, 3 * sg.sum(y) + 1)


def test_shaped_conditions_see_the_match() -> None:
    positive = sg.rule("r", lambda a: sg.sum(sg.abs(a)), lambda a: sg.sum(a), "exact", like=[x],
                       when=lambda m: m.facts.nonnegative(m.a))  # fmt: skip
    assert sg.simplify(sg.sum(sg.abs(sg.exp(x))), rules=[positive]) is sg.sum(sg.exp(x))
    assert not _fires(positive, sg.sum(sg.abs(x)))


def test_shaped_conditions_are_asked_for_either_order() -> None:
    rule = sg.rule("r", lambda a, b: sg.sum(a + b), lambda a, b: sg.sum(b), like=[x, x],
                   when=lambda m: m.b.op is sg.exp(x).op)  # fmt: skip
    v, w = sg.vector("v", shape="n"), sg.exp(sg.vector("w", shape="n"))
    for expression in (sg.sum(v + w), sg.sum(w + v)):
        assert sg.simplify(expression, rules=[rule]) is sg.sum(w)


def test_shaped_finite_only_rule_waits_for_its_condition() -> None:
    gone = sg.rule("gone", lambda a: sg.sum(sg.sinh(a) - sg.sinh(a)), lambda a: 0.0, "finite-only",
                   sound=lambda m: m.facts.finite(m.a), like=[x])  # fmt: skip
    expression = sg.sum(sg.sinh(x) - sg.sinh(x))
    for rules, fires in ((sg.rules.default, False), (sg.rules.fast, True)):
        found = sg.simplify(expression, rules=rules - "subtract_same" + gone)
        assert ("sinh" not in _ops(found)) is fires


@pytest.mark.parametrize(("make", "message"), WRONG, ids=[m for _, m in WRONG])
def test_what_does_not_fit_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_a_set_tells_what_it_is() -> None:
    assert repr(RuleSet([HALF_ANGLE])) == "<1 rules>" and list(RuleSet([HALF_ANGLE])) == [
        HALF_ANGLE
    ]
