"""Explanations: every node goes back to a user's line, and the steps between are told."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest
from traced_models import MODELS, deep_network_hvp, naive_cross_entropy, softplus_by_hand

import symgraph as sg
from symgraph.errors import UsageError
from symgraph.explain import Explanation, Step, explain

EXAMPLES = Path(__file__).parents[2] / "examples"
PIPELINES = ("strict", "default", "fast")


def steps(explanation: Explanation, field: str) -> list[Any]:
    return [getattr(s, field) for s in explanation.steps]


def assert_every_node_ends_in_a_line(f: sg.Function, *files: str) -> None:
    for node in f.graph.nodes:
        found = explain(node, f)
        assert found.line is not None, f"{node.op.name} has no user line"
        assert found.line.code.co_filename.endswith(files), str(found.line)
        assert found.steps[0].kind in ("line", "rebuild") and str(found)


@pytest.mark.parametrize("passes", PIPELINES)
def test_every_node_of_the_deep_networks_hvp_ends_in_a_user_line(passes: str) -> None:
    f = deep_network_hvp(passes)
    assert len(f.graph) > 50
    assert_every_node_ends_in_a_line(f, "traced_models.py")


@pytest.mark.parametrize("passes", PIPELINES)
def test_every_node_of_the_digits_hvp_ends_in_a_user_line(
    passes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    digits: Any = importlib.import_module("digits")
    x, y = sg.matrix("x", shape=("n", 64)), sg.vector("y", shape="n", dtype="int64")
    shapes: dict[str, Any] = {"W1": (64, 64), "b1": 64, "W2": (64, 10), "b2": 10}
    parameters = [sg.tensor(name, shape=s) for name, s in shapes.items()]
    vectors = [sg.tensor(f"v_{p.name}", shape=p.shape) for p in parameters]
    product = sg.hvp(digits.cost(x, y, parameters, 100), parameters, vectors)
    inputs = [x, y, *parameters, *vectors]
    f = sg.function(inputs, product, passes=passes, backend="reference")
    assert_every_node_ends_in_a_line(f, "digits.py", "test_explain.py")


@pytest.mark.parametrize("passes", PIPELINES)
@pytest.mark.parametrize("model", MODELS, ids=[m.__name__ for m in MODELS])
def test_every_node_of_a_models_curvature_ends_in_a_user_line(model: Any, passes: str) -> None:
    assert_every_node_ends_in_a_line(model(passes=passes), "traced_models.py")


def test_a_users_expression_is_its_line() -> None:
    x = sg.vector("x")
    frame = inspect.currentframe()
    assert frame is not None
    y, line = sg.exp(x * 61.5), frame.f_lineno
    found = explain(y)
    assert steps(found, "kind") == ["line"]
    assert found.line is not None and found.line.line == line
    assert str(found) == f"test_explain.py:{found.line.line}: exp(x * 61.5)"


def test_a_derivative_names_the_operation_and_the_order() -> None:
    x, v = sg.vector("x"), sg.vector("v")
    found = explain(sg.hvp(sg.sum(sg.sin(x * 62.5)), x, v))
    assert steps(found, "kind")[0] == "line"
    assert steps(found, "kind")[-1] == "jvp" and "bprop" in steps(found, "kind")
    assert "jvp of multiply at test_explain.py:" in str(found)


def test_a_rewrite_names_rule_contract_and_pass() -> None:
    f = softplus_by_hand()
    last = explain(0, f).steps[-1]
    (rewrite,) = f.rewrites.by(contract="stabilising")
    assert (last.kind, last.rule, last.contract) == ("rule", rewrite.rule, "stabilising")
    assert last.pass_name == rewrite.pass_name == "stabilise"
    assert f"rule {rewrite.rule} [stabilising] in stabilise: softplus(x)" in str(explain(0, f))


def test_a_rewrite_before_differentiation_is_told_too() -> None:
    f = naive_cross_entropy()
    rules = [s for n in f.graph.nodes for s in explain(n, f).steps if s.kind == "rule"]
    assert any(s.pass_name is None and s.contract == "stabilising" for s in rules)


def test_without_a_function_the_contract_is_known_and_the_pass_is_not() -> None:
    f = softplus_by_hand()
    last = explain(f.graph.outputs[0]).steps[-1]
    assert last.contract == "stabilising" and last.pass_name is None


def test_operands_that_were_rewritten_are_told() -> None:
    x = sg.vector("x")
    f = sg.function([x], sg.sin(sg.log(1 + sg.exp(x))), backend="reference")
    assert steps(explain(None, f), "kind") == ["line", "rebuild"]


def test_a_node_that_took_the_place_of_others_says_so() -> None:
    x = sg.vector("x")
    y = sg.tanh(sg.sin(x))
    f = sg.function([x], sg.negative(-y), backend="reference")
    found = explain(0, f)
    assert steps(found, "kind") == ["line", "replaces"]
    assert str(found).endswith("in place of -(-tanh(sin(x)))")


def test_a_node_without_an_origin_says_so() -> None:
    x = sg.vector("x")
    x.origin = None
    assert explain(x).steps == (Step("unknown", x),) and explain(x).line is None
    assert str(explain(x)) == "origin not recorded: x"


def test_a_long_chain_is_cut_in_the_middle() -> None:
    x = sg.vector("x")
    y = sg.sum(sg.sin(x * 65.5))
    for _ in range(40):
        y = sg.sum(sg.grad(y, x))
    assert len(str(explain(y)).splitlines()) <= 25


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ("y", "'y' is neither a node nor the number of one of the 1 outputs of f"),
        (3, "3 is neither a node nor the number of one of the 1 outputs of f"),
    ],
)
def test_what_is_no_node_is_refused(node: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        explain(node, softplus_by_hand())


def test_a_number_without_a_function_is_refused() -> None:
    with pytest.raises(UsageError, match="explain: 0 is not a node; pass one, or an output with"):
        explain(0)


def test_a_number_is_explained_by_what_needs_it_here() -> None:
    elsewhere = sg.vector("elsewhere") + 66.5
    x = sg.vector("x")
    f = sg.function([x], sg.sin(x) * 66.5, backend="reference")
    (number,) = [n for n in f.graph.nodes if n.op.name == "constant"]
    found = explain(number, f)
    assert number in sg.Graph([elsewhere]) and steps(found, "kind")[-1] == "operand"
    assert found.line == explain(0, f).line and found.line != explain(number).line


def test_a_result_computed_alone_keeps_its_line() -> None:
    x = sg.matrix("x")
    values, _ = sg.max_and_argmax(x, axis=1)
    f = sg.function([x], values * 67.5, backend="reference")
    (largest,) = [n for n in f.graph.nodes if n.op.name == "max"]
    assert explain(largest, f).line == explain(values).line


def test_the_same_expression_made_anew_is_found() -> None:
    x = sg.vector("x")
    f = sg.function([x], sg.log(1 + sg.exp(x)), backend="reference")
    assert explain(sg.softplus(x), f) == explain(0, f)


def test_what_was_rewritten_tells_what_became_of_it() -> None:
    x = sg.vector("x")
    y = sg.log(1 + sg.exp(x))
    f = sg.function([x], y * 68.5, backend="reference")
    last = explain(y, f).steps[-1]
    assert (last.kind, last.rule, last.contract) == (
        "replaced",
        "log_of_exponentials",
        "stabilising",
    )
    assert str(explain(y, f)).endswith("[stabilising] in stabilise made it: softplus(x)")


def test_what_was_rewritten_on_rewritten_operands_is_followed() -> None:
    z = sg.matrix("z", shape=("n", 3))
    e = sg.exp(z * 69.5)
    y = sg.log(e / sg.sum(e, axis=1, keepdims=True))
    f = sg.function([z], y, backend="reference")
    assert steps(explain(y, f), "kind") == ["line", "rebuild", "replaced"]


def test_what_nothing_needs_any_longer_says_so() -> None:
    x = sg.vector("x")
    e = sg.exp(x)
    f = sg.function([x], sg.log(1 + e), backend="reference")
    assert steps(explain(e, f), "kind") == ["line", "gone"]


def test_a_node_that_the_function_never_had_is_refused() -> None:
    y = sg.vector("y")
    with pytest.raises(
        UsageError, match=r"the result of cos .* is not in the optimised graph of f"
    ):
        explain(sg.cos(y), softplus_by_hand())


@pytest.mark.parametrize("function", [sg.vector("x"), sg.Graph([])], ids=["tensor", "graph"])
def test_what_is_no_function_is_refused(function: Any) -> None:
    with pytest.raises(UsageError, match=r"explain: function=<.*> is not a compiled function"):
        explain(0, function)


def test_a_truth_value_is_no_number_of_an_output() -> None:
    with pytest.raises(UsageError, match="True is neither a node nor the number"):
        explain(True, softplus_by_hand())


def test_an_explanation_shows_itself() -> None:
    found = explain(0, softplus_by_hand())
    assert repr(found) == str(found)
