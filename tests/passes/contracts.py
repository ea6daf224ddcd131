"""Check one rewrite against the floating-point contract it claims, at special and ordinary
values.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

from symgraph import Graph, Tensor
from symgraph.backends.reference.evaluate import evaluate_graph
from symgraph.ops import leaves

__all__ = ["ContractBroken", "check_contract", "rows_of_values"]

Array = np.ndarray[Any, Any]

PRECISION = 3200  # bits: exp(1000) beside 1 needs 1450, its square twice that


class ContractBroken(AssertionError):
    """The rewritten value is not what the contract allows."""


# ---- values --------------------------------------------------------------------------------------


def _specials(dtype: Any) -> list[float]:
    limits = np.finfo(dtype)
    big = 1e300 if dtype == np.float64 else 1e37
    tiny = float(limits.smallest_subnormal)
    ends = [float(limits.max), -float(limits.max), float(limits.tiny), tiny, -tiny]
    return [0.0, -0.0, np.inf, -np.inf, np.nan, big, -big, *ends]


ORDINARY = [0.5, -0.5, 1.0, -1.0, 1.5, -2.25, 3.0, 0.1, -0.7, 40.0, -40.0, 1e-3, -1e-9, 2.0]
STEEP = [
    0.0,
    1e-20,
    -1e-20,
    0.3,
    -0.9,
    1.0,
    -1.0,
    5.0,
    -17.0,
    89.0,
    -104.0,
    720.0,
    -760.0,
    1000.0,
    -1000.0,
]
MILD = [0.5, 0.75, 1.25, 1.5, 2.0, 2.5, 3.0]


def rows_of_values(kind: str, dtype: Any, rows: int, seed: int) -> Array:
    """``rows`` by 3 values: ``special``, ``finite``, ``steep`` (for exponentials), ``mild`` or
    ``integer``.
    """
    rng = np.random.default_rng(seed)
    if kind == "integer":
        return rng.integers(-5, 6, size=(rows, 3)).astype(dtype)
    specials = [v for v in _specials(dtype) if kind == "special" or np.isfinite(v)]
    pool = {"steep": STEEP, "mild": MILD}.get(kind, specials + ORDINARY)
    return rng.choice(np.array(pool, dtype), size=(rows, 3))


# ---- the mathematical value ----------------------------------------------------------------------


def _guarded(function: Callable[..., Any], arity: int) -> Callable[..., Any]:
    def value(*args: Any) -> Any:
        try:
            out = function(*args)
        except (ZeroDivisionError, ValueError):
            return mpmath.nan
        return mpmath.nan if isinstance(out, mpmath.mpc) else out

    vectorised: Callable[..., Any] = np.frompyfunc(value, arity, 1)
    return vectorised


def _divide(a: Any, b: Any) -> Any:
    if b == 0:
        return mpmath.nan if a == 0 or mpmath.isnan(a) else mpmath.sign(a) * mpmath.inf
    return a / b


UNARY: dict[str, Callable[[Any], Any]] = {
    "negative": lambda a: -a,
    "square": lambda a: a * a,
    "abs": lambda a: abs(a),
    "sign": lambda a: mpmath.sign(a),
    "sqrt": lambda a: mpmath.sqrt(a),
    "exp": lambda a: mpmath.exp(a),
    "expm1": lambda a: mpmath.exp(a) - 1,
    "log": lambda a: mpmath.log(a) if a != 0 else -mpmath.inf,
    "log1p": lambda a: mpmath.log(1 + a) if a != -1 else -mpmath.inf,
    "sigmoid": lambda a: 1 / (1 + mpmath.exp(-a)),
    "softplus": lambda a: mpmath.log(1 + mpmath.exp(a)),
    "logit": lambda a: mpmath.log(a / (1 - a)),
    "cosh": lambda a: mpmath.cosh(a),
    "tanh": lambda a: mpmath.tanh(a),
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": _divide,
    "pow": lambda a, b: mpmath.power(a, b),
    "logaddexp": lambda a, b: mpmath.log(mpmath.exp(a) + mpmath.exp(b)),
}
MATH: dict[str, Callable[..., Any]] = {
    **{name: _guarded(function, 1) for name, function in UNARY.items()},
    **{name: _guarded(function, 2) for name, function in BINARY.items()},
}


def _row_total(x: Array, axis: tuple[int, ...], keepdims: bool) -> Any:
    return np.sum(MATH["exp"](x), axis=axis, keepdims=keepdims)


ROWWISE: dict[str, Callable[..., Any]] = {
    "sum": lambda x, axis: np.sum(x, axis=axis),
    "prod": lambda x, axis: np.prod(x, axis=axis),
    "max": lambda x, axis: np.max(x, axis=axis),
    "softmax": lambda x, axis: MATH["divide"](MATH["exp"](x), _row_total(x, axis, True)),
    "log_softmax": lambda x, axis: x - MATH["log"](_row_total(x, axis, True)),
    "logsumexp": lambda x, axis: MATH["log"](_row_total(x, axis, False)),
}


def mathematical_value(expression: Tensor, values: dict[Tensor, Array]) -> Array:
    """The expression in arithmetic of several thousand bits, as an array of mpmath numbers."""
    graph = Graph([expression])
    known: dict[Tensor, Any] = {}
    sizes = {"n": next(iter(values.values())).shape[0]}
    with mpmath.workprec(PRECISION):
        for node in graph.nodes:
            known[node] = _mathematical(node, [known[i] for i in node.inputs], values, sizes)
    return np.asarray(known[expression])


def _mathematical(
    node: Tensor, inputs: list[Any], values: dict[Tensor, Array], sizes: dict[str, int]
) -> Any:
    if node in values or node.op is leaves.constant:
        array = values[node] if node in values else node.attrs["value"]
        return (
            array
            if array.dtype.kind in "bi"
            else np.frompyfunc(lambda v: mpmath.mpf(float(v)), 1, 1)(array)
        )
    if node.op.name in MATH:
        return MATH[node.op.name](*inputs)
    if node.op.name in ROWWISE:
        return ROWWISE[node.op.name](*inputs, **node.attrs)
    attrs = {k: _resolved(v, sizes) for k, v in node.attrs.items()}
    return node.op.evaluate(*inputs, **attrs)


def _resolved(value: Any, sizes: dict[str, int]) -> Any:
    if isinstance(value, tuple):
        return tuple(_resolved(v, sizes) for v in value)
    return sizes.get(str(value), value) if type(value) is not np.dtype else value


#: computed minus mathematical value
DIFFERENCE = np.frompyfunc(lambda g, t: float(mpmath.mpf(float(g)) - t), 2, 1)

# ---- the contracts -------------------------------------------------------------------------------


def _values(kind: str, inputs: list[Tensor], rows: int) -> dict[Tensor, Array]:
    out: dict[Tensor, Array] = {}
    for seed, v in enumerate(inputs):
        if v.ndim == 1:
            out[v] = np.random.default_rng(seed).integers(0, 3, size=rows)
        else:
            out[v] = rows_of_values(kind if v.dtype.kind == "f" else "integer", v.dtype, rows, seed)
    return out


def _run(expression: Tensor, values: dict[Tensor, Array]) -> Array:
    used = {v: a for v, a in values.items() if v.op is leaves.input_}
    return evaluate_graph(Graph([expression], list(used)), used)[0]


def check_contract(
    contract: str,
    before: Tensor,
    after: Tensor,
    inputs: list[Tensor],
    ulps: float = 2,
    absolute: bool = False,
) -> None:
    """Raise ContractBroken where ``after`` differs from ``before`` more than the contract allows.

    ``inputs`` have the shape (n, 3), or (n,) for labels. ``absolute`` measures the error of a
    stabilising rule against the largest input instead of the value.
    """
    if contract == "exact":
        _exact(before, after, _values("special", inputs, 400))
    elif contract == "rounding":
        _rounding(before, after, _values("finite", inputs, 400), ulps)
        _at_infinity(before, after, inputs, nan_may_heal=False)
    elif contract == "stabilising":
        _mathematically_right(before, after, _values("steep", inputs, 16), absolute)
        _at_infinity(before, after, inputs, nan_may_heal=True)
    else:
        _close(before, after, _values("mild", inputs, 200), contract == "finite-only")


def _fail(what: str, want: Array, got: Array, bad: Array) -> None:
    at = tuple(np.argwhere(bad)[0]) if bad.ndim else ()
    raise ContractBroken(
        f"{what}: {got[at]!r} for {want[at]!r} at {at}; {int(bad.sum())} of {bad.size}"
    )


def _exact(before: Tensor, after: Tensor, values: dict[Tensor, Array]) -> None:
    want, got = _run(before, values), _run(after, values)
    same = want == got
    if want.dtype.kind == "f":
        same = (same & (np.signbit(want) == np.signbit(got))) | (np.isnan(want) & np.isnan(got))
    if not same.all():
        _fail("not the same bits", want, got, ~same)


def _rounding(before: Tensor, after: Tensor, values: dict[Tensor, Array], ulps: float) -> None:
    want, got = _run(before, values), _run(after, values)
    with np.errstate(all="ignore"):
        unit = np.spacing(np.maximum(np.abs(want), np.abs(got)))
        near = np.abs(want - got) <= ulps * unit
    good = np.where(np.isfinite(want), near, True)
    if not good.all():
        _fail("beyond rounding", want, got, ~good)


def _at_infinity(before: Tensor, after: Tensor, inputs: list[Tensor], nan_may_heal: bool) -> None:
    """Infinite and NaN inputs; a NaN that no input brought may heal to the limit, others stay."""
    floats = [v for v in inputs if v.dtype.kind == "f"]
    if not floats:
        return
    values, clean = _with_infinities(floats, _values("mild", inputs, len(PAIRS)))
    want, got = _run(before, values), _run(after, values)
    with np.errstate(all="ignore"):
        near = np.isclose(want, got, rtol=1e-5, atol=1e-6, equal_nan=True)
    heals = np.isnan(want) & _rows_of(clean, want) & nan_may_heal
    good = near | heals
    if not np.all(good):
        _fail("at infinite or NaN inputs", want, got, ~np.asarray(good))


PAIRS = np.array(list(itertools.product([np.inf, -np.inf, np.nan, 0.5, -1.5, 3.0], repeat=2)))


def _with_infinities(
    floats: list[Tensor], values: dict[Tensor, Array]
) -> tuple[dict[Tensor, Array], Array]:
    """Rows that hold infinities or NaNs, never both; and which of them hold no NaN."""
    first, second = PAIRS.T
    columns = [first, second, np.roll(first, 1)][: len(floats)]
    clean = ~np.any([np.isnan(c) for c in columns], axis=0)
    for k, (v, column) in enumerate(zip(floats, columns, strict=True)):
        settled = np.where(clean | np.isnan(column), column, 0.5)
        third = np.where(clean, np.roll(np.where(np.isnan(column), 2.0, column), k), 0.5)
        rows = np.stack([settled, np.full(len(PAIRS), 0.5), third], axis=1)
        values[v] = rows.astype(v.dtype)
    return values, clean


def _rows_of(flags: Array, like: Array) -> Array:
    """One flag a row, laid out beside an array whose axis of that length holds the rows."""
    where = [k for k, n in enumerate(like.shape) if n == len(flags)]
    if not where:
        return np.asarray(False)
    return flags.reshape([-1 if k == where[0] else 1 for k in range(like.ndim)])


def _mathematically_right(
    before: Tensor, after: Tensor, values: dict[Tensor, Array], absolute: bool
) -> None:
    """Close to the mathematical value of what was written: relative to it, and to the inputs'
    rounding.
    """
    truth = mathematical_value(before, values)
    got = _run(after, values)
    limits = np.finfo(got.dtype)
    steep = 1 + max(float(np.abs(a).max()) for a in values.values() if a.dtype.kind == "f")
    eps = float(limits.eps)
    with np.errstate(over="ignore", invalid="ignore"):
        want = truth.astype(float).astype(got.dtype)
        error = np.abs(DIFFERENCE(got, truth).astype(float))
        scale = np.maximum(np.abs(want.astype(float)), 1.0 if absolute else 0.0)
        floor = 1e-9 * float(limits.tiny) + 2 * float(limits.smallest_subnormal)
        bound = (16 * eps * scale + floor * steep) * steep
    good = (error <= bound) | (want == got) | (np.isnan(want) & np.isnan(got))
    if not good.all():
        _fail("not the mathematical value", want, got, ~good)


def _close(before: Tensor, after: Tensor, values: dict[Tensor, Array], nan_may_heal: bool) -> None:
    want, got = _run(before, values), _run(after, values)
    rtol = 1e-5 if want.dtype == np.float32 else 1e-13
    good = np.isclose(want, got, rtol=rtol, atol=rtol) | (np.isnan(want) & nan_may_heal)
    if not good.all():
        _fail("beyond the error of regrouping", want, got, ~good)
