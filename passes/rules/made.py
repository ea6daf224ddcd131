"""Rules made by users: two functions are traced on placeholders and become patterns."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from symgraph.errors import SymgraphError, UsageError
from symgraph.functions import as_tensor
from symgraph.ops import leaves
from symgraph.passes.rules.pattern import Call, Literal, Pattern, Template, Var
from symgraph.passes.rules.rule import CONTRACTS, FINITE_ONLY, ROUNDING, Condition, Rule
from symgraph.tensor import Tensor, leaf
from symgraph.types import TensorType

__all__ = ["rule"]

Traced = Callable[..., Any]


def rule(
    name: str,
    left: Traced,
    right: Traced,
    contract: str = ROUNDING,
    when: Condition | None = None,
    sound: Condition | None = None,
) -> Rule:
    """A rewrite rule: what ``left`` computes becomes what ``right`` computes, for every dtype.

    Args:
        name: how the trace calls it, and how it can be switched off.
        left: an expression of its parameters in element-wise operations; numbers stand for
            literals. An operation that commutes is found in either order.
        right: an expression of some of the parameters of ``left``, called the same.
        contract: what it does to floating point: ``"exact"``, ``"rounding"``, ``"stabilising"``,
            ``"normwise"`` or ``"finite-only"``.
        when: a function of the match (``m.x`` is what ``x`` stands for, ``m.facts`` what is known
            of it, ``m.alone(m.x)`` whether nobody else uses it) that says whether the rule applies.
        sound: for finite-only rules, when it may fire outside of ``"fast"``.

    Raises:
        UsageError: an argument does not fit; the message names it.

    >>> import symgraph as sg
    >>> square = sg.rule("tanh_odd", lambda x: sg.tanh(-x), lambda x: -sg.tanh(x), "exact")
    >>> x = sg.vector("x")
    >>> sg.simplify(sg.tanh(-x), rules=sg.rules.default + square).op.name
    'negative'
    """
    if not isinstance(name, str) or not name:
        raise UsageError(f"rule: name={name!r} is not a name")
    if contract not in CONTRACTS:
        raise UsageError(
            f"rule {name}: contract={contract!r} is not one of {', '.join(map(repr, CONTRACTS))}"
        )
    for what, condition in (("when", when), ("sound", sound)):
        if condition is not None and not callable(condition):
            raise UsageError(f"rule {name}: {what}={condition!r} is not a function of a match")
    if sound is not None and contract != FINITE_ONLY:
        raise UsageError(f"rule {name}: sound= belongs to the contract 'finite-only'")
    placeholders = {p: _placeholder(p) for p in _parameters(name, "left", left)}
    pattern = _traced(name, "left", left, placeholders)
    if not isinstance(pattern, Call):
        raise UsageError(f"rule {name}: left is no operation, so it would fit everything")
    bound = _variables(pattern)
    template: Template = _traced(name, "right", right, placeholders)
    if unbound := [v for v in _variables(template) if v not in bound]:
        raise UsageError(f"rule {name}: right uses {unbound[0]}, which left does not bind")
    return Rule(name, pattern, template, contract, when, sound)


def _placeholder(name: str) -> Tensor:
    return leaf(leaves.input_, {}, TensorType(np.dtype(np.float64), ()), name)


def _parameters(name: str, side: str, function: Any) -> list[str]:
    if not callable(function):
        raise UsageError(f"rule {name}: {side}={function!r} is not a function of variables")
    found = inspect.signature(function).parameters.values()
    for p in found:
        if p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            raise UsageError(f"rule {name}: {side} takes {p}; write plain parameters")
    return [p.name for p in found]


def _traced(name: str, side: str, function: Traced, placeholders: Mapping[str, Tensor]) -> Pattern:
    parameters = _parameters(name, side, function)
    if unknown := [p for p in parameters if p not in placeholders]:
        raise UsageError(f"rule {name}: {side} uses {unknown[0]}, which left does not bind")
    try:
        value = as_tensor(function(*[placeholders[p] for p in parameters]), f"rule {name}: {side}")
    except SymgraphError as error:
        raise UsageError(f"rule {name}: {side} cannot be traced on scalars: {error}") from None
    names = {node: p for p, node in placeholders.items()}
    return _pattern(name, side, value, names)


def _pattern(name: str, side: str, x: Tensor, names: Mapping[Tensor, str]) -> Pattern:
    if x in names:
        return Var(names[x])
    if x.op is leaves.constant:
        return Literal(_number(x.attrs["value"].item()))
    if not x.inputs:
        raise UsageError(f"rule {name}: {side} uses {x.name or x.op.name}, which is no parameter")
    if x.attrs:
        raise UsageError(
            f"rule {name}: {side} uses {x.op.name}, which has settings ({', '.join(x.attrs)}); "
            "rules are made of element-wise operations"
        )
    return Call(x.op, tuple([_pattern(name, side, i, names) for i in x.inputs]))


def _number(value: Any) -> Any:
    """A literal for every dtype: 2 stands for 2.0 too; a negative zero is a float."""
    if not isinstance(value, float) or not value.is_integer():
        return value
    return value if value == 0 and math.copysign(1, value) < 0 else int(value)


def _variables(pattern: Pattern) -> dict[str, None]:
    if isinstance(pattern, Var):
        return {pattern.name: None}
    if isinstance(pattern, Call):
        return {v: None for a in pattern.args for v in _variables(a)}
    return {}
