"""Models whose optimised graphs the tests of trace, explanation, replay and audit look into."""

from __future__ import annotations

import itertools
from typing import Any

import symgraph as sg
from symgraph import Function
from symgraph.passes.rules.engine import RuleSet, rewrite_graph
from symgraph.passes.rules.rule import Rule

__all__ = [
    "MODELS", "deep_network_hvp", "evidence_bound", "logistic_regression", "naive_cross_entropy",
    "planted", "recurrent_network", "rosenbrock", "softplus_by_hand",
]  # fmt: skip


def softplus_by_hand(**options: Any) -> Function:
    """log(1 + exp(x)), which is repaired."""
    x = sg.vector("x", shape="n")
    return sg.function([x], sg.log(1 + sg.exp(x)), backend="reference", **options)


def naive_cross_entropy(**options: Any) -> Function:
    """The cross-entropy from exp, sum, divide and log, and its gradient."""
    z, p = sg.matrix("z", shape=("n", 3)), sg.matrix("p", shape=("n", 3))
    e = sg.exp(z)
    q = e / sg.sum(e, axis=1, keepdims=True)
    cost = -sg.mean(sg.sum(p * sg.log(q), axis=1))
    return sg.function([z, p], [cost, sg.grad(cost, z)], backend="reference", **options)


def deep_network_hvp(passes: str) -> Function:
    """The Hessian-vector product of a 784-512-512-10 network with softmax cross-entropy."""
    x = sg.matrix("x", shape=("n", 784), dtype="float32")
    labels = sg.vector("labels", shape="n", dtype="int64")
    sizes = (784, 512, 512, 10)
    pairs = list(itertools.pairwise(sizes))
    weights = [sg.matrix(f"W{k}", shape=s, dtype="float32") for k, s in enumerate(pairs, 1)]
    biases = [sg.vector(f"b{k}", shape=s[1], dtype="float32") for k, s in enumerate(pairs, 1)]
    h = x
    for W, b in zip(weights[:-1], biases[:-1], strict=True):
        h = sg.relu(h @ W + b)
    e = sg.exp(h @ weights[-1] + biases[-1])
    q = e / sg.sum(e, axis=1, keepdims=True)
    cost = -sg.mean(sg.log(q[sg.arange(x.shape[0]), labels]))
    parameters = [*weights, *biases]
    vectors = [sg.tensor(f"v_{p.name}", shape=p.shape, dtype="float32") for p in parameters]
    product = sg.hvp(cost, parameters, vectors)
    inputs = [x, labels, *parameters, *vectors]
    return sg.function(inputs, product, passes=passes, backend="reference")


def _curvature(
    cost: sg.Tensor, inputs: list[Any], parameters: list[Any], **options: Any
) -> Function:
    """The cost, its gradient and its Hessian-vector product."""
    vectors = [sg.tensor(f"v_{p.name}", shape=p.shape) for p in parameters]
    outputs = [cost, *sg.grad(cost, parameters), *sg.hvp(cost, parameters, vectors)]
    return sg.function([*inputs, *parameters, *vectors], outputs, backend="reference", **options)


def logistic_regression(**options: Any) -> Function:
    """The cross-entropy of a sigmoid, all by hand, with weight decay."""
    x, y = sg.matrix("x", shape=("n", 4)), sg.vector("y", shape="n")
    w, b = sg.vector("w", shape=4), sg.scalar("b")
    p = 1 / (1 + sg.exp(-(x @ w + b)))
    cost = -sg.mean(y * sg.log(p) + (1 - y) * sg.log(1 - p)) + 0.01 * sg.sum(w**2)
    return _curvature(cost, [x, y], [w, b], **options)


def recurrent_network(steps: int = 10, **options: Any) -> Function:
    """A recurrent network, unrolled, with a softmax by hand at the end."""
    x = sg.tensor("x", shape=(steps, "n", 3))
    labels = sg.vector("labels", shape="n", dtype="int64")
    U, W = sg.matrix("U", shape=(3, 5)), sg.matrix("W", shape=(5, 5))
    V, b = sg.matrix("V", shape=(5, 4)), sg.vector("b", shape=5)
    h = sg.tanh(x[0] @ U + b)
    for k in range(1, steps):
        h = sg.tanh(x[k] @ U + h @ W + b)
    e = sg.exp(h @ V)
    q = e / sg.sum(e, axis=1, keepdims=True)
    cost = -sg.mean(sg.log(q[sg.arange(x.shape[1]), labels]))
    return _curvature(cost, [x, labels], [U, W, V, b], **options)


def evidence_bound(**options: Any) -> Function:
    """The evidence lower bound of a small variational autoencoder."""
    x, noise = sg.matrix("x", shape=("n", 6)), sg.matrix("noise", shape=("n", 2))
    E, D = sg.matrix("E", shape=(6, 4)), sg.matrix("D", shape=(2, 6))
    h = x @ E
    mu, log_variance = h[:, :2], h[:, 2:]
    p = 1 / (1 + sg.exp(-((mu + sg.exp(log_variance / 2) * noise) @ D)))
    likelihood = sg.sum(x * sg.log(p) + (1 - x) * sg.log(1 - p), axis=1)
    divergence = -0.5 * sg.sum(1 + log_variance - mu**2 - sg.exp(log_variance), axis=1)
    return _curvature(-sg.mean(likelihood - divergence), [x, noise], [E, D], **options)


def rosenbrock(**options: Any) -> Function:
    """A valley of slices."""
    x = sg.vector("x", shape="n")
    cost = sg.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    return _curvature(cost, [], [x], **options)


MODELS = (logistic_regression, recurrent_network, evidence_bound, rosenbrock)


def planted(rule: Rule) -> Any:
    """A pipeline of one rule, whatever it does."""
    rules = RuleSet([rule], relaxed=True)

    def plant(graph: sg.Graph) -> sg.Graph:
        return rewrite_graph(graph, rules, "plant")

    return (plant,)
