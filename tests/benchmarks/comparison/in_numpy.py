"""NumPy as a careful user writes it: derivatives by hand, no function compiled."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from comparison.cases import Case
from comparison.library import Library, Prepared

np: Any


class Column(Library):
    compiles = False

    def load(self) -> None:
        global np
        np = importlib.import_module("numpy")

    def version(self) -> str:
        return str(np.__version__)

    def warm_up(self) -> None:
        np.ones(3) + 1

    def affine(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        x = given["x"]
        return lambda: x * 2 + 1, lambda y: {"y": y}

    def map(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        x = given["x"]
        return lambda: np.exp(-(x**2) / 2) * np.tanh(x) + np.log1p(x**2), lambda y: {"y": y}

    def sum(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        values, _ = self.map(case, given)
        return lambda: values().sum(), lambda y: {"y": y}

    def cross_entropy(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        z, y = given["z"], given["y"]

        def call() -> tuple[Any, Any]:
            rows = np.arange(len(y))
            e = np.exp(z)
            p = e / e.sum(axis=1, keepdims=True)
            loss = -np.log(p[rows, y]).mean()
            p[rows, y] -= 1
            p /= z.dtype.type(len(y))
            return loss, p

        return call, lambda r: {"loss": r[0], "g": r[1]}

    def step(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        network = importlib.import_module("comparison.network")
        count, kind = len(case.sizes) - 1, given["x"].dtype.type
        weights = [given[f"W{k}"].copy() for k in range(count)]
        biases = [given[f"b{k}"].copy() for k in range(count)]
        parameters = weights + biases
        velocity = [np.zeros_like(p) for p in parameters]
        rate, momentum = kind(network.RATE), kind(network.MOMENTUM)

        def call() -> Any:
            loss, gw, gb = network.gradient(weights, biases, given["x"], given["y"])
            for p, v, g in zip(parameters, velocity, [*gw, *gb], strict=True):
                v *= momentum
                v += g
                p -= rate * v
            return loss

        def fetch(loss: Any) -> dict[str, Any]:
            found = {f"W{k}": w for k, w in enumerate(weights)}
            return {"loss": loss} | found | {f"b{k}": b for k, b in enumerate(biases)}

        return call, fetch

    def hvp(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        network = importlib.import_module("comparison.network")
        count = len(case.sizes) - 1
        weights, biases, v, vb = ([given[f"{c}{k}"] for k in range(count)] for c in "WbVv")

        def fetch(r: Any) -> dict[str, Any]:
            found = {f"W{k}": h for k, h in enumerate(r[0])}
            return found | {f"b{k}": h for k, h in enumerate(r[1])}

        return lambda: network.hvp(weights, biases, given["x"], given["y"], v, vb), fetch

    def product(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        a, b = given["a"], given["b"]
        return lambda: a @ b, lambda y: {"y": y}

    def layer(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        a, b, s = given["a"], given["b"], given["s"]

        def call() -> Any:
            y = a @ b
            y += s
            return np.maximum(y, 0, out=y)

        return call, lambda y: {"y": y}

    def chain(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        depth, x = case.sizes[0], given["x"]
        weights = [given[f"W{k}"] for k in range(depth)]
        biases = [given[f"b{k}"] for k in range(depth)]

        def call() -> tuple[Any, list[Any], list[Any]]:
            layers = [x]
            for w, b in zip(weights, biases, strict=True):
                layers.append(np.tanh(layers[-1] @ w + b))
            last = layers[-1]
            d = last * last.dtype.type(2 / last.size)
            gw, gb = list(weights), list(biases)
            for k in reversed(range(depth)):
                d = d * (1 - layers[k + 1] ** 2)
                gw[k], gb[k] = layers[k].T @ d, d.sum(axis=0)
                d = d @ weights[k].T
            return (last**2).mean(), gw, gb

        def fetch(r: Any) -> dict[str, Any]:
            found = {f"W{k}": g for k, g in enumerate(r[1])}
            return {"loss": r[0]} | found | {f"b{k}": g for k, g in enumerate(r[2])}

        return call, fetch
