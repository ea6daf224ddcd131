"""Slices, reads by index, concatenations: what is read is computed, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from before_after import Arrays, Before, check, computed, operations
from random_layouts import random_layout

import symgraph as sg
from symgraph import Tensor
from symgraph.errors import SymgraphError
from symgraph.passes.simplify import simplify

x, y = sg.tensor("x", shape=(6, 4)), sg.tensor("y", shape=(6, 4))
w = sg.tensor("w", shape=(4, 5))
v = sg.tensor("v", shape=("n", 4))
k = sg.tensor("k", shape=("n",), dtype="int64")
ODD = [1, 3, 5]


def _arrays(n: int = 5) -> Arrays:
    rng = np.random.default_rng(11)
    pool = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 0.5, -2.0, 3.0, 1e300, 5e-324])
    return {
        x: rng.choice(pool, size=(6, 4)),
        y: rng.choice(pool, size=(6, 4)),
        w: rng.normal(size=(4, 5)),
        v: rng.choice(pool, size=(n, 4)),
        k: rng.integers(0, 4, size=n),
    }


# fmt: off
EXACT: dict[str, Before] = {
    # ---- slices of moved elements ----------------------------------------------------------------
    "of a transpose":        Before(lambda: x.T[1:, ::-1], lambda: x[::-1, 1:].T,
        lambda x, y, w, v, k: x.T[1:, ::-1]),
    "of a column":           Before(lambda: v.T[1, ::2], lambda: v[::2, 1],
        lambda x, y, w, v, k: v[::2, 1]),
    "of an added axis":      Before(lambda: x[:, None][1:], lambda: x[1:][:, None],
        lambda x, y, w, v, k: x[1:][:, None]),
    "of kept axes":          Before(
        lambda: x.reshape((6, 2, 2))[1:3], lambda: x[1:3].reshape((2, 2, 2)),
        lambda x, y, w, v, k: x[1:3].reshape((2, 2, 2))),
    "of repeated rows":      Before(
        lambda: sg.broadcast_to(x[0], (7, 4))[2:5, 1:], lambda: sg.broadcast_to(x[0, 1:], (3, 3)),
        lambda x, y, w, v, k: np.broadcast_to(x[0, 1:], (3, 3))),
    "of a slice, backwards": Before(lambda: x[::-2][1:], lambda: x[3::-2],
        lambda x, y, w, v, k: x[3::-2]),
    "of nothing":            Before(lambda: sg.exp(x)[2:2], lambda: sg.zeros((0, 4)),
        lambda x, y, w, v, k: np.zeros((0, 4))),
    "of a line":             Before(
        lambda: x[:3, 0] * sg.arange(9, dtype="float64")[:3],
        lambda: x[:3, 0] * sg.arange(3, dtype="float64"),
        lambda x, y, w, v, k: x[:3, 0] * np.arange(3)),
    # ---- slices of parts -------------------------------------------------------------------------
    "within a part":         Before(lambda: sg.concat([x, y])[7:9], lambda: y[1:3],
        lambda x, y, w, v, k: y[1:3]),
    "within a part, backwards": Before(lambda: sg.concat([x, y])[10:7:-1], lambda: y[4:1:-1],
        lambda x, y, w, v, k: y[4:1:-1]),
    "over two parts":        Before(
        lambda: sg.concat([x, y, x])[4:8], lambda: sg.concat([x[4:], y[:2]]),
        lambda x, y, w, v, k: np.concatenate([x[4:], y[:2]])),
    "of a symbolic part":    Before(lambda: sg.concat([v, v])[v.shape[0]:], lambda: v,
        lambda x, y, w, v, k: v),
    "of a stack":            Before(lambda: sg.stack([x, y])[1], lambda: y,
        lambda x, y, w, v, k: y),
    "of a stack, transposed": Before(lambda: sg.stack([x, y], axis=1)[:, 0], lambda: x,
        lambda x, y, w, v, k: x),
    # ---- slices sink -----------------------------------------------------------------------------
    "of a function":         Before(lambda: sg.abs(x)[2], lambda: sg.abs(x[2]),
        lambda x, y, w, v, k: np.abs(x[2])),
    "of a broadcast product": Before(lambda: (x * y[0])[1:, 2],
        lambda: sg.squeeze(x[1:, 2:3] * y[0, 2:3], 1),
        lambda x, y, w, v, k: x[1:, 2] * y[0, 2]),
    "of a choice":           Before(
        lambda: sg.where(v > 0, v, 0.5)[::-1],
        lambda: sg.where(v[::-1] > 0, v[::-1], 0.5),
        lambda x, y, w, v, k: np.where(v > 0, v, 0.5)[::-1]),
    "of a maximum":          Before(lambda: sg.max(x, axis=1)[::2], lambda: sg.max(x[::2], axis=1),
        lambda x, y, w, v, k: np.max(x[::2], axis=1)),
    # ---- concatenations --------------------------------------------------------------------------
    "of a concatenation":    Before(
        lambda: sg.concat([sg.concat([x, y]), x]), lambda: sg.concat([x, y, x]),
        lambda x, y, w, v, k: np.concatenate([x, y, x])),
    "with an empty part":    Before(lambda: sg.concat([x[:0], y]), lambda: y,
        lambda x, y, w, v, k: y),
    "of neighbours":         Before(
        lambda: sg.concat([x[:2], x[2:4], y]), lambda: sg.concat([x[:4], y]),
        lambda x, y, w, v, k: np.concatenate([x[:4], y])),
    "of all sections":       Before(lambda: sg.concat(sg.split(x, 3)), lambda: x,
        lambda x, y, w, v, k: x),
    "of rows stacked":       Before(lambda: sg.stack([x[i] for i in range(6)]), lambda: x,
        lambda x, y, w, v, k: x),
    "of rows backwards":     Before(
        lambda: sg.stack([x[i] for i in (5, 3, 1)]), lambda: x[::-2],
        lambda x, y, w, v, k: x[::-2]),
    "of columns stacked":    Before(
        lambda: sg.stack([x[:, i] for i in range(4)], axis=1), lambda: x,
        lambda x, y, w, v, k: x),
    "of equal constants":    Before(
        lambda: sg.concat([sg.zeros((2, 4)), sg.zeros((3, 4)), x]),
        lambda: sg.concat([sg.zeros((5, 4)), x]),
        lambda x, y, w, v, k: np.concatenate([np.zeros((5, 4)), x])),
    "of one function":       Before(
        lambda: sg.concat([sg.abs(x), sg.abs(y)]), lambda: sg.abs(sg.concat([x, y])),
        lambda x, y, w, v, k: np.abs(np.concatenate([x, y]))),
    "of one function, stacked": Before(
        lambda: sg.stack([2 * x, 2 * y]), lambda: 2 * sg.stack([x, y]),
        lambda x, y, w, v, k: 2 * np.stack([x, y])),
    "of transposes":         Before(
        lambda: sg.concat([x.T, y.T], axis=1), lambda: sg.concat([x, y]).T,
        lambda x, y, w, v, k: np.concatenate([x, y]).T),
    # ---- reads by index --------------------------------------------------------------------------
    "at all places":         Before(
        lambda: sg.take(v, sg.arange(v.shape[0]), axis=0), lambda: v,
        lambda x, y, w, v, k: v),
    "at even distances":     Before(lambda: sg.take(x, ODD, axis=0), lambda: x[1::2],
        lambda x, y, w, v, k: x[1::2]),
    "at places counted back": Before(lambda: sg.take(x, [-1, -2], axis=1), lambda: x[:, :1:-1],
        lambda x, y, w, v, k: x[:, :1:-1]),
    "of a function, fewer":  Before(
        lambda: sg.abs(v)[sg.arange(v.shape[0]), k], lambda: sg.abs(v[sg.arange(v.shape[0]), k]),
        lambda x, y, w, v, k: np.abs(v)[np.arange(len(v)), k]),
    "twice":                 Before(
        lambda: sg.take(sg.take(x, [3, 3, 1, 2], axis=0), k, axis=0),
        lambda: sg.take(x, sg.take(sg.constant(np.array([3, 3, 1, 2])), k), axis=0),
        lambda x, y, w, v, k: x[[3, 3, 1, 2]][k]),
}
SUMMED: dict[str, Before] = {
    "of a row sum":          Before(lambda: sg.sum(w, axis=1)[2], lambda: sg.sum(w[2]),
        lambda x, y, w, v, k: np.sum(w[2])),
    "of a product":          Before(
        lambda: (w.T @ w)[1:3, 0], lambda: sg.squeeze(w[:, 1:3].T @ w[:, :1], 1),
        lambda x, y, w, v, k: w[:, 1:3].T @ w[:, 0]),
    "of a softmax":          Before(lambda: sg.softmax(w)[1:2], lambda: sg.softmax(w[1:2]),
        lambda x, y, w, v, k: np.exp(w[1:2]) / np.exp(w[1:2]).sum(axis=1, keepdims=True)),
    "last running sum":      Before(
        lambda: sg.cumulative_sum(w, axis=0)[-1], lambda: sg.sum(w, axis=0),
        lambda x, y, w, v, k: np.cumsum(w, axis=0)[-1]),
}
KEPT: dict[str, Callable[[], Tensor]] = {
    "function used elsewhere":  lambda: sg.exp(x)[0] + sg.sum(sg.exp(x), axis=0),
    "product used elsewhere":   lambda: sg.sum((x @ w)[:2]) + sg.max(x @ w),
    "softmax cut along its axis": lambda: sg.softmax(x)[:, 0],
    "running sum, not the last": lambda: sg.cumulative_sum(x, axis=0)[3],
    "over parts used elsewhere": lambda: sg.sum(sg.concat([x, y])[4:8]) + sg.max(sg.concat([x, y])),
    "parts with a gap":         lambda: sg.concat([x[:2], x[3:]]),
    "parts out of order":       lambda: sg.concat([x[2:], x[:2]]),
    "parts of unknown size":    lambda: sg.concat([v, x])[2:5],
    "uneven places":            lambda: sg.take(x, [0, 1, 3], axis=0),
    "repeated places":          lambda: sg.take(x, [0, 0], axis=0),
    "more read than there is":  lambda: sg.exp(w)[k],
    "labels that may be wrong": lambda: sg.take(sg.take(w, k, axis=0), [0, 2, 3], axis=0),
    "two functions":            lambda: sg.concat([sg.exp(x), sg.sin(y)]),
    "one part used elsewhere":  lambda: sg.concat([sg.exp(x), sg.exp(y)]) * sg.sum(sg.exp(x)),
}
# fmt: on


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("n", [5, 1, 0])
def test_exact_rewrite_in_every_pipeline(name: str, n: int) -> None:
    for passes in ("strict", "default"):
        check(EXACT[name], passes, _arrays(n))


@pytest.mark.parametrize("name", SUMMED)
def test_regrouping_rewrite(name: str) -> None:
    check(SUMMED[name], "default", _arrays(), rtol=1e-13)
    assert simplify(SUMMED[name].made(), "strict") is not simplify(SUMMED[name].becomes(), "strict")


@pytest.mark.parametrize("name", KEPT)
def test_what_stays(name: str) -> None:
    before = KEPT[name]()
    assert sorted(operations(simplify(before))) == sorted(operations(before))


# ---- B03: f(A)[i, j] computes one element --------------------------------------------------------


def test_index_of_a_long_expression_computes_one_element() -> None:
    f = sg.exp(x) * y + sg.tanh(x @ w) @ w.T
    out = simplify(f[2, 3])
    sizes = [n.size for n in sg.Graph([out]).nodes if n.op.name in ("exp", "multiply", "add")]
    assert set(sizes) == {1}
    rng = np.random.default_rng(3)
    arrays = {t: rng.normal(size=t.shape) for t in (x, y, w)}
    full = np.exp(arrays[x]) * arrays[y] + np.tanh(arrays[x] @ arrays[w]) @ arrays[w].T
    np.testing.assert_allclose(computed(out, arrays), full[2, 3], rtol=1e-13)


def test_two_slices_of_one_value_compute_it_once() -> None:
    e = sg.exp(x)
    assert sg.Graph([simplify(e[:3] * e[3:])]).count("exp") == 1


# ---- what is checked when called stays checked ---------------------------------------------------


def test_a_position_that_may_not_exist_is_still_checked() -> None:
    for expression in (sg.exp(v)[2], sg.exp(v.T)[:, 2], sg.stack([v, v])[1, 2]):
        f = sg.function([v], expression, backend="reference")
        assert f(np.ones((3, 4))).shape == (4,)
        with pytest.raises(SymgraphError):
            f(np.ones((2, 4)))


def test_an_index_out_of_range_is_still_found() -> None:
    f = sg.function([v, k], sg.abs(v)[sg.arange(v.shape[0]), k], backend="reference")
    with pytest.raises(SymgraphError, match="index 4 is out of range"):
        f(np.ones((2, 4)), np.array([0, 4]))


# ---- linear time ---------------------------------------------------------------------------------


def test_chain_of_concatenations_stays_linear() -> None:
    state = x[:1]
    for i in range(2000):
        state = sg.concat([state, sg.sin(x[i % 6 : i % 6 + 1] * (i + 2.0))])
    nodes = sg.Graph([simplify(state)]).nodes
    assert sum(len(n.inputs) for n in nodes) < 40_000


# ---- random expressions --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(120))
def test_random_layout_keeps_every_bit(seed: int) -> None:
    x = sg.tensor("x", shape=(3, 4) if seed % 2 else ("n", 4))
    before = random_layout(x, 3 + seed % 7, seed)
    after = simplify(before, "strict")
    pool = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.5, -2.0, 3.0, 0.5])
    for n in (3,) if seed % 2 else (5, 1):
        values = {x: np.random.default_rng(seed).choice(pool, size=(n, 4))}
        want, got = computed(before, values), computed(after, values)
        np.testing.assert_array_equal(got, want)
        numbers = ~np.isnan(want)
        np.testing.assert_array_equal(np.signbit(got)[numbers], np.signbit(want)[numbers])


@pytest.mark.parametrize("seed", range(60))
def test_random_sums_of_small_integers_are_exact(seed: int) -> None:
    x = sg.tensor("x", shape=(3, 4) if seed % 2 else ("n", 4))
    before = random_layout(x, 3 + seed % 7, 1000 + seed, sums=True)
    values = {x: np.random.default_rng(seed).integers(-3, 4, size=(3, 4)).astype("float64")}
    np.testing.assert_array_equal(computed(simplify(before), values), computed(before, values))
