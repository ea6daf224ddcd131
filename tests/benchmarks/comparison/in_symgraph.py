"""symgraph through its public names; batch sizes stay symbolic, other sizes are static."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from comparison.cases import Case
from comparison.library import Library, Prepared

np: Any
sg: Any


class Column(Library):
    def load(self) -> None:
        global np, sg
        sg = importlib.import_module("symgraph")
        np = importlib.import_module("numpy")

    def version(self) -> str:
        return str(sg.__version__)

    def warm_up(self) -> None:
        x = sg.vector("x")
        sg.function([x], x + 1)(np.ones(3))

    def declare(self, name: str, value: Any, batch: bool = False) -> Any:
        """An input like ``value``, its first axis symbolic if it is a batch."""
        shape = ("n", *value.shape[1:]) if batch else value.shape
        return sg.tensor(name, shape=shape, dtype=value.dtype.name)

    def affine(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        x, value = self.declare("x", given["x"]), given["x"]
        f = sg.function([x], x * 2 + 1)
        return lambda: f(value), lambda y: {"y": y}

    def map(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        x, value = self.declare("x", given["x"], batch=True), given["x"]
        y = sg.exp(-(x**2) / 2) * sg.tanh(x) + sg.log1p(x**2)
        f = sg.function([x], sg.sum(y) if case.kind == "sum" else y)
        return lambda: f(value), lambda r: {"y": r}

    sum = map

    def cross_entropy(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        z = self.declare("z", given["z"], batch=True)
        y = self.declare("y", given["y"], batch=True)
        e = sg.exp(z)
        p = e / sg.sum(e, axis=1, keepdims=True)
        loss = -sg.mean(sg.log(p[sg.arange(z.shape[0]), y]))
        f = sg.function([z, y], [loss, sg.grad(loss, z)])
        logits, labels = given["z"], given["y"]
        return lambda: f(logits, labels), lambda r: {"loss": r[0], "g": r[1]}

    def network_loss(self, weights: Sequence[Any], biases: Sequence[Any], x: Any, y: Any) -> Any:
        network = importlib.import_module("comparison.network")
        h = x
        for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
            h = h @ w + b
            if k < len(weights) - 1:
                h = sg.maximum(h, 0)
        fit = -sg.mean(sg.log_softmax(h, axis=1)[sg.arange(x.shape[0]), y])
        return fit + 0.5 * network.DECAY * sum(sg.sum(w * w) for w in weights)

    def step(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        network = importlib.import_module("comparison.network")
        count = len(case.sizes) - 1
        weights = [sg.shared(given[f"W{k}"].copy(), name=f"W{k}") for k in range(count)]
        biases = [sg.shared(given[f"b{k}"].copy(), name=f"b{k}") for k in range(count)]
        parameters = weights + biases
        x = self.declare("x", given["x"], batch=True)
        y = self.declare("y", given["y"], batch=True)
        loss = self.network_loss(weights, biases, x, y)
        updates: dict[Any, Any] = {}
        for p, g in zip(parameters, sg.grad(loss, parameters), strict=True):
            velocity = sg.shared(np.zeros_like(p.get_value()))
            updates[velocity] = network.MOMENTUM * velocity + g
            updates[p] = p - network.RATE * updates[velocity]
        f = sg.function([x, y], loss, updates=updates)
        rows, labels = given["x"], given["y"]
        return lambda: f(rows, labels), lambda r: {
            "loss": r,
            **{p.name: p.get_value() for p in parameters},
        }

    def hvp(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        names = [f"{c}{k}" for c in "WbVv" for k in range(len(case.sizes) - 1)]
        count = len(names) // 4
        declared = [self.declare(n, given[n]) for n in names]
        x = self.declare("x", given["x"], batch=True)
        y = self.declare("y", given["y"], batch=True)
        loss = self.network_loss(declared[:count], declared[count : 2 * count], x, y)
        product = sg.hvp(loss, declared[: 2 * count], declared[2 * count :])
        f = sg.function([*declared, x, y], product)
        values = [*(given[n] for n in names), given["x"], given["y"]]
        return lambda: f(*values), lambda r: dict(zip(names, r, strict=False))

    def product(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        a, b = self.declare("a", given["a"]), self.declare("b", given["b"])
        f = sg.function([a, b], a @ b)
        left, right = given["a"], given["b"]
        return lambda: f(left, right), lambda r: {"y": r}

    def layer(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        a, b, s = (self.declare(n, given[n]) for n in "abs")
        f = sg.function([a, b, s], sg.maximum(a @ b + s, 0))
        values = given["a"], given["b"], given["s"]
        return lambda: f(*values), lambda r: {"y": r}

    def chain(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        names = [f"{c}{k}" for c in "Wb" for k in range(case.sizes[0])]
        parameters = [self.declare(n, given[n]) for n in names]
        x = self.declare("x", given["x"])
        h = x
        for k in range(case.sizes[0]):
            h = sg.tanh(h @ parameters[k] + parameters[case.sizes[0] + k])
        loss = sg.mean(h * h)
        f = sg.function([x, *parameters], [loss, *sg.grad(loss, parameters)])
        values = [given["x"], *(given[n] for n in names)]
        return lambda: f(*values), lambda r: dict(zip(["loss", *names], r, strict=True))
