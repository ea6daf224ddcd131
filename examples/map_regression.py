"""Linear regression with a Gaussian prior: maximum a posteriori is ridge regression.

Noise N(0, s^2) and prior N(0, sigma^2) make the cost |X w - y|^2 / (2 s^2) + w.w / (2 sigma^2); its
minimum is (X^T X + (s^2 / sigma^2) I)^-1 X^T y. The prior is an input: one program serves all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.datasets import load_diabetes

import symgraph as sg

NOISE = 54.0  # s, about the residual of the least-squares fit


def compiled(features: int) -> tuple[sg.Function, sg.Function]:
    """(minus the log posterior and its gradient at w, its Hessian times v), given sigma."""
    x, y = sg.matrix("x", shape=("n", features)), sg.vector("y", shape="n")
    w, v = sg.vector("w", shape=features), sg.vector("v", shape=features)
    sigma = sg.scalar("sigma")
    residual = x @ w - y
    cost = sg.sum(residual**2) / (2 * NOISE**2) + sg.sum(w**2) / (2 * sigma**2)
    slope = sg.function([w, x, y, sigma], (cost, sg.grad(cost, w)))
    bend = sg.function([w, v, x, y, sigma], sg.hvp(cost, w, v))
    return slope, bend


def main() -> dict[float, tuple[float, float]]:
    data: Any = load_diabetes()
    x, y = data.data / data.data.std(axis=0), data.target - data.target.mean()
    features = x.shape[1]
    slope, bend = compiled(features)
    found = {}
    for sigma in (1.0, 10.0, 100.0, 1000.0):
        w = minimize(
            slope, np.zeros(features), args=(x, y, sigma), jac=True, method="Newton-CG",
            hessp=bend, options={"xtol": 1e-12},
        ).x  # fmt: skip
        ridge = x.T @ x + (NOISE / sigma) ** 2 * np.eye(features)
        closed = np.linalg.solve(ridge, x.T @ y)
        found[sigma] = float(np.linalg.norm(w)), float(np.max(np.abs(w - closed)))
        print(f"sigma {sigma:6.0f}: |w| = {found[sigma][0]:6.2f}, off by {found[sigma][1]:.0e}")
    return found


if __name__ == "__main__":
    main()
