"""PyTensor in its default mode, shapes static, shared variables updated in place."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from comparison.cases import Case
from comparison.library import Library, Prepared

np: Any
pt: Any
pytensor: Any


class Column(Library):
    def load(self) -> None:
        global np, pt, pytensor
        pytensor = importlib.import_module("pytensor")
        pt = importlib.import_module("pytensor.tensor")
        np = importlib.import_module("numpy")
        sys.setrecursionlimit(200_000)

    def version(self) -> str:
        mode = importlib.import_module("pytensor.compile.mode").get_default_mode()
        return f"{pytensor.__version__} ({type(mode.linker).__name__})"

    def warm_up(self) -> None:
        x = pt.vector("x", dtype="float32")
        pytensor.function([x], x + 1)(np.ones(3, "float32"))

    def prepare(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        pytensor.config.floatX = case.dtype
        return super().prepare(case, given)

    def declare(self, name: str, value: Any) -> Any:
        return pt.tensor(name, shape=value.shape, dtype=value.dtype)

    def affine(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        x, value = self.declare("x", given["x"]), given["x"]
        f = pytensor.function([x], x * 2 + 1)
        return lambda: f(value), lambda y: {"y": y}

    def map(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        x, value = self.declare("x", given["x"]), given["x"]
        y = pt.exp(-(x**2) / 2) * pt.tanh(x) + pt.log1p(x**2)
        f = pytensor.function([x], y.sum() if case.kind == "sum" else y)
        return lambda: f(value), lambda r: {"y": r}

    sum = map

    def cross_entropy(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        z, y = self.declare("z", given["z"]), self.declare("y", given["y"])
        e = pt.exp(z)
        p = e / e.sum(axis=1, keepdims=True)
        loss = -pt.log(p[pt.arange(case.sizes[0]), y]).mean()
        f = pytensor.function([z, y], [loss, pytensor.grad(loss, z)])
        logits, labels = given["z"], given["y"]
        return lambda: f(logits, labels), lambda r: {"loss": r[0], "g": r[1]}

    def network_loss(
        self, weights: Sequence[Any], biases: Sequence[Any], x: Any, y: Any, batch: int
    ) -> Any:
        network = importlib.import_module("comparison.network")
        h = x
        for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
            h = h @ w + b
            if k < len(weights) - 1:
                h = pt.maximum(h, 0)
        fit = -pt.special.log_softmax(h, axis=1)[pt.arange(batch), y].mean()
        return fit + np.float32(0.5 * network.DECAY) * sum((w * w).sum() for w in weights)

    def step(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        network = importlib.import_module("comparison.network")
        count = len(case.sizes) - 1
        weights = [pytensor.shared(given[f"W{k}"].copy(), name=f"W{k}") for k in range(count)]
        biases = [pytensor.shared(given[f"b{k}"].copy(), name=f"b{k}") for k in range(count)]
        parameters = weights + biases
        x, y = self.declare("x", given["x"]), self.declare("y", given["y"])
        loss = self.network_loss(weights, biases, x, y, case.batch)
        updates = []
        for p, g in zip(parameters, pytensor.grad(loss, parameters), strict=True):
            velocity = pytensor.shared(np.zeros_like(p.get_value()))
            moved = np.float32(network.MOMENTUM) * velocity + g
            updates += [(velocity, moved), (p, p - np.float32(network.RATE) * moved)]
        f = pytensor.function([x, y], loss, updates=updates)
        rows, labels = given["x"], given["y"]
        return lambda: f(rows, labels), lambda r: {
            "loss": r,
            **{p.name: p.get_value() for p in parameters},
        }

    def hvp(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        names = [f"{c}{k}" for c in "WbVv" for k in range(len(case.sizes) - 1)]
        count = len(names) // 4
        declared = [self.declare(n, given[n]) for n in names]
        x, y = self.declare("x", given["x"]), self.declare("y", given["y"])
        wanted, vectors = declared[: 2 * count], declared[2 * count :]
        loss = self.network_loss(wanted[:count], wanted[count:], x, y, case.batch)
        grads = pytensor.grad(loss, wanted)
        along = sum((g * v).sum() for g, v in zip(grads, vectors, strict=True))
        f = pytensor.function([*declared, x, y], pytensor.grad(along, wanted))
        values = [*(given[n] for n in names), given["x"], given["y"]]
        return lambda: f(*values), lambda r: dict(zip(names, r, strict=False))

    def product(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        a, b = self.declare("a", given["a"]), self.declare("b", given["b"])
        f = pytensor.function([a, b], a @ b)
        left, right = given["a"], given["b"]
        return lambda: f(left, right), lambda y: {"y": y}

    def layer(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        a, b, s = (self.declare(n, given[n]) for n in "abs")
        f = pytensor.function([a, b, s], pt.maximum(a @ b + s, 0))
        values = given["a"], given["b"], given["s"]
        return lambda: f(*values), lambda y: {"y": y}

    def chain(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        depth = case.sizes[0]
        names = [f"{c}{k}" for c in "Wb" for k in range(depth)]
        parameters = [self.declare(n, given[n]) for n in names]
        x = self.declare("x", given["x"])
        h = x
        for k in range(depth):
            h = pt.tanh(h @ parameters[k] + parameters[depth + k])
        loss = (h * h).mean()
        f = pytensor.function([x, *parameters], [loss, *pytensor.grad(loss, parameters)])
        values = [given["x"], *(given[n] for n in names)]
        return lambda: f(*values), lambda r: dict(zip(["loss", *names], r, strict=True))
