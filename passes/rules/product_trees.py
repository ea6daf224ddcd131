"""Products and quotients seen as trees of factors, in which two factors may meet that belong
together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.op import Op
from symgraph.ops import elementwise as e
from symgraph.passes.rebuild import rebuilt
from symgraph.passes.rules.pattern import Kind
from symgraph.passes.rules.rule import Look, Match
from symgraph.tensor import Tensor

__all__ = ["BRANCHES", "Factor", "factors_of", "holds_factor", "joined", "may_hold", "with_factor"]

DEPTH, LOOK = 5, 12

#: what a product tree is made of
BRANCHES = frozenset((e.multiply, e.divide, e.negative))


@dataclass(frozen=True, slots=True)
class Factor:
    """A factor of a product tree: ``power`` is 1, or -1 below a fraction bar; ``path`` leads
    to it.
    """

    node: Tensor
    power: int
    path: tuple[int, ...]


def factors_of(
    x: Tensor, power: int = 1, path: tuple[int, ...] = (), depth: int = DEPTH
) -> Iterator[Factor]:
    """The leaves of the tree of products, quotients and signs at x, down to a bounded depth."""
    if depth == 0 or x.op not in BRANCHES:
        yield Factor(x, power, path)
        return
    yield from factors_of(x.inputs[0], power, (*path, 0), depth - 1)
    if x.op is not e.negative:
        below = -power if x.op is e.divide else power
        yield from factors_of(x.inputs[1], below, (*path, 1), depth - 1)


def holds_factor(x: Tensor, kinds: frozenset[Op]) -> bool:
    """Whether a factor of one of these kinds is among the first few of x: a cheap first look."""
    stack, room = [x], LOOK
    while stack:
        node = stack.pop()
        if node.op in kinds:
            return True
        if node.op in BRANCHES and room:
            room -= 1
            stack.extend(node.inputs)
    return False


def may_hold(kinds: frozenset[Op]) -> Look:
    """Whether both operands might hold such a factor, as far as one sees at a glance."""
    wanted = kinds | BRANCHES

    def looks(inputs: tuple[Kind, ...]) -> bool:
        return all(
            i.op in kinds or (i.op in BRANCHES and not wanted.isdisjoint(i.ops)) for i in inputs
        )

    return looks


def with_factor(x: Tensor, path: tuple[int, ...], new: Tensor | None) -> Tensor | None:
    """The tree with another factor at ``path``; None takes the factor out (and stands for 1)."""
    if not path:
        return new
    k = path[0]
    inner = with_factor(x.inputs[k], path[1:], new)
    if inner is not None:
        return rebuilt(x, (*x.inputs[:k], inner, *x.inputs[k + 1 :]))
    if x.op is e.negative:
        return number(-1, x.dtype)
    if x.op is e.divide and k == 0:
        return f.divide(number(1, x.dtype), x.inputs[1])
    return x.inputs[1 - k]


#: What two factors make together: the one to put in the first one's place, while the second goes.
Join = Callable[[Factor, Factor], Tensor | None]


def joined(m: Match, kinds: frozenset[Op], join: Join) -> Tensor | None:
    """The product or quotient with the first two factors joined that make something together.

    They come from different sides of the node: each side is in normal form.
    """
    root = m.node
    if not (holds_factor(root.inputs[0], kinds) and holds_factor(root.inputs[1], kinds)):
        return None
    sides: list[list[Factor]] = []
    order = (0, 1) if root.inputs[1].op in BRANCHES else (1, 0)
    for k in order:
        power = -1 if root.op is e.divide and k == 1 else 1
        found = [t for t in factors_of(root.inputs[k], power, (k,)) if t.node.op in kinds]
        if not found:
            return None
        sides.append(found)
    for first in sides[0]:
        for second in sides[1]:
            for one, other in ((first, second), (second, first)):
                new = join(one, other)
                if new is not None:
                    return _placed(root, one, other, new)
    return None


def _placed(root: Tensor, one: Factor, other: Factor, new: Tensor) -> Tensor | None:
    """The tree with ``new`` for ``one``, and without ``other``; they stand on different sides."""
    k = one.path[0]
    first = with_factor(root.inputs[k], one.path[1:], new)
    second = with_factor(root.inputs[1 - k], other.path[1:], None)
    if first is None:
        return None
    if second is None:
        return f.divide(number(1, root.dtype), first) if root.op is e.divide and k else first
    return rebuilt(root, (first, second) if k == 0 else (second, first))
