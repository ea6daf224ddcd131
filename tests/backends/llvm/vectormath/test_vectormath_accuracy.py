"""Errors in ulps over the whole range, against float64 NumPy (float32) and mpmath (float64)."""

from __future__ import annotations

import numpy as np
import pytest
from vectormath_harness import DOMAINS, NAMES, Array, arguments, bound, compiled, ulp_errors
from vectormath_oracles import exact, reference

from symgraph.backends.llvm.vectormath import MATH

EXACT_COUNT = 6000

# Points where implementations break: edges of reductions, ties, overflow, underflow, cancellation.
HARD = (
    np.ldexp(1.0, np.arange(-1074, 1024, 31)).tolist()
    + [k * np.pi / 4 for k in range(1, 40)]
    + [6381956970095103.0 * 2.0**797, 1e22, 2.0**20, np.nextafter(2.0**20, 0), 1.6e6, 710.475]
    + [709.7827128933840, 709.78271289338397, 745.1332191019411, 708.3964185322641, 88.7228, 103.97]
    + [0.5 * np.log(2), 1.5 * np.log(2), np.sqrt(0.5), np.sqrt(2.0), 1 - 2.0**-53, 1 + 2.0**-52]
    + [0.41421356237309503, 2.414213562373095, 26.5, 27.2, 5.9, 0.75, 0.7499999, 1.0000001, 22.2]
    + [2.0**-28, 2.0**-27, 2.0**-26, 2.0**-13, 2.0**28, 1e300, 1.7976931348623157e308, 5e-324]
)


def hard_points(name: str, dtype: str) -> Array:
    with np.errstate(over="ignore"):
        x = np.array([*HARD, *(-h for h in HARD)]).astype(dtype)
    low, high = DOMAINS.get(name, (-np.inf, np.inf))
    kept: Array = x[np.isfinite(x) & (x >= low) & (x <= high)]
    return kept


def hard_arguments(name: str, dtype: str) -> tuple[Array, ...]:
    x = hard_points(name, dtype)
    if name in MATH:
        return (x,)
    rng = np.random.default_rng(5)
    return x, rng.permutation(x)


def worst(name: str, dtype: str, arrays: tuple[Array, ...], high: Array, low: Array | float) -> str:
    """The worst result beyond the bound in words, or nothing."""
    got = compiled(name, dtype)(*arrays)
    errors = ulp_errors(got, high, low)
    k = int(np.argmax(errors))
    point = [a[k].item() for a in arrays]
    beyond = errors[k] > bound(name, dtype)
    return f"{name}{point} gave {got[k]!r} for {high[k]!r}, {errors[k]} ulp" if beyond else ""


@pytest.mark.parametrize("name", NAMES)
def test_float32_is_accurate_over_the_whole_range(name: str) -> None:
    arrays = arguments(name, "float32", 150_000, seed=1)
    assert not worst(name, "float32", arrays, reference(name, *arrays), 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_float32_is_accurate_at_hard_points(name: str) -> None:
    arrays = hard_arguments(name, "float32")
    assert not worst(name, "float32", arrays, reference(name, *arrays), 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_float64_is_accurate_over_the_whole_range(name: str) -> None:
    arrays = arguments(name, "float64", EXACT_COUNT, seed=2)
    assert not worst(name, "float64", arrays, *exact(name, *arrays))


@pytest.mark.parametrize("name", NAMES)
def test_float64_is_accurate_at_hard_points(name: str) -> None:
    arrays = hard_arguments(name, "float64")
    assert not worst(name, "float64", arrays, *exact(name, *arrays))


# Numbers of quarter turns up to where the reduction ends.
QUARTERS = np.concatenate(
    [np.arange(1, 40), 2 ** np.arange(6, 19) + 1, [344538, 529483, 2**19 - 1]]
)


@pytest.mark.parametrize("bits", [128, 256, 512])
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_float64_angles_next_to_multiples_of_a_quarter_turn(name: str, bits: int) -> None:
    near = QUARTERS * (np.pi / 2)
    x = np.concatenate([near, np.nextafter(near, 0.0), np.nextafter(near, np.inf)])
    errors = ulp_errors(compiled(name, "float64", bits)(x), *exact(name, x))
    assert np.max(errors) <= bound(name, "float64")
