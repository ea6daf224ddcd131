"""softmax, log-softmax and log-sum-exp of rows with tiny, huge and infinite entries, by mpmath."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import symgraph as sg

Array = np.ndarray[Any, Any]

ROWS: dict[str, tuple[float, ...]] = {
    "one far below": (0.0, -100.0),
    "far below the first": (100.0, 0.0, 0.0),
    "ties": (5.0, 5.0, -40.0),
    "all equal": (-3.0, -3.0, -3.0),
    "one entry": (0.25,),
    "beyond exp": (1000.0, 1000.5, -1000.0),
    "ends": (1e38, -1e38, 3e38),
    "masked": (-math.inf, 1.0, 2.0),
    "one left": (-math.inf, -math.inf, 7.0),
}
BACKENDS = ("reference", "llvm")
DTYPES = ("float32", "float64")


def _softmax(row: list[Any]) -> list[Any]:
    level = max(row)
    terms = [mp.exp(x - level) for x in row]
    return [t / mp.fsum(terms) for t in terms]


def _logsumexp(row: list[Any]) -> Any:
    level = max(row)
    return mp.log(mp.fsum(mp.exp(x - level) for x in row)) + level


def _log_softmax(row: list[Any]) -> list[Any]:
    level = _logsumexp(row)
    return [x - level for x in row]


@dataclass(frozen=True, slots=True)
class Function:
    """A row function, and its value by mpmath."""

    of: Callable[..., sg.Tensor]
    wanted: Callable[[list[Any]], Any]


FUNCTIONS = {
    "softmax": Function(sg.softmax, _softmax),
    "log_softmax": Function(sg.log_softmax, _log_softmax),
    "logsumexp": Function(sg.logsumexp, _logsumexp),
}


def _exactly(row: tuple[float, ...], dtype: str) -> tuple[Array, list[Any]]:
    """The row in a dtype, and the same numbers in mpmath."""
    values = np.array(row, dtype)
    return values, [mp.mpf(float(v)) for v in values]


def _computed(expression: sg.Tensor, x: sg.Tensor, values: Array, backend: str) -> Array:
    return np.asarray(expression.eval({x: values}, backend=backend))


def _check(got: Array, want: Any, dtype: str) -> None:
    limits = np.finfo(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        wanted = np.array(want, object).astype(float).astype(dtype).astype(float)
        near = 8 * limits.eps * np.abs(wanted) + 4 * float(limits.smallest_subnormal)
        good = (np.abs(got - wanted) <= near) | (got == wanted)
    assert good.all(), f"{got!r} for {wanted!r}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("row", ROWS)
def test_value(row: str, function: str, backend: str, dtype: str) -> None:
    values, numbers = _exactly(ROWS[row], dtype)
    x, f = sg.vector("x", shape=len(values), dtype=dtype), FUNCTIONS[function]
    with mp.workdps(60):
        _check(_computed(f.of(x), x, values, backend), f.wanted(numbers), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", ROWS)
def test_derivative_of_logsumexp_is_softmax(row: str, backend: str, dtype: str) -> None:
    values, numbers = _exactly(ROWS[row], dtype)
    x = sg.vector("x", shape=len(values), dtype=dtype)
    with mp.workdps(60):
        slope = _computed(sg.grad(sg.logsumexp(x), x), x, values, backend)
        _check(slope, _softmax(numbers), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", ROWS)
def test_derivative_of_an_entry_of_log_softmax(row: str, backend: str, dtype: str) -> None:
    """One hot minus softmax; the hot entry is the sum of the others' shares, exact or rounded."""
    values, numbers = _exactly(ROWS[row], dtype)
    x = sg.vector("x", shape=len(values), dtype=dtype)
    slope = _computed(sg.grad(sg.log_softmax(x)[-1], x), x, values, backend)
    with mp.workdps(60):
        q = np.array(_softmax(numbers), object).astype(float)
    hot = np.eye(len(values))[-1]
    np.testing.assert_allclose(slope, hot - q, rtol=1e-5 if dtype == "float32" else 1e-13,
                               atol=2 * float(np.finfo(dtype).eps))  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_beside_infinity_finite_entries_count_for_nothing(backend: str, dtype: str) -> None:
    x = sg.vector("x", shape=3, dtype=dtype)
    values = np.array([np.inf, 800, 5], dtype)
    got = _computed(sg.softmax(x), x, values, backend)
    np.testing.assert_array_equal(got, [np.nan, 0, 0])
    np.testing.assert_array_equal(_computed(sg.logsumexp(x), x, values, backend), np.inf)
    log = _computed(sg.log_softmax(x), x, values, backend)
    np.testing.assert_array_equal(log, [np.nan, -np.inf, -np.inf])
    again = _computed(sg.exp(sg.log_softmax(x)), x, values, backend)  # which becomes the softmax
    np.testing.assert_array_equal(again, np.exp(log))


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_named_in_the_decision(backend: str) -> None:
    x, y = sg.vector("x", shape=2), sg.vector("y", shape=3)
    level = _computed(sg.logsumexp(x), x, np.array([0.0, -100.0]), backend)
    first = _computed(sg.log_softmax(y), y, np.array([100.0, 0.0, 0.0]), backend)[0]
    np.testing.assert_allclose([level, first], [3.72007597602083e-44, -7.44015195204167e-44])
