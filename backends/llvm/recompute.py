"""Values that their readers compute again rather than read from memory.

A kernel that stores both ``h`` and ``1 - h**2`` writes twice as much as it must: whoever reads the
second can have it from the first in two instructions. A stored value is dropped where every reader
can make it by at most `DEPTH` cheap operations (`BROADCAST` where it is stretched over the reader's
loops) from what is in memory anyway, reading at most one array more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from symgraph.backends.llvm.axis_maps import AxisMap, follow_chain, pull
from symgraph.backends.llvm.clusters import CHEAP, Cluster, Partition, Step
from symgraph.backends.llvm.memory_ops import READS_MEMORY
from symgraph.backends.llvm.views import AXIS_VIEWS, is_scalar_literal, source_of
from symgraph.ops import leaves
from symgraph.tensor import Tensor

__all__ = ["recompute"]

DEPTH, BROADCAST = 3, 1


@dataclass(slots=True)
class _Recipe:
    """The operations that make a value (it comes last), and the arrays they read."""

    nodes: dict[Tensor, None] = field(default_factory=dict)
    roots: dict[Tensor, None] = field(default_factory=dict)


#: A step, its member that reads, and the operand it reads.
_Use = tuple[Step, Tensor, Tensor]


class _Recomputer:
    def __init__(
        self, parts: Partition, outputs: Sequence[Tensor], uniform: dict[Tensor, int]
    ) -> None:
        self.parts, self.uniform = parts, uniform
        self.home = {m: c for c in parts.steps if isinstance(c, Cluster) for m in c.maps}
        self.kept = {source_of(o) for o in outputs}
        self.uses: dict[Tensor, list[_Use]] = {}
        for step in parts.steps:
            for m in step.maps if isinstance(step, Cluster) else (step,):
                for i in (*m.inputs, *m.after) if m.after else m.inputs:
                    self.uses.setdefault(source_of(i), []).append((step, m, i))

    def run(self) -> None:
        changed: set[int] = set()
        home, kept = self.home, self.kept
        cheap = [n for n in self.parts.stored if n in home and n not in kept and _is_cheap(n)]
        for node in reversed(cheap):
            plan = self.plan(node)
            if plan is not None:
                recipe, places = plan
                for c, axes in places:
                    self.insert(recipe, node, c, axes)
                del self.parts.stored[node]
                self.kept.update(recipe.roots)
                changed.add(id(self.home[node]))
        for c in [s for s in self.parts.steps if id(s) in changed and isinstance(s, Cluster)]:
            self.prune(c)
        self.parts.steps = [s for s in self.parts.steps if not isinstance(s, Cluster) or s.maps]

    # ---- whether it pays ---------------------------------------------------------------------

    def plan(self, node: Tensor) -> tuple[_Recipe, list[tuple[Cluster, AxisMap]]] | None:
        """How and where a stored value can be computed again, if that pays."""
        if node in self.kept:
            return None
        recipe = self.recipe(node)
        places = self.places(node) if recipe is not None else None
        if recipe is None or places is None:
            return None
        for c, axes in places:
            stretched = len([a for a in axes if a is not None]) < len(c.space)
            more = [r for r in recipe.roots if r.ndim and not self.is_read(r, c)]
            known = any(n in c.maps for n in recipe.nodes)
            if known or len(more) > 1 or len(recipe.nodes) > (BROADCAST if stretched else DEPTH):
                return None
        return recipe, places

    def recipe(self, node: Tensor) -> _Recipe | None:
        found = _Recipe()
        waiting = [node]
        while waiting:
            n = waiting.pop()
            if n in found.nodes:
                del found.nodes[n]  # it must come before all that read it
            found.nodes[n] = None
            if len(found.nodes) > DEPTH:
                return None
            for operand in n.inputs:
                source = source_of(operand)
                if is_scalar_literal(source) or source in self.uniform:
                    continue
                if self.is_root(source):
                    found.roots[source] = None
                elif self.home.get(source) is self.home[node] and _is_cheap(source):
                    if not _is_plain(operand, source):
                        return None
                    waiting.append(source)
                else:
                    return None
        found.nodes = dict.fromkeys(reversed(found.nodes))
        return found

    def is_root(self, source: Tensor) -> bool:
        """Whether a value is in memory, whatever happens here."""
        if source.op in (leaves.input_, leaves.constant):
            return True
        return source in self.parts.stored and source in self.home

    def is_read(self, source: Tensor, c: Cluster) -> bool:
        return source in c.maps or any(step is c for step, _, _ in self.uses.get(source, ()))

    def places(self, node: Tensor) -> list[tuple[Cluster, AxisMap]] | None:
        """The clusters that read the value, each with the axes it is read along."""
        found: dict[Cluster, AxisMap] = {}
        for c, reader, operand in self.uses.get(node, ()):
            if c is self.home[node]:
                continue
            if not isinstance(c, Cluster) or not _is_fused(reader, operand):
                return None
            if not _is_plain(operand, node):
                return None
            if reader in c.operand_maps:
                axes = follow_chain(c.operand_maps[reader], operand, node)
            else:
                axes = pull(reader, c.maps[reader], operand, node)
            if found.setdefault(c, axes) != axes:
                return None
        return list(found.items())

    # ---- the change --------------------------------------------------------------------------

    def insert(self, recipe: _Recipe, node: Tensor, c: Cluster, axes: AxisMap) -> None:
        """Make the recipe's operations members of ``c``, before all others."""
        maps = {node: axes}
        for n in reversed(recipe.nodes):
            for operand in n.inputs:
                source = source_of(operand)
                if source in recipe.nodes:
                    maps[source] = pull(n, maps[n], operand, source)
        c.maps = {**{n: maps[n] for n in recipe.nodes}, **c.maps}
        c.weight += len(recipe.nodes)
        for n in recipe.nodes:
            for operand in n.inputs:
                self.uses.setdefault(source_of(operand), []).append((c, n, operand))

    def prune(self, c: Cluster) -> None:
        """Drop the members that nothing needs any more."""
        needed: set[Tensor] = set()
        waiting = [m for m in c.maps if m in self.parts.stored and self.home.get(m) is c]
        while waiting:
            n = waiting.pop()
            if n not in needed:
                needed.add(n)
                waiting += [s for i in n.inputs if (s := source_of(i)) in c.maps]
        c.maps = {m: a for m, a in c.maps.items() if m in needed}
        c.operand_maps = {m: a for m, a in c.operand_maps.items() if m in needed}


def _is_cheap(node: Tensor) -> bool:
    return node.op.name in CHEAP and node.op.elementwise and not node.after


def _is_fused(reader: Tensor, operand: Tensor) -> bool:
    """Whether the reader takes the operand element by element."""
    if any(operand is a for a in reader.after):
        return False
    return reader.op not in READS_MEMORY or operand is not reader.inputs[0]


def _is_plain(operand: Tensor, source: Tensor) -> bool:
    """Whether only axis views lie between."""
    while operand is not source:
        if operand.op not in AXIS_VIEWS:
            return False
        operand = operand.inputs[0]
    return True


def recompute(parts: Partition, outputs: Sequence[Tensor], uniform: dict[Tensor, int]) -> None:
    """Drop stored values that are cheaper to compute again than to read."""
    _Recomputer(parts, outputs, uniform).run()
