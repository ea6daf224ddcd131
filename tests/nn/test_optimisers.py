"""Optimisers against loops in NumPy that follow Algorithms 8.1 to 8.7 line by line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from nn_backend import run, step

import symgraph as sg
from symgraph.errors import DTypeError, GradientError, ShapeError, UsageError
from symgraph.graph import topological

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(2)
START = RNG.normal(size=4) * 0.5
A = RNG.normal(size=(6, 4))
STEPS = 12
RATE = 0.02


def _cost(w: sg.Tensor) -> sg.Tensor:
    return 0.25 * sg.sum(sg.square(A @ w - 1.0)) + sg.sum(w**4)


def _slope(w: Array) -> Array:
    """The gradient of the cost by hand."""
    return np.asarray(0.5 * A.T @ (A @ w - 1.0) + 4 * w**3)


# ---- the algorithms as printed -------------------------------------------------------------------


def _sgd(w: Array) -> Array:
    for _ in range(STEPS):
        w = w - RATE * _slope(w)
    return w


def _momentum(w: Array) -> Array:
    v = np.zeros_like(w)
    for _ in range(STEPS):
        v = 0.8 * v - RATE * _slope(w)
        w = w + v
    return w


def _nesterov(w: Array) -> Array:
    v = np.zeros_like(w)
    for _ in range(STEPS):
        g = _slope(w + 0.8 * v)
        v = 0.8 * v - RATE * g
        w = w + v
    return w


def _adagrad(w: Array) -> Array:
    r = np.zeros_like(w)
    for _ in range(STEPS):
        g = _slope(w)
        r = r + g * g
        w = w - RATE / (0.3 + np.sqrt(r)) * g  # delta outside the root
    return w


def _rmsprop(w: Array) -> Array:
    r = np.zeros_like(w)
    for _ in range(STEPS):
        g = _slope(w)
        r = 0.7 * r + 0.3 * g * g
        w = w - RATE / np.sqrt(0.3 + r) * g  # delta inside the root
    return w


def _rmsprop_nesterov(w: Array) -> Array:
    r, v = np.zeros_like(w), np.zeros_like(w)
    for _ in range(STEPS):
        g = _slope(w + 0.8 * v)
        r = 0.7 * r + 0.3 * g * g
        v = 0.8 * v - RATE / np.sqrt(r) * g  # no delta
        w = w + v
    return w


def _adam(w: Array) -> Array:
    s, r = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, STEPS + 1):
        g = _slope(w)
        s = 0.6 * s + 0.4 * g
        r = 0.7 * r + 0.3 * g * g
        s_hat, r_hat = s / (1 - 0.6**t), r / (1 - 0.7**t)
        w = w - RATE * s_hat / (np.sqrt(r_hat) + 0.3)  # delta outside the root
    return w


ALGORITHMS: list[tuple[str, Callable[..., Any], dict[str, Any], Callable[[Array], Array]]] = [
    ("sgd", sg.optim.sgd, {}, _sgd),
    ("momentum", sg.optim.momentum, {"momentum": 0.8}, _momentum),
    ("nesterov", sg.optim.nesterov, {"momentum": 0.8}, _nesterov),
    ("adagrad", sg.optim.adagrad, {"delta": 0.3}, _adagrad),
    ("rmsprop", sg.optim.rmsprop, {"rho": 0.7, "delta": 0.3}, _rmsprop),
    ("rmsprop_nesterov", sg.optim.rmsprop, {"rho": 0.7, "momentum": 0.8}, _rmsprop_nesterov),
    ("adam", sg.optim.adam, {"rho1": 0.6, "rho2": 0.7, "delta": 0.3}, _adam),
]
NAMES = [a[0] for a in ALGORITHMS]


def _algorithm(name: str) -> tuple[Callable[..., Any], dict[str, Any], Callable[[Array], Array]]:
    return next(a[1:] for a in ALGORITHMS if a[0] == name)


def _train(updates: Any, w: sg.SharedVariable) -> Array:
    f = step([], updates)
    for _ in range(STEPS):
        f()
    return w.get_value()


@pytest.mark.parametrize("name", NAMES)
def test_E10_each_algorithm_as_printed(name: str) -> None:
    build, options, by_hand = _algorithm(name)
    w = sg.shared(START, name="w")
    found = _train(build(_cost(w), [w], learning_rate=RATE, **options), w)
    np.testing.assert_allclose(found, by_hand(START), rtol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_instead_of_a_cost(name: str) -> None:
    build, options, by_hand = _algorithm(name)
    w = sg.shared(START, name="w")
    for given in ([sg.grad(_cost(w), w)], {w: sg.grad(_cost(w), w)}):
        w.set_value(START)
        found = _train(build(given, [w], learning_rate=RATE, **options), w)
        np.testing.assert_allclose(found, by_hand(START), rtol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_rate_as_a_shared_variable_or_an_input(name: str) -> None:
    build, options, by_hand = _algorithm(name)
    w, rate = sg.shared(START, name="w"), sg.shared(7.0, name="rate")
    f = step([], build(_cost(w), [w], learning_rate=rate, **options))
    rate.set_value(RATE)
    for _ in range(STEPS):
        f()
    np.testing.assert_allclose(w.get_value(), by_hand(START), rtol=1e-11)
    w, given = sg.shared(START, name="w"), sg.scalar("given")
    f = step([given], build(_cost(w), [w], learning_rate=given, **options))
    for _ in range(STEPS):
        f(RATE)
    np.testing.assert_allclose(w.get_value(), by_hand(START), rtol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_several_parameters_move_together(name: str) -> None:
    build, options, by_hand = _algorithm(name)
    a, b = sg.shared(START[:1], name="a"), sg.shared(START[1:], name="b")
    f = step([], build(_cost(sg.concat([a, b])), [a, b], learning_rate=RATE, **options))
    for _ in range(STEPS):
        f()
    found = np.concatenate([a.get_value(), b.get_value()])
    np.testing.assert_allclose(found, by_hand(START), rtol=1e-11)


# ---- types ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_float32_program_has_no_float64_node(name: str) -> None:
    build, options, by_hand = _algorithm(name)
    w = sg.shared(START.astype(np.float32), name="w")
    cost = 0.25 * sg.sum(sg.square(A.astype(np.float32) @ w - 1.0)) + sg.sum(w**4)
    updates = build(cost, [w], learning_rate=RATE, **options)
    assert {v.dtype.name for v in updates} == {"float32"}
    assert [str(n) for n in topological(updates.values()) if n.type.dtype == np.float64] == []
    np.testing.assert_allclose(_train(updates, w), by_hand(START), rtol=3e-4)


def test_float32_adam_starts_with_a_full_step() -> None:
    w = sg.shared(np.full(3, 2.0, np.float32), name="w")
    updates = sg.optim.adam(
        sg.sum(w * np.array([1e-2, 1.0, 1e2], np.float32)), [w], learning_rate=0.5
    )
    step([], updates)()
    np.testing.assert_allclose(
        w.get_value(), 1.5, rtol=3e-7 * 4
    )  # digits that 1 - 0.999f would lose


def test_float64_rate_in_a_float32_program() -> None:
    w, rate = sg.shared(START.astype(np.float32), name="w"), sg.shared(0.1, name="rate")
    updates = sg.optim.sgd(sg.sum(w * w), [w], learning_rate=rate)
    assert updates[w].dtype == np.float32


def test_state_is_shared_variables_that_start_at_zero() -> None:
    w = sg.shared(START, name="w")
    updates = sg.optim.adam(_cost(w), w)
    assert sorted(str(v.name) for v in updates) == ["time_step", "w", "w_mean", "w_squares"]
    assert all(not v.get_value().any() for v in updates if v is not w)


def test_a_parameter_whose_size_may_change() -> None:
    w = sg.shared(np.ones(2), name="w", shape=("n",))
    updates = sg.optim.momentum(sg.sum(w * w), [w], learning_rate=0.25, momentum=0.0)
    sg.function([], None, updates=updates, backend="reference")()
    np.testing.assert_array_equal(w.get_value(), [0.5, 0.5])


# ---- a zero gradient -----------------------------------------------------------------------------


def test_E10_component_that_never_had_a_gradient() -> None:
    """Algorithm 8.6 as printed divides 0 by 0; with a delta the component stays where it is."""
    for delta, wanted in ((None, np.nan), (1e-6, 1.0)):
        w = sg.shared(np.ones(2), name="w")
        cost = sg.sum(w * np.array([1.0, 0.0]))
        step([], sg.optim.rmsprop(cost, [w], momentum=0.9, delta=delta))()
        np.testing.assert_array_equal(w.get_value()[1], wanted)


# ---- it trains -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "rate"),
    [
        (sg.optim.sgd, 0.05), (sg.optim.momentum, 0.02), (sg.optim.nesterov, 0.02),
        (sg.optim.adagrad, 0.5), (sg.optim.rmsprop, 0.02), (sg.optim.adam, 0.05),
    ],
    ids=["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"],
)  # fmt: skip
def test_every_algorithm_comes_down(build: Callable[..., Any], rate: float) -> None:
    w = sg.shared(START, name="w")
    cost = _cost(w)
    f = step([], build(cost, [w], learning_rate=rate), cost)
    first = f()
    for _ in range(150):
        last = f()
    assert last < 0.5 * first
    assert np.linalg.norm(run([], sg.grad(cost, w))) < 0.5


# ---- misuse --------------------------------------------------------------------------------------

_W = sg.shared(np.zeros(3), name="w")
_INPUTS: Any = [sg.vector("x")]


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: sg.optim.sgd(sg.sum(_W), _INPUTS), UsageError, "x.*is not a shared variable"),
        (lambda: sg.optim.sgd(sg.sum(_W), [_W, _W]), UsageError, "listed twice"),
        (lambda: sg.optim.sgd([], [_W]), UsageError, "0 gradients for 1 parameters"),
        (lambda: sg.optim.adam({}, [_W]), UsageError, "adam: no gradient for w"),
        (lambda: sg.optim.adam([_W[:2]], [_W]), ShapeError, r"adam: .*shape \(2,\), not \(3,\)"),
        (
            lambda: sg.optim.sgd([sg.vector("g", 3, dtype="float32")], [_W]), DTypeError,
            "gradient of w.* is float32, not float64",
        ),
        (lambda: sg.optim.sgd(_W * 2, [_W]), ShapeError, "not a scalar"),
        (
            lambda: sg.optim.sgd(sg.sum(_W), [_W], learning_rate=[1.0, 2.0]), ShapeError,
            "a scalar is needed",
        ),
        (
            lambda: sg.optim.sgd(sg.sum(_W), [sg.shared(np.arange(3), name="k")]), DTypeError,
            "k.* is int64; a parameter is floating-point",
        ),
        (
            lambda: sg.optim.sgd(sg.sum(_W), [_W, sg.shared(np.zeros(2), name="unused")]),
            GradientError, "does not depend on unused",
        ),
    ],
)  # fmt: skip
def test_misuse(build: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build()
