"""The pattern language of rules: variables, literals and operations, for left sides and templates.

A variable that stands twice means the same node twice. An operation with the trait ``commutative``
matches its operands in either order. A number stands for a literal that holds it everywhere.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from symgraph.functions.variables import number
from symgraph.op import Op
from symgraph.ops import OPS, leaves, shape
from symgraph.tensor import Tensor, apply

__all__ = [
    "Call", "Const", "Literal", "Node", "P", "Pattern", "Template", "Var", "build", "call",
    "could_match",
    "literal_of", "matcher", "variants",
]  # fmt: skip

Env = dict[str, Tensor]
Number = bool | int | float


@dataclass(frozen=True, slots=True)
class Var:
    """Any node."""

    name: str


@dataclass(frozen=True, slots=True)
class Const:
    """Any literal that holds one number everywhere (see :func:`literal_of`)."""

    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """The literal that holds ``value`` everywhere; 0.0 and -0.0 are told apart."""

    value: Number


@dataclass(frozen=True, slots=True)
class Call:
    """An operation on patterns; ``name`` binds the node itself."""

    op: Op
    args: tuple[Pattern, ...]
    name: str | None = None

    def named(self, name: str) -> Call:
        """The same pattern, whose node the rule can refer to."""
        return replace(self, name=name)


@dataclass(frozen=True, slots=True)
class Node:
    """A root of any operation among ``ops``, with ``trait`` and with ``arity`` inputs.

    One of the inputs (``every``: each) is made by one of ``children``. What is left out is not
    asked.
    """

    ops: frozenset[Op] | None = None
    trait: str | None = None
    children: frozenset[Op] | None = None
    every: bool = False
    arity: int | None = None


Pattern = Var | Const | Literal | Call
Template = Pattern


def _as_pattern(value: Any) -> Pattern:
    return value if isinstance(value, (Var, Const, Literal, Call)) else Literal(value)


def call(op: Op, *args: Pattern | Number) -> Call:
    """The pattern of ``op`` on ``args``; numbers become literals."""
    return Call(op, tuple([_as_pattern(a) for a in args]))


class _Operations:
    """``P.add(x, 0)``: patterns by the name of the operation."""

    def __getattr__(self, name: str) -> Callable[..., Call]:
        op = OPS.get(name)
        if op is None:
            raise AttributeError(name)
        return lambda *args: call(op, *args)


P = _Operations()

# ---- literals ------------------------------------------------------------------------------------

SMALL = 64


def literal_of(node: Tensor) -> Number | None:
    """The number that a constant, stretched or not, holds everywhere; None for anything else."""
    if node.op is shape.broadcast_to:
        node = node.inputs[0]
    if node.op is not leaves.constant:
        return None
    value: np.ndarray[Any, Any] = node.attrs["value"]
    if value.size == 1:
        found: Number = value.item()
        return found
    if not 0 < value.size <= SMALL:
        return None
    first = value.flat[0]
    same = bool(np.all(value == first))
    if value.dtype.kind == "f":
        same = same and bool(np.all(np.signbit(value) == np.signbit(first)))
    return first.item() if same else None


def _is_literal(node: Tensor, wanted: Number) -> bool:
    value = literal_of(node)
    if value is None or isinstance(value, bool) != isinstance(wanted, bool) or value != wanted:
        return False
    signed = value == 0 and isinstance(value, float)
    return not signed or math.copysign(1, value) == math.copysign(1, wanted)


# ---- matching ------------------------------------------------------------------------------------


def variants(pattern: Pattern) -> list[Pattern]:
    """The pattern with the operands of commutative operations in every order."""
    if not isinstance(pattern, Call):
        return [pattern]
    orders = [variants(a) for a in pattern.args]
    out = [replace(pattern, args=args) for args in itertools.product(*orders)]
    if "commutative" in pattern.op.traits and len(pattern.args) == 2:
        out += [replace(p, args=p.args[::-1]) for p in out]
    return list(dict.fromkeys(out))


_CONSTANT_OPS = (leaves.constant, shape.broadcast_to)


def could_match(pattern: Pattern | Node, op: Op, children: tuple[Op, ...]) -> bool:
    """Whether the pattern fits a node of ``op`` whose inputs are made by ``children``."""
    if isinstance(pattern, Node):
        if pattern.ops is not None and op not in pattern.ops:
            return False
        if pattern.trait is not None and pattern.trait not in op.traits:
            return False
        if pattern.arity is not None and pattern.arity != len(children):
            return False
        if pattern.children is None:
            return True
        hits = [c in pattern.children for c in children]
        return bool(hits) and (all(hits) if pattern.every else any(hits))
    if not isinstance(pattern, Call) or pattern.op is not op or len(pattern.args) != len(children):
        return False
    return all(_child_fits(a, c) for a, c in zip(pattern.args, children, strict=True))


def _child_fits(arg: Pattern, op: Op) -> bool:
    if isinstance(arg, Call):
        return arg.op is op
    return isinstance(arg, Var) or op in _CONSTANT_OPS


Matcher = Callable[[Tensor, Env], bool]


def matcher(pattern: Pattern | Node) -> Matcher:
    """A function that matches one variant against a node and fills in the variables."""
    if isinstance(pattern, Node):
        return lambda node, env: True
    if isinstance(pattern, Var):
        return _bind(pattern.name)
    if isinstance(pattern, Const):
        return _bind_literal(pattern.name)
    if isinstance(pattern, Literal):
        wanted = pattern.value
        return lambda node, env: _is_literal(node, wanted)
    return _match_call(pattern)


def _bind(name: str) -> Matcher:
    def match(node: Tensor, env: Env) -> bool:
        return env.setdefault(name, node) is node

    return match


def _bind_literal(name: str) -> Matcher:
    def match(node: Tensor, env: Env) -> bool:
        return literal_of(node) is not None and env.setdefault(name, node) is node

    return match


def _match_call(pattern: Call) -> Matcher:
    op, name, subs = pattern.op, pattern.name, [matcher(a) for a in pattern.args]

    def match(node: Tensor, env: Env) -> bool:
        if node.op is not op:
            return False
        if name is not None and env.setdefault(name, node) is not node:
            return False
        return all(sub(i, env) for sub, i in zip(subs, node.inputs, strict=True))

    return match


# ---- templates -----------------------------------------------------------------------------------


def build(template: Template, env: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """The node a template stands for; literals take the dtype of ``like``."""
    if isinstance(template, (Var, Const)):
        return env[template.name]
    if isinstance(template, Literal):
        return number(template.value, like.dtype)
    return apply(template.op, tuple([build(a, env, like) for a in template.args]))
