"""Expressions on which the rules of the family explog fire."""

from __future__ import annotations

import math

from rule_example import Example

import symgraph as sg
from symgraph.functions.variables import number

__all__ = ["EXAMPLES"]


# fmt: off
EXAMPLES: dict[str, Example] = {
    # ---- exponentials and logarithms -------------------------------------------------------------
    "exp_log_softmax":    lambda x, y, z, k: sg.exp(sg.log_softmax(x)),
    "log_of_indexed":     lambda x, y, z, k: sg.log(sg.softmax(x)[sg.arange(x.shape[0]), k]),
    "log_of_reciprocal":  lambda x, y, z, k: sg.log(1 / sg.abs(y)),
    "log_of_cosh":        lambda x, y, z, k: sg.log(sg.cosh(x)),
    "log_of_either":      lambda x, y, z, k: sg.log(sg.softmax(x) / sg.sigmoid(y)),
    "log_of_where":       lambda x, y, z, k: sg.log(sg.where(z > 0, sg.sigmoid(x), sg.softmax(y))),
    "logsumexp_of_terms": lambda x, y, z, k: (
        sg.log(number(3, x.dtype) + sg.exp(x) + sg.exp(y))
    ),
    "power_of_e":         lambda x, y, z, k: sg.pow(number(math.e, x.dtype), x),
    "log_exp_over":       lambda x, y, z, k: sg.log(sg.exp(x) / sg.abs(y)),
    "log_over_exp":       lambda x, y, z, k: sg.log(sg.abs(y) / sg.exp(x)),
    "log_times_exp":      lambda x, y, z, k: sg.log(sg.exp(x) * sg.abs(y)),
    "log_prod":           lambda x, y, z, k: sg.log(sg.prod(x, axis=1)),
}
# fmt: on
