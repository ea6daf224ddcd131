"""Rosenbrock's valley in ten dimensions through scipy.optimize, with derivatives from symgraph."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize, rosen

import symgraph as sg


def compiled() -> tuple[sg.Function, sg.Function]:
    """(value and gradient at x, Hessian times v at x), for any number of dimensions."""
    x, v = sg.vector("x", shape="n"), sg.vector("v", shape="n")
    head, tail = x[:-1], x[1:]
    value = sg.sum(100 * (tail - head**2) ** 2 + (1 - head) ** 2)
    slope = sg.function([x], (value, sg.grad(value, x)))
    bend = sg.function([x, v], sg.hvp(value, x, v))
    return slope, bend


def main() -> dict[str, Any]:
    slope, bend = compiled()
    start = np.linspace(-1.2, 1.0, 10)
    settings: dict[str, dict[str, Any]] = {
        "Nelder-Mead": {"fun": rosen},
        "BFGS": {"fun": slope, "jac": True},
        "trust-ncg": {"fun": slope, "jac": True, "hessp": bend},
        "Newton-CG": {"fun": slope, "jac": True, "hessp": bend},
    }
    found = {}
    for method, given in settings.items():
        result = minimize(x0=start, method=method, **given)
        found[method] = error = float(np.max(np.abs(result.x - 1)))
        print(f"{method:12} {result.nit:5} iterations, {result.nfev:5} values: off by {error:.0e}")
    return found


if __name__ == "__main__":
    main()
