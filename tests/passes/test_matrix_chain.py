"""The order of matrix products: cheapest for known sizes, safe for unknown ones."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph import Tensor, simplify
from symgraph.passes.rules.chain_order import FACTORS

Shape = tuple[int | str, ...]


def products(expression: Any) -> list[Tensor]:
    outputs = expression if isinstance(expression, list) else [expression]
    return [n for n in sg.Graph(outputs).nodes if n.op.name == "matmul"]


def multiplications(expression: Tensor) -> int:
    total = 0
    for node in products(expression):
        rows, inner, columns = (*node.inputs[0].shape, node.shape[-1])
        assert isinstance(rows, int) and isinstance(inner, int) and isinstance(columns, int)
        total += rows * inner * columns
    return total


def cheapest(dims: tuple[int, ...]) -> int:
    """By trying every split."""

    @functools.cache
    def cost(i: int, j: int) -> int:
        if j - i == 1:
            return 0
        return min(cost(i, k) + cost(k, j) + dims[i] * dims[k] * dims[j] for k in range(i + 1, j))

    return cost(0, len(dims) - 1)


def associated(factors: list[Tensor], rng: np.random.Generator) -> Tensor:
    """The product of the factors in a random order."""
    parts = list(factors)
    while len(parts) > 1:
        k = int(rng.integers(len(parts) - 1))
        parts[k : k + 2] = [parts[k] @ parts[k + 1]]
    return parts[0]


def matrices(*shapes: Shape) -> list[Tensor]:
    return [sg.matrix(f"A{k}", shape=shape) for k, shape in enumerate(shapes)]


def shapes_of(expression: Tensor) -> list[tuple[Any, ...]]:
    return [n.shape for n in products(expression)]


# ---- known sizes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(25))
def test_known_sizes_take_the_cheapest_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 9))
    dims = tuple(int(d) for d in rng.integers(1, 60, size=n + 1))
    factors = matrices(*itertools.pairwise(dims))
    written = associated(factors, rng)
    found = simplify(written)
    assert multiplications(found) <= multiplications(written)
    assert multiplications(found) == cheapest(dims) or len(products(found)) < n - 1
    values = {a: rng.standard_normal(a.shape) for a in factors}
    np.testing.assert_allclose(
        found.eval(values, backend="reference"),
        np.linalg.multi_dot(list(values.values())),
        rtol=1e-10, atol=1e-10,
    )  # fmt: skip
    assert simplify(found) is found


def test_book_example_of_four_factors() -> None:
    dims = (30, 2, 40, 5, 25)
    a, b, c, d = matrices(*itertools.pairwise(dims))
    assert multiplications(simplify(((a @ b) @ c) @ d)) == cheapest(dims)


def test_order_through_a_transpose() -> None:
    a, b, c = matrices((2, 300), (300, 200), (2, 3))
    found = simplify((a @ b).mT @ c)
    assert multiplications(found) == multiplications((a @ b).mT @ c)  # the given order is best
    wide = sg.matrix("w", shape=(2, 300))
    better = simplify((wide.mT @ c).mT @ a.mT.mT.mT[:, :2].mT.mT)
    assert len(products(better)) == 2


def test_equal_batches_take_the_cheapest_order() -> None:
    a = sg.tensor("a", shape=("k", 50, 2))
    b = sg.tensor("b", shape=("k", 2, 50))
    c = sg.tensor("c", shape=("k", 50, 1))
    assert shapes_of(simplify((a @ b) @ c))[0][1:] == (2, 1)


def test_non_commuting_pair_keeps_its_order() -> None:
    a, b = matrices((2, 2), (2, 2))
    at = {a: np.array([[0.0, 1.0], [0.0, 0.0]]), b: np.array([[0.0, 0.0], [1.0, 0.0]])}
    found = simplify(a @ b).eval(at, backend="reference")
    np.testing.assert_array_equal(found, [[1.0, 0.0], [0.0, 0.0]])


# ---- unknown sizes -------------------------------------------------------------------------------


def test_vector_on_the_right_needs_only_matrix_vector_products() -> None:
    a, b, c = matrices(("p", "q"), ("q", "r"), ("r", "s"))
    v = sg.vector("v", shape="s")
    assert [s[-1] for s in shapes_of(simplify(a @ b @ c @ v))] == [1, 1, 1]


def test_vector_on_the_left_needs_only_matrix_vector_products() -> None:
    a, b, c = matrices(("p", "q"), ("q", "r"), ("r", "s"))
    v = sg.vector("v", shape="p")
    assert [s[0] for s in shapes_of(simplify(v @ (a @ (b @ c))))] == [1, 1, 1]


def test_products_with_vectors_read_as_such() -> None:
    a, b, c = matrices(("p", "q"), ("q", "r"), ("r", "s"))
    u, v = sg.vector("u", shape="p"), sg.vector("v", shape="s")
    assert sg.pprint(simplify(a @ b @ c @ v)) == "A0 @ (A1 @ (A2 @ v))"
    assert sg.pprint(simplify(u @ (a @ (b @ c)))) == "u @ A0 @ A1 @ A2"
    assert sg.pprint(simplify(u @ a @ b @ c @ v)) == "u @ (A0 @ (A1 @ (A2 @ v)))"


def test_low_rank_product_is_kept_low() -> None:
    a, b, c = matrices(("n", 2), (2, "n"), ("n", 2))
    assert shapes_of(simplify((a @ b) @ c)) == [(2, 2), (a.shape[0], 2)]


@pytest.mark.parametrize("left", [True, False])
def test_incomparable_orders_stay_as_written(left: bool) -> None:
    a, b, c = matrices(("p", "q"), ("q", "r"), ("r", "s"))
    written = (a @ b) @ c if left else a @ (b @ c)
    assert simplify(written) is written


# ---- sharing -------------------------------------------------------------------------------------


def test_shared_product_is_not_taken_apart() -> None:
    a, b, c = matrices((50, 2), (2, 50), (50, 1))
    both = a @ b
    assert len(products(simplify([both @ c, sg.tanh(both)]))) == 2
    assert len(products(simplify([both @ c, sg.tanh(c)]))) == 2


def _network() -> tuple[Tensor, list[Tensor], list[Tensor]]:
    x, w, v = matrices(("n", 20), (20, 30), (30, 5))
    y = sg.vector("y", shape="n", dtype="int64")
    cost = sg.mean(sg.cross_entropy(sg.relu(x @ w) @ v, y))
    return cost + 0.1 * (sg.sum(w**2) + sg.sum(v**2)), [w, v], [x, y]


@pytest.mark.parametrize("passes", ["strict", "default", "fast"])
def test_network_needs_five_products(passes: str) -> None:
    cost, weights, inputs = _network()
    f = sg.function(
        [*inputs, *weights], [cost, *sg.grad(cost, weights)], passes=passes, backend="reference"
    )
    assert f.graph.count("matmul") == 5


@pytest.mark.parametrize("passes", ["strict", "default", "fast"])
def test_hessian_vector_product_keeps_its_products(passes: str) -> None:
    cost, weights, inputs = _network()
    along = [sg.matrix("dw", shape=(20, 30)), sg.matrix("dv", shape=(30, 5))]
    f = sg.function(
        [*inputs, *weights, *along], sg.hvp(cost, weights, along),
        passes=passes, backend="reference",
    )  # fmt: skip
    assert f.graph.count("matmul") <= 10


@pytest.mark.parametrize("passes", ["strict", "default", "fast"])
def test_products_of_a_deeper_network(passes: str) -> None:
    """784-512-512-10: each layer but the first needs three, and its HVP no more than it adds."""
    dims = (784, 512, 512, 10)
    weights = matrices(*itertools.pairwise(dims))
    along = [sg.matrix(f"d{k}", shape=w.shape) for k, w in enumerate(weights)]
    biases = [sg.vector(f"b{k}", shape=d) for k, d in enumerate(dims[1:])]
    x, y = sg.matrix("x", shape=("n", 784)), sg.vector("y", shape="n", dtype="int64")
    h = x
    for w, b in zip(weights, biases, strict=True):
        h = (h if w is weights[0] else sg.relu(h)) @ w + b
    cost = sg.mean(sg.cross_entropy(h, y))
    inputs = [x, y, *weights, *biases]
    gradient = [cost, *sg.grad(cost, [*weights, *biases])]
    f = sg.function(inputs, gradient, passes=passes, backend="reference")
    assert f.graph.count("matmul") == 8
    products_of = sg.hvp(cost, weights, along)
    g = sg.function([*inputs, *along], products_of, passes=passes, backend="reference")
    assert g.graph.count("matmul") == 18


def test_deep_gradient_computes_forward_values_once() -> None:
    x = sg.matrix("x", shape=("n", 8))
    weights = [sg.matrix(f"w{k}", shape=(8, 8)) for k in range(6)]
    h = x
    for w in weights:
        h = sg.tanh(h @ w)
    cost = sg.sum(sg.sigmoid(h))
    f = sg.function([x, *weights], [cost, *sg.grad(cost, weights)], backend="reference")
    assert f.graph.count("tanh") == 6
    assert f.graph.count("matmul") == 6 + 11
    assert f.graph.count("sigmoid") <= 2


@pytest.mark.parametrize("passes", ["default", "fast"])
@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_activation_is_evaluated_once_a_layer(name: str, passes: str) -> None:
    """For value and gradient, and for the Hessian-vector product beside them (row G19).

    sigmoid'(x) is sigmoid(x) sigmoid(-x), which is right where 1 - sigmoid(x) has cancelled.
    """
    inputs = matrices(("n", 8), (8, 8), (8, 8), (8, 8))
    x, *weights = inputs
    along = [sg.matrix(f"v{k}", shape=(8, 8)) for k in range(3)]
    h = functools.reduce(lambda h, w: getattr(sg, name)(h @ w), weights, x)
    cost = sg.sum(h * h)
    outputs = [cost, *sg.grad(cost, weights)]
    f = sg.function(inputs, outputs, passes=passes, backend="reference")
    outputs += sg.hvp(cost, weights, along)
    g = sg.function([*inputs, *along], outputs, passes="default", backend="reference")
    for graph in (f.graph, g.graph):
        of_layers = [n.inputs[0] for n in graph.nodes if n.op.name == name]
        assert len([i for i in of_layers if i.op.name != "negative"]) == 3
        plain = {id(i) for i in of_layers}
        assert all(id(i.inputs[0]) in plain for i in of_layers if i.op.name == "negative")
        assert graph.count("tanh") + graph.count("sigmoid") == len(of_layers)
        assert len(of_layers) == (3 if name == "tanh" else 6)


# ---- long chains ---------------------------------------------------------------------------------


def test_long_chain_is_ordered_in_pieces() -> None:
    n = 5 * FACTORS
    rng = np.random.default_rng(0)
    dims = [int(d) for d in rng.integers(2, 9, size=n + 1)]
    factors = matrices(*itertools.pairwise(dims))
    written = functools.reduce(lambda a, b: a @ b, factors)
    found = simplify(written)
    assert len(products(found)) == n - 1
    assert multiplications(found) < multiplications(written)


def test_long_chain_before_a_vector_has_only_vectors() -> None:
    n = 3 * FACTORS
    factors = matrices(*((f"n{k}", f"n{k + 1}") for k in range(n)))
    v = sg.vector("v", shape=f"n{n}")
    found = simplify(functools.reduce(lambda a, b: a @ b, [*factors, v]))
    assert {s[-1] for s in shapes_of(found)} == {1}
