"""One expression for each rule on which it fires; rules that are plain patterns get theirs from
the pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import examples_arithmetic
import examples_explog
import examples_layout
import examples_logic
import examples_products
import examples_roots
import examples_scaling
import examples_softmax
from rule_example import Example, node

import symgraph as sg
from symgraph import Tensor
from symgraph.functions.variables import number
from symgraph.ops import reduction as r
from symgraph.passes.rules.pattern import Call, Const, Literal, Node, Pattern, Tree, Var
from symgraph.passes.rules.rule import Rule

__all__ = ["ABSOLUTE", "examples_of"]

FAMILIES = (
    examples_arithmetic,
    examples_explog,
    examples_layout,
    examples_logic,
    examples_products,
    examples_roots,
    examples_scaling,
    examples_softmax,
)
EXAMPLES: dict[str, Example] = {n: e for family in FAMILIES for n, e in family.EXAMPLES.items()}

#: rules whose result may cancel to zero: their error is measured against the inputs
CANCELLING = (
    "logsumexp",
    "log_softmax",
    "log_of",
    "normalised",
    "weighted",
    "backprop",
    "softmax_factor",
    "own_share",
    "zero_sum",
)
ABSOLUTE = frozenset(name for name in EXAMPLES if any(part in name for part in CANCELLING))

LITERALS = (2.0, 3.0, -2.0, 0.5, -1.0, 0.0, 1.0, 4.0)


def examples_of(
    rule: Rule, x: Tensor, y: Tensor, z: Tensor, k: Tensor
) -> Iterator[Callable[[], Tensor]]:
    """Builders of expressions on which ``rule`` may fire; one of them must."""
    if rule.name in EXAMPLES:
        yield lambda: EXAMPLES[rule.name](x, y, z, k)
        return
    left = rule.left
    assert not isinstance(left, (Node, Tree)), f"rule {rule.name} needs an entry in EXAMPLES"
    for first in LITERALS:
        yield partial(_grown, left, [x, y, z], {}, [first, 3.0])
    yield lambda: _grown(left, [x > 0, y > 0, z > 0], {}, [1.0, 1.0])


def _grown(
    p: Pattern, free: list[Tensor], bound: dict[str, Tensor], literals: list[float]
) -> Tensor:
    """The pattern with variables in place of its names."""
    if isinstance(p, Var):
        if p.name not in bound:
            fresh = free.pop(0)
            bound[p.name] = fresh > 0 if p.name == "t" and fresh.dtype.kind != "b" else fresh
        return bound[p.name]
    like = (free or list(bound.values()))[0]
    numbers = [t.dtype for t in (like, *bound.values()) if t.dtype.kind != "b"]
    dtype = numbers[0] if numbers else like.dtype
    if isinstance(p, Const):
        return bound.setdefault(p.name, number(literals.pop(0), dtype))
    if isinstance(p, Literal):
        return number(p.value, sg.constant(True).dtype if isinstance(p.value, bool) else dtype)
    assert isinstance(p, Call)
    axis = {"axis": (1,)} if p.op in (r.sum_, r.prod) else {}
    return node(p.op, *[_grown(a, free, bound, literals) for a in p.args], **axis)
