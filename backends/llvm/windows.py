"""Placed slices and joins as expressions: ``where(inside, window, fill)``.

A *window* reads an array at shifted positions, under a mask that keeps it inside. A placed slice is
a window with a fill around it, a join is a choice among windows. Both then share a kernel with the
element-wise operations around them, and what they would have filled is never written.

Windows move through cheap element-wise operations to what lies in memory, so that the gradient of
``(x[1:] - x[:-1]) ** 2`` reads ``x`` three times and stores nothing in between.
"""

from __future__ import annotations

from dataclasses import dataclass

from symgraph import functions as f
from symgraph.backends.llvm.memory_ops import copy, inside, window
from symgraph.backends.llvm.views import is_scalar_literal, source_of
from symgraph.ops import leaves
from symgraph.passes.rebuild import rebuilt
from symgraph.sizes import Dim
from symgraph.tensor import Tensor, apply

__all__ = ["join", "joinable", "place"]

#: A window moves through at most so many operations; a join of more parts is copied.
DEPTH, PARTS = 8, 4

#: Ops worth computing again rather than storing.
LIGHT = frozenset(
    ("add", "subtract", "multiply", "negative", "square", "abs", "maximum", "minimum", "relu",
     "where", "astype", "logical_not")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Slice:
    """Where in an array of ``shape`` a part of it stands; steps are 1 or -1."""

    starts: tuple[Dim, ...]
    steps: tuple[int, ...]
    lengths: tuple[Dim, ...]
    shape: tuple[Dim, ...]

    def inside(self) -> Tensor | None:
        """A mask of the elements that belong to the part; None if all do."""
        lows, highs = list[Dim](), list[Dim]()
        for start, step, length in zip(self.starts, self.steps, self.lengths, strict=True):
            lows.append(start if step > 0 else start - length + 1)
            highs.append(lows[-1] + length)
        if all(low == 0 for low in lows) and tuple(highs) == self.shape:
            return None
        attrs = (("lows", tuple(lows)), ("highs", tuple(highs)), ("shape", self.shape))
        return apply(inside, (), attrs)


def place(node: Tensor, x: Tensor, fill: Tensor) -> Tensor:
    """A placed slice; those with other steps than 1 and -1 stay as they are."""
    steps = node.attrs["steps"]
    if any(abs(s) != 1 for s in steps):
        return rebuilt(node, (x, fill))
    part = Slice(node.attrs["starts"], steps, x.shape, node.shape)
    mask = part.inside()
    if mask is None:
        back = tuple(k for k, step in enumerate(steps) if step < 0)
        return f.flip(x, axis=back) if back else x
    moved = _moved(x, part, mask)
    if moved.op is window and _is_zero(fill):
        return moved
    return f.where(mask, moved, f.broadcast_to(fill, node.shape))


def _is_zero(fill: Tensor) -> bool:
    return fill.op is leaves.constant and not any(fill.attrs["value"].tobytes())


def joinable(parts: tuple[Tensor, ...]) -> bool:
    """Whether a join may be computed by those who read it: its parts are read from memory."""
    return len(parts) <= PARTS and all(_computed(p) == 0 for p in parts)


def join(node: Tensor, *parts: Tensor) -> Tensor:
    """A join of a few parts as a choice among windows."""
    axis, rank = node.attrs["axis"], node.ndim
    at: Dim = 0
    found: list[tuple[Tensor, Tensor]] = []
    for part in parts:
        starts = tuple(at if k == axis else 0 for k in range(rank))
        lengths = tuple(part.shape[k] if k == axis else d for k, d in enumerate(node.shape))
        own = Slice(starts, (1,) * rank, lengths, node.shape)
        mask = own.inside()
        if mask is None:
            return part
        found.append((mask, _moved(part, own, mask)))
        at = at + part.shape[axis]
    _, out = found.pop()
    for mask, value in reversed(found):
        out = f.where(mask, value, out)
    return out


# ---- windows through operations ------------------------------------------------------------------


def _is_literal(x: Tensor) -> bool:
    return is_scalar_literal(source_of(x))


def _goes_through(x: Tensor) -> bool:
    return x.op.name in LIGHT and x.op.elementwise


def _is_stretched(operand: Tensor, node: Tensor) -> bool:
    return operand.shape != node.shape and not _is_literal(operand)


def _inner(x: Tensor) -> tuple[int, dict[Tensor, None]]:
    """How many operations a window of ``x`` goes through, and what it then reads."""
    count, found = 0, dict[Tensor, None]()
    waiting = [x]
    while waiting and count <= DEPTH:
        node = waiting.pop()
        if _goes_through(node):
            count += 1
            waiting += [i for i in node.inputs if i.shape == node.shape]
            found |= {source_of(i): None for i in node.inputs if _is_stretched(i, node)}
        elif not _is_literal(node):
            found[source_of(node)] = None
    return count, found


def _computed(x: Tensor) -> int:
    """How many arrays must be computed and stored so that windows of ``x`` can be read."""
    count, found = _inner(x)
    return sum(bool(n.inputs) or n.op is inside for n in found) if count <= DEPTH else 1


def _moved(x: Tensor, part: Slice, mask: Tensor) -> Tensor:
    """``x`` moved to its place; what stands elsewhere does not matter."""
    through = _goes_through(x) and _inner(x)[0] <= DEPTH and _computed(x) <= 1
    return _window(x, part, mask, {}, through)


def _window(
    x: Tensor, part: Slice, mask: Tensor, done: dict[Tensor, Tensor], through: bool
) -> Tensor:
    if x in done:
        return done[x]
    if _is_literal(x):
        done[x] = f.broadcast_to(source_of(x), part.shape)
    elif through and _goes_through(x):
        wide = [i if i.shape == x.shape else f.broadcast_to(i, x.shape) for i in x.inputs]
        moved = tuple([_window(i, part, mask, done, _goes_through(i)) for i in wide])
        done[x] = rebuilt(x, moved)
    else:
        done[x] = _read(x, part, mask)
    return done[x]


def _read(x: Tensor, part: Slice, mask: Tensor) -> Tensor:
    if source_of(x).op in (leaves.iota, inside):
        x = apply(copy, (x,))
    return apply(window, (x, mask), (("starts", part.starts), ("steps", part.steps)))
