"""Models whose optimised graphs the tests of trace, explanation, replay and audit look into."""

from __future__ import annotations

import itertools
from typing import Any

import symgraph as sg
from symgraph import Function
from symgraph.passes.rules.engine import RuleSet, rewrite_graph
from symgraph.passes.rules.rule import Rule

__all__ = ["deep_network_hvp", "naive_cross_entropy", "planted", "softplus_by_hand"]


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


def planted(rule: Rule) -> Any:
    """A pipeline of one rule, whatever it does."""
    rules = RuleSet([rule], relaxed=True)

    def plant(graph: sg.Graph) -> sg.Graph:
        return rewrite_graph(graph, rules, "plant")

    return (plant,)
