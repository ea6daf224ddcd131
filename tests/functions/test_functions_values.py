"""Values at the edges: extremes of row functions, ties, NaN, integer division, powers, casts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import ShapeError, SymgraphError, UsageError

Array = np.ndarray[Any, Any]
INF, NAN = float("inf"), float("nan")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def run(out: Any, *pairs: tuple[sg.Tensor, Any]) -> Any:
    """The value of a graph, given its inputs with their values."""
    return sg.function([i for i, _ in pairs], out, backend="reference", passes=())(
        *[v for _, v in pairs]
    )


def of(function: Any, values: Any, dtype: str = "float64", /, **options: Any) -> Any:
    """A function of one array."""
    array = np.array(values, dtype)
    x = sg.tensor("x", shape=array.shape, dtype=dtype)
    return run(function(x, **options), (x, array))


# ---- row functions at their extremes -------------------------------------------------------------

ROWS: tuple[tuple[list[float], float, list[float]], ...] = (
    ([0.0, 0.0], math.log(2), [0.5, 0.5]),
    ([1000.0, 1000.0], 1000 + math.log(2), [0.5, 0.5]),
    ([-1000.0, -1000.0], -1000 + math.log(2), [0.5, 0.5]),
    ([1000.0, 0.0], 1000.0, [1.0, 0.0]),
    ([-INF, 3.0], 3.0, [0.0, 1.0]),
    ([-INF, -INF], -INF, [NAN, NAN]),
    ([INF, 0.0], INF, [NAN, 0.0]),
    ([NAN, 0.0], NAN, [NAN, NAN]),
    ([1.7e308, 1.7e308], 1.7e308, [0.5, 0.5]),
)


@pytest.mark.parametrize(("values", "total", "shares"), ROWS)
def test_row_functions(values: list[float], total: float, shares: list[float]) -> None:
    np.testing.assert_allclose(of(sg.logsumexp, values), total, rtol=1e-15)
    np.testing.assert_allclose(of(sg.softmax, values), shares, rtol=1e-15)
    with np.errstate(all="ignore"):
        logs = np.where(np.array(shares) == 0, np.array(values) - total, np.log(shares))
    np.testing.assert_allclose(of(sg.log_softmax, values), logs, rtol=1e-15)


def test_rows_are_independent() -> None:
    """A row of infinities spoils no other row."""
    got = of(sg.softmax, [[0.0, 0.0], [-INF, -INF], [5.0, 5.0]])
    assert got[[0, 2]].tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_gradients_of_extreme_rows() -> None:
    """The gradient of log-sum-exp is softmax, where the sum would overflow too."""
    x = sg.vector("x", shape="n")
    g = sg.grad(sg.logsumexp(x), x)
    h = sg.grad(sg.log_softmax(x)[0], x)
    assert run(g, (x, [1000.0, 1000.0, -1000.0])).tolist() == [0.5, 0.5, 0.0]
    assert run(h, (x, [1000.0, 0.0, -1000.0])).tolist() == [0.0, 0.0, 0.0]
    assert run(g, (x, [-INF, 2.0])).tolist() == [0.0, 1.0]


def test_row_functions_of_nothing() -> None:
    x = sg.matrix("x", shape=("n", "m"))
    assert run(sg.logsumexp(x, axis=1), (x, np.zeros((2, 0)))).tolist() == [-INF, -INF]
    assert run(sg.softmax(x), (x, np.zeros((2, 0)))).shape == (2, 0)
    with pytest.raises(ShapeError, match="scalar"):
        sg.softmax(sg.scalar("a"))


# ---- reductions ----------------------------------------------------------------------------------


def test_extremes_with_nan_and_ties() -> None:
    assert of(sg.argmax, [1.0, 3.0, 3.0, 2.0]) == 1
    assert of(sg.argmin, [1.0, 3.0, 1.0]) == 0
    assert of(sg.argmax, [1.0, NAN, INF, NAN]) == 1
    assert of(sg.argmin, [1.0, NAN, -INF]) == 1
    assert np.isnan(of(sg.max, [1.0, NAN, INF]))
    assert np.isnan(of(sg.min, [NAN, -INF]))
    assert of(sg.argmax, [False, True, True], "bool") == 1
    assert not np.signbit(of(sg.max, [-0.0, 0.0, -0.0]))
    assert np.signbit(of(sg.min, [0.0, -0.0, 0.0]))


def test_both_at_once() -> None:
    x = sg.matrix("x", shape=("n", 3))
    value, place = sg.max_and_argmax(x, axis=1)
    data = [[1.0, 5.0, 5.0], [NAN, 2.0, 3.0], [-1.0, -1.0, -2.0]]
    got = run([value, place], (x, data))
    np.testing.assert_array_equal(got[0], [5.0, NAN, -1.0])
    assert got[1].tolist() == [1, 0, 0]


def test_extremes_of_nothing() -> None:
    for function in (sg.max, sg.min, sg.argmax, sg.argmin):
        with pytest.raises(ShapeError, match="empty"):
            function(sg.zeros((0, 2)), axis=0)


def test_sums_are_taken_wide() -> None:
    for name in INTEGERS:
        values = np.full(300, np.iinfo(name).max // 2, name)
        for ours, theirs in ((sg.sum, np.sum), (sg.prod, np.prod)):
            got, want = of(ours, values[:4], name), theirs(values[:4])
            assert got == want and got.dtype == want.dtype
        assert of(sg.cumulative_sum, values, name).dtype == np.cumsum(values).dtype
    assert of(sg.sum, [True, True], "bool").dtype == np.int64
    assert of(sg.sum, [1.0, 2.0], "float32", dtype="float64").dtype == np.float64
    assert of(sg.mean, [1, 2], "int8").dtype == np.float64
    assert of(sg.mean, [1, 2], "float32").dtype == np.float32


def test_mean_and_variance_of_nothing() -> None:
    x = sg.vector("x", shape="n")
    got = run([sg.mean(x), sg.var(x), sg.sum(x), sg.prod(x)], (x, np.zeros(0)))
    assert np.isnan(got[0]) and np.isnan(got[1])
    assert got[2:] == [0.0, 1.0]


def test_count_nonzero() -> None:
    assert of(sg.count_nonzero, [0.0, -0.0, NAN, 2.0]) == 2
    got = of(sg.count_nonzero, [[0, 1], [2, 3]], "int8", axis=0)
    assert got.tolist() == [1, 2] and got.dtype == np.int64


@pytest.mark.parametrize("axis", [2, -3, (0, 0), (0, -2), "0", 1.0])
def test_bad_axis(axis: Any) -> None:
    x = sg.matrix("x", shape=(2, 3))
    for function in (sg.sum, sg.max, sg.mean, sg.logsumexp, sg.softmax, sg.any):
        with pytest.raises(SymgraphError, match="axis"):
            function(x, axis=axis)


def test_reducing_no_axis() -> None:
    """axis=() reduces nothing: the array itself, in the result's dtype."""
    for function, plain in (
        (sg.sum, np.sum),
        (sg.prod, np.prod),
        (sg.max, np.max),
        (sg.mean, np.mean),
    ):
        got = of(function, [[1.0, 2.0]], axis=())
        np.testing.assert_array_equal(got, plain(np.array([[1.0, 2.0]]), axis=()))
    assert of(sg.sum, [1, 2], "int8", axis=()).tolist() == [1, 2]


