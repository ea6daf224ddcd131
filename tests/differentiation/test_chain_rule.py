"""The chain rule: values of gradients against closed forms, differences and hand algorithms."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from derivative_oracles import BACKEND, IN_NUMPY, Array, compiled, count, differences, nodes_of, run
from scipy import special

import symgraph as sg

RNG = np.random.default_rng(23)


# ---- G12, G13, G14 -------------------------------------------------------------------------------

SCALAR: list[tuple[str, Callable[[Any], Any], Callable[[float], float]]] = [
    ("sin_exp", lambda x: sg.sin(sg.exp(x)), lambda x: np.cos(np.exp(x)) * np.exp(x)),
    ("log_cosh", lambda x: sg.log(sg.cosh(x)), np.tanh),
    ("sqrt_square", lambda x: sg.sqrt(1 + x**2), lambda x: x / np.sqrt(1 + x * x)),
    ("power", lambda x: (1 + x * x) ** 1.5, lambda x: 3 * x * np.sqrt(1 + x * x)),
    ("tower", lambda x: sg.exp(sg.sin(sg.log(2 + x))), lambda x: np.exp(np.sin(np.log(2 + x)))
     * np.cos(np.log(2 + x)) / (2 + x)),
    ("quotient", lambda x: sg.sin(x) / x, lambda x: (x * np.cos(x) - np.sin(x)) / x**2),
    ("logistic", lambda x: sg.sigmoid(3 * x), lambda x: 0.75 / np.cosh(1.5 * x) ** 2),
]  # fmt: skip


@pytest.mark.parametrize("name", [s[0] for s in SCALAR])
def test_G12_scalar_closed_forms(name: str) -> None:
    build, slope = next(s[1:] for s in SCALAR if s[0] == name)
    x = sg.scalar("x")
    f = compiled([x], sg.grad(build(x), x))
    for at in (-0.9, 0.4, 1.7):
        np.testing.assert_allclose(f(at), slope(at), rtol=1e-13)


def test_G13_gradient_is_transposed_jacobian_times_cotangent() -> None:
    x, g = sg.vector("x", 4), sg.vector("g", 3)
    w = RNG.normal(size=(3, 4))
    y = sg.tanh(w @ x)
    at, cotangent = RNG.normal(size=4), RNG.normal(size=3)
    jacobian = (1 - np.tanh(w @ at) ** 2)[:, None] * w
    found = run([x, g], sg.vjp(y, x, g), at, cotangent)
    np.testing.assert_allclose(found, jacobian.T @ cotangent, rtol=1e-13)


def test_G13_elementwise_ops_take_no_more_than_their_size() -> None:
    x = sg.vector("x", 50)
    g = sg.grad(sg.sum(sg.sin(sg.exp(x)) * x), x)
    assert max(n.size for n in nodes_of(g)) == 50


def test_G14_reshaping_does_not_change_the_gradient() -> None:
    w = RNG.normal(size=(4, 4))

    def cost(m: sg.Tensor) -> sg.Tensor:
        return sg.logsumexp(m @ w) + sg.sum(sg.tanh(m[1:] * m[:-1]))

    m, flat = sg.matrix("m", (3, 4)), sg.vector("flat", 12)
    at = RNG.normal(size=(3, 4))
    direct = run([m], sg.grad(cost(m), m), at)
    through = run([flat], sg.grad(cost(sg.reshape(flat, (3, 4))), flat), at.reshape(-1))
    np.testing.assert_array_equal(direct, through.reshape(3, 4))


# ---- G03, G01, G09, G26 --------------------------------------------------------------------------


def test_G03_any_function_not_only_networks() -> None:
    def log_density(x: Any, mean: Any, scale: Any, m: Any = np) -> Any:
        z = (x - mean) / scale
        return m.sum(-0.5 * z * z - m.log(scale)) - m.sum(m.log(1 + m.exp(z)))

    x, mean, scale = sg.vector("x"), sg.scalar("mean"), sg.vector("scale")
    arrays = [RNG.normal(size=5), np.array(0.3), RNG.uniform(0.5, 2, 5)]
    found = run(
        [x, mean, scale], sg.grad(log_density(x, mean, scale, sg), [x, mean, scale]), *arrays
    )
    for k, g in enumerate(found):
        wanted = differences(log_density, arrays, k)
        np.testing.assert_allclose(g, wanted, rtol=1e-8, atol=1e-9)


def test_G09_a_composite_is_its_parts_written_out() -> None:
    def block(a: Any) -> Any:
        return sg.tanh(a) * sg.softplus(a) + a

    x = sg.vector("x")
    y = sg.tanh(x) * sg.softplus(x) + x
    inline = sg.tanh(y) * sg.softplus(y) + y
    assert block(block(x)) is inline
    assert sg.grad(sg.sum(block(block(x))), x) is sg.grad(sg.sum(inline), x)


def test_G26_evaluation_at_numbers_is_the_same_computation() -> None:
    x = sg.vector("x")
    cost = sg.sum(sg.exp(sg.sin(x)))
    g = sg.grad(cost, x)
    at = np.array([0.1, -2.0, 3.0])
    value, slope = run([x], [cost, g], at)
    assert cost.eval({x: at}, backend=BACKEND) == value
    np.testing.assert_array_equal(g.eval({x: at}, backend=BACKEND), slope)


# ---- G11, G28, Z23 -------------------------------------------------------------------------------


def test_G11_weight_in_prediction_and_penalty() -> None:
    x, y, w = sg.matrix("x"), sg.vector("y"), sg.vector("w")
    lam = 0.3
    cost = sg.sum((x @ w - y) ** 2) + lam * sg.sum(w**2)
    a, b, c = RNG.normal(size=(6, 3)), RNG.normal(size=6), RNG.normal(size=3)
    wanted = 2 * a.T @ (a @ c - b) + 2 * lam * c
    np.testing.assert_allclose(run([x, y, w], sg.grad(cost, w), a, b, c), wanted, rtol=1e-13)


def test_G28_every_path_adds() -> None:
    x = sg.vector("x", 3)
    h = sg.exp(x)
    cost = sg.sum(h * sg.sin(h) + h / (1 + x) + sg.sqrt(h) * x)

    def value(v: Array) -> Array:
        e = np.exp(v)
        return np.asarray((e * np.sin(e) + e / (1 + v) + np.sqrt(e) * v).sum())

    at = np.array([0.2, 0.5, -0.3])
    np.testing.assert_allclose(run([x], sg.grad(cost, x), at), differences(value, [at]), rtol=1e-9)


def test_Z23_shared_variable_gets_the_sum_of_its_copies() -> None:
    value = RNG.normal(size=(3, 3))
    tied = sg.shared(value, name="tied")
    copies = [sg.matrix(f"copy{k}", (3, 3)) for k in range(3)]
    x = RNG.normal(size=3)

    def cost(weights: Sequence[sg.Tensor]) -> sg.Tensor:
        h = sg.constant(x)
        for w in weights:
            h = sg.tanh(w @ h)
        return sg.sum(h)

    one = run([], sg.grad(cost([tied] * 3), tied))
    several = run(copies, sg.grad(cost(copies), copies), value, value, value)
    np.testing.assert_allclose(one, sum(several), rtol=1e-13)


# ---- G31: matmul for every combination of ranks --------------------------------------------------

RANKS = [
    ((4,), (4,)), ((4,), (4, 3)), ((2, 4), (4,)), ((2, 4), (4, 3)), ((5, 2, 4), (4, 3)),
    ((2, 4), (5, 4, 3)), ((5, 2, 4), (5, 4, 3)), ((5, 1, 2, 4), (3, 4, 2)), ((4,), (5, 4, 3)),
    ((5, 2, 4), (4,)), ((1, 2, 4), (5, 4, 3)),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), RANKS, ids=str)
def test_G31_matmul(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    arrays = [RNG.normal(size=a), RNG.normal(size=b)]
    x, y = sg.tensor("x", a), sg.tensor("y", b)
    weight = RNG.normal(size=(arrays[0] @ arrays[1]).shape)
    found = run([x, y], sg.grad(sg.sum(weight * (x @ y)), [x, y]), *arrays)
    for k in (0, 1):
        wanted = differences(lambda p, q: np.sum(weight * (p @ q)), arrays, k)
        assert found[k].shape == arrays[k].shape
        np.testing.assert_allclose(found[k], wanted, rtol=1e-8, atol=1e-9)


# ---- G33: inputs are treated as distinct ---------------------------------------------------------

X = np.array([[1.3, 0.7], [2.1, 0.4]])
G = np.array([[0.5, -1.0], [2.0, 3.0]])
DISTINCT: list[tuple[str, Callable[[Any], Any], Array]] = [
    ("multiply", lambda x: x * x, 2 * X * G),
    ("add", lambda x: x + x, 2 * G),
    ("subtract", lambda x: x - x, 0 * G),
    ("divide", lambda x: x / x, 0 * G),
    ("maximum", lambda x: sg.maximum(x, x), G),
    ("minimum", lambda x: sg.minimum(x, x), G),
    ("pow", lambda x: sg.pow(x, x), X**X * (1 + np.log(X)) * G),
    ("matmul", lambda x: x @ x, G @ X.T + X.T @ G),
    ("logaddexp", lambda x: sg.logaddexp(x, x), G),
    ("atan2", lambda x: sg.atan2(x, x), 0 * G),
    ("xlogy", lambda x: sg.xlogy(x, x), (1 + np.log(X)) * G),
    ("where", lambda x: sg.where(np.array([[True, False], [False, True]]), x, x), G),
]


@pytest.mark.parametrize("name", [d[0] for d in DISTINCT])
def test_G33_repeated_input(name: str) -> None:
    build, wanted = next(d[1:] for d in DISTINCT if d[0] == name)
    x = sg.matrix("x", (2, 2))
    found = run([x], sg.vjp(build(x), x, G), X)
    np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-15)


def test_G33_repeated_parts_of_concat() -> None:
    x, g = sg.matrix("x", (2, 2)), np.arange(8.0).reshape(4, 2)
    found = run([x], sg.vjp(sg.concat([x, x]), x, g), X)
    np.testing.assert_array_equal(found, g[:2] + g[2:])


# ---- G43 -----------------------------------------------------------------------------------------


def test_G43_relu_zeroes_what_was_below_zero() -> None:
    x, g = sg.vector("x", 5), np.array([10.0, 20.0, 30.0, 40.0, 50.0])
    found = run([x], sg.vjp(sg.relu(x), x, g), [-2.0, -0.0, 0.0, 0.5, 3.0])
    np.testing.assert_array_equal(found, [0, 0, 0, 40, 50])


# ---- G21: Algorithms 6.3 and 6.4 -----------------------------------------------------------------

ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "tanh": (np.tanh, lambda a: 1 - np.tanh(a) ** 2),
    "sigmoid": (special.expit, lambda a: special.expit(a) * special.expit(-a)),
    "relu": (lambda a: np.maximum(a, 0), lambda a: (a > 0).astype(float)),
    "softplus": (lambda a: np.logaddexp(a, 0), special.expit),
}


def _by_hand(
    x: Array, y: Array, ws: list[Array], bs: list[Array], name: str, lam: float
) -> tuple[float, list[Array], list[Array]]:
    """Algorithm 6.3 forward, Algorithm 6.4 backward; squared error, the penalty sum of squares."""
    f, slope = ACTIVATIONS[name]
    hs, activations = [x], []
    for w, b in zip(ws, bs, strict=True):
        activations.append(b + w @ hs[-1])
        hs.append(f(activations[-1]))
    penalty = sum((p * p).sum() for p in (*ws, *bs))
    cost = ((hs[-1] - y) ** 2).sum() + lam * penalty
    g = 2 * (hs[-1] - y)
    dws: list[Array] = []
    dbs: list[Array] = []
    for k in reversed(range(len(ws))):
        g = g * slope(activations[k])
        dbs.insert(0, g + lam * 2 * bs[k])
        dws.insert(0, np.outer(g, hs[k]) + lam * 2 * ws[k])
        g = ws[k].T @ g
    return float(cost), dws, dbs


@pytest.mark.parametrize("depth", range(1, 6))
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_G21_multilayer_perceptron_by_hand(name: str, depth: int) -> None:
    sizes = [4, 6, 5, 3, 6, 2][: depth + 1]
    rng = np.random.default_rng(depth)
    ws = [rng.normal(size=(m, n)) for n, m in itertools.pairwise(sizes)]
    bs = [rng.normal(size=m) for m in sizes[1:]]
    x, y = rng.normal(size=sizes[0]), rng.normal(size=sizes[-1])
    tw = [sg.matrix(f"W{k}") for k in range(depth)]
    tb = [sg.vector(f"b{k}") for k in range(depth)]
    h: Any = sg.constant(x)
    for w, b in zip(tw, tb, strict=True):
        h = getattr(sg, name)(b + w @ h)
    lam = 0.05
    penalty = sg.nn.l2_penalty([*tw, *tb])
    cost = sg.sum((h - y) ** 2) + lam * penalty
    found = run([*tw, *tb], [cost, *sg.grad(cost, [*tw, *tb])], *ws, *bs)
    value, dws, dbs = _by_hand(x, y, ws, bs, name, lam)
    wanted: list[Any] = [value, *dws, *dbs]
    for got, by_hand in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, by_hand, rtol=1e-12, atol=1e-12)


# ---- N08, N11, N14 -------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [-1000.0, -40.0, 0.0, 40.0, 1000.0])
def test_N08_stable_forms_have_stable_derivatives(z: float) -> None:
    x = sg.scalar("x")
    sigma = special.expit(z)
    found = run(
        [x],
        [sg.grad(sg.softplus(x), x), sg.grad(sg.sigmoid(x), x), sg.grad(sg.logaddexp(x, 0.0), x)],
        z,
    )
    np.testing.assert_allclose(found, [sigma, sigma * special.expit(-z), sigma], rtol=1e-13)


@pytest.mark.parametrize(
    "z", [[1000.0, 0.0, -1000.0], [-1000.0, -1001.0, -1002.0], [1e300, 0.0, 1e300]]
)
def test_N08_softmax_cross_entropy_is_q_minus_p(z: list[float]) -> None:
    x = sg.vector("x", 3)
    q = special.softmax(z)
    p = np.array([0.2, 0.3, 0.5])
    np.testing.assert_allclose(run([x], sg.grad(sg.logsumexp(x), x), z), q, rtol=1e-13)
    soft = sg.grad(-sg.sum(p * sg.log_softmax(x)), x)
    np.testing.assert_allclose(run([x], soft, z), q - p, rtol=1e-12, atol=1e-15)


UNARY = [
    "exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "sinh", "cosh",
    "tanh", "asin", "acos", "atan", "asinh", "atanh", "erf", "erfc", "sqrt", "cbrt", "square",
    "reciprocal", "sigmoid", "softplus", "logit",
]  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_N11_remainder_of_first_order_is_of_second_order(name: str) -> None:
    x = sg.scalar("x")
    y = getattr(sg, name)(x)
    f, slope = compiled([x], y), run([x], sg.grad(y, x), 0.37)
    steps = np.array([1e-1, 1e-2, 1e-3, 1e-4])
    rest = np.array([abs(f(0.37 + e) - f(0.37) - e * slope) for e in steps])
    local = np.diff(np.log10(rest)) / np.diff(np.log10(steps))
    np.testing.assert_allclose(local, 2, atol=0.25)


def test_N14_directional_derivative_by_three_routes() -> None:
    w = RNG.normal(size=(5, 3))

    def cost(x: Any, m: Any) -> Any:
        return m.log(m.sum(m.exp(m.tanh(w @ x)))) + m.sum(x**3)

    x, u, a = sg.vector("x", 3), sg.vector("u", 3), sg.scalar("a")
    at, along = RNG.normal(size=3), RNG.normal(size=3)
    by_scalar = run([x, u, a], sg.grad(cost(x + a * u, sg), a), at, along, 0.0)
    by_dot = run([x, u], sg.vecdot(u, sg.grad(cost(x, sg), x)), at, along)
    by_forward = run([x, u], sg.jvp(cost(x, sg), x, u), at, along)
    numeric = differences(lambda s: cost(at + s * along, np), [0.0])
    np.testing.assert_allclose([by_scalar, by_dot, by_forward], [numeric] * 3, rtol=1e-9)
    np.testing.assert_allclose([by_scalar, by_dot], [by_forward] * 2, rtol=1e-13)


# ---- G20, G25 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("passes", [(), "strict", "default", "fast"])
def test_G20_every_pipeline_gives_the_same_values(passes: Any) -> None:
    x = sg.vector("x", 4)
    w = RNG.normal(size=(3, 4))
    cost = sg.logsumexp(w @ sg.tanh(x)) + sg.sum(x * x)
    at = RNG.normal(size=4)
    wanted = run([x], sg.grad(cost, x), at)
    np.testing.assert_allclose(
        compiled([x], sg.grad(cost, x), passes=passes)(at), wanted, rtol=1e-13
    )


def test_G25_any_order_that_respects_dependencies_gives_the_same_bits() -> None:
    x = sg.vector("x", 4)
    w = RNG.normal(size=(3, 4))
    cost = sg.logsumexp(w @ sg.tanh(x)) * sg.sum(x * sg.sin(x))
    outputs = [cost, sg.grad(cost, x)]
    at = RNG.normal(size=4)
    wanted = compiled([x], outputs, passes=(), backend=IN_NUMPY)(at)
    nodes = nodes_of(*outputs)
    rng = np.random.default_rng(1)
    for _ in range(3):
        values: dict[sg.Tensor, Any] = {x: at}
        while len(values) < len(nodes):
            ready = [n for n in nodes if n not in values and all(i in values for i in n.inputs)]
            n = ready[rng.integers(len(ready))]
            values[n] = n.op.evaluate(*[values[i] for i in n.inputs], **n.attrs)
        for o, v in zip(outputs, wanted, strict=True):
            np.testing.assert_array_equal(values[o], v)


def test_G01_forward_value_of_a_network() -> None:
    x, w, v = sg.vector("x", 3), sg.matrix("w", (4, 3)), sg.vector("v", 4)
    cost = 0.5 * (v @ sg.tanh(w @ x) - 1.0) ** 2
    a, b, c = RNG.normal(size=3), RNG.normal(size=(4, 3)), RNG.normal(size=4)
    wanted = 0.5 * (c @ np.tanh(b @ a) - 1.0) ** 2
    np.testing.assert_allclose(run([x, w, v], cost, a, b, c), wanted, rtol=1e-14)
    assert count(cost, "matmul") == 2
