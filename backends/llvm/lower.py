"""From the partition to kernel calls: one lowering per kind of step."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from symgraph.backends.llvm.clusters import Cluster, Partition
from symgraph.backends.llvm.copies import Views, concat_calls, nest_call, place_calls
from symgraph.backends.llvm.equal_nests import EqualNests
from symgraph.backends.llvm.index import nonzero_calls, scatter_calls
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.kernel import Call
from symgraph.backends.llvm.loops import build_nest
from symgraph.backends.llvm.product import fused_call, matmul_calls
from symgraph.backends.llvm.product_fusion import FusedProduct, Step
from symgraph.backends.llvm.scan import scan_calls
from symgraph.backends.llvm.two_phase import has_two_phases, two_phase_calls
from symgraph.errors import UnsupportedError
from symgraph.op import Op
from symgraph.ops import index, product, reduction, shape
from symgraph.tensor import Tensor, describe

__all__ = ["LOWER_STEPS", "lower_steps"]

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


def lower_steps(
    steps: Iterable[Step], parts: Partition, views: Views, target: Target
) -> list[Call]:
    """The kernel calls of a program's steps, in order."""
    equal = EqualNests(parts.stored, views)

    def cluster_calls(cluster: Cluster) -> list[Call]:
        last, nest = next(reversed(cluster.maps)), build_nest(cluster, parts.stored, views)
        return (
            two_phase_calls(nest, last, target) if has_two_phases(nest) else [nest_call(nest, last)]
        )

    calls: list[Call] = []
    for step in steps:
        if isinstance(step, Cluster):
            calls += equal.calls(step, cluster_calls)
        else:
            calls += _step_calls(step, parts, views, target)
    return calls


def _step_calls(
    step: FusedProduct | Tensor, parts: Partition, views: Views, target: Target
) -> list[Call]:
    if isinstance(step, FusedProduct):
        return [fused_call(step, views, target)]
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
