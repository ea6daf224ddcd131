"""How far rules repair a raw derivative (``stabilise=False``): the table of docs/orders.md.

Run ``python tests/differentiation/raw_derivatives.py``.
"""

from __future__ import annotations

import numpy as np
from test_orders import BY_HAND, Row, misses, points

import symgraph as sg

PIPELINES = ("strict", "default", "fast")


def missed(row: Row, passes: str) -> tuple[int, int, int]:
    """At how many points gradient and second derivative are wrong, and how many points there
    are."""
    x = sg.vector("x", shape="n")
    first = sg.grad(sg.sum(row.f(x)), x, stabilise=False)
    second = sg.grad(sg.sum(first), x, stabilise=False, disconnected="zero")
    at = points(row, "float64")
    run = sg.function([x], [first, second], passes=passes, backend="reference")
    with np.errstate(all="ignore"):
        a, b = run(at)
    wrong = len(misses(a, row.first, at, "float64")), len(misses(b, row.second, at, "float64"))
    return (*wrong, len(at))


def table() -> str:
    """Markdown: right points of gradient / second derivative in each pipeline."""
    lines = ["| by hand | points | " + " | ".join(PIPELINES) + " |"]
    lines.append("|---" * (2 + len(PIPELINES)) + "|")
    for row in BY_HAND:
        found = [missed(row, passes) for passes in PIPELINES]
        cells = [f"{n - a} / {n - b}" for a, b, n in found]
        name = row.name.removesuffix(" by hand")
        lines.append(f"| {name} | {found[0][2]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
