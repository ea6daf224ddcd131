"""A masked branch is a strong zero: what was not selected adds nothing, at every order and mode.

Every row is a function with an infinite or NaN local derivative behind a mask, the point where it
bites, and the closed form of its first and second derivative there (per element; the functions are
sums of terms in one element each unless said otherwise).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from op_cases import BACKENDS, PASSES

import symgraph as sg

Array = np.ndarray[Any, Any]
Trap = tuple[str, Callable[[Any], Any], list[float], list[float], list[float]]

NAN, INF = float("nan"), float("inf")

# name, f(x), x, f'(x), f''(x)
TRAPS: tuple[Trap, ...] = (
    ("sqrt", lambda x: sg.where(x > 0, sg.sqrt(x), 0), [0, 4, -1], [0, 0.25, 0], [0, -1 / 32, 0]),
    ("log", lambda x: sg.where(x > 0, sg.log(x), x), [0, 2, -1], [1, 0.5, 1], [0, -0.25, 0]),
    ("divide", lambda x: sg.where(x != 0, 1 / x, 0), [0, 2], [0, -0.25], [0, 0.25]),
    ("power", lambda x: sg.where(x > 0, x**0.5, 0), [0, 4, -1], [0, 0.25, 0], [0, -1 / 32, 0]),
    ("tensor power", lambda x: sg.where(x > 0, sg.pow(x, x), 1), [0, 1, -1], [0, 1, 0], [0, 2, 0]),
    (
        "atan2", lambda x: sg.where(x != 0, sg.atan2(x, x * x), 0), [0, 1],
        [0, -0.5], [0, 0.5],
    ),
    (
        "norm", lambda x: sg.where(x != 0, sg.sqrt(x * x), 0), [0, 2, -3],
        [0, 1, -1], [0, 0, 0],
    ),
    (
        "asin", lambda x: sg.where(abs(x) < 1, sg.asin(x), 0), [1, 0, -1, 2],
        [0, 1, 0, 0], [0, 0, 0, 0],
    ),
    (
        "nested", lambda x: sg.where(x > 0, sg.log(sg.sqrt(x)), 0), [0, 1, -1],
        [0, 0.5, 0], [0, -0.5, 0],
    ),
    (
        "nested masks", lambda x: sg.where(x >= 0, sg.where(x > 0, x * sg.log(x), 0), -x),
        [0, 1, -1], [0, 1, -1], [0, 1, 0],
    ),
    ("behind", lambda x: sg.sqrt(sg.where(x > 0, x, 0)), [0, 4, -1], [0, 0.25, 0], [0, -1 / 32, 0]),
    ("behind log", lambda x: sg.log(sg.where(x > 0, x, 0)), [0, 2, -1], [0, 0.5, 0], [0, -0.25, 0]),
    ("relu", lambda x: sg.sqrt(sg.relu(x)), [0, 4, -1], [0, 0.25, 0], [0, -1 / 32, 0]),
    ("maximum", lambda x: sg.sqrt(sg.maximum(x, 0)), [4, -1], [0.25, 0], [-1 / 32, 0]),
    ("clip", lambda x: sg.sqrt(sg.clip(x, 0, 9)), [4, -1, 16], [0.25, 0, 0], [-1 / 32, 0, 0]),
    ("minimum", lambda x: sg.log(-sg.minimum(x, 0)), [-2, 3], [-0.5, 0], [-0.25, 0]),
    (
        "through sum", lambda x: sg.where(x > 0, sg.sum(sg.sqrt(x)[:, None], axis=1), 0), [0, 4],
        [0, 0.25], [0, -1 / 32],
    ),
    (
        "through reshape", lambda x: sg.where(x > 0, sg.sqrt(x).reshape(1, -1)[0], 0), [0, 4],
        [0, 0.25], [0, -1 / 32],
    ),
    (
        "through transpose", lambda x: sg.where(x > 0, sg.sqrt(x[None, :]).T[:, 0], 0), [0, 4],
        [0, 0.25], [0, -1 / 32],
    ),
    (
        "through slices", lambda x: sg.where((x > 0)[::-1], sg.sqrt(x)[::-1], 0), [0, 4, -1],
        [0, 0.25, 0], [0, -1 / 32, 0],
    ),
    (
        "through take",
        lambda x: sg.where(sg.take(x, [2, 0, 1]) > 0, sg.take(sg.log(x), [2, 0, 1]), 0), [0, 2, -1],
        [0, 0.5, 0], [0, -0.25, 0],
    ),
    (
        "through concat",
        lambda x: sg.where(sg.concat([x, x]) > 0, sg.concat([sg.log(x), sg.sqrt(x)]), 0),
        [0, 4, -1], [0, 0.5, 0], [0, -0.0625 - 1 / 32, 0],
    ),
    (
        "through broadcast",
        lambda x: sg.where(x > 0, sg.broadcast_to(sg.sqrt(x), (2, x.shape[0])), 0), [0, 4],
        [0, 0.5], [0, -1 / 16],
    ),
    (
        "through stretching",
        lambda x: sg.where(sg.constant([[True, False]]), x[:, None] + 1, sg.log(x)[:, None]),
        [1, 4], [2, 1.25], [-1, -1 / 16],
    ),
    (
        "through pad", lambda x: sg.where(sg.pad(x, 1) > 0, sg.pad(sg.sqrt(x), 1), 0), [0, 4],
        [0, 0.25], [0, -1 / 32],
    ),
    (
        "through update",
        lambda x: sg.zeros_like(x).at[1:].set(sg.where(x[1:] > 0, sg.sqrt(x[1:]), 0)), [3, 0, 4],
        [0, 0, 0.25], [0, 0, -1 / 32],
    ),
    (
        "through products", lambda x: sg.where(x > 0, 3 * (sg.sqrt(x) * 2), 0), [0, 4],
        [0, 1.5], [0, -6 / 32],
    ),
    (
        "through exp", lambda x: sg.where(x > 0, sg.exp(-1 / x), 0), [0, 1, -1],
        [0, np.exp(-1), 0], [0, -np.exp(-1), 0],
    ),
    (
        "NaN branch", lambda x: sg.where(x > 0, sg.log(x), sg.sqrt(-x)), [-4, 2],
        [-0.25, 0.5], [-1 / 32, -0.25],
    ),
    (
        "xlogy", lambda x: sg.where(x > 0, sg.xlogy(x, x), 0), [0, 1, -1],
        [0, 1, 0], [0, 1, 0],
    ),
)  # fmt: skip


def check(got: Array, want: list[float], what: str) -> None:
    """Fail where an element is not the closed form."""
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12, err_msg=what)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "f", "at", "first", "second"), TRAPS, ids=[t[0] for t in TRAPS])
class TestTraps:
    """First and second derivatives of every trap; every pair of modes."""

    def test_reverse(
        self, name: str, f: Any, at: Any, first: Any, second: Any, backend: str
    ) -> None:
        x = sg.vector("x")
        run = sg.function([x], sg.grad(sg.sum(f(x)), x), backend=backend, passes=PASSES)
        check(run(at), first, name)

    def test_forward(
        self, name: str, f: Any, at: Any, first: Any, second: Any, backend: str
    ) -> None:
        x, v = sg.vector("x", shape="n"), sg.vector("v", shape="n")
        run = sg.function([x, v], sg.jvp(sg.sum(f(x)), x, v), backend=backend, passes=PASSES)
        check(np.array([run(at, row) for row in np.eye(len(at))]), first, name)

    def test_forward_over_reverse(
        self, name: str, f: Any, at: Any, first: Any, second: Any, backend: str
    ) -> None:
        x, v = sg.vector("x", shape="n"), sg.vector("v", shape="n")
        run = sg.function([x, v], sg.hvp(sg.sum(f(x)), x, v), backend=backend, passes=PASSES)
        check(run(at, np.ones(len(at))), second, name)

    def test_reverse_over_reverse(
        self, name: str, f: Any, at: Any, first: Any, second: Any, backend: str
    ) -> None:
        x = sg.vector("x")
        gradient = sg.grad(sg.sum(f(x)), x)
        run = sg.function(
            [x], sg.grad(sg.sum(gradient), x, disconnected="zero"), backend=backend, passes=PASSES
        )
        check(run(at), second, name)

    def test_forward_over_forward(
        self, name: str, f: Any, at: Any, first: Any, second: Any, backend: str
    ) -> None:
        x, v = sg.vector("x", shape="n"), sg.vector("v", shape="n")
        twice = sg.jvp(sg.jvp(sg.sum(f(x)), x, v), x, v)
        run = sg.function([x, v], twice, backend=backend, passes=PASSES)
        check(np.array([run(at, row) for row in np.eye(len(at))]), second, name)

    def test_reverse_over_forward(
        self, name: str, f: Any, at: Any, first: Any, second: Any, backend: str
    ) -> None:
        x, v = sg.vector("x", shape="n"), sg.vector("v", shape="n")
        slope = sg.jvp(sg.sum(f(x)), x, v)
        run = sg.function(
            [x, v], sg.grad(slope, x, disconnected="zero"), backend=backend, passes=PASSES
        )
        check(run(at, np.ones(len(at))), second, name)
