"""Operations: what a node does. An :class:`Op` states its type rule, its NumPy value and its
traits.

Derivatives stand in :mod:`symgraph.passes.derivatives` and native code in
:mod:`symgraph.backends.llvm`, in tables with the same file names as :mod:`symgraph.ops`. An op of a
user's own may carry its derivative and its native code itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from symgraph.sizes import Dim
from symgraph.types import TensorType, Type

__all__ = ["Attrs", "Derivative", "Evaluate", "Infer", "Op", "Undefined", "linear", "partials"]

Attrs = Mapping[str, Any]
Equations = list[tuple[Dim, Dim]]
Infer = Callable[[tuple[TensorType, ...], Attrs, Equations], Type]
Evaluate = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Undefined:
    """The statement that a derivative does not exist, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Derivative:
    """How an operation is differentiated. Exactly one of the forms is filled in.

    ``partials(node)`` gives the local partial derivative for each input of an element-wise op: a
    tensor, a number, None for zero, a ``Selected`` branch, or :class:`Undefined`.
    ``transpose(node, g)`` gives each input's cotangent of an op linear in those inputs; its
    forward mode is ``tangent`` (by default: apply the op to the tangents). ``structural`` linear
    ops only move and add elements, so masks travel through them.
    ``bprop(node, g)`` and ``jvp(node, tangents)`` are written by hand.
    """

    partials: Callable[..., tuple[Any, ...]] | None = None
    transpose: Callable[..., tuple[Any, ...]] | None = None
    bprop: Callable[..., tuple[Any, ...]] | None = None
    jvp: Callable[..., Any] | None = None
    structural: bool = False


def partials(rule: Callable[..., tuple[Any, ...]]) -> Derivative:
    """An element-wise derivative from ``rule(*inputs, output)``: one partial per input."""
    return Derivative(partials=lambda node: rule(*node.inputs, node))


def linear(
    transpose: Callable[..., tuple[Any, ...]],
    tangent: Callable[..., Any] | None = None,
    structural: bool = True,
) -> Derivative:
    """The derivative of a linear op, given by its transpose."""
    return Derivative(transpose=transpose, jvp=tangent, structural=structural)


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Op:
    """One operation of the language; compared by identity.

    ``infer(types, attrs, equations)`` gives the result type or raises; ``evaluate(*arrays,
    **attrs)``
    the value with NumPy, sizes in attributes already numbers. ``traits`` are facts about the op,
    such
    as ``elementwise``, ``commutative``, ``associative``, ``idempotent``, ``reduction``, ``view``,
    ``exact`` (correctly rounded or data-moving), ``monotone``.
    """

    name: str
    infer: Infer
    evaluate: Evaluate
    traits: frozenset[str] = frozenset()
    derivative: Derivative | None = None
    lower: Callable[..., Any] | None = None
    doc: str = field(default="", repr=False)

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    @property
    def elementwise(self) -> bool:
        return "elementwise" in self.traits
