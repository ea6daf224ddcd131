"""Rules made by users on operations that look at axes: left sides are traced on example shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from symgraph.errors import SymgraphError
from symgraph.functions import as_tensor
from symgraph.functions.variables import number
from symgraph.passes.rules.pattern import Env, Kind, Node, literal_of
from symgraph.passes.rules.rule import Condition, Match, Rule
from symgraph.sizes import Dim, Size, lone_atom
from symgraph.tensor import Tensor

__all__ = ["shaped_rule"]

Traced = Callable[..., Any]


def shaped_rule(
    name: str,
    pattern: Tensor,
    variables: Mapping[str, Tensor],
    left: Traced,
    right: Callable[[Env], Any],
    contract: str,
    when: Condition | None,
    sound: Condition | None,
) -> Rule:
    """The rule that replaces what ``left`` computes of tensors with the axes of ``variables``.

    ``pattern`` is ``left`` of the variables. A node fits if ``left`` of what they stand for is this
    node, operands that commute in either order: so attributes and sizes agree.
    """

    def matched(m: Match) -> Match | None:
        for env in _bindings(pattern, m.node, {v: n for n, v in variables.items()}, {}):
            if _fits(variables, env) and _is(_computed(left, env, variables, m.node), m.node):
                found = Match(m.node, env, m.facts, m.users)
                if when is None or when(found):
                    return found
        return None

    def build(m: Match) -> Tensor | None:
        found = matched(m)
        if found is None:
            return None
        new = _computed(lambda *args: right(found.env), found.env, variables, m.node)
        return new if new is not None and new.dtype == m.node.dtype else None

    def is_sound(m: Match) -> bool:
        found = matched(m)
        return found is not None and sound is not None and sound(found)

    node = Node(frozenset({pattern.op}), arity=len(pattern.inputs))
    condition = is_sound if sound is not None else None
    return Rule(name, node, build, contract, None, condition, looks=_looks(pattern, variables))


def _looks(pattern: Tensor, variables: Mapping[str, Tensor]) -> Callable[[tuple[Kind, ...]], bool]:
    """Whether the inputs of a node are made by the operations that the pattern has there."""
    free = set(variables.values())
    ops = [None if i in free or literal_of(i) is not None else i.op for i in pattern.inputs]
    orders = [ops, ops[::-1]] if "commutative" in pattern.op.traits else [ops]
    return lambda kinds: any(
        all(op is None or op is k.op for op, k in zip(order, kinds, strict=True))
        for order in orders
    )


def _computed(function: Traced, env: Env, names: Mapping[str, Any], node: Tensor) -> Tensor | None:
    """What a side computes of the nodes that were found; None where it does not take them."""
    try:
        value = function(*[env[n] for n in names])
        if isinstance(value, (bool, int, float)):
            return number(value, node.dtype)
        return as_tensor(value, "rule")
    except SymgraphError:
        return None


def _orders(x: Tensor) -> list[tuple[Tensor, ...]]:
    twice = "commutative" in x.op.traits and len(x.inputs) == 2
    return [x.inputs, x.inputs[::-1]] if twice else [x.inputs]


def _bindings(
    pattern: Tensor, node: Tensor, names: Mapping[Tensor, str], env: Env
) -> Iterator[Env]:
    """What the variables may stand for, by the operations alone."""
    if pattern in names:
        if env.get(names[pattern], node) is node:
            yield {**env, names[pattern]: node}
    elif literal_of(pattern) is not None:
        if literal_of(node) is not None:
            yield env
    elif pattern.op is node.op and len(pattern.inputs) == len(node.inputs):
        for inputs in _orders(node):
            yield from _each(pattern.inputs, inputs, names, env)


def _each(
    patterns: Sequence[Tensor], nodes: Sequence[Tensor], names: Mapping[Tensor, str], env: Env
) -> Iterator[Env]:
    if not patterns:
        yield env
        return
    for bound in _bindings(patterns[0], nodes[0], names, env):
        yield from _each(patterns[1:], nodes[1:], names, bound)


def _fits(variables: Mapping[str, Tensor], env: Env) -> bool:
    """Whether the axes are as many and as long as the examples say; one name is one size."""
    sizes: dict[Any, Dim] = {}
    for name, example in variables.items():
        found = env[name]
        if found.ndim != example.ndim:
            return False
        for said, size in zip(example.shape, found.shape, strict=True):
            key = lone_atom(said) if isinstance(said, Size) else None
            if sizes.setdefault(key, size) != size if key is not None else said != size:
                return False
    return True


def _is(x: Tensor | None, node: Tensor) -> bool:
    """Whether two nodes are the same up to the order of operands that commute."""
    if x is node:
        return True
    if x is None or (x.type != node.type and literal_of(x) is None):
        return False
    if (value := literal_of(x)) is not None:
        return x.dtype == node.dtype and repr(value) == repr(literal_of(node))
    if x.op is not node.op or len(x.inputs) != len(node.inputs) or x.attrs != node.attrs:
        return False
    return any(all(map(_is, x.inputs, inputs)) for inputs in _orders(node)) and bool(x.inputs)
