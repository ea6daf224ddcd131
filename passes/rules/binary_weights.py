"""The gradient of the binary cross-entropy: two weighted sigmoids become one, minus the target."""

from __future__ import annotations

import math
from collections import Counter

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.ops import elementwise as e
from symgraph.passes.rules.exponential_sums import opposite, scaled
from symgraph.passes.rules.moving import MOVES
from symgraph.passes.rules.pattern import literal_of
from symgraph.passes.rules.product_trees import (
    BRANCHES,
    Factor,
    factors_of,
    holds_factor,
    with_factor,
)
from symgraph.passes.rules.rule import Match
from symgraph.tensor import Tensor

__all__ = ["SIGMOIDS", "weights_join"]

SIGMOIDS = frozenset((e.sigmoid,))


def weights_join(m: Match) -> Tensor | None:
    """w (1 - y) s(z) - w y s(-z) is w (s(z) - y)."""
    left, right = m.node.inputs
    if not (holds_factor(left, SIGMOIDS) and holds_factor(right, SIGMOIDS)):
        return None
    sign = 1 if m.node.op is e.subtract else -1
    first, second = _sigmoid_factor(left), _sigmoid_factor(right)
    if first is None or second is None or not opposite(first.node.inputs[0], second.node.inputs[0]):
        return None
    return _joined_weights(left, first, right, second, sign, m)


def _sigmoid_factor(x: Tensor) -> Factor | None:
    return next((t for t in factors_of(x) if t.node.op is e.sigmoid and t.power > 0), None)


Weights = Counter[tuple[Tensor, int]]


def _weights(x: Tensor, without: Factor) -> tuple[float, Weights]:
    """The factors of a product but one: the literals multiplied out, the rest counted."""
    literal, rest = 1.0, Weights()
    for t in factors_of(x):
        value = literal_of(t.node)
        if t.path == without.path:
            continue
        if value is not None and value != 0 and math.isfinite(value):
            literal *= float(value) ** t.power
        else:
            rest[t.node, t.power] += 1
    return literal * _sign(x), rest


def _sign(x: Tensor) -> float:
    """-1 for a tree with an odd number of sign changes."""
    sign, stack = 1.0, [x]
    while stack:
        node = stack.pop()
        if node.op in BRANCHES:
            sign = -sign if node.op is e.negative else sign
            stack.extend(node.inputs)
    return sign


def _joined_weights(
    left: Tensor, first: Factor, right: Tensor, second: Factor, sign: int, m: Match
) -> Tensor | None:
    a, mine = _weights(left, first)
    b, other = _weights(right, second)
    b *= sign
    only_left, only_right = list((mine - other).elements()), list((other - mine).elements())
    if not only_left and not only_right:
        return _literal_weights(left, first, a, b, m)
    if len(only_left) != 1 or len(only_right) != 1:
        return None
    (p, p_power), (q, q_power) = only_left[0], only_right[0]
    if p_power < 0 or q_power < 0:
        return None
    if a == b * _one_minus(p, q):
        return _with_difference(left, first, p, f.subtract(first.node, q), a == b)
    if b == a * _one_minus(q, p):
        return _with_difference(left, first, p, f.subtract(p, second.node), True)
    return None


def _one_minus(x: Tensor, y: Tensor) -> int:
    """1 where x is 1 - y, -1 where it is y - 1, both laid out alike; 0 otherwise."""
    while x.op is y.op and x.op in MOVES and x.attrs == y.attrs and x.shape == y.shape:
        x, y = x.inputs[0], y.inputs[0]
    if x.op is e.add:
        return -1 if _has(x.inputs, y, -1) else 0
    if x.op is not e.subtract or not _has(x.inputs, y, 1):
        return 0
    return 1 if x.inputs[1] is y else -1


def _has(pair: tuple[Tensor, ...], y: Tensor, literal: float) -> bool:
    return any(one is y and literal_of(other) == literal for one, other in (pair, pair[::-1]))


def _with_difference(
    tree: Tensor, core: Factor, weight: Tensor, new: Tensor, same: bool
) -> Tensor | None:
    """The product with ``new`` for its sigmoid and without the weight; negated if not ``same``."""
    changed = with_factor(tree, core.path, new)
    path = next((t.path for t in factors_of(tree) if t.node is weight and t.power > 0), None)
    if changed is None or path is None:
        return None
    rest = with_factor(changed, path, None)
    found = new if rest is None else rest
    return found if same else f.negative(found)


def _literal_weights(tree: Tensor, core: Factor, a: float, b: float, m: Match) -> Tensor | None:
    """a w s(z) - b w s(-z) is w ((a + b) s(z) - b), where neither literal is 0."""
    if a * b <= 0:
        return None
    share = b / (a + b)
    changed = with_factor(tree, core.path, f.subtract(core.node, number(share, m.node.dtype)))
    return None if changed is None else scaled((a + b) / a, changed)
