"""Rows of the operation table: element-wise operations, one line each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import mpmath
import numpy as np
from op_case import (
    ALL,
    FLOATS,
    INTEGERS,
    NUMBERS,
    Arg,
    Array,
    Case,
    Draw,
    apart,
    apart_too,
    beyond,
    inside,
    nonzero,
    normal,
    positive,
    rounded,
    row,
    unit,
)
from scipy import special

import symgraph as sg

Oracle = Callable[..., Any]
BITS = (*INTEGERS, "bool")
LOGIC = ("bool", "float64", "int32")


def wide(function: Oracle) -> Oracle:
    """The oracle computed in float64 and rounded once, at any floating dtype."""

    def oracle(*arrays: Array) -> Array:
        if arrays[0].dtype.kind != "f":
            return np.asarray(function(*arrays))
        exact = function(*(a.astype(np.float64) for a in arrays))
        return np.asarray(exact).astype(arrays[0].dtype)

    return oracle


def larger(a: Array, b: Array) -> Array:
    """The maximum that orders -0 below +0."""
    plain = np.maximum(a, b)
    return np.where((a == 0) & (b == 0), a + b, plain) if a.dtype.kind == "f" else plain


def smaller(a: Array, b: Array) -> Array:
    """The minimum that orders -0 below +0."""
    plain = np.minimum(a, b)
    return np.where((a == 0) & (b == 0), -(-a - b), plain) if a.dtype.kind == "f" else plain


def _relu(x: Array) -> Array:
    return larger(x, np.zeros_like(x))


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def below(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Below 0, on both sides of -log 2."""
    return -unit(rng, shape) * 3


def precise(function: Oracle) -> Oracle:
    """The oracle by mpmath, element by element, rounded once."""

    def value(x: float) -> float:
        with mpmath.workprec(2000):
            out = function(mpmath.mpf(x)) if math.isfinite(x) else mpmath.nan
            return math.nan if isinstance(out, mpmath.mpc) else float(out)

    return wide(np.vectorize(value, otypes=[np.float64]))


def _log1mexp(x: Array) -> Array:
    limits = np.where(x == -np.inf, -0.0, np.where(x == 0, -np.inf, np.nan))
    inner = np.isfinite(x) & (x != 0)
    exact = precise(lambda v: mpmath.log1p(-mpmath.exp(v)))
    return np.where(inner, exact(np.where(inner, x, -1.0)), limits)


def _hypot(x: Array, y: Array) -> Array:
    """NumPy's is infinite for an infinity and a NaN."""
    return np.where(np.isnan(x) | np.isnan(y), np.nan, np.hypot(x, y))


def _log_erfc(x: Array) -> Array:
    limits = np.where(x == np.inf, -np.inf, np.where(x == -np.inf, math.log(2), np.nan))
    far, inner = x > 1e3, np.isfinite(x)
    tail = np.log(special.erfcx(np.where(far & inner, x, 1e3))) - np.where(far, x, 0) ** 2
    exact = precise(lambda v: mpmath.log(mpmath.erfc(v)))(np.where(inner & ~far, x, 0.0))
    return np.where(inner, np.where(far, tail, exact), limits)


def _erfcx(x: Array) -> Array:
    """SciPy's is a few ulps off between 0 and 1."""
    inner = np.abs(x) < 5
    exact = precise(lambda v: mpmath.exp(v * v) * mpmath.erfc(v))
    return np.asarray(np.where(inner, exact(np.where(inner, x, 0.0)), special.erfcx(x)))


