"""Reductions: of reductions, of moved and repeated elements, of rising functions, of products."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from before_after import Arrays, Before, check, computed, operations

import symgraph as sg
from symgraph import Graph, Tensor
from symgraph.ops import reduction as r
from symgraph.passes.simplify import simplify
from symgraph.tensor import apply

x, y = sg.tensor("x", shape=(6, 4)), sg.tensor("y", shape=(6, 4))
v = sg.tensor("v", shape=("n", 4))
i = sg.tensor("i", shape=(6, 4), dtype="int8")


def _arrays(special: bool, n: int = 5) -> Arrays:
    rng = np.random.default_rng(8)
    pool = np.array([0.0, -0.0, np.inf, -np.inf, 0.5, -2.0, 3.0, 1e300, 5e-324])
    number = rng.choice(pool, size=(n + 12, 4)) if special else rng.normal(size=(n + 12, 4))
    if special:
        number[2, 1] = np.nan
    whole = rng.integers(-128, 128, size=(6, 4)).astype("int8")
    return {x: number[:6], y: number[6:12], v: number[12:], i: whole}


def _wide(a: Tensor) -> Tensor:
    """Each row three times."""
    return sg.broadcast_to(a[:, None], (a.shape[0], 3, 4))


# fmt: off
EXACT: dict[str, Before] = {
    "largest of largest":    Before(lambda: sg.max(sg.max(x, axis=1)), lambda: sg.max(x),
        lambda x, y, v, i: np.max(x)),
    "smallest of integers":  Before(lambda: sg.min(sg.min(i, axis=0)), lambda: sg.min(i),
        lambda x, y, v, i: np.min(i)),
    "any of any":            Before(lambda: sg.any(sg.any(x > y, axis=0)), lambda: sg.any(x > y),
        lambda x, y, v, i: np.any(x > y)),
    "transposed":            Before(lambda: sg.max(x.T, axis=0), lambda: sg.max(x, axis=1),
        lambda x, y, v, i: np.max(x, axis=1)),
    "position, transposed":  Before(lambda: sg.argmax(x.T, axis=0), lambda: sg.argmax(x, axis=1),
        lambda x, y, v, i: np.argmax(x, axis=1)),
    "what is left, transposed": Before(
        lambda: sg.max(_wide(x).transpose((2, 0, 1)), axis=2),
        lambda: x.T,
        lambda x, y, v, i: x.T),
    "reshaped":              Before(
        lambda: sg.min(x.reshape((2, 3, 4)), axis=(0, 1)), lambda: sg.min(x, axis=0),
        lambda x, y, v, i: np.min(x, axis=0)),
    "flattened":             Before(lambda: sg.max(x.reshape((-1,))), lambda: sg.max(x),
        lambda x, y, v, i: np.max(x)),
    "reversed":              Before(lambda: sg.max(x[::-1], axis=0), lambda: sg.max(x, axis=0),
        lambda x, y, v, i: np.max(x, axis=0)),
    "of one":                Before(lambda: sg.max(x[:, 1:2], axis=1), lambda: x[:, 1],
        lambda x, y, v, i: x[:, 1]),
    "position of one":       Before(
        lambda: sg.argmax(x[:, :1], axis=1), lambda: sg.zeros(6, "int64"),
        lambda x, y, v, i: np.zeros(6)),
    "repeated":              Before(lambda: sg.max(_wide(x), axis=1), lambda: x,
        lambda x, y, v, i: x),
    "of negatives":          Before(lambda: sg.max(-x, axis=1), lambda: -sg.min(x, axis=1),
        lambda x, y, v, i: np.max(-x, axis=1)),
    "none":                  Before(
        lambda: sg.any(~(x > y), axis=1), lambda: ~sg.all(x > y, axis=1),
        lambda x, y, v, i: np.any(~(x > y), axis=1)),
    "of relu":               Before(
        lambda: sg.max(sg.relu(x), axis=1), lambda: sg.relu(sg.max(x, axis=1)),
        lambda x, y, v, i: np.max(np.maximum(x, 0), axis=1)),
    "of roots of squares":   Before(
        lambda: sg.min(sg.sqrt(sg.abs(x)), axis=1), lambda: sg.sqrt(sg.min(sg.abs(x), axis=1)),
        lambda x, y, v, i: np.min(np.sqrt(np.abs(x)), axis=1)),
}
REGROUPED: dict[str, Before] = {
    "sum of one":            Before(lambda: sg.sum(x[:, 1:2], axis=1), lambda: x[:, 1],
        lambda x, y, v, i: x[:, 1]),
    "sum, transposed":       Before(lambda: sg.sum(x.T, axis=0), lambda: sg.sum(x, axis=1),
        lambda x, y, v, i: np.sum(x, axis=1)),
    "mean, reversed":        Before(lambda: sg.mean(v[::-1], axis=0), lambda: sg.mean(v, axis=0),
        lambda x, y, v, i: np.mean(v, axis=0)),
    "sum of repeated rows":  Before(lambda: sg.sum(_wide(x), axis=1), lambda: 3 * x,
        lambda x, y, v, i: 3 * x),
    "sum of repeated, and more": Before(
        lambda: sg.sum(_wide(x), axis=(1, 2)), lambda: 3 * sg.sum(x, axis=1),
        lambda x, y, v, i: 3 * np.sum(x, axis=1)),
    "product of repeated":   Before(
        lambda: sg.prod(_wide(x), axis=1), lambda: sg.pow(x, sg.constant(3.0)),
        lambda x, y, v, i: x ** 3),
    "largest exponential":   Before(
        lambda: sg.max(sg.exp(x), axis=1), lambda: sg.exp(sg.max(x, axis=1)),
        lambda x, y, v, i: np.exp(np.max(x, axis=1))),
    "sum of exponentials, transposed": Before(
        lambda: sg.logsumexp(x.T, axis=0), lambda: sg.logsumexp(x, axis=1),
        lambda x, y, v, i: np.log(np.sum(np.exp(x), axis=1))),
    "bounded factor":        Before(
        lambda: sg.sum(sg.tanh(x[:, :1]) * sg.sin(y), axis=1),
        lambda: sg.squeeze(sg.tanh(x[:, :1]), 1) * sg.sum(sg.sin(y), axis=1),
        lambda x, y, v, i: np.tanh(x[:, 0]) * np.sum(np.sin(y), axis=1)),
    "literal where chosen":  Before(
        lambda: sg.sum(sg.where(x > 0, 0.25, 0.0)),
        lambda: 0.25 * sg.sum(sg.astype(x > 0, "float64")),
        lambda x, y, v, i: 0.25 * np.sum(x > 0)),
}
KEPT: dict[str, Callable[[], Tensor]] = {
    "largest of smallest":      lambda: sg.max(sg.min(x, axis=1)),
    "product of products":      lambda: sg.prod(sg.prod(x, axis=1)),
    "partly reshaped":          lambda: sg.max(x.reshape((3, 8)), axis=1),
    "strided":                  lambda: sg.max(x[::2], axis=0),
    "exponentials, maybe none": lambda: sg.max(sg.exp(v), axis=0),
    "repeated, maybe never":    lambda: sg.max(sg.broadcast_to(x[0], v.shape), axis=0),
    "exponential used elsewhere": lambda: sg.max(sg.exp(x)) * sg.exp(x),
    "root of anything":         lambda: sg.max(sg.sqrt(x), axis=1),
    "logarithm":                lambda: sg.max(sg.log(x), axis=1),
    "unbounded factor":         lambda: sg.sum(x[:, :1] * y, axis=1),
    "integers negated":         lambda: sg.max(-i, axis=1),
    "product used elsewhere":   lambda: _shared_product(),
    "sum of infinities, maybe none": lambda: sg.sum(sg.broadcast_to(sg.exp(x[0]), v.shape), axis=0),
}
# fmt: on


def _shared_product() -> Tensor:
    p = sg.tanh(x[:, :1]) * sg.sin(y)
    return sg.sum(p, axis=1, keepdims=True) + sg.exp(p)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("passes", ["strict", "default"])
def test_exact_rewrite(name: str, passes: str) -> None:
    check(EXACT[name], passes, _arrays(special=True))


@pytest.mark.parametrize("name", REGROUPED)
def test_regrouping_rewrite(name: str) -> None:
    check(REGROUPED[name], "default", _arrays(special=False), rtol=2e-14)


@pytest.mark.parametrize("name", KEPT)
def test_what_stays(name: str) -> None:
    before = KEPT[name]()
    assert sorted(operations(simplify(before))) == sorted(operations(before))


# ---- signed zeros, wrapping integers, nothing at all ---------------------------------------------


def test_signs_of_zeros_survive_a_change_of_sign() -> None:
    rows = np.array([[0.0, -0.0], [-0.0, -0.0], [0.0, 0.0]])
    t = sg.tensor("t", shape=(3, 2))
    for op in (sg.max, sg.min):
        before = op(-t, axis=1)
        got = computed(simplify(before), {t: rows})
        np.testing.assert_array_equal(np.signbit(got), np.signbit(computed(before, {t: rows})))


def test_the_most_negative_integer_has_no_opposite() -> None:
    values = {i: np.full((6, 4), -128, "int8")}
    np.testing.assert_array_equal(computed(simplify(sg.max(-i)), values), -128)


def test_many_small_integers_wrap_as_before() -> None:
    t = sg.tensor("t", shape=(2,), dtype="uint8")
    before = apply(r.sum_, (sg.broadcast_to(t, (300, 2)),), (("axis", (0,)),))
    want = np.sum(np.broadcast_to(np.array([1, 2], "uint8"), (300, 2)), axis=0, dtype="uint8")
    np.testing.assert_array_equal(computed(before, {t: np.array([1, 2], "uint8")}, "default"), want)


def test_sum_over_no_rows_is_zero() -> None:
    f = sg.function([v, x], sg.sum(sg.broadcast_to(sg.tanh(x[0]), v.shape), axis=0))
    np.testing.assert_array_equal(f(np.ones((0, 4)), np.ones((6, 4))), np.zeros(4))


def test_a_factor_that_may_be_nan_meets_no_empty_sum() -> None:
    a = sg.tensor("a", shape=("n", 1))
    b = sg.tensor("b", shape=("n", "k"))
    f = sg.function([a, b], sg.sum(sg.tanh(a) * sg.sin(b), axis=1), backend="reference")
    np.testing.assert_array_equal(f(np.array([[np.nan]]), np.ones((1, 0))), [0.0])


def test_fast_takes_out_any_factor() -> None:
    out = simplify(sg.sum(x[:, :1] * y, axis=1), "fast")
    assert out.op.name == "multiply"
    assert simplify(sg.prod(sg.prod(x, axis=1)), "fast") is simplify(sg.prod(x), "fast")


# ---- derivatives ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cost",
    [
        lambda: sg.max(sg.exp(x)),
        lambda: sg.sum(sg.max(-x, axis=1)),
        lambda: sg.sum(sg.tanh(x[:, :1]) * sg.sin(x)),
        lambda: sg.sum(sg.square(sg.sum(_wide(x), axis=1))),
        lambda: sg.sum(sg.square(sg.sum(x.reshape((3, 2, 4)), axis=(0, 1)))),
    ],
)
def test_gradient_of_the_simplified_form(cost: Callable[[], Tensor]) -> None:
    values = {x: np.random.default_rng(9).normal(size=(6, 4))}
    want = computed(sg.grad(cost(), x), values)
    got = computed(sg.grad(simplify(cost()), x), values)
    np.testing.assert_allclose(got, want, rtol=1e-13)


def test_a_sum_of_a_row_reads_the_row() -> None:
    out = simplify(sg.sum(sg.sin(x), axis=1)[2])
    (wave,) = [n for n in Graph([out]).nodes if n.op.name == "sin"]
    assert wave.size == 4


def test_a_sum_is_the_same_whatever_the_layout_in_memory() -> None:
    """Rules that are exact move elements; sums must not add them up in another order then."""
    v = sg.tensor("v", shape=(40, 3))
    at = np.random.default_rng(5).normal(size=(40, 3))
    moved = sg.sum(v[:, sg.arange(3)])
    want, got = (sg.function([v], moved, passes=p, backend="reference")(at) for p in ((), "strict"))
    assert want == got


# ---- diagonals and one-hot rows ------------------------------------------------------------------


def test_diagonal_matrices_are_read_turned_and_added_up() -> None:
    v, a = sg.vector("v", shape="n"), sg.matrix("a", shape=("n", "n"))
    assert simplify(sg.diag(sg.diag(v))) is v
    assert simplify(sg.trace(sg.diag(v))) is sg.sum(v)
    assert simplify(sg.sum(sg.diag(v), axis=0)) is v
    assert simplify(sg.diag(v).T) is simplify(sg.diag(v))
    assert simplify(sg.trace(a.T)) is simplify(sg.trace(a))
    assert simplify(sg.diag(a.T)) is simplify(sg.diag(a))


def test_other_matrices_are_not_taken_for_diagonal_ones() -> None:
    v, a = sg.vector("v", shape=3), sg.matrix("a", shape=(3, 3))
    above = sg.where(sg.eye(3, k=1, dtype="bool"), v, 0.0)
    upper = sg.triu(a)
    for before in (sg.sum(above), above.T, upper.T, sg.trace(a.T, offset=1)):
        values = {v: np.array([1.0, 2.0, 4.0]), a: np.arange(9.0).reshape(3, 3)}
        at = {i: values[i] for i in values if i in sg.Graph([before])}
        want = before.eval(at, passes=(), backend="reference")
        np.testing.assert_array_equal(simplify(before).eval(at, backend="reference"), want)
    assert simplify(above.T).op.name == "permute_dims"


def test_one_hot_rows_count_to_the_number_of_labels() -> None:
    a = sg.matrix("a", shape=("n", 3))
    hot = sg.one_hot(sg.argmax(a, axis=1), 3)
    assert sg.Graph([simplify(sg.sum(hot))]).count("equal", "sum", "argmax") == 0
    at = {a: np.eye(3)[[0, 2, 2, 1]]}
    assert simplify(sg.sum(hot) + sg.sum(a)).eval(at, backend="reference") == 8
    columns = simplify(sg.sum(hot, axis=0))
    np.testing.assert_array_equal(columns.eval(at, backend="reference"), [1, 1, 2])
