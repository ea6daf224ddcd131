"""Exclusive or (section 6.1): no linear model can, the printed network does, others learn it."""

from __future__ import annotations

from typing import Any

import numpy as np

import symgraph as sg

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
TARGET = np.array([0.0, 1.0, 1.0, 0.0])


def linear_fit() -> np.ndarray[Any, Any]:
    """Weights and bias of the best linear model: one Newton step, the cost being quadratic."""
    theta = sg.vector("theta", shape=3)
    cost = sg.mean((X @ theta[:2] + theta[2] - TARGET) ** 2)
    slope = sg.grad(cost, theta).eval({theta: np.zeros(3)})
    return np.linalg.solve(sg.hessian(cost, theta).eval({theta: np.zeros(3)}), -slope)


def printed_network() -> tuple[np.ndarray[Any, Any], ...]:
    """The hidden layer before and after relu, and the answers, of the weights in eq. 6.4 to 6.6."""
    W, c, w = np.ones((2, 2)), np.array([0.0, -1.0]), np.array([1.0, -2.0])
    x = sg.matrix("x", shape=("n", 2))
    before = x @ W + c
    hidden = sg.relu(before)
    found: tuple[np.ndarray[Any, Any], ...] = sg.function([x], (before, hidden, hidden @ w))(X)
    return found


def learn(seed: int, steps: int = 1000) -> float:
    """The mean squared error after gradient descent with momentum from random weights."""
    rng = np.random.default_rng(seed)
    shapes = {"W": (2, 8), "c": (8,), "w": (8,), "b": ()}
    W, c, w, b = (sg.shared(rng.normal(0, 0.5, s), name=k) for k, s in shapes.items())
    cost = sg.mean((sg.relu(X @ W + c) @ w + b - TARGET) ** 2)
    step = sg.function([], cost, updates=sg.optim.momentum(cost, [W, c, w, b], 0.05, 0.5))
    return float([step() for _ in range(steps)][-1])


def main() -> dict[str, Any]:
    linear, (before, hidden, answers) = linear_fit(), printed_network()
    print(f"best linear model: weights {linear[:2].round(6) + 0.0}, bias {linear[2]:.3f}")
    print(f"printed network: {before.tolist()} -> {hidden.tolist()} -> {answers.tolist()}")
    errors = [learn(seed) for seed in range(10)]
    learned = sum(e < 1e-3 for e in errors)
    print(f"learned from {learned} of {len(errors)} random starts")
    return {"linear": linear, "hidden": hidden, "answers": answers, "learned": learned}


if __name__ == "__main__":
    main()
