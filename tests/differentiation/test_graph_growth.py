"""How much a gradient adds to the graph: rows G16 to G19, G22, G23, G29, G37 and G38."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest
from derivative_oracles import compiled, count, nodes_of, run, spelled

import symgraph as sg
from symgraph.errors import GraphError
from symgraph.graph import Graph
from symgraph.passes.build_grad import build_grad
from symgraph.tensor import private_table

# ---- G16 -----------------------------------------------------------------------------------------


def _diamonds(x: sg.Tensor, n: int, how: str) -> sg.Tensor:
    y = x
    for _ in range(n):
        y = y + y if how == "sum" else sg.sin(y) * sg.cos(y)
    return y


@pytest.mark.parametrize("how", ["sum", "product"])
def test_G16_diamonds_stay_linear(how: str) -> None:
    x = sg.scalar("x")
    sizes = [len(nodes_of(sg.grad(_diamonds(x, n, how), x))) for n in (20, 40, 60)]
    assert sizes[2] - sizes[1] == sizes[1] - sizes[0]
    assert sizes[2] < 12 * 60


def test_G16_sixty_diamonds_have_the_right_derivative() -> None:
    x = sg.scalar("x")
    assert run([x], sg.grad(_diamonds(x, 60, "sum"), x), 1.0) == 2.0**60


# ---- G17, G18 ------------------------------------------------------------------------------------


def _random_dag(
    rng: np.random.Generator, inputs: list[sg.Tensor], n: int
) -> list[tuple[str, int, int]]:
    """n operations, each on two earlier values (the second unused by one-operand ones)."""
    ops = ("add", "multiply", "sin", "tanh", "subtract")
    return [
        (
            ops[rng.integers(len(ops))],
            int(rng.integers(len(inputs) + k)),
            int(rng.integers(len(inputs) + k)),
        )
        for k in range(n)
    ]


def _values(program: list[tuple[str, int, int]], start: list[float]) -> list[float]:
    u = list(start)
    for op, i, j in program:
        a, b = u[i], u[j]
        u.append(
            {
                "add": a + b,
                "subtract": a - b,
                "multiply": a * b,
                "sin": math.sin(a),
                "tanh": math.tanh(a),
            }[op]
        )
    return u


def _algorithm_62(program: list[tuple[str, int, int]], start: list[float]) -> list[float]:
    """Derivatives of the last value by the recursion of eq. 6.49, one local derivative an edge."""
    u = _values(program, start)
    table = [0.0] * len(u)
    table[-1] = 1.0
    for k in reversed(range(len(program))):
        op, i, j = program[k]
        g = table[len(start) + k]
        edges = {
            "add": [(i, 1.0), (j, 1.0)], "subtract": [(i, 1.0), (j, -1.0)],
            "multiply": [(i, u[j]), (j, u[i])], "sin": [(i, math.cos(u[i]))],
            "tanh": [(i, 1 - math.tanh(u[i]) ** 2)],
        }[op]  # fmt: skip
        for source, local in edges:
            table[source] += g * local
    return table[: len(start)]


def _build(program: list[tuple[str, int, int]], inputs: list[sg.Tensor]) -> list[sg.Tensor]:
    u = list(inputs)
    for op, i, j in program:
        u.append(getattr(sg, op)(u[i]) if op in ("sin", "tanh") else getattr(sg, op)(u[i], u[j]))
    return u


@pytest.mark.parametrize("seed", range(8))
def test_G17_G18_random_graphs_follow_the_recursion(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = [sg.scalar(f"u{k}") for k in range(4)]
    program = _random_dag(rng, inputs, 40)
    z = _build(program, inputs)[-1]
    start = rng.normal(size=4).tolist()
    graph = Graph([z])
    edges = sum(len(n.inputs) for n in graph)
    before = len(graph)
    build_grad(graph, z, inputs)
    assert len(graph) - before <= 5 * edges + 2
    outputs = [z, *sg.grad(z, inputs, disconnected="zero")]
    found = run(inputs, outputs, *start)
    wanted = [_values(program, start)[-1], *_algorithm_62(program, start)]
    np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-12)


# ---- G19 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tanh", "exp", "sqrt", "sigmoid", "softmax", "logsumexp"])
def test_G19_backward_reuses_forward_values(name: str) -> None:
    x = sg.vector("x", 4)
    y = getattr(sg, name)(x)
    g = sg.grad(sg.sum(y * 1.5), x)
    forward = next(n for n in nodes_of(y) if n.op.name == name)
    if name == "logsumexp":  # its slope is a softmax of the same input
        assert next(n for n in nodes_of(g) if n.op.name == "softmax").inputs == forward.inputs
    else:
        assert forward in set(nodes_of(g))


def test_G19_one_forward_evaluation_for_value_and_gradient() -> None:
    x = sg.vector("x", 4)
    y = sg.exp(sg.tanh(x))
    outputs = [sg.sum(y), sg.grad(sg.sum(y), x)]
    assert (count(outputs, "exp"), count(outputs, "tanh")) == (1, 1)


# ---- G22, G23 ------------------------------------------------------------------------------------


def test_G22_no_number_is_needed_to_build() -> None:
    x = sg.vector("x")
    g = sg.grad(sg.sum(sg.exp(x) * x), x)
    arrays = [n.attrs["value"] for n in nodes_of(g) if n.op.name == "constant"]
    assert all(a.size == 1 for a in arrays)
    at = np.array([1.2, 3.765, -1.8])
    np.testing.assert_allclose(run([x], g, at), np.exp(at) * (1 + at), rtol=1e-14)


def test_G23_derivative_of_a_thrice_applied_function() -> None:
    """Fig. 6.10: z = f(f(f(w))), here f = sin."""
    w = sg.scalar("w")
    x = sg.sin(w)
    y = sg.sin(x)
    z = sg.sin(y)
    g = sg.grad(z, w)
    assert (count(g, "cos"), count(g, "multiply"), count(g, "sin")) == (3, 3, 2)  # dz/dz = 1 too
    assert g.op.name == "multiply"
    assert g.inputs[1].op.name == "cos"
    assert g.inputs[1].inputs == (w,)
    a = math.sin(0.3)
    b = math.sin(a)
    np.testing.assert_allclose(
        run([w], g, 0.3), math.cos(b) * math.cos(a) * math.cos(0.3), rtol=1e-15
    )


# ---- G29 -----------------------------------------------------------------------------------------


def test_G29_operation_inputs_and_consumers() -> None:
    a, b = sg.matrix("a"), sg.matrix("b")
    c = a @ b
    d = c + a
    graph = Graph([d])
    assert graph.get_operation(c).name == "matmul"
    assert graph.get_inputs(c) == (a, b)
    assert [n.op.name for n in graph.get_consumers(a)] == ["matmul", "add"]
    assert graph.get_consumers(d) == []
    with pytest.raises(GraphError, match=r"z .*is not in this graph"):
        graph.get_consumers(sg.matrix("z"))


def test_G37_derivatives_are_registered_in_the_same_graph() -> None:
    x = sg.vector("x", 3)
    z = sg.sum(sg.exp(x))
    graph = Graph([z])
    table = build_grad(graph, z, [x])
    g = table[x]
    assert isinstance(g, sg.Tensor)
    assert g in graph
    assert graph.outputs[0] is z
    for n in graph:
        for i in graph.get_inputs(n):
            assert n in set(graph.get_consumers(i))


# ---- G37, G38 ------------------------------------------------------------------------------------


def _mixed() -> tuple[list[sg.Tensor], list[sg.Tensor]]:
    x, w = sg.matrix("x", ("m", 3)), sg.matrix("w", (3, 4))
    h = sg.relu(x @ w)
    cost = sg.cross_entropy(h, sg.argmax(h, axis=1)) + sg.sum(sg.max(h, axis=0)) + sg.prod(h[0])
    return [x, w], [cost, *sg.grad(cost, [x, w]), *sg.hvp(cost, [x, w], [x, w])]


def test_G37_repeated_builds_give_identical_graphs() -> None:
    texts = []
    for _ in range(2):
        with private_table():  # nothing is found from an earlier build
            texts.append(spelled(_mixed()[1]))
    assert texts[0] == texts[1]


def test_G37_ten_thousand_links_need_no_recursion() -> None:
    assert sys.getrecursionlimit() < 10_000
    x = sg.scalar("x")
    y = x
    for _ in range(10_000):
        y = sg.sin(y)
    assert len(nodes_of(sg.grad(y, x))) > 20_000
    assert len(nodes_of(sg.jvp(y, x, 1.0))) > 20_000


def test_G37_masks_of_a_long_chain_need_no_recursion() -> None:
    x = sg.vector("x", 2)
    y = sg.exp(x)  # asks for the mask of everything after it
    for _ in range(5_000):
        y = sg.relu(y) + 1
    g = sg.grad(sg.sum(y), x)
    assert len(nodes_of(g)) < 60_000
    forward = sg.jvp(sg.log(y), x, [1.0, 2.0])  # asks for the mask of everything before it
    assert len(nodes_of(forward)) < 60_000


def _work(nodes: list[sg.Tensor]) -> int:
    """Element operations: one for each element of each computed node."""
    return sum(n.size for n in nodes if n.inputs)


@pytest.mark.parametrize("n", [10, 100, 1000])
def test_G38_backward_costs_a_small_multiple_of_forward(n: int) -> None:
    x = sg.vector("x", 8)
    y = x
    for k in range(n):
        y = (sg.tanh(y) * 1.01, sg.sin(y) + y, sg.exp(-y * y))[k % 3]
    cost = sg.sum(y)
    forward = nodes_of(cost)
    both = nodes_of(cost, sg.grad(cost, x))
    assert _work(both) - _work(forward) <= 4 * _work(forward)


def test_G38_chain_grows_by_the_same_amount_at_every_length() -> None:
    x = sg.vector("x", 8)

    def size(n: int) -> int:
        y = x
        for _ in range(n):
            y = sg.tanh(y) * sg.exp(y)
        return len(nodes_of(sg.grad(sg.sum(y), x)))

    assert size(300) - size(200) == size(200) - size(100)


def test_symbolic_gradient_serves_every_size() -> None:
    x = sg.vector("x", "n")
    f = compiled([x], sg.grad(sg.sum(x**3), x))
    for n in (0, 1, 7):
        at: Any = np.arange(float(n))
        np.testing.assert_allclose(f(at), 3 * at**2)
