"""Derivatives at the points where formulas break, against closed forms: first and second order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from op_cases import BACKENDS, PASSES

import symgraph as sg

INF, NAN = float("inf"), float("nan")
Row = tuple[
    str, Callable[[Any, Any], Any], tuple[float, float], tuple[float, ...], tuple[float, ...]
]

# name, f(a, b), (a, b), (f_a, f_b), (f_aa, f_ab, f_bb); NaN: no claim is made
ROWS: tuple[Row, ...] = (
    ("0^2", sg.pow, (0, 2), (0, 0), (2, NAN, NAN)),
    ("0^1", sg.pow, (0, 1), (1, 0), (0, NAN, NAN)),
    ("0^3", sg.pow, (0, 3), (0, 0), (0, NAN, NAN)),
    ("0^0", sg.pow, (0, 0), (0, -INF), (0, NAN, NAN)),
    ("0^half", sg.pow, (0, 0.5), (INF, 0), (NAN, NAN, NAN)),
    ("2^0", sg.pow, (2, 0), (0, np.log(2)), (0, 0.5, np.log(2) ** 2)),
    ("2^1", sg.pow, (2, 1), (1, 2 * np.log(2)), (0, 1 + np.log(2), 2 * np.log(2) ** 2)),
    ("(-2)^3", sg.pow, (-2, 3), (12, NAN), (-12, NAN, NAN)),
    ("(-2)^-2", sg.pow, (-2, -2), (0.25, NAN), (0.375, NAN, NAN)),
    ("1^5", sg.pow, (1, 5), (5, 0), (20, 1, 0)),
    ("xlogy at x=0", sg.xlogy, (0, 2), (np.log(2), 0), (0, 0.5, 0)),
    ("xlogy at 0, 0", sg.xlogy, (0, 0), (-INF, 0), (0, NAN, NAN)),
    ("xlogy at y=1", sg.xlogy, (3, 1), (0, 3), (0, 1, -3)),
    ("logaddexp tie", sg.logaddexp, (1.5, 1.5), (0.5, 0.5), (0.25, -0.25, 0.25)),
    ("logaddexp far", sg.logaddexp, (1000, -1000), (1, 0), (0, 0, 0)),
    ("logaddexp one -inf", sg.logaddexp, (-INF, 2), (0, 1), (0, 0, 0)),
    ("logaddexp both -inf", sg.logaddexp, (-INF, -INF), (0.5, 0.5), (NAN, NAN, NAN)),
    ("logaddexp one inf", sg.logaddexp, (INF, 2), (1, 0), (0, 0, 0)),
    ("atan2 on the axis", sg.atan2, (0, 2), (0.5, 0), (0, -0.25, 0)),
    ("atan2 below", sg.atan2, (-2, 0), (0, 0.5), (0, 0.25, 0)),
    ("atan2 large", sg.atan2, (3e200, 4e200), (1.6e-201, -1.2e-201), (NAN, NAN, NAN)),
    ("atan2 small", sg.atan2, (3e-200, 4e-200), (1.6e199, -1.2e199), (NAN, NAN, NAN)),
    ("multiply at 0", sg.multiply, (0, INF), (INF, 0), (0, 1, 0)),
    ("divide 0", sg.divide, (0, 2), (0.5, 0), (0, -0.25, 0)),
    ("clip crossed", lambda a, b: sg.clip(-1.0, a, b), (1, 0), (0, 1), (0, 0, 0)),
    ("clip crossed above", lambda a, b: sg.clip(3.0, a, b), (1, 0), (0, 1), (0, 0, 0)),
    ("clip below", lambda a, b: sg.clip(-1.0, a, b), (0, 1), (1, 0), (0, 0, 0)),
    ("remainder", sg.remainder, (7.5, 2), (1, -3), (0, 0, 0)),
    ("remainder negative", sg.remainder, (-7.5, 2), (1, 4), (0, 0, 0)),
    ("maximum tie squared", lambda a, b: sg.maximum(a, b) ** 2, (3, 3), (3, 3), (NAN, NAN, NAN)),
    ("sigmoid far", lambda a, b: sg.sigmoid(a) + sg.sigmoid(b), (800, -800), (0, 0), (0, 0, 0)),
    ("softplus far", lambda a, b: sg.softplus(a) + sg.softplus(b), (800, -800), (1, 0), (0, 0, 0)),
    ("tanh far", lambda a, b: sg.tanh(a) + sg.tanh(b), (400, -400), (0, 0), (0, 0, 0)),
    ("sqrt at 0", lambda a, b: sg.sqrt(a) + b, (0, 1), (INF, 1), (-INF, 0, 0)),
    ("log at 0", lambda a, b: sg.log(a) + b, (0, 1), (INF, 1), (-INF, 0, 0)),
    ("exp overflow", lambda a, b: sg.exp(a) + b, (800, 1), (INF, 1), (INF, 0, 0)),
    ("abs at 0", lambda a, b: sg.abs(a) * b, (0, 2), (0, 0), (0, 0, 0)),
    ("floor divides", lambda a, b: sg.floor_divide(a, b) * a, (7.5, 2), (3, 0), (0, 0, 0)),
)  # fmt: skip


def check(got: list[Any], want: tuple[float, ...], what: str) -> None:
    """Fail where a closed form is stated and not met."""
    stated = [k for k, w in enumerate(want) if not np.isnan(w)]
    found, wanted = [float(got[k]) for k in stated], [want[k] for k in stated]
    np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-300, err_msg=what)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "f", "at", "first", "second"), ROWS, ids=[r[0] for r in ROWS])
class TestPoints:
    """Every row in reverse and in forward mode."""

    def test_first(self, name: str, f: Any, at: Any, first: Any, second: Any, backend: str) -> None:
        a, b = sg.scalar("a"), sg.scalar("b")
        g = sg.grad(f(a, b), [a, b], disconnected="zero")
        check(sg.function([a, b], g, backend=backend, passes=PASSES)(*at), first, name)

    def test_forward(
        self, name: str, f: Any, at: Any, first: Any, second: Any, backend: str
    ) -> None:
        a, b = sg.scalar("a"), sg.scalar("b")
        y = f(a, b)
        slopes = [sg.jvp(y, a, 1.0), sg.jvp(y, b, 1.0)]
        check(sg.function([a, b], slopes, backend=backend, passes=PASSES)(*at), first, name)

    def test_second(
        self, name: str, f: Any, at: Any, first: Any, second: Any, backend: str
    ) -> None:
        a, b = sg.scalar("a"), sg.scalar("b")
        ga, gb = sg.grad(f(a, b), [a, b], disconnected="zero")
        rows = [sg.grad(g, [a, b], disconnected="zero") for g in (ga, gb)]
        run = sg.function([a, b], [*rows[0], *rows[1]], backend=backend, passes=PASSES)
        aa, ab, ba, bb = run(*at)
        check([aa, ab, bb], second, name)
        check([aa, ba, bb], second, name)


# ---- products with zeros among the factors -------------------------------------------------------

FACTORS: tuple[list[float], ...] = (
    [2.0, 0.0, -3.0, 4.0],
    [0.0, 0.0, 5.0, 1.0],
    [1.0, 2.0, 3.0, 0.0],
    [0.0, 0.0, 0.0, 2.0],
    [-1.0, 2.0, 0.5, 4.0],
)


def _product_gradient(x: np.ndarray[Any, Any]) -> list[float]:
    return [float(np.prod(np.delete(x, k))) for k in range(len(x))]


def _product_hessian(x: np.ndarray[Any, Any]) -> list[list[float]]:
    n = len(x)
    return [
        [0.0 if i == j else float(np.prod(np.delete(x, [i, j]))) for j in range(n)]
        for i in range(n)
    ]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("factors", FACTORS, ids=str)
@pytest.mark.parametrize("how", ["prod", "cumulative"])
def test_products_with_zeros(factors: list[float], how: str, backend: str) -> None:
    """Gradient and Hessian are products of the other factors, zeros among them or not."""
    x = sg.vector("x", shape=("n",))
    y = sg.prod(x) if how == "prod" else sg.cumulative_prod(x)[-1]
    g = sg.grad(y, x)
    v = sg.vector("v", shape=("n",))
    run = sg.function([x, v], [g, sg.hvp(y, x, v), sg.vjp(g, x, v)], backend=backend, passes=PASSES)
    found = [run(factors, row) for row in np.eye(len(factors))]
    assert found[0][0].tolist() == _product_gradient(np.array(factors))
    assert [f[1].tolist() for f in found] == _product_hessian(np.array(factors))
    assert [f[2].tolist() for f in found] == _product_hessian(np.array(factors))


# ---- tails, to a relative error ------------------------------------------------------------------

TAILS: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("named", sg.log1mexp),
    ("by hand", lambda x: sg.log(1 - sg.exp(x))),
    ("difference", lambda x: sg.log(sg.exp(sg.zeros_like(x)) - sg.exp(x))),
)


@pytest.mark.parametrize("passes", ["strict", "default", "fast"])
@pytest.mark.parametrize(("name", "f"), TAILS, ids=[name for name, _ in TAILS])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_log1mexp_keeps_its_tail(name: str, f: Any, passes: str, dtype: str) -> None:
    """Both derivatives are -exp(x) far below 0, down to the smallest number."""
    x = sg.vector("x", shape="n", dtype=dtype)
    first = sg.grad(sg.sum(f(x)), x)
    second = sg.grad(sg.sum(first), x)
    at = np.array([-1, -15, -21, -39, -41, -80, -103, -400, -700, -710, -740, -800], dtype)
    far = at.astype("float64")
    wanted = np.exp(far) / np.expm1(far), -np.exp(far) / np.expm1(far) ** 2
    relative, least = float(np.finfo(dtype).eps) * 16, 2 * float(np.finfo(dtype).smallest_subnormal)
    for output, want in zip((first, second), wanted, strict=True):
        with np.errstate(all="ignore"):
            got = sg.function([x], output, passes=passes, backend="reference")(at)
        np.testing.assert_allclose(got, want, rtol=relative, atol=least)
