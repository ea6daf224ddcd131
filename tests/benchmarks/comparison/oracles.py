"""The inputs of a case, the right answer (NumPy in float64), and how far another one is off."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from comparison import network
from comparison.cases import Case

__all__ = ["compare", "expected", "inputs"]

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]


def inputs(case: Case) -> Arrays:
    """Seeded arrays in the dtype of the case, by name; lists are numbered W0, W1, ..."""
    draw = np.random.default_rng(20)

    def normal(*shape: int, scale: float = 1.0) -> Array:
        return (draw.standard_normal(shape) * scale).astype(case.dtype)

    sizes = case.sizes
    if case.kind == "affine":
        return {"x": np.arange(np.prod(sizes, dtype=int), dtype=case.dtype).reshape(sizes) + 1.5}
    if case.kind in ("map", "sum"):
        return {"x": normal(*sizes, scale=2.0)}
    if case.kind == "cross_entropy":
        logits = draw.uniform(-case.spread, case.spread, sizes).astype(case.dtype)
        return {"z": logits, "y": draw.integers(0, sizes[1], sizes[0])}
    if case.kind in ("product", "layer"):
        m, k, n = sizes
        return {"a": normal(m, k), "b": normal(k, n), "s": normal(n)}
    if case.kind == "chain":
        found = {f"W{k}": np.linalg.qr(normal(8, 8))[0].astype(case.dtype) for k in range(sizes[0])}
        return (
            found | {f"b{k}": normal(8, scale=0.01) for k in range(sizes[0])} | {"x": normal(8, 8)}
        )
    pairs = list(enumerate(itertools.pairwise(sizes)))
    found = {f"W{k}": normal(a, b, scale=(2 / a) ** 0.5) for k, (a, b) in pairs}
    found |= {f"b{k}": normal(b, scale=0.01) for k, (_, b) in pairs}
    found |= {f"V{k}": normal(a, b) for k, (a, b) in pairs}
    found |= {f"v{k}": normal(b) for k, (_, b) in pairs}
    return found | {"x": normal(case.batch, sizes[0]), "y": draw.integers(0, sizes[-1], case.batch)}


def expected(case: Case, given: Mapping[str, Array]) -> Arrays:
    """Every result by name, computed in float64."""
    wide = {k: a.astype(np.float64) if a.dtype.kind == "f" else a for k, a in given.items()}
    return {k: np.asarray(v) for k, v in _EXPECTED[case.kind](case, wide).items()}


def _formula(x: Array) -> Array:
    y: Array = np.exp(-(x**2) / 2) * np.tanh(x) + np.log1p(x**2)
    return y


def _cross_entropy(case: Case, given: Arrays) -> dict[str, Any]:
    loss, g = network.cross_entropy(given["z"], given["y"])
    g[np.arange(case.sizes[0]), given["y"]] -= 1
    return {"loss": loss, "g": g / case.sizes[0]}


def _lists(case: Case, given: Arrays, *letters: str) -> list[list[Array]]:
    return [[given[f"{letter}{k}"] for k in range(len(case.sizes) - 1)] for letter in letters]


def _step(case: Case, given: Arrays) -> dict[str, Any]:
    weights, biases = _lists(case, given, "W", "b")
    loss, gw, gb = network.gradient(weights, biases, given["x"], given["y"])
    new = {f"W{k}": w - network.RATE * g for k, (w, g) in enumerate(zip(weights, gw, strict=True))}
    new |= {f"b{k}": b - network.RATE * g for k, (b, g) in enumerate(zip(biases, gb, strict=True))}
    return {"loss": loss, **new}


def _hvp(case: Case, given: Arrays) -> dict[str, Any]:
    weights, biases, v, vb = _lists(case, given, "W", "b", "V", "v")
    hw, hb = network.hvp(weights, biases, given["x"], given["y"], v, vb)
    return {f"W{k}": h for k, h in enumerate(hw)} | {f"b{k}": h for k, h in enumerate(hb)}


def _chain(case: Case, given: Arrays) -> dict[str, Any]:
    depth = case.sizes[0]
    layers = [given["x"]]
    for k in range(depth):
        layers.append(np.tanh(layers[-1] @ given[f"W{k}"] + given[f"b{k}"]))
    d = layers[-1] * (2 / layers[-1].size)
    found: dict[str, Any] = {"loss": (layers[-1] ** 2).mean()}
    for k in reversed(range(depth)):
        d = d * (1 - layers[k + 1] ** 2)
        found[f"W{k}"], found[f"b{k}"] = layers[k].T @ d, d.sum(axis=0)
        d = d @ given[f"W{k}"].T
    return found


_EXPECTED: dict[str, Any] = {
    "affine": lambda case, given: {"y": 2 * given["x"] + 1},
    "map": lambda case, given: {"y": _formula(given["x"])},
    "sum": lambda case, given: {"y": _formula(given["x"]).sum()},
    "cross_entropy": _cross_entropy,
    "step": _step,
    "hvp": _hvp,
    "product": lambda case, given: {"y": given["a"] @ given["b"]},
    "layer": lambda case, given: {"y": np.maximum(given["a"] @ given["b"] + given["s"], 0)},
    "chain": _chain,
}


def compare(case: Case, got: Mapping[str, Any], right: Mapping[str, Array]) -> tuple[float, str]:
    """The worst relative error over all results, and what is wrong with them ("" if nothing is)."""
    worst, wrong = 0.0, []
    for name, b in right.items():
        if name not in got:
            wrong.append(f"{name} is missing")
            continue
        a = np.asarray(got[name], dtype=np.float64)
        if a.shape != b.shape:
            wrong.append(f"{name} has shape {a.shape}, not {b.shape}")
        elif not np.isfinite(a).all():
            wrong.append(f"{name}: {int((~np.isfinite(a)).sum())} of {a.size} not finite")
        elif a.size:
            error = float(np.abs(a - b).max() / max(float(np.abs(b).max()), 1e-30))
            worst = max(worst, error)
            if error > case.tolerance:
                wrong.append(f"{name} is off by {error:.1e}")
    return worst, "; ".join(wrong)
