"""A function evaluated by NumPy, node by node."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.arguments import bind_arguments, convert_argument
from symgraph.backends.reference.evaluate import bind_sizes, evaluate_graph
from symgraph.cell import holding
from symgraph.errors import NonFiniteError
from symgraph.functions import SharedVariable
from symgraph.graph import Graph
from symgraph.origins import root_line
from symgraph.out import check_out, take_out
from symgraph.program import Function, Signature
from symgraph.tensor import Tensor

__all__ = ["ReferenceFunction", "compile_reference", "finite_observer"]


class ReferenceFunction(Function):
    """A function whose call walks the graph with NumPy."""

    def __init__(
        self,
        signature: Signature,
        graph: Graph,
        original: Graph,
        rewrites: Any,
        options: dict[str, Any],
    ) -> None:
        self._set(signature, graph, original, rewrites)
        self._observer = finite_observer if options["check_finite"] else None
        self._shared = [n for n in graph.nodes if isinstance(n, SharedVariable)]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        signature, out = self.signature, take_out(self.signature, kwargs)
        given = bind_arguments(signature.name, signature.inputs, args, kwargs)
        values: dict[Tensor, Any] = {
            i: convert_argument(i, v, signature.name)
            for i, v in zip(signature.inputs, given, strict=True)
        }
        with holding(v.cell for v in (*self._shared, *signature.updated)):
            values |= {s: s.cell.array for s in self._shared}
            targets = None
            if out is not None:
                targets = check_out(signature, self.graph.outputs, out, bind_sizes(values.items()))
            results = evaluate_graph(self.graph, values, self._observer)
            return self._deliver([np.array(r, order="C") for r in results], targets)


def finite_observer(node: Tensor, value: Any) -> None:
    """Raise NonFiniteError at the first operation whose finite inputs gave a NaN or infinity."""
    if isinstance(value, tuple) or not node.inputs or np.asarray(value).dtype.kind != "f":
        return
    bad = ~np.isfinite(value)
    if bad.any():
        line = root_line(node.origin)
        first = tuple(int(k) for k in np.argwhere(bad)[0])
        raise NonFiniteError(
            f"{node.op.name}{f' (made at {line})' if line else ''} gave {np.asarray(value)[first]} "
            f"at index {first}; {int(bad.sum())} of {bad.size} elements are not finite"
        )


def compile_reference(
    signature: Signature, graph: Graph, original: Graph, rewrites: Any, options: dict[str, Any]
) -> ReferenceFunction:
    """The reference program of a finished graph."""
    return ReferenceFunction(signature, graph, original, rewrites, options)
