"""What derivatives cost an operation: the table of docs/orders.md.

Run ``python tests/differentiation/derivative_costs.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import symgraph as sg

Step = Callable[[Any], Any]

STEPS = 48
#: Beyond these a row is listed: the whole graph over the forward one.
GRADIENT, HVP = 3.0, 9.0

NAMES = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "square", "sin", "cos",
    "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc",
    "erfcx", "log_erfc", "sigmoid", "softplus", "log1mexp", "logit", "silu", "gelu", "log_ndtr",
)  # fmt: skip
CHAINS: dict[str, Step] = {
    **{name: getattr(sg, name) for name in NAMES},
    "1 / (1 + x)": lambda x: 1 / (1 + x),
    "x**2.5": lambda x: x**2.5,
    "x**3": lambda x: x**3,
    "hypot(x, 1)": lambda x: sg.hypot(x, 1.0),
    "logaddexp(x, 1)": lambda x: sg.logaddexp(x, 1.0),
    "atan2(x, 1)": lambda x: sg.atan2(x, 1.0),
    "clip(2 x, -1, 1)": lambda x: sg.clip(2 * x, -1.0, 1.0),
    "maximum(2 x, -1)": lambda x: sg.maximum(2 * x, -1.0),
}


def operations(outputs: Any) -> int:
    """The operations of a simplified graph."""
    return sum(1 for node in sg.Graph(sg.simplify(outputs)).nodes if node.inputs)


def costs(step: Step, steps: int = STEPS) -> tuple[float, float]:
    """Operations with the gradient, and with the Hessian-vector product too, over the forward
    ones of a scalar chain."""
    x, v = sg.scalar("x"), sg.scalar("v")
    y = x
    for _ in range(steps):
        y = step(y)
    gradient = sg.grad(y, x)
    forward = operations([y])
    both = operations([y, gradient]), operations([y, gradient, sg.hvp(y, x, v)])
    return both[0] / forward, both[1] / forward


def table() -> str:
    """Markdown: the functions beyond the bounds."""
    found = [(name, *costs(step)) for name, step in CHAINS.items()]
    rows = [f"| {n} | {g:.1f} | {h:.1f} |" for n, g, h in found if g > GRADIENT or h > HVP]
    return "\n".join(["| step | gradient | with Hessian-vector product |", "|---|---|---|", *rows])


if __name__ == "__main__":
    print(table())
