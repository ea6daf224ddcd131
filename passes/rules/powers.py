"""Powers, squares, roots, absolute values, signs, and quotients of quotients."""

from __future__ import annotations

import math

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.passes.rules.coefficients import normal
from symgraph.passes.rules.lengths import is_length
from symgraph.passes.rules.pattern import Const, P, Var, float_of, literal_of
from symgraph.passes.rules.rule import (
    EXACT,
    FINITE_ONLY,
    ROUNDING,
    STABILISING,
    Condition,
    Match,
    Rule,
    floating,
)
from symgraph.tensor import Tensor

__all__ = ["POWERS"]

a, b, x, y = (Var(n) for n in "abxy")
c, d = Const("c"), Const("d")

#: the largest literal exponent that becomes repeated multiplication
LARGEST = 8


# ---- literals ------------------------------------------------------------------------------------


def _signed(m: Match) -> bool:
    return m.node.dtype.kind in "if"


def _normal(value: float, m: Match) -> Tensor | None:
    """A literal of the node's dtype, if it is a normal number there."""
    dtype = m.node.dtype
    return number(value, dtype) if dtype.kind == "f" and normal(value, dtype) else None


def _exponent(wanted: float) -> Condition:
    return lambda m: m.node.dtype.kind == "f" and float_of(m.c) == wanted


def _nonnegative(m: Match) -> bool:
    return m.facts.nonnegative(m.x)


def _one(m: Match) -> Tensor:
    return number(1, m.node.dtype)


# ---- integer exponents ---------------------------------------------------------------------------