# name, oracle, where drawn, dtypes, ulps
UNARY: tuple[tuple[str, Oracle, Draw, tuple[str, ...], float], ...] = (
    ("positive", np.positive, normal, NUMBERS, 0),
    ("negative", np.negative, normal, NUMBERS, 0),
    ("reciprocal", lambda x: np.divide(x.dtype.type(1), x), nonzero, FLOATS, 0),
    ("square", np.square, normal, NUMBERS, 0),
    ("sqrt", np.sqrt, positive, FLOATS, 0),
    ("cbrt", wide(np.cbrt), nonzero, FLOATS, 2),
    ("abs", np.abs, nonzero, NUMBERS, 0),
    ("sign", np.sign, nonzero, NUMBERS, 0),
    ("relu", _relu, nonzero, NUMBERS, 0),
    ("exp", wide(np.exp), normal, FLOATS, 2),
    ("exp2", wide(np.exp2), normal, FLOATS, 2),
    ("expm1", wide(np.expm1), normal, FLOATS, 3),
    ("log", wide(np.log), positive, FLOATS, 2),
    ("log2", wide(np.log2), positive, FLOATS, 3),
    ("log10", wide(np.log10), positive, FLOATS, 3),
    ("log1p", wide(np.log1p), positive, FLOATS, 3),
    ("sigmoid", wide(special.expit), normal, FLOATS, 4),
    ("softplus", wide(_softplus), normal, FLOATS, 4),
    ("log1mexp", wide(_log1mexp), below, FLOATS, 4),
    ("logit", wide(special.logit), unit, FLOATS, 4),
    ("sin", wide(np.sin), normal, FLOATS, 2),
    ("cos", wide(np.cos), normal, FLOATS, 2),
    ("tan", wide(np.tan), inside, FLOATS, 4),
    ("asin", wide(np.arcsin), inside, FLOATS, 4),
    ("acos", wide(np.arccos), inside, FLOATS, 4),
    ("atan", wide(np.arctan), normal, FLOATS, 4),
    ("sinh", wide(np.sinh), normal, FLOATS, 4),
    ("cosh", wide(np.cosh), normal, FLOATS, 4),
    ("tanh", wide(np.tanh), normal, FLOATS, 4),
    ("asinh", wide(np.arcsinh), normal, FLOATS, 4),
    ("acosh", wide(np.arccosh), beyond, FLOATS, 4),
    ("atanh", wide(np.arctanh), inside, FLOATS, 4),
    ("erf", wide(special.erf), normal, FLOATS, 4),
    ("erfc", wide(special.erfc), inside, FLOATS, 4),
    ("erfcx", wide(_erfcx), inside, FLOATS, 4),
    ("log_erfc", wide(_log_erfc), normal, FLOATS, 4),
    ("ndtr", wide(special.ndtr), inside, FLOATS, 4),
    ("log_ndtr", wide(special.log_ndtr), normal, FLOATS, 4),
    ("floor", np.floor, apart, NUMBERS, 0),
    ("ceil", np.ceil, apart, NUMBERS, 0),
    ("trunc", np.trunc, apart, NUMBERS, 0),
    ("round", np.round, apart, NUMBERS, 0),
    ("nan_to_num", np.nan_to_num, normal, NUMBERS, 0),
)

# Without a derivative to measure: discrete results, or a marker that stops it.
UNARY_DISCRETE: tuple[tuple[str, Oracle, Draw, tuple[str, ...], float], ...] = (
    ("logical_not", np.logical_not, rounded, ALL, 0),
    ("bitwise_invert", np.invert, normal, BITS, 0),
    ("isnan", np.isnan, normal, ALL, 0),
    ("isinf", np.isinf, normal, ALL, 0),
    ("isfinite", np.isfinite, normal, ALL, 0),
    ("stop_gradient", np.copy, normal, ALL, 0),
)

_ANY, _TIES, _SHIFTS = Arg(), Arg(draw=rounded), Arg(ints=(0, 5))
_OVER = Arg(draw=beyond, ints=(1, 7))

# name, oracle, arguments, dtypes, ulps, times differentiable
BINARY: tuple[tuple[str, Oracle, tuple[Arg, Arg], tuple[str, ...], float, int], ...] = (
    ("add", np.add, (_ANY, _ANY), ALL, 0, 2),
    ("subtract", np.subtract, (_ANY, _ANY), NUMBERS, 0, 2),
    ("multiply", np.multiply, (_ANY, _ANY), ALL, 0, 2),
    ("divide", np.divide, (_ANY, Arg(draw=nonzero)), FLOATS, 0, 2),
    ("floor_divide", np.floor_divide, (Arg(draw=apart), _OVER), NUMBERS, 0, 0),
    ("remainder", np.remainder, (Arg(draw=apart), _OVER), NUMBERS, 0, 0),
    ("pow", wide(np.power), (Arg(draw=positive), _SHIFTS), NUMBERS, 4, 2),
    ("maximum", larger, (Arg(draw=apart), Arg(draw=apart_too)), ALL, 0, 2),
    ("minimum", smaller, (Arg(draw=apart), Arg(draw=apart_too)), ALL, 0, 2),
    ("logaddexp", wide(np.logaddexp), (_ANY, _ANY), FLOATS, 4, 2),
    ("xlogy", wide(special.xlogy), (_ANY, Arg(draw=positive)), FLOATS, 4, 2),
    ("hypot", wide(_hypot), (Arg(draw=nonzero), _ANY), FLOATS, 2, 2),
    ("atan2", wide(np.arctan2), (Arg(draw=nonzero), _ANY), FLOATS, 4, 2),
    ("equal", np.equal, (_TIES, _TIES), ALL, 0, 0),
    ("not_equal", np.not_equal, (_TIES, _TIES), ALL, 0, 0),
    ("less", np.less, (_TIES, _TIES), ALL, 0, 0),
    ("less_equal", np.less_equal, (_TIES, _TIES), ALL, 0, 0),
    ("greater", np.greater, (_TIES, _TIES), ALL, 0, 0),
    ("greater_equal", np.greater_equal, (_TIES, _TIES), ALL, 0, 0),
    ("logical_and", np.logical_and, (_TIES, _TIES), LOGIC, 0, 0),
    ("logical_or", np.logical_or, (_TIES, _TIES), LOGIC, 0, 0),
    ("logical_xor", np.logical_xor, (_TIES, _TIES), LOGIC, 0, 0),
    ("bitwise_and", np.bitwise_and, (_ANY, _ANY), BITS, 0, 0),
    ("bitwise_or", np.bitwise_or, (_ANY, _ANY), BITS, 0, 0),
    ("bitwise_xor", np.bitwise_xor, (_ANY, _ANY), BITS, 0, 0),
    ("bitwise_left_shift", np.left_shift, (_ANY, _SHIFTS), INTEGERS, 0, 0),
    ("bitwise_right_shift", np.right_shift, (_ANY, _SHIFTS), INTEGERS, 0, 0),
)


