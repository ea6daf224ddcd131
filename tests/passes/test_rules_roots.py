"""Roots less what is under them and other cancelling differences, against mpmath."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

import symgraph as sg
from symgraph import Tensor, simplify

Array = np.ndarray[Any, Any]
Formula = Callable[[Any, Any], Any]
TOLERANCE = {"float64": 3e-15, "float32": 2e-6}
BITS = 5000  # enough for the cancellation of numbers 1e300 apart, differentiated twice

WIDE = (0.0, 0.3, -0.3, 1.0, -1.0, 2.5, -7.0, 1e-9, -1e-9, 1e5, -1e5, 1e12, -1e12)
FAR = (*WIDE, 1e30, -1e30)
POSITIVE = (1e-30, 1e-9, 0.3, 1.0, 2.5, 1e5, 1e12, 1e30)
NEAR = (0.3, -0.3, 1e-9, -1e-9, 1e-5, 1.0, -1.0, 2.5, -7.0, 50.0, -80.0)
FARTHER = {"float64": (1e160, -1e200, 1e300), "float32": (1e36,)}

# fmt: off
#: what is written, with the functions of a module and a number, where
WRITTEN: dict[str, tuple[Formula, tuple[float, ...]]] = {
    "sqrt(x^2 + 1) - x":     (lambda m, x: m.sqrt(x * x + 1) - x, FAR),
    "-x + sqrt(x^2 + 4)":    (lambda m, x: -x + m.sqrt(4 + x * x), FAR),
    "x - sqrt(x^2 + 1)":     (lambda m, x: x - m.sqrt(x * x + 1), FAR),
    "sqrt(x^2 - 1) - x":     (lambda m, x: m.sqrt(x * x - 1) - x, (1.5, 40.0, -3.0, 1e9, 1e30)),
    "x - sqrt(x^2 - 4)":     (lambda m, x: x - m.sqrt(x * x - 4), (2.5, 40.0, -3.0, 1e9, 1e30)),
    "sqrt(x^2 + 1) - 1":     (lambda m, x: m.sqrt(x * x + 1) - 1, FAR),
    "-1 + sqrt(1 + x^2)":    (lambda m, x: -1 + m.sqrt(1 + x * x), FAR),
    "3 - sqrt(9 + x^2)":     (lambda m, x: 3 - m.sqrt(9 + x * x), FAR),
    "cosh(x) - 1":           (lambda m, x: m.cosh(x) - 1, NEAR),
    "1 - cosh(x)":           (lambda m, x: 1 - m.cosh(x), NEAR),
    "e^x + e^-x - 2":        (lambda m, x: m.exp(x) + m.exp(-x) - 2, NEAR),
    "e^x - 2 + e^-x":        (lambda m, x: m.exp(x) - 2 + m.exp(-x), NEAR),
    "e^-x - 2 + e^x":        (lambda m, x: m.exp(-x) - 2 + m.exp(x), NEAR),
    "(e^x + e^-x) / 2 - 1":  (lambda m, x: (m.exp(x) + m.exp(-x)) / 2 - 1, NEAR),
    "log(x + 1) - log(x)":   (lambda m, x: m.log(x + 1) - m.log(x), POSITIVE),
    "log(x) - log(1 + x)":   (lambda m, x: m.log(x) - m.log(1 + x), POSITIVE),
    "1 - 1 / (1 + x)":       (lambda m, x: 1 - 1 / (1 + x), (*FAR[:4], -0.9, *FAR[5:])),
    "1 / (x + 1) - 1":       (lambda m, x: 1 / (x + 1) - 1, (*FAR[:4], -0.9, *FAR[5:])),
}
# fmt: on
ROOTED = [name for name in WRITTEN if "sqrt(x^2 +" in name or "sqrt(1" in name]


def derivatives(expression: Tensor, x: Tensor) -> list[Tensor]:
    first = sg.grad(sg.sum(expression), x)
    return [expression, first, sg.grad(sg.sum(first), x)]


def check(name: str, dtype: str, points: tuple[float, ...], orders: int) -> None:
    """Relative to mpmath; what underflows or overflows in the dtype is not asked."""
    formula = WRITTEN[name][0]
    x = sg.vector("x", shape="n", dtype=dtype)
    at = np.array(points, dtype)
    found = sg.function([x], derivatives(formula(sg, x), x)[:orders], backend="reference")(at)
    smallest = float(np.finfo(dtype).tiny) / float(np.finfo(dtype).eps)
    with mpmath.workprec(BITS):
        for order, values in enumerate(found):
            for point, value in zip(at, values, strict=True):
                want = mpmath.diff(lambda v: formula(mpmath, v), mpmath.mpf(float(point)), order)
                if not abs(want) < float(np.finfo(dtype).max):
                    continue
                scale = max(abs(want), smallest)
                error = abs(mpmath.mpf(float(value)) - want) / scale
                assert error <= TOLERANCE[dtype] * 10**order, (order, point, value, float(want))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", WRITTEN)
def test_value_and_both_derivatives_are_right(name: str, dtype: str) -> None:
    """The second where that of a length does not cancel itself."""
    check(name, dtype, WRITTEN[name][1], 2)
    check(name, dtype, tuple(p for p in WRITTEN[name][1] if abs(p) < 10), 3)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", ROOTED)
def test_value_and_slope_are_right_where_squares_overflow(name: str, dtype: str) -> None:
    check(name, dtype, FARTHER[dtype], 2)


@pytest.mark.parametrize("passes", ["strict", "default", "fast"])
@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_not_a_number_stays_so_and_finite_values_stay_finite(
    name: str, passes: str
) -> None:
    x = sg.vector("x", shape="n")
    ends = np.array([0.0, -0.0, 5e-324, -5e-324, 1e-310, 1e300, -1e300, 1.7e308, -1.7e308, np.inf])
    at = np.array([*ends, -np.inf, np.nan, -1.0, -2.0, 709.0, -709.0])
    written = WRITTEN[name][0](sg, x)
    want = sg.function([x], written, passes=(), backend="reference")(at)
    got = sg.function([x], written, passes=passes, backend="reference")(at)
    assert not (np.isfinite(want) & ~np.isfinite(got)).any()
    assert np.isnan(got[np.isnan(at)]).all()
    infinite = np.isinf(want) & np.isinf(at)
    np.testing.assert_array_equal(got[infinite], want[infinite])


# ---- two variables -------------------------------------------------------------------------------

# fmt: off
PAIRS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "hypot less leg":   lambda m, b, c: m.sqrt(b * b + c * c) - b,
    "leg less hypot":   lambda m, b, c: b - m.sqrt(c * c + b * b),
    "smaller root":     lambda m, b, c: (-b + m.sqrt(b * b - 4 * c)) / 2,
    "other root":       lambda m, b, c: (-b - m.sqrt(b * b - 4 * c)) / 2,
    "larger root":      lambda m, b, c: (b + m.sqrt(b * b - 4 * c)) / 2,
    "root less x":      lambda m, b, c: m.sqrt(c + b * b) - b,
    "x less root":      lambda m, b, c: b - m.sqrt(b * b + c),
    "x less root of difference": lambda m, b, c: b - m.sqrt(b * b - c),
}
# fmt: on
POINTS = np.array(
    [
        (3.0, 1.0),
        (-3.0, 1.0),
        (1e8, 1.0),
        (-1e8, 1.0),
        (1e200, 1.0),
        (-1e200, 1.0),
        (1e12, -7.0),
        (-1e12, 1e-3),
        (1e170, 1e150),
        (1e-5, 1e-12),
        (0.5, -30.0),
        (-0.5, -30.0),
        (1.5e308, 1e308),
    ]
)  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_and_their_slopes(name: str) -> None:
    formula = PAIRS[name]
    b, c = sg.vector("b", shape="n"), sg.vector("c", shape="n")
    points = POINTS if "hypot" in name else POINTS[:-1]
    written = formula(sg, b, c)
    outputs = [written, *sg.grad(sg.sum(written), [b, c])]
    values = sg.function([b, c], outputs, backend="reference")(*points.T)
    orders = ((0, 0), (1, 0), (0, 1))
    with mpmath.workprec(BITS):
        for k, point in enumerate(points):
            near = [mpmath.mpf(float(p)) for p in point]
            for order, found in zip(orders, values, strict=True):
                want = mpmath.diff(lambda *v: formula(mpmath, *v), near, order)
                if not isinstance(want, mpmath.mpf):
                    assert np.isnan(found[k])
                    continue
                error = abs(mpmath.mpf(float(found[k])) - want) / max(abs(want), 1e-290)
                assert error <= 1e-14, (order, point, found[k], float(want))


def test_double_root_is_as_exact_as_written() -> None:
    """Where x^2 + c is exact the root of it is; dividing c by x^2 first would lose half of it."""
    b, c = sg.vector("b", shape="n"), sg.vector("c", shape="n")
    f = sg.function([b, c], sg.sqrt(b * b + c) - b, backend="reference")
    at = np.array([9e7 + 1, 3.0, 2.0, 5.0])
    squares = np.array([1.0, 1.0, 0.0, 4.0])
    found = f(at, squares - at * at)
    np.testing.assert_allclose(found, np.sqrt(squares) - at, rtol=4e-16)


@pytest.mark.parametrize("name", PAIRS)
def test_special_pairs(name: str) -> None:
    ends = np.array([0.0, -0.0, 1.0, -1.0, 5e-324, 1e-170, 1e170, 1e308, -1e308, np.inf, -np.inf])
    one, two = (g.ravel() for g in np.meshgrid([*ends, np.nan], [*ends, np.nan]))
    b, c = sg.vector("b", shape="n"), sg.vector("c", shape="n")
    written = PAIRS[name](sg, b, c)
    want = sg.function([b, c], written, passes=(), backend="reference")(one, two)
    got = sg.function([b, c], written, backend="reference")(one, two)
    assert not (np.isfinite(want) & ~np.isfinite(got)).any()
    given = np.isinf(one) | np.isinf(two)
    np.testing.assert_array_equal(got[given & np.isinf(want)], want[given & np.isinf(want)])
    bad = np.isnan(want) & (np.isnan(one) | np.isnan(two))
    assert np.isnan(got[bad]).all()


def test_shapes_are_stretched() -> None:
    b, c = sg.matrix("b", shape=("n", 3)), sg.vector("c", shape=3)
    f = sg.function([b, c], sg.sqrt(b * b + c) - b)
    np.testing.assert_allclose(
        f(np.full((2, 3), 1e8), np.array([1.0, 2, 4]))[1], [5e-9, 1e-8, 2e-8]
    )
    assert f(np.zeros((0, 3)), np.zeros(3)).shape == (0, 3)


# ---- what must not fire --------------------------------------------------------------------------

x = sg.vector("x", shape="n")


def operations(expression: Tensor) -> list[str]:
    return sorted(n.op.name for n in sg.Graph([simplify(expression)]).nodes if n.inputs)


def test_what_cannot_cancel_stays() -> None:
    assert operations(sg.sqrt(x * x + 1) + 1) == ["add", "hypot"]
    assert operations(sg.sqrt(x * x + 1) - 2) == ["hypot", "subtract"]
    assert operations(sg.sqrt(x * x + 1) + 2) == ["add", "hypot"]
    assert "where" not in operations(sg.hypot(1.0, -sg.exp(x)) + sg.exp(x))
    assert "where" not in operations(sg.cosh(x) - 2.0)
    assert "where" not in operations(sg.log1p(x) - sg.log(2 * x))
    assert "where" not in operations(2 - 1 / (1 + x))


def test_inverse_hyperbolic_functions_are_still_recognised() -> None:
    assert operations(sg.log(x + sg.sqrt(x * x + 1))) == ["asinh"]


def test_known_ranges_need_no_case() -> None:
    moderate = sg.clip(x, 0.0, 0.5)
    assert operations(1 - 1 / (1 + moderate)) == ["add", "clip", "divide"]
    above = sg.maximum(x, 1.0)
    assert operations(sg.log1p(above) - sg.log(above)) == ["divide", "log1p", "maximum"]


@pytest.mark.parametrize("exponent, ulps", [(2, 2), (4, 4)])
def test_factored_differences_are_a_few_ulps_off_everywhere(exponent: int, ulps: float) -> None:
    """They are for values near 1, and cost an ulp or two elsewhere."""
    rng = np.random.default_rng(0)
    at = np.concatenate([
        rng.uniform(-1, 1, 300), 1 + 1e-6 * rng.normal(size=300), 10.0 ** rng.uniform(-20, 30, 300)
    ])  # fmt: skip
    found = sg.function([x], 1 - x**exponent, backend="reference")(at)
    exact = [1 - Fraction(float(v)) ** exponent for v in at]
    for got, want in zip(found, exact, strict=True):
        assert abs(Fraction(float(got)) - want) <= ulps * np.spacing(abs(float(want)))


def test_forms_are_settled() -> None:
    b, c = sg.vector("b", shape="n"), sg.vector("c", shape="n")
    written = [formula(sg, x) for formula, _ in WRITTEN.values()]
    written += [formula(sg, b, c) for formula in PAIRS.values()]
    for passes in ("default", "fast"):
        once = simplify(written, passes)
        assert all(a is b for a, b in zip(simplify(once, passes), once, strict=True))


@pytest.mark.parametrize("name", ["smaller root", "hypot less leg"])
def test_compiled_pairs(name: str) -> None:
    b, c = sg.vector("b", shape="n"), sg.vector("c", shape="n")
    written = PAIRS[name](sg, b, c)
    outputs = [written, *sg.grad(sg.sum(written), [b, c])]
    one, two = POINTS[:9].T
    values, again = (
        sg.function([b, c], outputs, backend=backend)(one, two) for backend in ("llvm", "reference")
    )
    np.testing.assert_allclose(values, again, rtol=1e-14)
