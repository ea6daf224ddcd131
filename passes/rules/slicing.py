"""Rules of slices: what is read is computed, and nothing else."""

from __future__ import annotations

from symgraph import functions as f
from symgraph.functions.creation import iota
from symgraph.functions.variables import number
from symgraph.ops import OPS, leaves
from symgraph.ops import elementwise as e
from symgraph.ops import product as p
from symgraph.ops import reduction as r
from symgraph.ops import shape as s
from symgraph.passes.rebuild import rebuilt
from symgraph.passes.rules.accumulating import ACCUMULATING
from symgraph.passes.rules.gathering import GATHERING
from symgraph.passes.rules.joining import JOINING
from symgraph.passes.rules.layout import is_one, reshaped
from symgraph.passes.rules.pattern import Node, P, Var
from symgraph.passes.rules.regions import (
    Cut,
    Line,
    at_least,
    cut_of,
    groups,
    matching_axis,
    placed,
    placed_cut,
    sliced,
)  # fmt: skip
from symgraph.passes.rules.rule import EXACT, NORMWISE, Match, Rule
from symgraph.passes.rules.writing import WRITING
from symgraph.tensor import Tensor, apply

__all__ = ["SLICING"]

x = Var("x")

SLICE = frozenset((s.slice_,))
ELEMENTWISE = frozenset(
    op for op in OPS.values()
    if "elementwise" in op.traits and op is not e.assume_normalised
)  # fmt: skip
REDUCTIONS = frozenset(op for op in OPS.values() if "reduction" in op.traits)
EXACT_REDUCTIONS = frozenset(op for op in REDUCTIONS if "exact" in op.traits)
ROWWISE = frozenset((r.softmax, r.log_softmax, r.cumulative_sum))


def _source(m: Match) -> Tensor:
    return m.node.inputs[0]


# ---- slices of moved elements --------------------------------------------------------------------


def _of_permuted(m: Match) -> Tensor:
    places = dict(enumerate(_source(m).attrs["axes"]))
    return rebuilt(_source(m), (sliced(m.x, cut_of(m.node).moved(places, m.x.shape)),))


def _of_expanded(m: Match) -> Tensor | None:
    inner, cut = _source(m), cut_of(m.node)
    added = inner.attrs["axes"]
    if any(cut.lines[k].start != 0 or not is_one(cut.lines[k].length) for k in added):
        return None
    kept = [k for k in range(inner.ndim) if k not in added]
    places = {k: at for at, k in enumerate(kept)}
    return rebuilt(inner, (sliced(m.x, cut.moved(places, m.x.shape)),))


def _of_squeezed(m: Match) -> Tensor:
    inner = _source(m)
    kept = [k for k in range(m.x.ndim) if k not in inner.attrs["axes"]]
    cut = cut_of(m.node).moved(dict(enumerate(kept)), m.x.shape)
    return rebuilt(inner, (sliced(m.x, cut),))


def _of_reshaped(m: Match) -> Tensor | None:
    """Axes that reshape leaves as they are may be cut before it."""
    inner, cut = _source(m), cut_of(m.node)
    runs = groups(m.x.shape, inner.shape)
    if runs is None:
        return None
    places: dict[int, int] = {}
    for run in runs:
        pair = matching_axis(run, m.x.shape, inner.shape)
        if pair is not None:
            places[pair[1]] = pair[0]
    if any(not cut.whole(k, d) for k, d in enumerate(inner.shape) if k not in places):
        return None
    return reshaped(sliced(m.x, cut.moved(places, m.x.shape)), m.node.shape)


def _of_broadcast(m: Match) -> Tensor | None:
    """Where elements only repeat nothing has to be cut."""
    cut, extra = cut_of(m.node), m.node.ndim - m.x.ndim
    repeated = [
        k
        for k, d in enumerate(_source(m).shape)
        if k < extra or (is_one(m.x.shape[k - extra]) and not is_one(d))
    ]
    if any(k in cut.checked for k in repeated):
        return None
    return cut.of_operand(m.x) if cut.lines else None


def _of_iota(m: Match) -> Tensor | None:
    (line,) = cut_of(m.node).lines
    if line.start != 0 or line.step != 1 or "checked" in m.node.attrs:
        return None
    return f.astype(iota(line.length), m.node.dtype)


