"""Rules of writes: zeros leave no trace, and what is written to one array goes into one buffer."""

from __future__ import annotations

from symgraph import functions as f
from symgraph.ops import OPS, index, product
from symgraph.ops import elementwise as e
from symgraph.ops import shape as s
from symgraph.passes.rebuild import rebuilt
from symgraph.passes.rules.pattern import Node, P, Var, literal_of, some_input
from symgraph.passes.rules.regions import Cut, Line, placed, placed_cut, sliced
from symgraph.passes.rules.rule import EXACT, FINITE_ONLY, NORMWISE, ROUNDING, Match, Rule
from symgraph.sizes import Dim
from symgraph.tensor import Tensor

__all__ = ["WRITING"]

a, b, t, v, w, x, y = (Var(n) for n in "abtvwxy")

MAPS = frozenset(
    op for op in OPS.values() if "elementwise" in op.traits and "marker" not in op.traits
) - {e.assume_normalised}
PLACE = frozenset((s.place,))


def _zero(x: Tensor) -> bool:
    return literal_of(x) == 0


# ---- one write -----------------------------------------------------------------------------------


def _place_whole(m: Match) -> Tensor | None:
    """A write that covers everything."""
    cut = placed_cut(m.node)
    if cut.checked or not _covers(cut, m.node.shape):
        return None
    backwards = [
        Line(d - 1 if line.step < 0 else 0, line.step, d)
        for line, d in zip(cut.lines, m.node.shape, strict=True)
    ]
    return sliced(m.x, Cut(tuple(backwards)))


def _covers(cut: Cut, shape: tuple[Dim, ...]) -> bool:
    return all(
        line.length == d and abs(line.step) == 1 and line.low == 0
        for line, d in zip(cut.lines, shape, strict=True)
    )


def _place_same(m: Match) -> Tensor | None:
    """What is written is what was there."""
    inner = m.x.inputs[0] if m.x.op is s.broadcast_to else m.x
    if "checked" in m.node.attrs or inner.ndim:
        return None
    if inner is m.v:
        return m.v
    one, two = literal_of(inner), literal_of(m.v)
    if one is None or two is None:
        return None
    same = inner.attrs["value"].tobytes() == m.v.attrs["value"].tobytes()
    return m.v if same else None


def _place_chain(m: Match) -> Tensor | None:
    """A write into an array that is written into a larger one of the same fill."""
    inner = m.node.inputs[0]
    if m.v is not m.w:
        return None
    first, second = placed_cut(inner), placed_cut(m.node)
    if first.checked or second.checked:
        return None
    lines = [
        Line(two.start + two.step * one.start, two.step * one.step, one.length)
        for one, two in zip(first.lines, second.lines, strict=True)
    ]
    return placed(m.x, m.v, Cut(tuple(lines)), m.node.shape)


def _place_permuted(m: Match) -> Tensor | None:
    """Write to where the axes are going."""
    inner, order = m.node.inputs[0], m.node.attrs["axes"]
    cut = placed_cut(inner)
    if cut.checked:
        return None
    lines = tuple(cut.lines[k] for k in order)
    return placed(f.permute_dims(m.x, order), m.v, Cut(lines), m.node.shape)


def _write_back(m: Match) -> Tensor | None:
    """Writing what was read at the same place."""
    mask, moved = m.node.inputs[:2]
    read = moved.inputs[0]
    if read.op is not s.slice_ or read.inputs[0] is not m.x:
        return None
    if mask.attrs != moved.attrs or literal_of(mask.inputs[1]) is not False:
        return None
    same = all(read.attrs[k] == moved.attrs[k] for k in ("starts", "steps"))
    return m.x if same and mask.inputs[0].shape == read.shape == moved.inputs[0].shape else None


def _write_into_constant(m: Match) -> Tensor | None:
    """Writing into an array of one value: a place has a fill for that."""
    mask, moved = m.node.inputs[:2]
    base = m.x.inputs[0] if m.x.op is s.broadcast_to else m.x
    if mask.attrs != moved.attrs or literal_of(mask.inputs[1]) is not False or base.ndim:
        return None
    if mask.inputs[0].shape != moved.inputs[0].shape:
        return None
    return rebuilt(moved, (moved.inputs[0], base))


