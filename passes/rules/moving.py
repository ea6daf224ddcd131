"""Rules for operations that move elements: chains become one, and what is computed sinks below
them.
"""

from __future__ import annotations

from symgraph.functions import expand_dims, permute_dims, squeeze
from symgraph.functions.shape import slice_node
from symgraph.ops import OPS, leaves
from symgraph.ops import elementwise as e
from symgraph.ops import shape as s
from symgraph.passes.rebuild import rebuilt
from symgraph.passes.rules.layout import is_one, reshaped
from symgraph.passes.rules.pattern import Node, P, Var
from symgraph.passes.rules.regions import groups, matching_axis
from symgraph.passes.rules.rule import EXACT, Match, Rule
from symgraph.sizes import Dim
from symgraph.tensor import Tensor, apply
from symgraph.types import broadcast_shapes

__all__ = ["MOVES", "MOVING"]

a, x = Var("a"), Var("x")

SAME_ORDER = frozenset((s.reshape, s.expand_dims, s.squeeze))
MOVES = SAME_ORDER | {s.permute_dims}
#: what element-wise operations sink below; integer indexing (slice, then squeeze) stays below them
SPREADING = MOVES - {s.squeeze}
ELEMENTWISE = frozenset(op for op in OPS.values() if "elementwise" in op.traits)
STRETCH = frozenset((s.broadcast_to,))
RISING = frozenset((e.negative, e.logical_not))


def _stretched(source: Tensor, m: Match) -> Tensor:
    return apply(s.broadcast_to, (source,), (("shape", m.node.shape),))


# ---- chains --------------------------------------------------------------------------------------


def _reshape_chain(m: Match) -> Tensor:
    return reshaped(m.node.inputs[0].inputs[0], m.node.shape)


def _reshape_simpler(m: Match) -> Tensor | None:
    new = reshaped(m.x, m.node.shape)
    return new if new.op is not s.reshape or new is m.x else None


def _permute_chain(m: Match) -> Tensor:
    inner = m.node.inputs[0].attrs["axes"]
    axes = tuple(inner[k] for k in m.node.attrs["axes"])
    return apply(s.permute_dims, (m.x,), (("axes", axes),))


def _permute_in_order(m: Match) -> Tensor | None:
    """A permutation that only moves axes of size 1 is a reshape, or nothing."""
    shape = m.x.shape
    moving = [k for k in m.node.attrs["axes"] if not is_one(shape[k])]
    return reshaped(m.x, m.node.shape) if moving == sorted(moving) else None


def _permute_expanded(m: Match) -> Tensor:
    """Axes of size 1 come last: what is permuted is what has elements to move."""
    added, order = m.node.inputs[0].attrs["axes"], m.node.attrs["axes"]
    kept = [k for k in order if k not in added]
    rank = sorted(kept)
    moved = permute_dims(m.x, [rank.index(k) for k in kept])
    return expand_dims(moved, tuple(k for k, p in enumerate(order) if p in added))


def _squeeze_permuted(m: Match) -> Tensor:
    """And they go first."""
    order, gone = m.node.inputs[0].attrs["axes"], m.node.attrs["axes"]
    kept = [p for k, p in enumerate(order) if k not in gone]
    rank = sorted(kept)
    return permute_dims(squeeze(m.x, tuple(order[k] for k in gone)), [rank.index(k) for k in kept])


def _slice_chain(m: Match) -> Tensor | None:
    outer, inner = m.node.attrs, m.node.inputs[0].attrs
    if "checked" in outer or "checked" in inner:
        return None
    pairs = zip(inner["starts"], outer["starts"], inner["steps"], strict=True)
    starts = tuple(first + at * step for first, at, step in pairs)
    steps = tuple(p * q for p, q in zip(inner["steps"], outer["steps"], strict=True))
    return slice_node(m.x, starts, steps, outer["lengths"])


def _slice_whole(m: Match) -> Tensor | None:
    at = m.node.attrs
    new = slice_node(m.x, at["starts"], at["steps"], at["lengths"], at.get("checked", ()))
    return new if new is m.x else None


def _concat_one(m: Match) -> Tensor:
    return m.node.inputs[0]


# ---- stretching ----------------------------------------------------------------------------------


def _broadcast_chain(m: Match) -> Tensor:
    return _stretched(m.x, m)


def _broadcast_none(m: Match) -> Tensor | None:
    return m.x if m.x.shape == m.node.shape else None


def _broadcast_leading(m: Match) -> Tensor | None:
    axes = m.node.inputs[0].attrs["axes"]
    return _stretched(m.x, m) if axes == tuple(range(len(axes))) else None


