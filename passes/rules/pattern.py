"""The pattern language of rules: variables, literals and operations, for left sides and templates.

A variable that stands twice means the same node twice. An operation with the trait ``commutative``
matches its operands in either order. A number stands for a literal that holds it everywhere.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from symgraph.functions.variables import number
from symgraph.op import Op
from symgraph.ops import OPS, leaves, shape
from symgraph.tensor import Tensor, apply

__all__ = [
    "Call", "Const", "Kind", "Literal", "Node", "P", "Pattern", "Template", "Tree", "Var",
    "builder", "call", "could_match", "float_of", "literal_of", "marks_of", "matcher", "may_match",
    "near_input", "numbers_in", "some_input", "variants",
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

    def takes(self, op: Op) -> bool:
        """Whether ``op`` may make the root."""
        if self.ops is not None and op not in self.ops:
            return False
        return self.trait is None or self.trait in op.traits

    def over(self, children: tuple[Op, ...]) -> bool:
        """Whether its inputs may be made by these."""
        if self.arity is not None and self.arity != len(children):
            return False
        if self.children is None:
            return True
        if self.every:
            return bool(children) and self.children.issuperset(children)
        return not self.children.isdisjoint(children)


@dataclass(frozen=True, slots=True)
class Tree:
    """The top of a tree of ``ops``, whose inner nodes have no other users.

    It is offered when something else uses the top, if an input of the top is made by one of
    ``ops`` or of ``near``, once one of ``needs`` has been met in the graph, and if it has one of
    these ``kinds`` of dtype. What is left out is not asked.
    """

    ops: frozenset[Op]
    near: frozenset[Op] = frozenset()
    needs: frozenset[Op] = frozenset()
    kinds: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What is seen of a node at a glance; a set of rules keeps one object for each kind.

    ``op`` makes the node, ``ops`` make its inputs. ``marks`` are those numbers of the rules that a
    literal holds, as text; None for what is no literal.
    """

    op: Op
    ops: tuple[Op, ...]
    marks: frozenset[str] | None = None


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


def float_of(node: Tensor) -> float:
    """The number that a literal holds, as a float; only for what a ``Const`` has matched."""
    value = literal_of(node)
    assert value is not None
    return float(value)


def _is_literal(node: Tensor, wanted: Number) -> bool:
    value = literal_of(node)
    return value is not None and _same(value, wanted)


def _same(value: Number, wanted: Number) -> bool:
    if isinstance(value, bool) != isinstance(wanted, bool) or value != wanted:
        return False
    signed = value == 0 and isinstance(value, float)
    return not signed or math.copysign(1, value) == math.copysign(1, wanted)


def numbers_in(pattern: Pattern | Node | Tree) -> list[Number]:
    """The numbers that a left side asks for."""
    if isinstance(pattern, Literal):
        return [pattern.value]
    return [n for a in pattern.args for n in numbers_in(a)] if isinstance(pattern, Call) else []


def marks_of(node: Tensor, numbers: Mapping[Number, list[Number]]) -> frozenset[str] | None:
    """Which of some numbers a literal holds, as :class:`Kind` tells it; None for no literal."""
    value = literal_of(node)
    if value is None:
        return None
    return frozenset([repr(n) for n in numbers.get(value, ()) if _same(value, n)])


# ---- matching ------------------------------------------------------------------------------------


def variants(pattern: Pattern) -> list[Pattern]:
    """The pattern with the operands of commutative operations in every order."""
    if not isinstance(pattern, Call):
        return [pattern]
    op, name = pattern.op, pattern.name
    orders = [variants(a) for a in pattern.args]
    inputs = [pattern.args]
    if any(len(order) > 1 for order in orders):
        inputs = list(itertools.product(*orders))
    if "commutative" in op.traits and len(pattern.args) == 2:
        inputs += [args[::-1] for args in inputs]
        if _alike(*pattern.args):
            inputs = list(dict.fromkeys(inputs))
    return [Call(op, args, name) for args in inputs]


def _alike(one: Pattern, other: Pattern) -> bool:
    """Whether a variant of one operand may be a variant of the other."""
    if isinstance(one, Call) and isinstance(other, Call):
        return one.op is other.op
    return one == other


CONSTANT_OPS = (leaves.constant, shape.broadcast_to)


def could_match(pattern: Pattern | Node, op: Op, children: tuple[Op, ...]) -> bool:
    """Whether the pattern fits a node of ``op`` whose inputs are made by ``children``."""
    if isinstance(pattern, Node):
        return pattern.takes(op) and pattern.over(children)
    if not isinstance(pattern, Call) or pattern.op is not op or len(pattern.args) != len(children):
        return False
    return all(_child_fits(a, c) for a, c in zip(pattern.args, children, strict=True))


