"""What a gradient leaves out: rows S03, G02, G05, G06, G24, G27, G35, G36, G40, M31 and N13."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from derivative_oracles import IN_NUMPY, compiled, count, differences, nodes_of, run

import symgraph as sg
from symgraph.errors import DTypeError, GradientError, ShapeError, UsageError
from symgraph.graph import Graph
from symgraph.passes import gradient
from symgraph.passes.build_grad import build_grad
from symgraph.tensor import apply

RNG = np.random.default_rng(31)


def _network() -> tuple[dict[str, sg.Tensor], sg.Tensor]:
    """Section 6.5.7: relu layer, softmax cross-entropy, weight decay."""
    v = {
        "x": sg.matrix("x", ("m", 5)), "y": sg.matrix("y", ("m", 3)), "w1": sg.matrix("w1", (5, 4)),
        "w2": sg.matrix("w2", (4, 3)),
    }  # fmt: skip
    h = sg.relu(v["x"] @ v["w1"])
    cost = sg.cross_entropy(h @ v["w2"], v["y"]) + 0.1 * sg.nn.l2_penalty([v["w1"], v["w2"]])
    return v, cost


# ---- S03 -----------------------------------------------------------------------------------------


def test_S03_terms_without_the_variable_leave_no_trace() -> None:
    w, s = sg.vector("w", 4), sg.matrix("s", (4, 4))
    data = sg.sum(w * w) / 2
    extra = sg.sum(sg.log(sg.abs(s))) + sg.prod(sg.sqrt(sg.abs(s))) * 4
    plain, beside = sg.grad(data, w), sg.grad(data + extra, w)
    assert count(beside, "log", "prod", "sqrt", "abs") == 0
    at, matrix = RNG.normal(size=4), RNG.normal(size=(4, 4))
    np.testing.assert_array_equal(
        run([w], plain, at).view(np.int64), run([w, s], beside, at, matrix).view(np.int64)
    )


# ---- G05, G35, G36, G40 --------------------------------------------------------------------------


def test_G05_a_subset_of_variables_costs_less() -> None:
    x, y = sg.vector("x", 3), sg.vector("y", 3)
    cost = sg.sum(sg.sin(x) * sg.tan(sg.exp(y)))
    only_x, full = sg.grad(cost, x), sg.grad(cost, [x, y])
    assert count(only_x, "sin") == 0  # it is needed for y alone
    assert len(nodes_of(only_x)) < len(nodes_of(*full))


def test_G35_table_holds_only_what_lies_between() -> None:
    v, cost = _network()
    graph = Graph([cost])
    table = build_grad(graph, cost, [v["w1"], v["w2"]])
    assert v["x"] not in table
    assert v["y"] not in table
    assert v["w1"] in table
    between = {n for n in table if n.op.name == "matmul"}
    assert len(between) == 2


def test_G35_no_product_is_made_for_the_inputs() -> None:
    v, cost = _network()
    weights, everything = (
        sg.grad(cost, [v["w1"], v["w2"]]),
        sg.grad(cost, [v["w1"], v["w2"], v["x"]]),
    )
    assert count([cost, *weights], "matmul") == 5
    assert count([cost, *everything], "matmul") == 6


def test_G36_the_other_factor_reaches_bprop() -> None:
    a, b = sg.matrix("a", (2, 3)), np.arange(12.0).reshape(3, 4)
    found = run([a], sg.grad(sg.sum(a @ b), a), np.zeros((2, 3)))
    np.testing.assert_array_equal(found, np.ones((2, 4)) @ b.T)


def test_G40_intermediate_gradients_cost_nothing_more() -> None:
    v, cost = _network()
    h = next(n for n in nodes_of(cost) if n.op.name == "relu")
    alone = sg.grad(cost, v["w1"])
    dw1, dh = sg.grad(cost, [v["w1"], h])
    assert dw1 is alone
    assert set(nodes_of(dh)) <= set(nodes_of(alone))


# ---- G06 -----------------------------------------------------------------------------------------


def test_G06_gradient_of_a_hidden_layer_and_an_input() -> None:
    x, w = sg.vector("x", 3), RNG.normal(size=(4, 3))
    h = sg.tanh(w @ x)
    cost = sg.sum(h * h * h) + sg.logsumexp(h)
    at = RNG.normal(size=3)
    dh, dx = run([x], sg.grad(cost, [h, x]), at)

    def after_cut(v: Any) -> Any:
        return (v**3).sum() + np.log(np.exp(v).sum())

    np.testing.assert_allclose(dh, differences(after_cut, [np.tanh(w @ at)]), rtol=1e-9)
    np.testing.assert_allclose(
        dx, differences(lambda v: after_cut(np.tanh(w @ v)), [at]), rtol=1e-9
    )


def test_G06_a_node_that_depends_on_another_target() -> None:
    x = sg.scalar("x")
    h = sg.exp(x)
    cost = h * x
    np.testing.assert_allclose(run([x], sg.grad(cost, [x, h]), 0.5), [np.exp(0.5) * 1.5, 0.5])


# ---- G27, N13 ------------------------------------------------------------------------------------


def test_G27_the_cost_itself_has_gradient_one() -> None:
    x = sg.vector("x", 2)
    cost = sg.sum(x)
    assert run([], sg.grad(cost, cost)) == 1.0


def test_G27_disconnected_raises_by_default() -> None:
    x, other = sg.vector("x", 2), sg.vector("other", 3)
    with pytest.raises(GradientError, match=r"cost does not depend on other.*disconnected='zero'"):
        sg.grad(sg.sum(x), [x, other])


def test_G27_disconnected_zero_and_none() -> None:
    x, other = sg.vector("x", 2), sg.vector("other", 3, dtype="float32")
    _, zero = sg.grad(sg.sum(x), [x, other], disconnected="zero")
    assert zero.dtype == np.float32
    np.testing.assert_array_equal(run([], zero), np.zeros(3, np.float32))
    assert sg.grad(sg.sum(x), [x, other], disconnected="none")[1] is None


def test_G27_a_zero_derivative_is_not_disconnected() -> None:
    x = sg.vector("x", 2)
    np.testing.assert_array_equal(run([x], sg.grad(sg.sum(sg.floor(x)), x), [0.5, 1.5]), [0, 0])


def test_G27_behind_stop_gradient_is_disconnected() -> None:
    x = sg.vector("x", 2)
    with pytest.raises(GradientError, match="does not depend on x"):
        sg.grad(sg.sum(sg.stop_gradient(sg.exp(x))), x)


def test_G27_unknown_policy() -> None:
    x = sg.vector("x", 2)
    with pytest.raises(UsageError, match="disconnected='warn'"):
        sg.grad(sg.sum(x), x, disconnected="warn")


def test_G27_the_graph_is_walked_once_for_all_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    walks: list[str] = []

    def counted(name: str) -> Any:
        walk = getattr(gradient, name)

        def call(*args: Any) -> Any:
            walks.append(name)
            return walk(*args)

        return call

    for name in ("influences", "grad_table"):
        monkeypatch.setattr(gradient, name, counted(name))
    xs = [sg.scalar(f"x{k}") for k in range(50)]
    unused = [sg.scalar(f"u{k}") for k in range(50)]
    cost = sg.sum(sg.stack(xs) ** 2)
    assert sg.grad(cost, [*xs, *unused], disconnected="none")[50:] == [None] * 50
    assert sorted(walks) == ["grad_table", "influences"]


def test_N13_a_cost_that_is_no_scalar_is_refused() -> None:
    x = sg.vector("x", 3)
    with pytest.raises(ShapeError, match=r"shape \(3,\), not a scalar.*sg.vjp.*sg.jacobian"):
        sg.grad(x * 2, x)
    with pytest.raises(ShapeError, match=r"shape \(3,\)"):
        build_grad(Graph([x * 2]), x * 2, [x])


# ---- consider_constant, known_grads --------------------------------------------------------------


def test_consider_constant_blocks_one_path() -> None:
    x = sg.vector("x", 3)
    h = sg.exp(x)
    cost = sg.sum(h * x)
    at = np.array([0.1, 0.2, 0.3])
    np.testing.assert_allclose(
        run([x], sg.grad(cost, x, consider_constant=[h]), at), np.exp(at), rtol=1e-15
    )


def test_consider_constant_may_be_a_target_itself() -> None:
    x = sg.scalar("x")
    h = sg.exp(x)
    found = run([x], sg.grad(h * x, [x, h], consider_constant=[h]), 0.5)
    np.testing.assert_allclose(found, [np.exp(0.5), 0.5])


def test_M31_start_from_given_gradients() -> None:
    x = sg.vector("x", 3)
    y = sg.tanh(x) * x
    g = sg.vector("g", 3)
    at, given = RNG.normal(size=3), RNG.normal(size=3)
    found = run([x, g], sg.grad(None, x, known_grads={y: g}), at, given)
    surrogate = sg.grad(sg.sum(sg.stop_gradient(g) * y), x)
    np.testing.assert_allclose(found, run([x, g], surrogate, at, given), rtol=1e-14)


def test_M31_given_gradients_that_depend_on_the_variable_are_constants() -> None:
    x = sg.vector("x", 3)
    y = sg.exp(x)
    at = RNG.normal(size=3)
    found = run([x], sg.grad(None, x, known_grads={y: x * x}), at)
    np.testing.assert_allclose(found, at * at * np.exp(at), rtol=1e-14)


def test_M31_beside_a_cost_and_on_the_cost_itself() -> None:
    x = sg.scalar("x")
    y = x * x
    found = run([x], sg.grad(y, x, known_grads={y: 3.0, x: 0.5}), 2.0)
    np.testing.assert_allclose(found, 4 * 2.0 * 2 + 0.5)


def test_roots_that_become_one_by_stabilising_add_their_cotangents() -> None:
    x = sg.vector("x", 3)
    by_hand = sg.log(sg.exp(x) / sg.sum(sg.exp(x)))
    u, v = np.array([1.0, 0.0, 2.0]), np.array([0.0, 3.0, 5.0])
    at = np.array([0.1, -0.4, 0.7])
    q = np.exp(at) / np.exp(at).sum()
    found = run([x], sg.vjp([by_hand, sg.log_softmax(x)], x, [u, v]), at)
    np.testing.assert_allclose(found, (u + v) - q * (u + v).sum(), rtol=1e-13)


def test_dictionaries_pair_by_key() -> None:
    x = sg.vector("x", 2)
    outputs = {"a": x * 2, "b": x * 3}
    found = run([x], sg.vjp(outputs, x, {"b": [1.0, 0.0], "a": [0.0, 1.0]}), [5.0, 5.0])
    np.testing.assert_array_equal(found, [3, 2])
    with pytest.raises(UsageError, match=r"cotangents with the keys \['a'\] for outputs"):
        sg.vjp(outputs, x, {"a": [0.0, 1.0]})


@pytest.mark.parametrize(
    ("cotangent", "error", "message"),
    [
        (np.zeros((2, 2)), ShapeError, r"cotangent of .* has shape \(2, 2\), not \(2,\)"),
        (np.zeros(3), ShapeError, r"cotangent of .*\(3,\) and \(2,\)"),
        (np.zeros(2, np.float32), DTypeError, "cotangent of .* is float32, not float64"),
    ],
)
def test_a_cotangent_that_does_not_fit(cotangent: Any, error: Any, message: str) -> None:
    x = sg.vector("x", 2)
    with pytest.raises(error, match=message):
        sg.vjp(sg.exp(x), x, cotangent)


def test_M31_nothing_to_start_from() -> None:
    with pytest.raises(UsageError, match="needs a cost or known_grads"):
        sg.grad(None, sg.scalar("x"))


# ---- G02, G24 ------------------------------------------------------------------------------------


def test_G02_gradients_change_no_parameter() -> None:
    w = sg.shared(np.arange(3.0), name="w")
    f = compiled([], sg.grad(sg.sum(w * w), w))
    f(), f()
    np.testing.assert_array_equal(w.get_value(), np.arange(3.0))


def test_G24_only_ancestors_of_the_outputs_run() -> None:
    ran = []

    def evaluate(x: Any) -> Any:
        ran.append(1)
        return x

    spy = sg.Op("spy", lambda types, attrs, equations: types[0], evaluate)
    x = sg.vector("x", 2)
    watched = apply(spy, (x,))
    other = x * 2
    both = [watched + 1, other]
    compiled([x], both[1], backend=IN_NUMPY)([1.0, 2.0])
    assert ran == []
    compiled([x], both, backend=IN_NUMPY)([1.0, 2.0])
    assert ran == [1]