def _broadcast_one(m: Match) -> Tensor | None:
    if m.x.ndim == 0 or not all(map(is_one, m.x.shape)):
        return None
    return _stretched(reshaped(m.x, ()), m)


def _scalar_moved(m: Match) -> Tensor | None:
    scalar = m.node.inputs[0].inputs[0]
    return None if scalar.ndim or "checked" in m.node.attrs else _stretched(scalar, m)


def _broadcast_expanded(m: Match) -> Tensor | None:
    """Axes put into a stretched value: put them into what is stretched."""
    inner, axes = m.node.inputs[0], m.node.attrs["axes"]
    places = [k for k in range(m.node.ndim) if k not in axes][inner.ndim - m.x.ndim :]
    if not places:
        return _stretched(m.x, m)
    inside = tuple(k - places[0] for k in axes if k > places[0])
    return _stretched(expand_dims(m.x, inside) if inside else m.x, m)


def _broadcast_permuted(m: Match) -> Tensor:
    """Axes moved in a stretched value: move those of what is stretched."""
    wide = reshaped(m.x, (1,) * (m.node.ndim - m.x.ndim) + m.x.shape)
    return _stretched(permute_dims(wide, m.node.attrs["axes"]), m)


def _broadcast_squeezed(m: Match) -> Tensor | None:
    extra = m.node.inputs[0].ndim - m.x.ndim
    gone = tuple(k - extra for k in m.node.attrs["axes"] if k >= extra)
    if not all(is_one(m.x.shape[k]) for k in gone):
        return None
    return _stretched(squeeze(m.x, gone) if gone else m.x, m)


def _broadcast_reshaped(m: Match) -> Tensor | None:
    """Where only repeated elements are laid out anew, repeat them so."""
    old, new = m.node.inputs[0].shape, m.node.shape
    have = (1,) * (len(old) - m.x.ndim) + m.x.shape
    runs = groups(old, new)
    if runs is None:
        return None
    shape: list[Dim] = [1] * len(new)
    for before, after in runs:
        if all(is_one(have[k]) for k in before):
            continue
        pair = matching_axis((before, after), old, new)
        if pair is None:
            return None
        shape[pair[1]] = have[pair[0]]
    return _stretched(reshaped(m.x, tuple(shape)), m)


def _broadcast_implicit(m: Match) -> Tensor | None:
    """Element-wise operations stretch by themselves; what is left to stretch is their result."""
    inputs = m.node.inputs
    sources = tuple([i.inputs[0] if i.op is s.broadcast_to else i for i in inputs])
    shape = broadcast_shapes(m.node.op.name, [i.shape for i in sources], [])
    if shape == m.node.shape or all(i.op is s.broadcast_to or i.ndim == 0 for i in inputs):
        return rebuilt(m.node, sources)
    return _broadcast_one_operand(m, sources)


def _broadcast_one_operand(m: Match, sources: tuple[Tensor, ...]) -> Tensor | None:
    """Some operand has to be stretched: leave that one, free the others."""
    inputs = list(m.node.inputs)
    for k, source in enumerate(sources):
        tried = [*inputs[:k], source, *inputs[k + 1 :]]
        if broadcast_shapes(m.node.op.name, [i.shape for i in tried], []) == m.node.shape:
            inputs = tried
    return rebuilt(m.node, tuple(inputs))


# ---- sinking and rising --------------------------------------------------------------------------


def _below_move(m: Match) -> Tensor | None:
    """An operation of one operand does not care how its elements are laid out."""
    if m.node.op in RISING or "marker" in m.node.op.traits:
        return None
    (move,) = m.node.inputs
    return rebuilt(move, (rebuilt(m.node, move.inputs),))


def _both_below_move(m: Match) -> Tensor | None:
    """Operands laid out in the same way are combined before they are laid out."""
    first, *rest = m.node.inputs
    inner = first.inputs[0]
    if not rest:
        return None
    for other in rest:
        (b,) = other.inputs
        if first.op is not other.op or first.attrs != other.attrs or inner.ndim != b.ndim:
            return None
        if first.op is s.reshape and inner.shape != b.shape:
            return None
    return rebuilt(first, (rebuilt(m.node, tuple([i.inputs[0] for i in m.node.inputs])),))


def _squeeze_sinks(m: Match) -> Tensor | None:
    """``f(x)[0]`` is ``f(x[0])``: formulas of indexed values stay in one piece."""
    inner = m.node.inputs[0]
    if "marker" in inner.op.traits or any(i.ndim not in (0, inner.ndim) for i in inner.inputs):
        return None
    if inner.op not in RISING and not m.alone(inner):
        return None
    squeezed = [rebuilt(m.node, (i,)) if i.ndim else i for i in inner.inputs]
    return rebuilt(inner, tuple(squeezed))


