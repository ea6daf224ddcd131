"""Writes: zeros leave no trace, and what is written to one array goes into one buffer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from before_after import Array, Arrays, Before, check, computed, operations
from random_layouts import random_layout

import symgraph as sg
from symgraph import Graph, Tensor
from symgraph.errors import SymgraphError
from symgraph.ops import leaves
from symgraph.passes.rules.pattern import literal_of
from symgraph.passes.simplify import simplify

x, y = sg.tensor("x", shape=(6, 4)), sg.tensor("y", shape=(6, 4))
w = sg.tensor("w", shape=(5, 4))
k = sg.tensor("k", shape=("n",), dtype="int64")
AT = sg.constant(np.array([1, 4, 3]))


def _zeros() -> Tensor:
    return sg.zeros((6, 4))


def _arrays(special: bool) -> Arrays:
    rng = np.random.default_rng(5)
    pool = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 0.5, -2.0, 1e300])
    return {
        x: rng.choice(pool, size=(6, 4)) if special else rng.normal(size=(6, 4)),
        y: rng.choice(pool, size=(6, 4)) if special else rng.normal(size=(6, 4)),
        w: rng.normal(size=(5, 4)),
        k: rng.integers(0, 5, size=7),
    }


def _with(a: Array, at: Any, value: Array) -> Array:
    out = np.array(a)
    out[at] = value
    return out


def _added(a: Array, at: Any, value: Array) -> Array:
    out = np.array(a)
    np.add.at(out, at, value)
    return out


# fmt: off
EXACT: dict[str, Before] = {
    # ---- read of write ---------------------------------------------------------------------------
    "read what was written": Before(lambda: x.at[2].set(y[0])[2], lambda: y[0],
        lambda x, y, w, k: y[0]),
    "read what was there":   Before(lambda: x.at[2].set(y[0])[3], lambda: x[3],
        lambda x, y, w, k: x[3]),
    "read part of what was written": Before(
        lambda: x.at[1:5].set(y[:4])[2:4, 1], lambda: y[1:3, 1],
        lambda x, y, w, k: y[1:3, 1]),
    "read every other row":  Before(lambda: x.at[::2].set(y[:3])[::2], lambda: y[:3],
        lambda x, y, w, k: y[:3]),
    "read between":          Before(lambda: x.at[::2].set(y[:3])[1::2], lambda: x[1::2],
        lambda x, y, w, k: x[1::2]),
    "read backwards":        Before(lambda: x.at[2:4].set(y[:2])[3:1:-1], lambda: y[1::-1],
        lambda x, y, w, k: y[1::-1]),
    "read at an index":      Before(lambda: x.at[AT].set(y[:3])[AT], lambda: y[:3],
        lambda x, y, w, k: y[:3]),
    "inside of padding":     Before(lambda: sg.pad(x, 2)[2:8, 2:6], lambda: x,
        lambda x, y, w, k: x),
    "padding":               Before(lambda: sg.pad(x, 2)[1], lambda: sg.zeros(8),
        lambda x, y, w, k: np.zeros(8)),
    "less padding":          Before(
        lambda: sg.pad(x, 2)[1:9, 2:6], lambda: sg.pad(x, [(1, 1), (0, 0)]),
        lambda x, y, w, k: np.pad(x, [(1, 1), (0, 0)])),
    # ---- write of read ---------------------------------------------------------------------------
    "write what was there":  Before(lambda: x.at[1:3].set(x[1:3]), lambda: x,
        lambda x, y, w, k: x),
    "write what was there at an index": Before(lambda: x.at[AT].set(x[AT]), lambda: x,
        lambda x, y, w, k: x),
    "write again":           Before(
        lambda: x.at[AT].set(y[:3]).at[AT].set(y[3:]), lambda: x.at[AT].set(y[3:]),
        lambda x, y, w, k: _with(x, [1, 4, 3], y[3:])),
    "write into zeros":      Before(
        lambda: _zeros().at[1:3].set(y[:2]), lambda: sg.pad(y[:2], [(1, 3), (0, 0)]),
        lambda x, y, w, k: np.pad(y[:2], [(1, 3), (0, 0)])),
    "zeros into zeros":      Before(lambda: sg.pad(sg.zeros((2, 2)), 1), lambda: sg.zeros((4, 4)),
        lambda x, y, w, k: np.zeros((4, 4))),
    "padding of padding":    Before(lambda: sg.pad(sg.pad(x, 1), 2), lambda: sg.pad(x, 3),
        lambda x, y, w, k: np.pad(x, 3)),
    # ---- functions -------------------------------------------------------------------------------
    "function of padding":   Before(
        lambda: sg.abs(sg.pad(x, 1, constant_values=-1.0)),
        lambda: sg.pad(sg.abs(x), 1, constant_values=1.0),
        lambda x, y, w, k: np.abs(np.pad(x, 1, constant_values=-1))),
    "product of paddings":   Before(
        lambda: sg.pad(x, 1) * sg.pad(y, 1), lambda: sg.pad(x * y, 1),
        lambda x, y, w, k: np.pad(x * y, 1)),
    "padding transposed":    Before(lambda: sg.pad(x.T, 1).T, lambda: sg.pad(x, 1),
        lambda x, y, w, k: np.pad(x, 1)),
}
SUMMED: dict[str, Before] = {
    "add zeros at an index": Before(lambda: x.at[AT].add(0.0), lambda: x,
        lambda x, y, w, k: x),
    "halves":                Before(
        lambda: _zeros().at[:2].add(y[:2]) + _zeros().at[2:].add(x[2:]),
        lambda: sg.concat([y[:2], x[2:]]),
        lambda x, y, w, k: np.concatenate([y[:2], x[2:]])),
    "with a gap, in any order": Before(
        lambda: _zeros().at[4:].add(y[4:]) + _zeros().at[:2].add(x[:2]),
        lambda: sg.concat([x[:2], sg.zeros((2, 4)), y[4:]]),
        lambda x, y, w, k: np.concatenate([x[:2], np.zeros((2, 4)), y[4:]])),
    "into a gap":            Before(
        lambda: (
            _zeros().at[:1].add(x[:1]) + _zeros().at[2:].add(x[2:]) + _zeros().at[1:2].add(x[1:2])
        ),
        lambda: x,
        lambda x, y, w, k: x),
    "beside another term":   Before(
        lambda: y + _zeros().at[:3].add(x[:3]) + _zeros().at[3:].add(x[3:]), lambda: x + y,
        lambda x, y, w, k: x + y),
    "scattered into a buffer": Before(
        lambda: sg.zeros((5, 4)).at[k].add(w[k]) + w, lambda: w.at[k].add(w[k]),
        lambda x, y, w, k: _added(w, k, w[k])),
    "scattered twice":       Before(
        lambda: sg.zeros((5, 4)).at[k].add(w[k]) + sg.zeros((5, 4)).at[AT].add(x[:3]),
        lambda: sg.zeros((5, 4)).at[k].add(w[k]).at[AT].add(x[:3]),
        lambda x, y, w, k: _added(_added(np.zeros((5, 4)), k, w[k]), [1, 4, 3], x[:3])),
    "sparse step":           Before(
        lambda: w - 0.5 * sg.zeros((5, 4)).at[k].add(w[k]), lambda: w.at[k].add(-0.5 * w[k]),
        lambda x, y, w, k: _added(w, k, -0.5 * w[k])),
    "sum of padding":        Before(lambda: sg.sum(sg.pad(x, 1)), lambda: sg.sum(x),
        lambda x, y, w, k: np.sum(x)),
    "row sums of padding":   Before(
        lambda: sg.sum(sg.pad(x, 1), axis=1), lambda: sg.pad(sg.sum(x, axis=1), 1),
        lambda x, y, w, k: np.pad(np.sum(x, axis=1), 1)),
    "padding times finite numbers": Before(
        lambda: sg.pad(x, 1) * sg.arange(6, dtype="float64"),
        lambda: sg.pad(x * sg.arange(6, dtype="float64")[1:5], 1),
        lambda x, y, w, k: np.pad(x, 1) * np.arange(6)),
}
KEPT: dict[str, Callable[[], Tensor]] = {
    "overlapping writes":      lambda: sg.pad(x, [(0, 2), (0, 0)]) + sg.pad(y, [(2, 0), (0, 0)]),
    "partly written":          lambda: sg.pad(x, 2)[1:8:2],
    "padding times anything":  lambda: sg.pad(x, [(0, 0), (1, 0)]) * sg.exp(w[0, 0]),
    "another fill":            lambda: sg.pad(sg.pad(x, 1), 1, constant_values=1.0),
    "written elsewhere":       lambda: x.at[1:3].set(x[2:4]),
    "another index":           lambda: x.at[AT].set(y[:3])[sg.constant(np.array([4, 0, 0]))],
    "places that repeat":      lambda: w.at[k].set(w[k] * 2)[k],
    "labels out of range":     lambda: w.at[k].set(w[k]),  # raises, and must go on raising
    "scatter used elsewhere":  lambda: _shared_scatter(),
    "growing step":            lambda: w - 3.0 * sg.zeros((5, 4)).at[k].add(w[k]),
}
# fmt: on


def _shared_scatter() -> Tensor:
    table: Tensor = sg.zeros((5, 4)).at[k].add(w[k])
    return (table + w) * sg.exp(table)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("passes", ["strict", "default"])
def test_exact_rewrite(name: str, passes: str) -> None:
    check(EXACT[name], passes, _arrays(special=True))


@pytest.mark.parametrize("name", SUMMED)
def test_regrouping_rewrite(name: str) -> None:
    check(SUMMED[name], "default", _arrays(special=False), rtol=1e-13)


@pytest.mark.parametrize("name", KEPT)
def test_what_stays(name: str) -> None:
    before = KEPT[name]()
    assert sorted(operations(simplify(before))) == sorted(operations(before))


def test_strided_writes_stay_apart() -> None:
    out = simplify(sg.grad(sg.sum(x[::2] * x[1::2]), x))
    assert Graph([out]).count("place") == 2
    at = np.random.default_rng(6).normal(size=(6, 4))
    np.testing.assert_array_equal(computed(out, {x: at}), at[[1, 0, 3, 2, 5, 4]])


def test_fast_multiplies_only_what_was_written() -> None:
    out = simplify(sg.pad(x, 1) * sg.exp(w[0, 0]), "fast")
    assert out.op.name == "place"


def test_a_write_that_may_not_fit_is_still_checked() -> None:
    v = sg.tensor("v", shape=("n",))
    f = sg.function([v], sg.grad(v[2] * v[3], v), backend="reference")
    np.testing.assert_array_equal(f(np.arange(5.0)), [0, 0, 3, 2, 0])
    with pytest.raises(SymgraphError):
        f(np.ones(3))


# ---- gradients: no zeros, one buffer -------------------------------------------------------------


def _zero_arrays(out: Tensor) -> int:
    """How many arrays of zeros a graph holds, apart from what a write is surrounded with."""
    return sum(n.ndim > 0 and literal_of(n) == 0 for n in Graph([out]).nodes)


COSTS: dict[str, tuple[Callable[[], Tensor], dict[str, int]]] = {
    "neighbours": (lambda: sg.sum(x[1:] * x[:-1]), {"place": 2, "slice": 2, "add": 1}),
    "halves": (lambda: sg.sum(x[:3] * x[3:]), {"slice": 2, "concat": 1}),
    "joined": (lambda: sg.sum(sg.square(sg.concat([x, y]))), {"multiply": 1}),
    "joined and cut": (
        lambda: sg.sum(sg.square(sg.concat([x, y])[:3])),
        {"slice": 1, "multiply": 1, "place": 1},
    ),
    "padded": (lambda: sg.sum(sg.square(sg.pad(x, 1))), {"multiply": 1}),
    "turned": (lambda: sg.sum(sg.flip(x) * y), {"slice": 1}),
    "stacked": (lambda: sg.sum(sg.stack([x, y])[0] * y), {}),
    "all rows": (lambda: sg.sum(sg.stack([sg.sin(x[i]) for i in range(6)])), {"cos": 1}),
    "kept": (lambda: sg.sum(sg.where(x > 0, x, 0.0)), {"greater": 1, "astype": 1}),
}


@pytest.mark.parametrize("name", COSTS)
def test_gradient_has_no_zeros_to_add(name: str) -> None:
    made, counts = COSTS[name]
    cost = made()
    out = simplify(sg.grad(cost, x))
    assert _zero_arrays(out) == 0
    assert Counter(operations(out)) == counts
    values = {x: np.random.default_rng(2).normal(size=(6, 4)), y: np.ones((6, 4))}
    raw = computed(sg.grad(cost, x, stabilise=False), values)
    np.testing.assert_allclose(computed(out, values), raw, rtol=1e-14)


def test_a_thousand_slices_are_one_buffer() -> None:
    n = 1000
    v = sg.vector("v", shape=n)
    out = simplify(sg.grad(_chain(v, n), v))
    assert Graph([out]).count("concat") == 1
    assert Graph([out]).count("place", "broadcast_to") == 0
    at = np.random.default_rng(4).normal(size=n)
    want = np.r_[at[1:], 0] + np.r_[0, at[:-1]]
    np.testing.assert_allclose(computed(out, {v: at}), want, rtol=1e-15)


def _chain(v: Tensor, n: int) -> Tensor:
    total = v[0] * v[1]
    for i in range(1, n - 1):
        total = total + v[i] * v[i + 1]
    return total


def test_work_for_many_slices_is_linear() -> None:
    """Counted in inputs of concatenations made on the way, not in seconds."""

    def made(n: int) -> int:
        v = sg.vector("v", shape=n)
        f = sg.function([v], sg.grad(_chain(v, n), v), backend="reference")
        return sum(len(r.after.inputs) for r in f.rewrites)

    assert made(800) < 2.2 * made(400)


@pytest.mark.parametrize("seed", range(40))
def test_gradients_of_random_layouts(seed: int) -> None:
    v = sg.tensor("v", shape=("n", 4))
    out = random_layout(v, 3 + seed % 4, 500 + seed, sums=True)
    gradient = sg.grad(sg.sum(sg.sin(out) * out), v, disconnected="zero")
    values = {v: np.random.default_rng(seed).normal(size=(5, 4))}
    got, want = computed(simplify(gradient), values), computed(gradient, values)
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10)


def test_leaves_are_the_only_zeros_of_an_embedding_step() -> None:
    gradient = sg.grad(sg.sum(sg.square(w[k])), w)
    step = simplify(w - 0.1 * gradient)
    assert Counter(operations(step)) == {"gather": 1, "multiply": 1, "scatter_add": 1}
    assert all(n.op is not leaves.constant or n.ndim == 0 for n in Graph([step]).nodes)
