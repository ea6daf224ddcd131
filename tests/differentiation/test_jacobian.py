"""Jacobians and Hessians: rows A06, G07, G64, N19, N20 and N21 of the requirements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from derivative_oracles import Array, compiled, count, differences, nodes_of, run

import symgraph as sg
from symgraph.errors import GradientError, UsageError

MODES = ("reverse", "forward", "auto")
RNG = np.random.default_rng(11)
W = RNG.normal(size=(3, 4))
X = RNG.normal(size=4)
M = RNG.normal(size=(2, 3))


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max())
    return np.asarray(e / e.sum())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(4,), (None,)], ids=["static", "symbolic"])
def test_N19_linear_map_gives_its_matrix(mode: str, shape: Any) -> None:
    x = sg.vector("x", shape)
    np.testing.assert_allclose(run([x], sg.jacobian(W @ x, x, mode), X), W, rtol=1e-14)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(4,), (None,)], ids=["static", "symbolic"])
def test_N19_softmax_gives_diag_minus_outer(mode: str, shape: Any) -> None:
    x = sg.vector("x", shape)
    q = _softmax(X)
    found = run([x], sg.jacobian(sg.softmax(x), x, mode), X)
    np.testing.assert_allclose(found, np.diag(q) - np.outer(q, q), rtol=1e-12, atol=1e-16)


#: name, the graph, the same in NumPy; of a (2, 3) matrix
TENSOR_MAPS: list[tuple[str, Callable[[Any], Any], Callable[[Array], Any]]] = [
    (
        "product",
        lambda m: sg.tanh(m @ W) @ sg.transpose(m @ W),
        lambda m: np.tanh(m @ W) @ (m @ W).T,
    ),
    ("running", lambda m: sg.cumulative_prod(m, axis=1), lambda m: np.cumprod(m, axis=1)),
    ("gathered", lambda m: m[[1, 0, 1], [2, 2, 0]] ** 2, lambda m: m[[1, 0, 1], [2, 2, 0]] ** 2),
    ("padded", lambda m: sg.pad(sg.exp(m), 1), lambda m: np.pad(np.exp(m), 1)),
    ("flipped", lambda m: sg.flip(m) * m, lambda m: np.flip(m) * m),
    ("scalar", lambda m: sg.logsumexp(m), lambda m: np.log(np.exp(m).sum())),
    ("joined", lambda m: sg.concat([m, sg.sin(m)], axis=1), lambda m: np.hstack([m, np.sin(m)])),
    ("maximum", lambda m: sg.max(m, axis=0) * m, lambda m: m.max(axis=0) * m),
    ("written", lambda m: m.at[0].set(m[1] ** 2), lambda m: np.stack([m[1] ** 2, m[1]])),
    ("sliced", lambda m: m[:, ::-2] * 3, lambda m: m[:, ::-2] * 3),
    ("einsum", lambda m: sg.einsum("ij,kj->ik", m, m), lambda m: m @ m.T),
]


@pytest.mark.parametrize("mode", MODES[:2])
@pytest.mark.parametrize("sizes", [(2, 3), ("r", "c")], ids=["static", "symbolic"])
@pytest.mark.parametrize("name", [name for name, _, _ in TENSOR_MAPS])
def test_N19_tensor_in_and_out(name: str, sizes: Any, mode: str) -> None:
    build, value = next((b, v) for n, b, v in TENSOR_MAPS if n == name)
    m = sg.matrix("m", sizes)
    found = run([m], sg.jacobian(build(m), m, mode), M)
    wanted = differences(value, [M])
    assert found.shape == np.shape(value(M)) + M.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-9)


def test_A06_derivatives_have_the_shapes_of_the_notation() -> None:
    s, v, m, t = (
        sg.scalar("s"),
        sg.vector("v", 3),
        sg.matrix("m", (2, 3)),
        sg.tensor3("t", (2, 3, 4)),
    )
    cost = s * sg.sum(v * v) + sg.sum(m * v) ** 2 + sg.sum(sg.exp(t)) * s
    assert [g.shape for g in sg.grad(cost, [s, v, m, t])] == [(), (3,), (2, 3), (2, 3, 4)]
    assert sg.jacobian(m @ v, v).shape == (2, 3)
    assert sg.jacobian(m @ v, m).shape == (2, 2, 3)
    assert sg.hessian(cost, v).shape == (3, 3)
    assert sg.hessian(cost, s).shape == ()
    assert sg.hessian(cost, m).shape == (2, 3, 2, 3)


def test_G07_several_outputs_by_several_variables() -> None:
    a, b = sg.vector("a", 2), sg.scalar("b")
    found = sg.jacobian({"p": a * b, "q": sg.sum(a) + b**3}, [a, b])
    values = run(
        [a, b], [found["p"][0], found["p"][1], found["q"][0], found["q"][1]], [2.0, 5.0], 3.0
    )
    np.testing.assert_allclose(values[0], 3.0 * np.eye(2))
    np.testing.assert_allclose(values[1], [2.0, 5.0])
    np.testing.assert_allclose(values[2], [1.0, 1.0])
    np.testing.assert_allclose(values[3], 27.0)


def test_G07_intermediate_variable() -> None:
    x = sg.vector("x", 3)
    h = sg.tanh(x)
    found = run([x], sg.jacobian(h * h, h), [0.1, 0.2, 0.3])
    np.testing.assert_allclose(found, np.diag(2 * np.tanh([0.1, 0.2, 0.3])), rtol=1e-14)


def test_N19_auto_takes_the_smaller_side() -> None:
    tall, wide = sg.vector("x", 3), sg.vector("x", 50)
    grown, shrunk = sg.jacobian(sg.tile(tall, 20), tall), sg.jacobian(sg.sum(wide * wide), wide)
    assert max(int(np.prod(n.shape[:1])) for n in nodes_of(grown) if n.op.name == "iota") == 3
    assert max((int(n.shape[0]) for n in nodes_of(shrunk) if n.op.name == "iota"), default=1) == 1


def test_N19_forward_values_are_computed_once() -> None:
    x = sg.vector("x")
    assert count(sg.jacobian(sg.tanh(W[:, :1] * x), x), "tanh") == 1


def test_one_program_for_every_size() -> None:
    x = sg.vector("x", "n")
    f = compiled([x], sg.hessian(sg.sum(x**4) * sg.sum(x), x))
    for n in (1, 2, 5):
        v = RNG.normal(size=n)
        rank_two = np.add.outer(4 * v**3, 4 * v**3) + np.diag(12 * v**2 * v.sum())
        np.testing.assert_allclose(f(v), rank_two, rtol=1e-12)


def test_an_empty_axis_gives_an_empty_jacobian() -> None:
    x = sg.vector("x", "n")
    assert run([x], sg.jacobian(sg.exp(x), x), np.zeros(0)).shape == (0, 0)


# ---- Hessians ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_N20_quadratic_form(mode: str) -> None:
    a = RNG.normal(size=(4, 4))
    x = sg.vector("x", 4)
    found = run([x], sg.hessian(x @ a @ x, x, mode), X)
    np.testing.assert_allclose(found, a + a.T, rtol=1e-13)


@pytest.mark.parametrize("mode", MODES)
def test_N20_rosenbrock_closed_form(mode: str) -> None:
    x = sg.vector("x", 2)
    cost = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    a, b = -1.2, 1.0
    wanted = [[2 - 400 * (b - 3 * a * a), -400 * a], [-400 * a, 200.0]]
    np.testing.assert_allclose(run([x], sg.hessian(cost, x, mode), [a, b]), wanted, rtol=1e-13)


def test_N20_order_of_differentiation_does_not_matter() -> None:
    x = sg.vector("x", 4)
    h = sg.tanh(W @ x)
    found = run([x], sg.hessian(sg.logsumexp(h) + sg.prod(h), x), X)
    np.testing.assert_allclose(found, found.T, rtol=0, atol=1e-14)
    assert abs(found[0, 1]) > 1e-3


def test_N20_blocks_of_several_variables() -> None:
    u, v = sg.vector("u", 2), sg.scalar("v")
    (uu, uv), (vu, vv) = sg.hessian(sg.sum(u * u) * v * v + v, [u, v])
    found = run([u, v], [uu, uv, vu, vv], [1.0, 2.0], 3.0)
    np.testing.assert_allclose(found[0], 18.0 * np.eye(2))
    np.testing.assert_allclose(found[1], [12.0, 24.0])
    np.testing.assert_allclose(found[2], [12.0, 24.0])
    np.testing.assert_allclose(found[3], 10.0)


def test_G64_hessian_columns_are_products_with_unit_vectors() -> None:
    x, v = sg.vector("x", 4), sg.vector("v", 4)
    cost = sg.logsumexp(W @ x) + sg.sum(x**4)
    h = run([x], sg.hessian(cost, x), X)
    product = compiled([x, v], sg.hvp(cost, x, v))
    np.testing.assert_allclose(np.stack([product(X, e) for e in np.eye(4)], axis=1), h, rtol=1e-12)
    np.testing.assert_allclose(run([x], sg.jacobian(sg.grad(cost, x), x), X), h, rtol=1e-12)


def test_N21_curvature_along_eigenvectors_by_one_product() -> None:
    a = RNG.normal(size=(4, 4))
    a = a + a.T
    values, vectors = np.linalg.eigh(a)
    x, d = sg.vector("x", 4), sg.vector("d", 4)
    curvature = sg.vecdot(d, sg.hvp(0.5 * (x @ a @ x), x, d))
    f = compiled([x, d], curvature)
    assert max(n.size for n in nodes_of(curvature) if isinstance(n.size, int)) == 16  # a itself
    np.testing.assert_allclose([f(X, v) for v in vectors.T], values, rtol=1e-12, atol=1e-13)
    direction = RNG.normal(size=4)
    direction /= np.linalg.norm(direction)
    assert values[0] < f(X, direction) < values[-1]


# ---- refusals ------------------------------------------------------------------------------------


def test_disconnected_policies() -> None:
    x, w = sg.vector("x", 2), sg.vector("w", 3)
    with pytest.raises(GradientError, match=r"jacobian: .*does not depend on w"):
        sg.jacobian(x * 2, w)
    assert sg.jacobian(x * 2, w, disconnected="none") is None
    zero = sg.jacobian(x * 2, [x, w], disconnected="zero")[1]
    np.testing.assert_array_equal(run([x], zero, [1.0, 2.0]), np.zeros((2, 3)))


def test_refusals_name_the_argument() -> None:
    x, i = sg.vector("x", 2), sg.vector("i", 2, dtype="int64")
    with pytest.raises(UsageError, match="mode='backward'"):
        sg.jacobian(x, x, mode="backward")
    with pytest.raises(GradientError, match=r"i is int64|i .*is int64"):
        sg.jacobian(x * i, i)
    with pytest.raises(GradientError, match="int64 and has no derivative"):
        sg.jacobian(sg.argmax(x, axis=0), x)
    with pytest.raises(UsageError, match="disconnected='ignore'"):
        sg.jacobian(x, x, disconnected="ignore")
