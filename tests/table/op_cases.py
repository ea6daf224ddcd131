"""The one table of all operations, and the backends it is run on."""

from __future__ import annotations

from typing import Any

import op_cases_elementwise
import op_cases_index
import op_cases_product
import op_cases_reduction
import op_cases_shape
from op_case import Case

#: The backends that every table test runs on.
BACKENDS = ("reference", "llvm")

#: Operations are tested as they are written; the rules have tables of their own.
PASSES: tuple[Any, ...] = ()

CASES: tuple[Case, ...] = (
    *op_cases_elementwise.ROWS,
    *op_cases_reduction.ROWS,
    *op_cases_shape.ROWS,
    *op_cases_index.ROWS,
    *op_cases_product.ROWS,
)
