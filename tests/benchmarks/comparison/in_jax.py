"""JAX: every case through jax.jit, arguments on the device, the call waits for its result."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from comparison.cases import Case
from comparison.library import Library, Prepared

jax: Any
jnp: Any
np: Any


class Column(Library):
    def load(self) -> None:
        global jax, jnp, np
        os.environ["JAX_PLATFORMS"] = "cpu"
        jax = importlib.import_module("jax")
        jnp = importlib.import_module("jax.numpy")
        np = importlib.import_module("numpy")

    def version(self) -> str:
        return str(jax.__version__)

    def warm_up(self) -> None:
        jax.jit(lambda x: x + 1)(jnp.ones(3)).block_until_ready()

    def prepare(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        jax.config.update("jax_enable_x64", case.dtype == "float64")
        return super().prepare(case, given)

    def affine(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        f, x = jax.jit(lambda x: x * 2 + 1), given["x"]
        return lambda: np.asarray(f(x)), lambda y: {"y": y}

    def map(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        def formula(x: Any) -> Any:
            y = jnp.exp(-(x**2) / 2) * jnp.tanh(x) + jnp.log1p(x**2)
            return jnp.sum(y) if case.kind == "sum" else y

        f, x = jax.jit(formula), jnp.asarray(given["x"])
        return lambda: f(x).block_until_ready(), lambda y: {"y": y}

    sum = map

    def cross_entropy(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        def loss(z: Any, y: Any) -> Any:
            e = jnp.exp(z)
            p = e / jnp.sum(e, axis=1, keepdims=True)
            return -jnp.mean(jnp.log(p[jnp.arange(z.shape[0]), y]))

        f = jax.jit(jax.value_and_grad(loss))
        z, y = jnp.asarray(given["z"]), jnp.asarray(given["y"])
        return lambda: jax.block_until_ready(f(z, y)), lambda r: {"loss": r[0], "g": r[1]}

    @staticmethod
    def network_loss(parameters: Sequence[Any], x: Any, y: Any) -> Any:
        network = importlib.import_module("comparison.network")
        count = len(parameters) // 2
        h = x
        for k in range(count):
            h = h @ parameters[k] + parameters[count + k]
            if k < count - 1:
                h = jnp.maximum(h, 0)
        fit = -jnp.mean(jax.nn.log_softmax(h, axis=1)[jnp.arange(x.shape[0]), y])
        return fit + 0.5 * network.DECAY * sum(jnp.sum(w * w) for w in parameters[:count])

    def step(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        network = importlib.import_module("comparison.network")
        names = [f"{c}{k}" for c in "Wb" for k in range(len(case.sizes) - 1)]

        def advance(parameters: Any, velocity: Any, x: Any, y: Any) -> Any:
            loss, grads = jax.value_and_grad(self.network_loss)(parameters, x, y)
            velocity = [network.MOMENTUM * v + g for v, g in zip(velocity, grads, strict=True)]
            moved = [p - network.RATE * v for p, v in zip(parameters, velocity, strict=True)]
            return moved, velocity, loss

        f = jax.jit(advance, donate_argnums=(0, 1))
        x, y = jnp.asarray(given["x"]), jnp.asarray(given["y"])
        state = [[jnp.array(given[n]) for n in names], [jnp.zeros_like(given[n]) for n in names]]

        def call() -> Any:
            state[0], state[1], loss = f(state[0], state[1], x, y)
            return jax.block_until_ready((loss, state[0]))[0]

        return call, lambda r: {"loss": r, **dict(zip(names, state[0], strict=True))}

    def hvp(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        names = [f"{c}{k}" for c in "Wb" for k in range(len(case.sizes) - 1)]
        others = [f"{c}{k}" for c in "Vv" for k in range(len(case.sizes) - 1)]

        def product(parameters: Any, vectors: Any, x: Any, y: Any) -> Any:
            def gradient(p: Any) -> Any:
                return jax.grad(self.network_loss)(p, x, y)

            return jax.jvp(gradient, (parameters,), (vectors,))[1]

        f = jax.jit(product)
        parameters = [jnp.asarray(given[n]) for n in names]
        vectors = [jnp.asarray(given[n]) for n in others]
        x, y = jnp.asarray(given["x"]), jnp.asarray(given["y"])
        return lambda: jax.block_until_ready(f(parameters, vectors, x, y)), lambda r: dict(
            zip(names, r, strict=True)
        )

    def product(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        f, a, b = jax.jit(jnp.matmul), jnp.asarray(given["a"]), jnp.asarray(given["b"])
        return lambda: f(a, b).block_until_ready(), lambda y: {"y": y}

    def layer(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        f = jax.jit(lambda a, b, s: jnp.maximum(a @ b + s, 0))
        a, b, s = (jnp.asarray(given[n]) for n in "abs")
        return lambda: f(a, b, s).block_until_ready(), lambda y: {"y": y}

    def chain(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        depth = case.sizes[0]
        names = [f"{c}{k}" for c in "Wb" for k in range(depth)]

        def loss(parameters: Any, x: Any) -> Any:
            h = x
            for k in range(depth):
                h = jnp.tanh(h @ parameters[k] + parameters[depth + k])
            return jnp.mean(h * h)

        f = jax.jit(jax.value_and_grad(loss))
        parameters, x = [jnp.asarray(given[n]) for n in names], jnp.asarray(given["x"])

        def fetch(r: Any) -> dict[str, Any]:
            return {"loss": r[0], **dict(zip(names, r[1], strict=True))}

        return lambda: jax.block_until_ready(f(parameters, x)), fetch
