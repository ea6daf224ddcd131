"""Facts about the nodes of one run: one forward analysis, each node once, without recursion.

Ranges, NaN, zeros and integers hold as computed in float32 and float64, rounding and underflow
included, whatever the inputs are: an input may be NaN, infinite or empty, a size may be 0.
*Positive* is meant mathematically: exp(x) is positive although it may round to zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from symgraph.ops import leaves
from symgraph.passes.facts.describe import range_text
from symgraph.passes.facts.elementwise import ELEMENTWISE
from symgraph.passes.facts.known import INF, Known, made, unknown
from symgraph.passes.facts.rows import in_range, sums_to_one
from symgraph.passes.facts.scales import SAFE, Span, factors_of, scale_of
from symgraph.passes.facts.shaped import SHAPED
from symgraph.passes.facts.structure import Layout, layout_of
from symgraph.sizes import Dim
from symgraph.tensor import Tensor
from symgraph.types import TupleType

__all__ = ["Facts"]

Found = TypeVar("Found")
TRANSFERS = {**ELEMENTWISE, **SHAPED}


class Facts:
    """Facts about the nodes of one run, each found once, in time linear in the nodes asked about
    and below them.
    """

    __slots__ = ("_known", "_layouts", "_rows", "_scales", "_twins")

    def __init__(self) -> None:
        self._known: dict[Tensor, Known] = {}
        self._layouts: dict[Tensor, Layout] = {}
        self._scales: dict[Tensor, Span | None] = {}
        self._rows: dict[tuple[Tensor, tuple[int, ...]], bool] = {}
        self._twins: dict[Any, Tensor] = {}

    def first_of_twins(self, x: Tensor) -> Tensor:
        """The first node asked about that has x's operation and its two operands, in either
        order.
        """
        a, b = x.inputs
        return self._twins.setdefault((x.op, a, b), self._twins.get((x.op, b, a), x))

    # ---- ranges ----------------------------------------------------------------------------------

    def known(self, x: Tensor) -> Known:
        """All facts about the elements of x."""
        return _forward(x, self._known, _transfer)

    def interval(self, x: Tensor) -> tuple[float, float]:
        """Every element of x that is not NaN lies between these."""
        k = self.known(x)
        return k.lo, k.hi

    def magnitude(self, x: Tensor) -> float:
        """A bound of the magnitudes of the elements that are not NaN; inf where none is known."""
        return max(map(abs, self.interval(x)))

    def bounded(self, x: Tensor) -> bool:
        """Every element that is not NaN has a magnitude of at most 1e30."""
        k = self.known(x)
        return -SAFE[1] <= k.lo and k.hi <= SAFE[1]

    def nan_free(self, x: Tensor) -> bool:
        """Never NaN, whatever the inputs are."""
        return not self.known(x).nan

    def nonzero(self, x: Tensor) -> bool:
        """Never zero, as computed."""
        return self.known(x).nonzero

    def integral(self, x: Tensor) -> bool:
        """An integer wherever it is finite."""
        return self.known(x).integral

    def positive(self, x: Tensor) -> bool:
        """Mathematically greater than 0 for every finite input (NaN aside)."""
        return self.known(x).positive

    def nonnegative(self, x: Tensor) -> bool:
        """At least 0, or NaN, also as computed (a negative zero counts as 0)."""
        return self.known(x).lo >= 0

    def finite(self, x: Tensor) -> bool:
        """Neither NaN nor infinite, whatever the inputs are."""
        return self.known(x).finite

    def never_minus_zero(self, x: Tensor) -> bool:
        """No element is a negative zero."""
        return not self.known(x).minus

    # ---- literals and sizes ----------------------------------------------------------------------

    def scale(self, x: Tensor) -> Span | None:
        """Bounds of |x| for a scalar made of literals and sizes of at least 1; None for other
        values.
        """
        return _forward(x, self._scales, scale_of)

    def safe_scale(self, x: Tensor, shape: tuple[Dim, ...]) -> bool:
        """Whether the scalar x may be multiplied into values of ``shape`` in any order.

        It is finite, nonzero and of moderate magnitude, except where a size is 0; and then
        ``shape`` has no elements.
        """
        return self._scaled_between(x, shape, SAFE[0])

    def grows(self, x: Tensor, shape: tuple[Dim, ...] = ()) -> bool:
        """Whether the scalar x, made of literals and sizes, has a magnitude in 1 .. 1e30.

        Sizes may be 0: they count only as factors of ``shape``, which then has no elements, or
        where they are known to be at least 1.
        """
        return self._scaled_between(x, shape, 1.0)

    def _scaled_between(self, x: Tensor, shape: tuple[Dim, ...], low: float) -> bool:
        if x.ndim:
            return False
        span = self.scale(x)
        if span is None or span[0] < low or span[1] > SAFE[1]:
            return False
        return span[2] <= factors_of(shape) if span[2] else True

    # ---- rows and matrices -----------------------------------------------------------------------

    def sums_to_one(self, x: Tensor, axes: tuple[int, ...]) -> bool:
        """Whether x adds up to one along ``axes`` for every finite input, up to rounding."""
        key = (x, axes)
        if key not in self._rows:
            self._rows[key] = sums_to_one(x, axes)
        return self._rows[key]

    def in_range(self, x: Tensor, n: Dim) -> bool:
        """Whether the integers x are known to lie in 0 .. n - 1."""
        return in_range(x, n)

    def layout(self, x: Tensor) -> Layout:
        """Where the last two axes of x hold zeros, and whether they may be exchanged."""
        return _forward(x, self._layouts, lambda node, ins: layout_of(node, ins, self.known))

    def symmetric(self, x: Tensor) -> bool:
        """Equal to its transpose, up to the rounding of a product."""
        return x.ndim >= 2 and self.layout(x).symmetric

    def lower_triangular(self, x: Tensor) -> bool:
        """Exactly zero above the diagonal of the last two axes."""
        return x.ndim >= 2 and self.layout(x).band[0] >= 0

    def upper_triangular(self, x: Tensor) -> bool:
        """Exactly zero below the diagonal of the last two axes."""
        return x.ndim >= 2 and self.layout(x).band[1] <= 0

    def diagonal(self, x: Tensor) -> bool:
        """Exactly zero off the diagonal of the last two axes."""
        return self.lower_triangular(x) and self.upper_triangular(x)

    def describe(self, x: Tensor) -> str | None:
        """What is known of x in a few words; None where that is nothing, or plain to see."""
        if isinstance(x.type, TupleType) or x.op in (leaves.constant, leaves.size):
            return None
        words = range_text(self.known(x), x.dtype)
        words += [f"sums to 1 along axis {k}" for k in range(x.ndim) if self.sums_to_one(x, (k,))]
        return ", ".join([*words, *self._shape_words(x)]) or None

    def _shape_words(self, x: Tensor) -> list[str]:
        if self.diagonal(x):
            return ["diagonal"]
        lower, upper = self.lower_triangular(x), self.upper_triangular(x)
        words = ["lower triangular"] if lower else ["upper triangular"] if upper else []
        return [*words, "symmetric"] if self.symmetric(x) else words


def _transfer(x: Tensor, ins: list[Known]) -> Known:
    rule = TRANSFERS.get(x.op)
    if rule is not None:
        return rule(x, ins)
    if isinstance(x.type, TupleType) or x.dtype.kind != "f":
        return unknown(x)
    if "unit" in x.op.traits:
        return made(x.dtype, 0, 1)
    return made(x.dtype, 0, INF) if "nonnegative" in x.op.traits else unknown(x)


def _forward(
    root: Tensor, memo: dict[Tensor, Found], find: Callable[[Tensor, list[Found]], Found]
) -> Found:
    """The fact about ``root``, those of the nodes below it first."""
    if root in memo:
        return memo[root]
    stack = [root]
    while stack:
        node = stack[-1]
        waiting = [i for i in node.inputs if i not in memo]
        if waiting:
            stack += waiting
        else:
            stack.pop()
            memo[node] = find(node, [memo[i] for i in node.inputs])
    return memo[root]
