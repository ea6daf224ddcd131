"""Functions of one variable with their first two derivatives, in mpmath and stable everywhere; and
how an expression is measured against them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

import symgraph as sg
from symgraph import Tensor

__all__ = ["FORMS", "Form", "misses"]

Unary = Callable[[Tensor], Tensor]
Array = np.ndarray[Any, Any]
mp = mpmath.mp

ALL = (0.0, 1e-300, -1e-300, 1e-20, -1e-20, 1.0, -1.0, 40.0, -40.0, 800.0, -800.0, 1e4, -1e4)
HUGE = (1e308, -1e308)
POSITIVE = tuple(p for p in ALL if p > 0)
NEGATIVE = tuple(-p for p in POSITIVE)
UNIT = (1e-300, 1e-20, 1e-3, 0.25, 0.5, 0.75, 1 - 1e-10)


@dataclass(frozen=True, slots=True)
class Form:
    """A function and its derivatives, and where it is measured.

    ``scale`` is 0 for an error relative to the value, or the magnitude of terms that cancel.
    """

    values: tuple[Callable[[Any], Any], Callable[[Any], Any], Callable[[Any], Any]]
    points: Sequence[float] = ALL + HUGE
    scale: float = 0.0


def _exp(x: Any) -> Any:
    return mpmath.exp(max(x, mpmath.mpf(-(10**9)))) if x < 10**9 else mpmath.inf


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + _exp(-x)) if x > 0 else _exp(x) / (1 + _exp(x))


def _softplus(x: Any) -> Any:
    return max(x, mpmath.mpf(0)) + mpmath.log1p(_exp(-abs(x)))


def _slope(x: Any) -> Any:
    return _sigmoid(x) * _sigmoid(-x)


def _tanh(x: Any) -> Any:
    return mpmath.sign(x) * -mpmath.expm1(-2 * abs(x)) / (1 + _exp(-2 * abs(x)))


def _sech2(x: Any) -> Any:
    return 4 * _slope(2 * x)


def _erfcx(x: Any) -> Any:
    if x < 50:
        return _exp(x * x) * mpmath.erfc(x)
    z, term, total = 1 / (2 * x * x), mpmath.mpf(1), mpmath.mpf(1)
    for k in range(1, 40, 2):
        term *= -k * z
        total += term
    return total / (x * mpmath.sqrt(mp.pi))


def _hazard(x: Any) -> Any:
    """The slope of -log erfc."""
    return 2 / mpmath.sqrt(mp.pi) / _erfcx(x)


# fmt: off
FORMS: dict[str, Form] = {
    "sigmoid":  Form((_sigmoid, _slope, lambda x: -_slope(x) * _tanh(x / 2))),
    "softplus": Form((_softplus, _sigmoid, _slope)),
    "log sigmoid": Form((lambda x: -_softplus(-x), lambda x: _sigmoid(-x), lambda x: -_slope(x))),
    "tanh":     Form((_tanh, _sech2, lambda x: -2 * _tanh(x) * _sech2(x)), scale=1.0),
    "slope":    Form((_slope, lambda x: -_slope(x) * _tanh(x / 2),
                      lambda x: _slope(x) * (_tanh(x / 2)**2 - 2 * _slope(x)))),
    "slope, absolute": Form((_slope, lambda x: -_slope(x) * _tanh(x / 2),
                             lambda x: _slope(x) * (_tanh(x / 2)**2 - 2 * _slope(x))), scale=1.0),
    "identity": Form((lambda x: x, lambda x: mpmath.mpf(1), lambda x: mpmath.mpf(0))),
    "log cosh": Form((lambda x: abs(x) + mpmath.log1p(_exp(-2 * abs(x))) - mpmath.log(2), _tanh,
                      _sech2), scale=1.0),
    "sech squared": Form((_sech2, lambda x: -2 * _tanh(x) * _sech2(x),
                          lambda x: _sech2(x) * (4 * _tanh(x)**2 - 2 * _sech2(x))), ALL, 0.0),
    "silu":     Form((lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) + x * _slope(x),
                      lambda x: _slope(x) * (2 - x * _tanh(x / 2)))),
    "logit":    Form((lambda p: mpmath.log(p) - mpmath.log1p(-p), lambda p: 1 / (p * (1 - p)),
                      lambda p: (2 * p - 1) / (p * (1 - p))**2), UNIT, 1.0),
    "log1mexp": Form((lambda x: mpmath.log(-mpmath.expm1(x)), lambda x: -1 / mpmath.expm1(-x),
                      lambda x: -_exp(-x) / mpmath.expm1(-x)**2), NEGATIVE),
    "logexpm1": Form((lambda x: x + mpmath.log(-mpmath.expm1(-x)), lambda x: -1 / mpmath.expm1(-x),
                      lambda x: -_exp(-x) / mpmath.expm1(-x)**2), POSITIVE, 1.0),
    "sinh":     Form((mpmath.sinh, mpmath.cosh, mpmath.sinh), [p for p in ALL if abs(p) < 700]),
    "exp":      Form((_exp, _exp, _exp), [p for p in ALL if abs(p) < 700]),
    "atanh":    Form((mpmath.atanh, lambda x: 1 / ((1 - x) * (1 + x)),
                      lambda x: 2 * x / ((1 - x) * (1 + x))**2), (0.0, *UNIT), 1.0),
    "asinh":    Form((mpmath.asinh, lambda x: 1 / mpmath.hypot(1, x),
                      lambda x: -x / mpmath.hypot(1, x)**3)),
    "erfc":     Form((mpmath.erfc, lambda x: -2 / mpmath.sqrt(mp.pi) * _exp(-x * x),
                      lambda x: 4 * x / mpmath.sqrt(mp.pi) * _exp(-x * x)),
                     (0.0, 1e-20, -1e-20, 1.0, -1.0, 5.0, 20.0, -5.0, 40.0, -40.0, 1e4, -1e4)),
    "erfcx":    Form((_erfcx, lambda x: 2 * x * _erfcx(x) - 2 / mpmath.sqrt(mp.pi),
                      lambda x: (2 + 4 * x * x) * _erfcx(x) - 4 * x / mpmath.sqrt(mp.pi)),
                     (0.0, 1e-20, -1e-20, 1.0, -1.0, 5.0, 20.0, -5.0, 40.0, 800.0, 1e4)),
    "log erfc": Form((lambda x: mpmath.log(_erfcx(x)) - x * x if x > 0.5 else
                      mpmath.log1p(-mpmath.erf(x)), lambda x: -_hazard(x),
                      lambda x: -_hazard(x) * (_hazard(x) - 2 * x)),
                     (0.0, 1e-20, -1e-20, 1.0, -1.0, 5.0, 20.0, -5.0, -40.0, 40.0, 800.0, 1e4)),
    "entropy":  Form((lambda x: _sigmoid(x) * _softplus(-x) + _sigmoid(-x) * _softplus(x),
                      lambda x: -x * _slope(x),
                      lambda x: _slope(x) * (x * _tanh(x / 2) - 1)), ALL, 1.0),
}
# fmt: on


def _error(got: float, truth: Any, scale: float, dtype: Any) -> float:
    """The error in units of the rounding of the value, or of ``scale`` where terms cancel."""
    limits = np.finfo(dtype)
    if not np.isfinite(got):
        large = abs(truth) > float(limits.max) * (1 - 1e-6)
        return 0.0 if large and got == float(mpmath.sign(truth)) * np.inf else np.inf
    size = max(abs(truth), mpmath.mpf(scale))
    floor = 4 * mpmath.mpf(float(limits.tiny)) * float(limits.eps)
    return float(abs(mpmath.mpf(got) - truth) / (size * float(limits.eps) + floor))


def _points(form: Form, dtype: str) -> Array:
    """The points in ``dtype``, without those that round to an infinity, a 0 or a 1 of their own."""
    wide = np.array(form.points)
    with np.errstate(over="ignore"):
        at = wide.astype(dtype)
    kept = np.isfinite(at) & ((at == 0) == (wide == 0)) & ((at == 1) == (wide == 1))
    return np.unique(at[kept])


def misses(
    formula: Unary,
    form: Form,
    dtype: str = "float64",
    passes: Any = "default",
    order: int = 2,
    ulps: float = 64.0,
    first: int = 0,
) -> list[str]:
    """Where the value (unless ``first`` is 1) or a derivative of ``formula`` is not ``form``'s.

    An error may grow with the argument: exp(x) turns the rounding of x into a relative error.
    """
    x = sg.vector("x", shape="n", dtype=dtype)
    outputs = [formula(x)]
    for _ in range(order):
        outputs.append(sg.grad(sg.sum(outputs[-1]), x, disconnected="zero"))
    at = _points(form, dtype)
    got = sg.function([x], outputs, passes=passes, backend="reference")(at)
    found = []
    with mpmath.workdps(60):
        for k in range(first, order + 1):
            for point, value in zip(at.tolist(), got[k].tolist(), strict=True):
                truth = form.values[k](mpmath.mpf(point))
                steep = 1 + min(abs(point), 1e5)
                if not _error(value, truth, form.scale, dtype) <= ulps * steep:
                    found.append(f"derivative {k} at {point}: {value} for {mpmath.nstr(truth, 8)}")
    return found
