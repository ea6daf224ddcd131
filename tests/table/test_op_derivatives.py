"""Every operation's derivatives: finite differences to second order, and the adjoint identity.

The numbers differenced are the oracle's, so a derivative is measured against NumPy's function and
not against our own; second derivatives difference our gradient, which the first test has measured.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from op_case import Array, Case, draw, variables
from op_cases import BACKENDS, CASES, PASSES

import symgraph as sg

SEED = 20260312
STEP = 1e-3
SMOOTH = [c for c in CASES if c.order >= 1]
TWICE = [c for c in CASES if c.order >= 2]

Arrays = list[Array]


def slope(function: Callable[[float], Any], step: float = STEP) -> Array:
    """The derivative at 0 by the five-point rule; its error is of order step**4."""
    with np.errstate(all="ignore"):
        near = np.asarray(function(step)) - np.asarray(function(-step))
        far = np.asarray(function(2 * step)) - np.asarray(function(-2 * step))
    return np.asarray(8 * near - far) / (12 * step)


class Point:
    """A case at one random point, with a direction for every floating argument."""

    def __init__(self, case: Case, n: int, seed: int = SEED) -> None:
        self.case, self.rng = case, np.random.default_rng(seed)
        self.xs = variables(case, "float64")
        self.arrays = draw(case, self.rng, n, "float64")
        self.float: list[int] = [k for k, a in enumerate(self.arrays) if a.dtype.kind == "f"]
        self.wrt = [self.xs[k] for k in self.float]
        self.out = case.build(*self.xs)
        self.note = f"{case.id} n={n} (seed {seed})"

    def along(self, name: str) -> tuple[list[sg.Tensor], Arrays]:
        """A declared and a drawn direction for every floating argument."""
        made = [sg.tensor(f"{name}{x.name}", shape=x.shape) for x in self.wrt]
        drawn = [np.asarray(self.rng.normal(size=self.arrays[k].shape)) for k in self.float]
        return made, drawn

    def moved(self, direction: Arrays, step: float) -> Arrays:
        """The arguments after a step along a direction."""
        out = list(self.arrays)
        for k, v in zip(self.float, direction, strict=True):
            out[k] = out[k] + step * v
        return out

    def cotangent(self, shape: tuple[int, ...]) -> tuple[sg.Tensor, Array]:
        """A declared and a drawn cotangent of the result."""
        return sg.tensor("g", shape=self.out.shape), self.rng.normal(size=shape)

    def result_shape(self) -> tuple[int, ...]:
        """The shape of the oracle's value."""
        with np.errstate(all="ignore"):
            return np.shape(self.case.oracle(*self.arrays))


def close(a: Any, b: Any, what: str, tolerance: float = 1e-7) -> None:
    """Fail unless the two agree relative to their largest element."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape, f"{what}: shapes {a.shape} and {b.shape}"
    scale = max(1.0, float(np.max(np.abs(b), initial=0.0)))
    worst = float(np.max(np.abs(a - b), initial=0.0))
    assert worst <= tolerance * scale, f"{what}: differ by {worst:.3e}: {a} and {b}"


def inner(a: Arrays, b: Arrays) -> float:
    """The inner product of two lists of arrays."""
    return float(sum(np.sum(x * y) for x, y in zip(a, b, strict=True)))


def ids(cases: list[Case]) -> list[str]:
    """Names of parameter sets."""
    return [c.id for c in cases]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", SMOOTH, ids=ids(SMOOTH))
def test_tangent_is_the_slope(case: Case, backend: str) -> None:
    p = Point(case, n=4)
    made, direction = p.along("v")
    f = sg.function([*p.xs, *made], sg.jvp(p.out, p.wrt, made), backend=backend, passes=PASSES)
    want = slope(lambda h: p.case.oracle(*p.moved(direction, h)))
    close(f(*p.arrays, *direction), want, p.note)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", SMOOTH, ids=ids(SMOOTH))
def test_adjoint_identity(case: Case, backend: str) -> None:
    """<J v, g> = <v, J^T g>, at every size; the gradient has the type of its variable."""
    p = Point(case, n=4)
    made, _ = p.along("v")
    g = sg.tensor("g", shape=p.out.shape)
    forward, back = sg.jvp(p.out, p.wrt, made), sg.vjp(p.out, p.wrt, g)
    assert [b.type for b in back] == [x.type for x in p.wrt]
    assert forward.type == p.out.type
    f = sg.function([*p.xs, *made, g], [forward, *back], backend=backend, passes=PASSES)
    for n in case.sizes:
        q = Point(case, n)
        direction = q.along("v")[1]
        cotangent = q.cotangent(q.result_shape())[1]
        pushed, *pulled = f(*q.arrays, *direction, cotangent)
        if np.isfinite(pushed).all():
            left, right = inner([pushed], [cotangent]), inner(direction, pulled)
            assert left == pytest.approx(right, rel=1e-9, abs=1e-9), q.note


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", TWICE, ids=ids(TWICE))
def test_second_derivative(case: Case, backend: str) -> None:
    """Forward over reverse against the slope of the gradient; reverse over reverse against both."""
    p = Point(case, n=4)
    made, v = p.along("v")
    others, u = p.along("u")
    g, cotangent = p.cotangent(p.result_shape())
    gradient = sg.vjp(p.out, p.wrt, g)
    curved = sg.jvp(gradient, p.wrt, made)
    again = sg.vjp(gradient, p.wrt, others)
    once = sg.function([*p.xs, g], gradient, backend=backend, passes=PASSES)
    twice = sg.function(
        [*p.xs, *made, *others, g], [*curved, *again], backend=backend, passes=PASSES
    )
    found = twice(*p.arrays, *v, *u, cotangent)
    curved_v, pulled_u = found[: len(v)], found[len(v) :]
    for k, got in enumerate(curved_v):
        want = slope(partial(_gradient_after, once, p, v, cotangent, k))
        close(got, want, p.note)
    left, right = inner(u, curved_v), inner(pulled_u, v)
    assert left == pytest.approx(right, rel=1e-8, abs=1e-8), p.note


def _gradient_after(once: Any, p: Point, v: Arrays, cotangent: Array, k: int, step: float) -> Any:
    """The k-th gradient after a step along v."""
    return once(*p.moved(v, step), cotangent)[k]


@pytest.mark.parametrize("case", SMOOTH, ids=ids(SMOOTH))
def test_float32_stays_float32(case: Case) -> None:
    """No node of a float32 program, forward or backward, is float64."""
    if "float32" not in case.dtypes:
        return
    xs = variables(case, "float32")
    out = case.build(*xs)
    if out.dtype != np.float32:
        return
    wrt = [x for x in xs if x.dtype.kind == "f"]
    back = sg.vjp(out, wrt, sg.tensor("g", shape=out.shape, dtype="float32"))
    made = [sg.tensor("v", shape=x.shape, dtype="float32") for x in wrt]
    for node in sg.Graph([*back, sg.jvp(out, wrt, made)]).nodes:
        if node.inputs or node.op.name != "constant":  # a weak literal is no computation
            types = getattr(node.type, "items", (node.type,))
            assert all(t.dtype != np.float64 for t in types), f"{case.id}: {node!r}"
