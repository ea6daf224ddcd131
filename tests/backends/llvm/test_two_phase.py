"""Reductions in two kernels: when, in how many chunks, and with the bits of one kernel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from stages import calls_of, native

import symgraph as sg
from symgraph.backends.llvm.two_phase import has_two_phases, partial
from symgraph.backends.llvm.units import CHUNK
from symgraph.backends.reference.evaluate import bind_sizes
from symgraph.errors import IndexRangeError
from symgraph.sizes import evaluate
from symgraph.tensor import Tensor

Array = np.ndarray[Any, Any]
V = sg.tensor("v", shape=("n",), dtype="float32")
X = sg.tensor("x", shape=("n", "m"), dtype="float32")


def phases(*outputs: Tensor) -> list[bool]:
    """For each kernel, whether it is one of two phases."""
    calls = calls_of(*outputs)
    buffers = [[getattr(p, "node", None) for p in c.params] for c in calls]
    return [any(b is not None and b.op is partial for b in row) for row in buffers]


@pytest.mark.parametrize(
    ("y", "kernels"),
    [
        (sg.sum(V), [True, True]),
        (sg.mean(sg.exp(X)), [True, True]),
        (sg.argmax(V), [True, True]),
        (sg.sum(X, axis=1), [False]),
        (sg.sum(X, axis=0), [False]),
        (sg.softmax(V), [False]),
        (sg.sum(sg.tensor("s", shape=(100, 100))), [False]),
        (sg.sum(sg.tensor("s", shape=(1000, 100))), [True, True]),
        (sg.sum(sg.tensor("s", shape=("n", 5)), axis=0), [True, True]),
        (sg.sum(sg.tensor("s", shape=("n", 5000)), axis=0), [False]),
    ],
)
def test_few_rows_and_many_elements_take_two_kernels(y: Tensor, kernels: list[bool]) -> None:
    assert phases(y) == kernels


def test_a_map_and_its_sum_are_one_walk() -> None:
    y = sg.exp(V)
    first, second = calls_of(y, sg.sum(y) * 2)
    assert first.nest is not None and second.nest is not None
    assert [len(first.nest.stores), len(second.nest.stores)] == [1, 1]
    assert has_two_phases(first.nest)


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (5, CHUNK), (3 * CHUNK, 7), (301, 1000)])
def test_units_are_the_chunks(shape: tuple[int, int]) -> None:
    first, second = calls_of(sg.sum(X))
    rows = max(1, CHUNK // max(1, shape[1]))
    sizes = bind_sizes([(X, np.zeros(shape, "float32"))])
    assert evaluate(first.units, sizes) == -(-shape[0] // rows)
    assert evaluate(second.units, sizes) == 1


def values(*shape: int, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) * 10.0 ** rng.integers(-3, 3, shape)).astype("float32")


@pytest.mark.parametrize("n", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5, 100_000])
def test_a_sum_alone_and_one_that_is_used_again_have_the_same_bits(n: int) -> None:
    a = values(n)
    alone = native([V], sg.sum(V), passes=())
    s = sg.sum(V)
    again = native([V], [s, sg.exp(V - s)], passes=())
    assert len(alone.calls) == 2 and len(again.calls) == 1
    assert alone(a).tobytes() == again(a)[0].tobytes()


@pytest.mark.parametrize("shape", [(70, 1000), (1000, 70), (5, 9000), (9000, 5), (3, 20_000)])
def test_one_order_for_static_and_symbolic_sizes(shape: tuple[int, int]) -> None:
    """Over everything and over columns, beside a use that walks the elements again or not."""
    a = values(*shape, seed=1)
    fixed = sg.tensor("x", shape=shape, dtype="float32")
    for axis in (None, 0, 1):
        results = set()
        for x in (X, fixed):
            s = sg.sum(x, axis=axis, keepdims=True)
            results.add(native([x], s, passes=())(a).tobytes())
            results.add(native([x], [s, x - s], passes=())(a)[0].tobytes())
        assert len(results) == 1, axis


def test_a_product_has_one_order() -> None:
    a = np.random.default_rng(5).uniform(0.99, 1.01, 40_000).astype("float32")
    p = sg.prod(V)
    one, two = native([V], [p, V / p], passes=())(a)[0], native([V], p, passes=())(a)
    assert one.tobytes() == two.tobytes()
    np.testing.assert_allclose(one, np.prod(a.astype("float64")), rtol=1e-3)


@pytest.mark.parametrize("place", [0, CHUNK - 1, CHUNK, 3 * CHUNK + 17])
def test_positions_and_extremes_over_several_chunks(place: int) -> None:
    a = values(4 * CHUNK + 3, seed=2)
    f = native([V], [sg.argmax(V), sg.max(V), sg.argmin(V), sg.any(V > 1e9), sg.all(V < 1e9)])
    for spike in (2e9, -2e9, np.nan):
        b = a.copy()
        b[[place, -1]] = spike
        wanted = [np.argmax(b), np.max(b), np.argmin(b), (b > 1e9).any(), (b < 1e9).all()]
        for got, want in zip(f(b), wanted, strict=True):
            np.testing.assert_array_equal(got, want)


def test_ties_go_to_the_first_chunk() -> None:
    f = native([V], [sg.argmax(V), sg.argmin(V)])
    for a in (np.zeros(3 * CHUNK, "float32"), np.full(3 * CHUNK, -np.inf, "float32")):
        assert [int(v) for v in f(a)] == [0, 0]


def test_values_that_follow_the_sum() -> None:
    n = sg.tensor("scale", shape=(), dtype="float32")
    f = native([V, n], [sg.mean(V) * n, sg.sum(V * V), sg.sqrt(sg.mean(V * V)) + n], passes=())
    a = values(50_000, seed=3)
    exact = a.astype("float64")
    wanted = [exact.mean() * 3, (exact * exact).sum(), math.sqrt((exact * exact).mean()) + 3]
    for got, want in zip(f(a, np.float32(3)), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5)


def test_infinities_and_nan_reach_the_end() -> None:
    f = native([V], sg.sum(V))
    a = values(3 * CHUNK, seed=4)
    for spikes, want in (((np.inf,), np.inf), ((np.inf, -np.inf), np.nan), ((np.nan,), np.nan)):
        b = a.copy()
        b[CHUNK + 1 : CHUNK + 1 + len(spikes)] = spikes
        np.testing.assert_array_equal(f(b), np.float32(want))


@pytest.mark.parametrize("place", [0, CHUNK + 3])
def test_a_bad_index_in_any_chunk_is_reported(place: int) -> None:
    i = sg.tensor("i", shape=("k",), dtype="int64")
    f = native([V, i], sg.sum(V[i] * 2), passes=())
    index = np.arange(3 * CHUNK) % 100
    a = values(100)
    np.testing.assert_allclose(f(a, index), (a[index] * 2).astype("float64").sum(), rtol=1e-4)
    index[place] = 100
    with pytest.raises(IndexRangeError, match="index 100 is out of range for an axis of size"):
        f(a, index)
    index[place] = -1
    assert np.isfinite(f(a, index))


def test_a_bad_index_after_the_chunks_is_reported() -> None:
    i = sg.tensor("i", shape=(), dtype="int64")
    f = native([V, i], sg.sum(V) + V[i], passes=())
    a = np.ones(2 * CHUNK, "float32")
    assert f(a, 3) == 2 * CHUNK + 1
    with pytest.raises(IndexRangeError, match="index 99999 is out of range"):
        f(a, 99999)


def test_an_update_by_a_sum_of_the_old_value() -> None:
    w = sg.shared(np.arange(3.0 * CHUNK), name="w")
    total = sg.sum(w)
    f = sg.function([], total, updates={w: w / total})
    first = float(f())
    assert first == np.arange(3.0 * CHUNK).sum()
    np.testing.assert_allclose(f(), 1, rtol=1e-12)


@pytest.mark.parametrize("rows", [1, 2, 15, 16])
@pytest.mark.parametrize("n", [0, 5, CHUNK, CHUNK + 1, 5 * CHUNK + 7])
def test_few_rows_in_chunks(rows: int, n: int) -> None:
    """A known few rows are dealt out by chunks; the bits are those of any number of rows."""
    x = sg.tensor("x", shape=(rows, "n"), dtype="float32")
    f = native([x], [sg.sum(x, axis=1), sg.any(x > 4, axis=1), x * 2], passes=())
    g = native([X], [sg.sum(X, axis=1), sg.any(X > 4, axis=1)], passes=())
    assert len(f.calls) == (2 if rows < 16 else 1)
    a = values(rows, n, seed=2)
    (total, some, twice), wanted = f(a), g(a)
    assert total.tobytes() == wanted[0].tobytes() and some.tobytes() == wanted[1].tobytes()
    np.testing.assert_array_equal(twice, 2 * a)


def test_few_rows_that_are_no_first_axis() -> None:
    x = sg.tensor("x", shape=(2, 3, "n", 7))
    a = np.random.default_rng(3).normal(size=(2, 3, 9000, 7))
    for axis in ((2, 3), (0, 2, 3), (1, 3)):
        got = native([x], sg.sum(x, axis=axis), passes=())(a)
        np.testing.assert_allclose(got, a.sum(axis), rtol=1e-11, atol=1e-10)
