"""PyTorch in eager mode, as most of its users run it; gradients by torch.autograd."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from comparison.cases import Case
from comparison.library import Library, Prepared

torch: Any


class Column(Library):
    compiles = False

    def load(self) -> None:
        global torch
        torch = importlib.import_module("torch")
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))

    def version(self) -> str:
        return f"{torch.__version__} (eager)"

    def warm_up(self) -> None:
        torch.ones(3) + 1

    def leaf(self, value: Any) -> Any:
        return torch.from_numpy(value.copy()).requires_grad_()

    def affine(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        x = given["x"]
        return lambda: (torch.from_numpy(x) * 2 + 1).numpy(), lambda y: {"y": y}

    def map(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        x = torch.from_numpy(given["x"])

        def call() -> Any:
            return torch.exp(-(x**2) / 2) * torch.tanh(x) + torch.log1p(x**2)

        return call, lambda y: {"y": y}

    def sum(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        values, _ = self.map(case, given)
        return lambda: values().sum(), lambda y: {"y": y}

    def cross_entropy(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        z, y = self.leaf(given["z"]), torch.from_numpy(given["y"])
        rows = torch.arange(case.sizes[0])

        def call() -> tuple[Any, Any]:
            e = torch.exp(z)
            p = e / e.sum(1, keepdim=True)
            loss = -torch.log(p[rows, y]).mean()
            return loss.detach(), torch.autograd.grad(loss, z)[0]

        return call, lambda r: {"loss": r[0], "g": r[1]}

    @staticmethod
    def network_loss(parameters: Sequence[Any], x: Any, y: Any) -> Any:
        network = importlib.import_module("comparison.network")
        count = len(parameters) // 2
        h = x
        for k in range(count):
            h = torch.addmm(parameters[count + k], h, parameters[k])
            if k < count - 1:
                h = torch.relu(h)
        fit = torch.nn.functional.cross_entropy(h, y)
        return fit + 0.5 * network.DECAY * sum((w * w).sum() for w in parameters[:count])

    def step(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        network = importlib.import_module("comparison.network")
        names = [f"{c}{k}" for c in "Wb" for k in range(len(case.sizes) - 1)]
        parameters = [self.leaf(given[n]) for n in names]
        x, y = torch.from_numpy(given["x"]), torch.from_numpy(given["y"])
        optimiser = torch.optim.SGD(parameters, lr=network.RATE, momentum=network.MOMENTUM)

        def call() -> Any:
            loss = self.network_loss(parameters, x, y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            return loss.detach()

        def fetch(loss: Any) -> dict[str, Any]:
            return {"loss": loss, **{n: p.detach() for n, p in zip(names, parameters, strict=True)}}

        return call, fetch

    def hvp(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        names = [f"{c}{k}" for c in "Wb" for k in range(len(case.sizes) - 1)]
        others = [f"{c}{k}" for c in "Vv" for k in range(len(case.sizes) - 1)]
        parameters = [self.leaf(given[n]) for n in names]
        vectors = [torch.from_numpy(given[n]) for n in others]
        x, y = torch.from_numpy(given["x"]), torch.from_numpy(given["y"])

        def call() -> Any:
            loss = self.network_loss(parameters, x, y)
            grads = torch.autograd.grad(loss, parameters, create_graph=True)
            return torch.autograd.grad(grads, parameters, vectors)

        return call, lambda r: dict(zip(names, r, strict=True))

    def product(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        a, b = torch.from_numpy(given["a"]), torch.from_numpy(given["b"])
        return lambda: a @ b, lambda y: {"y": y}

    def layer(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        a, b, s = (torch.from_numpy(given[n]) for n in "abs")
        return lambda: torch.relu(torch.addmm(s, a, b)), lambda y: {"y": y}

    def chain(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        depth = case.sizes[0]
        names = [f"{c}{k}" for c in "Wb" for k in range(depth)]
        parameters, x = [self.leaf(given[n]) for n in names], torch.from_numpy(given["x"])

        def call() -> tuple[Any, Any]:
            h = x
            for k in range(depth):
                h = torch.tanh(h @ parameters[k] + parameters[depth + k])
            loss = (h * h).mean()
            return loss.detach(), torch.autograd.grad(loss, parameters)

        return call, lambda r: {"loss": r[0], **dict(zip(names, r[1], strict=True))}
