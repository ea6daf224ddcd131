"""Rules of concatenations: parts that belong together become one."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph import functions as f
from symgraph.ops import OPS
from symgraph.ops import elementwise as e
from symgraph.ops import shape as s
from symgraph.passes.rebuild import rebuilt
from symgraph.passes.rules.layout import constant_along, is_one
from symgraph.passes.rules.pattern import Node, literal_of
from symgraph.passes.rules.regions import Cut, Line, at_least, cut_of, sliced
from symgraph.passes.rules.rule import EXACT, Match, Rule
from symgraph.sizes import Dim, maximum, minimum
from symgraph.tensor import Tensor, apply

__all__ = ["JOINING"]

#: a concatenation of more parts is not taken into another: a long chain must stay linear
MANY = 64

CONCAT = frozenset((s.concat,))
MAPS = frozenset(
    op for op in OPS.values() if "elementwise" in op.traits and "marker" not in op.traits
) - {e.assume_normalised}


def _axis(m: Match) -> int:
    axis: int = m.node.attrs["axis"]
    return axis


def _joined(m: Match, parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else apply(s.concat, tuple(parts), (("axis", _axis(m)),))


def _nested(m: Match) -> Tensor | None:
    """A concatenation inside another along the same axis."""
    parts: list[Tensor] = []
    for part in m.node.inputs:
        flat = part.op is s.concat and part.attrs["axis"] == _axis(m)
        if flat and len(part.inputs) <= MANY and m.alone(part):
            parts.extend(part.inputs)
        else:
            parts.append(part)
    return _joined(m, parts) if len(parts) > len(m.node.inputs) else None


def _without_empty(m: Match) -> Tensor | None:
    axis = _axis(m)
    parts = [i for i in m.node.inputs if not _is_empty(i.shape[axis])]
    if len(parts) == len(m.node.inputs):
        return None
    return _joined(m, parts or m.node.inputs[:1])


def _is_empty(d: Dim) -> bool:
    return type(d) is int and d == 0


# ---- neighbours that continue each other ---------------------------------------------------------


def _merged(m: Match) -> Tensor | None:
    """Neighbouring parts that are one piece of the same array, or one repeated row."""
    parts: list[Tensor] = []
    for part in m.node.inputs:
        met = _continued(parts[-1], part, _axis(m)) if parts else None
        if met is None:
            parts.append(part)
        else:
            parts[-1] = met
    return _joined(m, parts) if len(parts) < len(m.node.inputs) else None


def _continued(a: Tensor, b: Tensor, axis: int) -> Tensor | None:
    if a.op is s.slice_ and b.op is s.slice_ and a.inputs[0] is b.inputs[0]:
        return _next_slice(a, b, axis)
    return _next_repeat(a, b, axis)


def _next_slice(a: Tensor, b: Tensor, axis: int) -> Tensor | None:
    first, second = cut_of(a), cut_of(b)
    one, two = first.lines[axis], second.lines[axis]
    others = range(a.ndim)
    if any(k != axis and first.lines[k] != second.lines[k] for k in others):
        return None
    if axis in first.checked or axis in second.checked or first.checked != second.checked:
        return None
    size = a.inputs[0].shape[axis]
    step = _step(one, two)
    if _halves(one, two, size):
        lines = (*first.lines[:axis], Line(0, 1, size), *first.lines[axis + 1 :])
        return sliced(a.inputs[0], Cut(lines, first.checked))
    if step is None or two.start != one.start + step * one.length:
        return None
    both = Line(one.start, step, one.length + two.length)
    lines = (*first.lines[:axis], both, *first.lines[axis + 1 :])
    return sliced(a.inputs[0], Cut(lines, first.checked))


def _halves(one: Line, two: Line, size: Dim) -> bool:
    """x[:p] and x[p:], where p may lie outside."""
    return (
        one == Line(0, 1, minimum(two.start, size))
        and two.step == 1
        and two.length == maximum(size - two.start, 0)
        and at_least(two.start, 0)
    )


def _step(one: Line, two: Line) -> int | None:
    """The step that both lines may be read with; a single position has any."""
    if is_one(one.length):
        if not is_one(two.length):
            return two.step
        gap = two.start - one.start
        return gap if type(gap) is int and gap else None
    return one.step if is_one(two.length) or one.step == two.step else None


def _next_repeat(a: Tensor, b: Tensor, axis: int) -> Tensor | None:
    """Repeated rows of one value, or of equal literals."""
    if a.op is not s.broadcast_to or b.op is not s.broadcast_to:
        return None
    source, other = a.inputs[0], b.inputs[0]
    if source is not other and not _same_literal(source, other):
        return None
    if any(k != axis and a.shape[k] != b.shape[k] for k in range(a.ndim)):
        return None
    rank = a.ndim
    if not (constant_along(source, (axis,), rank) and constant_along(other, (axis,), rank)):
        return None
    shape = (*a.shape[:axis], a.shape[axis] + b.shape[axis], *a.shape[axis + 1 :])
    return apply(s.broadcast_to, (source,), (("shape", shape),))


def _same_literal(a: Tensor, b: Tensor) -> bool:
    one, two = literal_of(a), literal_of(b)
    if one is None or two is None or a.ndim or b.ndim:
        return False
    return a.dtype == b.dtype and bool(a.attrs["value"].tobytes() == b.attrs["value"].tobytes())


# ---- what all parts have in common ---------------------------------------------------------------


def _same_map(m: Match) -> Tensor | None:
    """concat(f(a), f(b)) is f(concat(a, b)): one operation for many."""
    sources = _mapped(m, m.node.inputs)
    if sources is None:
        return None
    return _image(m.node.inputs[0], f.concat(sources, axis=_axis(m)))


def _same_map_stacked(m: Match) -> Tensor | None:
    """stack(f(a), f(b)) is f(stack(a, b))."""
    added = m.node.inputs[0].attrs["axes"]
    if any(i.attrs["axes"] != added for i in m.node.inputs):
        return None
    inner = tuple([i.inputs[0] for i in m.node.inputs])
    sources = _mapped(m, inner)
    if sources is None:
        return None
    wide = [f.expand_dims(i, added) for i in sources]
    return _image(inner[0], f.concat(wide, axis=_axis(m)))


def _mapped(m: Match, parts: tuple[Tensor, ...]) -> list[Tensor] | None:
    """What the parts are the images of, if under one operation with the same scalars, and for
    nobody else.
    """
    first = parts[0]
    varying = [k for k, i in enumerate(first.inputs) if i.ndim]
    if first.op not in MAPS or len(parts) < 2 or len(varying) != 1:
        return None
    (k,) = varying
    if any(part.op is not first.op or not _alike(part, first, k) for part in parts):
        return None
    # Repeated parts are joined as they are: computing them once is cheaper.
    if len(set(parts)) < len(parts) or not all(map(m.alone, parts)):
        return None
    return [i.inputs[k] for i in parts]


def _alike(part: Tensor, first: Tensor, k: int) -> bool:
    """Whether two nodes differ in input k alone, which has their shape."""
    pairs = enumerate(zip(part.inputs, first.inputs, strict=True))
    return (
        part.attrs == first.attrs
        and part.inputs[k].dtype == first.inputs[k].dtype
        and part.inputs[k].shape == part.shape
        and all(i is j for at, (i, j) in pairs if at != k)
    )


def _image(first: Tensor, source: Tensor) -> Tensor:
    """The operation of ``first`` and its scalars on another array."""
    return rebuilt(first, tuple([source if i.ndim else i for i in first.inputs]))


def _same_order(m: Match) -> Tensor | None:
    """Parts permuted alike are joined before."""
    order = m.node.inputs[0].attrs["axes"]
    if any(i.attrs["axes"] != order for i in m.node.inputs):
        return None
    return f.permute_dims(
        f.concat([i.inputs[0] for i in m.node.inputs], axis=order[_axis(m)]), order
    )


def _same_expansion(m: Match) -> Tensor | None:
    """Parts expanded alike are joined before, unless the new axis is the one they are joined
    along.
    """
    added, axis = m.node.inputs[0].attrs["axes"], _axis(m)
    if axis in added or any(i.attrs["axes"] != added for i in m.node.inputs):
        return None
    inner = axis - sum(k < axis for k in added)
    return f.expand_dims(f.concat([i.inputs[0] for i in m.node.inputs], axis=inner), added)


# fmt: off
JOINING: tuple[Rule, ...] = (
    Rule("concat_empty",       Node(CONCAT), _without_empty, EXACT),
    Rule("concat_nested",      Node(CONCAT, children=CONCAT), _nested, EXACT),
    Rule("concat_slices",
        Node(CONCAT, children=frozenset((s.slice_, s.broadcast_to))), _merged, EXACT),
    Rule("concat_permuted",
        Node(CONCAT, children=frozenset((s.permute_dims,)), every=True), _same_order, EXACT),
    Rule("concat_expanded",
        Node(CONCAT, children=frozenset((s.expand_dims,)), every=True), _same_expansion, EXACT),
    Rule("concat_elementwise", Node(CONCAT, children=MAPS, every=True), _same_map, EXACT),
    Rule("stack_elementwise",
        Node(CONCAT, children=frozenset((s.expand_dims,)), every=True), _same_map_stacked, EXACT),
)
# fmt: on
