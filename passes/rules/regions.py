"""Which elements of an axis a slice or a place touches, and how two such regions lie together.

Sizes may be symbols: a relation holds only where it can be proved for all their values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from symgraph.functions.shape import place_node, slice_node
from symgraph.passes.rules.layout import is_one
from symgraph.sizes import Dim, divide_exactly, lower_bound
from symgraph.tensor import Tensor

__all__ = [
    "Cut", "Groups", "Line", "at_least", "cut_of", "groups", "matching_axis", "placed",
    "placed_cut", "sliced",
]  # fmt: skip


def at_least(a: Dim, b: Dim) -> bool:
    """Whether a >= b whatever the sizes are."""
    if type(a) is int and type(b) is int:
        return a >= b
    low = lower_bound(a - b)
    return low is not None and low >= 0


@dataclass(frozen=True, slots=True)
class Line:
    """Positions start, start + step, ... of one axis, ``length`` of them."""

    start: Dim
    step: int
    length: Dim

    @property
    def last(self) -> Dim:
        """The last position."""
        return self.start + self.step * (self.length - 1)

    @property
    def low(self) -> Dim:
        """The smallest position."""
        return self.start if self.step > 0 else self.last

    @property
    def high(self) -> Dim:
        """The largest position."""
        return self.last if self.step > 0 else self.start

    def within(self, low: Dim, end: Dim) -> bool:
        """Whether all positions lie in low .. end - 1."""
        return at_least(self.low, low) and at_least(end - 1, self.high)

    def whole(self, size: Dim) -> bool:
        """Whether these are all positions of an axis, in order."""
        return self.start == 0 and self.step == 1 and self.length == size


@dataclass(frozen=True, slots=True)
class Cut:
    """The lines of all axes of a slice; starts of ``checked`` axes are checked when called."""

    lines: tuple[Line, ...]
    checked: tuple[int, ...] = ()

    def whole(self, axis: int, size: Dim) -> bool:
        """Whether an axis is left as it is."""
        return self.lines[axis].whole(size)

    def moved(self, places: Mapping[int, int], shape: tuple[Dim, ...]) -> Cut:
        """The cut of an array of ``shape`` whose axis p is the axis k here, for each k: p."""
        lines = [Line(0, 1, d) for d in shape]
        for k, p in places.items():
            lines[p] = self.lines[k]
        return Cut(tuple(lines), tuple(sorted(places[k] for k in self.checked if k in places)))

    def of_operand(self, x: Tensor) -> Tensor:
        """The part of a broadcast operand that this cut of the result is computed from."""
        extra = len(self.lines) - x.ndim
        kept = {k + extra: k for k, d in enumerate(x.shape) if not is_one(d)}
        return sliced(x, self.moved(kept, x.shape))


def cut_of(node: Tensor) -> Cut:
    """The cut of a slice node."""
    a = node.attrs
    lines = map(Line, a["starts"], a["steps"], a["lengths"])
    return Cut(tuple(lines), a.get("checked", ()))


def placed_cut(node: Tensor) -> Cut:
    """Where a place node writes."""
    a = node.attrs
    lines = map(Line, a["starts"], a["steps"], node.inputs[0].shape)
    return Cut(tuple(lines), a.get("checked", ()))


def sliced(x: Tensor, cut: Cut) -> Tensor:
    """The slice of x."""
    starts, steps, lengths = _columns(cut)
    return slice_node(x, starts, steps, lengths, cut.checked)


def placed(x: Tensor, fill: Tensor, cut: Cut, shape: tuple[Dim, ...]) -> Tensor:
    """x written at the cut of an array of ``shape`` that holds ``fill``; x where that is all."""
    if not cut.checked and all(line.whole(d) for line, d in zip(cut.lines, shape, strict=True)):
        return x
    starts, steps, _ = _columns(cut)
    return place_node(x, fill, starts, steps, shape, cut.checked)


def _columns(cut: Cut) -> tuple[tuple[Dim, ...], tuple[int, ...], tuple[Dim, ...]]:
    starts = tuple([line.start for line in cut.lines])
    return starts, tuple([i.step for i in cut.lines]), tuple([i.length for i in cut.lines])


# ---- reshape -------------------------------------------------------------------------------------

Groups = list[tuple[list[int], list[int]]]


def groups(a: tuple[Dim, ...], b: tuple[Dim, ...]) -> Groups | None:
    """The axes of two shapes of one reshape in the smallest runs that hold equally many elements.

    None where that cannot be told.
    """
    if 0 in a or 0 in b:
        return None
    out: Groups = []
    i = j = 0
    while i < len(a) or j < len(b):
        have: tuple[list[int], list[int]] = ([], [])
        p: Dim = 1
        q: Dim = 1
        while not (have[0] or have[1]) or p != q:
            more_b = divide_exactly(p, q) is not None and (p != q or bool(have[0]))
            if (more_b or i == len(a)) and j < len(b):
                q = q * b[j]
                have[1].append(j)
                j += 1
            elif i < len(a) and (not have[0] or divide_exactly(q, p) is not None):
                p = p * a[i]
                have[0].append(i)
                i += 1
            else:
                return None
        out.append(have)
    return out


def matching_axis(
    pair: tuple[list[int], list[int]], a: tuple[Dim, ...], b: tuple[Dim, ...]
) -> tuple[int, int] | None:
    """For a run that holds one axis of a size other than 1: that axis in both shapes."""
    one = [k for k in pair[0] if not is_one(a[k])]
    two = [k for k in pair[1] if not is_one(b[k])]
    return (one[0], two[0]) if len(one) == len(two) == 1 and a[one[0]] == b[two[0]] else None
