"""The derivative of every operation, by family; file names as in :mod:`symgraph.ops`."""

from symgraph.passes.derivatives import elementwise, index, product, reduction, shape
from symgraph.passes.derivatives.forms import DERIVATIVES, Selected, derivative_of, unbroadcast

__all__ = [
    "DERIVATIVES", "Selected", "derivative_of", "elementwise", "index", "product", "reduction",
    "shape", "unbroadcast",
]  # fmt: skip
