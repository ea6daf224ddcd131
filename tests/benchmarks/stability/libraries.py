"""How each library computes the value and gradient of a formula; imported only when asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any

__all__ = ["LIBRARIES", "TITLES", "Result"]

Result = tuple[float, list[float]]
Formula = Callable[[Any, Any], Any]
NAMES = ("exp", "log", "sqrt", "cos", "sum", "prod")


def _names(module: Any, **more: Any) -> SimpleNamespace:
    return SimpleNamespace(**{n: getattr(module, n) for n in NAMES if n not in more}, **more)


def _symgraph(f: Formula, point: Sequence[float]) -> Result:
    import symgraph as sg

    x = sg.vector("x", len(point))
    y = f(_names(sg, erf=sg.erf, erfc=sg.erfc), x)
    value, gradient = sg.function([x], [y, sg.grad(y, x)])(list(point))
    return float(value), gradient.tolist()


def _jax(f: Formula, point: Sequence[float]) -> Result:
    jax, jnp = import_module("jax"), import_module("jax.numpy")
    special = import_module("jax.scipy.special")
    jax.config.update("jax_enable_x64", True)
    m = _names(jnp, erf=special.erf, erfc=special.erfc)
    value, gradient = jax.jit(jax.value_and_grad(lambda x: f(m, x)))(jnp.array(point))
    return float(value), [float(g) for g in gradient]


def _pytensor(f: Formula, point: Sequence[float]) -> Result:
    pytensor, pt = import_module("pytensor"), import_module("pytensor.tensor")
    x = pt.dvector("x")
    y = f(_names(pt, erf=pt.erf, erfc=pt.erfc), x)
    value, gradient = pytensor.function([x], [y, pytensor.grad(y, x)])(list(point))
    return float(value), gradient.tolist()


def _torch(f: Formula, point: Sequence[float]) -> Result:
    torch = import_module("torch")

    def number(g: Any) -> Any:
        return lambda x: g(x if isinstance(x, torch.Tensor) else torch.tensor(x))

    x = torch.tensor(point, dtype=torch.float64, requires_grad=True)
    special = torch.special
    y = f(_names(torch, exp=number(torch.exp), erf=special.erf, erfc=special.erfc), x)
    y.backward()
    return float(y.detach()), x.grad.tolist()


def _casadi(f: Formula, point: Sequence[float]) -> Result:
    ca = import_module("casadi")

    def prod(x: Any) -> Any:
        out = x[0]
        for k in range(1, x.shape[0]):
            out = out * x[k]
        return out

    x = ca.SX.sym("x", len(point))
    erf = ca.erf
    y = f(_names(ca, sum=ca.sum1, prod=prod, erf=erf, erfc=lambda z: 1 - erf(z)), x)
    value, gradient = ca.Function("f", [x], [y, ca.gradient(y, x)])(list(point))
    return float(value), [float(g) for g in gradient.full().ravel()]


def _autograd(f: Formula, point: Sequence[float]) -> Result:
    autograd, anp = import_module("autograd"), import_module("autograd.numpy")
    special = import_module("autograd.scipy.special")
    m, x = _names(anp, erf=special.erf, erfc=special.erfc), anp.array(point)
    with anp.errstate(all="ignore"):
        return float(f(m, x)), autograd.grad(lambda z: f(m, z))(x).tolist()


LIBRARIES: dict[str, Callable[[Formula, Sequence[float]], Result]] = {
    "symgraph": _symgraph, "jax": _jax, "pytensor": _pytensor, "torch": _torch, "casadi": _casadi,
    "autograd": _autograd,
}  # fmt: skip

TITLES = {
    "symgraph": "symgraph", "jax": "JAX", "pytensor": "PyTensor", "torch": "PyTorch",
    "casadi": "CasADi", "autograd": "autograd",
}  # fmt: skip
