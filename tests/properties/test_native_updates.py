"""Updates of shared variables: all from old values, all or none, the same bits in every variant."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from random_graphs import FLOATS, Example, examples
from test_native_bits import SETTINGS
from variants import assert_same_bits, outcome, shared_out, shuffled_units, unfused

import symgraph as sg
from symgraph.graph import topological
from symgraph.types import TensorType

Array = np.ndarray[Any, Any]
Way = Callable[[], contextlib.AbstractContextManager[None]]
SHAPES = ((3,), (2, 17), (17, 2), (3, 1030), (1025, 5), (1,), (), (2100,), (40, 40))
VARIANTS: dict[str, tuple[Way, dict[str, Any]]] = {
    "unfused": (unfused, {}),
    "shuffled": (shuffled_units, {}),
    "two threads": (shared_out, {"threads": 2}),
    "three threads": (shared_out, {"threads": 3}),
}
PICKED = sg.tensor("picked", shape=("k",), dtype="int64")


class Step:
    """A graph on shared variables, each of which becomes some value of its type; called twice,
    then once with an index out of range."""

    def __init__(self, example: Example, **options: Any) -> None:
        self.shared = [sg.shared(a.copy(), name=x.name) for x, a in example.pairs()]
        nodes = topological(example.outputs)
        values = [n for n in nodes if n.inputs and isinstance(n.type, TensorType)]
        updates: dict[sg.SharedVariable, sg.Tensor] = {}
        for w in self.shared:
            fitting = [v for v in values if v.dtype == w.dtype and v.shape == w.shape]
            if fitting:
                updates[w] = fitting[-1 - len(updates) % len(fitting)]
        givens = dict(zip(example.inputs, self.shared, strict=True))
        checked = sg.take(sg.arange(4), PICKED)
        outputs = [checked, *(values or example.outputs)[-2:]]
        self.f = sg.function([PICKED], outputs, updates, givens, passes=(), **options)

    def values(self) -> list[Array]:
        return [w.get_value() for w in self.shared]

    def run(self) -> list[Any]:
        """What every call returned, and the values of the variables after each."""
        found: list[Any] = []
        for index in ([1], [0, 3], [0, 4]):
            before = self.values()
            found.append(outcome(self.f, [np.array(index)]))
            if isinstance(found[-1], tuple):
                assert_same_bits(self.values(), before)
            found.append(self.values())
        assert isinstance(found[-2], tuple), "an index was out of range"
        return found


@settings(max_examples=50, **SETTINGS)
@given(examples(shapes=SHAPES, first=FLOATS))
def test_updates_have_the_same_bits_in_every_variant(example: Example) -> None:
    want = Step(example).run()
    for way, options in VARIANTS.values():
        with way():
            got = Step(example, **options).run()
        for g, w in zip(got, want, strict=True):
            assert_same_bits(g, w)


# ---- a training step -----------------------------------------------------------------------------


class Training:
    """Momentum, weight decay and a bias, every update the epilogue of a product or beside one."""

    def __init__(self, shape: tuple[int, int, int], **options: Any) -> None:
        n, m, k = shape
        rng = np.random.default_rng(n + m + k)
        self.start = {
            "w": rng.normal(size=(m, k)), "v": rng.normal(size=(m, k)), "b": rng.normal(size=k),
        }  # fmt: skip
        self.arrays = [rng.normal(size=(n, m)), rng.normal(size=(n, k))]
        self.w, self.v, self.b = (sg.shared(a.copy(), name=s) for s, a in self.start.items())
        x, t = sg.matrix("x"), sg.matrix("t")
        gap = sg.relu(x @ self.w + self.b) - t
        speed = 0.9 * self.v + x.T @ gap + 0.01 * self.w
        updates = {
            self.w: self.w - 0.1 * speed,
            self.v: speed,
            self.b: self.b - sg.sum(gap, axis=0),
        }
        outputs = [sg.sum(gap * gap), sg.take(self.b, PICKED)]
        self.f = sg.function([x, t, PICKED], outputs, updates, **options)

    def values(self) -> list[Array]:
        return [self.w.get_value(), self.v.get_value(), self.b.get_value()]

    def expected(self) -> list[Array]:
        """What one call makes of the start."""
        (w, v, b), (x, t) = self.start.values(), self.arrays
        gap = np.maximum(x @ w + b, 0) - t
        speed = 0.9 * v + x.T @ gap + 0.01 * w
        return [w - 0.1 * speed, speed, b - gap.sum(axis=0)]


@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 5, 3), (33, 65, 17), (40, 300, 129), (5, 1, 70)])
def test_a_training_step_is_all_or_nothing(shape: tuple[int, int, int]) -> None:
    plain = Training(shape)
    plain.f(*plain.arrays, np.array([0]))
    for got, want in zip(plain.values(), plain.expected(), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)
    for way, options in VARIANTS.values():
        with way():
            other = Training(shape, **options)
            before = other.values()
            with pytest.raises(sg.errors.IndexRangeError):
                other.f(*other.arrays, np.array([0, shape[2]]))
            assert_same_bits(other.values(), before)
            other.f(*other.arrays, np.array([0]))
            assert_same_bits(other.values(), plain.values())
