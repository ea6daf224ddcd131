"""Odd and even functions, and log(cosh(x)) near 0."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

import symgraph as sg
from symgraph import Tensor, simplify

v = sg.vector("v", shape="n")
AT = [0.0, -0.0, 1e-30, 1e-8, -1e-8, 1e-3, 0.5, 1 - 1e-10, 1.0, 1.1, -3.0, 20.0, 800.0, 3e38, -3e38]

# fmt: off
PAIRS: dict[str, tuple[Tensor, Tensor]] = {
    "tanh by powers": ((1 - sg.exp(-2 * v)) / (1 + sg.exp(-2 * v)), sg.tanh(v)),
    "sine":           (-sg.sin(-v),                                 sg.sin(v)),
    "scaled":         (-sg.erf(-3 * v),                             sg.erf(3 * v)),
    "scale is kept":  (sg.erf(-3 * v),                              sg.erf(-3 * v)),
    "nested":         (sg.asinh(sg.cbrt(-v)),                       -sg.asinh(sg.cbrt(v))),
    "cosh":           (sg.cosh(-v),                                 sg.cosh(v)),
    "quotient":       (sg.sinh(-v) / sg.cosh(-v),                   -sg.tanh(v)),
    "another sum":    (0.5 + sg.logaddexp(v, -v),                   0.5 + sg.logaddexp(v, -v)),
}
# fmt: on


@pytest.mark.parametrize("name", PAIRS)
def test_becomes(name: str) -> None:
    written, wanted = PAIRS[name]
    assert simplify(written) is simplify(wanted), sg.pprint(simplify(written))


def _log_cosh(x: float) -> float:
    size = abs(mpmath.mpf(x))
    if size < 2:
        return float(mpmath.log1p(2 * mpmath.sinh(size / 2) ** 2))
    return float(size - mpmath.log(2) + (mpmath.log1p(mpmath.exp(-2 * size)) if size < 999 else 0))


def _square_of_sech(x: float) -> float:
    return 0.0 if abs(x) > 300 else float(1 / mpmath.cosh(x) ** 2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("spelled", ["cosh", "exponentials", "simplified"])
def test_log_cosh_and_its_derivatives(spelled: str, dtype: str) -> None:
    x = sg.vector("x", shape="n", dtype=dtype)
    value = sg.log((sg.exp(x) + sg.exp(-x)) / 2 if spelled == "exponentials" else sg.cosh(x))
    if spelled == "simplified":
        value = simplify(value)
    slope = sg.grad(sg.sum(value), x)
    curve = sg.grad(sg.sum(slope), x)
    at = np.array(AT, dtype)
    got = [sg.function([x], y, backend="reference")(at) for y in (value, slope, curve)]
    with mpmath.workdps(60):
        points = [float(i) for i in at]
        wanted = [
            [_log_cosh(p) for p in points],
            [float(mpmath.tanh(p)) if abs(p) < 999 else math.copysign(1, p) for p in points],
            [_square_of_sech(p) for p in points],
        ]
    info = np.finfo(dtype)
    for one, other in zip(got, wanted, strict=True):
        rtol, atol = 30 * float(info.eps), float(info.tiny)
        np.testing.assert_allclose(one, np.array(other), rtol=rtol, atol=atol)
    assert np.isnan(sg.function([x], value, backend="reference")(np.array([np.nan], dtype))).all()
