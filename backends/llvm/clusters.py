"""Clusters: the loop nests a partition consists of, and what may be a member of one."""

from __future__ import annotations

from dataclasses import dataclass, field

from symgraph.backends.llvm.axis_maps import AxisMap
from symgraph.backends.llvm.memory_ops import READS_MEMORY, copy
from symgraph.backends.llvm.reduction import is_ordered, peak
from symgraph.backends.llvm.views import VIEWS
from symgraph.ops import leaves, reduction
from symgraph.sizes import Dim
from symgraph.tensor import Tensor

__all__ = [
    "CHEAP",
    "HEAVY",
    "LIMIT",
    "REDUCTIONS",
    "Cluster",
    "Partition",
    "Place",
    "Step",
    "is_free",
    "is_fusable",
    "keeps_order",
]

#: LLVM's time grows faster than linearly in the length of a kernel; longer chains split.
LIMIT = 160

#: Ops of one or two instructions: worth computing twice rather than saving.
CHEAP = frozenset(
    (
        "add", "subtract", "multiply", "negative", "square", "abs", "maximum", "minimum", "relu",
        "where", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal",
        "logical_and", "logical_or", "logical_not", "astype", "clip", "isfinite",
    )
)  # fmt: skip

#: What an operation that is no single instruction counts as (an elementary function is dozens).
HEAVY = 6

REDUCTIONS = frozenset(
    (
        reduction.sum_, reduction.prod, reduction.max_, reduction.min_, reduction.any_,
        reduction.all_,
        reduction.argmax, reduction.argmin, peak,
    )
)  # fmt: skip


@dataclass(eq=False, slots=True)
class Cluster:
    """One loop nest: its space, the axes it reduces, its members and their axis maps."""

    space: tuple[Dim, ...]
    inner: frozenset[int] = frozenset()
    maps: dict[Tensor, AxisMap] = field(default_factory=dict)
    operand_maps: dict[Tensor, AxisMap] = field(default_factory=dict)
    last: int = 0
    weight: int = 0
    forward: Cluster | None = None

    def __str__(self) -> str:
        names = ", ".join(n.op.name for n in self.maps)
        return f"space ({', '.join(map(str, self.space))}) inner {sorted(self.inner)}: {names}"


Step = Cluster | Tensor


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the buffer of ``base`` a variable stands, in elements."""

    base: Tensor
    offset: Dim
    strides: tuple[Dim, ...]


@dataclass(slots=True)
class Partition:
    """What runs, in order: clusters and single operations; and which variables need a buffer, or
    a place in that of another."""

    steps: list[Step]
    stored: dict[Tensor, Place | None]


def is_free(node: Tensor) -> bool:
    """Whether a node has no code of its own: a leaf, a view, a ramp."""
    return not node.inputs or node.op in VIEWS or node.op is leaves.iota


def is_fusable(node: Tensor) -> bool:
    op = node.op
    return op.elementwise or op in REDUCTIONS or op in READS_MEMORY or op is copy


def keeps_order(operand_maps: dict[Tensor, AxisMap]) -> bool:
    """Whether one nest can run these reductions, every floating-point sum in its own order."""
    sums = {n: m for n, m in operand_maps.items() if is_ordered(n.op, n.inputs[0].dtype)}
    runs = [[a for a in axes if a is not None] for axes in sums.values()]
    return len({n.dtype for n in sums}) <= 1 and all(r == sorted(r) for r in runs)
