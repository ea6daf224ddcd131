"""Rules of reads by index: those at literal places are slices, and functions wait until after."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph import functions as f
from symgraph.ops import OPS, index, leaves
from symgraph.ops import elementwise as e
from symgraph.ops import shape as s
from symgraph.passes.rebuild import rebuilt
from symgraph.passes.rules.pattern import Node
from symgraph.passes.rules.regions import Cut, Line, at_least, cut_of, sliced
from symgraph.passes.rules.rule import EXACT, Match, Rule
from symgraph.tensor import Tensor, apply

__all__ = ["GATHERING", "distinct"]

GATHER = frozenset((index.gather,))
SLICE = frozenset((s.slice_,))
MAPS = frozenset(
    op for op in OPS.values() if "elementwise" in op.traits and op is not e.assume_normalised
)


def _axes(node: Tensor) -> tuple[int, ...]:
    axes: tuple[int, ...] = node.attrs["axes"]
    return axes


# ---- literal places ------------------------------------------------------------------------------


def _line(i: Tensor, n: Any) -> Line | None:
    """The index of one axis of size n as a line of positions, all of them known to be inside."""
    if i.op is leaves.iota:
        line = Line(0, 1, i.shape[0])
        return line if at_least(n, line.length) else None
    if i.op is not leaves.constant or i.ndim > 1 or i.size == 0 or type(n) is not int:
        return None
    at = np.atleast_1d(i.attrs["value"])
    at = np.where(at < 0, at + n, at)
    steps = np.diff(at)
    step = int(steps[0]) if len(steps) else 1
    if step == 0 or (steps != step).any() or at.min() < 0 or at.max() >= n:
        return None
    return Line(int(at[0]), step, len(at))


def _as_slice(m: Match) -> Tensor | None:
    """Reading 0, 1, ..., n - 1, or evenly spaced literal places, of one axis."""
    of, *indices = m.node.inputs
    axes = _axes(m.node)
    if len(axes) != 1:
        return None
    (axis,), (i,) = axes, indices
    line = _line(i, of.shape[axis])
    if line is None:
        return None
    lines = [Line(0, 1, d) for d in of.shape]
    lines[axis] = line
    part = sliced(of, Cut(tuple(lines)))
    if i.ndim == 0:
        return f.squeeze(part, axis)
    return f.permute_dims(part, (axis, *(k for k in range(of.ndim) if k != axis)))


def distinct(i: Tensor) -> bool:
    """Whether the entries of an index are known to be different places."""
    if i.ndim == 0 or i.op is leaves.iota:
        return True
    if i.op in (s.expand_dims, s.reshape, s.squeeze, s.permute_dims):
        return distinct(i.inputs[0])
    if i.op is not leaves.constant:
        return False
    at = i.attrs["value"]
    return bool((at >= 0).all() or (at < 0).all()) and len(np.unique(at)) == at.size


# ---- chains --------------------------------------------------------------------------------------


def _twice(m: Match) -> Tensor | None:
    """x[i][j] is x[i[j]]."""
    inner, *outer = m.node.inputs
    of, *indices = inner.inputs
    if len(indices) != 1 or indices[0].ndim != 1 or _axes(m.node) != (0,):
        return None
    (i,), (j,) = indices, outer
    if not m.alone(inner) or not m.facts.in_range(i, of.shape[_axes(inner)[0]]):
        return None
    both = apply(index.gather, (i, j), (("axes", (0,)),))
    return apply(index.gather, (of, both), (("axes", _axes(inner)),))


def _of_permuted(m: Match) -> Tensor | None:
    """Read where the axes were."""
    inner, *indices = m.node.inputs
    order = inner.attrs["axes"]
    axes = tuple([order[a] for a in _axes(m.node)])
    wanted = [order[k] for k in range(inner.ndim) if k not in _axes(m.node)]
    rest = sorted(wanted)
    out = apply(index.gather, (inner.inputs[0], *indices), (("axes", axes),))
    lead = out.ndim - len(rest)
    return f.permute_dims(out, (*range(lead), *(lead + rest.index(k) for k in wanted)))


# ---- what is computed is computed of what is read ------------------------------------------------


def _of_elementwise(m: Match) -> Tensor | None:
    """f(x)[i] is f(x[i]), if no more elements are read than there are."""
    inner, *indices = m.node.inputs
    arrays = [i for i in inner.inputs if i.ndim]
    if len(arrays) != 1 or arrays[0].shape != inner.shape:
        return None
    if not at_least(inner.size, m.node.size) or not m.alone(inner):
        return None
    axes = (("axes", _axes(m.node)),)
    read = apply(index.gather, (arrays[0], *indices), axes)
    return rebuilt(inner, tuple([read if i.ndim else i for i in inner.inputs]))


def _slice_of_gather(m: Match) -> Tensor | None:
    """Axes that are not indexed are cut before; the indexed ones where no range check is lost."""
    inner, cut = m.node.inputs[0], cut_of(m.node)
    of, *indices = inner.inputs
    axes = _axes(inner)
    rest = [k for k in range(of.ndim) if k not in axes]
    lead = inner.ndim - len(rest)
    if not m.alone(inner):
        return None
    if any(not cut.whole(k, inner.shape[k]) for k in range(lead)):
        known = zip(indices, axes, strict=True)
        if not all(m.facts.in_range(i, of.shape[a]) for i, a in known):
            return None
        front = Cut(cut.lines[:lead], tuple(k for k in cut.checked if k < lead))
        indices = [front.of_operand(i) for i in indices]
    part = sliced(of, cut.moved({lead + at: k for at, k in enumerate(rest)}, of.shape))
    return apply(index.gather, (part, *indices), (("axes", axes),))


# ---- reads of writes -----------------------------------------------------------------------------


def _of_written(m: Match) -> Tensor | None:
    """Exactly what was written there."""
    inner, *indices = m.node.inputs
    _, updates, *places = inner.inputs
    if len(places) != 1 or _axes(inner) != _axes(m.node) or indices[0] is not places[0]:
        return None
    return updates if distinct(places[0]) else None


# fmt: off
GATHERING: tuple[Rule, ...] = (
    Rule("gather_line",
        Node(GATHER, children=frozenset((leaves.iota, leaves.constant))), _as_slice, EXACT),
    Rule("gather_gather",      Node(GATHER, children=GATHER), _twice, EXACT,
        lambda m: m.node.inputs[0].op is index.gather),
    Rule("gather_permuted",    Node(GATHER, children=frozenset((s.permute_dims,))), _of_permuted,
        EXACT, lambda m: m.node.inputs[0].op is s.permute_dims),
    Rule("gather_written",     Node(GATHER, children=frozenset((index.scatter_set,))), _of_written,
        EXACT, lambda m: m.node.inputs[0].op is index.scatter_set),
    Rule("gather_elementwise", Node(GATHER, children=MAPS), _of_elementwise, EXACT,
        lambda m: m.node.inputs[0].op in MAPS),
    Rule("slice_gather",       Node(SLICE, children=GATHER), _slice_of_gather, EXACT),
)
# fmt: on
