"""tinygrad on its CPU device, captured by TinyJit; the program clang compiles its kernels."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from comparison.cases import Case
from comparison.library import Library, Prepared

np: Any
tinygrad: Any


class Column(Library):
    compiles = False  # a process of clang for each kernel: nothing to compare a compiler with

    def load(self) -> None:
        global np, tinygrad
        np = importlib.import_module("numpy")
        tinygrad = importlib.import_module("tinygrad")
        sys.setrecursionlimit(100_000)  # it walks deep graphs by recursion

    def version(self) -> str:
        return importlib.metadata.version("tinygrad")

    def warm_up(self) -> None:
        (tinygrad.Tensor.ones(3).contiguous() + 1).numpy()

    @staticmethod
    def on_device(value: Any) -> Any:
        """An array as a tensor; labels as int32, the library's own integers."""
        return tinygrad.Tensor(
            value.astype("int32") if value.dtype == np.int64 else value
        ).realize()

    def captured(self, formula: Callable[..., Sequence[Any]], *given: Any) -> Callable[[], Any]:
        """A call that runs to its end; the first captures the kernels, which takes two rounds."""
        device = tinygrad.Device[tinygrad.Device.DEFAULT]

        def realised(*tensors: Any) -> Sequence[Any]:
            results = formula(*tensors)
            tinygrad.Tensor.realize(*results)
            return results

        jit = tinygrad.TinyJit(realised)

        def call() -> Any:
            results = jit(*given)
            device.synchronize()
            return results

        return call

    def affine(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        x = np.atleast_1d(given["x"])  # a 0-d array would become a constant
        jit = tinygrad.TinyJit(lambda x: (x * 2 + 1).realize())

        def call() -> Any:
            return jit(tinygrad.Tensor(x).realize()).numpy().reshape(given["x"].shape)

        return call, lambda y: {"y": y}

    def map(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        def formula(x: Any) -> tuple[Any]:
            y = (-(x * x) / 2).exp() * x.tanh() + (x * x + 1).log()  # there is no log1p
            return (y.sum() if case.kind == "sum" else y,)

        call = self.captured(formula, self.on_device(given["x"]))
        return call, lambda r: {"y": r[0].numpy()}

    sum = map

    def cross_entropy(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        def formula(z: Any, y: Any) -> tuple[Any, Any]:
            e = z.exp()
            p = e / e.sum(1, keepdim=True)
            loss = -(p.gather(1, y.reshape(-1, 1)).log()).mean()
            return loss, loss.gradient(z)[0]

        call = self.captured(formula, *(self.on_device(given[n]) for n in "zy"))
        return call, lambda r: {"loss": r[0].numpy(), "g": r[1].numpy()}

    @staticmethod
    def network_loss(parameters: Sequence[Any], x: Any, y: Any) -> Any:
        network = importlib.import_module("comparison.network")
        count = len(parameters) // 2
        h = x
        for k in range(count):
            h = h @ parameters[k] + parameters[count + k]
            h = h.relu() if k < count - 1 else h
        squares = [(w * w).sum() for w in parameters[:count]]
        decay = sum(squares[1:], squares[0]) * (0.5 * network.DECAY)
        return h.sparse_categorical_crossentropy(y) + decay

    def step(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        network = importlib.import_module("comparison.network")
        names = [f"{c}{k}" for c in "Wb" for k in range(len(case.sizes) - 1)]
        parameters = [self.on_device(given[n]) for n in names]
        velocity = [tinygrad.Tensor.zeros(*p.shape).contiguous().realize() for p in parameters]

        def advance(x: Any, y: Any) -> list[Any]:
            loss = self.network_loss(parameters, x, y)
            for p, v, g in zip(parameters, velocity, loss.gradient(*parameters), strict=True):
                v.assign(v * network.MOMENTUM + g)
                p.assign(p - v * network.RATE)
            return [loss, *velocity, *parameters]

        call = self.captured(advance, *(self.on_device(given[n]) for n in "xy"))

        def fetch(results: Sequence[Any]) -> dict[str, Any]:
            values = {n: p.numpy() for n, p in zip(names, parameters, strict=True)}
            return {"loss": results[0].numpy(), **values}

        return call, fetch

    def hvp(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        names = [f"{c}{k}" for c in "Wb" for k in range(len(case.sizes) - 1)]
        others = [f"{c}{k}" for c in "Vv" for k in range(len(case.sizes) - 1)]
        parameters = [self.on_device(given[n]) for n in names]
        vectors = [self.on_device(given[n]) for n in others]

        def product(x: Any, y: Any) -> tuple[Any, ...]:
            grads = self.network_loss(parameters, x, y).gradient(*parameters)
            terms = [(g * v).sum() for g, v in zip(grads, vectors, strict=True)]
            return tuple(sum(terms[1:], terms[0]).gradient(*parameters))

        call = self.captured(product, *(self.on_device(given[n]) for n in "xy"))
        return call, lambda r: {n: h.numpy() for n, h in zip(names, r, strict=True)}

    def product(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        call = self.captured(lambda a, b: (a @ b,), *(self.on_device(given[n]) for n in "ab"))
        return call, lambda r: {"y": r[0].numpy()}

    def layer(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        tensors = [self.on_device(given[n]) for n in "abs"]
        call = self.captured(lambda a, b, s: ((a @ b + s).relu(),), *tensors)
        return call, lambda r: {"y": r[0].numpy()}
