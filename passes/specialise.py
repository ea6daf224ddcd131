"""All rules that keep every finite result: algebra, scalar factors, and gradients in closed
form.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from symgraph.graph import Graph
from symgraph.passes.rewrite import rewrite, rules_of

if TYPE_CHECKING:
    from symgraph.passes.rules.ruleset import RuleSet

__all__ = ["rules", "specialise"]


@functools.cache
def rules() -> RuleSet:
    """All rules; made at the first use."""
    return rules_of()


def specialise(graph: Graph) -> Graph:
    """The graph in normal form under all rules; finite-only rules fire where facts make them sound.

    >>> import symgraph as sg
    >>> z, p = sg.matrix("z", shape=("n", 3)), sg.matrix("p", shape=("n", 3))
    >>> cost = -sg.sum(p * sg.log_softmax(z))
    >>> print(specialise(Graph([sg.grad(cost, z)])).count("log", "exp", "softmax"))
    1
    """
    return rewrite(graph, rules(), "specialise")
