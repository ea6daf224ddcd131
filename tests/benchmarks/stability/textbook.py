"""The formulas, spelled naively for any library, and the points where the spelling breaks.

``f(m, x)`` is a scalar made from a vector x with the functions of ``m``: exp, log, sqrt, cos, erf,
erfc, sum, prod. Nothing here is written the stable way: that is the library's part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["FORMULAS", "Formula"]

Points = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula and its hard points."""

    name: str
    f: Callable[[Any, Any], Any]
    points: Points


def one(*points: float) -> Points:
    """Points of a function of one number."""
    return tuple((p,) for p in points)


def softmax(m: Any, x: Any) -> Any:
    return m.exp(x) / m.sum(m.exp(x))


def sigmoid(m: Any, x: Any) -> Any:
    return 1 / (1 + m.exp(-x))


def cross_entropy(m: Any, x: Any) -> Any:
    return -m.log(softmax(m, x)[0])


def binary_cross_entropy(m: Any, x: Any) -> Any:
    s = sigmoid(m, x[0])
    return -(x[1] * m.log(s) + (1 - x[1]) * m.log(1 - s))


def divergence(m: Any, x: Any) -> Any:
    """KL(p || q) of the softmaxes of x and of -x/2."""
    p = softmax(m, x)
    return m.sum(p * (m.log(p) - m.log(softmax(m, -0.5 * x))))


def tempered(m: Any, x: Any) -> Any:
    return -m.log((m.exp(x / 0.01) / m.sum(m.exp(x / 0.01)))[1])


def weighted(m: Any, x: Any) -> Any:
    return m.log(2 * m.exp(x[0]) + 3 * m.exp(x[1]) + 0.5 * m.exp(x[2]))


def variance(m: Any, x: Any) -> Any:
    return m.sum(x * x) / 3 - (m.sum(x) / 3) * (m.sum(x) / 3)


def root(m: Any, x: Any) -> Any:
    """The smaller root of z^2 + b z + c."""
    b, c = x[0], x[1]
    return (-b + m.sqrt(b * b - 4 * c)) / 2


def mixture(m: Any, x: Any) -> Any:
    return m.log(m.exp(-0.5 * (x[0] - 1) * (x[0] - 1)) + m.exp(-0.5 * (x[0] + 1) * (x[0] + 1)))


LOGITS: Points = ((1000.0, 999.0, 0.0), (-1000.0, -1001.0, -1002.0), (0.0, 10000.0, 5.0))
TWO_LARGE: Points = ((1000.0, 999.0), (-1000.0, -1001.0), (1.0, 1.0 - 1e-12))

