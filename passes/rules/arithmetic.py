"""Identities of arithmetic under their floating-point contracts; signs and literal factors rise."""

from __future__ import annotations

import math

import numpy as np

from symgraph import functions as f
from symgraph.functions.variables import number, size_value
from symgraph.op import Op
from symgraph.ops import OPS, leaves
from symgraph.ops import elementwise as e
from symgraph.passes.rules.pattern import Const, Node, P, Var, call, float_of, literal_of
from symgraph.passes.rules.rule import (
    EXACT,
    FINITE_ONLY,
    ROUNDING,
    Condition,
    Match,
    Rule,
    floating,
)
from symgraph.sizes import Size
from symgraph.tensor import Tensor, apply

__all__ = ["ARITHMETIC"]

x, y, z = Var("x"), Var("y"), Var("z")
c, d = Const("c"), Const("d")


def _integer(m: Match) -> bool:
    return m.node.dtype.kind in "iu"


def _finite(name: str) -> Condition:
    return lambda m: m.facts.finite(m.env[name])


def _zero(m: Match) -> Tensor:
    return number(0, m.node.dtype)


# ---- literal factors -----------------------------------------------------------------------------


def _literal(value: float, m: Match) -> Tensor | None:
    """A literal factor of the node's dtype, if it is a normal number there."""
    dtype = m.node.dtype
    if dtype.kind != "f":
        return None
    with np.errstate(over="ignore", under="ignore"):
        size = abs(float(dtype.type(value)))
    limits = np.finfo(dtype)
    return number(value, dtype) if float(limits.tiny) <= size <= float(limits.max) else None


def _scaled(m: Match, value: float, rest: Tensor) -> Tensor | None:
    new = _literal(value, m)
    return None if new is None else apply(e.multiply, (new, rest))


def _negated_literal(m: Match) -> Tensor:
    with np.errstate(all="ignore"):
        value = np.negative(np.asarray(literal_of(m.c), m.node.dtype))
    return f.constant(value)


def _reciprocal_exactly(m: Match) -> Tensor | None:
    """Division by a power of two is multiplication by its reciprocal, bit for bit."""
    value = float_of(m.c)
    if value == 0 or not math.isfinite(value) or abs(math.frexp(value)[0]) != 0.5:
        return None
    return _scaled(m, 1 / value, m.x)


def _reciprocal(m: Match) -> Tensor | None:
    value = float_of(m.c)
    return None if value == 0 or not math.isfinite(value) else _scaled(m, 1 / value, m.x)


def _times(m: Match) -> Tensor | None:
    return _scaled(m, float_of(m.c) * float_of(m.d), m.x)


def _times_quotient(m: Match) -> Tensor | None:
    new = _literal(float_of(m.c) * float_of(m.d), m)
    return None if new is None else apply(e.divide, (new, m.x))


def _plain(x: Tensor) -> bool:
    return literal_of(x) is None


# ---- rules by trait ------------------------------------------------------------------------------


def _involutions() -> list[Rule]:
    ops = [op for op in OPS.values() if "involution" in op.traits]
    return [Rule(f"{op.name}_twice", call(op, call(op, x)), x, EXACT) for op in ops]


def _idempotents() -> list[Rule]:
    ops = [op for op in OPS.values() if "idempotent" in op.traits]
    return [_idempotent(op) for op in ops]


def _idempotent(op: Op) -> Rule:
    if "commutative" in op.traits:
        return Rule(f"{op.name}_same", call(op, x, x), x, EXACT)
    return Rule(f"{op.name}_twice", call(op, call(op, x)), call(op, x), EXACT)


def _size_arithmetic(m: Match) -> Tensor | None:
    """Sums and products of sizes are sizes."""
    if m.node.dtype != np.int64 or m.node.ndim:
        return None
    a, b = [i.attrs.get("dim", literal_of(i)) for i in m.node.inputs]
    if type(a) not in (int, Size) or type(b) not in (int, Size):
        return None
    dim = a + b if m.node.op is e.add else a - b if m.node.op is e.subtract else a * b
    return size_value(dim, m.node.dtype)


def _sum_negative(m: Match) -> Tensor:
    return f.negative(apply(m.node.op, (m.x,), (("axis", m.node.attrs["axis"]),)))


def _literal_first(m: Match) -> Tensor | None:
    first, second = m.node.inputs
    swap = second.op is leaves.constant and first.op is not leaves.constant
    return apply(m.node.op, (second, first)) if swap else None


