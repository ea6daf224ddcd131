"""Stabilising rules: overflow, underflow and cancellation on the way to a result are removed.

Functions of symgraph (softmax, logsumexp, log1p, ...) are stable as they are; this repairs formulas
written by hand. Derivatives are taken after it, so that they are those of the mathematical
function.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from symgraph.graph import Graph
from symgraph.ops import leaves
from symgraph.passes.rebuild import substitute
from symgraph.passes.rules.engine import RuleSet, rewrite_graph, rewrite_outputs
from symgraph.passes.rules.rule import EXACT, STABILISING
from symgraph.tensor import Tensor, leaf

__all__ = ["deriving", "rules", "stabilise", "stabilised"]


@functools.cache
def rules() -> RuleSet:
    """The exact and the stabilising rules; made at the first use."""
    from symgraph.passes.rules.table import rules_of

    return RuleSet(rules_of(EXACT, STABILISING))


@functools.cache
def deriving() -> RuleSet:
    """The rules before differentiating: shifts that change no value get no derivative either."""
    from symgraph.passes.rules.shifts import DETACHING
    from symgraph.passes.rules.sigmoid import DIVIDING
    from symgraph.passes.rules.table import rules_of

    # a branch chosen between constants has derivative 0, its condition as a number has none
    kept = (r for r in rules_of(EXACT, STABILISING) if r.name != "where_one_zero")
    return RuleSet((*kept, *DIVIDING, *DETACHING))


def stabilise(graph: Graph) -> Graph:
    """The graph under the exact and the stabilising rules.

    >>> import symgraph as sg
    >>> x = sg.matrix("x")
    >>> q = sg.exp(x) / sg.sum(sg.exp(x), axis=1, keepdims=True)
    >>> stabilise(Graph([sg.log(q)])).outputs[0].op.name
    'log_softmax'
    """
    return rewrite_graph(graph, rules(), "stabilise")


def stabilised(outputs: Sequence[Tensor], fixed: Sequence[Tensor]) -> list[Tensor]:
    """The outputs in stable form, for differentiation; variables in ``fixed`` are not looked
    through.

    Where nothing was unstable the outputs come back as they are.
    """
    cuts = {v: leaf(leaves.input_, {}, v.type, v.name) for v in fixed if v.inputs}
    roots = substitute(outputs, cuts) if cuts else list(outputs)
    better, log = rewrite_outputs(roots, deriving(), "stabilise")
    if not any(step.contract == STABILISING for step in log):
        return list(outputs)
    return substitute(better, {cut: v for v, cut in cuts.items()}) if cuts else better
