"""What derivatives are where none exists: the one table, and that the document shows the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from op_cases import BACKENDS, PASSES

import symgraph as sg

DOCUMENT = Path(__file__).parents[2] / "docs" / "kinks.md"

# expression in x as documented, f(x), x, gradient of the sum: f'(x)
KINKS: tuple[tuple[str, Callable[[Any], Any], list[float], list[float]], ...] = (
    ("abs(x)", sg.abs, [0.0, -0.0], [0.0, 0.0]),
    ("sign(x)", sg.sign, [0.0, 2.0], [0.0, 0.0]),
    ("relu(x)", sg.relu, [0.0, -0.0], [0.0, 0.0]),
    ("maximum(x, 1)", lambda x: sg.maximum(x, 1.0), [1.0, 2.0, 0.0], [0.5, 1.0, 0.0]),
    ("minimum(x, 1)", lambda x: sg.minimum(x, 1.0), [1.0, 2.0, 0.0], [0.5, 0.0, 1.0]),
    ("max(x)", sg.max, [3.0, 1.0, 3.0, 3.0], [1 / 3, 0.0, 1 / 3, 1 / 3]),
    ("min(x)", sg.min, [3.0, 1.0, 1.0, 3.0], [0.0, 0.5, 0.5, 0.0]),
    (
        "max_and_argmax(x)[0]", lambda x: sg.max_and_argmax(x, axis=0)[0],
        [1.0, 3.0, 3.0], [0.0, 1.0, 0.0],
    ),
    ("clip(x, 0, 1)", lambda x: sg.clip(x, 0.0, 1.0), [0.0, 1.0, -1.0, 2.0], [1.0, 1.0, 0.0, 0.0]),
    ("clip(x, 0)", lambda x: sg.clip(x, 0.0), [0.0, -1.0], [1.0, 0.0]),
    ("floor(x)", sg.floor, [1.0, 1.5], [0.0, 0.0]),
    ("ceil(x)", sg.ceil, [1.0, 1.5], [0.0, 0.0]),
    ("round(x)", sg.round, [0.5, 1.0], [0.0, 0.0]),
    ("trunc(x)", sg.trunc, [1.0, 1.5], [0.0, 0.0]),
    ("floor_divide(x, 2)", lambda x: sg.floor_divide(x, 2.0), [2.0, 3.0], [0.0, 0.0]),
    ("remainder(x, 2)", lambda x: sg.remainder(x, 2.0), [2.0, 3.0], [1.0, 1.0]),
    ("norm(x)", sg.norm, [0.0, 0.0], [0.0, 0.0]),
    ("hypot(x, 0)", lambda x: sg.hypot(x, 0.0), [0.0, -2.0], [0.0, -1.0]),
    ("std(x)", sg.std, [2.0, 2.0, 2.0], [0.0, 0.0, 0.0]),
    ("pow(x, 0)", lambda x: sg.pow(x, sg.zeros_like(x)), [0.0, -2.0], [0.0, 0.0]),
    ("pow(x, 1)", lambda x: sg.pow(x, sg.ones_like(x)), [0.0, -2.0], [1.0, 1.0]),
    ("xlogy(x, 1)", lambda x: sg.xlogy(x, 1.0), [0.0], [0.0]),
)  # fmt: skip

# expression with no derivative, and a word of the reason
UNDEFINED: tuple[tuple[str, Callable[[Any], Any], str], ...] = (
    ("argmax(x)", lambda x: sg.argmax(x), "position"),
    ("argmin(x)", lambda x: sg.argmin(x), "position"),
    ("max_and_argmax(x)[1]", lambda x: sg.max_and_argmax(x, axis=0)[1], "int64"),
    ("x > 0", lambda x: x > 0, "comparison"),
    ("x == 0", lambda x: x == 0, "comparison"),
    ("isnan(x)", lambda x: sg.isnan(x), "discrete"),
    ("astype(x, 'int64')", lambda x: sg.astype(x, "int64"), "int64"),
    ("astype(x, 'bool')", lambda x: sg.astype(x, "bool"), "comparison"),
)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "f", "at", "want"), KINKS, ids=[k[0] for k in KINKS])
def test_convention(name: str, f: Any, at: list[float], want: list[float], backend: str) -> None:
    """Reverse and forward mode give the documented value."""
    x, v = sg.vector("x", shape=(len(at),)), sg.vector("v", shape=(len(at),))
    y = sg.sum(f(x))
    g = sg.grad(y, x, disconnected="zero")
    run = sg.function([x, v], [g, sg.jvp(y, x, v)], backend=backend, passes=PASSES)
    directions = np.eye(len(at))
    assert run(at, directions[0])[0].tolist() == want
    assert [float(run(at, d)[1]) for d in directions] == want


@pytest.mark.parametrize(("name", "f", "reason"), UNDEFINED, ids=[u[0] for u in UNDEFINED])
def test_undefined_with_a_reason(name: str, f: Any, reason: str) -> None:
    """Both modes refuse, and say why."""
    x = sg.vector("x", shape=(3,))
    y = sg.sum(sg.astype(f(x), "float64"))
    with pytest.raises(sg.errors.GradientError, match=reason):
        sg.grad(y, x)
    with pytest.raises(sg.errors.GradientError, match=reason):
        sg.jvp(y, x, np.ones(3))


def test_document_has_the_same_table() -> None:
    """docs/kinks.md shows exactly these rows."""
    assert DOCUMENT.read_text().rstrip().endswith(document_rows())


def document_rows() -> str:
    """The two tables as they stand at the end of the document."""
    lines = ["| function | at x | derivative |", "|---|---|---|"]
    for name, _, at, want in KINKS:
        lines.append(f"| `{name}` | {_listed(at)} | {_listed(want)} |")
    lines += ["", "| function | why its derivative is undefined |", "|---|---|"]
    x = sg.vector("x", shape=(3,))
    for name, f, _ in UNDEFINED:
        lines.append(f"| `{name}` | {_reason(sg.astype(f(x), 'float64'), x)} |")
    return "\n".join(lines)


def _listed(values: list[float]) -> str:
    return ", ".join(f"{v:.4g}" for v in values)


def _reason(y: Any, x: Any) -> str:
    with pytest.raises(sg.errors.GradientError) as caught:
        sg.grad(sg.sum(y), x)
    return str(caught.value).rsplit("is undefined: ", 1)[1]
