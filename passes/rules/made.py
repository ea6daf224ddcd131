"""Rules made by users: two functions are traced on placeholders and become patterns."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.errors import SymgraphError, UsageError
from symgraph.functions import as_tensor
from symgraph.graph import topological
from symgraph.ops import leaves
from symgraph.passes.rules.pattern import Call, Env, Literal, Pattern, Template, Var, literal_of
from symgraph.passes.rules.rule import CONTRACTS, FINITE_ONLY, ROUNDING, Condition, Rule
from symgraph.passes.rules.shaped import shaped_rule
from symgraph.sizes import symbol
from symgraph.tensor import Tensor, leaf
from symgraph.types import TensorType

__all__ = ["rule"]

Traced = Callable[..., Any]
#: Parameters are floats; what does not take floats is traced on others, up to so many each alone.
DTYPES, MIXED = ("float64", "bool", "int64"), 4


def rule(
    name: str,
    left: Traced,
    right: Traced,
    contract: str = ROUNDING,
    when: Condition | None = None,
    sound: Condition | None = None,
    like: Sequence[Tensor] | None = None,
) -> Rule:
    """A rewrite rule: what ``left`` computes becomes what ``right`` computes, for every dtype.

    Args:
        name: how the trace calls it, and how it can be switched off.
        left: an expression of its parameters; numbers stand for literals. An operation that
            commutes is found in either order. Without ``like`` it is made of element-wise
            operations only, and holds for every shape.
        right: an expression of some of the parameters of ``left``, called the same.
        contract: what it does to floating point: ``"exact"``, ``"rounding"``, ``"stabilising"``,
            ``"normwise"`` or ``"finite-only"``.
        when: a function of the match (``m.x`` is what ``x`` stands for, ``m.facts`` what is known
            of it, ``m.alone(m.x)`` whether nobody else uses it) that says whether the rule applies.
        sound: for finite-only rules, when it may fire outside of ``"fast"``.
        like: for operations that look at axes, a tensor for each parameter of ``left``: it says
            how many axes there are. An axis of a named size stands for any size, and one name for
            sizes known to be the same; dtypes do not count. Both sides are traced anew on what is
            found.

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
    if like is not None:
        return _shaped(name, left, right, contract, when, sound, like)
    value, placeholders = _first_fit(name, left)
    pattern = _pattern(name, "left", value, {node: p for p, node in placeholders.items()})
    if not isinstance(pattern, Call):
        raise UsageError(f"rule {name}: left is no operation, so it would fit everything")
    template: Template = _traced(name, right, placeholders)
    _check_bound(name, _variables(template), _variables(pattern))
    return Rule(name, pattern, template, contract, when, sound)


def _check_bound(name: str, used: Mapping[str, None], bound: Mapping[str, None]) -> None:
    if unbound := [v for v in used if v not in bound]:
        raise UsageError(f"rule {name}: right uses {unbound[0]}, which left does not bind")


def _first_fit(name: str, left: Traced) -> tuple[Tensor, dict[str, Tensor]]:
    """``left`` on matrices of the first dtypes that it takes: on a matrix, unlike on a scalar, sums
    and transposes do not vanish."""
    parameters = _parameters(name, "left", left)
    first: SymgraphError | None = None
    for dtypes in _choices(len(parameters)):
        placeholders = {p: _placeholder(p, d) for p, d in zip(parameters, dtypes, strict=True)}
        try:
            return as_tensor(left(*placeholders.values()), f"rule {name}: left"), placeholders
        except SymgraphError as error:
            first = first or error
    raise _untraced(name, "left", first)


def _choices(count: int) -> Iterator[tuple[str, ...]]:
    """Dtypes for the parameters, those with the most floats first."""
    if count > MIXED:
        return ((d,) * count for d in DTYPES)
    every = itertools.product(DTYPES, repeat=count)
    return iter(sorted(every, key=lambda dtypes: -dtypes.count(DTYPES[0])))


