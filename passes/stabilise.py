"""Stabilising rules: overflow, underflow and cancellation on the way to a result are removed.

Functions of symgraph (softmax, logsumexp, log1p, ...) are stable as they are; this repairs formulas
written by hand. Derivatives are taken after it, so that they are those of the mathematical
function.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from symgraph.graph import Graph
from symgraph.loading import loading
from symgraph.ops import leaves
from symgraph.passes.contracts import EXACT, STABILISING
from symgraph.passes.rebuild import substitute
from symgraph.passes.rewrite import rewrite, rules_of
from symgraph.passes.trace import warnings_given
from symgraph.tensor import Tensor, leaf

if TYPE_CHECKING:
    from symgraph.passes.rules.ruleset import RuleSet

__all__ = ["Known", "deriving", "look_up_by", "rules", "stabilise", "stabilised"]

#: Whether a graph is known as one with nothing to stabilise, and what makes it known.
Known = tuple[bool, Callable[[], object]]

#: What is known of the graph of some outputs; None where nobody will remember.
LookUp = Callable[[Sequence[Tensor]], Known | None]

_look_up: list[LookUp] = []


def look_up_by(find: LookUp) -> None:
    """Ask ``find`` what is known of a graph before the rules are loaded for it."""
    _look_up[:] = [find]


@functools.cache
def rules() -> RuleSet:
    """The exact and the stabilising rules; made at the first use."""
    return rules_of(EXACT, STABILISING)


@functools.cache
def deriving() -> RuleSet:
    """The rules before differentiating: shifts that change no value get no derivative either."""
    with loading:
        from symgraph.passes.rules.ruleset import RuleSet
        from symgraph.passes.rules.shifts import DETACHING
        from symgraph.passes.rules.sigmoid import DIVIDING

    # a branch chosen between constants has derivative 0, its condition as a number has none
    kept = (r for r in rules() if r.name != "where_one_zero")
    return RuleSet((*kept, *DIVIDING, *DETACHING))


def stabilise(graph: Graph) -> Graph:
    """The graph under the exact and the stabilising rules.

    >>> import symgraph as sg
    >>> x = sg.matrix("x")
    >>> q = sg.exp(x) / sg.sum(sg.exp(x), axis=1, keepdims=True)
    >>> stabilise(Graph([sg.log(q)])).outputs[0].op.name
    'log_softmax'
    """
    return rewrite(graph, rules(), "stabilise")


def stabilised(outputs: Sequence[Tensor], fixed: Sequence[Tensor]) -> list[Tensor]:
    """The outputs in stable form, for differentiation; variables in ``fixed`` are not looked
    through.

    Where nothing was unstable the outputs come back as they are.
    """
    cuts = {v: leaf(leaves.input_, {}, v.type, v.name) for v in fixed if v.inputs}
    roots = substitute(outputs, cuts) if cuts else list(outputs)
    (known, keep), warned = _known(roots), warnings_given()
    if known:
        return list(outputs)
    with loading:
        from symgraph.passes.rules.engine import rewrite_outputs

    better, log = rewrite_outputs(roots, deriving(), "stabilise")
    if not any(step.contract == STABILISING for step in log):
        if warnings_given() == warned:
            keep()
        return list(outputs)
    return substitute(better, {cut: v for v, cut in cuts.items()}) if cuts else better


def _known(roots: Sequence[Tensor]) -> Known:
    """What is known of a graph. Once the rules are loaded nobody is asked: they tell sooner."""
    asked = None if deriving.cache_info().currsize else _look_up
    found = asked[0](roots) if asked else None
    return found if found is not None else (False, lambda: None)
