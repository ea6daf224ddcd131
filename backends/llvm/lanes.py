"""How many lanes a nest's vectors have."""

from __future__ import annotations

from symgraph.backends.llvm import reduction as red
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.loops import Nest

__all__ = ["choose_lanes"]


def _next_power(n: int) -> int:
    return 1 << max(0, n - 1).bit_length()


def choose_lanes(nest: Nest, target: Target, axis: int) -> int:
    """Lanes along the vector axis: two registers of the widest type, so that chains overlap.

    Where the axis is reduced this depends on its extent and the dtype of the sums alone (one in a
    nest), since their order does.
    """
    extent = nest.extents[axis]
    reduces = [i for i in nest.items if i.kind == "reduce"]
    if axis in nest.inner and reduces:
        read = [(i.node.op, nest.items[i.args[0]].dtype) for i in reduces if i.node is not None]
        ordered = [d.itemsize for op, d in read if red.is_ordered(op, d)]
        lanes = 2 * target.lanes(8 * max(ordered or [d.itemsize for _, d in read]))
        if not ordered and any(red.is_position(op) for op, _ in read):
            lanes //= 2
    else:
        floats = [i.dtype.itemsize for i in nest.items if i.dtype.kind == "f"]
        ints = [i.dtype.itemsize for i in nest.items if i.dtype.kind in "iub" and i.kind != "ramp"]
        lanes = target.lanes(8 * max(floats or ints or [8]))
        if not any(red.is_position(i.node.op) for i in reduces if i.node is not None):
            lanes *= 2
    if isinstance(extent, int):
        lanes = min(lanes, _next_power(extent))
    return max(1, lanes)
