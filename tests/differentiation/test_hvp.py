"""Higher derivatives and Hessian-vector products: rows G60 to G65 of the requirements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from derivative_oracles import Array, compiled, nodes_of, run

import symgraph as sg

RNG = np.random.default_rng(3)
W = RNG.normal(size=(5, 4))
X, V = RNG.normal(size=4), RNG.normal(size=4)


def _cost(x: sg.Tensor) -> sg.Tensor:
    return sg.logsumexp(W @ sg.tanh(x)) + sg.sum(x**3) * sg.sum(sg.sin(x))


def _reverse_over_reverse(cost: sg.Tensor, x: sg.Tensor, v: sg.Tensor) -> Any:
    return sg.grad(sg.vecdot(sg.grad(cost, x), sg.stop_gradient(v)), x)


# ---- G60 -----------------------------------------------------------------------------------------

FUNCTIONS: list[tuple[str, Callable[[Any], Any], Callable[[Any], Any], float]] = [
    ("tanh", sg.tanh, mpmath.tanh, 0.3),
    ("exp_sin", lambda x: sg.exp(sg.sin(x)), lambda x: mpmath.exp(mpmath.sin(x)), 0.7),
    ("x_to_the_x", lambda x: sg.pow(x, x), lambda x: x**x, 1.3),
]


@pytest.mark.parametrize("name", [f[0] for f in FUNCTIONS])
def test_G60_derivatives_of_order_one_to_five(name: str) -> None:
    build, exact, at = next(f[1:] for f in FUNCTIONS if f[0] == name)
    x = sg.scalar("x")
    expressions = [build(x)]
    for _ in range(5):
        expressions.append(sg.grad(expressions[-1], x))
    with mpmath.workdps(60):
        wanted = [float(mpmath.diff(exact, mpmath.mpf(at), k)) for k in range(6)]
    np.testing.assert_allclose(run([x], expressions, at), wanted, rtol=1e-12)


@pytest.mark.parametrize("name", [f[0] for f in FUNCTIONS])
def test_G60_forward_mode_nests_too(name: str) -> None:
    build, exact, at = next(f[1:] for f in FUNCTIONS if f[0] == name)
    x = sg.scalar("x")
    y = build(x)
    for _ in range(3):
        y = sg.jvp(y, x, 1.0)
    with mpmath.workdps(60):
        wanted = float(mpmath.diff(exact, mpmath.mpf(at), 3))
    np.testing.assert_allclose(run([x], y, at), wanted, rtol=1e-12)


# ---- G61 -----------------------------------------------------------------------------------------


def test_G61_product_agrees_with_three_other_routes() -> None:
    x, v = sg.vector("x", 4), sg.vector("v", 4)
    cost = _cost(x)
    found = run([x, v], sg.hvp(cost, x, v), X, V)
    twice = run([x, v], _reverse_over_reverse(cost, x, v), X, V)
    full = run([x], sg.hessian(cost, x), X) @ V
    gradient = compiled([x], sg.grad(cost, x))
    e = 1e-4
    slopes = [(gradient(X + h * V) - gradient(X - h * V)) / (2 * h) for h in (e, e / 2)]
    np.testing.assert_allclose(found, twice, rtol=1e-12)
    np.testing.assert_allclose(found, full, rtol=1e-12)
    np.testing.assert_allclose(found, (4 * slopes[1] - slopes[0]) / 3, rtol=1e-8)


def test_G61_several_variables_keep_their_form() -> None:
    a, b = sg.vector("a", 3), sg.scalar("b")
    cost = sg.sum(a * a) * b**2
    found = sg.hvp(cost, {"b": b, "a": a}, {"a": np.array([1.0, 0.0, 2.0]), "b": 0.5})
    values = run([a, b], found, [1.0, 2.0, 3.0], 2.0)
    hessian = np.array([[8, 0, 0, 4 * 2], [0, 8, 0, 8 * 2], [0, 0, 8, 12 * 2], [8, 16, 24, 2 * 14]])
    wanted = hessian @ [1.0, 0.0, 2.0, 0.5]
    np.testing.assert_allclose(values["a"], wanted[:3])
    np.testing.assert_allclose(values["b"], wanted[3])


def test_G61_costs_a_small_multiple_of_the_gradient() -> None:
    x, v = sg.vector("x", 4), sg.vector("v", 4)
    h = x
    for _ in range(40):
        h = sg.tanh(h) * sg.cos(h)
    cost = sg.sum(h)
    gradient, product = sg.grad(cost, x), sg.hvp(cost, x, v)
    assert len(nodes_of(product)) < 5 * len(nodes_of(gradient))


# ---- G62: nothing is differentiated through v ----------------------------------------------------


def test_G62_vector_computed_from_the_variable() -> None:
    x = sg.vector("x", 4)
    cost = _cost(x)
    h = run([x], sg.hessian(cost, x), X)
    np.testing.assert_allclose(run([x], sg.hvp(cost, x, x), X), h @ X, rtol=1e-12)


def test_G62_naive_form_differs() -> None:
    x = sg.vector("x", 4)
    cost = _cost(x)
    naive = sg.grad(sg.vecdot(sg.grad(cost, x), x), x)
    h, g = run([x], [sg.hessian(cost, x), sg.grad(cost, x)], X)
    np.testing.assert_allclose(run([x], naive, X), h @ X + g, rtol=1e-12)


def test_G62_constants_stay_constant_at_second_order() -> None:
    x = sg.vector("x", 3)
    c = x**2
    cost = sg.sum(x * x * c)
    values = np.array([1.0, 2.0, 3.0])
    found = run([x], sg.hvp(cost, x, np.ones(3), consider_constant=[c]), values)
    np.testing.assert_allclose(found, 2 * values**2)


def test_G62_a_linear_cost_has_zero_curvature() -> None:
    x = sg.vector("x", 3)
    found = run([x], sg.hvp(sg.sum(2 * x), x, x), [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(found, np.zeros(3))


# ---- G65: nothing of size n x n ------------------------------------------------------------------


def _rosenbrock_product(x: Array, v: Array) -> Array:
    """H v of sum 100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2, H tridiagonal."""
    diagonal = np.zeros_like(x)
    diagonal[:-1] += 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
    diagonal[1:] += 200
    beside = -400 * x[:-1]
    out = diagonal * v
    out[:-1] += beside * v[1:]
    out[1:] += beside * v[:-1]
    return out


def test_G65_a_hundred_thousand_parameters() -> None:
    n = 100_000
    x, v = sg.vector("x", n), sg.vector("v", n)
    cost = sg.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    product = sg.hvp(cost, x, v)
    assert max(node.size for node in nodes_of(product)) == n
    at, along = RNG.normal(size=n), RNG.normal(size=n)
    np.testing.assert_allclose(
        run([x, v], product, at, along), _rosenbrock_product(at, along), rtol=1e-10, atol=1e-8
    )
