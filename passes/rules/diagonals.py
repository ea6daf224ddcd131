"""Diagonal matrices read, transposed and added up; one-hot rows added up over more than a row."""

from __future__ import annotations

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.ops import elementwise as e
from symgraph.ops import index, leaves
from symgraph.ops import shape as s
from symgraph.passes.facts import one_hot_axes
from symgraph.passes.rules.pattern import Node, P, Var, literal_of
from symgraph.passes.rules.rule import EXACT, NORMWISE, Match, Rule
from symgraph.passes.rules.selections import on_diagonal
from symgraph.tensor import Tensor, apply

__all__ = ["DIAGONALS"]

a, t, x = Var("a"), Var("t"), Var("x")

# ---- transposes ----------------------------------------------------------------------------------


def _swaps_last(x: Tensor) -> bool:
    """Whether x has the last two axes of its input swapped, and the others in place."""
    order: tuple[int, ...] = x.attrs["axes"]
    n = len(order)
    return n > 1 and order == (*range(n - 2), n - 1, n - 2)


def _transposed_diagonal(m: Match) -> Tensor | None:
    """A diagonal matrix is its own transpose."""
    (matrix,) = m.node.inputs
    mask = matrix.inputs[0]
    if matrix.ndim != 2 or mask.dtype.kind != "b" or not _swaps_last(m.node):
        return None
    if matrix.op is e.where and (matrix.inputs[1].ndim > 1 or literal_of(matrix.inputs[2]) is None):
        return None
    return matrix if mask.shape == matrix.shape and on_diagonal(mask) else None


def _diagonal_of_transposed(m: Match) -> Tensor | None:
    """On its diagonal a matrix is its own transpose."""
    turned = m.node.inputs[1]
    same = _swaps_last(turned) and m.x.shape == turned.shape == m.node.shape
    if not same or literal_of(m.a) is None or not on_diagonal(m.t):
        return None
    return f.where(m.t, m.x, m.a)


# ---- reading -------------------------------------------------------------------------------------


def _diagonal_read(m: Match) -> Tensor | None:
    """The diagonal of what was written on a diagonal."""
    chosen, *indices = m.node.inputs
    if chosen.op is not e.where or sorted(m.node.attrs["axes"]) != [0, 1] or chosen.ndim != 2:
        return None
    mask, value, _ = chosen.inputs
    i, j = indices
    if i is not j or i.op is not leaves.iota or not on_diagonal(mask) or i.size != mask.shape[0]:
        return None
    if value.ndim == 2:
        return apply(index.gather, (value, *indices), (("axes", m.node.attrs["axes"]),))
    return f.broadcast_to(value, m.node.shape)


def _same_index(m: Match) -> Tensor | None:
    """Axes that one index reads together have no order."""
    of, *indices = m.node.inputs
    axes = m.node.attrs["axes"]
    if len(set(indices)) != 1 or axes == tuple(sorted(axes)):
        return None
    return apply(index.gather, (of, *indices), (("axes", tuple(sorted(axes))),))


# ---- sums ----------------------------------------------------------------------------------------


def _sum_of_diagonal(m: Match) -> Tensor | None:
    """The rows, or all elements, of a diagonal matrix add up to its diagonal, or to that's sum."""
    if m.node.inputs[0].ndim != 2 or m.a.ndim != 1 or not on_diagonal(m.t):
        return None
    if m.a.shape != m.t.shape[1:]:
        return None
    return m.a if len(m.node.attrs["axis"]) == 1 else f.sum(m.a)


def _total_of_one_hot(m: Match) -> Tensor | None:
    """One-hot rows with labels in range add up to how many there are."""
    found, axes = one_hot_axes(m.t), m.node.attrs["axis"]
    if found is None or len(axes) < 2 or found[0] not in axes:
        return None
    if not m.facts.in_range(found[1], found[2]):
        return None
    dims = tuple(d for k, d in enumerate(m.t.shape) if k != found[0])
    rest = tuple(k - (k > found[0]) for k in axes if k != found[0])
    return f.sum(f.broadcast_to(number(1, m.node.dtype), dims), axis=rest)


_GATHER = frozenset((index.gather,))

# fmt: off
DIAGONALS: tuple[Rule, ...] = (
    Rule("diagonal_transposed",
        Node(frozenset((s.permute_dims,)), children=frozenset((e.where, e.astype))),
        _transposed_diagonal, EXACT),
    Rule("diagonal_of_transposed",
        P.where(t, P.permute_dims(x), a), _diagonal_of_transposed, EXACT),
    Rule("diagonal_read",
        Node(_GATHER, children=frozenset((e.where,)), arity=3), _diagonal_read, EXACT),
    Rule("diagonal_axes",      Node(_GATHER), _same_index, EXACT),
    Rule("sum_of_diagonal",    P.sum(P.where(t, a, 0)), _sum_of_diagonal, NORMWISE),
    Rule("one_hot_total",      P.sum(P.astype(t)), _total_of_one_hot, NORMWISE),
)
# fmt: on
