"""Products with eye, diag and one_hot: what they select is taken or scaled, not multiplied.

Such a product adds zeros times the other matrix, and zero times infinity is NaN. Where the other
matrix is known finite these zeros vanish, and in fast they always do. In default what a column
deserves is kept: it is NaN where an element that is not selected is not finite, which one pass over
the matrix finds out.
"""

from __future__ import annotations

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.ops import elementwise as e
from symgraph.ops import index, leaves
from symgraph.ops import shape as s
from symgraph.passes.facts import one_hot_axes
from symgraph.passes.rules.chain_order import is_transpose
from symgraph.passes.rules.layout import reshaped
from symgraph.passes.rules.pattern import Kind, P, Var, literal_of
from symgraph.passes.rules.rule import (
    FINITE_ONLY,
    NORMWISE,
    ROUNDING,
    Condition,
    Look,
    Match,
    Rule,
)
from symgraph.tensor import Tensor, apply

__all__ = ["SELECTIONS", "on_diagonal"]

x, y = Var("x"), Var("y")

# ---- structure -----------------------------------------------------------------------------------

#: the position of the one element of each row that may differ from 0, and what stands there
#: (None: 1); no position means the diagonal
Selection = tuple[Tensor | None, Tensor | None]


#: operations that make such a matrix
SELECTING = frozenset((s.expand_dims, s.permute_dims, e.astype, e.where))


def _selects(k: int) -> Look:
    return lambda kinds: _may_select(kinds[k])


def _may_select(kind: Kind) -> bool:
    if kind.op in (s.expand_dims, s.permute_dims):
        return kind.ops[0] in SELECTING
    return kind.op in SELECTING


def _transposed(kinds: tuple[Kind, ...]) -> bool:
    return kinds[0].op is s.permute_dims and kinds[0].ops[0] in SELECTING


def _selection(m: Match, x: Tensor) -> Selection | None:
    """What a matrix made by eye, diag or one_hot selects; None for other matrices."""
    if x.ndim != 2:
        return None
    if is_transpose(x):
        inner = _selection(m, x.inputs[0])
        return inner if inner is not None and inner[0] is None else None
    if x.op is s.expand_dims and x.attrs["axes"] == (0,):
        return _one_row(m, x.inputs[0])
    scale = None
    if x.op is e.astype and x.inputs[0].dtype.kind == "b":
        (mask,) = x.inputs
    elif x.op is e.where and literal_of(x.inputs[2]) == 0 and x.inputs[1].ndim < 2:
        mask, scale, _ = x.inputs
    else:
        return None
    found = one_hot_axes(mask)
    if mask.ndim != 2 or found is None or found[0] != 1 or not m.facts.in_range(found[1], found[2]):
        return None
    labels = _unexpanded(found[1])
    if labels.shape != x.shape[:1]:
        return None
    diagonal = labels.op is leaves.iota and x.shape[0] == x.shape[1]
    return (None if diagonal else labels), scale


def _one_row(m: Match, row: Tensor) -> Selection | None:
    """What a single one-hot row selects."""
    if row.op is not e.astype or row.inputs[0].dtype.kind != "b":
        return None
    found = one_hot_axes(row.inputs[0])
    if found is None or not m.facts.in_range(found[1], found[2]):
        return None
    return reshaped(found[1], (1,)), None


def _unexpanded(x: Tensor) -> Tensor:
    """A column or row of labels as the vector it was made from."""
    if x.op in (s.expand_dims, s.reshape) and x.inputs[0].ndim == 1:
        return x.inputs[0]
    return reshaped(x, (x.size,)) if x.ndim == 2 else x


def _rows(x: Tensor, labels: Tensor | None) -> Tensor:
    return x if labels is None else apply(index.gather, (x, labels), (("axes", (0,)),))


def _by_selection(m: Match, guarded: bool) -> Tensor | None:
    """A product whose first matrix selects rows of the second."""
    first, second = m.node.inputs
    found = _selection(m, first) if second.ndim == 2 else None
    if found is None:
        return None
    labels, scale = found
    if guarded and labels is not None and not _pays(first, LOOKED_UP):
        return None
    rows = value = _rows(second, labels)
    if scale is not None:
        value = (_rows(scale, labels)[:, None] if scale.ndim else scale) * value
    return _spoiled(value, second, rows, 0) if guarded else value


def _by_diagonal(m: Match, guarded: bool) -> Tensor | None:
    """A product whose second matrix is diagonal."""
    first, second = m.node.inputs
    found = _selection(m, second) if first.ndim == 2 else None
    if found is None or found[0] is not None:
        return None
    value = first if found[1] is None else first * found[1]
    return _spoiled(value, first, first, 1) if guarded else value


