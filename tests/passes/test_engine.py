"""The rule engine on made-up operations: it must know nothing of real ones."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph import Graph, Op, Tensor
from symgraph.errors import GraphError
from symgraph.graph import topological
from symgraph.op import Attrs, Equations
from symgraph.passes.rules.engine import Counts, RuleSet, rewrite_graph, rewrite_outputs
from symgraph.passes.rules.pattern import Call, Node, Var, call
from symgraph.passes.rules.rule import EXACT, FINITE_ONLY, Rule
from symgraph.passes.rules.users import Users
from symgraph.passes.trace import recording
from symgraph.tensor import apply, reapply
from symgraph.types import TensorType


def _infer(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    return types[0]


def _made_up(name: str, traits: str = "") -> Op:
    return Op(name, _infer, lambda *a: a[0], frozenset(traits.split()))


F, G, H = _made_up("F"), _made_up("G"), _made_up("H")
MIX = _made_up("MIX", "commutative")
PAIR = _made_up("PAIR")
x, y = Var("x"), Var("y")


def _rule(left: Call | Node, right: Any, name: str = "rule", **more: Any) -> Rule:
    return Rule(name, left, right, more.pop("contract", EXACT), **more)


def _rewritten(expression: Tensor, *rules: Rule, relaxed: bool = False) -> Tensor:
    return rewrite_outputs([expression], RuleSet(rules, relaxed), "test")[0][0]


def _counted(expression: Tensor, *rules: Rule) -> Counts:
    found: list[Counts] = []
    rewrite_outputs([expression], RuleSet(rules), "test", found.append)
    return found[0]


@pytest.fixture
def a() -> Tensor:
    return sg.vector("a", shape="n")


@pytest.fixture
def b() -> Tensor:
    return sg.vector("b", shape="n")


def test_pattern_becomes_template(a: Tensor) -> None:
    rule = _rule(call(F, call(G, x)), call(H, x))
    assert _rewritten(apply(F, (apply(G, (a,)),)), rule) is apply(H, (a,))


def test_other_operation_is_left_alone(a: Tensor) -> None:
    expression = apply(G, (apply(F, (a,)),))
    assert _rewritten(expression, _rule(call(F, call(G, x)), call(H, x))) is expression


def test_commutative_operation_matches_in_either_order(a: Tensor, b: Tensor) -> None:
    rule = _rule(call(MIX, call(F, x), y), call(PAIR, x, y))
    for operands in ((apply(F, (a,)), b), (b, apply(F, (a,)))):
        assert _rewritten(apply(MIX, operands), rule) is apply(PAIR, (a, b))


def test_other_operations_do_not_commute(a: Tensor, b: Tensor) -> None:
    expression = apply(PAIR, (b, apply(F, (a,))))
    assert _rewritten(expression, _rule(call(PAIR, call(F, x), y), x)) is expression


def test_repeated_variable_means_the_same_node(a: Tensor, b: Tensor) -> None:
    rule = _rule(call(PAIR, x, x), x)
    assert _rewritten(apply(PAIR, (a, a)), rule) is a
    assert _rewritten(apply(PAIR, (a, b)), rule) is apply(PAIR, (a, b))


def test_replacements_are_rewritten_too(a: Tensor) -> None:
    rules = _rule(call(F, x), call(G, x), "first"), _rule(call(G, x), call(H, x), "second")
    assert _rewritten(apply(F, (a,)), *rules) is apply(H, (a,))


def test_earlier_rule_wins(a: Tensor) -> None:
    rules = _rule(call(F, x), call(G, x), "first"), _rule(call(F, x), call(H, x), "second")
    assert _rewritten(apply(F, (a,)), *rules) is apply(G, (a,))


def test_rule_may_decline(a: Tensor) -> None:
    assert _rewritten(apply(F, (a,)), _rule(call(F, x), lambda m: None)).op is F


def test_condition_is_asked(a: Tensor) -> None:
    rule = _rule(call(F, x), x, when=lambda m: m.x.op is G)
    assert _rewritten(apply(F, (a,)), rule).op is F
    assert _rewritten(apply(F, (apply(G, (a,)),)), rule).op is G


def test_finite_only_rule_needs_soundness_unless_relaxed(a: Tensor) -> None:
    rule = _rule(call(F, x), x, contract=FINITE_ONLY)
    sound = _rule(call(F, x), x, contract=FINITE_ONLY, sound=lambda m: True)
    assert _rewritten(apply(F, (a,)), rule).op is F
    assert _rewritten(apply(F, (a,)), sound) is a
    assert _rewritten(apply(F, (a,)), rule, relaxed=True) is a


def test_trait_pattern_matches_any_operation_with_it(a: Tensor, b: Tensor) -> None:
    rule = _rule(Node(trait="commutative"), lambda m: m.node.inputs[0])
    assert _rewritten(apply(MIX, (a, b)), rule) is a
    assert _rewritten(apply(PAIR, (a, b)), rule).op is PAIR


def test_shared_node_is_rewritten_once(a: Tensor) -> None:
    level = a
    for _ in range(60):  # 2**60 paths
        level = apply(PAIR, (apply(F, (level,)), apply(F, (level,))))
    counts = _counted(level, _rule(call(F, x), call(G, x)))
    assert counts.rewrites == 60


def test_work_is_linear_in_nodes(a: Tensor) -> None:
    rules = _rule(call(F, call(F, x)), x, "twice"), _rule(call(G, call(H, x)), x, "never")

    def attempts(length: int) -> int:
        chain = a
        for k in range(length):
            chain = apply(F if k % 3 else G, (chain,))
        return _counted(chain, *rules).attempts

    assert attempts(10_000) <= 10 * attempts(1_000) + 10
    assert attempts(10_000) <= 20_000


def test_signature_index_spares_hopeless_attempts(a: Tensor) -> None:
    chain = a
    for _ in range(100):
        chain = apply(F, (chain,))
    assert _counted(chain, _rule(call(F, call(G, x)), x)).attempts == 0


def test_long_chain_needs_no_recursion(a: Tensor) -> None:
    chain = a
    for _ in range(20_000):
        chain = apply(F, (chain,))
    assert _rewritten(chain, _rule(call(F, x), x)) is a


def test_rules_that_undo_one_another_are_named(a: Tensor) -> None:
    there, back = _rule(call(F, x), call(G, x), "there"), _rule(call(G, x), call(F, x), "back")
    with pytest.raises(GraphError, match=r"undo one another.*there, back"):
        _rewritten(apply(F, (a,)), there, back)


def test_replacement_that_needs_itself_is_refused(a: Tensor) -> None:
    with pytest.raises(GraphError, match="undo one another: nest"):
        _rewritten(apply(F, (a,)), _rule(call(F, x), call(G, call(F, x)), "nest"))


def test_endless_growth_is_stopped(a: Tensor) -> None:
    grow = _rule(call(F, x), call(F, call(H, x)), "grow")
    with pytest.raises(GraphError, match="rules seem to fire without end: grow"):
        _rewritten(apply(F, (a,)), grow)


def test_replacement_of_another_dtype_is_refused(a: Tensor) -> None:
    wrong = _rule(call(F, x), lambda m: sg.astype(m.x, "float32"), "wrong")
    with pytest.raises(GraphError, match=r"rule wrong: float32.*replaces float64"):
        _rewritten(apply(F, (a,)), wrong)


def test_replacement_is_stretched_to_the_shape() -> None:
    total = _rule(call(F, x), lambda m: sg.sum(m.x), "total")
    out = _rewritten(apply(F, (sg.vector("v", shape=3),)), total)
    assert out.op.name == "broadcast_to" and out.shape == (3,)


def test_trace_names_rule_pass_and_line(a: Tensor) -> None:
    expression = apply(F, (a,))
    with recording() as log:
        rewrite_graph(Graph([expression]), RuleSet([_rule(call(F, x), x, "drop")]), "some_pass")
    (step,) = log
    assert (step.rule, step.pass_name, step.contract) == ("drop", "some_pass", EXACT)
    assert step.before is expression and step.after is a
    assert str(step.line).startswith("test_engine.py:")


def test_new_nodes_say_which_rule_made_them(a: Tensor) -> None:
    out = _rewritten(apply(F, (a,)), _rule(call(F, x), call(H, call(G, x)), "grown"))
    assert str(out.origin) == "grown of F"


def test_values_survive() -> None:
    v = sg.vector("v", shape="n")
    f = sg.function([v], sg.log(1 + sg.exp(v)), backend="reference")
    assert f(np.array([1000.0]))[0] == 1000.0


# ---- users ---------------------------------------------------------------------------------------


def _alone(name: str = "x") -> Any:
    return lambda m: m.alone(m.env[name])


def test_match_knows_who_else_uses_a_node(a: Tensor) -> None:
    inner = apply(G, (a,))
    rule = _rule(call(F, x), call(H, x), when=_alone())
    assert _rewritten(apply(F, (inner,)), rule).op is H
    outputs = [apply(F, (inner,)), apply(PAIR, (inner, a))]
    assert rewrite_outputs(outputs, RuleSet([rule]), "test")[0][0].op is F
    assert rewrite_outputs([outputs[0], inner], RuleSet([rule]), "test")[0][0].op is F


def test_users_inside_the_match_do_not_count(a: Tensor) -> None:
    inner = apply(G, (a,))
    both = apply(MIX, (apply(F, (inner,)), apply(H, (inner,))))
    rule = _rule(call(MIX, call(F, x), call(H, x)), x, when=_alone())
    assert _rewritten(both, rule) is inner
    assert rewrite_outputs([both, apply(F, (inner,))], RuleSet([rule]), "test")[0][0] is both


def test_users_follow_what_is_replaced(a: Tensor) -> None:
    """H(a) becomes G(a), which then has two users."""
    same = _rule(call(H, x), call(G, x), "same")
    single = _rule(call(F, x), x, "single", when=_alone())
    outputs = [apply(PAIR, (apply(H, (a,)), a)), apply(F, (apply(G, (a,)),))]
    (_, second), log = rewrite_outputs(outputs, RuleSet([same, single]), "test")
    assert second.op is F and [step.rule for step in log] == ["same"]


def test_nodes_on_new_inputs_keep_their_users(a: Tensor, b: Tensor) -> None:
    """H(a) becomes G(a): a node that used both then uses one, another just another one."""
    before, after = apply(H, (a,)), apply(G, (a,))
    old = [apply(MIX, (before, after)), apply(PAIR, (before, b))]
    new = [apply(MIX, (after, after)), apply(PAIR, (after, b))]
    done = {before: after, **dict(zip(old, new, strict=True))}
    users = Users(old, topological(old), done)
    assert users.count(a) == 2 and users.count(after) == 1
    users.moved(before, after)
    for one, other in zip(old, new, strict=True):
        users.moved(one, other, rebuilt=True)
    counted = Users(new, topological(new), {})
    assert [users.count(n) for n in topological(new)] == [
        counted.count(n) for n in topological(new)
    ]


def test_rule_fires_once_the_other_user_is_gone(a: Tensor, b: Tensor) -> None:
    """The second user vanishes after the first was tried; another sweep sees it."""
    inner = apply(G, (a,))
    single = _rule(call(F, x), call(H, x), "single", when=_alone())
    drop = _rule(call(PAIR, x, y), y, "drop")
    outputs = [apply(F, (inner,)), apply(PAIR, (inner, b))]
    found, _ = rewrite_outputs(outputs, RuleSet([single, drop]), "test")
    assert found[0].op is H and found[1] is b
    again, log = rewrite_outputs(found, RuleSet([single, drop]), "test")
    assert not log and all(p is q for p, q in zip(again, found, strict=True))


def test_equal_operations_that_appear_on_the_way_are_one(a: Tensor) -> None:
    deep = apply(MIX, (apply(F, (a,)), apply(G, (a,))))
    out = _rewritten(deep, _rule(call(F, x), call(G, x)))
    assert out.inputs[0] is out.inputs[1]


def test_collector_is_left_as_it_was(a: Tensor) -> None:
    for on in (True, False):
        (gc.enable if on else gc.disable)()
        _rewritten(apply(F, (a,)), _rule(call(F, x), x))
        assert gc.isenabled() is on
    gc.enable()


def test_a_node_on_other_inputs_has_the_type_that_they_give_it() -> None:
    x, y = sg.vector("x", shape="n"), sg.vector("y", shape="n")
    wide = sg.matrix("wide", shape=("m", "n"), dtype="float32")
    node = sg.sin(x) + x
    assert node.origin is not None
    alike = reapply(node, (sg.sin(y), y), node.origin)
    assert alike.type is node.type and alike.origin is node.origin and alike is sg.sin(y) + y
    assert reapply(node, (sg.sin(wide), wide), node.origin).type == wide.type
