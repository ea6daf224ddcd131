"""Random expressions: pipelines keep values, strict keeps bits, and every pipeline is a fixed
point.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import symgraph as sg
from symgraph import Graph, Tensor
from symgraph.backends.reference.evaluate import evaluate_graph
from symgraph.passes.pipeline import PIPELINES, run_passes
from symgraph.passes.simplify import simplify
from symgraph.verify import verify_pass

X, Y = sg.matrix("x", shape=("n", 3)), sg.matrix("y", shape=("n", 3))
ROW, SCALAR = sg.vector("r", shape=3), sg.scalar("s")

# fmt: off
UNARY: list[Callable[[Tensor], Tensor]] = [
    lambda a: -a, sg.abs, sg.square, sg.tanh, sg.sigmoid, sg.softplus, sg.relu,
    lambda a: sg.exp(-sg.abs(a)), lambda a: sg.log(1 + sg.exp(a)), lambda a: 1 / (1 + sg.exp(-a)),
    lambda a: sg.log(sg.abs(a) + 0.5), lambda a: sg.sqrt(sg.abs(a)),
    lambda a: a / 4, lambda a: 0.1 * a,
    lambda a: a * 1 - 0.0, lambda a: a + a, lambda a: a[:, ::-1],
    lambda a: a.T.T, lambda a: 2 * (3 * a),
    lambda a: sg.broadcast_to(sg.sum(a, axis=1, keepdims=True), a.shape),
    lambda a: a - sg.max(a, axis=1, keepdims=True), lambda a: (a / 3) * sg.mean(a),
    lambda a: sg.exp(a) / sg.sum(sg.exp(a), axis=1, keepdims=True),
    lambda a: (sg.tanh(a.reshape((-1,)))).reshape(a.shape), lambda a: sg.expand_dims(a, 1)[:, 0],
    lambda a: sg.concat([a[:, 1:], a[:, :1]], axis=1), lambda a: sg.where(X > 0.5, a, -a),
]
BINARY: list[Callable[[Tensor, Tensor], Tensor]] = [
    sg.add, sg.subtract, sg.multiply, sg.maximum, sg.minimum, lambda a, b: a / (sg.abs(b) + 0.5),
    lambda a, b: a + (-b), lambda a, b: -(a - b),
    lambda a, b: sg.where(Y > X, a, b), lambda a, b: a * b - b * a + a,
    lambda a, b: sg.log(sg.exp(sg.tanh(a)) + sg.exp(sg.tanh(b))), lambda a, b: (a - b) + b,
]
# fmt: on

Step = tuple[int, int, int]
PROGRAMS = st.lists(
    st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)), min_size=2, max_size=9
)


def _grown(program: list[Step]) -> Tensor:
    """The expression a list of numbers stands for."""
    pool: list[Tensor] = [X, Y, X * ROW, Y + SCALAR]
    for which, first, second in program:
        a, b = pool[first % len(pool)], pool[-1 - second % 3]
        if which % 2:
            pool.append(UNARY[which // 2 % len(UNARY)](b))
        else:
            pool.append(BINARY[which // 2 % len(BINARY)](a, b))
    return pool[-1]


SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e300, -1e-300, 5e-324, 1.5, -2.0])


def _values(kind: str) -> dict[Tensor, np.ndarray]:
    rng = np.random.default_rng(7)

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        return rng.uniform(-2, 2, shape) if kind == "ordinary" else rng.choice(SPECIAL, shape)

    return {v: draw(shape) for v, shape in ((X, (5, 3)), (Y, (5, 3)), (ROW, (3,)), (SCALAR, ()))}


def _run(expression: Tensor, values: dict[Tensor, np.ndarray]) -> np.ndarray:
    return evaluate_graph(Graph([expression], list(values)), values)[0]


def _passed(expression: Tensor, name: str) -> Tensor:
    return run_passes(Graph([expression], [X, Y, ROW, SCALAR]), PIPELINES[name], verify_pass)[
        0
    ].outputs[0]


common = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@seed(1)
@common
@given(PROGRAMS)
def test_strict_keeps_every_bit(program: list[Step]) -> None:
    expression = _grown(program)
    for kind in ("ordinary", "special"):
        want, got = (_run(e, _values(kind)) for e in (expression, _passed(expression, "strict")))
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(np.signbit(got[got == 0]), np.signbit(want[want == 0]))


@seed(2)
@common
@given(PROGRAMS, st.sampled_from(["default", "fast"]))
def test_pipelines_keep_values(program: list[Step], passes: str) -> None:
    expression = _grown(program)
    want, got = (_run(e, _values("ordinary")) for e in (expression, _passed(expression, passes)))
    settled = np.isfinite(want) & (np.abs(want) < 1e9)
    np.testing.assert_allclose(got[settled], want[settled], rtol=1e-6, atol=1e-6)


@seed(3)
@common
@given(PROGRAMS, st.sampled_from(sorted(PIPELINES)))
def test_pipelines_are_fixed_points(program: list[Step], passes: str) -> None:
    once = simplify(_grown(program), passes)
    assert simplify(once, passes) is once


@seed(4)
@settings(common, max_examples=30)
@given(PROGRAMS)
def test_gradients_keep_values(program: list[Step]) -> None:
    gradient = sg.grad(sg.sum(sg.tanh(_grown(program))), X, disconnected="zero")
    want, got = (_run(e, _values("ordinary")) for e in (gradient, _passed(gradient, "default")))
    settled = np.isfinite(want) & (np.abs(want) < 1e9)
    np.testing.assert_allclose(got[settled], want[settled], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("passes", PIPELINES)
def test_no_pipeline_makes_a_graph_longer(passes: str) -> None:
    rng = np.random.default_rng(11)
    for _ in range(20):
        program = [(int(a), int(b), int(c)) for a, b, c in rng.integers(0, 99, (6, 3))]
        expression = _grown(program)
        assert len(Graph([_passed(expression, passes)])) <= len(Graph([expression])) + 4