# fmt: off
FORMULAS: tuple[Formula, ...] = (
    Formula("log sum exp", lambda m, x: m.log(m.sum(m.exp(x))), LOGITS),
    Formula("weighted log sum exp", weighted, LOGITS),
    Formula("log mean exp", lambda m, x: m.log(m.sum(m.exp(x)) / 3), LOGITS),
    Formula("softmax", lambda m, x: softmax(m, x)[0], LOGITS[:2]),
    Formula("log softmax", lambda m, x: m.log(softmax(m, x))[0], LOGITS),
    Formula("cross-entropy", cross_entropy, LOGITS),
    Formula("cross-entropy, temperature 1/100", tempered, ((1.0, 30.0, -20.0), (30.0, 1.0, -20.0))),
    Formula("entropy of a softmax",
            lambda m, x: -m.sum(softmax(m, x) * m.log(softmax(m, x))), ((5.0, 0.0, -2000.0),)),
    Formula("KL divergence", divergence, ((1000.0, 0.0, -1000.0), (1.0, 2.0, 3.0))),
    Formula("softplus", lambda m, x: m.log(1 + m.exp(x[0])), one(1000.0, -50.0, -800.0)),
    Formula("logistic loss",
            lambda m, x: m.log(1 + m.exp(-x[0] * x[1])), ((30.0, 30.0), (-30.0, 30.0))),
    Formula("sigmoid", lambda m, x: sigmoid(m, x[0]), one(-740.0, 40.0, 800.0)),
    Formula("log sigmoid", lambda m, x: m.log(sigmoid(m, x[0])), one(-1000.0, 40.0, 700.0)),
    Formula("1 - sigmoid", lambda m, x: 1 - sigmoid(m, x[0]), one(40.0, 700.0, -700.0)),
    Formula("binary cross-entropy"
            , binary_cross_entropy, ((-800.0, 1.0), (800.0, 0.0), (50.0, 1.0))),
    Formula("logit", lambda m, x: m.log(x[0] / (1 - x[0])), one(1e-300, 0.5 + 1e-12, 0.999)),
    Formula("x sigmoid(x)", lambda m, x: x[0] / (1 + m.exp(-x[0])), one(-730.0, 800.0)),
    Formula("tanh", lambda m, x: (m.exp(x[0]) - m.exp(-x[0])) / (m.exp(x[0]) + m.exp(-x[0])),
            one(800.0, 1e-9, -400.0)),
    Formula("log cosh",
            lambda m, x: m.log((m.exp(x[0]) + m.exp(-x[0])) / 2), one(1000.0, -800.0, 1.0)),
    Formula("sinh", lambda m, x: (m.exp(x[0]) - m.exp(-x[0])) / 2, one(1e-10, 1e-3)),
    Formula("log(1 - exp x)", lambda m, x: m.log(1 - m.exp(x[0])), one(-1e-12, -50.0, -800.0)),
    Formula("log(exp x - exp y)", lambda m, x: m.log(m.exp(x[0]) - m.exp(x[1])), TWO_LARGE),
    Formula("log(exp x + exp y)", lambda m, x: m.log(m.exp(x[0]) + m.exp(x[1])), TWO_LARGE[:2]),
    Formula("log of two Gaussians", mixture, one(100.0, -100.0)),
    Formula("exp(x) - 1", lambda m, x: m.exp(x[0]) - 1, one(1e-12, -1e-18)),
    Formula("(exp(x) - 1) / x", lambda m, x: (m.exp(x[0]) - 1) / x[0], one(1e-12, 0.5)),
    Formula("log(1 + x)", lambda m, x: m.log(1 + x[0]), one(1e-12, -1e-18)),
    Formula("log((1 + x) / (1 - x))",
            lambda m, x: m.log((1 + x[0]) / (1 - x[0])), one(1e-12, -1e-5)),
    Formula("1 - cos x", lambda m, x: 1 - m.cos(x[0]), one(1e-8, 1e-3)),
    Formula("sqrt(x + 1) - sqrt(x)", lambda m, x: m.sqrt(x[0] + 1) - m.sqrt(x[0]), one(1e16, 1e12)),
    Formula("x^2 - y^2", lambda m, x: x[0] * x[0] - x[1] * x[1], ((1e8 + 1, 1e8), (1e155, 1e155))),
    Formula("root of a quadratic", root, ((1e8, 1.0), (1e200, 1.0))),
    Formula("variance", variance, ((1e8 + 1, 1e8 + 2, 1e8 + 3), (1.0, 2.0, 4.0))),
    Formula("norm", lambda m, x: m.sqrt(m.sum(x * x)), ((1e200, 2e200), (1e-200, 2e-200))),
    Formula("hypotenuse",
            lambda m, x: m.sqrt(x[0] * x[0] + x[1] * x[1]), ((3e200, 4e200), (3e-180, 4e-180))),
    Formula("mean of huge numbers", lambda m, x: m.sum(x) / 3, ((1e308, 1.1e308, 1.2e308),)),
    Formula("log of a product",
            lambda m, x: m.log(m.prod(x)), ((1e-200, 1e-150, 1e-3), (1e200, 1e150, 1e3))),
    Formula("geometric mean", lambda m, x: m.exp(m.log(m.prod(x)) / 3), ((1e-200, 1e-150, 1e-3),)),
    Formula("log erfc", lambda m, x: m.log(m.erfc(x[0])), one(30.0, 10.0, -3.0)),
    Formula("log of the normal distribution",
            lambda m, x: m.log(0.5 * (1 + m.erf(x[0] / 2**0.5))), one(-40.0, -10.0, 3.0)),
)
# fmt: on
