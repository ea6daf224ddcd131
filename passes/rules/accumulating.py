"""Sums of writes: arrays of zeros that are written at different places become one array.

The gradient of a value of which many slices were used is such a sum. All its terms are seen at
once, so a thousand slices cost what they should.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.ops import elementwise as e
from symgraph.ops import shape as s
from symgraph.passes.rules.layout import is_one
from symgraph.passes.rules.pattern import Tree, literal_of
from symgraph.passes.rules.regions import Cut, Line, at_least, placed, placed_cut
from symgraph.passes.rules.rule import NORMWISE, Match, Rule
from symgraph.tensor import Tensor

__all__ = ["ACCUMULATING"]

#: so many pieces at symbolic positions are compared pair by pair; more are left alone
FEW = 16

ADDS = Tree(frozenset((e.add,)), frozenset((s.place,)), needs=frozenset((s.place,)))

#: part of an array, and where along the axis it goes
Piece = tuple[Line, Tensor]


def _terms(m: Match) -> list[Tensor]:
    """The terms of the sum, from left to right."""
    found: list[Tensor] = []
    stack = [m.node]
    while stack:
        node = stack.pop()
        if node is m.node or (node.op is e.add and m.only_user(node)):
            stack += reversed(node.inputs)
        else:
            found.append(node)
    return found


def _is_write(m: Match, x: Tensor) -> bool:
    """Whether a term is zeros with something written that nobody else uses."""
    return (
        x.op is s.place
        and x.shape == m.node.shape
        and "checked" not in x.attrs
        and literal_of(x.inputs[1]) == 0
        and m.only_user(x)
    )


def _one_array(m: Match) -> Tensor | None:
    terms = _terms(m)
    writes = [x for x in terms if _is_write(m, x)]
    if len(writes) < 2 or len(set(writes)) < len(writes):
        return None
    for axis in reversed(range(m.node.ndim)):
        merged = _merged_along(writes, axis)
        if len(merged) < len(writes):
            left = set(writes)
            return _total([*merged, *(x for x in terms if x not in left)])
    return None


def _total(terms: Iterable[Tensor]) -> Tensor:
    first, *rest = terms
    for x in rest:
        first = f.add(first, x)
    return first


def _merged_along(writes: list[Tensor], axis: int) -> list[Tensor]:
    """The same sum with writes joined that differ only in their place along the axis."""
    groups: dict[tuple[Line, ...], list[Tensor]] = {}
    out: list[Tensor] = []
    for x in writes:
        lines = placed_cut(x).lines
        if lines[axis].step == 1 or is_one(lines[axis].length):
            groups.setdefault((*lines[:axis], *lines[axis + 1 :]), []).append(x)
        else:
            out.append(x)
    for group in groups.values():
        layers = _layers([p for x in group for p in _pieces(x, axis)])
        if layers is None or len(layers) >= len(group):
            out += group
        else:
            out += [_written(layer, group[0], axis) for layer in layers]
    return out


def _pieces(place: Tensor, axis: int) -> list[Piece]:
    """What is written, part by part along the axis; zeros between the parts left out."""
    x = place.inputs[0]
    joined = x.op is s.concat and x.attrs["axis"] == axis
    out: list[Piece] = []
    at = placed_cut(place).lines[axis].start
    for part in x.inputs if joined else (x,):
        size = part.shape[axis]
        if not joined or literal_of(part) != 0:
            out.append((Line(at, 1, size), part))
        at = at + size
    return out


# ---- pieces that do not overlap ------------------------------------------------------------------


def _layers(pieces: list[Piece]) -> list[list[Piece]] | None:
    """The pieces in as few ordered lists without overlaps as there can be; None if unknown."""
    if all(type(i.start) is int and type(i.length) is int for i, _ in pieces):
        return _layers_of_numbers([(int(i.start), i, part) for i, part in pieces])
    if len(pieces) > FEW:
        return None
    ordered: list[Piece] = []
    for piece in pieces:
        at = _position(ordered, piece[0])
        if at is None:
            return None
        ordered.insert(at, piece)
    return [ordered]


def _layers_of_numbers(pieces: Sequence[tuple[int, Line, Tensor]]) -> list[list[Piece]]:
    layers: list[list[Piece]] = []
    ends: list[tuple[int, int]] = []
    for start, line, part in sorted(pieces, key=lambda p: p[0]):
        end = start + int(line.length)
        if ends and ends[0][0] <= start:
            _, k = heapq.heapreplace(ends, (end, ends[0][1]))
        else:
            k = len(layers)
            layers.append([])
            heapq.heappush(ends, (end, k))
        layers[k].append((line, part))
    return layers


def _position(ordered: list[Piece], line: Line) -> int | None:
    """Where a line goes among ordered ones, if it certainly overlaps none."""
    after = [_before(other, line) for other, _ in ordered]
    at = sum(after)
    behind = ordered[at:]
    fits = all(after[:at]) and all(_before(line, other) for other, _ in behind)
    return at if fits else None


def _before(a: Line, b: Line) -> bool:
    return at_least(b.start, a.start + a.length)


def _written(pieces: list[Piece], like: Tensor, axis: int) -> Tensor:
    """The pieces joined, with zeros between them, and written at once."""
    first = pieces[0][0]
    parts: list[Tensor] = []
    at = first.start
    for line, part in pieces:
        if line.start != at:
            shape = (*part.shape[:axis], line.start - at, *part.shape[axis + 1 :])
            parts.append(f.broadcast_to(number(0, part.dtype), shape))
        parts.append(part)
        at = line.start + line.length
    x = f.concat(parts, axis=axis)
    cut = placed_cut(like)
    lines = (*cut.lines[:axis], Line(first.start, 1, at - first.start), *cut.lines[axis + 1 :])
    return placed(x, like.inputs[1], Cut(lines), like.shape)


ACCUMULATING: tuple[Rule, ...] = (Rule("add_places", ADDS, _one_array, NORMWISE),)