def _placeholder(name: str, dtype: str) -> Tensor:
    shape = (symbol("rows"), symbol("columns"))
    return leaf(leaves.input_, {}, TensorType(np.dtype(dtype), shape), name)


def _untraced(name: str, side: str, error: SymgraphError | None) -> UsageError:
    return UsageError(
        f"rule {name}: {side} cannot be traced on matrices, as element-wise operations can: "
        f"{error}; for others say what the parameters are like, like=[sg.matrix('a'), ...]"
    )


def _shaped(
    name: str, left: Traced, right: Traced, contract: str, when: Condition | None,
    sound: Condition | None, like: Any,
) -> Rule:  # fmt: skip
    """A rule on tensors with the axes of ``like``; both sides are traced anew at every match."""
    parameters, wanted = _parameters(name, "left", left), _parameters(name, "right", right)
    fits = isinstance(like, (list, tuple)) and all(isinstance(t, Tensor) for t in like)
    if not fits or len(like) != len(parameters):
        raise UsageError(
            f"rule {name}: like={like!r} is not a list with a tensor for each parameter of left: "
            f"{', '.join(parameters)}"
        )
    variables = {
        p: leaf(leaves.input_, {}, t.type, p) for p, t in zip(parameters, like, strict=True)
    }
    _check_bound(name, dict.fromkeys(wanted), dict.fromkeys(parameters))
    try:
        old = as_tensor(left(*variables.values()), f"rule {name}: left")
        new = as_tensor(right(*[variables[p] for p in wanted]), f"rule {name}: right")
    except SymgraphError as error:
        raise UsageError(f"rule {name}: cannot be traced on like={like!r}: {error}") from None
    if not old.inputs or any(old is v for v in variables.values()):
        raise UsageError(f"rule {name}: left is no operation, so it would fit everything")
    _check_bound(name, dict.fromkeys(parameters), _reached(old, variables))
    if new.inputs and new.type != old.type:
        raise UsageError(f"rule {name}: right gives {new.type}, left {old.type}")

    def build(env: Env) -> Any:
        return right(*[env[p] for p in wanted])

    return shaped_rule(name, old, variables, left, build, contract, when, sound)


def _reached(root: Tensor, variables: Mapping[str, Tensor]) -> dict[str, None]:
    """The variables that a traced left side uses, which must be all of them."""
    nodes = set(topological([root]))
    return {p: None for p, v in variables.items() if v in nodes}


def _parameters(name: str, side: str, function: Any) -> list[str]:
    if not callable(function):
        raise UsageError(f"rule {name}: {side}={function!r} is not a function of variables")
    found = inspect.signature(function).parameters.values()
    for p in found:
        if p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            raise UsageError(f"rule {name}: {side} takes {p}; write plain parameters")
    return [p.name for p in found]


def _traced(name: str, function: Traced, placeholders: Mapping[str, Tensor]) -> Pattern:
    """The template of a right side."""
    parameters = _parameters(name, "right", function)
    _check_bound(name, dict.fromkeys(parameters), dict.fromkeys(placeholders))
    try:
        value = as_tensor(function(*[placeholders[p] for p in parameters]), f"rule {name}: right")
    except SymgraphError as error:
        raise _untraced(name, "right", error) from None
    return _pattern(name, "right", value, {node: p for p, node in placeholders.items()})


def _pattern(name: str, side: str, x: Tensor, names: Mapping[Tensor, str]) -> Pattern:
    if x in names:
        return Var(names[x])
    if (value := literal_of(x)) is not None:
        return Literal(_number(value))
    if not x.inputs:
        raise UsageError(f"rule {name}: {side} uses {x.name or x.op.name}, which is no parameter")
    if x.attrs or not x.op.elementwise:
        settings = f", which has settings ({', '.join(x.attrs)})" if x.attrs else ""
        raise UsageError(
            f"rule {name}: {side} uses {x.op.name}{settings}; that is no element-wise operation "
            "for every shape and dtype, so say what the parameters are like: "
            "like=[sg.matrix('a'), ...]"
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
