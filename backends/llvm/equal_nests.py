"""Clusters of one form: the first becomes a kernel call, the others are that call on other
variables.

A thousand equal layers are a thousand equal clusters. All that `build_nest` looks at goes into a
tuple, the *form*, in which variables are numbers, given as they are met. Equal forms have equal
nests but for the variables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from symgraph.backends.llvm.axis_maps import operand_axes
from symgraph.backends.llvm.clusters import REDUCTIONS, Cluster, Place
from symgraph.backends.llvm.copies import Views
from symgraph.backends.llvm.kernel import Call
from symgraph.backends.llvm.loops import Item, Nest, PointerParam
from symgraph.backends.llvm.memory_ops import READS_MEMORY, inside
from symgraph.backends.llvm.views import is_scalar_literal, source_of
from symgraph.ops import leaves
from symgraph.tensor import Tensor

__all__ = ["EqualNests"]

#: Operands that are computed, not read from memory.
_COMPUTED = frozenset((leaves.iota, inside))

Form = tuple[Any, ...]


class EqualNests:
    """The calls of one program's clusters, by form."""

    def __init__(self, stored: Mapping[Tensor, Place | None], views: Views) -> None:
        self.stored, self.views = stored, views
        self.known: dict[Form, tuple[Call, list[Tensor]]] = {}

    def calls(self, cluster: Cluster, make: Callable[[Cluster], list[Call]]) -> list[Call]:
        """The calls of a cluster; ``make`` makes those of a new form."""
        variables: dict[Tensor, int] = {}
        form = self.form(cluster, variables)
        if form is None:
            return make(cluster)
        found = self.known.get(form)
        if found is not None:
            call, before = found
            return [_moved(call, dict(zip(before, variables, strict=True)))]
        calls = make(cluster)
        if len(calls) == 1:
            self.known[form] = calls[0], list(variables)
        return calls

    def form(self, cluster: Cluster, variables: dict[Tensor, int]) -> Form | None:
        """The form of a cluster, its variables numbered; None for one that looks things up."""
        found: list[Any] = [cluster.space, cluster.inner]
        for node, axes in cluster.maps.items():
            if node.op in READS_MEMORY:
                return None
            variables.setdefault(node, len(variables))
            found += node.op, node.dtype, node.shape, axes
            if node.op in REDUCTIONS:
                found += node.attrs["axis"], node.inputs[0].shape
            for operand in node.inputs:
                source = source_of(operand)
                if source in cluster.maps:
                    found.append(variables[source])
                elif is_scalar_literal(source):
                    found += _literal(source)
                elif source.op in _COMPUTED:
                    return None
                else:
                    view, number = self.views(operand), variables.setdefault(source, len(variables))
                    own = cluster.operand_maps.get(node) or operand_axes(node, axes, operand)
                    found += number, source.dtype, operand.shape, view.offset, view.strides, own
            found.append(self.place(node, variables))
        return tuple(found)

    def place(self, node: Tensor, variables: dict[Tensor, int]) -> Any:
        """Where a member is stored, if it is."""
        place = self.stored.get(node)
        if place is None:
            return node in self.stored
        number = variables.setdefault(place.base, len(variables))
        return number, place.base.dtype, place.offset, place.strides


def _literal(source: Tensor) -> Form:
    if source.op is leaves.size:
        return source.op, source.dtype, source.attrs["dim"]
    return source.op, source.dtype, source.attrs["value"].tobytes()


def _moved(call: Call, to: dict[Tensor, Tensor]) -> Call:
    """The call on other variables."""
    nest = call.nest
    assert nest is not None
    params = [
        PointerParam(to[p.node], p.offset, p.role, p.bytes)
        if isinstance(p, PointerParam) and p.node is not None
        else p
        for p in nest.params
    ]
    moved = Nest(
        nest.extents,
        nest.inner,
        [_item(i, to[i.node]) if i.node is not None else i for i in nest.items],
        list(nest.stores),
        params,
        dict(nest.scratch),
        nest.checked,
        [to[n] for n in nest.sources],
    )
    return replace(call, params=tuple(params), node=to[call.node], nest=moved)


def _item(item: Item, node: Tensor) -> Item:
    return Item(
        item.kind, item.dtype, item.full, item.stage, item.args, node, item.access, item.payload
    )