def _child_fits(arg: Pattern, op: Op) -> bool:
    if isinstance(arg, Call):
        return arg.op is op
    return isinstance(arg, Var) or op in CONSTANT_OPS


def may_match(pattern: Pattern | Node, inputs: tuple[Kind, ...]) -> bool:
    """Whether what :func:`could_match` by operations fits inputs of these kinds."""
    if isinstance(pattern, Node):
        return True
    assert isinstance(pattern, Call)
    same: dict[str, Kind] = {}
    for arg, kind in zip(pattern.args, inputs, strict=True):
        if isinstance(arg, Var):
            if same.setdefault(arg.name, kind) is not kind:
                return False
        elif not _kind_fits(arg, kind):
            return False
    return True


def _kind_fits(arg: Pattern, kind: Kind) -> bool:
    if isinstance(arg, Call):
        return could_match(arg, kind.op, kind.ops)
    if kind.marks is None:
        return False
    return not isinstance(arg, Literal) or repr(arg.value) in kind.marks


Matcher = Callable[[Tensor, Env], bool]


def matcher(pattern: Pattern | Node | Tree) -> Matcher:
    """A function that matches one variant against a node and fills in the variables."""
    if isinstance(pattern, (Node, Tree)):
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
    """A matcher of an operation, made for the number of its operands."""
    op, name, subs = pattern.op, pattern.name, [matcher(a) for a in pattern.args]
    if name is not None:
        return _match_named(_match_call(replace(pattern, name=None)), name)
    if len(subs) == 1:
        return _match_one(op, subs[0])
    if len(subs) == 2:
        first, second = pattern.args
        if isinstance(first, Var) and isinstance(second, Var):
            if first == second:
                return _match_same(op, first.name)
            return _match_variables(op, first.name, second.name)
        return _match_two(op, subs[0], subs[1])
    return _match_many(op, subs)


def _match_named(inner: Matcher, name: str) -> Matcher:
    def match(node: Tensor, env: Env) -> bool:
        return inner(node, env) and env.setdefault(name, node) is node

    return match


def _match_one(op: Op, sub: Matcher) -> Matcher:
    return lambda node, env: node.op is op and sub(node.inputs[0], env)


def _match_two(op: Op, first: Matcher, second: Matcher) -> Matcher:
    def match(node: Tensor, env: Env) -> bool:
        if node.op is not op:
            return False
        a, b = node.inputs
        return first(a, env) and second(b, env)

    return match


def _match_variables(op: Op, one: str, other: str) -> Matcher:
    def match(node: Tensor, env: Env) -> bool:
        if node.op is not op:
            return False
        a, b = node.inputs
        return env.setdefault(one, a) is a and env.setdefault(other, b) is b

    return match


def _match_same(op: Op, name: str) -> Matcher:
    def match(node: Tensor, env: Env) -> bool:
        if node.op is not op:
            return False
        a, b = node.inputs
        return a is b and env.setdefault(name, a) is a

    return match


def _match_many(op: Op, subs: list[Matcher]) -> Matcher:
    def match(node: Tensor, env: Env) -> bool:
        if node.op is not op:
            return False
        return all(sub(i, env) for sub, i in zip(subs, node.inputs, strict=True))

    return match


# ---- cheap looks ---------------------------------------------------------------------------------


def some_input(ops: Iterable[Op]) -> Callable[[tuple[Kind, ...]], bool]:
    """Whether one of the operations makes an input."""
    wanted = frozenset(ops)
    return lambda kinds: any(k.op in wanted for k in kinds)


def near_input(ops: Iterable[Op]) -> Callable[[tuple[Kind, ...]], bool]:
    """Whether one of the operations makes an input or the input of one."""
    wanted = frozenset(ops)
    return lambda kinds: any(k.op in wanted or not wanted.isdisjoint(k.ops) for k in kinds)


# ---- templates -----------------------------------------------------------------------------------


Builder = Callable[[Mapping[str, Tensor], Tensor], Tensor]


def builder(template: Template) -> Builder:
    """A function that makes the node a template stands for, of the variables and the node to
    replace; literals take the dtype of the latter.
    """
    if isinstance(template, (Var, Const)):
        name = template.name
        return lambda env, like: env[name]
    if isinstance(template, Literal):
        value = template.value
        return lambda env, like: number(value, like.dtype)
    op, parts = template.op, [builder(a) for a in template.args]
    return lambda env, like: apply(op, tuple([part(env, like) for part in parts]))