def _scalar_below_move(m: Match) -> Tensor | None:
    """Scalars go with every layout."""
    moved = [i for i in m.node.inputs if i.ndim]
    if len(moved) != 1 or m.node.op is e.multiply or moved[0].op not in SPREADING:
        return None
    (move,) = moved
    if not move.inputs[0].ndim:
        return None
    inner = rebuilt(m.node, tuple([i.inputs[0] if i.ndim else i for i in m.node.inputs]))
    return rebuilt(move, (inner,))


def _sign_above(m: Match) -> Tensor:
    """A sign rises instead, towards the sum that it may turn into a difference; so does ``not``."""
    return apply(m.node.inputs[0].op, (rebuilt(m.node, m.node.inputs[0].inputs),))


def _scale_above(m: Match) -> Tensor | None:
    """So does a scalar factor."""
    factor, rest = m.node.inputs[0].inputs
    if factor.ndim:
        factor, rest = rest, factor
    if factor.ndim or rest.shape != m.node.inputs[0].shape or rest.op is leaves.constant:
        return None
    return apply(e.multiply, (factor, rebuilt(m.node, (rest,))))


LINEAR_MOVES = MOVES | {s.slice_}

# fmt: off
MOVING: tuple[Rule, ...] = (
    # ---- chains ----------------------------------------------------------------------------------
    Rule("reshape_chain",
        Node(SAME_ORDER, children=SAME_ORDER), _reshape_chain, EXACT),
    Rule("reshape_simpler",
        P.reshape(x), _reshape_simpler, EXACT),
    Rule("permute_chain",
        P.permute_dims(P.permute_dims(x)), _permute_chain, EXACT),
    Rule("permute_in_order",
        P.permute_dims(x), _permute_in_order, EXACT),
    Rule("permute_expanded",
        P.permute_dims(P.expand_dims(x)), _permute_expanded, EXACT),
    Rule("squeeze_permuted",
        P.squeeze(P.permute_dims(x)), _squeeze_permuted, EXACT),
    Rule("slice_chain",
        P.slice(P.slice(x)), _slice_chain, EXACT),
    Rule("slice_whole",
        P.slice(x), _slice_whole, EXACT),
    Rule("concat_one",
        Node(frozenset((s.concat,)), arity=1), _concat_one, EXACT),
    # ---- stretching ------------------------------------------------------------------------------
    Rule("broadcast_chain",
        P.broadcast_to(P.broadcast_to(x)), _broadcast_chain, EXACT),
    Rule("broadcast_none",
        P.broadcast_to(x), _broadcast_none, EXACT),
    Rule("broadcast_leading",
        P.broadcast_to(P.expand_dims(x)), _broadcast_leading, EXACT),
    Rule("broadcast_one",
        P.broadcast_to(x), _broadcast_one, EXACT),
    Rule("scalar_moved",
        Node(LINEAR_MOVES, children=STRETCH), _scalar_moved, EXACT),
    Rule("broadcast_expanded",
        P.expand_dims(P.broadcast_to(x)), _broadcast_expanded, EXACT),
    Rule("broadcast_permuted",
        P.permute_dims(P.broadcast_to(x)), _broadcast_permuted, EXACT),
    Rule("broadcast_squeezed",
        P.squeeze(P.broadcast_to(x)), _broadcast_squeezed, EXACT),
    Rule("broadcast_reshaped",
        P.reshape(P.broadcast_to(x)), _broadcast_reshaped, EXACT),
    Rule("broadcast_implicit",
        Node(trait="elementwise", children=STRETCH), _broadcast_implicit, EXACT),
    # ---- sinking and rising ----------------------------------------------------------------------
    Rule("unary_below_move",
        Node(trait="elementwise", children=SPREADING, arity=1), _below_move, EXACT),
    Rule("both_below_move",
        Node(trait="elementwise", children=SPREADING, every=True), _both_below_move, EXACT),
    Rule("scalar_below_move",
        Node(trait="elementwise", children=SPREADING, arity=2), _scalar_below_move, EXACT),
    Rule("squeeze_sinks",
        Node(frozenset((s.squeeze,)), children=ELEMENTWISE), _squeeze_sinks, EXACT),
    Rule("sign_above",         Node(LINEAR_MOVES, children=RISING), _sign_above, EXACT),
    Rule("scale_above",
        Node(LINEAR_MOVES, children=frozenset((e.multiply,))), _scale_above, EXACT),
)
# fmt: on
