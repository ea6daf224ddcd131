"""Powers of integers, and functions composed of elementary ones, through compiled programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from vectormath_harness import Array, ulp_errors

import symgraph as sg

SEED = 6
COUNT = 400
BOUND = 2.0
INF, NAN = np.inf, np.nan


def run(function: Callable[..., Any], *arrays: Array) -> Array:
    names = "xyz"[: len(arrays)]
    inputs = [sg.vector(n, dtype=str(a.dtype)) for n, a in zip(names, arrays, strict=True)]
    result: Array = sg.function(inputs, function(*inputs), passes=())(*arrays)
    return result


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
def test_powers_of_integers_are_exact_modulo_the_word(dtype: str) -> None:
    rng = np.random.default_rng(SEED)
    limits = np.iinfo(dtype)
    base = rng.integers(limits.min, limits.max, COUNT + 13, dtype=dtype)
    exponent = rng.integers(0, 100, COUNT + 13).astype(dtype)
    size = 1 << limits.bits
    want = [pow(b, p, size) for b, p in zip(base.tolist(), exponent.tolist(), strict=True)]
    wrapped = np.array([w - size if w > limits.max else w for w in want], dtype)
    np.testing.assert_array_equal(run(sg.pow, base, exponent), wrapped)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_hypotenuse_is_infinite_beside_an_infinity_but_nan_beside_nan(dtype: str) -> None:
    one = np.array([INF, NAN, -INF, NAN, 3.0, 0.0, INF], dtype)
    two = np.array([NAN, INF, 1.0, 1.0, -4.0, -0.0, -INF], dtype)
    np.testing.assert_array_equal(run(sg.hypot, one, two), [NAN, NAN, INF, NAN, 5.0, 0.0, INF])


def _log_erfc(x: Any) -> Any:
    return mpmath.log1p(-mpmath.erf(x)) if x < 1 else mpmath.log(mpmath.erfc(x))


TRUTHS: dict[str, Callable[..., Any]] = {
    "hypot": lambda x, y: mpmath.sqrt(x * x + y * y),
    "log1mexp": lambda x: mpmath.log(-mpmath.expm1(x)),
    "log_erfc": _log_erfc,
    "logit": lambda x: mpmath.log(x) - mpmath.log(1 - x),
    "xlogy": lambda x, y: x * mpmath.log(y),
}


def arguments_of(name: str, dtype: str) -> list[Array]:
    """Magnitudes of all sorts within the domain, and a linear stretch of it."""
    rng = np.random.default_rng(SEED)
    small = np.exp2(rng.uniform(-60.0, -1.0, COUNT))
    digits = 22 if dtype == "float32" else 50
    near = np.exp2(rng.uniform(-digits, -2.0, COUNT))
    signs = rng.choice([-1.0, 1.0], COUNT)
    columns: dict[str, list[Array]] = {
        "hypot": [signs * np.exp2(rng.uniform(-120, 120, COUNT)) for _ in range(2)],
        "log1mexp": [-np.concatenate([small, rng.uniform(0.0, 80.0, COUNT)])],
        "log_erfc": [np.concatenate([signs * small, rng.uniform(-6.0, 30.0, COUNT)])],
        "logit": [np.concatenate([small, 1.0 - near, 0.5 + signs * near, near])],
        "xlogy": [signs * small, np.where(signs > 0, 1.0 - near, 1 / small)],
    }
    if name == "hypot":
        columns["hypot"][1][::2] = columns["hypot"][0][::2] * rng.uniform(0.01, 9.0, COUNT // 2)
    return [c.astype(dtype) for c in columns[name]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TRUTHS)
def test_compositions_are_accurate(name: str, dtype: str) -> None:
    arrays = arguments_of(name, dtype)
    got = run(getattr(sg, name), *arrays)
    high, low = np.zeros(got.size), np.zeros(got.size)
    with mpmath.workprec(300):
        for k, point in enumerate(zip(*[a.tolist() for a in arrays], strict=True)):
            value = TRUTHS[name](*map(mpmath.mpf, point))
            high[k] = float(value)
            low[k] = float(value - high[k])
    errors = ulp_errors(got, high, low)
    worst = int(np.argmax(errors))
    assert errors[worst] <= BOUND, (name, [a[worst] for a in arrays], errors[worst], SEED)
