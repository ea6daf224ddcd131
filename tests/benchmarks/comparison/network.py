"""A relu network in NumPy, derivatives by hand: the oracle, and in float32 the NumPy column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["DECAY", "MOMENTUM", "RATE", "cross_entropy", "forward", "gradient", "hvp"]

DECAY, RATE, MOMENTUM = 1e-4, 1e-2, 0.9

Array = np.ndarray[Any, Any]
Arrays = Sequence[Array]


def forward(weights: Arrays, biases: Arrays, x: Array) -> list[Array]:
    """The input and what each layer makes of it."""
    layers = [x]
    for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
        z = layers[-1] @ w + b
        layers.append(np.maximum(z, 0) if k < len(weights) - 1 else z)
    return layers


def cross_entropy(z: Array, y: Array) -> tuple[Any, Array]:
    """The mean loss of logits (n, k) at labels (n,), and the softmax."""
    rows = np.arange(len(y))
    shifted = z - z.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    return -(shifted[rows, y] - np.log(total[:, 0])).mean(), e / total


def gradient(
    weights: Arrays, biases: Arrays, x: Array, y: Array
) -> tuple[Any, list[Array], list[Array]]:
    """The loss with its weight decay, and its gradients."""
    kind = x.dtype.type
    layers = forward(weights, biases, x)
    loss, d = cross_entropy(layers[-1], y)
    d[np.arange(len(y)), y] -= 1
    d /= kind(len(y))
    gw, gb = list(weights), list(biases)
    for k in reversed(range(len(weights))):
        gw[k] = layers[k].T @ d + kind(DECAY) * weights[k]
        gb[k] = d.sum(axis=0)
        if k:
            d = (d @ weights[k].T) * (layers[k] > 0)
    return loss + 0.5 * kind(DECAY) * sum((w * w).sum() for w in weights), gw, gb


def hvp(
    weights: Arrays, biases: Arrays, x: Array, y: Array, v: Arrays, vb: Arrays
) -> tuple[list[Array], list[Array]]:
    """The Hessian times (v, vb): Pearlmutter's R-operator through the gradient above."""
    kind, last = x.dtype.type, len(weights) - 1
    layers, moved = [x], [np.zeros_like(x)]
    for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
        z = layers[-1] @ w + b
        rz = moved[-1] @ w + layers[-1] @ v[k] + vb[k]
        live = (z > 0) if k < last else np.ones_like(z)
        layers.append(z * live)
        moved.append(rz * live)
    _, p = cross_entropy(layers[-1], y)
    rd = p * (moved[-1] - (p * moved[-1]).sum(axis=1, keepdims=True)) / kind(len(y))
    d = p
    d[np.arange(len(y)), y] -= 1
    d /= kind(len(y))
    hw, hb = list(weights), list(biases)
    for k in reversed(range(len(weights))):
        hw[k] = moved[k].T @ d + layers[k].T @ rd + kind(DECAY) * v[k]
        hb[k] = rd.sum(axis=0)
        if k:
            live = layers[k] > 0
            rd = (rd @ weights[k].T + d @ v[k].T) * live
            d = (d @ weights[k].T) * live
    return hw, hb
