"""Calls that machine code does not serve at once: odd keywords, and ``out=`` through a copy."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from symgraph.backends.reference.evaluate import bind_sizes
from symgraph.graph import Graph
from symgraph.out import check_out, take_out, write_out
from symgraph.program import Function, Signature, list_results, shape_results

__all__ = ["PythonCall"]


class PythonCall:
    """A call with keywords, made by calling ``function`` again by position.

    ``function`` is a weak reference: the compiled function owns this object. ``graph`` gives its
    graph.
    """

    __slots__ = ("convert", "function", "graph", "signature")

    def __init__(
        self,
        signature: Signature,
        graph: Callable[[], Graph],
        convert: Callable[..., tuple[Any, ...]],
    ) -> None:
        self.signature, self.graph, self.convert = signature, graph, convert
        self.function: weakref.ref[Function] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        signature, f = self.signature, self.function and self.function()
        if f is None:
            raise RuntimeError(f"{signature.name} is no longer there")
        out = take_out(signature, kwargs)
        arrays = self.convert(*args, **kwargs)
        if out is None:
            return f(*arrays)
        sizes = bind_sizes(zip(signature.inputs, arrays, strict=True))
        targets = check_out(signature, self.graph().outputs, out, sizes)
        write_out(targets, list_results(signature, f(*arrays)))
        return shape_results(signature, targets)
