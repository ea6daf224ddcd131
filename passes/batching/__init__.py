"""How every operation is computed for many values at once; file names as in :mod:`symgraph.ops`."""

from symgraph.passes.batching import elementwise, index, product, reduction, shape
from symgraph.passes.batching.forms import NOT_BATCHED, RULES, Call, rule_of

__all__ = [
    "NOT_BATCHED", "RULES", "Call", "elementwise", "index", "product", "reduction", "rule_of",
    "shape",
]  # fmt: skip
