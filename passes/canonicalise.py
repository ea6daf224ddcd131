"""Exact rules: the same bits by fewer operations."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from symgraph.graph import Graph
from symgraph.passes.contracts import EXACT
from symgraph.passes.rewrite import rewrite, rules_of

if TYPE_CHECKING:
    from symgraph.passes.rules.ruleset import RuleSet

__all__ = ["canonicalise", "rules"]


@functools.cache
def rules() -> RuleSet:
    """The exact rules; made at the first use."""
    return rules_of(EXACT)


def canonicalise(graph: Graph) -> Graph:
    """Bring the graph into normal form under the exact rules; every value keeps its bits.

    >>> import symgraph as sg
    >>> from symgraph.graph import Graph
    >>> x = sg.matrix("x")
    >>> canonicalise(Graph([-(-x.T).T * 1])).outputs[0] is x
    True
    """
    return rewrite(graph, rules(), "canonicalise")