# ---- integers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [*INTEGERS, "float32", "float64"])
def test_division_signs(dtype: str) -> None:
    """The quotient rounds down, the remainder has the divisor's sign, zero divisors: NumPy's."""
    kind = np.dtype(dtype)
    some = [-7, -6, -2, -1, 0, 1, 2, 6, 7] if kind.kind != "u" else [0, 1, 2, 6, 7, 250]
    if kind.kind in "iu":
        some += [int(np.iinfo(kind).min), int(np.iinfo(kind).max)]
    a, b = (g.ravel() for g in np.meshgrid(np.array(some, kind), np.array(some, kind)))
    x, y = (sg.tensor(n, shape="n", dtype=dtype) for n in "xy")
    got = run([sg.floor_divide(x, y), sg.remainder(x, y)], (x, a), (y, b))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(got[0], np.floor_divide(a, b))
        np.testing.assert_array_equal(got[1], np.remainder(a, b))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_powers(dtype: str) -> None:
    """Wrapping, as NumPy; 0 ** 0 is 1."""
    kind = np.dtype(dtype)
    bases = [0, 1, 2, 3, 7, int(np.iinfo(kind).max)]
    if kind.kind == "i":
        bases += [-1, -2, -7, int(np.iinfo(kind).min)]
    powers = np.array([0, 1, 2, 3, 5, 63], kind)
    a, b = (g.ravel() for g in np.meshgrid(np.array(bases, kind), powers))
    x, y = (sg.tensor(n, shape="n", dtype=dtype) for n in "xy")
    np.testing.assert_array_equal(run(sg.pow(x, y), (x, a), (y, b)), np.power(a, b))


