"""Before and after: what the pipelines make of expressions, and what they must leave alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph import Graph, Tensor
from symgraph.errors import UsageError
from symgraph.passes.pipeline import PIPELINES, resolve_pipeline, run_passes
from symgraph.passes.simplify import simplify

x, y = sg.matrix("x", shape=("n", 3)), sg.matrix("y", shape=("n", 3))
i = sg.vector("i", shape="n", dtype="int64")
c = sg.vector("c", shape="n", dtype="bool")
s = sg.scalar("s")


def _ops(expression: Tensor) -> list[str]:
    """The operations, inputs and literals left out."""
    hidden = ("input", "shared", "constant")
    return [n.op.name for n in Graph([expression]).nodes if n.op.name not in hidden]


Pair = tuple[Callable[[], Any], Callable[[], Any]]

# fmt: off
EXACT: dict[str, Pair] = {
    "times one":             (lambda: x * 1,                          lambda: x),
    "over one":              (lambda: x / 1,                          lambda: x),
    "plus minus zero":       (lambda: x + (-0.0),                     lambda: x),
    "minus zero":            (lambda: x - 0.0,                        lambda: x),
    "twice negated":         (lambda: sg.negative(-x),                          lambda: x),
    "plus negative":         (lambda: x + (-y),                       lambda: x - y),
    "product of negatives":  (lambda: (-x) * (-y),                    lambda: x * y),
    "square":                (lambda: x * x,                          lambda: sg.square(x)),
    "twice":                 (lambda: x + x,                          lambda: 2 * x),
    "times minus one":       (lambda: x * -1,                         lambda: -x),
    "over a power of two":   (lambda: x / 4,                          lambda: 0.25 * x),
    "integer plus zero":     (lambda: i + 0,                          lambda: i),
    "integer times zero":    (lambda: i * 0 + i,                      lambda: i),
    "integer minus itself":  (lambda: (i - i) + i,                    lambda: i),
    "transposed twice":      (lambda: x.T.T,                          lambda: x),
    "reshaped and back":     (lambda: x.reshape((-1,)).reshape(x.shape), lambda: x),
    "expanded and squeezed": (lambda: sg.squeeze(x[:, None], 1),      lambda: x),
    "slice of slice":        (lambda: x[:, 1:][:, 1:],                lambda: x[:, 2:]),
    "flipped twice":         (lambda: x[:, ::-1][:, ::-1],            lambda: x),
    "stretched operand":     (lambda: sg.broadcast_to(s, x.shape) * x, lambda: s * x),
    "unary below transpose": (lambda: sg.exp(x.T).T,                  lambda: sg.exp(x)),
    "where true":            (lambda: sg.where(sg.constant(True), x, y), lambda: x),
    "where same":            (lambda: sg.where(c[:, None], x, x),     lambda: x),
    "where of not": (
        lambda: sg.where(~c[:, None], x, y),
        lambda: sg.where(c[:, None], y, x),
    ),
    "where of one and zero": (
        lambda: sg.where(c, 1.0, 0.0),
        lambda: sg.astype(c, "float64"),
    ),
    "wider and back": (
        lambda: i.astype("float64").astype("float64"),
        lambda: i.astype("float64"),
    ),
    "folded product":        (lambda: x * (sg.constant(2.0) * sg.constant(3.0)), lambda: 6 * x),
    "concat of one":         (lambda: sg.concat([x]),                 lambda: x),
    "idempotent":            (lambda: sg.maximum(sg.abs(sg.abs(x)), sg.abs(x)), lambda: sg.abs(x)),
    "commuted":             (lambda: sg.maximum(x * y, y * x),         lambda: x * y),
    "and with true":         (lambda: c & True,                       lambda: c),
}
ROUNDING: dict[str, Pair] = {
    "over a literal":        (lambda: x / 10,                         lambda: (1 / 10) * x),
    "literal factors":       (lambda: 2 * (3 * x),                    lambda: 6 * x),
    "negated difference":    (lambda: -(x - y),                       lambda: y - x),
    "plus zero":             (lambda: x + 0.0,                        lambda: x),
    "cube":                  (lambda: sg.pow(x, sg.constant(3.0)),    lambda: x * sg.square(x)),
    "sum of sums":           (lambda: sg.sum(sg.sum(x, axis=1)),      lambda: sg.sum(x)),
}
STABILISING: dict[str, Pair] = {
    "log1p":                 (lambda: sg.log(1 + x),                  lambda: sg.log1p(x)),
    "expm1":                 (lambda: sg.exp(x) - 1,                  lambda: sg.expm1(x)),
    "softplus":              (lambda: sg.log(1 + sg.exp(x)),          lambda: sg.softplus(x)),
    "softplus by log1p":     (lambda: sg.log1p(sg.exp(x)),            lambda: sg.softplus(x)),
    "sigmoid":               (lambda: 1 / (1 + sg.exp(-x)),           lambda: sg.sigmoid(x)),
    "sigmoid of exp":        (lambda: sg.exp(x) / (sg.exp(x) + 1),    lambda: sg.sigmoid(x)),
    "log sigmoid":           (lambda: sg.log(sg.sigmoid(x)),          lambda: -sg.softplus(-x)),
    "one minus sigmoid":     (lambda: 1 - sg.sigmoid(x),              lambda: sg.sigmoid(-x)),
    "log of its complement": (lambda: sg.log(1 - sg.sigmoid(x)),      lambda: -sg.softplus(x)),
    "softplus difference":   (lambda: sg.softplus(x) - sg.softplus(-x), lambda: x),
    "log odds":              (lambda: sg.log(sg.sigmoid(x) / (1 - sg.sigmoid(x))), lambda: x),
    "log exp":               (lambda: sg.log(sg.exp(x)),              lambda: x),
    "exp log of positive":   (lambda: sg.exp(sg.log(sg.exp(x))),      lambda: sg.exp(x)),
    "logaddexp":             (lambda: sg.log(sg.exp(x) + sg.exp(y)),  lambda: sg.logaddexp(x, y)),
    "log product": (
        lambda: sg.log(sg.prod(sg.abs(x), axis=1)),
        lambda: sg.sum(sg.log(sg.abs(x)), axis=1),
    ),
    "log of square": (
        lambda: sg.log(sg.square(x)),
        lambda: 2 * sg.log(sg.abs(x)),
    ),
    "root of square":        (lambda: sg.sqrt(x * x),                 lambda: sg.abs(x)),
    "tanh": (
        lambda: (sg.exp(x) - sg.exp(-x)) / (sg.exp(x) + sg.exp(-x)),
        lambda: sg.tanh(x),
    ),
}
KEPT: dict[str, Callable[[], Tensor]] = {
    "times zero":            lambda: x * 0.0,
    "minus itself":          lambda: x - x,
    "over itself":           lambda: x / x,
    "product over factor":   lambda: (x * y) / y,
    "exp log":               lambda: sg.exp(sg.log(x)),
    "maximum of two":        lambda: sg.maximum(x, y),
    "not less":              lambda: sg.logical_not(x < y),
    "rounded and back":      lambda: i.astype("float64").astype("int64"),
    "narrower and back":     lambda: x.astype("float32").astype("float64"),
    "half power":            lambda: sg.pow(x, sg.constant(0.5)),
    "sum over other axes":   lambda: sg.exp(x) / sg.sum(sg.square(y), axis=1, keepdims=True),
    "scalar over data":      lambda: s * x - s * y,
}
FAST: dict[str, Pair] = {
    "times zero":            (lambda: x * 0.0 + y,                    lambda: y),
    "minus itself":          (lambda: x - x + y,                      lambda: y),
    "over itself":           (lambda: y * (x / x),                    lambda: y),
    "product over factor":   (lambda: (x * y) / y,                    lambda: x),
    "exp log":               (lambda: sg.exp(sg.log(x)),              lambda: x),
    "shared factor":         (lambda: s * x - s * y,                  lambda: s * (x - y)),
}
# fmt: on


def _same(a: Tensor, b: Tensor) -> bool:
    return a is b


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("passes", PIPELINES)
def test_exact_rewrite_in_every_pipeline(name: str, passes: str) -> None:
    before, after = (build() for build in EXACT[name])
    assert _same(simplify(before, passes), simplify(after, passes))
    assert len(_ops(simplify(before, passes))) <= len(_ops(after))


@pytest.mark.parametrize("name", [*ROUNDING, *STABILISING])
def test_default_rewrite(name: str) -> None:
    before, after = (build() for build in (ROUNDING | STABILISING)[name])
    assert _same(simplify(before), simplify(after))
    assert len(_ops(simplify(before))) <= len(_ops(after))


@pytest.mark.parametrize("name", [*ROUNDING, *STABILISING])
def test_strict_keeps_what_is_not_exact(name: str) -> None:
    before, after = (build() for build in (ROUNDING | STABILISING)[name])
    assert not _same(simplify(before, "strict"), simplify(after, "strict"))


@pytest.mark.parametrize("name", KEPT)
def test_default_keeps_what_is_unsound(name: str) -> None:
    expression = KEPT[name]()
    ops = _ops(expression)
    assert sorted(_ops(simplify(expression))) == sorted(ops)


@pytest.mark.parametrize("name", FAST)
def test_fast_takes_real_arithmetic_at_its_word(name: str) -> None:
    before, after = (build() for build in FAST[name])
    assert _same(simplify(before, "fast"), simplify(after, "fast"))


# ---- constants -----------------------------------------------------------------------------------


def test_strict_folds_only_what_every_machine_rounds_alike() -> None:
    assert _ops(simplify(x + sg.sqrt(sg.constant(2.0)), "strict")) == ["add"]
    assert _ops(simplify(x + sg.exp(sg.constant(2.0)), "strict")) == ["exp", "add"]


def test_folding_makes_no_large_array() -> None:
    row, column = sg.constant(np.arange(40.0)), sg.constant(np.arange(40.0)[:, None])
    assert "add" in _ops(simplify(row + column))


def test_folding_keeps_stretched_constants_short() -> None:
    out = simplify(sg.zeros((1000, 1000)) + 1)
    assert _ops(out) == ["broadcast_to"]


def test_static_size_is_a_literal() -> None:
    z = sg.vector("z", shape=4)
    assert _ops(simplify(sg.mean(z))) == ["sum", "multiply"]


# ---- dead code -----------------------------------------------------------------------------------


def test_unused_result_costs_nothing() -> None:
    values, _ = sg.max_and_argmax(x, axis=1)
    assert _ops(simplify(values)) == ["max"]


def test_both_results_stay_together() -> None:
    both = simplify(list(sg.max_and_argmax(x, axis=1)))
    assert "max_and_argmax" in [n.op.name for n in Graph(both).nodes]


# ---- gradients of section 6.5 --------------------------------------------------------------------


@pytest.mark.parametrize(
    "penalty", [lambda w: sg.sum(w * w), lambda w: sg.sum(w**2), lambda w: sg.sum(sg.square(w))]
)
def test_weight_decay_is_one_scaling(penalty: Callable[[Tensor], Tensor]) -> None:
    w = sg.matrix("w", shape=(3, 4))
    out = simplify(sg.grad(0.1 * penalty(w), w))
    assert _ops(out) == ["multiply"]
    value = sg.function([w], out, backend="reference")(np.ones((3, 4)))
    np.testing.assert_array_equal(value, np.full((3, 4), 2 * 0.1))


def test_weight_decay_adds_one_scaled_term() -> None:
    w, v = sg.matrix("w", shape=(3, 4)), sg.matrix("v", shape=("n", 3))
    cost = sg.sum(sg.relu(v @ w)) + 0.01 * sg.sum(w * w)
    plain = _ops(simplify(sg.grad(sg.sum(sg.relu(v @ w)), w)))
    assert sorted(_ops(simplify(sg.grad(cost, w)))) == sorted([*plain, "multiply", "add"])


def _network() -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """The cost of section 6.5.7: one relu layer, softmax written by hand, weight decay."""
    data, labels = sg.matrix("X", shape=("n", 5)), sg.vector("y", shape="n", dtype="int64")
    w1, w2 = sg.matrix("W1", shape=(5, 7)), sg.matrix("W2", shape=(7, 4))
    u2 = sg.relu(data @ w1) @ w2
    q = sg.exp(u2) / sg.sum(sg.exp(u2), axis=1, keepdims=True)
    cross_entropy = -sg.mean(sg.log(q)[sg.arange(data.shape[0]), labels])
    return (
        cross_entropy + 0.01 * (sg.sum(w1 * w1) + sg.sum(w2 * w2)),
        [w1, w2],
        [data, labels, w1, w2],
    )


def test_network_needs_five_matrix_products() -> None:
    cost, weights, inputs = _network()
    graph, _ = run_passes(Graph([cost, *sg.grad(cost, weights)], inputs), PIPELINES["default"])
    assert graph.count("matmul") == 5
    assert graph.count("exp", "log") == 0
    assert graph.count("softmax") == 1


def test_network_values_do_not_change() -> None:
    cost, weights, inputs = _network()
    rng = np.random.default_rng(0)
    arrays = [
        rng.normal(size=(6, 5)),
        rng.integers(0, 4, 6),
        rng.normal(size=(5, 7)),
        rng.normal(size=(7, 4)),
    ]
    outputs = [cost, *sg.grad(cost, weights)]
    want = sg.function(inputs, outputs, passes=(), backend="reference")(*arrays)
    for passes in PIPELINES:
        got = sg.function(inputs, outputs, passes=passes, backend="reference")(*arrays)
        for w, g in zip(want, got, strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-14)


# ---- the function itself -------------------------------------------------------------------------


@pytest.mark.parametrize("passes", PIPELINES)
def test_pipelines_are_idempotent_on_the_network(passes: str) -> None:
    cost, weights, _ = _network()
    once = simplify([cost, *sg.grad(cost, weights)], passes)
    twice = simplify(once, passes)
    assert all(a is b for a, b in zip(once, twice, strict=True))


def test_simplify_keeps_stop_gradient() -> None:
    out = simplify(sg.sum(x * sg.stop_gradient(x * 1)))
    assert "stop_gradient" in _ops(out)
    np.testing.assert_array_equal(
        sg.grad(out, x).eval({x: np.ones((1, 3))}, backend="reference"), np.ones((1, 3))
    )


def test_compiled_functions_lose_stop_gradient() -> None:
    f = sg.function([x], sg.stop_gradient(x) * 2, backend="reference")
    assert f.graph.count("stop_gradient") == 0


def test_forms_come_back() -> None:
    assert [v.name for v in simplify([x * 1, y])] == ["x", "y"]
    out = simplify({"a": x * 1, "b": y})
    assert out["a"] is x and out["b"] is y
    assert simplify((x * 1,))[0] is x


def test_not_a_tensor_is_refused() -> None:
    with pytest.raises(UsageError, match="simplify: 3 is not a tensor"):
        simplify(3)


def test_unknown_pipeline_is_refused() -> None:
    with pytest.raises(
        UsageError, match="passes='quick' is not one of 'strict', 'default', 'fast'"
    ):
        simplify(x, "quick")


def test_pipeline_must_hold_passes() -> None:
    with pytest.raises(UsageError, match="not a pipeline's name or a tuple of passes"):
        resolve_pipeline((1, 2))


def test_observer_sees_every_pass_in_order() -> None:
    seen: list[str] = []
    run_passes(
        Graph([x * 1], [x, y]),
        PIPELINES["default"],
        lambda name, before, after, seconds: seen.append(name),
    )
    assert seen == [p.__name__ for p in PIPELINES["default"]]


def test_function_reports_its_rewrites() -> None:
    f = sg.function([x], sg.log(1 + sg.exp(x)), backend="reference")
    (step,) = [r for r in f.rewrites if r.rule == "log_of_exponentials"]
    assert step.pass_name == "stabilise" and step.contract == "stabilising"
    assert str(step.line).startswith("test_simplify.py:")


def test_chain_of_ten_thousand_is_linear() -> None:
    v = sg.vector("v", shape=3)
    chain = v
    for _ in range(10_000):
        chain = sg.negative(-(chain * 1.0)) + 1.0
    out = simplify(chain)
    assert len(Graph([out])) == 3  # the literals are one


def test_trace_gives_the_rewrites_beside_the_result() -> None:
    given = {"a": x * 1, "b": sg.log(1 + sg.exp(y))}
    result, rewrites = simplify(given, trace=True)
    plain = simplify(given)
    assert all(result[name] is plain[name] for name in given) and result["a"] is x
    assert set(rewrites.counts()) == {"multiply_one", "log_of_exponentials"}
    assert rewrites.by(rule="multiply_one")[0].after is x
