"""``logaddexp`` where ``exp(a) + exp(b)`` is 1 but for the last digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from vectormath_harness import Array, compiled, ulp_errors

SEED = 3
BITS = [128, 256, 512]


def complements(count: int) -> tuple[Array, Array]:
    """``a`` of many magnitudes below 0 and ``b`` near ``log(1 - exp(a))``: some ulps or 10% off."""
    rng = np.random.default_rng(SEED)
    a = -(10.0 ** rng.uniform(-30.0, -0.16, count))
    b = np.array([float(mpmath.log(-mpmath.expm1(mpmath.mpf(v)))) for v in a.tolist()])
    b += rng.integers(-3, 4, count) * np.spacing(b)
    b[::3] *= 1 + rng.uniform(-0.1, 0.1, b[::3].size)
    half = np.log(0.5)
    return np.append(a, [half, half]), np.append(b, [half, np.nextafter(half, 0.0)])


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logaddexp_is_accurate_where_it_almost_vanishes(dtype: str, bits: int) -> None:
    a, b = (v.astype(dtype) for v in complements(300))
    got, high, low = compiled("logaddexp", dtype, bits)(a, b), np.zeros(a.size), np.zeros(a.size)
    with mpmath.workprec(400):
        for k, (one, two) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
            value = mpmath.log(mpmath.exp(mpmath.mpf(one)) + mpmath.exp(mpmath.mpf(two)))
            high[k] = float(value)
            low[k] = float(value - high[k])
    assert np.max(ulp_errors(got, high, low)) <= {"float32": 1.0, "float64": 6.0}[dtype], SEED


@pytest.mark.parametrize("bits", BITS)
def test_a_vanishing_sum_leaves_the_other_lanes_alone(bits: int) -> None:
    a = np.linspace(-9.0, 9.0, 64)
    b = a[::-1].copy()
    with_one = a.copy(), b.copy()
    with_one[0][17] = with_one[1][17] = np.log(0.5)
    run = compiled("logaddexp", "float64", bits)
    np.testing.assert_array_equal(np.delete(run(*with_one), 17), np.delete(run(a, b), 17))
