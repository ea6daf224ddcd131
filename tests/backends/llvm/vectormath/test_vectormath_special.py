"""Exact results at zeros, infinities, NaN and out of the domain, signs included."""

from __future__ import annotations

import numpy as np
import pytest
from vectormath_harness import NAMES, Array, build, compiled, narrowed

from symgraph.backends.llvm.vectormath import MATH, MATH2

INF, NAN, PI = np.inf, np.nan, np.pi

ODD_AT_ZERO = (
    "asin", "asinh", "atan", "atanh", "cbrt", "erf", "expm1", "log1p", "sin", "sinh", "tan", "tanh",
)  # fmt: skip

# name: pairs of argument and result
TABLE: dict[str, list[tuple[float, float]]] = {
    "acos": [(1, 0), (-1, PI), (0, PI / 2), (-0.0, PI / 2), (1.5, NAN), (-1.5, NAN), (INF, NAN)],
    "acosh": [(1, 0), (INF, INF), (0.5, NAN), (-INF, NAN), (-2, NAN), (0, NAN)],
    "asin": [(1, PI / 2), (-1, -PI / 2), (1.5, NAN), (INF, NAN), (-INF, NAN)],
    "asinh": [(INF, INF), (-INF, -INF)],
    "atan": [(INF, PI / 2), (-INF, -PI / 2), (1, PI / 4)],
    "atanh": [(1, INF), (-1, -INF), (1.5, NAN), (-INF, NAN)],
    "cbrt": [(INF, INF), (-INF, -INF), (27, 3), (-8, -2), (1e-30, 1e-10)],
    "cos": [(0, 1), (-0.0, 1), (INF, NAN), (-INF, NAN)],
    "cosh": [(0, 1), (-0.0, 1), (INF, INF), (-INF, INF), (800, INF)],
    "erf": [(INF, 1), (-INF, -1), (30, 1), (-30, -1)],
    "erfc": [(INF, 0), (-INF, 2), (0, 1), (-0.0, 1), (40, 0), (-40, 2)],
    "erfcx": [(INF, 0), (-INF, INF), (0, 1), (-0.0, 1), (-40, INF), (1e-40, 1)],
    "exp": [(0, 1), (-0.0, 1), (INF, INF), (-INF, 0), (1000, INF), (-1000, 0)],
    "exp2": [(0, 1), (INF, INF), (-INF, 0), (3, 8), (-2, 0.25), (2000, INF), (-2000, 0)],
    "expm1": [(INF, INF), (-INF, -1), (1000, INF), (-1000, -1)],
    "log": [(1, 0), (0, -INF), (-0.0, -INF), (INF, INF), (-1, NAN), (-INF, NAN)],
    "log10": [(1, 0), (0, -INF), (-0.0, -INF), (INF, INF), (-1, NAN), (1000, 3), (100000, 5)],
    "log1p": [(-1, -INF), (INF, INF), (-2, NAN), (-INF, NAN)],
    "log2": [(1, 0), (0, -INF), (-0.0, -INF), (INF, INF), (-1, NAN), (8, 3), (0.25, -2)],
    "sigmoid": [(0, 0.5), (-0.0, 0.5), (INF, 1), (-INF, 0), (200, 1), (-1000, 0)],
    "sin": [(INF, NAN), (-INF, NAN)],
    "sinh": [(INF, INF), (-INF, -INF), (800, INF), (-800, -INF)],
    "softplus": [(INF, INF), (-INF, 0), (300, 300), (-1000, 0)],
    "tan": [(INF, NAN), (-INF, NAN)],
    "tanh": [(INF, 1), (-INF, -1), (50, 1), (-50, -1)],
}

EXTREMES = [0.0, -0.0, 1.0, -1.0, INF, -INF, NAN, 2.0, -2.0, 3.0, -3.0, 0.5, -0.5, 5e-324, -5e-324]
EXTREMES += [1e308, -1e308, 2.0**53, 2.0**53 - 1, -(2.0**53) + 1, 2.0**24 - 1, 2.0**24, -1e-300]
EXTREMES += [1.4e-45, -1.4e-45, 3e38, -3e38, 1e300, 1 + 2.0**-52, 1 - 2.0**-53, -1 - 2.0**-23]


def assert_same(got: Array, want: Array) -> None:
    np.testing.assert_array_equal(got, want)
    finite = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got)[finite], np.signbit(want)[finite])


@pytest.mark.parametrize("bits", [128, 256, 512])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TABLE)
def test_table_of_exact_results(name: str, dtype: str, bits: int) -> None:
    points = [*TABLE[name], (NAN, NAN)]
    if name in ODD_AT_ZERO:
        points += [(0.0, 0.0), (-0.0, -0.0)]
    x, want = (np.array(column).astype(dtype) for column in zip(*points, strict=True))
    assert_same(compiled(name, dtype, bits)(x), want)


def test_the_table_covers_every_function_of_one_argument() -> None:
    assert set(TABLE) == set(MATH)


@pytest.mark.parametrize("bits", [128, 256, 512])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in ODD_AT_ZERO if name not in ("cbrt", "erf")])
def test_tiny_arguments_come_back_where_the_slope_is_one(name: str, dtype: str, bits: int) -> None:
    tiny = np.finfo(dtype).smallest_subnormal * np.array([1.0, -1.0, 3.0, -1001.0]).astype(dtype)
    assert_same(compiled(name, dtype, bits)(tiny), tiny)


@pytest.mark.parametrize("bits", [128, 256, 512])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["atan2", "logaddexp", "pow"])
def test_two_arguments_at_all_extremes(name: str, dtype: str, bits: int) -> None:
    with np.errstate(all="ignore"):
        x, y = (g.ravel() for g in np.meshgrid(*[np.array(EXTREMES).astype(dtype)] * 2))
        numpy_function = {"atan2": np.arctan2, "pow": np.power, "logaddexp": np.logaddexp}[name]
        want = numpy_function(x, y)
    got = compiled(name, dtype, bits)(x, y)
    exactly_one = (np.abs(want) == 1) & ((np.abs(x) == 1) | (y == 0))
    special = np.isnan(want) | np.isinf(want) | (want == 0) | exactly_one
    assert_same(got[special], want[special])
    np.testing.assert_allclose(got, want, rtol=1e-6 if dtype == "float32" else 1e-14)


@pytest.mark.parametrize("bits", [128, 256, 512])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_constant_power_one_half_is_a_rounded_root(
    dtype: str, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MATH, "root", lambda b, x: MATH2["pow"](b, x, b.const(x.type, 0.5)))
    with np.errstate(all="ignore"):
        x = np.array([*EXTREMES, 2.0, 3.0, 5.0] * 5).astype(dtype)
        special = np.isinf(x) | (x == 0)
        # A constant exponent makes NumPy take sqrt there too, unlike C.
        want = np.where(special, np.power(x, np.full_like(x, 0.5)), np.sqrt(x))
    assert_same(build("root", dtype, narrowed(bits))(x), want)


def test_every_name_has_both_formats() -> None:
    assert all(
        compiled(name, dtype).dtype == dtype for name in NAMES for dtype in ("float32", "float64")
    )