# fmt: off
ARITHMETIC: tuple[Rule, ...] = (
    # ---- neutral elements ------------------------------------------------------------------------
    Rule("add_negative_zero",  P.add(x, -0.0),         x, EXACT),
    Rule("add_zero_integer",   P.add(x, 0),            x, EXACT, _integer),
    Rule("add_zero",           P.add(x, 0.0),          x, ROUNDING),
    Rule("subtract_zero",      P.subtract(x, 0.0),     x, EXACT),
    Rule("subtract_zero_integer", P.subtract(x, 0),    x, EXACT, _integer),
    Rule("multiply_one",       P.multiply(x, 1),       x, EXACT),
    Rule("divide_one",         P.divide(x, 1),         x, EXACT),
    Rule("multiply_minus_one", P.multiply(x, -1),      P.negative(x), EXACT),
    Rule("divide_minus_one",   P.divide(x, -1),        P.negative(x), EXACT),
    Rule("zero_minus",         P.subtract(0, x),       P.negative(x), ROUNDING),
    Rule("negative_zero_minus", P.subtract(-0.0, x),   P.negative(x), EXACT),
    # ---- absorbing and cancelling ----------------------------------------------------------------
    Rule("multiply_zero_integer", P.multiply(x, 0),    _zero, EXACT, _integer),
    Rule("multiply_zero",      P.multiply(x, 0.0),     _zero, FINITE_ONLY, sound=_finite("x")),
    Rule("divide_zero",        P.divide(0.0, x),       _zero, FINITE_ONLY),
    Rule("subtract_same_integer", P.subtract(x, x),    _zero, EXACT, _integer),
    Rule("subtract_same",
        P.subtract(x, x), _zero, FINITE_ONLY, floating, sound=_finite("x")),
    Rule("divide_same",
        P.divide(x, x), lambda m: number(1, m.node.dtype), FINITE_ONLY),
    Rule("multiply_divided",   P.multiply(P.divide(x, y), y), x, FINITE_ONLY),
    Rule("divide_multiplied",  P.divide(P.multiply(x, y), y), x, FINITE_ONLY),
    Rule("add_subtracted",     P.add(P.subtract(x, y), y),    x, FINITE_ONLY),
    Rule("subtract_added",     P.subtract(P.add(x, y), y),    x, FINITE_ONLY),
    # ---- order of operands -----------------------------------------------------------------------
    Rule("literal_first",
        Node(trait="commutative", children=frozenset((leaves.constant,)), arity=2), _literal_first,
        EXACT, looks=lambda kinds: kinds[0].op is not leaves.constant),
    Rule("commuted_twin",
        Node(trait="commutative", arity=2), lambda m: m.facts.first_of_twins(m.node), EXACT),
    # ---- signs rise ------------------------------------------------------------------------------
    Rule("multiply_negatives", P.multiply(P.negative(x), P.negative(y)), P.multiply(x, y), EXACT),
    Rule("divide_negatives",   P.divide(P.negative(x), P.negative(y)),   P.divide(x, y), EXACT),
    Rule("negative_literal_factor",
        P.multiply(P.negative(x), c), lambda m: apply(e.multiply, (_negated_literal(m), m.x)),
        EXACT),
    Rule("negative_literal_product",
        P.negative(P.multiply(c, x)), lambda m: apply(e.multiply, (_negated_literal(m), m.x)),
        EXACT),
    Rule("negative_literal_quotient",
        P.negative(P.divide(c, x)), lambda m: apply(e.divide, (_negated_literal(m), m.x)), EXACT),
    Rule("negative_factor",    P.multiply(P.negative(x), y), P.negative(P.multiply(x, y)), EXACT),
    Rule("negative_dividend",  P.divide(P.negative(x), y),   P.negative(P.divide(x, y)), EXACT),
    Rule("negative_divisor",   P.divide(x, P.negative(y)),   P.negative(P.divide(x, y)), EXACT),
    Rule("add_negative",       P.add(x, P.negative(y)),      P.subtract(x, y), EXACT),
    Rule("subtract_negative",  P.subtract(x, P.negative(y)), P.add(x, y), EXACT),
    Rule("negative_difference", P.negative(P.subtract(x, y)), P.subtract(y, x), ROUNDING),
    Rule("negative_minus",     P.subtract(P.negative(x), y), P.negative(P.add(x, y)), ROUNDING),
    Rule("sum_negative", P.sum(P.negative(x)), _sum_negative, ROUNDING),
    # ---- literal factors -------------------------------------------------------------------------
    Rule("divide_power_of_two",
        P.divide(x, c), _reciprocal_exactly, EXACT, lambda m: _plain(m.x)),
    Rule("divide_literal",
        P.divide(x, c), _reciprocal, ROUNDING, lambda m: _plain(m.x)),
    Rule("literal_factors",    P.multiply(c, P.multiply(d, x)), _times, ROUNDING),
    Rule("literal_quotient",
        P.multiply(c, P.divide(d, x)), _times_quotient, ROUNDING, lambda m: _plain(m.x)),
    Rule("add_same",
        P.add(x, x), lambda m: f.multiply(number(2, m.node.dtype), m.x), EXACT,
        lambda m: m.node.dtype.kind in "iuf"),
    # ---- by the traits of operations -------------------------------------------------------------
    *_involutions(),
    *_idempotents(),
    # ---- sizes -----------------------------------------------------------------------------------
    Rule("size_arithmetic",
        Node(frozenset((e.add, e.subtract, e.multiply)), children=frozenset((leaves.size,))),
        _size_arithmetic, EXACT),
)
# fmt: on