def _scatter_back(m: Match) -> Tensor | None:
    base, updates, *places = m.node.inputs
    if updates.op is not index.gather or updates.attrs != m.node.attrs:
        return None
    read = updates.inputs
    same = len(read) == len(places) + 1 and all(
        i is j for i, j in zip(read, (base, *places), strict=True)
    )
    return base if same and _within(m) else None


def _within(m: Match) -> bool:
    """Whether every place is there: a write out of range is an error, and must stay one."""
    base, _, *places = m.node.inputs
    axes = m.node.attrs["axes"]
    return all(m.facts.in_range(i, base.shape[axis]) for i, axis in zip(places, axes, strict=True))


def _scatter_twice(m: Match) -> Tensor | None:
    """Of two writes to the same places the last wins."""
    first, updates, *places = m.node.inputs
    if first.op is not index.scatter_set or first.attrs != m.node.attrs:
        return None
    base, _, *before = first.inputs
    if len(before) != len(places) or any(i is not j for i, j in zip(before, places, strict=True)):
        return None
    return rebuilt(m.node, (base, updates, *places))


def _scatter_zero(m: Match) -> Tensor | None:
    return m.node.inputs[0] if _zero(m.node.inputs[1]) and _within(m) else None


# ---- functions of written arrays -----------------------------------------------------------------


def _of_one_place(m: Match) -> Tensor | None:
    (inner,) = m.node.inputs
    x, fill = inner.inputs
    if not m.alone(inner):
        return None
    return rebuilt(inner, (rebuilt(m.node, (x,)), rebuilt(m.node, (fill,))))


def _of_two_places(m: Match) -> Tensor | None:
    """Two arrays written at the same places are combined before."""
    one, two = m.node.inputs
    if one.attrs != two.attrs or one.inputs[0].shape != two.inputs[0].shape:
        return None
    parts = [rebuilt(m.node, (p, q)) for p, q in zip(one.inputs, two.inputs, strict=True)]
    return rebuilt(one, (parts[0], parts[1]))


def _times_placed(m: Match) -> Tensor | None:
    """Zero times a finite number: only the part that is written needs the product."""
    place = m.p
    if not _zero(m.v) or place.shape != m.node.shape or not m.alone(place):
        return None
    part = placed_cut(place).of_operand(m.y)
    return rebuilt(place, (f.multiply(m.x, part), m.v))


def _sum_of_place(m: Match) -> Tensor | None:
    """Zeros add nothing."""
    inner, axes = m.node.inputs[0], m.node.attrs["axis"]
    if not _zero(m.v) or "checked" in inner.attrs:
        return None
    total = rebuilt(m.node, (m.x,))
    cut = placed_cut(inner)
    lines = tuple(line for k, line in enumerate(cut.lines) if k not in axes)
    return placed(total, m.v, Cut(lines), m.node.shape)


def _matmul_placed(m: Match) -> Tensor | None:
    """A product with rows and columns of zeros: only the others are multiplied."""
    for k, place in enumerate(m.node.inputs):
        other = m.node.inputs[1 - k]
        if place.op is s.place and place.ndim == 2 and other.ndim == 2 and _plain_zeros(place):
            return _product_placed(m, place, k, other)
    return None


def _plain_zeros(place: Tensor) -> bool:
    return _zero(place.inputs[1]) and "checked" not in place.attrs


def _product_placed(m: Match, place: Tensor, k: int, other: Tensor) -> Tensor | None:
    """``k``: whether the placed factor stands on the left (0) or on the right (1)."""
    if not m.alone(place):
        return None
    lines = placed_cut(place).lines
    inner, outer = lines[1 - k], lines[k]
    along = [Line(0, 1, d) for d in other.shape]
    along[k] = inner
    part = sliced(other, Cut(tuple(along)))
    factors = (place.inputs[0], part) if k == 0 else (part, place.inputs[0])
    result = [Line(0, 1, d) for d in m.node.shape]
    result[k] = outer
    return placed(rebuilt(m.node, factors), place.inputs[1], Cut(tuple(result)), m.node.shape)


