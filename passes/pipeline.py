"""The pipelines: which passes run, in which order, and why each stands there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symgraph.errors import UsageError
from symgraph.graph import Graph

__all__ = ["PIPELINES", "Pass", "Pipeline", "resolve_pipeline", "run_passes"]

Pass = Callable[[Graph], Graph]
Pipeline = tuple[Pass, ...]

PIPELINES: dict[str, Pipeline] = {"strict": (), "default": (), "fast": ()}


def resolve_pipeline(passes: Any) -> Pipeline:
    """The tuple of passes that the argument ``passes`` of ``function`` stands for."""
    if isinstance(passes, str):
        if passes not in PIPELINES:
            raise UsageError(f"passes={passes!r} is not one of {', '.join(map(repr, PIPELINES))}")
        return PIPELINES[passes]
    if not isinstance(passes, (tuple, list)) or not all(callable(p) for p in passes):
        raise UsageError(f"passes={passes!r} is not a pipeline's name or a tuple of passes")
    return tuple(passes)


def run_passes(graph: Graph, pipeline: Pipeline) -> tuple[Graph, list[Any]]:
    """The graph after all passes, and the rewrites they made."""
    for p in pipeline:
        graph = p(graph)
    return graph, []
