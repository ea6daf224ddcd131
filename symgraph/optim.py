"""Optimisers (Algorithms 8.1 to 8.7): each returns the updates of one step, a dictionary.

Every function takes a scalar cost, or the gradients themselves, and the shared variables to change;
pass what it returns as ``updates=`` to :func:`symgraph.function`. Rates and coefficients are
numbers, tensors or shared variables. State is kept in shared variables of the parameters' dtype.

>>> import symgraph as sg, numpy as np
>>> w = sg.shared(np.array([1.0, 2.0]), name="w")
>>> updates = sgd(sg.sum(w * w), [w], learning_rate=0.25)
>>> step = sg.function([], None, updates=updates, backend="reference")
>>> step(); w.get_value()
array([0.5, 1. ])
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symgraph import functions as f
from symgraph.errors import DTypeError, ShapeError, UsageError
from symgraph.functions import SharedVariable
from symgraph.functions.variables import as_tensor, cast, number, shared
from symgraph.passes.gradient import grad
from symgraph.passes.rebuild import substitute
from symgraph.sizes import differ
from symgraph.tensor import Tensor, describe
from symgraph.types import DType, shape_text

__all__ = ["adagrad", "adam", "momentum", "nesterov", "rmsprop", "sgd"]


def __dir__() -> list[str]:
    return list(__all__)


Updates = dict[SharedVariable, Tensor]
#: A scalar cost, or one gradient for each parameter.
CostOrGrads = Tensor | Sequence[Tensor] | Mapping[SharedVariable, Tensor]
Parameters = SharedVariable | Sequence[SharedVariable]


# ---- what all of them need -----------------------------------------------------------------------


def _parameters(params: Any, what: str) -> list[SharedVariable]:
    given: list[SharedVariable] = [params] if isinstance(params, SharedVariable) else list(params)
    for p in given:
        if not isinstance(p, SharedVariable):
            raise UsageError(
                f"{what}: {p!r} is not a shared variable; make parameters with sg.shared"
            )
        if p.dtype.kind != "f":
            raise DTypeError(
                f"{what}: {describe(p)} is {p.dtype.name}; a parameter is floating-point"
            )
    if len(set(given)) != len(given):
        raise UsageError(f"{what}: a parameter is listed twice")
    return given


def _gradients(cost_or_grads: Any, params: list[SharedVariable], what: str) -> list[Tensor]:
    if isinstance(cost_or_grads, Tensor):  # a bare tensor is a cost; lists hold gradients
        found: list[Tensor] = grad(cost_or_grads, params)
        return found
    if isinstance(cost_or_grads, Mapping):
        missing = [describe(p) for p in params if p not in cost_or_grads]
        if missing:
            raise UsageError(f"{what}: no gradient for {', '.join(missing)}")
        given = [cost_or_grads[p] for p in params]
    else:
        given = list(cost_or_grads)
    if len(given) != len(params):
        raise UsageError(f"{what}: {len(given)} gradients for {len(params)} parameters")
    return [_checked(g, p, what) for g, p in zip(given, params, strict=True)]


def _checked(g: Any, p: SharedVariable, what: str) -> Tensor:
    t = as_tensor(g, what)
    if t.dtype != p.dtype and not t.type.weak:
        raise DTypeError(
            f"{what}: the gradient of {describe(p)} is {t.dtype.name}, not {p.dtype.name}"
        )
    if t.ndim != p.ndim or any(differ(a, b) for a, b in zip(t.shape, p.shape, strict=True)):
        raise ShapeError(
            f"{what}: the gradient of {describe(p)} has shape {shape_text(t.shape)}, "
            f"not {shape_text(p.shape)}"
        )
    return cast(t, p.dtype)


def _as(value: Any, dtype: DType, what: str) -> Tensor:
    """A rate or coefficient in the parameter's dtype."""
    t = as_tensor(value, what)
    if t.ndim:
        raise ShapeError(
            f"{what}: {describe(t)} has shape {shape_text(t.shape)}; a scalar is needed"
        )
    return cast(t, dtype)


def _zeros(p: SharedVariable, role: str) -> SharedVariable:
    """State of a parameter's shape and dtype, starting at zero."""
    name = f"{p.name or 'parameter'}_{role}"
    start = np.zeros_like(p.get_value(borrow=True))
    return shared(start, name=name, shape=None if p.cell.static else p.shape)


def _interim(
    gradients: list[Tensor],
    params: list[SharedVariable],
    velocities: list[SharedVariable],
    alpha: Any,
    what: str,
) -> list[Tensor]:
    """The gradients where the velocity is about to carry the parameters: at theta + alpha v."""
    ahead: dict[Tensor, Tensor] = {
        p: p + _as(alpha, p.dtype, what) * v for p, v in zip(params, velocities, strict=True)
    }
    return substitute(gradients, ahead)


# ---- the algorithms ------------------------------------------------------------------------------


def sgd(cost_or_grads: CostOrGrads, params: Parameters, learning_rate: Any = 0.01) -> Updates:
    """Stochastic gradient descent (Algorithm 8.1)."""
    ps = _parameters(params, "sgd")
    gs = _gradients(cost_or_grads, ps, "sgd")
    return {p: p - _as(learning_rate, p.dtype, "sgd") * g for p, g in zip(ps, gs, strict=True)}


def momentum(
    cost_or_grads: CostOrGrads, params: Parameters, learning_rate: Any = 0.01, momentum: Any = 0.9
) -> Updates:
    """Momentum (Algorithm 8.2): v <- momentum v - rate g; theta <- theta + v."""
    ps = _parameters(params, "momentum")
    gs = _gradients(cost_or_grads, ps, "momentum")
    vs = [_zeros(p, "velocity") for p in ps]
    return _carried(ps, vs, _scaled(ps, gs, learning_rate, "momentum"), momentum, "momentum")