def _other_finite(m: Match) -> bool:
    return any(
        place.op is s.place and m.facts.finite(other)
        for place, other in (m.node.inputs, m.node.inputs[::-1])
    )


# ---- several writes into one array ---------------------------------------------------------------


def _into_buffer(m: Match) -> Tensor | None:
    """What is added at indices is added to the other term in place."""
    for other, scattered in (m.node.inputs, m.node.inputs[::-1]):
        if scattered.op is not index.scatter_add or other.shape != m.node.shape:
            continue
        base, updates, *places = scattered.inputs
        if _zero(base) and m.alone(scattered):
            return rebuilt(scattered, (other, updates, *places))
    return None


def _out_of_buffer(m: Match) -> Tensor | None:
    """The same for a difference."""
    other, scattered = m.node.inputs
    base, updates, *places = scattered.inputs
    if not _zero(base) or other.shape != m.node.shape or not m.alone(scattered):
        return None
    return rebuilt(scattered, (other, f.negative(updates), *places))


def _scaled_scatter(m: Match) -> Tensor | None:
    """A scalar times zeros with something added: scale what is added."""
    base, updates, *places = m.s.inputs
    if m.a.ndim or not _zero(base) or not m.alone(m.s):
        return None
    return rebuilt(m.s, (base, f.multiply(m.a, updates), *places))


def _shrinks(m: Match) -> bool:
    """Whether the factor is a number that makes nothing overflow."""
    value = literal_of(m.a)
    return value is not None and abs(float(value)) <= 1


ADDED = frozenset((index.scatter_add,))

# fmt: off
WRITING: tuple[Rule, ...] = (
    # ---- one write -------------------------------------------------------------------------------
    Rule("place_whole",        P.place(x, v), _place_whole, EXACT),
    Rule("place_same",         P.place(x, v), _place_same, EXACT),
    Rule("place_chain",        P.place(P.place(x, v), w), _place_chain, EXACT),
    Rule("place_permuted",     P.permute_dims(P.place(x, v)), _place_permuted, EXACT),
    Rule("write_back",         P.where(P.place(True, t), P.place(y, v), x), _write_back, EXACT),
    Rule("write_into_constant",
        P.where(P.place(True, t), P.place(y, v), x), _write_into_constant, EXACT),
    Rule("scatter_back",       Node(frozenset((index.scatter_set,))), _scatter_back, EXACT),
    Rule("scatter_twice",      Node(frozenset((index.scatter_set,))), _scatter_twice, EXACT),
    Rule("scatter_zero",       Node(ADDED), _scatter_zero, ROUNDING),
    # ---- functions of written arrays -------------------------------------------------------------
    Rule("place_below",        Node(MAPS, children=PLACE, arity=1), _of_one_place, EXACT),
    Rule("places_combine",
        Node(MAPS, children=PLACE, every=True, arity=2), _of_two_places, EXACT),
    Rule("times_placed",
        P.multiply(P.place(x, v).named("p"), y), _times_placed, FINITE_ONLY,
        sound=lambda m: m.facts.finite(m.y)),
    Rule("matmul_placed",
        Node(frozenset((product.matmul,)), children=PLACE), _matmul_placed, FINITE_ONLY,
        sound=_other_finite),
    Rule("sum_placed",         P.sum(P.place(x, v)), _sum_of_place, NORMWISE),
    # ---- several writes into one array -----------------------------------------------------------
    Rule("scaled_scatter",
        P.multiply(a, Var("s")), _scaled_scatter, FINITE_ONLY,
        lambda m: m.s.op is index.scatter_add, sound=_shrinks, looks=some_input(ADDED)),
    Rule("add_scattered",      Node(frozenset((e.add,)), children=ADDED), _into_buffer, NORMWISE),
    Rule("subtract_scattered",
        Node(frozenset((e.subtract,)), children=ADDED), _out_of_buffer, NORMWISE,
        lambda m: m.node.inputs[1].op is index.scatter_add),
)
# fmt: on
