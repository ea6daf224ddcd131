"""Expressions on which the rules of the family logic fire."""

from __future__ import annotations

from rule_example import Example, node

import symgraph as sg
from symgraph.functions.variables import number, size_value
from symgraph.ops import elementwise as e
from symgraph.ops import leaves

__all__ = ["EXAMPLES"]


# fmt: off
EXAMPLES: dict[str, Example] = {
    # ---- folding ---------------------------------------------------------------------------------
    "fold_exact":         lambda x, y, z, k: x + (number(2, x.dtype) * number(3, x.dtype)),
    "fold":               lambda x, y, z, k: x + sg.exp(number(1, x.dtype)),
    "fold_size":          lambda x, y, z, k: x + node(leaves.size, dim=3, dtype=x.dtype),
    "cast_size": lambda x, y, z, k: (
        x + node(e.astype, size_value(x.shape[0]), dtype=x.dtype)
    ),
    # ---- logic -----------------------------------------------------------------------------------
    "where_again_true":   lambda x, y, z, k: sg.where(x > y, sg.where(x > y, x, y), z),
    "where_again_false":  lambda x, y, z, k: sg.where(x > y, z, sg.where(x > y, x, y)),
    "astype_chain":       lambda x, y, z, k: sg.astype(sg.astype(x > 0, "float32"), "float64"),
    "astype_same":        lambda x, y, z, k: node(e.astype, x, dtype=x.dtype),
    "equal_same":         lambda x, y, z, k: sg.equal(k, k),
    "unequal_same":       lambda x, y, z, k: sg.not_equal(k, k),
    "finite_integer":     lambda x, y, z, k: sg.isfinite(k),
    "nan_integer":        lambda x, y, z, k: sg.isnan(k),
    "inf_integer":        lambda x, y, z, k: sg.isinf(k),
}
# fmt: on
