"""The order in which a chain of matrix products is taken (section 6.5.9, eq. 6.58).

A product of n factors is gathered from the products that nobody else uses, also through transposes,
and taken in the order that costs fewest multiplications: by dynamic programming where sizes are
known, as ``numpy.linalg.multi_dot`` does. With unknown sizes an order is taken only if it is at
least as good wherever these are at least LEAST (where they are smaller, little is lost), or if a
vector stands at an end: then every product has a vector in it, which is better unless other sizes
are 1 as well. A value that something else uses too is a factor: it costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from symgraph import functions as f
from symgraph.ops import shape as s
from symgraph.ops.product import matmul
from symgraph.passes.rules.layout import is_one
from symgraph.passes.rules.rule import Match
from symgraph.sizes import Atom, Dim, Size, symbols_of
from symgraph.tensor import Tensor

__all__ = ["better_order", "is_transpose"]

#: a factor by its place in the chain, or a product of two such trees
Tree = int | tuple["Tree", "Tree"]

#: longer chains are ordered in pieces of this many factors, which keeps the cost linear
FACTORS = 16
#: unknown sizes stand for these in the search; what is found must then hold for all from LEAST on
NOMINAL = (64, 1 << 20, 16)
LEAST = 16


def is_transpose(x: Tensor) -> bool:
    """Whether x swaps the last two axes of its input and leaves the others."""
    if x.op is not s.permute_dims or x.ndim < 2:
        return False
    rank = x.ndim
    return bool(x.attrs["axes"] == (*range(rank - 2), rank - 1, rank - 2))


def better_order(m: Match) -> Tensor | None:
    """The product in a cheaper order, if there is one."""
    root = m.node
    if not any(_inner(m, i) for i in root.inputs):
        return None
    factors, current = _gathered(m, root)
    if any(x.shape[:-2] != root.shape[:-2] for x in factors):
        return None
    dims = (*[x.shape[-2] for x in factors], factors[-1].shape[-1])
    if len(set(dims)) == 1:
        return None
    best = _best(dims, current)
    return None if best is None else _built(best, factors)


def _inner(m: Match, x: Tensor) -> bool:
    """Whether x is a product, transposed or not, that only this chain uses."""
    if is_transpose(x) and x.inputs[0].op is matmul:
        return m.alone(x) and m.alone(x.inputs[0])
    return x.op is matmul and m.alone(x)


def _gathered(m: Match, root: Tensor) -> tuple[list[Tensor], Tree]:
    """The factors from left to right, at most FACTORS, and the tree that multiplies them now."""
    factors: list[Tensor] = []
    left = FACTORS - 1  # products that may still be opened

    def opened(x: Tensor, transposed: bool) -> Tree:
        nonlocal left
        if x is not root and not (left > 0 and _inner(m, x)):
            factors.append(f.matrix_transpose(x) if transposed else x)
            return len(factors) - 1
        left -= 1
        if is_transpose(x):
            x, transposed = x.inputs[0], not transposed
        a, b = x.inputs[::-1] if transposed else x.inputs
        first = opened(a, transposed)
        return first, opened(b, transposed)

    return factors, opened(root, False)


# ---- the search ----------------------------------------------------------------------------------


def _best(dims: Sequence[Dim], current: Tree) -> Tree | None:
    """A tree that is better than ``current``, if one is known to be."""
    now = _cost(current, dims)
    if all(type(d) is int for d in dims):
        found = _optimal([d for d in dims if type(d) is int])
        return found if _less(_cost(found, dims), now) else None
    ending = _vector_order(dims)
    if ending is not None:
        return None if ending == current or _at_most(now, _cost(ending, dims)) else ending
    symbols = {a for d in dims for a in symbols_of(d)}
    for size in NOMINAL:
        found = _optimal([_estimate(d, dict.fromkeys(symbols, size), size) for d in dims])
        if found != current and _less(_cost(found, dims), now):
            return found
    return None


def _vector_order(dims: Sequence[Dim]) -> Tree | None:
    """The order in which a row or a column at an end of the chain enters every product."""
    n = len(dims) - 1
    tree: Tree
    if is_one(dims[-1]):
        tree = n - 1
        for k in range(n - 2, -1, -1):
            tree = (k, tree)
        return tree
    if is_one(dims[0]):
        tree = 0
        for k in range(1, n):
            tree = (tree, k)
        return tree
    return None


def _optimal(dims: list[int]) -> Tree:
    """The cheapest order for known sizes; of equal ones the first found, from the left."""
    n = len(dims) - 1
    cost = [[0] * n for _ in range(n)]
    split = [[0] * n for _ in range(n)]
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i][j], split[i][j] = min(
                (cost[i][k] + cost[k + 1][j] + dims[i] * dims[k + 1] * dims[j + 1], k)
                for k in range(i, j)
            )

    def tree(i: int, j: int) -> Tree:
        return i if i == j else (tree(i, split[i][j]), tree(split[i][j] + 1, j))

    return tree(0, n - 1)


def _estimate(d: Dim, sizes: dict[Atom, int], opaque: int) -> int:
    """A dim where every symbol has its nominal size."""
    if not isinstance(d, Size):
        return d
    total = 0
    for monomial, c in d.terms:
        total += c * math.prod(sizes.get(atom, opaque) ** power for atom, power in monomial)
    return max(total, 1)


# ---- costs ---------------------------------------------------------------------------------------


def _cost(tree: Tree, dims: Sequence[Dim]) -> Dim:
    """How many multiplications the order takes, as a polynomial of the sizes."""

    def walk(t: Tree) -> tuple[int, int, Dim]:
        if isinstance(t, int):
            return t, t + 1, 0
        (i, k, one), (_, j, two) = walk(t[0]), walk(t[1])
        return i, j, one + two + dims[i] * dims[k] * dims[j]

    return walk(tree)[2]


def _less(a: Dim, b: Dim) -> bool:
    return a != b and _at_most(a, b)


def _at_most(a: Dim, b: Dim) -> bool:
    """Whether a <= b for all unknown sizes from LEAST on: b - a has no negative coefficient in the
    sizes less LEAST.
    """
    gap = b - a
    if not isinstance(gap, Size):
        return gap >= 0
    total: dict[tuple[tuple[Atom, int], ...], int] = {}
    for monomial, c in gap.terms:
        for shifted, times in _shifted(monomial):
            total[shifted] = total.get(shifted, 0) + c * times
    return all(c >= 0 for c in total.values())


def _shifted(
    monomial: tuple[tuple[Atom, int], ...],
) -> list[tuple[tuple[tuple[Atom, int], ...], int]]:
    """The product of (LEAST + t)^k over the atoms, multiplied out."""
    terms: list[tuple[tuple[tuple[Atom, int], ...], int]] = [((), 1)]
    for atom, power in monomial:
        terms = [
            (((*head, (atom, k)) if k else head), c * math.comb(power, k) * LEAST ** (power - k))
            for head, c in terms
            for k in range(power + 1)
        ]
    return terms


def _built(tree: Tree, factors: Sequence[Tensor]) -> Tensor:
    if isinstance(tree, int):
        return factors[tree]
    return f.matmul(_built(tree[0], factors), _built(tree[1], factors))
