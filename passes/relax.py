"""Rules of real arithmetic, for users who ask for speed and know that their values stay finite."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from symgraph.graph import Graph
from symgraph.passes.rewrite import rewrite, rules_of

if TYPE_CHECKING:
    from symgraph.passes.rules.ruleset import RuleSet

__all__ = ["relax", "rules"]


@functools.cache
def rules() -> RuleSet:
    """All rules, those of real arithmetic included; made at the first use."""
    return rules_of(relaxed=True)


def relax(graph: Graph) -> Graph:
    """The graph under all rules, those included that may turn a NaN or infinity into a number.

    >>> import symgraph as sg
    >>> x, y = sg.vector("x", shape="n"), sg.vector("y", shape="n")
    >>> relax(Graph([x * y / y])).outputs[0] is x
    True
    """
    return rewrite(graph, rules(), "relax")
