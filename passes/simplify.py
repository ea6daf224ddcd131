"""Simplify expressions without compiling them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from symgraph.errors import UsageError
from symgraph.graph import Graph
from symgraph.loading import loading
from symgraph.passes.erase_markers import erase_markers
from symgraph.passes.pipeline import Pipeline, apply_passes, resolve_pipeline
from symgraph.passes.trace import Rewrites
from symgraph.tensor import Tensor

if TYPE_CHECKING:
    from symgraph.passes.rules.rule import Rule
    from symgraph.passes.rules.ruleset import RuleSet

__all__ = ["simplify"]


def simplify(
    expression: Any,
    passes: str | Pipeline | RuleSet = "default",
    rules: RuleSet | Rule | Iterable[Rule] | None = None,
    *,
    trace: bool = False,
) -> Any:
    """The expression (a tensor, a list or a dict of tensors; same form back) as a pipeline leaves
    it, or as ``rules`` do: a set such as ``sg.rules.default - "exp_log"``, or a few rules.

    The result is an expression like any other: print it, differentiate it, compile it.
    ``stop_gradient`` is kept for that reason. ``trace=True`` gives a pair: the result, and the
    :class:`~symgraph.passes.trace.Rewrites` that led to it.

    Raises:
        UsageError: not tensors, not a pipeline, not rules, or both a pipeline and rules.

    >>> import symgraph as sg
    >>> x = sg.vector("x")
    >>> simplify(sg.log(1 + sg.exp(x))).op.name
    'softplus'
    >>> result, rewrites = simplify(sg.log(1 + sg.exp(x)), trace=True)
    >>> print(rewrites[0].rule, rewrites[0].contract)
    log_of_exponentials stabilising
    """
    if rules is not None:
        passes = _chosen(passes, rules)
    outputs = _tensors(expression)
    pipeline = tuple(p for p in resolve_pipeline(passes) if p is not erase_markers)
    graph, log = apply_passes(Graph(outputs), pipeline)
    result = _in_the_form_of(expression, graph.outputs)
    return (result, Rewrites(log)) if trace else result


def _tensors(expression: Any) -> list[Tensor]:
    if isinstance(expression, dict):
        outputs = list(expression.values())
    else:
        outputs = list(expression) if isinstance(expression, (list, tuple)) else [expression]
    for o in outputs:
        if not isinstance(o, Tensor):
            raise UsageError(f"simplify: {o!r} is not a tensor")
    return outputs


def _in_the_form_of(expression: Any, outputs: Sequence[Tensor]) -> Any:
    if isinstance(expression, dict):
        return dict(zip(expression, outputs, strict=True))
    return type(expression)(outputs) if isinstance(expression, (list, tuple)) else outputs[0]


def _chosen(passes: Any, rules: Any) -> RuleSet:
    with loading:
        from symgraph.passes.rules.rule import Rule
        from symgraph.passes.rules.ruleset import RuleSet

    if passes != "default":
        raise UsageError(f"simplify: passes={passes!r} and rules= exclude each other; give one")
    if isinstance(rules, RuleSet):
        return rules
    found = [rules] if isinstance(rules, Rule) else rules
    if not isinstance(found, Iterable) or not all(isinstance(r, Rule) for r in found):
        raise UsageError(f"simplify: rules={rules!r} is not a set of rules or some rules")
    return RuleSet(found)
