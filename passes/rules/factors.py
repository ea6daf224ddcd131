"""Products of any length and nesting: like factors and literals gathered once, at the top."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from symgraph.functions.variables import number
from symgraph.ops import elementwise as e
from symgraph.passes.rules.coefficients import normal
from symgraph.passes.rules.pattern import Tree, literal_of
from symgraph.passes.rules.rule import EXACT, FINITE_ONLY, Match, Rule
from symgraph.passes.rules.trees import (
    Leaf,
    centred,
    gathered,
    literal_of_value,
    plus,
    power,
    product,
)
from symgraph.tensor import Tensor, apply

__all__ = ["FACTORS"]

PRODUCT = Tree(frozenset((e.multiply,)), kinds="iu")
QUOTIENT = Tree(frozenset((e.multiply, e.divide, e.square)), kinds="f")


def _integer_factors(m: Match) -> Tensor | None:
    found = m.once(PRODUCT, lambda: gathered(m, PRODUCT))
    powers, literal, literals = _multiplied(found)
    if len(powers) + min(literals, 1) == len(found):
        return None
    literal = centred(literal, m.node.dtype)
    rest = product([power(x, n) for x, n in powers.items()])
    if rest is None or literal == 0:
        return literal_of_value(literal, m.node.dtype)
    return plus(None, literal, rest)


def _multiplied(found: list[Leaf]) -> tuple[dict[Tensor, int], float, int]:
    """The exponents of what occurs, the product of the literals, and how many of them there are."""
    powers: dict[Tensor, int] = {}
    literal: float = 1
    literals = 0
    for x, n in found:
        value = literal_of(x)
        if value is None or (value == 0 and n < 0) or not np.isfinite(value):
            powers[x] = powers.get(x, 0) + n
        else:
            literals += 1
            literal = _scaled(literal, value, n)
    return powers, literal, literals


def _by_squaring(found: Iterable[Leaf]) -> bool:
    """Whether each factor stands to different powers of two of one sign, as _power leaves it."""
    seen: dict[Tensor, int] = {}
    for x, n in found:
        before = seen.get(x, 0)
        if abs(n).bit_count() != 1 or before * n < 0 or abs(before) & abs(n):
            return False
        seen[x] = before + n
    return True


def _paired(powers: dict[Tensor, int], node: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """What stands above and below the line; powers above it take their divisors up with them.

    So x * x / (y * y * y) is (x / y)^2 / y, which is finite where x * x is not.
    """
    below = {x: -n for x, n in powers.items() if n < 0}
    waiting = [x for x in below if x.shape == node.shape]
    tops: list[Tensor] = []
    for x, n in powers.items():
        while n > 0 and powers[x] > 1 and x.shape == node.shape and waiting:
            y = waiting[-1]
            times = min(n, below[y])
            tops.append(power(apply(e.divide, (x, y)), times))
            n, below[y] = n - times, below[y] - times
            if below[y] == 0:
                waiting.pop()
        if n > 0:
            tops.append(power(x, n))
    return tops, [power(y, n) for y, n in below.items() if n > 0]


def _stays(found: list[Leaf]) -> bool:
    """Whether a quotient has nothing to cancel: x * x / y overflows where x / y * x does not."""
    above, below = ({x for x, n in found if n * sign > 0} for sign in (1, -1))
    return bool(below) and above.isdisjoint(below)


def _scaled(literal: float, value: float, n: int) -> float:
    if isinstance(value, int):
        return int(literal) * pow(value, n, 2**64) % 2**64
    with np.errstate(all="ignore"):
        scale = float(np.power(float(value), float(n)).item())
    return literal * scale


def _like_factors(m: Match) -> Tensor | None:
    """All factors with their exponents: those above 0 over those below."""
    found = m.once(QUOTIENT, lambda: gathered(m, QUOTIENT))
    powers, literal, literals = _multiplied(found)
    leaves_found = [x for x in found if x[0] in powers]
    settled = literals < 2 and (_by_squaring(leaves_found) or _stays(leaves_found))
    zero = any(literal_of(x) == 0 for x, _ in found)
    if settled or not (zero or normal(literal, m.node.dtype)):
        return None
    tops, bottoms = _paired(powers, m.node)
    above, below = product(tops), product(bottoms)
    factor = number(literal, m.node.dtype)
    if below is not None and above is None:
        return apply(e.divide, (factor, below))
    total = above if below is None or above is None else apply(e.divide, (above, below))
    if total is None or literal == 0:
        return factor
    return total if literal == 1 else apply(e.multiply, (factor, total))


# fmt: off
FACTORS: tuple[Rule, ...] = (
    Rule("product_factors_integer", PRODUCT, _integer_factors, EXACT),
    Rule("product_factors",    QUOTIENT, _like_factors,   FINITE_ONLY),
)
# fmt: on