def test_integer_to_a_negative_power() -> None:
    """The reciprocal rounded towards zero when computed; refused where it is written out."""
    x, y = (sg.tensor(n, shape="n", dtype="int32") for n in "xy")
    got = run(
        sg.pow(x, y),
        (x, np.array([1, -1, -1, 2, 0], "i4")),
        (y, np.array([-3, -3, -2, -1, -1], "i4")),
    )
    assert got.tolist() == [1, -1, 1, 0, 0]
    with pytest.raises(UsageError, match="no integer"):
        x**-1


@pytest.mark.parametrize("dtype", INTEGERS)
def test_shifts_beyond_the_width(dtype: str) -> None:
    """All bits shifted out: 0, or -1 for a negative number to the right."""
    kind = np.dtype(dtype)
    bits = kind.itemsize * 8
    values = [1, 5, int(np.iinfo(kind).max)] + (
        [-1, -5, int(np.iinfo(kind).min)] if kind.kind == "i" else []
    )
    steps = np.array([0, 1, bits - 1, bits, bits + 3], kind)
    a, b = (g.ravel() for g in np.meshgrid(np.array(values, kind), steps))
    x, y = (sg.tensor(n, shape="n", dtype=dtype) for n in "xy")
    got = run([sg.bitwise_left_shift(x, y), sg.bitwise_right_shift(x, y)], (x, a), (y, b))
    np.testing.assert_array_equal(got[0], np.left_shift(a, b))
    np.testing.assert_array_equal(got[1], np.right_shift(a, b))


def test_float_powers_at_special_values() -> None:
    """IEEE pow: 0 to a negative power, infinities, NaN to 0, 1 to anything."""
    some = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, 3.0, -3.0, INF, -INF, NAN]
    a, b = (g.ravel() for g in np.meshgrid(some, some))
    x, y = sg.vector("x", shape="n"), sg.vector("y", shape="n")
    with np.errstate(all="ignore"):
        want = np.power(a, b)
    np.testing.assert_allclose(run(x**y, (x, a), (y, b)), want, rtol=4e-16)
    points = np.array(some)
    for p in (0, 1, 2, -1, 0.5, 3, -2, 0.0, 1.0, 2.0, -1.0):
        with np.errstate(all="ignore"):  # a full array: NumPy's x ** 0.5 is sqrt, not pow
            want = np.power(points, np.full(len(points), float(p)))
        np.testing.assert_allclose(run(x**p, (x, points)), want, rtol=4e-16)
    a0 = sg.scalar("a")
    assert run(a0**0.5, (a0, -INF)) == INF


def test_clip_bounds_crossed_or_nan() -> None:
    """NumPy's order: the lower bound first, so the upper one wins; NaN anywhere gives NaN."""
    x, lo, hi = (sg.scalar(n) for n in ("x", "lo", "hi"))
    y = sg.clip(x, lo, hi)
    for point in (
        (0.5, 2.0, 1.0),
        (5.0, 2.0, 1.0),
        (NAN, 0.0, 1.0),
        (0.5, NAN, 1.0),
        (0.5, 0.0, NAN),
    ):
        got = run(y, *zip((x, lo, hi), point, strict=True))
        np.testing.assert_array_equal(got, np.clip(*point))
    for given in ((NAN, 0.0), (-1.0, 0.0), (1.0, NAN)):
        np.testing.assert_array_equal(of(sg.clip, given[0], min=given[1]), np.maximum(*given))
        np.testing.assert_array_equal(of(sg.clip, given[0], max=given[1]), np.minimum(*given))


# ---- casts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", INTEGERS)
def test_floats_truncate(to: str) -> None:
    values = [0.0, -0.0, 0.9, 1.5, 2.5, 99.99] + (
        [-0.9, -1.5, -99.99] if to.startswith("i") else []
    )
    x = sg.vector("x", shape="n")
    assert run(x.astype(to), (x, values)).tolist() == [math.trunc(v) for v in values]


@pytest.mark.parametrize("source", INTEGERS)
@pytest.mark.parametrize("to", INTEGERS)
def test_integers_wrap(source: str, to: str) -> None:
    limits = np.iinfo(source)
    values = np.array([limits.min, limits.max, 0, 1, limits.max // 3], source)
    x = sg.tensor("x", shape="n", dtype=source)
    np.testing.assert_array_equal(run(x.astype(to), (x, values)), values.astype(to))


def test_truth_of_floats() -> None:
    x = sg.vector("x", shape="n")
    got = run(x.astype("bool"), (x, [0.0, -0.0, 0.1, NAN, INF]))
    assert got.tolist() == [False, False, True, True, True]


def test_wide_floats_overflow_to_infinity() -> None:
    x = sg.vector("x", shape="n")
    got = run(x.astype("float32"), (x, [1e300, -1e300, 1e-300, NAN]))
    np.testing.assert_array_equal(got, np.array([INF, -INF, 0.0, NAN], "float32"))
