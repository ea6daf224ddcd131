"""Group a prepared graph into kernels.

A *cluster* is a set of element-wise operations and reductions computed in one loop nest over one
iteration space. Every member has an axis map: which axis of the space each of its own axes runs
along. Reductions of a cluster all reduce the same axes (the *inner* ones); members that do not run
along these are computed once per row. Nothing is ever computed twice: what another kernel needs is
stored. Operations that are no such loops (products, scatters, scans, ...) are steps of their own.

The order of a floating-point sum is that of its operand's axes, whatever it is fused with: its
cluster has the axes in this order, and no sum of another element size (the number of lanes).

Two clusters merge where their spaces fit and no path leads from one to the other through a third.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.backends.llvm.axis_maps import (
    AxisMap,
    complete,
    fit_map,
    own_space,
    pull,
    reach,
    reach_operand,
)
from symgraph.backends.llvm.clusters import (
    CHEAP,
    HEAVY,
    LIMIT,
    REDUCTIONS,
    Cluster,
    Partition,
    Place,
    Step,
    is_free,
    is_fusable,
    keeps_order,
)
from symgraph.backends.llvm.join_places import place_parts
from symgraph.backends.llvm.memory_ops import READS_MEMORY
from symgraph.backends.llvm.recompute import recompute
from symgraph.backends.llvm.row_values import sink_rows
from symgraph.backends.llvm.shared_reads import share_reads
from symgraph.backends.llvm.step_order import StepOrder
from symgraph.backends.llvm.uniform import adopt, uniform_values
from symgraph.backends.llvm.views import AXIS_VIEWS, VIEWS, source_of
from symgraph.graph import topological
from symgraph.tensor import Tensor

__all__ = ["partition"]


class _Partitioner:
    def __init__(self, outputs: Sequence[Tensor], fuse: bool) -> None:
        self.order, self.fuse = topological(outputs), fuse
        self.uniform = uniform_values(self.order, outputs) if fuse else {}
        self.position = {n: k for k, n in enumerate(self.order)}
        self.home: dict[Tensor, Cluster] = {}
        self.siblings: dict[tuple[Tensor, tuple[int, ...]], Tensor] = {}
        #: what no step computes: leaves, views, and what is part of its readers
        self.free = {n for n in self.order if is_free(n) or n in self.uniform}
        self.known_operands: dict[Tensor, list[tuple[Tensor, Tensor, bool]]] = {}
        self.known_reads: dict[Tensor, list[Tensor]] = {}
        self.ranks = StepOrder(self.reads_steps)

    # ---- membership --------------------------------------------------------------------------

    def cluster(self, node: Tensor) -> Cluster | None:
        c = self.home.get(node)
        if c is None:
            return None
        while c.forward is not None:
            c = c.forward
        return c

    def operands(self, node: Tensor) -> list[tuple[Tensor, Tensor, bool]]:
        """(operand, source, whether only axis views lie between) of fusable inputs."""
        found = self.known_operands.get(node)
        if found is None:
            fused = node.inputs[1:] if node.op in READS_MEMORY else node.inputs
            found = self.known_operands[node] = [(o, *_chase(o)) for o in fused]
        return found

    # ---- paths -------------------------------------------------------------------------------

    def node_reads(self, node: Tensor) -> list[Tensor]:
        """The variables of other steps, or of its own, that a node reads."""
        found = self.known_reads.get(node)
        if found is None:
            read = (*node.inputs, *node.after) if node.after else node.inputs
            found = [s for s in map(source_of, read) if s not in self.free]
            self.known_reads[node] = found
        return found

    def reads(self, step: Step) -> list[Tensor]:
        """The variables that other steps compute for a step."""
        if isinstance(step, Tensor):
            return self.node_reads(step)
        return [s for m in step.maps for s in self.node_reads(m) if self.cluster(s) is not step]

    def step_of(self, node: Tensor) -> Step:
        c = self.cluster(node)
        return c if c is not None else node

    def reads_steps(self, step: Step) -> list[Step]:
        """The steps a step reads from."""
        return [self.step_of(r) for r in self.reads(step)]

    def outside(self, node: Tensor, c: Cluster) -> list[Step]:
        """The steps other than ``c`` that ``node`` reads."""
        steps = [self.step_of(s) for s in self.node_reads(node)]
        return [s for s in steps if s is not c]

    # ---- axis maps ---------------------------------------------------------------------------

    def fitting_map(self, node: Tensor, c: Cluster) -> AxisMap | None:
        """The axis map ``node`` would have in ``c``, or None where it does not fit."""
        read: list[tuple[AxisMap, AxisMap]] = []
        for operand, source, plain in self.operands(node):
            if self.cluster(source) is c:
                if not plain:
                    return None
                read.append((reach(node, operand, source), c.maps[source]))
        return fit_map(node.shape, tuple(read), c.space)

    # ---- joining -----------------------------------------------------------------------------

    def place(self, node: Tensor) -> None:
        candidates: list[Cluster] = []
        for _, source, plain in self.operands(node):
            c = self.cluster(source)
            if c is not None and plain and c not in candidates:
                candidates.append(c)
        if len(candidates) > 1:
            candidates.sort(key=lambda c: (-len(c.space), -c.last))
        for c in candidates:
            if self.join(node, c):
                for other in candidates:
                    if other is not c and other.forward is None:
                        self.try_merge(node, c, other)
                return
        if not self.join_sibling(node):
            self.start(node)

    def join_sibling(self, node: Tensor) -> bool:
        """Put a reduction beside another one of the same operand over the same axes."""
        if node.op not in REDUCTIONS:
            return False
        key = node.inputs[0], node.attrs["axis"]
        sibling = self.siblings.setdefault(key, node)
        c = self.cluster(sibling)
        if c is None or c.weight >= LIMIT or c is self.cluster(source_of(key[0])):
            return False
        outside = self.outside(node, c)
        if any(self.ranks.depends(u, c) for u in outside):
            return False
        if not keeps_order({**c.operand_maps, node: c.operand_maps[sibling]}):
            return False
        c.operand_maps[node] = c.operand_maps[sibling]
        self.add(node, c.maps[sibling], c)
        self.ranks.connect(outside, c)
        return True

    def join(self, node: Tensor, c: Cluster) -> bool:
        if c.weight >= LIMIT:
            return False
        reduces = node.op in REDUCTIONS
        axes = self.reduction_map(node, c) if reduces else self.fitting_map(node, c)
        if axes is None:
            return False
        if c.inner and not reduces and c.inner & set(axes) not in (frozenset(), c.inner):
            return False  # only by chance as long as one of several reduced axes
        inner = c.inner
        if reduces:
            if not keeps_order({**c.operand_maps, node: axes}):
                return False
            operand_map, inner = axes, self.reduced_axes(node, axes)
            if not inner or (c.inner and c.inner != inner):
                return False
            axes = tuple(m for k, m in enumerate(operand_map) if k not in node.attrs["axis"])
        if node.op in READS_MEMORY and self.cluster(source_of(node.inputs[0])) is c:
            return False
        outside = self.outside(node, c)
        if any(self.ranks.depends(u, c) for u in outside):
            return False
        c.inner = inner
        if reduces:
            c.operand_maps[node] = operand_map
        self.add(node, axes, c)
        self.ranks.connect(outside, c)
        return True

    def reduced_axes(self, node: Tensor, operand_map: AxisMap) -> frozenset[int]:
        return frozenset(m for k in node.attrs["axis"] if (m := operand_map[k]) is not None)

    def reduction_map(self, node: Tensor, c: Cluster) -> AxisMap | None:
        """The axis map of a reduction's operand in ``c``, if it runs along the whole space."""
        ((operand, source, plain),) = self.operands(node)
        if not plain or self.cluster(source) is not c:
            return None
        reached = reach_operand(operand, source)
        if any(k not in reached and d != 1 for k, d in enumerate(operand.shape)):
            return None  # a stretched axis is no axis of the space
        axes: list[int | None] = [None] * operand.ndim
        for axis, mapped in zip(reached, c.maps[source], strict=True):
            if axis is not None:
                axes[axis] = mapped
        whole = sorted(m for m in axes if m is not None) == list(range(len(c.space)))
        return tuple(axes) if whole else None

    def add(self, node: Tensor, axes: AxisMap, c: Cluster) -> None:
        c.maps[node] = axes
        c.weight += 1 if node.op.name in CHEAP else HEAVY
        c.last = max(c.last, self.position[node])
        self.home[node] = c

    def start(self, node: Tensor) -> None:
        full = node.inputs[0].shape if node.op in REDUCTIONS else node.shape
        space, axes = own_space(full)
        c = Cluster(space)
        c.last = self.position[node]
        if node.op in REDUCTIONS:
            c.inner = self.reduced_axes(node, axes)
            c.operand_maps[node] = axes
            axes = tuple(m for k, m in enumerate(axes) if k not in node.attrs["axis"])
        self.add(node, axes, c)
        self.ranks.append(c, self.outside(node, c))

    def try_merge(self, node: Tensor, c: Cluster, other: Cluster) -> None:
        """Merge ``other``, which also feeds ``node``, into ``c`` where that is possible."""
        if c.weight + other.weight > LIMIT:
            return
        embedding = self.embed(node, c, other)
        if embedding is None:
            return
        inner = frozenset(embedding[k] for k in other.inner)
        if inner and c.inner and inner != c.inner:
            return
        merged_inner = c.inner or inner
        if inner and len(other.space) != len(c.space):
            return
        if (
            len(other.space) < len(c.space)
            and set(embedding) != set(range(len(c.space))) - merged_inner
        ):
            return  # it would be computed again and again
        moved_operands = {
            m: tuple(None if a is None else embedding[a] for a in axes)
            for m, axes in other.operand_maps.items()
        }
        if not keeps_order({**c.operand_maps, **moved_operands}):
            return
        if not self.compatible(c, other, embedding):
            return
        if self.ranks.depends_indirectly(c, other) or self.ranks.depends_indirectly(other, c):
            return
        self.absorb(c, other, embedding)

    def absorb(self, c: Cluster, other: Cluster, embedding: tuple[int, ...]) -> None:
        """Make the members of ``other`` members of ``c``."""

        def moved(axes: AxisMap) -> AxisMap:
            return tuple(None if a is None else embedding[a] for a in axes)

        c.inner = c.inner or frozenset(embedding[k] for k in other.inner)
        c.last = max(c.last, other.last)
        c.weight += other.weight
        c.operand_maps |= {m: moved(axes) for m, axes in other.operand_maps.items()}
        for m, axes in other.maps.items():
            c.maps[m] = moved(axes)
        c.maps = dict(sorted(c.maps.items(), key=lambda item: self.position[item[0]]))
        other.forward = c
        self.ranks.contract(c, other)

    def embed(self, node: Tensor, c: Cluster, other: Cluster) -> tuple[int, ...] | None:
        """For each axis of ``other``'s space the axis of ``c``'s it coincides with."""
        found: dict[int, int] = {}
        for operand, source, plain in self.operands(node):
            if self.cluster(source) is not other:
                continue
            if not plain:
                return None
            wanted = pull(node, c.maps[node], operand, source)
            for theirs, ours in zip(other.maps[source], wanted, strict=True):
                if theirs is None:
                    continue
                if ours is None or found.setdefault(theirs, ours) != ours:
                    return None
        completed = complete(other.space, found, c.space)
        if completed is None or any(a is None for a in completed):
            return None
        axes = tuple(a for a in completed if a is not None)
        return axes if len(set(axes)) == len(axes) else None

    def compatible(self, c: Cluster, other: Cluster, embedding: tuple[int, ...]) -> bool:
        """Whether members of each read those of the other along their own axis maps."""
        moved = {
            m: tuple(None if a is None else embedding[a] for a in axes)
            for m, axes in other.maps.items()
        }
        for readers, read, maps in ((c.maps, moved, c.maps), (moved, c.maps, moved)):
            for m in readers:
                if m.op in READS_MEMORY and source_of(m.inputs[0]) in read:
                    return False
                for operand, source, plain in self.operands(m):
                    if source not in read:
                        continue
                    if m.op in REDUCTIONS or not plain:
                        return False
                    if pull(m, maps[m], operand, source) != read[source]:
                        return False
        return True

    # ---- the whole ---------------------------------------------------------------------------

    def run(self, outputs: Sequence[Tensor]) -> Partition:
        for node in self.order:
            if node in self.free:
                continue
            if is_fusable(node):
                (self.place if self.fuse else self.start)(node)
            else:
                self.ranks.append(node, self.reads_steps(node))
        if not self.fuse:
            return Partition(self.ranks.steps(), self.stored(outputs))
        wanted = {source_of(o) for o in outputs}
        sink_rows(self, wanted)
        share_reads(self)
        parts = Partition(self.ranks.steps(), self.stored(outputs))
        recompute(parts, outputs, self.uniform)
        place_parts(parts, outputs)
        for step in parts.steps if self.uniform else ():
            if isinstance(step, Cluster):
                adopt(step, self.uniform)
        return parts

    def stored(self, outputs: Sequence[Tensor]) -> dict[Tensor, Place | None]:
        """Variables read outside the step that computes them."""
        out: dict[Tensor, Place | None] = {}
        for node in self.order:
            if node in self.free:
                continue
            c = self.cluster(node)
            if c is None:
                out[node] = None
            memory = node.inputs[0] if node.op in READS_MEMORY else None
            for i in node.inputs:
                s = source_of(i)
                if s not in self.free and (c is None or i is memory or self.cluster(s) is not c):
                    out[s] = None
        for o in outputs:
            s = source_of(o)
            if s not in self.free:
                out[s] = None
        return out


def _chase(operand: Tensor) -> tuple[Tensor, bool]:
    """What an operand reads, and whether only axis views lie between."""
    n, plain = operand, True
    while n.op in VIEWS:
        plain = plain and n.op in AXIS_VIEWS
        n = n.inputs[0]
    return n, plain


def partition(outputs: Sequence[Tensor], fuse: bool = True) -> Partition:
    """The kernels that compute the (prepared) outputs; without ``fuse`` one for each operation."""
    return _Partitioner(outputs, fuse).run(outputs)