def _unary_rows() -> Iterator[Case]:
    for order, rows in ((2, UNARY), (0, UNARY_DISCRETE)):
        for name, oracle, where, dtypes, ulps in rows:
            build = getattr(sg, name)
            yield row(name, build, oracle, Arg(draw=where), dtypes=dtypes, ulps=ulps, order=order)
    for name in ("floor", "ceil", "trunc", "round"):
        build = getattr(sg, name)
        yield row(name, build, getattr(np, name), _TIES, label="halves", dtypes=FLOATS, order=0)


def _binary_rows() -> Iterator[Case]:
    for name, oracle, (left, right), dtypes, ulps, order in BINARY:
        build = getattr(sg, name)
        # log(exp(a) + exp(b)) crosses zero; there the error of the larger operand remains.
        facts: dict[str, Any] = {"ulps": ulps, "order": order, "regrouped": name == "logaddexp"}
        yield row(name, build, oracle, left, right, dtypes=dtypes, **facts)
        column, line = Arg(("n", 1), left.draw, left.ints), Arg((3,), right.draw, right.ints)
        yield row(name, build, oracle, column, line, label="stretched", dtypes=dtypes[:1], **facts)
        alone = Arg((), left.draw, left.ints)
        yield row(name, build, oracle, alone, right, label="scalar", dtypes=dtypes[:1], **facts)


def _steady(value: float, ints: tuple[int, int] = (0, 1), shape: Any = ()) -> Arg:
    return Arg(shape, lambda rng, s: np.full(s, value), ints)


def _other_rows() -> Iterator[Case]:
    # A divisor that no finite-difference step carries across a jump.
    steps = (Arg(draw=apart), _steady(7.9))
    yield row("remainder", sg.remainder, np.remainder, *steps, label="smooth")
    yield row("floor_divide", sg.floor_divide, np.floor_divide, *steps, label="smooth")
    mask = Arg(dtype="bool")
    yield row("where", sg.where, np.where, mask, _ANY, _ANY, dtypes=ALL)
    thin = (Arg((3,), dtype="bool"), Arg(("n", 1)), Arg(()))
    yield row("where", sg.where, np.where, *thin, label="stretched")
    bounds = (_steady(-1.5, (0, 2), (3,)), _steady(1.5, (2, 5)))
    yield row("clip", sg.clip, _clip, Arg(draw=apart), *bounds, dtypes=NUMBERS)
    yield row("clip", lambda x: sg.clip(x, -1.5), _above, Arg(draw=apart), label="below")
    yield row("clip", lambda x: sg.clip(x, max=1.5), _below, Arg(draw=apart), label="above")
    for to in ALL:
        yield _astype_row(to)


def _clip(x: Array, low: Array, high: Array) -> Array:
    return smaller(larger(x, low), high)


def _above(x: Array) -> Array:
    return np.maximum(x, -1.5)


def _below(x: Array) -> Array:
    return np.minimum(x, 1.5)


def _astype_row(to: str) -> Case:
    order = 2 if to == "float64" else 0
    here = Arg(draw=positive, ints=(0, 7))
    return row(
        "astype", lambda x: sg.astype(x, to), lambda x: x.astype(to), here,
        label=to, dtypes=ALL, order=order,
    )  # fmt: skip


ROWS: tuple[Case, ...] = (*_unary_rows(), *_binary_rows(), *_other_rows())
