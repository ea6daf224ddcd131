"""From the partition to kernel calls: one lowering per kind of step."""

from __future__ import annotations

from collections.abc import Callable

from symgraph.backends.llvm.clusters import Cluster, Partition
from symgraph.backends.llvm.copies import Views, concat_calls, nest_call, place_calls
from symgraph.backends.llvm.index import nonzero_calls, scatter_calls
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.kernel import Call
from symgraph.backends.llvm.loops import build_nest
from symgraph.backends.llvm.product import fused_call, matmul_calls
from symgraph.backends.llvm.product_fusion import FusedProduct, Step
from symgraph.backends.llvm.scan import scan_calls
from symgraph.backends.llvm.two_phase import has_two_phases, two_phase_calls
from symgraph.backends.llvm.views import VIEWS, View, compose, whole
from symgraph.errors import UnsupportedError
from symgraph.op import Op
from symgraph.ops import index, product, reduction, shape
from symgraph.tensor import Tensor, describe

__all__ = ["LOWER_STEPS", "lower_step", "viewer"]

#: Operations that are steps of their own.
LOWER_STEPS: dict[Op, Callable[[Tensor, Views], list[Call]]] = {
    shape.concat: concat_calls,
    shape.place: place_calls,
    index.scatter_add: scatter_calls,
    index.scatter_set: scatter_calls,
    index.nonzero: nonzero_calls,
    reduction.cumulative_sum: scan_calls,
    reduction.linear_recurrence: scan_calls,
}


def viewer() -> Views:
    """A function that tells how any variable is read, remembering what it found."""
    known: dict[Tensor, View] = {}

    def view(node: Tensor) -> View:
        chain = []
        while node not in known and node.op in VIEWS:
            chain.append(node)
            node = node.inputs[0]
        if node not in known:
            known[node] = whole(node)
        for n in reversed(chain):
            found = compose(n, known[n.inputs[0]])
            assert found is not None, "prepare has made every reshape a view"
            known[n] = found
        return known[chain[0]] if chain else known[node]

    return view


def lower_step(step: Step, parts: Partition, views: Views, target: Target) -> list[Call]:
    """The kernel calls of one step, in order."""
    if isinstance(step, FusedProduct):
        return [fused_call(step, views, target)]
    if isinstance(step, Cluster):
        last = next(reversed(step.maps))
        nest = build_nest(step, parts.stored, views)
        return (
            two_phase_calls(nest, last, target) if has_two_phases(nest) else [nest_call(nest, last)]
        )
    if step.op is product.matmul:
        return matmul_calls(step, views, target)
    if step.op is shape.concat:
        return concat_calls(step, views, parts.stored)
    rule = LOWER_STEPS.get(step.op)
    if rule is None:
        raise UnsupportedError(
            f"{describe(step)}: the op {step.op.name} has no native code; give the Op a lower= "
            "function, "
            "or compile with backend='reference'"
        )
    return rule(step, views)
