"""The stages of a compilation, one by one, for tests that look between them."""

from __future__ import annotations

from typing import Any

import numpy as np

import symgraph as sg
from symgraph.backends.llvm.clusters import Cluster, Partition
from symgraph.backends.llvm.compile import LLVMFunction
from symgraph.backends.llvm.jit import host
from symgraph.backends.llvm.kernel import Call
from symgraph.backends.llvm.loops import Nest, build_nest
from symgraph.backends.llvm.lower import lower_steps
from symgraph.backends.llvm.partition import partition
from symgraph.backends.llvm.prepare import prepare
from symgraph.backends.llvm.views import viewer
from symgraph.graph import Graph, topological
from symgraph.ops import leaves
from symgraph.tensor import Tensor, private_table

__all__ = ["both", "calls_of", "clusters_of", "native", "nests_of", "parts_of", "prepared"]

Array = np.ndarray[Any, Any]


def prepared(*outputs: Tensor) -> list[Tensor]:
    """The outputs in kernel form."""
    graph = Graph(list(outputs), tuple(n for n in topological(outputs) if n.op is leaves.input_))
    with private_table(graph.nodes):
        return prepare(graph)


def parts_of(*outputs: Tensor) -> Partition:
    """The kernels that compute the outputs."""
    return partition(prepared(*outputs))


def clusters_of(*outputs: Tensor) -> list[list[str]]:
    """The ops of every step, in order."""
    return [
        [n.op.name for n in s.maps] if isinstance(s, Cluster) else [s.op.name]
        for s in parts_of(*outputs).steps
    ]


def nests_of(*outputs: Tensor) -> list[Nest]:
    """The loop nests of the outputs' clusters."""
    parts, views = parts_of(*outputs), viewer()
    return [build_nest(s, parts.stored, views) for s in parts.steps if isinstance(s, Cluster)]


def calls_of(*outputs: Tensor) -> list[Call]:
    """The kernel calls of the outputs."""
    parts, views = parts_of(*outputs), viewer()
    return lower_steps(parts.steps, parts, views, host())


def native(*args: Any, **options: Any) -> LLVMFunction:
    """``sg.function`` by native code, with what only that has."""
    f = sg.function(*args, **options)
    assert isinstance(f, LLVMFunction)
    return f


def both(inputs: list[Tensor], outputs: Any, **options: Any) -> tuple[Any, Any]:
    """The same function by native code and by NumPy, without passes."""
    options = {"passes": (), **options}
    compiled = sg.function(inputs, outputs, backend="llvm", **options)
    return compiled, sg.function(inputs, outputs, backend="reference", **options)
