"""Facts: each holds for the values that random graphs compute at special inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from rule_example import node

import symgraph as sg
from symgraph import Tensor
from symgraph.backends.reference.evaluate import evaluate_graph
from symgraph.ops import OPS
from symgraph.passes.facts import Facts

Array = np.ndarray[Any, Any]

UNARY = (
    "negative", "abs", "square", "sqrt", "sign", "reciprocal", "cbrt", "exp", "exp2", "expm1",
    "log", "log2", "log10", "log1p", "sigmoid", "softplus", "logit", "sin", "cos", "asin", "acos",
    "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "floor", "ceil",
    "trunc", "round", "relu", "erfcx", "log_erfc", "log1mexp",
)  # fmt: skip
BINARY = (
    "add", "subtract", "multiply", "divide", "maximum", "minimum", "pow", "remainder",
    "floor_divide", "logaddexp", "hypot",
)  # fmt: skip
COMPARED = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
ROWS = ("sum", "prod", "max", "min", "logsumexp", "norm")
LITERALS = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -3.0, 1e-30, 1e30, 7.25, math.inf)


def _special(dtype: str, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    info = np.finfo(dtype)
    pool = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 40.0, -90.0, math.inf, -math.inf, math.nan]
    pool += [float(info.max), -float(info.max), float(info.smallest_subnormal), -1e-30, 1e-5]
    return rng.choice(np.array(pool, dtype), size=shape)


def _literal(value: float, dtype: Any) -> Tensor:
    return sg.constant(np.asarray(value, dtype))


def _whole(kind: str) -> Callable[[Tensor], Tensor]:
    return lambda x: sg.astype(sg.astype(x, kind), x.dtype)


def _masked(mask: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: sg.where(mask(x), x, _literal(0.0, x.dtype))


MATRICES: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda x: x + x.mT,
    lambda x: x @ x.mT,
    sg.tril,
    sg.triu,
    lambda x: sg.tril(x, k=-1),
    lambda x: sg.eye(3, dtype=x.dtype) * x,
    lambda x: sg.eye(3, k=1, dtype=x.dtype),
    lambda x: sg.softmax(x, axis=1).mT,
    lambda x: x.mT,
    lambda x: sg.sum(x, axis=1, keepdims=True) * sg.diag(x[0]),
    lambda x: sg.cumulative_sum(x, axis=0),
    lambda x: sg.flip(x, axis=1),
    lambda x: sg.log_softmax(x, axis=0),
    lambda x: sg.one_hot(sg.argmax(x, axis=1), 3, dtype=x.dtype),
    lambda x: sg.exp(sg.log_softmax(x, axis=1)),
    lambda x: x / x.shape[0],
    lambda x: x * (sg.constant(3.0) / sg.max(sg.abs(x))).astype(x.dtype),
    lambda x: sg.where(sg.isnan(x), _literal(1.0, x.dtype), x),
    lambda x: sg.clip(x, -2, 2),
    _whole("int8"),
    _whole("int64"),
    _whole("uint8"),
    lambda x: sg.astype(sg.astype(x, "int8") * sg.astype(x, "int8"), x.dtype),
    lambda x: sg.astype(-sg.abs(sg.astype(x, "int8")), x.dtype),
    lambda x: sg.astype(sg.astype(x, "float32"), x.dtype),
    _masked(lambda x: x > 0),
    _masked(sg.isfinite),
    lambda x: sg.where(x > 0, x, _literal(1.0, x.dtype)),
    lambda x: sg.where(x <= -1, _literal(math.nan, x.dtype), x),
    lambda x: sg.where(sg.less(_literal(2.0, x.dtype), x), _literal(-0.0, x.dtype), x),
    _masked(lambda x: sg.eye(3, dtype="bool")),
    _masked(lambda x: sg.logical_not(sg.eye(3, dtype="bool"))),
)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Tensor, list[Tensor]]:
    """An input of 3 by 3 elements and values computed from it, all of that shape."""
    dtype = draw(st.sampled_from(["float64", "float32"]))
    x = sg.tensor("x", shape=(3, 3), dtype=dtype)
    known = [x]
    for _ in range(draw(st.integers(1, 12))):
        a, b = draw(st.sampled_from(known)), draw(st.sampled_from(known))
        known.append(_grown(draw, a, b))
    return x, known


def _grown(draw: st.DrawFn, a: Tensor, b: Tensor) -> Tensor:
    kind = draw(st.sampled_from(["unary", "unary", "binary", "literal", "row", "mask", "matrix"]))
    if kind == "unary":
        return node(OPS[draw(st.sampled_from(UNARY))], a)
    if kind == "binary":
        return node(OPS[draw(st.sampled_from(BINARY))], a, b)
    if kind == "literal":
        value = _literal(draw(st.sampled_from(LITERALS)), a.dtype)
        operands = draw(st.permutations([a, value]))
        return node(OPS[draw(st.sampled_from(BINARY))], *operands)
    if kind == "row":
        rows = node(OPS[draw(st.sampled_from(ROWS))], a, axis=(1,))
        return sg.broadcast_to(rows, (3, 3))
    if kind == "mask":
        mask = node(OPS[draw(st.sampled_from(COMPARED))], a, b)
        return draw(st.sampled_from([sg.where(mask, a, b), sg.astype(mask, a.dtype)]))
    return draw(st.sampled_from(MATRICES))(a)


def check(facts: Facts, x: Tensor, value: Array) -> None:
    """Every fact claimed of x, against what was computed."""
    low, high = facts.interval(x)
    numbers = value[~np.isnan(value)] if value.dtype.kind == "f" else value
    assert not numbers.size or (low <= numbers.min() and numbers.max() <= high), (x, value)
    assert not facts.bounded(x) or (np.abs(numbers.astype(float)) <= 1e30).all()
    assert not facts.nonzero(x) or (value != 0).all()
    assert not facts.nonnegative(x) or (numbers >= 0).all()
    if value.dtype.kind == "f":
        assert not facts.nan_free(x) or not np.isnan(value).any(), (x, value)
        assert not facts.finite(x) or np.isfinite(value).all()
        finite = value[np.isfinite(value)]
        assert not facts.integral(x) or (finite == np.trunc(finite)).all()
        minus = (value == 0) & np.signbit(value)
        assert not facts.never_minus_zero(x) or not minus.any(), (x, value)
    if value.ndim >= 2:
        _check_matrix(facts, x, value)


def _check_matrix(facts: Facts, x: Tensor, value: Array) -> None:
    assert not facts.lower_triangular(x) or (np.triu(value, 1) == 0).all(), (x, value)
    assert not facts.upper_triangular(x) or (np.tril(value, -1) == 0).all(), (x, value)
    off = np.arange(value.shape[0])[:, None] != np.arange(value.shape[1])
    assert not facts.diagonal(x) or (value[off] == 0).all()
    if facts.symmetric(x):
        np.testing.assert_allclose(value, value.T, rtol=1e-5, atol=1e-5)
    for axis in range(value.ndim):
        if facts.sums_to_one(x, (axis,)):
            totals = value.sum(axis=axis)
            np.testing.assert_allclose(totals[~np.isnan(totals)], 1, rtol=1e-5)


@seed(20)
@settings(max_examples=300, deadline=None)
@given(graphs(), st.integers(0, 2**32 - 1))
def test_facts_hold_at_special_values(drawn: tuple[Tensor, list[Tensor]], start: int) -> None:
    x, known = drawn
    rng, facts = np.random.default_rng(start), Facts()
    graph = sg.Graph(known, [x])
    with np.errstate(all="ignore"):
        for _ in range(4):
            array = _special(x.dtype.name, rng, (3, 3))

            def observe(n: Tensor, value: Any) -> None:
                if not isinstance(value, tuple):
                    check(facts, n, np.asarray(value))

            evaluate_graph(graph, {x: array}, observe)


x = sg.tensor("x", shape=("n", 3))
A = sg.tensor("A", shape=(3, 3))
n = x.shape[0]

DESCRIBED = [
    (sg.softmax(x, axis=1), "in [0, 1], sums to 1 along axis 1"),
    (sg.softmax(x, axis=1).T, "in [0, 1], sums to 1 along axis 0"),
    (sg.exp(x), "positive"),
    (sg.exp(x) + 1, "at least 1"),
    (x * x, "nonnegative"),
    (sg.sin(x), "in [-1, 1]"),
    (sg.floor(x), "integer"),
    (sg.clip(x, -2, 5), "in [-2, 5]"),
    (sg.log_softmax(x, axis=1), "at most 0"),
    (A + A.T, "symmetric"),
    (2 * (A @ A.T), "symmetric"),
    (sg.tril(A), "lower triangular"),
    (sg.triu(A).T, "lower triangular"),
    (sg.diag(A[0]) / 2, "diagonal"),
    (sg.where(x > 0, x, 1.0), "positive"),
    (x > 0, None),
    (x, None),
    (x + 1, None),
]


@pytest.mark.parametrize(("value", "text"), DESCRIBED)
def test_description(value: Tensor, text: str | None) -> None:
    assert Facts().describe(value) == text


def test_sizes_may_be_zero() -> None:
    facts, size = Facts(), sg.constant(n)
    assert facts.interval(size)[0] == 0 and not facts.nonzero(size)
    assert facts.nonzero(sg.constant(n + 1))
    assert facts.interval(sg.constant(n - 1))[0] == -1


def test_growing_scalars() -> None:
    facts, size = Facts(), sg.constant(n).astype("float64")
    assert facts.grows(sg.constant(2.0)) and facts.grows(sg.constant(-1e20))
    assert not facts.grows(sg.constant(0.5)) and not facts.grows(sg.constant(1e31))
    assert facts.grows(size, (n, 3)) and not facts.grows(size, (3,)) and not facts.grows(x)


def test_a_size_less_one_may_vanish() -> None:
    assert Facts().scale(sg.constant(n - 1).astype("float64")) is None


SUMS = [
    sg.softmax(x, axis=1)[None],
    sg.stop_gradient(sg.softmax(x, axis=1))[None],
    sg.where(x[:, :1] > 0, sg.softmax(x, axis=1), sg.softmax(-x, axis=1))[None],
    sg.broadcast_to(sg.softmax(x, axis=1), (2, n, 3)),
    0.9 * sg.softmax(x, axis=1)[None] + 0.1 / 3,
    0.25 * sg.softmax(x, axis=1)[None] + 0.75 * sg.softmax(-x, axis=1)[None],
    sg.mean(sg.softmax(sg.tensor("z", shape=(1, 5, "n", 3)), axis=3), axis=1),
    sg.concat([sg.softmax(x, axis=1), sg.softmax(-x, axis=1)], axis=0)[None],
    sg.exp(sg.log_softmax(x, axis=1))[None],
]


@pytest.mark.parametrize("value", SUMS)
def test_rows_that_sum_to_one(value: Tensor) -> None:
    assert Facts().sums_to_one(value, (2,))


NO_SUMS = [
    x / sg.sum(x, axis=1, keepdims=True),
    2 * sg.softmax(x, axis=1),
    sg.softmax(x, axis=1)[:, :2],
    sg.where(x > 0, sg.softmax(x, axis=1), sg.softmax(-x, axis=1)),
    0.9 * sg.softmax(x, axis=1) + 0.2 / 3,
    sg.concat([sg.softmax(x, axis=1), sg.softmax(x, axis=1)], axis=1),
    sg.softmax(x, axis=0),
]


@pytest.mark.parametrize("value", NO_SUMS)
def test_rows_that_need_not_sum_to_one(value: Tensor) -> None:
    assert not Facts().sums_to_one(value, (1,))


NOT_STRUCTURED = [
    sg.tril(A) + sg.triu(A, k=1),
    sg.tril(A) * sg.triu(A),
    sg.tril(A) @ sg.tril(A),
    A @ A,
    A - A.T,
    sg.exp(sg.tril(A)),
    sg.tril(A, k=1),
    sg.eye(3) * A,
]


@pytest.mark.parametrize("value", NOT_STRUCTURED)
def test_what_has_no_structure(value: Tensor) -> None:
    facts = Facts()
    assert not (facts.lower_triangular(value) or facts.upper_triangular(value))
    assert not facts.symmetric(value)


def test_chains_need_no_recursion() -> None:
    value: Tensor = x
    for k in range(100_000):
        value = sg.abs(value) if k % 2 else sg.tanh(value)
    facts = Facts()
    low, high = facts.interval(value)
    assert low == 0 and high < 1
    assert not facts.symmetric(value)


def test_facts_are_printed_next_to_types() -> None:
    expression = sg.log(sg.softmax(x, axis=1) + 1)
    lines = sg.pprint(expression, facts=True).splitlines()
    assert ": float64[n, 3], in [0, 1], sums to 1 along axis 1  # " in lines[1]
    assert ": float64[n, 3], in [1, 2]  # " in lines[2]
    compiled = sg.function([x], expression, passes=())
    assert "sums to 1 along axis 1" in sg.pprint(compiled, facts=True)
    assert "sums to 1" not in sg.pprint(compiled.graph)
