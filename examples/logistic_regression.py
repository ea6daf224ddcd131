"""Logistic regression on the breast cancer data: Newton's method on compiled derivatives.

Weight decay comes from a Gaussian prior of standard deviation SIGMA on each weight (not the bias);
scikit-learn, whose solution is printed beside ours, calls SIGMA**2 its C.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

import symgraph as sg

SIGMA = 1.0


def posterior(features: int) -> sg.Function:
    """Minus the log posterior at theta = (w, b), its gradient and its Hessian, in one program."""
    x, y = sg.matrix("x", shape=("n", features)), sg.vector("y", shape="n")
    theta = sg.vector("theta", shape=features + 1)
    w, b = theta[:-1], theta[-1]
    z = x @ w + b
    loss = sg.log(1 + sg.exp(z)) - y * z  # as written exp overflows; as compiled it does not
    cost = sg.sum(loss) + sg.sum(w**2) / (2 * SIGMA**2)
    return sg.function([x, y, theta], [cost, sg.grad(cost, theta), sg.hessian(cost, theta)])


def main() -> dict[str, Any]:
    data = load_breast_cancer()
    x = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0)
    y = data.target.astype(np.float64)
    f, theta = posterior(x.shape[1]), np.zeros(x.shape[1] + 1)
    norms: list[float] = []
    while not norms or norms[-1] > 1e-9:
        cost, gradient, hessian = f(x, y, theta)
        norms.append(float(np.linalg.norm(gradient)))
        print(f"step {len(norms) - 1}: cost {cost:.6f}, norm of the gradient {norms[-1]:.1e}")
        theta = theta - np.linalg.solve(hessian, gradient)
    theirs = LogisticRegression(C=SIGMA**2, tol=1e-10, max_iter=10_000).fit(x, y)
    apart = float(np.max(np.abs(np.append(theirs.coef_, theirs.intercept_) - theta)))
    accuracy = float(np.mean((x @ theta[:-1] + theta[-1] > 0) == (y == 1)))
    print(f"scikit-learn's parameters differ by {apart:.0e}; accuracy {accuracy:.1%} on all rows")
    return {"norms": norms, "apart": apart, "accuracy": accuracy}


if __name__ == "__main__":
    main()
