"""Declarations of all operations by family: types, NumPy values, traits."""

from symgraph.ops import elementwise, index, leaves, product, reduction, shape
from symgraph.ops.registry import OPS

__all__ = ["OPS", "elementwise", "index", "leaves", "product", "reduction", "shape"]