def _repeated(x: Tensor, n: int) -> Tensor:
    """x to the n-th by squaring."""
    if n == 1:
        return x
    half = f.square(_repeated(x, n // 2))
    return f.multiply(x, half) if n % 2 else half


def _whole(m: Match, least: int) -> int | None:
    """The literal exponent, if it is a whole number from ``least`` to LARGEST in magnitude."""
    value = float_of(m.c)
    whole = value == int(value) if math.isfinite(value) else False
    return int(value) if whole and least <= abs(value) <= LARGEST else None


def _power(m: Match) -> Tensor | None:
    """Negative powers are those of the inverse: x^n may overflow where 1 / x^n is subnormal."""
    n = _whole(m, 3) if floating(m) else None
    if n is None:
        return None
    base = m.x if n > 0 else f.divide(_one(m), m.x)
    return _repeated(base, abs(n))


def _integer_power(m: Match) -> Tensor | None:
    n = _whole(m, 0) if m.node.dtype.kind in "iu" else None
    if n is None or n < 0:
        return None
    return _repeated(m.x, n) if n else _one(m)


def _product_of_powers(m: Match) -> Tensor:
    return f.pow(m.x, f.add(m.a, m.b))


def _power_of_power(m: Match) -> Tensor | None:
    """(x^c)^d, where x^c has the sign of x or x has none."""
    first, total = float_of(m.c), float_of(m.c) * float_of(m.d)
    odd = first == int(first) and int(first) % 2 == 1 if math.isfinite(first) else False
    whole = float_of(m.d) == int(float_of(m.d)) if math.isfinite(float_of(m.d)) else False
    if not (whole or (odd and total == int(total)) or m.facts.nonnegative(m.x)):
        return None
    return f.pow(m.x, number(total, m.node.dtype))


def _squared_power(m: Match) -> Tensor | None:
    """(x^c)^2 is x^(2 c), unless x^c is wanted anyway; what cancels always goes."""
    total = 2 * float_of(m.c)
    if not math.isfinite(total) or not (total == 1 or m.alone(m.a)):
        return None
    return f.pow(m.x, number(total, m.node.dtype))


# ---- roots ---------------------------------------------------------------------------------------


def _root_of_scaled(m: Match) -> Tensor | None:
    """sqrt(c x^2) is sqrt(c) |x|."""
    value = float_of(m.c)
    factor = _normal(math.sqrt(value), m) if value > 0 else None
    return None if factor is None else f.multiply(factor, f.abs(m.x))


def _positive_zero(m: Match) -> bool:
    """Nonnegative, and not -0."""
    return m.facts.nonnegative(m.x) and m.facts.never_minus_zero(m.x)


def _half_above(m: Match) -> Tensor:
    return f.multiply(m.x, f.sqrt(m.x))


# ---- absolute values and signs -------------------------------------------------------------------


def _one_alone(m: Match) -> bool:
    return m.alone(m.a) or m.alone(m.b)


def _abs_scaled(m: Match) -> Tensor | None:
    if m.node.dtype.kind != "f" or math.isnan(float_of(m.c)):
        return None
    return f.multiply(number(abs(float_of(m.c)), m.node.dtype), f.abs(m.x))


def _sign_scaled(m: Match) -> Tensor | None:
    """A factor of at least 1 makes no zero."""
    value = float_of(m.c)
    if m.node.dtype.kind != "f" or not 1 <= abs(value) < math.inf:
        return None
    return f.sign(m.x) if value > 0 else f.negative(f.sign(m.x))


# ---- quotients -----------------------------------------------------------------------------------


def _literal_over_scaled(m: Match) -> Tensor | None:
    """c / (d x) is (c / d) / x."""
    if float_of(m.d) == 0:
        return None
    factor = _normal(float_of(m.c) / float_of(m.d), m)
    return None if factor is None else f.divide(factor, m.x)


def _plain(name: str) -> Condition:
    return lambda m: literal_of(m.env[name]) is None


def _divisors_join(m: Match) -> bool:
    """Literals have risen already; x / hypot(x, y) stays within [-1, 1] as it is."""
    return not any(literal_of(d) is not None or is_length(d) for d in (m.y, m.b))


SQUARE_X = P.square(x)

# fmt: off
POWERS: tuple[Rule, ...] = (
    # ---- powers ----------------------------------------------------------------------------------
    Rule("pow_zero",           P.pow(x, c), _one, EXACT, _exponent(0)),
    Rule("pow_one",            P.pow(x, c), x, EXACT, _exponent(1)),
    Rule("pow_two",            P.pow(x, c), P.square(x), ROUNDING, _exponent(2)),
    Rule("pow_minus_one",      P.pow(x, c), P.divide(1, x), ROUNDING, _exponent(-1)),
    Rule("pow_minus_two",      P.pow(x, c), P.square(P.divide(1, x)), ROUNDING, _exponent(-2),
        ulps=4),
    Rule("pow_whole",          P.pow(x, c), _power, ROUNDING, ulps=16),
    Rule("pow_whole_integer",  P.pow(x, c), _integer_power, EXACT),
    Rule("pow_half",
        P.pow(x, c), P.sqrt(x), ROUNDING, lambda m: _exponent(0.5)(m) and m.facts.nonnegative(m.x)),
    Rule("pow_minus_half",
        P.pow(x, c), P.divide(1, P.sqrt(x)), ROUNDING,
        lambda m: _exponent(-0.5)(m) and _positive_zero(m)),
    Rule("pow_one_and_a_half",
        P.pow(x, c), _half_above, ROUNDING,
        lambda m: _exponent(1.5)(m) and m.facts.nonnegative(m.x), ulps=4),
    Rule("pow_pow",            P.pow(P.pow(x, c), d), _power_of_power, FINITE_ONLY, floating),
    Rule("multiply_pow",
        P.multiply(P.pow(x, a), P.pow(x, b)), _product_of_powers, FINITE_ONLY, floating),
    Rule("square_pow",
        P.square(P.pow(x, c).named("a")), _squared_power, FINITE_ONLY, floating),
    # ---- squares ---------------------------------------------------------------------------------
    Rule("multiply_same",
        P.multiply(x, x), P.square(x), EXACT, lambda m: m.node.dtype.kind in "iuf"),
    Rule("fourth_power",
        P.multiply(x, P.multiply(x, SQUARE_X)), P.square(SQUARE_X), ROUNDING, ulps=4),
    Rule("square_abs",         P.square(P.abs(x)), P.square(x), EXACT),
    Rule("square_negative",    P.square(P.negative(x)), P.square(x), EXACT),
    Rule("quotient_of_squares",
        P.divide(P.square(x), P.square(y)), P.square(P.divide(x, y)), STABILISING),
    Rule("scaled_quotient_of_squares",
        P.divide(P.multiply(c, P.square(x)), P.square(y)),
        P.multiply(c, P.square(P.divide(x, y))), STABILISING,
        lambda m: math.isfinite(float_of(m.c))),
    # ---- roots -----------------------------------------------------------------------------------
    Rule("sqrt_square",        P.sqrt(P.square(x)), P.abs(x), STABILISING),
    Rule("sqrt_scaled_square", P.sqrt(P.multiply(c, P.square(x))), _root_of_scaled, STABILISING),
    Rule("square_sqrt",        P.square(P.sqrt(x)), x, ROUNDING, _nonnegative),
    Rule("square_sqrt_real",   P.square(P.sqrt(x)), x, FINITE_ONLY),
    Rule("divide_sqrt",        P.divide(x, P.sqrt(x)), P.sqrt(x), FINITE_ONLY),
    Rule("sqrt_divided",       P.divide(P.sqrt(x), x), P.divide(1, P.sqrt(x)), FINITE_ONLY),
    Rule("multiply_sqrt",
        P.multiply(P.sqrt(x).named("a"), P.sqrt(y).named("b")), P.sqrt(P.multiply(x, y)),
        FINITE_ONLY, _one_alone),
    Rule("cbrt_cube",          P.cbrt(P.multiply(x, P.square(x))), x, STABILISING),
    Rule("cbrt_pow",           P.cbrt(P.pow(x, 3.0)), x, STABILISING),
    Rule("cube_cbrt",
        P.multiply(P.cbrt(x), P.square(P.cbrt(x))), x, ROUNDING, ulps=8),
    # ---- absolute values -------------------------------------------------------------------------
    Rule("abs_negative",       P.abs(P.negative(x)), P.abs(x), EXACT,
        lambda m: m.x.dtype.kind != "u"),
    Rule("abs_nonnegative",    P.abs(x), x, ROUNDING, _nonnegative),
    Rule("relu_nonnegative",   P.relu(x), x, ROUNDING, _nonnegative),
    Rule("abs_scaled",         P.abs(P.multiply(c, x)), _abs_scaled, EXACT),
    Rule("multiply_abs",
        P.multiply(P.abs(x).named("a"), P.abs(y).named("b")), P.abs(P.multiply(x, y)), EXACT,
        lambda m: floating(m) and _one_alone(m)),
    Rule("divide_abs",
        P.divide(P.abs(x).named("a"), P.abs(y).named("b")), P.abs(P.divide(x, y)), EXACT,
        _one_alone),
    # ---- signs -----------------------------------------------------------------------------------
    Rule("sign_times_abs",     P.multiply(P.sign(x), P.abs(x)), x, ROUNDING, floating),
    Rule("times_sign",         P.multiply(x, P.sign(x)), P.abs(x), ROUNDING, floating),
    Rule("divide_by_abs",      P.divide(x, P.abs(x)), P.sign(x), FINITE_ONLY),
    Rule("abs_divided",        P.divide(P.abs(x), x), P.sign(x), FINITE_ONLY),
    Rule("sign_negative",      P.sign(P.negative(x)), P.negative(P.sign(x)), ROUNDING, floating),
    Rule("sign_scaled",        P.sign(P.multiply(c, x)), _sign_scaled, ROUNDING),
    Rule("sign_abs_product",   P.multiply(P.sign(x), P.sign(x)), P.abs(P.sign(x)), EXACT, _signed),
    Rule("sign_positive",
        P.sign(x), _one, FINITE_ONLY, lambda m: floating(m) and m.facts.positive(m.x)),
    # ---- quotients -------------------------------------------------------------------------------
    Rule("reciprocal_divides", P.reciprocal(x), P.divide(1, x), EXACT),
    Rule("reciprocal_twice_divided", P.divide(1, P.divide(1, x)), x, STABILISING, _plain("x")),
    Rule("divide_by_reciprocal",
        P.divide(y, P.divide(1, x)), P.multiply(y, x), STABILISING, _plain("x")),
    Rule("literal_over_scaled",
        P.divide(c, P.multiply(d, x)), _literal_over_scaled, STABILISING, _plain("x")),
    Rule("divide_quotient",
        P.divide(x, P.divide(y, b)), P.divide(P.multiply(x, b), y), FINITE_ONLY),
    Rule("divided_twice",
        P.divide(P.divide(x, y), b), P.divide(x, P.multiply(y, b)), FINITE_ONLY,
        _divisors_join),
)
# fmt: on
