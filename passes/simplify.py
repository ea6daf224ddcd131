"""Simplify expressions without compiling them."""

from __future__ import annotations

from typing import Any

from symgraph.errors import UsageError
from symgraph.graph import Graph
from symgraph.passes.erase_markers import erase_markers
from symgraph.passes.pipeline import Pipeline, apply_passes, resolve_pipeline
from symgraph.tensor import Tensor

__all__ = ["simplify"]


def simplify(expression: Any, passes: str | Pipeline = "default") -> Any:
    """The expression (a tensor, a list or a dict of tensors; same form back) as a pipeline leaves
    it.

    The result is an expression like any other: print it, differentiate it, compile it.
    ``stop_gradient`` is kept for that reason.

    Raises:
        UsageError: not tensors, or not a pipeline.

    >>> import symgraph as sg
    >>> x = sg.vector("x")
    >>> simplify(sg.log(1 + sg.exp(x))).op.name
    'softplus'
    """
    if isinstance(expression, dict):
        return dict(zip(expression, simplify(list(expression.values()), passes), strict=True))
    many = isinstance(expression, (list, tuple))
    outputs = list(expression) if many else [expression]
    for o in outputs:
        if not isinstance(o, Tensor):
            raise UsageError(f"simplify: {o!r} is not a tensor")
    pipeline = tuple(p for p in resolve_pipeline(passes) if p is not erase_markers)
    graph, _ = apply_passes(Graph(outputs), pipeline)
    return type(expression)(graph.outputs) if many else graph.outputs[0]
