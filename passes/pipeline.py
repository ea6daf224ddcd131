"""The pipelines: which passes run, in which order, and why each stands there."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from symgraph.errors import UsageError
from symgraph.graph import Graph
from symgraph.loading import loading
from symgraph.passes.canonicalise import canonicalise
from symgraph.passes.contracts import EXACT, STABILISING
from symgraph.passes.erase_markers import erase_markers
from symgraph.passes.relax import relax
from symgraph.passes.remove_dead import remove_dead
from symgraph.passes.rewrite import rewrite
from symgraph.passes.specialise import specialise
from symgraph.passes.stabilise import stabilise
from symgraph.passes.trace import Rewrite, recording
from symgraph.tensor import private_table

if TYPE_CHECKING:
    from symgraph.passes.rules.ruleset import RuleSet

__all__ = [
    "PIPELINES",
    "Observer",
    "Pass",
    "Pipeline",
    "pipeline_of",
    "pipeline_text",
    "resolve_pipeline",
    "run_passes",
]

#: A pass takes a valid graph and returns a valid graph with the same inputs, output types and
#: equations.
Pass = Callable[[Graph], Graph]
Pipeline = tuple[Pass, ...]

#: Called after each pass with its name, the graphs before and after, and the seconds it took.
Observer = Callable[[str, Graph, Graph, float], None]

# fmt: off
PIPELINES: dict[str, Pipeline] = {
    "strict": (
        erase_markers,  # derivatives have been taken
        canonicalise,   # same bits, fewer operations
        remove_dead,    # what the rewrites left behind
    ),
    "default": (
        erase_markers,  # derivatives have been taken, and markers would hide patterns
        stabilise,      # while formulas still stand as the user wrote them
        specialise,     # algebra on stable forms: scalar factors, q - p
        remove_dead,    # what the rewrites left behind
    ),
    "fast": (
        erase_markers,  # derivatives have been taken, and markers would hide patterns
        stabilise,      # while formulas still stand as the user wrote them
        relax,          # algebra of real numbers
        remove_dead,    # what the rewrites left behind
    ),
}
# fmt: on


@dataclass(frozen=True, slots=True)
class ApplyRules:
    """The pass that applies a set of rules made by the user."""

    rules: RuleSet
    __name__: str

    def __call__(self, graph: Graph) -> Graph:
        return rewrite(graph, self.rules, self.__name__)


def pipeline_of(rules: RuleSet) -> Pipeline:
    """The pipeline of a set of rules: those that stabilise first, then all."""
    first = rules.of(EXACT, STABILISING)
    return (
        erase_markers,
        ApplyRules(first, "stabilise"),
        ApplyRules(rules, "relax" if rules.relaxed else "specialise"),
        remove_dead,
    )


def resolve_pipeline(passes: Any) -> Pipeline:
    """The tuple of passes that the argument ``passes`` of ``function`` stands for.

    Raises:
        UsageError: neither the name of a pipeline, nor a set of rules, nor a tuple of callables.
    """
    if isinstance(passes, str):
        if passes not in PIPELINES:
            raise UsageError(f"passes={passes!r} is not one of {', '.join(map(repr, PIPELINES))}")
        return PIPELINES[passes]
    if isinstance(passes, (tuple, list)) and all(callable(p) for p in passes):
        return tuple(passes)
    with loading:
        from symgraph.passes.rules.ruleset import RuleSet

    if not isinstance(passes, RuleSet):
        raise UsageError(
            f"passes={passes!r} is not a pipeline's name or a tuple of passes or a set of rules"
        )
    return pipeline_of(passes)


def pipeline_text(pipeline: Pipeline) -> str | None:
    """What the passes do, by name; None if a pass or rule is not one of ours."""
    names = [_pass_text(step) for step in pipeline]
    known = [name for name in names if name is not None]
    return " ".join(known) if len(known) == len(names) else None


def _pass_text(step: Pass) -> str | None:
    if isinstance(step, ApplyRules):
        with loading:
            from symgraph.passes.rules.engine import built_in

        rules, ours = step.rules, built_in()
        if any(rule is not ours.get(rule.name) for rule in rules):
            return None
        return f"{step.__name__}({rules.relaxed} {' '.join(rule.name for rule in rules)})"
    module, name = getattr(step, "__module__", None) or "", getattr(step, "__name__", "")
    is_ours = module.startswith("symgraph.passes.")
    return name if is_ours and vars(sys.modules[module]).get(name) is step else None


def run_passes(
    graph: Graph, pipeline: Pipeline, observer: Observer | None = None
) -> tuple[Graph, list[Rewrite]]:
    """The graph after all passes, and the rewrites they made; new nodes intern in a table of their
    own.
    """
    if not pipeline:
        return graph, []
    with private_table(graph.nodes):
        return apply_passes(graph, pipeline, observer)


def apply_passes(
    graph: Graph, pipeline: Pipeline, observer: Observer | None = None
) -> tuple[Graph, list[Rewrite]]:
    """The same with nodes interned where the caller's are, so that they may be used in
    expressions.
    """
    with recording() as rewrites:
        for step in pipeline:
            before, start = graph, time.perf_counter()
            name = getattr(step, "__name__", repr(step))
            graph = step(graph)
            if not isinstance(graph, Graph):
                raise UsageError(f"pass {name} returned {graph!r}, not a Graph")
            if observer is not None:
                observer(name, before, graph, time.perf_counter() - start)
    return graph, rewrites
