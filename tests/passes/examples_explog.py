"""Expressions on which the rules of the families explog, sigmoid and tails fire."""

from __future__ import annotations

import math

from rule_example import Example

import symgraph as sg
from symgraph import Tensor
from symgraph.functions.variables import number

__all__ = ["EXAMPLES"]


def _shifted_logaddexp(x: Tensor, y: Tensor) -> Tensor:
    m = sg.maximum(x, y)
    return m + sg.logaddexp(x - m, y - m)


def _masked_product(y: Tensor, u: Tensor) -> Tensor:
    """y * u, but 0 where that is 0 times an infinity."""
    empty = sg.logical_and(sg.equal(number(0, y.dtype), y), sg.isinf(u))
    one = sg.logical_and(sg.isinf(y), sg.equal(number(0, u.dtype), u))
    return sg.where(sg.logical_or(empty, one), number(0, u.dtype), y * u)


# fmt: off
EXAMPLES: dict[str, Example] = {
    # ---- exponentials and logarithms -------------------------------------------------------------
    "exp_log_softmax":     lambda x, y, z, k: sg.exp(sg.log_softmax(x)),
    "log_of_exponentials": lambda x, y, z, k: sg.log(3 + sg.exp(x) + 0.5 * sg.exp(y)),
    "log1p_of_total":      lambda x, y, z, k: sg.log1p(sg.sum(sg.exp(x), axis=1)),
    "exponentials_cancel": lambda x, y, z, k: sg.exp(x) - sg.exp(-x),
    "logaddexp_shift":     lambda x, y, z, k: _shifted_logaddexp(x, y),
    "power_of_e":          lambda x, y, z, k: sg.pow(number(math.e, x.dtype), x),
    "power_of_known":      lambda x, y, z, k: sg.pow(sg.sigmoid(x), 0.25),
    "x_log_x":             lambda x, y, z, k: sg.abs(x) * sg.log(sg.abs(x)),
    "log_of_known":        lambda x, y, z, k: sg.log(sg.softmax(x)[sg.arange(x.shape[0]), k]),
    "log_of_reciprocal":   lambda x, y, z, k: sg.log(1 / sg.abs(y)),
    "log_of_either":       lambda x, y, z, k: sg.log(sg.softmax(x) / sg.sigmoid(y)),
    "log_of_magnitude":    lambda x, y, z, k: sg.log(sg.abs(x * y)),
    "log_of_power":        lambda x, y, z, k: sg.log(x**6),
    "log_of_where":        lambda x, y, z, k: sg.log(sg.where(z > 0, sg.sigmoid(x), sg.softmax(y))),
    "log_prod":            lambda x, y, z, k: sg.log(sg.prod(x, axis=1)),
    "exponentials_join":   lambda x, y, z, k: (sg.exp(x) * y) * (sg.exp(z) * z),
    "power_of_logarithm":  lambda x, y, z, k: _masked_product(y, x),
    # ---- the logistic function -------------------------------------------------------------------
    "real_quotient_of_exponentials": lambda x, y, z, k: y / (z * sg.exp(x)),
    "quotient_of_exponentials": lambda x, y, z, k: y / (1 + sg.exp(x)),
    "negative_power_of_exponentials": lambda x, y, z, k: (1 + sg.exp(x)) ** -3,
    "factors_join":        lambda x, y, z, k: (y * sg.exp(x)) * (z * sg.sigmoid(-x)),
    "complement":          lambda x, y, z, k: y - y * sg.sigmoid(x),
    "literals_of_bounded": lambda x, y, z, k: (
        number(0.5, x.dtype) * (number(3, x.dtype) * sg.sigmoid(x))
    ),
    "own_square":          lambda x, y, z, k: sg.sigmoid(x) - sg.sigmoid(x) ** 2,
    "one_minus_tanh_squared": lambda x, y, z, k: 1 - sg.tanh(x) ** 2,
    "softplus_flipped":    lambda x, y, z, k: x + sg.softplus(-x),
    "softplus_difference": lambda x, y, z, k: sg.softplus(x) - sg.softplus(-x),
    "sigmoid_difference":  lambda x, y, z, k: sg.sigmoid(x) - sg.sigmoid(-x),
    "weights_join":        lambda x, y, z, k: (1 - y) * sg.sigmoid(x) - y * sg.sigmoid(-x),
    # ---- odd and even functions ------------------------------------------------------------------
    "odd_of_negative":     lambda x, y, z, k: sg.asinh(-x),
    "negative_of_odd":     lambda x, y, z, k: -sg.tanh(number(-3, x.dtype) * x),
    "log_cosh":            lambda x, y, z, k: (
        number(-math.log(2), x.dtype) + sg.logaddexp(x, -x)
    ),
    # ---- tails -----------------------------------------------------------------------------------
    "log1p_minus_erf":     lambda x, y, z, k: sg.log1p(-sg.erf(0.25 * x)),
    "erf_plus_erfc":       lambda x, y, z, k: sg.erf(x) + sg.erfc(x),
}
# fmt: on
