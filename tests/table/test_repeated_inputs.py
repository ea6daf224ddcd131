"""One variable in several positions: each has its own cotangent, and they add (row G33)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from op_cases import BACKENDS, PASSES

import symgraph as sg
from symgraph.passes.build_grad import Cotangent, bprop

Array = np.ndarray[Any, Any]
AT = np.array([[0.5, 2.0], [1.5, 3.0]])
G = np.array([[1.0, -2.0], [0.25, 4.0]])
MASK = np.array([[True, False], [False, True]])

# name, f(x), its gradient along the cotangent G at AT
ROWS: tuple[tuple[str, Callable[[Any], Any], Array], ...] = (
    ("multiply", lambda x: x * x, 2 * AT * G),
    ("add", lambda x: x + x, 2 * G),
    ("subtract", lambda x: x - x, 0 * G),
    ("matmul", lambda x: x @ x, G @ AT.T + AT.T @ G),
    ("maximum", lambda x: sg.maximum(x, x), G),
    ("minimum", lambda x: sg.minimum(x, x), G),
    ("divide", lambda x: x / x, 0 * G),
    ("pow", lambda x: sg.pow(x, x), AT**AT * (1 + np.log(AT)) * G),
    ("where", lambda x: sg.where(sg.constant(MASK), x, x), G),
    ("clip", lambda x: sg.clip(x, x, x), G),
    ("logaddexp", lambda x: sg.logaddexp(x, x), G),
    ("atan2", lambda x: sg.atan2(x, x), 0 * G),
    ("xlogy", lambda x: sg.xlogy(x, x), (np.log(AT) + 1) * G),
    ("remainder", lambda x: sg.remainder(x, 2 * x), G),
    ("concat", lambda x: sg.sum(sg.concat([x, 3 * x]).reshape(2, 2, 2), axis=0), 4 * G),
    ("concat same", lambda x: sg.sum(sg.concat([x, x]).reshape(2, 2, 2), axis=0), 2 * G),
    ("stack", lambda x: sg.prod(sg.stack([x, x, x]), axis=0), 3 * AT**2 * G),
    ("at", lambda x: x.at[0].add(x[0]), np.array([[2.0], [1.0]]) * G),
    ("at set", lambda x: x.at[0].set(x[0]), G),
    ("einsum", lambda x: sg.einsum("ij,ij->ij", x, x), 2 * AT * G),
    ("place", lambda x: sg.pad(x, 0, constant_values=x[0, 0]), G),
)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "f", "want"), ROWS, ids=[r[0] for r in ROWS])
def test_reverse(name: str, f: Any, want: Array, backend: str) -> None:
    x = sg.tensor("x", shape=(2, 2))
    run = sg.function([x], sg.vjp(f(x), x, G), backend=backend, passes=PASSES)
    np.testing.assert_allclose(run(AT), want, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "f", "want"), ROWS, ids=[r[0] for r in ROWS])
def test_forward(name: str, f: Any, want: Array, backend: str) -> None:
    """<J v, G> over unit directions is the same gradient."""
    x, v = sg.tensor("x", shape=(2, 2)), sg.tensor("v", shape=(2, 2))
    run = sg.function([x, v], sg.sum(sg.jvp(f(x), x, v) * G), backend=backend, passes=PASSES)
    units = np.eye(4).reshape(4, 2, 2)
    got = np.array([run(AT, u) for u in units]).reshape(2, 2)
    np.testing.assert_allclose(got, want, atol=1e-13, err_msg=name)


def test_each_position_has_its_own_cotangent() -> None:
    """bprop of x * x gives x g twice; only the driver adds."""
    x, g = sg.scalar("x"), sg.scalar("g")
    first, second = bprop(sg.multiply(x, x), Cotangent(g))
    f = sg.function([x, g], [first.value, second.value], backend="reference", passes=())
    assert [float(v) for v in f(3.0, 2.0)] == [6.0, 6.0]