def nesterov(
    cost_or_grads: CostOrGrads, params: Parameters, learning_rate: Any = 0.01, momentum: Any = 0.9
) -> Updates:
    """Nesterov momentum (Algorithm 8.3): the gradient is taken at theta + momentum v."""
    ps = _parameters(params, "nesterov")
    vs = [_zeros(p, "velocity") for p in ps]
    gs = _interim(_gradients(cost_or_grads, ps, "nesterov"), ps, vs, momentum, "nesterov")
    return _carried(ps, vs, _scaled(ps, gs, learning_rate, "nesterov"), momentum, "nesterov")


def _scaled(ps: list[SharedVariable], gs: list[Tensor], rate: Any, what: str) -> list[Tensor]:
    return [_as(rate, p.dtype, what) * g for p, g in zip(ps, gs, strict=True)]


def _carried(
    ps: list[SharedVariable], vs: list[SharedVariable], steps: list[Tensor], alpha: Any, what: str
) -> Updates:
    """v <- alpha v - step; theta <- theta + v."""
    updates: Updates = {}
    for p, v, step in zip(ps, vs, steps, strict=True):
        updates[v] = new = _as(alpha, p.dtype, what) * v - step
        updates[p] = p + new
    return updates


def adagrad(
    cost_or_grads: CostOrGrads, params: Parameters, learning_rate: Any = 0.01, delta: Any = 1e-7
) -> Updates:
    """AdaGrad (Algorithm 8.4): the rate over delta + sqrt(r), r the sum of squared gradients."""
    ps = _parameters(params, "adagrad")
    updates: Updates = {}
    for p, g in zip(ps, _gradients(cost_or_grads, ps, "adagrad"), strict=True):
        rate, small = _as(learning_rate, p.dtype, "adagrad"), _as(delta, p.dtype, "adagrad")
        r = _zeros(p, "squares")
        updates[r] = total = r + g * g
        updates[p] = p - rate / (small + f.sqrt(total)) * g
    return updates


def rmsprop(
    cost_or_grads: CostOrGrads,
    params: Parameters,
    learning_rate: Any = 0.001,
    rho: Any = 0.9,
    delta: Any = None,
    momentum: Any = None,
) -> Updates:
    """RMSProp (Algorithm 8.5); with ``momentum``, its form with Nesterov momentum (Algorithm 8.6).

    r is the moving average of squared gradients. The plain form divides the rate by
    sqrt(delta + r), delta 1e-6 unless given. The form with momentum divides by sqrt(r) as printed,
    so a component whose gradient has always been 0 becomes NaN; give a ``delta`` to have
    sqrt(delta + r) there too.
    """
    ps = _parameters(params, "rmsprop")
    gs = _gradients(cost_or_grads, ps, "rmsprop")
    vs = [_zeros(p, "velocity") for p in ps] if momentum is not None else []
    if momentum is not None:
        gs = _interim(gs, ps, vs, momentum, "rmsprop")
    elif delta is None:
        delta = 1e-6
    state: Updates = {}
    steps = []
    for p, g in zip(ps, gs, strict=True):
        r = _averaged(p, g * g, rho, "squares", state, "rmsprop")
        root = f.sqrt(r if delta is None else _as(delta, p.dtype, "rmsprop") + r)
        steps.append(_as(learning_rate, p.dtype, "rmsprop") / root * g)
    if momentum is not None:
        return state | _carried(ps, vs, steps, momentum, "rmsprop")
    return state | {p: p - step for p, step in zip(ps, steps, strict=True)}


def _averaged(
    p: SharedVariable, value: Tensor, rho: Any, role: str, state: Updates, what: str
) -> Tensor:
    """The moving average rho * old + (1 - rho) * value, stored in a state of its own."""
    old = _zeros(p, role)
    keep, take = _as(rho, p.dtype, what), _as(1 - rho, p.dtype, what)
    state[old] = keep * old + take * value
    return state[old]


def adam(
    cost_or_grads: CostOrGrads,
    params: Parameters,
    learning_rate: Any = 0.001,
    rho1: Any = 0.9,
    rho2: Any = 0.999,
    delta: Any = 1e-8,
) -> Updates:
    """Adam (Algorithm 8.7): bias-corrected first moment over sqrt(second) + delta."""
    ps = _parameters(params, "adam")
    updates: Updates = {}
    times: dict[DType, Tensor] = {}
    for p, g in zip(ps, _gradients(cost_or_grads, ps, "adam"), strict=True):
        if p.dtype not in times:
            t = shared(np.zeros((), p.dtype), name="time_step")
            updates[t] = times[p.dtype] = t + 1
        s = _averaged(p, g, rho1, "mean", updates, "adam")
        r = _averaged(p, g * g, rho2, "squares", updates, "adam")
        s_hat = s / _correction(rho1, times[p.dtype])
        r_hat = r / _correction(rho2, times[p.dtype])
        rate, small = _as(learning_rate, p.dtype, "adam"), _as(delta, p.dtype, "adam")
        updates[p] = p - rate * (s_hat / (f.sqrt(r_hat) + small))
    return updates


def _correction(rho: Any, t: Tensor) -> Tensor:
    """1 - rho**t. In float32 a rho near 1 is rounded, and the difference would keep few digits."""
    if isinstance(rho, Tensor):
        log_rho = f.log(cast(rho, t.dtype))
    else:
        log_rho = number(math.log(rho) if rho > 0 else -math.inf, t.dtype)
    return -f.expm1(t * log_rho)
