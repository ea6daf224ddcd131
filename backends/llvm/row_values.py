"""Values per row that are computed with the rows of their only reader.

What is cheap and has one value a row is not worth a kernel: the reader walks its rows one by one
and computes the value before each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from symgraph.backends.llvm.clusters import CHEAP, REDUCTIONS, Cluster, Step
from symgraph.backends.llvm.step_order import StepOrder
from symgraph.ops.index import gather
from symgraph.ops.product import matmul
from symgraph.tensor import Tensor

__all__ = ["sink_rows"]


class Host(Protocol):
    """What is needed of the partition in the making."""

    ranks: StepOrder[Step]

    def reads(self, step: Step) -> Iterable[Tensor]: ...

    def reads_steps(self, step: Step) -> Iterable[Step]: ...

    def outside(self, node: Tensor, c: Cluster) -> list[Step]: ...

    def try_merge(self, node: Tensor, c: Cluster, other: Cluster) -> None: ...


def sink_rows(p: Host, wanted: set[Tensor]) -> None:
    """Merge every such cluster into its reader; ``wanted`` variables are results and stay."""
    for c in [s for s in p.ranks.steps() if isinstance(s, Cluster)]:
        _sink_into(p, c, wanted)


def _sink_into(p: Host, c: Cluster, wanted: set[Tensor]) -> None:
    """``c`` then walks its rows one by one, even if it reduces nothing."""
    for other in p.reads_steps(c):
        if not isinstance(other, Cluster) or not _is_row_of(p, other, c, wanted):
            continue
        readers = [m for m in c.maps if any(s is other for s in p.outside(m, c))]
        if any(m.op in REDUCTIONS for m in readers):
            continue
        before = c.inner
        c.inner = before or frozenset(range(len(other.space), len(c.space)))
        if _has_rows(c):
            p.try_merge(readers[0], c, other)
        if other.forward is not c:
            c.inner = before


def _is_row_of(p: Host, other: Cluster, c: Cluster, wanted: set[Tensor]) -> bool:
    """Whether ``other`` may become values of the rows of ``c``."""
    if other.inner or not 0 < len(other.space) < len(c.space) or other.forward is not None:
        return False
    cheap = all(m.op.name in CHEAP or m.op is gather for m in other.maps)
    alone = not any(m in wanted for m in other.maps) and [*p.ranks.readers[other]] == [c]
    product = any(r.op is matmul for r in p.reads(c))  # c may become its epilogue
    return cheap and alone and (bool(c.inner) or not product)


def _has_rows(c: Cluster) -> bool:
    """Whether every member runs along all of the inner axes or along none."""
    return all(c.inner & set(a) in (frozenset(), c.inner) for a in c.maps.values())