def _of_nothing(m: Match) -> Tensor | None:
    """A slice without elements does not depend on what it is taken from."""
    empty = any(type(d) is int and d == 0 for d in m.node.shape)
    return number(0, m.node.dtype) if empty and "checked" not in m.node.attrs else None


# ---- slices of joined and placed parts -----------------------------------------------------------


def _of_concat(m: Match) -> Tensor | None:
    """From the parts that it meets."""
    inner, cut = _source(m), cut_of(m.node)
    axis = inner.attrs["axis"]
    if axis in cut.checked:
        return None
    found = _parts_met(inner.inputs, axis, cut.lines[axis])
    if found is None or (len(found) > 1 and not m.alone(inner)):
        return None
    pieces = [sliced(part, _with(cut, axis, line)) for part, line in found]
    return pieces[0] if len(pieces) == 1 else f.concat(pieces, axis=axis)


def _with(cut: Cut, axis: int, line: Line) -> Cut:
    return Cut((*cut.lines[:axis], line, *cut.lines[axis + 1 :]), cut.checked)


def _parts_met(
    parts: tuple[Tensor, ...], axis: int, line: Line
) -> list[tuple[Tensor, Line]] | None:
    """The parts that hold the line's positions, and which of theirs; None where unknown."""
    found: list[tuple[Tensor, Line]] = []
    low, at, end = 0 * line.start, line.start, line.start + line.length
    for part in parts:
        high = low + part.shape[axis]
        if not found and line.within(low, high):
            return [(part, Line(line.start - low, line.step, line.length))]
        if line.step == 1 and not at_least(at, high):
            last = at_least(high, end)
            if not at_least(at, low) or not (last or at_least(end, high)):
                return None
            stop = end if last else high
            found.append((part, Line(at - low, 1, stop - at)))
            at = stop
            if last:
                return found
        low = high
    return None


def _of_place(m: Match) -> Tensor | None:
    """What was written, or what was there."""
    inner, cut = _source(m), cut_of(m.node)
    written = placed_cut(inner)
    if cut.checked or written.checked:
        return None
    read: list[Line] = []
    put: list[Line] = []
    for mine, its in zip(cut.lines, written.lines, strict=True):
        if _apart(mine, its):
            return inner.inputs[1]
        found = _met(mine, its)
        if found is None:
            return None
        read.append(found[0])
        put.append(found[1])
    part = sliced(inner.inputs[0], Cut(tuple(read)))
    return placed(part, inner.inputs[1], Cut(tuple(put)), m.node.shape)


def _apart(a: Line, b: Line) -> bool:
    """Whether two lines share no position."""
    if at_least(a.low, b.high + 1) or at_least(b.low, a.high + 1):
        return True
    gap = a.start - b.start
    return type(gap) is int and a.step % b.step == 0 and gap % b.step != 0


