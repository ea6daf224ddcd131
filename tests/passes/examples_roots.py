"""Expressions on which the rules of the family roots fire."""

from __future__ import annotations

from rule_example import Example

import symgraph as sg
from symgraph.functions.variables import number

__all__ = ["EXAMPLES"]

EXAMPLES: dict[str, Example] = {
    "hypot_plus_literal": lambda x, y, z, k: sg.hypot(x, number(1, x.dtype)) + number(-1, x.dtype),
}
