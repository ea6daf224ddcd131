"""A rule: one rewrite as data, with the contract it keeps in floating point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from symgraph.passes.facts import Facts
from symgraph.passes.rules.pattern import Env, Node, Pattern, Template, build
from symgraph.tensor import Tensor

__all__ = [
    "CONTRACTS", "EXACT", "FINITE_ONLY", "NORMWISE", "ROUNDING", "STABILISING", "Condition",
    "Match", "Rule",
]  # fmt: skip

#: Bit for bit on every input, signed zeros and infinities included (any NaN equals any NaN).
EXACT = "exact"
#: Equal in real arithmetic, ``ulps`` apart (a zero may change its sign); finite results stay
#: finite.
ROUNDING = "rounding"
#: Like rounding; where finite inputs overflow, underflow or cancel on the way, the right value
#: instead,
#: and where an infinite input gave NaN, possibly the limit.
STABILISING = "stabilising"
#: Regrouped sums and products, with an error bound in norms.
NORMWISE = "normwise"
#: True in real arithmetic, but a NaN or infinity that the inputs deserve may become a number.
FINITE_ONLY = "finite-only"

CONTRACTS = (EXACT, ROUNDING, STABILISING, NORMWISE, FINITE_ONLY)


class Match:
    """A node that a left side fits: its variables as attributes, and the facts known of them."""

    __slots__ = ("env", "facts", "node")

    def __init__(self, node: Tensor, env: Env, facts: Facts) -> None:
        self.node, self.env, self.facts = node, env, facts

    def __getattr__(self, name: str) -> Tensor:
        return self.env[name]


Condition = Callable[[Match], bool]
Build = Callable[[Match], Tensor | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """``left`` becomes ``right`` when ``when`` holds.

    ``right`` is a template, or a function of the match that may still decline with None. A
    finite-only
    rule also fires in the default pipeline where ``sound`` holds. ``ulps`` bounds the difference
    of a
    rounding rule, in units of the last place.
    """

    name: str
    left: Pattern | Node
    right: Template | Build
    contract: str
    when: Condition | None = None
    sound: Condition | None = None
    ulps: float = 2

    def apply(self, match: Match, strictly: bool) -> Tensor | None:
        """The replacement, or None; ``strictly`` asks a finite-only rule for its ``sound``
        condition.
        """
        if self.when is not None and not self.when(match):
            return None
        if (
            strictly
            and self.contract == FINITE_ONLY
            and not (self.sound is not None and self.sound(match))
        ):
            return None
        if callable(self.right):
            return self.right(match)
        return build(self.right, match.env, match.node)
