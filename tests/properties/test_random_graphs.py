"""Random graphs: native against NumPy, simplified against as written, gradients against slopes."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
from agreement import allowances, assert_close
from hypothesis import HealthCheck, assume, given, settings
from random_graphs import Example, examples

import symgraph as sg
from symgraph.backends.reference.evaluate import evaluate_graph
from symgraph.errors import GradientError, IndexRangeError, SymgraphError
from symgraph.graph import topological
from symgraph.types import TensorType

SETTINGS: dict[str, Any] = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": [
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
    ],
}


def outcome(f: sg.Function, example: Example) -> Any:
    """The results, or the class of the error the call raised."""
    try:
        return f(*[a.copy() for a in example.arrays])
    except SymgraphError as error:
        return type(error)


def meets_nothing(f: sg.Function, example: Example) -> bool:
    """Whether an array without elements appears before the call fails."""
    sizes: list[int] = []
    values = dict(zip(f.signature.inputs, example.arrays, strict=True))
    with contextlib.suppress(SymgraphError):
        evaluate_graph(f.graph, values, lambda node, value: sizes.append(np.size(value)))
    return 0 in sizes


def compare(example: Example, first: sg.Function, second: sg.Function) -> None:
    """Both functions give the same results, or refuse alike."""
    want, got = outcome(first, example), outcome(second, example)
    if isinstance(want, type) or isinstance(got, type):
        # where nothing is read, native code need not look at an index that is out of range
        assert want is got or (want is IndexRangeError and meets_nothing(first, example))
        return
    allowed = allowances(first, example.arrays)
    for g, w, a in zip(got, want, allowed, strict=True):
        assert_close(g, w, a)


def compiled(example: Example, passes: Any, backend: str) -> sg.Function:
    return sg.function(example.inputs, example.outputs, passes=passes, backend=backend)


@settings(max_examples=400, **SETTINGS)
@given(examples())
def test_native_code_agrees_with_numpy(example: Example) -> None:
    compare(example, compiled(example, (), "reference"), compiled(example, (), "llvm"))


@settings(max_examples=400, **SETTINGS)
@given(examples())
def test_simplified_native_code_agrees_with_numpy(example: Example) -> None:
    compare(
        example, compiled(example, "default", "reference"), compiled(example, "default", "llvm")
    )


@settings(max_examples=400, **SETTINGS)
@given(examples())
def test_simplified_agrees_with_what_was_written(example: Example) -> None:
    compare(example, compiled(example, (), "reference"), compiled(example, "default", "reference"))


# ---- updates -------------------------------------------------------------------------------------


def step(example: Example, backend: str) -> tuple[sg.Function, list[sg.SharedVariable]]:
    """The graph on shared variables, each of which becomes some value of its type."""
    shared = [sg.shared(a.copy(), name=x.name) for x, a in example.pairs()]
    nodes = topological(example.outputs)
    values = [n for n in nodes if n.inputs and isinstance(n.type, TensorType)] or example.outputs
    updates: dict[sg.SharedVariable, sg.Tensor] = {}
    for w in shared:
        fitting = [v for v in values if v.dtype == w.dtype and v.shape == w.shape]
        if fitting:
            updates[w] = fitting[-1 - len(updates) % len(fitting)]
    givens = dict(zip(example.inputs, shared, strict=True))
    f = sg.function([], values[-2:], updates, givens, passes=(), backend=backend)
    return f, shared


@settings(max_examples=200, **SETTINGS)
@given(examples(dims=(3, 1, 2, 8, 17)))
def test_updates_agree_with_numpy(example: Example) -> None:
    """In place or not, all new values come from old ones; a call that fails changes none."""
    want, wanted = step(example, "reference")
    got, shared = step(example, "llvm")
    empty = Example([], example.outputs, [])
    with np.errstate(all="ignore"):
        results = outcome(want, empty), outcome(got, empty)
    if isinstance(results[0], type) or isinstance(results[1], type):
        assert results[0] is results[1] or meets_nothing(want, empty)
    for mine, theirs in zip(shared, wanted, strict=True):
        new, true = mine.get_value(), theirs.get_value()
        np.testing.assert_allclose(new, true, rtol=1e-3, atol=1e-3)


# ---- derivatives ---------------------------------------------------------------------------------


def slope(f: sg.Function, example: Example, direction: np.ndarray[Any, Any], h: float) -> float:
    x, *others = example.arrays
    return (float(f(x + h * direction, *others)) - float(f(x - h * direction, *others))) / (2 * h)


@settings(max_examples=400, **SETTINGS)
@given(examples(smooth=True, steps=10))
def test_gradients_agree_with_differences(example: Example) -> None:
    x, (out,) = example.inputs[0], example.outputs
    assume(out.dtype == np.float64)
    cost = sg.sum(out * sg.cos(sg.reshape(sg.arange(out.size, dtype="float64"), out.shape)))
    try:
        gradient = sg.grad(cost, x, disconnected="zero")
    except GradientError:
        assume(False)
    value = sg.function(example.inputs, cost, passes=(), backend="reference")
    derivative = sg.function(example.inputs, gradient, passes=(), backend="llvm")
    direction = np.asarray(np.random.default_rng(1).uniform(-1, 1, example.arrays[0].shape))
    try:
        got = float(np.sum(derivative(*example.arrays) * direction))
        near, far = (slope(value, example, direction, h) for h in (1e-5, 2e-5))
        size = abs(float(value(*example.arrays)))
    except SymgraphError:
        assume(False)
    assume(np.isfinite(got))  # sqrt and atan2 have no derivative at the zeros that x - x makes
    assume(np.isfinite(near) and np.isfinite(far) and abs(near) < 1e8 and size < 1e8)
    assert abs(got - near) <= 20 * abs(near - far) + 1e-5 * (abs(near) + size * 1e-3 + 1e-3)
