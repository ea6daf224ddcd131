"""Rules of reductions: of reductions, of constants, of products with factors that do not vary."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from symgraph import functions as f
from symgraph.functions.variables import number, size_value
from symgraph.op import Op
from symgraph.ops import OPS
from symgraph.ops import elementwise as e
from symgraph.ops import reduction as r
from symgraph.passes.rebuild import rebuilt
from symgraph.passes.rules.diagonals import DIAGONALS
from symgraph.passes.rules.layout import constant_along, is_one, reshaped
from symgraph.passes.rules.pattern import Call, Const, Node, P, Var, call, literal_of
from symgraph.passes.rules.regions import Cut, Line, cut_of, groups, sliced
from symgraph.passes.rules.rule import (
    EXACT,
    FINITE_ONLY,
    NORMWISE,
    ROUNDING,
    Match,
    Rule,
)  # fmt: skip
from symgraph.sizes import Dim, lower_bound, product
from symgraph.tensor import Tensor, apply
from symgraph.types import DType

__all__ = ["REDUCING"]

a, b, x, y = (Var(n) for n in "abxy")
c = Const("c")

Axes = tuple[int, ...]

EXTREMES = frozenset((r.max_, r.min_))
LOGICAL = frozenset((r.any_, r.all_))
PICKS = frozenset((r.argmax, r.argmin))
#: reductions that look at a set of values: their order and repetition do not matter
SETS = EXTREMES | LOGICAL
SUMS = frozenset((r.sum_, r.prod))
#: reductions that may be done in any order up to rounding; a product might overflow on the way
SUM_LIKE = frozenset((r.sum_, r.logsumexp))
NONE: frozenset[Op] = frozenset()

#: rounded correctly, or not at all: they keep the order of numbers exactly
STEADY = frozenset((e.relu, e.floor, e.ceil, e.trunc, e.round_))
#: rising functions of all numbers, not rounded correctly everywhere
RISING = frozenset(
    (e.exp, e.exp2, e.expm1, e.tanh, e.sigmoid, e.softplus, e.atan, e.asinh, e.cbrt, e.erf, e.sinh)
)


def _axes(node: Tensor) -> Axes:
    axes: Axes = node.attrs["axis"]
    return axes


def _reduce(m: Match, x: Tensor, axes: Axes) -> Tensor:
    return apply(m.node.op, (x,), (("axis", axes),)) if axes else x


def _source(m: Match) -> Tensor:
    return m.node.inputs[0]


def _kept(rank: int, axes: Axes) -> list[int]:
    return [k for k in range(rank) if k not in axes]


def _some(dims: list[Dim]) -> bool:
    """Whether there is at least one element along each of these axes."""
    return all((lower_bound(d) or 0) >= 1 for d in dims)


# ---- nothing to reduce ---------------------------------------------------------------------------


def _of_one(m: Match) -> Tensor | None:
    """A reduction over axes of size 1, or over none, only takes them away."""
    of = _source(m)
    alone = tuple(k for k in _axes(m.node) if is_one(of.shape[k]))
    if m.node.op in PICKS:
        return number(0, m.node.dtype) if alone else None
    if len(alone) < len(_axes(m.node)):
        return None
    return f.squeeze(of, alone) if alone else of


def _of_some_ones(m: Match) -> Tensor | None:
    """Axes of size 1 among those reduced are taken away before."""
    of, axes = _source(m), _axes(m.node)
    alone = tuple(k for k in axes if is_one(of.shape[k]))
    if not alone or len(alone) == len(axes):
        return None
    places = {k: at for at, k in enumerate(_kept(of.ndim, alone))}
    return _reduce(m, f.squeeze(of, alone), tuple(places[k] for k in axes if k in places))


# ---- reductions of moved elements ----------------------------------------------------------------


def _of_permuted(m: Match) -> Tensor:
    """Reduce the axes where they are, and lay out what is left."""
    order, gone = _source(m).attrs["axes"], _axes(m.node)
    kept = [order[k] for k in _kept(len(order), gone)]
    inner = _reduce(m, m.x, tuple(sorted(order[k] for k in gone)))
    rest = sorted(kept)
    return f.permute_dims(inner, [rest.index(k) for k in kept])


def _of_expanded(m: Match) -> Tensor:
    """Reducing an axis of size 1 only takes it away."""
    added, gone = _source(m).attrs["axes"], _axes(m.node)
    places = _kept(_source(m).ndim, added)
    axes = tuple(places.index(k) for k in gone if k not in added)
    return reshaped(_reduce(m, m.x, axes), m.node.shape)


def _of_squeezed(m: Match) -> Tensor:
    """Axes of size 1 may be dropped after the reduction as well."""
    dropped, gone = _source(m).attrs["axes"], _axes(m.node)
    places = _kept(m.x.ndim, dropped)
    axes = tuple(places[k] for k in gone)
    left = _kept(m.x.ndim, axes)
    return f.squeeze(_reduce(m, m.x, axes), tuple(left.index(k) for k in dropped))


def _of_reshaped(m: Match) -> Tensor | None:
    """Where runs of axes are reduced whole, their shape does not matter."""
    of, gone = _source(m), _axes(m.node)
    if len(gone) == of.ndim:
        return _reduce(m, m.x, tuple(range(m.x.ndim)))
    runs = groups(m.x.shape, of.shape)
    if runs is None:
        return None
    axes: list[int] = []
    for before, after in runs:
        cut = [k for k in after if k in gone]
        if cut and any(k not in gone and not is_one(of.shape[k]) for k in after):
            return None
        axes += before if cut else []
    return reshaped(_reduce(m, m.x, tuple(axes)), m.node.shape)


def _of_flipped(m: Match) -> Tensor | None:
    """The order of the elements does not matter."""
    inner, gone = _source(m), _axes(m.node)
    cut = cut_of(inner)
    lines = list(cut.lines)
    for k in gone:
        size = m.x.shape[k]
        if lines[k] == Line(size - 1, -1, size):
            lines[k] = Line(0, 1, size)
    if tuple(lines) == cut.lines or cut.checked:
        return None
    return rebuilt(m.node, (sliced(m.x, Cut(tuple(lines))),))


# ---- reductions of repeated elements -------------------------------------------------------------


def _repeated(m: Match) -> tuple[Tensor, Axes, list[Dim]] | None:
    """For a reduced broadcast: the source with the axes of the node, those of the reduced axes
    that vary in it, and the sizes of the others.
    """
    of, gone = _source(m), _axes(m.node)
    extra = of.ndim - m.x.ndim
    same = [k for k in gone if constant_along(m.x, (k,), of.ndim) and not is_one(of.shape[k])]
    if not same:
        return None
    dropped = tuple(k - extra for k in same if k >= extra)
    inner = f.squeeze(m.x, dropped) if dropped else m.x
    places = {k: at for at, k in enumerate(k for k in range(extra, of.ndim) if k not in same)}
    axes = tuple(places[k] for k in gone if k in places)
    return inner, axes, [of.shape[k] for k in same]


def _set_of_repeated(m: Match) -> Tensor | None:
    """A value repeated is the value, if there is one at all."""
    found = _repeated(m)
    if found is None or not _some(found[2]):
        return None
    return _reduce(m, found[0], found[1])


def _sum_of_repeated(m: Match) -> Tensor | None:
    """A value added up n times is n times the value; of none only where 0 times it is 0."""
    found = _repeated(m)
    if found is None:
        return None
    inner, axes, dims = found
    if not (_some(dims) or m.facts.finite(m.x)):
        return None
    count = _times(product(dims), m.node.dtype)
    return None if count is None else f.multiply(count, _reduce(m, inner, axes))


def _times(count: Dim, dtype: DType) -> Tensor | None:
    """A count as a factor; in integers it wraps as the sum does."""
    if dtype.kind == "f":
        return size_value(count, dtype)
    if type(count) is not int:
        return size_value(count, dtype) if dtype.itemsize == 8 else None
    return f.constant(np.array(count).astype(dtype))


def _prod_of_repeated(m: Match) -> Tensor | None:
    """A value multiplied n times is its power."""
    found = _repeated(m)
    if found is None:
        return None
    inner, axes, dims = found
    count = product(dims)
    if type(count) is not int or count > 4 or m.node.dtype.kind != "f":
        return None
    return f.pow(_reduce(m, inner, axes), number(count, m.node.dtype))


# ---- reductions of reductions --------------------------------------------------------------------


def _chain(m: Match) -> Tensor:
    inner, outer = _axes(_source(m)), _axes(m.node)
    kept = _kept(m.x.ndim, inner)
    return _reduce(m, m.x, tuple(sorted((*inner, *(kept[k] for k in outer)))))


def _same_op(m: Match) -> bool:
    return _source(m).op is m.node.op


def _chain_of(m: Match) -> Tensor:
    m.env["x"] = _source(m).inputs[0]
    return _chain(m)


# ---- reductions of functions ---------------------------------------------------------------------


def _opposite(m: Match) -> Tensor:
    """The largest of -x is minus the smallest of x."""
    other = r.min_ if m.node.op is r.max_ else r.max_
    return f.negative(apply(other, (m.x,), (("axis", _axes(m.node)),)))


def _not_logical(m: Match) -> Tensor:
    other = r.all_ if m.node.op is r.any_ else r.any_
    return f.logical_not(apply(other, (m.x,), (("axis", _axes(m.node)),)))


def _rises(m: Match) -> Tensor | None:
    """The largest of f(x) is f of the largest x, for rising f; of nothing it is not."""
    inner = _source(m)
    dims = [inner.shape[k] for k in _axes(m.node)]
    if not _some(dims) or not m.alone(inner):
        return None
    return rebuilt(inner, (rebuilt(m.node, inner.inputs),))


def _root_rises(m: Match) -> Tensor | None:
    return _rises(m) if m.facts.nonnegative(m.x) else None


# ---- sums of products ----------------------------------------------------------------------------


def _factor_out(m: Match) -> Tensor:
    """sum_j a_i * x_ij is a_i * sum_j x_ij."""
    of, axes = _source(m), _axes(m.node)
    extra = of.ndim - m.a.ndim
    dropped = tuple(k - extra for k in axes if k >= extra)
    factor = f.squeeze(m.a, dropped) if dropped else m.a
    return f.multiply(factor, _reduce(m, m.b, axes))


def _splits(m: Match) -> bool:
    """Whether the factor is constant along the axes of the sum, and the other has them all."""
    of, axes = _source(m), _axes(m.node)
    return (
        m.a.ndim > 0
        and m.b.shape == of.shape
        and constant_along(m.a, axes, of.ndim)
        and not all(is_one(of.shape[k]) for k in axes)
        and m.alone(of)
    )


def _regroups(m: Match) -> bool:
    """Whether both factors are moderate, and the sum not one of nothing times NaN."""
    dims = [_source(m).shape[k] for k in _axes(m.node)]
    if not m.facts.bounded(m.a) or not (_some(dims) or m.facts.nan_free(m.a)):
        return False
    return m.facts.bounded(m.b)


def _sum_of_chosen(m: Match) -> Tensor | None:
    """A literal where the mask holds, else zero: the literal times how often it holds."""
    if m.c.ndim or not m.alone(_source(m)):
        return None
    mask = f.broadcast_to(m.t, _source(m).shape)
    count = apply(r.sum_, (f.astype(mask, m.node.dtype),), (("axis", _axes(m.node)),))
    return f.multiply(m.c, count)


def _finite_literal(m: Match) -> bool:
    return m.node.dtype.kind == "f" and literal_of(m.c) != 1 and m.facts.finite(m.c)


def _for_each(
    what: str,
    inner: Call,
    build: Callable[[Match], Tensor | None],
    ops: frozenset[Op],
    more: frozenset[Op] = NONE,
) -> list[Rule]:
    """One rule for each reduction of ``inner``: exact where the order of elements is nothing."""
    return [
        Rule(f"{op.name}_{what}", call(op, inner), build, NORMWISE if op in SUM_LIKE else EXACT)
        for op in OPS.values()
        if op in ops | more
    ]


# fmt: off
REDUCING: tuple[Rule, ...] = (
    # ---- nothing to reduce -----------------------------------------------------------------------
    Rule("reduction_of_one",   Node(SETS | PICKS), _of_one, EXACT),
    Rule("sum_of_one",         Node(SUMS | {r.logsumexp}), _of_one, ROUNDING),
    Rule("reduction_of_ones",  Node(SETS), _of_some_ones, EXACT),
    Rule("sum_of_ones",        Node(SUMS | {r.logsumexp}), _of_some_ones, NORMWISE),
    # ---- of moved elements -----------------------------------------------------------------------
    *_for_each("permuted", P.permute_dims(x), _of_permuted, SETS | SUM_LIKE, PICKS),
    *_for_each("expanded", P.expand_dims(x), _of_expanded, SETS | SUM_LIKE),
    *_for_each("squeezed", P.squeeze(x), _of_squeezed, SETS | SUM_LIKE, PICKS),
    *_for_each("reshaped", P.reshape(x), _of_reshaped, SETS | SUM_LIKE),
    *_for_each("flipped", P.slice(x), _of_flipped, SETS | SUM_LIKE),
    # ---- of repeated elements --------------------------------------------------------------------
    *_for_each("repeated", P.broadcast_to(x), _set_of_repeated, SETS),
    Rule("sum_repeated",       P.sum(P.broadcast_to(x)), _sum_of_repeated, NORMWISE),
    Rule("prod_repeated",      P.prod(P.broadcast_to(x)), _prod_of_repeated, ROUNDING, ulps=4),
    # ---- of reductions ---------------------------------------------------------------------------
    Rule("extreme_chain",      Node(SETS, children=SETS), _chain_of, EXACT, _same_op),
    Rule("prod_chain_integer",
        P.prod(P.prod(x)), _chain, EXACT, lambda m: m.node.dtype.kind in "iu"),
    Rule("prod_chain",         P.prod(P.prod(x)), _chain, FINITE_ONLY),
    # ---- of functions ----------------------------------------------------------------------------
    Rule("max_negative",
        P.max(P.negative(x)), _opposite, EXACT, lambda m: m.node.dtype.kind == "f"),
    Rule("min_negative",
        P.min(P.negative(x)), _opposite, EXACT, lambda m: m.node.dtype.kind == "f"),
    Rule("any_not",            P.any(P.logical_not(x)), _not_logical, EXACT),
    Rule("all_not",            P.all(P.logical_not(x)), _not_logical, EXACT),
    Rule("extreme_steady",     Node(EXTREMES, children=STEADY), _rises, EXACT),
    Rule("extreme_rising",     Node(EXTREMES, children=RISING), _rises, ROUNDING),
    Rule("max_sqrt",           P.max(P.sqrt(x)), _root_rises, EXACT),
    Rule("min_sqrt",           P.min(P.sqrt(x)), _root_rises, EXACT),
    # ---- of products -----------------------------------------------------------------------------
    Rule("sum_factor",
        P.sum(P.multiply(a, b)), _factor_out, FINITE_ONLY, _splits, sound=_regroups),
    Rule("sum_chosen",
        P.sum(P.where(Var("t"), c, 0.0)), _sum_of_chosen, NORMWISE, _finite_literal),
    # ---- of diagonals and one-hot rows ----------------------------------------------------------
    *DIAGONALS,
)
# fmt: on
