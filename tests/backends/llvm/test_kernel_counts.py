"""How many kernels the formulas of everyday work may take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from stages import native

import symgraph as sg
from symgraph.tensor import Tensor

X, Y = sg.tensor("x", shape=("n", "m")), sg.tensor("y", shape=("n", "m"))
B, V = sg.tensor("b", shape=("m",)), sg.tensor("v", shape=("n",))
W, C, T = (
    sg.tensor("w", shape=("m", 8)),
    sg.tensor("c", shape=(8,)),
    sg.tensor("t", shape=("n", 8)),
)
LABELS = sg.tensor("labels", shape=("n",), dtype="int64")
Q, K, U = [sg.tensor(name, shape=("s", 16)) for name in "qku"]


def layer_norm(x: Tensor) -> Tensor:
    centred = x - sg.mean(x, axis=1, keepdims=True)
    return centred / sg.sqrt(sg.mean(centred * centred, axis=1, keepdims=True) + 1e-5) * B + B


def batch_norm(x: Tensor) -> Tensor:
    centred = x - sg.mean(x, axis=0)
    return centred / sg.sqrt(sg.mean(centred * centred, axis=0) + 1e-5) * B + B


def cross_entropy(x: Tensor) -> Tensor:
    return -sg.mean(sg.log_softmax(x, axis=1)[sg.arange(x.shape[0]), LABELS])


def gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + sg.tanh(0.7978845608 * (x + 0.044715 * x**3)))


def with_gradient(cost: Tensor, *wrt: Tensor) -> list[Tensor]:
    return [cost, *sg.grad(cost, list(wrt))]


def gradient_of(f: Callable[[Tensor], Tensor], *wrt: Tensor) -> Any:
    return sg.grad(sg.sum(f(X) * Y), list(wrt))


def attention() -> Tensor:
    return sg.softmax(Q @ K.T / 4, axis=1) @ U


#: inputs, outputs, and how many kernels they may take. A sum over everything is two kernels: the
#: parts, then their sum.
COUNTS: dict[str, tuple[list[Tensor], Callable[[], Any], int]] = {
    "softmax": ([X], lambda: sg.softmax(X, axis=1), 1),
    "softmax of columns": ([X], lambda: sg.softmax(X, axis=0), 1),
    "softmax, gradient": ([X, Y], lambda: gradient_of(lambda x: sg.softmax(x, axis=1), X), 1),
    "layer norm": ([X, B], lambda: layer_norm(X), 1),
    "layer norm, gradient": ([X, Y, B], lambda: gradient_of(layer_norm, X, B), 3),
    "batch norm": ([X, B], lambda: batch_norm(X), 1),
    "batch norm, gradient": ([X, Y, B], lambda: gradient_of(batch_norm, X, B), 1),
    "log-sum-exp": ([X], lambda: sg.logsumexp(X, axis=1), 1),
    "log-sum-exp, gradient": ([X], lambda: sg.grad(sg.sum(sg.logsumexp(X, axis=1)), X), 1),
    "variance": ([X], lambda: sg.var(X, axis=1), 1),
    "cross-entropy": ([X, LABELS], lambda: cross_entropy(X), 3),
    "cross-entropy and gradient": ([X, LABELS], lambda: with_gradient(cross_entropy(X), X), 3),
    "attention": ([Q, K, U], attention, 3),
    "attention, gradient": ([Q, K, U], lambda: sg.grad(sg.sum(attention() ** 2), [Q, K, U]), 9),
    "gelu": ([X], lambda: gelu(X), 1),
    "gelu, value and gradient": ([X, Y], lambda: [gelu(X), *gradient_of(gelu, X)], 1),
    "value and gradient in one pass": ([X], lambda: with_gradient(sg.sum(sg.tanh(X) ** 2), X), 2),
    "Hessian times a vector": ([X, Y], lambda: sg.hvp(sg.sum(sg.exp(X) * X), X, Y), 1),
    "a layer's gradient": (
        [X, W, C, T],
        lambda: with_gradient(sg.mean((sg.tanh(X @ W + C) - T) ** 2), W, C),
        6,
    ),
    "choices in choices": ([X, Y], lambda: sg.where(X > 0, sg.where(Y > 0, X, Y), sg.exp(X)), 1),
    "three sums of neighbours": ([V], lambda: sg.exp(V[:-2]) + sg.exp(V[1:-1]) + sg.exp(V[2:]), 1),
    "two outputs": ([X], lambda: [sg.sum(sg.exp(X), axis=1), sg.exp(X) * 2], 1),
    "one-hot rows": ([LABELS], lambda: sg.one_hot(LABELS, 10), 1),
    "picked elements, gradient": (
        [X, LABELS],
        lambda: sg.grad(sg.sum(sg.take_along_axis(X, LABELS[:, None], axis=1) ** 2), X),
        1,
    ),
    "a join of inputs": ([X, Y], lambda: sg.concat([X, Y], axis=1), 2),
    "a join of functions": ([X, Y], lambda: sg.concat([sg.exp(X), sg.tanh(Y)], axis=1), 2),
    "stacked functions": ([V], lambda: sg.stack([sg.sin(V), sg.cos(V), V], axis=1), 3),
    "a function of a join": ([X, Y], lambda: sg.exp(sg.concat([X, Y], axis=1)), 1),
    "a sum of a join": ([X, Y], lambda: sg.sum(sg.concat([X, Y], axis=1), axis=1), 1),
    "a pad": ([X], lambda: sg.pad(X, ((1, 1), (2, 2))), 1),
    "a pad of an elementary function": ([X], lambda: sg.pad(sg.exp(X), 1), 2),
    "one element set": ([V], lambda: V.at[2].set(0.0), 1),
    "gradient of neighbours' products": ([V], lambda: sg.grad(sg.sum(V[1:] * V[:-1]), V), 1),
    "gradient of differences along both axes": (
        [X],
        lambda: sg.grad(sg.sum((X[1:] - X[:-1]) ** 2) + sg.sum((X[:, 1:] - X[:, :-1]) ** 2), X),
        1,
    ),
}


@pytest.mark.parametrize("name", COUNTS)
def test_no_more_kernels_than(name: str) -> None:
    inputs, outputs, most = COUNTS[name]
    calls = native(inputs, outputs()).calls
    assert len(calls) <= most, [c.node.op.name for c in calls]
