"""Handwritten digits: declare a network, differentiate it, compile it, train it, look inside.

    python examples/digits.py                1797 images of scikit-learn
    python examples/digits.py --data FILE    your table: .npz with X and y, .csv with labels last

The network is that of section 6.5.7 of Goodfellow, Bengio and Courville, *Deep Learning*: a layer
of rectified linear units, a softmax, the cross-entropy, and a Gaussian prior on the weights.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from dataset import Data, DataError, digits, split, table
from scipy.optimize import minimize
from scipy.sparse.linalg import LinearOperator, eigsh

import symgraph as sg

HIDDEN, BATCH, EPOCHS, RATE, MOMENTUM = 64, 32, 30, 0.1, 0.9
SIGMA = 1.0  # standard deviation of the prior on each weight
PICTURE = "digits_graph.html"

Array = np.ndarray[Any, Any]
Tensors = Sequence[sg.Tensor]


# ---- the network ---------------------------------------------------------------------------------


def logits(x: sg.Tensor, parameters: Tensors) -> sg.Tensor:
    """One row of scores for each row of x."""
    W1, b1, W2, b2 = parameters
    return sg.relu(x @ W1 + b1) @ W2 + b2


def cross_entropy(z: sg.Tensor, y: sg.Tensor) -> sg.Tensor:
    """Mean negative log-likelihood of the labels y under softmax(z), spelled as in a textbook."""
    n = z.shape[0]
    e = sg.exp(z)
    p = e / sg.sum(e, axis=1, keepdims=True)
    return -sg.mean(sg.log(p[sg.arange(n), y]))


def cost(x: sg.Tensor, y: sg.Tensor, parameters: Tensors, examples: int) -> sg.Tensor:
    """What maximum a posteriori minimises, per training example.

    Minus the log of the prior N(0, sigma^2) is w.w / (2 sigma^2), weight decay (lambda/2) w.w with
    lambda = 1/sigma^2. It counts once for all examples; beside a mean it is divided by them.
    """
    W1, _, W2, _ = parameters
    decay = (sg.sum(W1 * W1) + sg.sum(W2 * W2)) / (2 * SIGMA**2)
    return cross_entropy(logits(x, parameters), y) + decay / examples


def shapes(data: Data) -> list[tuple[int, ...]]:
    features = data.x.shape[1]
    return [(features, HIDDEN), (HIDDEN,), (HIDDEN, data.classes), (data.classes,)]


def initial(data: Data) -> list[Array]:
    """Weights drawn so that relu layers keep the variance; biases zero."""
    rng = np.random.default_rng(1)
    scales = [np.sqrt(2 / s[0]) if len(s) == 2 else 0.0 for s in shapes(data)]
    drawn = [rng.normal(0, a, s) for a, s in zip(scales, shapes(data), strict=True)]
    return [a.astype(np.float32) for a in drawn]


# ---- training ------------------------------------------------------------------------------------


@dataclass
class Trainer:
    """One compiled step, one compiled prediction, and the parameters both use."""

    step: sg.Function
    predict: sg.Function
    parameters: list[Any]
    compile_seconds: float


def build(data: Data) -> Trainer:
    """Declare, differentiate, compile: for any number of rows, before any number is known."""
    x = sg.tensor("x", shape=("n", data.x.shape[1]), dtype="float32")
    y = sg.tensor("y", shape=("n",), dtype="int64")
    names = ("W1", "b1", "W2", "b2")
    parameters = [sg.shared(a, name=k) for k, a in zip(names, initial(data), strict=True)]
    objective = cost(x, y, parameters, len(data.x))
    gradients = sg.grad(objective, parameters)
    updates = sg.optim.momentum(gradients, parameters, RATE, MOMENTUM)

    begin = time.perf_counter()
    step = sg.function([x, y], objective, updates=updates, name="step")
    seconds = time.perf_counter() - begin
    predict = sg.function([x], sg.argmax(logits(x, parameters), axis=1), name="predict")
    return Trainer(step, predict, parameters, seconds)


def train(data: Data, trainer: Trainer, epochs: int) -> float:
    """Minibatches in a new order each epoch; the accuracy on the test part afterwards."""
    rng = np.random.default_rng(2)
    for epoch in range(1, epochs + 1):
        data.shuffle(rng)
        costs = [float(trainer.step(x, y)) for x, y in data.batches(BATCH)]
        report(epoch, epochs, float(np.mean(costs)))
    return float(np.mean(trainer.predict(data.x_test) == data.y_test))


def report(epoch: int, epochs: int, value: float) -> None:
    """A bar that redraws itself on a terminal; a few lines anywhere else."""
    if sys.stdout.isatty():
        bar = "#" * (30 * epoch // epochs)
        end = "\n" if epoch == epochs else ""
        print(f"\r  [{bar:30}] epoch {epoch:3}  cost {value:.4f}", end=end, flush=True)
    elif epoch == 1 or epoch % 10 == 0 or epoch == epochs:
        print(f"  epoch {epoch:3}  cost {value:.4f}")


# ---- what the compiler sees ----------------------------------------------------------------------


def show_gradient(classes: int) -> str:
    """The gradient with respect to the logits as backpropagation leaves it, and simplified."""
    z = sg.matrix("z", shape=("n", classes))
    y = sg.vector("y", shape=("n",), dtype="int64")
    loss = cross_entropy(z, y)
    simple = sg.pprint(sg.simplify(sg.grad(loss, z)))
    print(f"the cross-entropy:\n    {sg.pprint(loss)}")
    print("its gradient with respect to the logits z, as backpropagation leaves it:")
    for line in sg.pprint(sg.grad(loss, z, stabilise=False)).splitlines():
        print(f"    {line}")
    print("and simplified to (q - p) / n, q the predicted and p the given probabilities:")
    print(f"    {simple}")
    return simple


def show_step(step: sg.Function) -> int:
    """The compiled step: how large it is, what was rewritten, and where its picture went."""
    products = step.graph.count("matmul")
    print(f"{len(step.graph)} nodes, {products} of them matrix products;", end=" ")
    print(f"{len(step.rewrites)} rewrites, these for stability:")
    for rewrite in [r for r in step.rewrites if r.contract == "stabilising"]:
        print(f"    {rewrite.rule:18} {rewrite.line}")
    step.to_html(PICTURE, title="one training step")
    print(f"the optimised graph is drawn in {PICTURE}")
    return products


# ---- curvature -----------------------------------------------------------------------------------


@dataclass
class Problem:
    """The cost as a function of one long vector, in float64: value, gradient, curvature."""

    value_and_gradient: Callable[[Array], tuple[Any, Array]]
    hessian_times: Callable[[Array, Array], Array]
    counts: dict[str, int]


def whole_problem(data: Data) -> Problem:
    """Cost, gradient and Hessian-vector product over all training rows, counting their calls."""
    x = sg.matrix("x", shape=("n", data.x.shape[1]))
    y = sg.vector("y", shape=("n",), dtype="int64")
    theta, v = sg.vector("theta", shape="k"), sg.vector("v", shape="k")
    pieces, start = [], 0
    for shape in shapes(data):
        stop = start + int(np.prod(shape))
        pieces.append(sg.reshape(theta[start:stop], shape))
        start = stop
    objective = cost(x, y, pieces, len(data.x))
    slope = sg.function([x, y, theta], (objective, sg.grad(objective, theta)), name="slope")
    bend = sg.function([x, y, theta, v], sg.hvp(objective, theta, v), name="bend")
    rows, labels = data.x.astype(np.float64), data.y
    counts = {"gradients": 0, "products": 0}

    def value_and_gradient(at: Array) -> tuple[Any, Array]:
        counts["gradients"] += 1
        value, gradient = slope(rows, labels, at)
        return float(value), gradient

    def hessian_times(at: Array, direction: Array) -> Array:
        counts["products"] += 1
        out: Array = bend(rows, labels, at, direction.ravel())
        return out

    return Problem(value_and_gradient, hessian_times, counts)


def flat(arrays: Sequence[Array]) -> Array:
    return np.concatenate([a.astype(np.float64).ravel() for a in arrays])


def eigenvalues(problem: Problem, theta: Array) -> tuple[Array, float]:
    """The largest of the Hessian by Lanczos; how far H v is from differences of the gradient."""
    k = len(theta)
    H = LinearOperator((k, k), matvec=lambda v: problem.hessian_times(theta, v), dtype=np.float64)
    largest, vectors = eigsh(H, k=3, which="LA", tol=1e-4, v0=np.ones(k))
    step, v = 1e-7, vectors[:, -1]
    ahead = problem.value_and_gradient(theta + step * v)[1]
    behind = problem.value_and_gradient(theta - step * v)[1]
    apart = (ahead - behind) / (2 * step) - problem.hessian_times(theta, v)
    error = float(np.linalg.norm(apart) / largest[-1])
    print(f"{k} parameters; the largest eigenvalues of the Hessian:", end=" ")
    print(", ".join(f"{value:.3f}" for value in largest[::-1]))
    print(f"{problem.counts['products']} Hessian-vector products;", end=" ")
    print(f"finite differences of the gradient agree to {error:.0e}")
    return largest[::-1], error


def newton_against_sgd(data: Data, problem: Problem) -> dict[str, float]:
    """Newton-CG, then SGD for as many passes over the data from the same start: their costs."""
    problem.counts.update(gradients=0, products=0)
    begin = time.perf_counter()
    newton = minimize(
        problem.value_and_gradient, flat(initial(data)), jac=True, method="Newton-CG",
        hessp=problem.hessian_times, options={"maxiter": 16},
    ).x  # fmt: skip
    middle = time.perf_counter()
    # A Hessian-vector product costs about as much as two gradients.
    passes = problem.counts["gradients"] + 2 * problem.counts["products"]
    sgd = plain_sgd(data, passes)
    end = time.perf_counter()
    costs = {}
    for name, at, took in (("Newton-CG", newton, middle - begin), ("SGD", sgd, end - middle)):
        costs[name], gradient = problem.value_and_gradient(at)
        print(f"{name:10} {passes} passes in {took:.2f} s: cost {costs[name]:.5f},", end=" ")
        print(f"norm of the gradient {np.linalg.norm(gradient):.1e}")
    return costs


def plain_sgd(data: Data, passes: int) -> Array:
    """Stochastic gradient descent from the initial parameters, in float32 as one would train."""
    x = sg.tensor("x", shape=("n", data.x.shape[1]), dtype="float32")
    y = sg.tensor("y", shape=("n",), dtype="int64")
    parameters = [sg.shared(a) for a in initial(data)]
    updates = sg.optim.sgd(cost(x, y, parameters, len(data.x)), parameters, RATE)
    step = sg.function([x, y], None, updates=updates)
    rng = np.random.default_rng(3)
    for _ in range(passes):
        data.shuffle(rng)
        for rows, labels in data.batches(BATCH):
            step(rows, labels)
    return flat([p.get_value() for p in parameters])


# ---- the same step by hand -----------------------------------------------------------------------


def numpy_step(parameters: list[Array], examples: int) -> Callable[[Array, Array], Any]:
    """What one writes without symgraph, the derivatives worked out on paper."""
    W1, b1, W2, b2 = parameters
    velocities = [np.zeros_like(p) for p in parameters]
    decay = np.float32(1 / (SIGMA**2 * examples))

    def step(x: Array, y: Array) -> Any:
        n, rows = len(x), np.arange(len(x))
        h = np.maximum(x @ W1 + b1, 0)
        z = h @ W2 + b2
        z -= z.max(axis=1, keepdims=True)
        q = np.exp(z)
        total = q.sum(axis=1, keepdims=True)
        value = np.mean(np.log(total[:, 0]) - z[rows, y])
        value += decay / 2 * (np.vdot(W1, W1) + np.vdot(W2, W2))
        q /= total
        q[rows, y] -= 1
        q /= n
        back = q @ W2.T
        back *= h > 0
        gradients = (x.T @ back + decay * W1, back.sum(0), h.T @ q + decay * W2, q.sum(0))
        for p, v, g in zip(parameters, velocities, gradients, strict=True):
            v *= MOMENTUM
            v -= RATE * g
            p += v
        return value

    return step


def race(data: Data) -> dict[str, float]:
    """Both steps over the same minibatches in turns: the median microseconds of each."""
    ours = build(data)
    parameters = [p.get_value() for p in ours.parameters]
    steps: dict[str, Callable[[Array, Array], Any]] = {
        "symgraph": ours.step,
        "NumPy": numpy_step(parameters, len(data.x)),
    }
    runs: dict[str, list[float]] = {name: [] for name in steps}
    batches = list(data.batches(BATCH))
    for turn in range(20):
        for name, step in steps.items():
            begin = time.perf_counter()
            for x, y in batches:
                step(x, y)
            runs[name].append((time.perf_counter() - begin) / len(batches) * 1e6)
        if turn == 0:
            pairs = zip(ours.parameters, parameters, strict=True)
            apart = max(float(np.max(np.abs(p.get_value() - q))) for p, q in pairs)
    medians = {name: float(np.median(times)) for name, times in runs.items()}
    for name, value in medians.items():
        print(f"one step of {BATCH} rows, {name:10} {value:7.1f} us")
    print(
        f"(the NumPy step is the one in this file; one epoch leaves parameters {apart:.0e} apart)"
    )
    pins = [name for name in os.environ if name.startswith("OPENBLAS_")]
    if pins:
        print(f"({', '.join(pins)} set here: NumPy may be faster without)")
    return medians | {"apart": apart}


# ---- the story -----------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Everything in order; what it found, by name."""
    options = argparse.ArgumentParser(description="Train a network on handwritten digits.")
    options.add_argument("--data", type=Path, help=".npz with X and y, or .csv with labels last")
    options.add_argument("--epochs", type=int, default=EPOCHS, help="passes over the data")
    chosen = options.parse_args(arguments)
    try:
        data = split(*(table(chosen.data) if chosen.data else digits()))
    except DataError as refusal:
        options.exit(2, f"digits.py: {refusal}\n")
    print(
        f"{len(data.y)} rows of {data.x.shape[1]} features in {data.classes} classes to learn",
        end=" ",
    )
    print(f"from, {len(data.y_test)} to test on")

    title("training")
    trainer = build(data)
    begin = time.perf_counter()
    accuracy = train(data, trainer, chosen.epochs)
    seconds = time.perf_counter() - begin
    print(f"  test accuracy {accuracy:.1%} after {seconds * 1e3:.0f} ms of training")

    title("the gradient")
    gradient = show_gradient(data.classes)
    title("the compiled step")
    products = show_step(trainer.step)
    title("curvature of the trained network")
    problem = whole_problem(data)
    largest, error = eigenvalues(problem, flat([p.get_value() for p in trainer.parameters]))
    title("Newton-CG against SGD, from the same start")
    costs = newton_against_sgd(data, problem)
    title("time")
    times = race(data)
    print(f"compiling the step, the first of the process {trainer.compile_seconds * 1e3:4.0f} ms")
    return {
        "accuracy": accuracy, "gradient": gradient, "products": products, "eigenvalues": largest,
        "error": error, "costs": costs, "times": times, "step": trainer.step,
    }  # fmt: skip


def title(text: str) -> None:
    print(f"\n== {text} ==")


if __name__ == "__main__":
    main()
