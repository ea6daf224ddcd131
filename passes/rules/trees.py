"""Trees of sums and products: gathered into leaves, and built from terms and factors."""

from __future__ import annotations

from symgraph.functions.variables import number
from symgraph.ops import elementwise as e
from symgraph.passes.rules.lengths import is_length
from symgraph.passes.rules.pattern import Tree
from symgraph.passes.rules.rule import Match
from symgraph.tensor import Tensor, apply
from symgraph.types import DType

__all__ = ["Leaf", "centred", "gathered", "literal_of_value", "plus", "power", "product"]

#: a leaf of a tree with its sign (of a sum) or its exponent (of a product)
Leaf = tuple[Tensor, int]


# ---- gathering -----------------------------------------------------------------------------------


def _parts(node: Tensor, weight: int) -> list[Leaf]:
    """The operands of one node of a tree, with their signs or exponents."""
    ins = node.inputs
    if node.op is e.square:
        return [(ins[0], 2 * weight)]
    if node.op is e.negative:
        return [(ins[0], -weight)]
    if node.op in (e.subtract, e.divide):
        return [(ins[0], weight), (ins[1], -weight)]
    return [(i, weight) for i in ins]


def gathered(m: Match, tree: Tree) -> list[Leaf]:
    """The leaves of the tree below the match, from left to right."""
    found: list[Leaf] = []
    stack: list[Leaf] = [(m.node, 1)]
    while stack:
        node, weight = stack.pop()
        inner = node is m.node or (node.op in tree.ops and m.only_user(node))
        if inner and not (node.op is e.divide and is_length(node.inputs[1])):
            stack += reversed(_parts(node, weight))
        else:
            found.append((node, weight))
    return found


# ---- building ------------------------------------------------------------------------------------


def _half(dtype: DType) -> int:
    return int(2 ** (8 * dtype.itemsize - 1))


def centred(value: float, dtype: DType) -> float:
    """An integer wrapped into -half .. half - 1; a float as it is."""
    if dtype.kind == "f":
        return value
    half = _half(dtype)
    return (int(value) + half) % (2 * half) - half


def literal_of_value(value: float, dtype: DType) -> Tensor:
    """The literal of a coefficient; negative ones wrap in unsigned types."""
    wraps = dtype.kind == "u" and value < 0
    return number(value + 2 * _half(dtype) if wraps else value, dtype)


def plus(total: Tensor | None, value: float, base: Tensor) -> Tensor | None:
    """``total + value * base``, with a difference for a negative coefficient."""
    if value == 0:
        return total
    dtype = base.dtype
    minus = value < 0 and (value == -1 if total is None else value != -_half(dtype))
    size = -value if minus else value
    term = base if size == 1 else apply(e.multiply, (literal_of_value(size, dtype), base))
    if total is None:
        return apply(e.negative, (term,)) if minus else term
    return apply(e.subtract if minus else e.add, (total, term))


def product(factors: list[Tensor]) -> Tensor | None:
    """The product of factors, lower ranks first."""
    total: Tensor | None = None
    for factor in sorted(factors, key=lambda x: x.ndim):
        total = factor if total is None else apply(e.multiply, (total, factor))
    return total


def power(x: Tensor, n: int) -> Tensor:
    """x to a positive integer power, by squaring."""
    found: Tensor | None = None
    while True:
        if n % 2:
            found = x if found is None else apply(e.multiply, (found, x))
        n //= 2
        if n == 0:
            assert found is not None
            return found
        x = apply(e.square, (x,))