def _met(mine: Line, its: Line) -> tuple[Line, Line] | None:
    """What the line ``mine`` reads of an array written at ``its``, and where that goes."""
    all_of_mine = Line(0, 1, mine.length)
    if mine == its:
        return all_of_mine, all_of_mine
    gap = mine.start - its.start
    if mine.step % its.step == 0 and type(gap) is int and gap % its.step == 0:
        inside = Line(gap // its.step, mine.step // its.step, mine.length)
        if inside.within(0, its.length):
            return inside, all_of_mine
    if mine.step == 1 and its.within(mine.start, mine.start + mine.length):
        return Line(0, 1, its.length), Line(its.start - mine.start, its.step, its.length)
    return None


# ---- slices sink through what is computed --------------------------------------------------------


def _of_elementwise(m: Match) -> Tensor | None:
    """f(a, b)[i] is f(a[i], b[i])."""
    inner = _source(m)
    if not m.alone(inner):
        return None
    cut = cut_of(m.node)
    return rebuilt(inner, tuple([cut.of_operand(i) for i in inner.inputs]))


def _of_reduced(m: Match) -> Tensor | None:
    inner = _source(m)
    (of,) = inner.inputs
    kept = [k for k in range(of.ndim) if k not in inner.attrs["axis"]]
    if not m.alone(inner):
        return None
    return rebuilt(inner, (sliced(of, cut_of(m.node).moved(dict(enumerate(kept)), of.shape)),))


def _of_rowwise(m: Match) -> Tensor | None:
    inner, cut = _source(m), cut_of(m.node)
    axis = inner.attrs["axis"]
    rows = axis if isinstance(axis, tuple) else (axis,)
    if any(not cut.whole(k, inner.shape[k]) for k in rows) or not m.alone(inner):
        return None
    return rebuilt(inner, (sliced(inner.inputs[0], cut),))


def _of_running_sum(m: Match) -> Tensor | None:
    """The last of the running sums is the sum."""
    inner, cut = _source(m), cut_of(m.node)
    axis, reverse = inner.attrs["axis"], inner.attrs["reverse"]
    last = 0 if reverse else m.x.shape[axis] - 1
    line = cut.lines[axis]
    if line.start != last or not is_one(line.length) or cut.checked:
        return None
    rows = sliced(m.x, _with(cut, axis, Line(0, 1, m.x.shape[axis])))
    return f.expand_dims(apply(r.sum_, (rows,), (("axis", (axis,)),)), axis)


def _of_matmul(m: Match) -> Tensor | None:
    """Rows of a product are products of rows."""
    inner, cut = _source(m), cut_of(m.node)
    if not m.alone(inner):
        return None
    a, b = inner.inputs
    n = inner.ndim
    left = {k: k - (n - a.ndim) for k in range(n - 1) if _has(a, k, n)}
    right = {k: k - (n - b.ndim) for k in range(n) if k != n - 2 and _has(b, k, n)}
    parts = (sliced(a, cut.moved(left, a.shape)), sliced(b, cut.moved(right, b.shape)))
    return rebuilt(inner, parts)


def _has(operand: Tensor, axis: int, rank: int) -> bool:
    """Whether an operand of a product has an axis of the result, rather than repeats along it."""
    at = axis - (rank - operand.ndim)
    return at >= 0 and (axis >= rank - 2 or not is_one(operand.shape[at]))


# fmt: off
SLICES: tuple[Rule, ...] = (
    # ---- of moved elements -----------------------------------------------------------------------
    Rule("slice_of_nothing",   P.slice(x), _of_nothing, EXACT),
    Rule("slice_permuted",     P.slice(P.permute_dims(x)), _of_permuted, EXACT),
    Rule("slice_expanded",     P.slice(P.expand_dims(x)), _of_expanded, EXACT),
    Rule("slice_squeezed",     P.slice(P.squeeze(x)), _of_squeezed, EXACT),
    Rule("slice_reshaped",     P.slice(P.reshape(x)), _of_reshaped, EXACT),
    Rule("slice_broadcast",    P.slice(P.broadcast_to(x)), _of_broadcast, EXACT),
    Rule("slice_iota",         Node(SLICE, children=frozenset((leaves.iota,))), _of_iota, EXACT),
    # ---- of joined and placed parts --------------------------------------------------------------
    Rule("slice_concat",       Node(SLICE, children=frozenset((s.concat,))), _of_concat, EXACT),
    Rule("slice_place",        Node(SLICE, children=frozenset((s.place,))), _of_place, EXACT),
    # ---- of what is computed ---------------------------------------------------------------------
    Rule("slice_elementwise",  Node(SLICE, children=ELEMENTWISE), _of_elementwise, EXACT),
    Rule("slice_reduction",    Node(SLICE, children=EXACT_REDUCTIONS), _of_reduced, EXACT),
    Rule("slice_sum",
        Node(SLICE, children=REDUCTIONS - EXACT_REDUCTIONS), _of_reduced, NORMWISE),
    Rule("slice_running_sum",  P.slice(P.cumulative_sum(x)), _of_running_sum, NORMWISE),
    Rule("slice_rowwise",      Node(SLICE, children=ROWWISE), _of_rowwise, NORMWISE),
    Rule("slice_matmul",       Node(SLICE, children=frozenset((p.matmul,))), _of_matmul, NORMWISE),
)
# fmt: on

SLICING: tuple[Rule, ...] = (*SLICES, *GATHERING, *JOINING, *WRITING, *ACCUMULATING)
