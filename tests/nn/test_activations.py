"""Activations: values against SciPy and mpmath, slopes in closed form, extremes, kinks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from nn_backend import BACKEND, run
from scipy import special

import symgraph as sg

Array = np.ndarray[Any, Any]
POINTS = np.array([-30.0, -8.0, -1.3, -0.2, 0.4, 2.7, 40.0])


def _gelu(x: float) -> mpmath.mpf:
    return x * mpmath.ncdf(x)


def _silu(x: float) -> mpmath.mpf:
    return x / (1 + mpmath.exp(-x))


SMOOTH: list[tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = [
    ("gelu", sg.nn.gelu, _gelu),
    ("silu", sg.nn.silu, _silu),
    ("elu", lambda x: sg.nn.elu(x, alpha=1.5), lambda x: x if x > 0 else 1.5 * mpmath.expm1(x)),
    (
        "leaky_relu",
        lambda x: sg.nn.leaky_relu(x, 0.2),
        lambda x: x if x > 0 else mpmath.mpf(0.2) * x,
    ),
    ("softplus", sg.nn.softplus, lambda x: mpmath.log1p(mpmath.exp(x))),
    ("sigmoid", sg.nn.sigmoid, lambda x: 1 / (1 + mpmath.exp(-x))),
    ("tanh", sg.nn.tanh, mpmath.tanh),
    ("relu", sg.nn.relu, lambda x: max(x, mpmath.mpf(0))),
]


@pytest.mark.parametrize("name", [s[0] for s in SMOOTH])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_values_and_derivatives_on_the_whole_line(name: str, order: int) -> None:
    build, exact = next(s[1:] for s in SMOOTH if s[0] == name)
    x = sg.vector("x")
    y = build(x)
    for _ in range(order):
        y = sg.grad(sg.sum(y), x)
    with mpmath.workdps(60):
        wanted = [float(mpmath.diff(exact, mpmath.mpf(float(p)), order)) for p in POINTS]
    floor = 1e-15 if name == "tanh" and order else 1e-300  # its slope is 1 - y^2, so it cancels
    np.testing.assert_allclose(run([x], y, POINTS), wanted, rtol=1e-11, atol=floor)


@pytest.mark.parametrize(
    ("build", "slope"),
    [
        (sg.nn.relu, 0.0),
        (lambda x: sg.nn.leaky_relu(x, 0.2), 0.2),
        (lambda x: sg.nn.elu(x, alpha=1.5), 1.5),
        (sg.nn.gelu, 0.5),
        (sg.nn.silu, 0.5),
    ],
    ids=["relu", "leaky_relu", "elu", "gelu", "silu"],
)
def test_slope_at_zero(build: Callable[[sg.Tensor], sg.Tensor], slope: float) -> None:
    x = sg.scalar("x")
    assert run([x], sg.grad(build(x), x), 0.0) == slope


@pytest.mark.parametrize(
    "name", ["elu", "softplus", "sigmoid", "tanh", "gelu", "silu", "leaky_relu"]
)
def test_no_overflow_at_the_ends(name: str) -> None:
    x = sg.vector("x", 2)
    y = getattr(sg.nn, name)(x)
    assert np.isfinite(run([x], [y, sg.grad(sg.sum(y), x)], [-1e4, 1e4])).all()


def test_elu_does_not_compute_what_it_does_not_select() -> None:
    x = sg.vector("x", 2)
    f = sg.function([x], sg.nn.elu(x), backend=BACKEND, check_finite=True)
    np.testing.assert_array_equal(f([1e4, 2.0]), [1e4, 2.0])


def test_softmax_and_log_softmax_along_an_axis() -> None:
    x = sg.matrix("x")
    z = np.random.default_rng(0).normal(size=(3, 4))
    found = run([x], [sg.nn.softmax(x, axis=0), sg.nn.log_softmax(x, axis=1)], z)
    np.testing.assert_allclose(found[0], special.softmax(z, axis=0), rtol=1e-13)
    np.testing.assert_allclose(found[1], special.log_softmax(z, axis=1), rtol=1e-13)


@pytest.mark.parametrize("name", ["gelu", "silu", "elu", "leaky_relu"])
def test_dtype_is_kept_and_integers_become_float64(name: str) -> None:
    build = getattr(sg.nn, name)
    assert build(sg.vector("x", dtype="float32")).dtype == np.float32
    assert build(sg.vector("x", dtype="int32")).dtype == np.float64
    assert build(3).dtype == np.float64


def test_names_in_the_main_namespace() -> None:
    for name in ("leaky_relu", "gelu", "silu", "elu", "cross_entropy", "binary_cross_entropy"):
        assert getattr(sg, name) is getattr(sg.nn, name)
