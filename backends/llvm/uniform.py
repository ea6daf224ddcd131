"""Values that are the same wherever they are read: made of literals and sizes alone.

``1 / n`` is a few instructions. Rather than a kernel of its own that stores one number, every
kernel that reads it computes it, once, before its loops.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.backends.llvm.clusters import Cluster, is_free, is_fusable
from symgraph.backends.llvm.memory_ops import READS_MEMORY
from symgraph.backends.llvm.views import is_scalar_literal, source_of
from symgraph.tensor import Tensor

__all__ = ["adopt", "uniform_values"]


def uniform_values(order: Sequence[Tensor], outputs: Sequence[Tensor]) -> dict[Tensor, int]:
    """The 0-d expressions of literals and sizes that need no memory, with their positions.

    Excepted are outputs and what is read from memory; and sizes found while running, since a kernel
    must wait for them.
    """
    found: dict[Tensor, int] = {}
    for k, node in enumerate(order):
        if node.inputs and node.op.elementwise and node.shape == () and not node.after:
            sources = [source_of(i) for i in node.inputs]
            if all((is_scalar_literal(s) and not s.after) or s in found for s in sources):
                found[node] = k
    if not found:
        return found
    stored = {source_of(o) for o in outputs}
    for node in order:
        if is_free(node):
            continue
        if not is_fusable(node):
            stored |= {source_of(i) for i in node.inputs}
        elif node.op in READS_MEMORY:
            stored.add(source_of(node.inputs[0]))
    return {n: k for n, k in found.items() if n not in stored}


def adopt(cluster: Cluster, uniform: dict[Tensor, int]) -> None:
    """Make the uniform values that members read members too, before all others."""
    found: dict[Tensor, None] = {}
    waiting = [source_of(i) for m in cluster.maps for i in m.inputs]
    while waiting:
        node = waiting.pop()
        if node in uniform and node not in found:
            found[node] = None
            waiting += [source_of(i) for i in node.inputs]
    if found:
        first = dict.fromkeys(sorted(found, key=uniform.__getitem__), ())
        cluster.maps = {**first, **cluster.maps}