def _spoiled(value: Tensor, x: Tensor, taken: Tensor, axis: int) -> Tensor:
    """``value``, and NaN where an element along ``axis`` of x other than the one taken is not
    finite. Integers always are.
    """
    if x.dtype.kind != "f":
        return value
    others = f.sum(_not_finite(x), axis=axis, keepdims=True) - _not_finite(taken)
    return f.where(others > 0, number(float("nan"), x.dtype), value)


def _not_finite(x: Tensor) -> Tensor:
    """1 where x is infinite or NaN, else 0; a rounded sum of several of them is above 1."""
    return f.where(f.isfinite(x), number(0, x.dtype), number(1, x.dtype))


#: from so many rows, and so many classes for a lookup and for a scatter, the guarded form is faster
#: than the product, as measured
ROWS, LOOKED_UP, SCATTERED = 8, 32, 128


def _pays(matrix: Tensor, classes: int) -> bool:
    """Whether looking at all elements once is cheaper than the product; unknown sizes are large."""
    sizes = zip(matrix.shape, (ROWS, classes), strict=True)
    return all(not isinstance(n, int) or n >= least for n, least in sizes)


def _diagonal_second(m: Match) -> bool:
    found = _selection(m, m.node.inputs[1])
    return found is not None and found[0] is None


def _selecting_first(m: Match) -> bool:
    return _selection(m, m.node.inputs[0]) is not None


def _scattering_first(m: Match) -> bool:
    first = m.node.inputs[0]
    return is_transpose(first) and _selection(m, first.inputs[0]) is not None


def _other_finite(k: int) -> Condition:
    return lambda m: m.facts.finite(m.node.inputs[k])


def _by_scattering(m: Match, guarded: bool) -> Tensor | None:
    """A one-hot matrix transposed adds rows up where the labels say."""
    first, second = m.node.inputs
    if not is_transpose(first) or second.ndim != 2 or second.dtype.kind == "b":
        return None
    matrix = first.inputs[0]
    found = _selection(m, matrix)
    if found is None or found[0] is None or found[1] is not None:
        return None
    labels = found[0]
    if guarded and not _pays(matrix, SCATTERED):
        return None
    value = _scattered(m.node, labels, second)
    if not guarded or second.dtype.kind != "f":
        return value
    odd = _not_finite(second)
    others = f.sum(odd, axis=0, keepdims=True) - _scattered(m.node, labels, odd)
    return f.where(others > 0, number(float("nan"), value.dtype), value)


def _scattered(like: Tensor, labels: Tensor, x: Tensor) -> Tensor:
    base = f.zeros(like.shape, like.dtype)
    return apply(index.scatter_add, (base, x, labels), (("axes", (0,)),))


def on_diagonal(mask: Tensor) -> bool:
    """Whether a square mask is true on the diagonal and nowhere else."""
    found = one_hot_axes(mask) if mask.ndim == 2 and mask.shape[0] == mask.shape[1] else None
    if found is None:
        return False
    axis, at, _ = found
    along = at.shape if at.ndim == 2 else (1, *at.shape)
    base = _unexpanded(at)
    return base.op is leaves.iota and base.shape[0] == along[1 - axis] == mask.shape[0]


# fmt: off
SELECTIONS: tuple[Rule, ...] = (
    Rule("rows_selected",
        P.matmul(x, y), lambda m: _by_selection(m, False), FINITE_ONLY, _selecting_first,
        sound=_other_finite(1), looks=_selects(0)),
    Rule("rows_selected_guarded",
        P.matmul(x, y), lambda m: _by_selection(m, True), ROUNDING, looks=_selects(0)),
    Rule("columns_scaled",
        P.matmul(x, y), lambda m: _by_diagonal(m, False), FINITE_ONLY, _diagonal_second,
        sound=_other_finite(0), looks=_selects(1)),
    Rule("columns_scaled_guarded",
        P.matmul(x, y), lambda m: _by_diagonal(m, True), ROUNDING, looks=_selects(1)),
    Rule("rows_scattered",
        P.matmul(x, y), lambda m: _by_scattering(m, False), FINITE_ONLY, _scattering_first,
        sound=_other_finite(1), looks=_transposed),
    Rule("rows_scattered_guarded",
        P.matmul(x, y), lambda m: _by_scattering(m, True), NORMWISE, looks=_transposed),
)
# fmt: on
