"""A rule: one rewrite as data, with the contract it keeps in floating point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from symgraph.passes.contracts import (
    CONTRACTS,
    EXACT,
    FINITE_ONLY,
    NORMWISE,
    ROUNDING,
    STABILISING,
)
from symgraph.passes.rules.pattern import Env, Kind, Node, Pattern, Template, Tree, builder
from symgraph.passes.rules.users import Users
from symgraph.tensor import Tensor

if TYPE_CHECKING:
    from symgraph.passes.facts import Facts

Found = TypeVar("Found")

__all__ = [
    "CONTRACTS", "EXACT", "FINITE_ONLY", "NORMWISE", "ROUNDING", "STABILISING", "Build",
    "Condition", "Look", "Match", "Rule", "RuleWarning", "floating",
]  # fmt: skip


class RuleWarning(RuntimeWarning):
    """Rules of this package undo one another, or fire without end; rewriting stopped there."""


class Match:
    """A node that a left side fits: its variables as attributes, and the facts known of them."""

    __slots__ = ("env", "facts", "node", "users")

    def __init__(self, node: Tensor, env: Env, facts: Facts, users: Users | None = None) -> None:
        self.node, self.env, self.facts, self.users = node, env, facts, users

    def alone(self, x: Tensor) -> bool:
        """Whether nobody but this match uses x, so that rewriting it repeats no work."""
        return self.users is not None and self.users.alone(x, self.node)

    def only_user(self, x: Tensor) -> bool:
        """Whether x, which a node of this match uses, has no other users."""
        return self.users is not None and self.users.count(x) <= 1

    def once(self, key: Any, find: Callable[[], Found]) -> Found:
        """What ``find`` finds for this node and ``key``, remembered for the next rule."""
        if self.users is None:
            return find()
        found: Found = self.users.once((id(self.node), key), find)
        return found

    def __getattr__(self, name: str) -> Tensor:
        return self.env[name]


Condition = Callable[[Match], bool]


def floating(m: Match) -> bool:
    """The condition that the node holds floats."""
    return bool(m.node.dtype.kind == "f")


Build = Callable[[Match], Tensor | None]
Look = Callable[[tuple[Kind, ...]], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """``left`` becomes ``right`` when ``when`` holds.

    ``right`` is a template, or a function of the match that may still decline with None. A
    finite-only rule also fires in the default pipeline where ``sound`` holds. ``ulps`` bounds the
    difference of a rounding rule, in units of the last place.

    ``looks`` makes declining cheap: it is asked once for each combination of kinds of inputs
    whether the rule might fire at all, and may say yes too often.
    """

    name: str
    left: Pattern | Node | Tree
    right: Template | Build
    contract: str
    when: Condition | None = None
    sound: Condition | None = None
    ulps: float = 2
    looks: Look | None = None
    #: what sets of rules have worked out of the left side, for all that hold the rule
    memo: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def maker(self) -> Build:
        """The right side as a function of the match."""
        if callable(self.right):
            return self.right
        make = builder(self.right)
        return lambda match: make(match.env, match.node)
