"""Check one rewrite against the floating-point contract it claims, at special and ordinary
values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from contract_values import PAIRS, values_of, with_infinities

from symgraph import Graph, Tensor
from symgraph.backends.precise import evaluate_precisely, rounded
from symgraph.backends.precise.evaluate import difference
from symgraph.backends.reference.evaluate import evaluate_graph
from symgraph.errors import IndexRangeError, ShapeError
from symgraph.ops import leaves

__all__ = ["ContractBroken", "check_contract", "check_lightly", "check_sound", "computes"]

Array = np.ndarray[Any, Any]
Values = dict[Tensor, Array]

#: So many that special values meet, and no more than an int8 counts.
ROWS = 120


class ContractBroken(AssertionError):
    """The rewritten value is not what the contract allows."""


def check_contract(
    contract: str,
    before: Tensor,
    after: Tensor,
    inputs: list[Tensor],
    ulps: float = 2,
    absolute: bool = False,
    stays_finite: bool = True,
) -> None:
    """Raise ContractBroken where ``after`` differs from ``before`` more than the contract allows.

    ``inputs`` have the shape (n, 3), or (n,) for labels. ``absolute`` measures the error of a
    stabilising rule against the largest input instead of the value. ``stays_finite`` asks of
    stabilising and normwise rules, too, that no finite result overflows; without it they may where
    an input is beyond the square root of the largest number (over SPARE).
    """
    if contract == "exact":
        few = not all(v.dtype.kind == "f" for v in inputs)
        _exact(before, after, values_of("special", inputs, ROWS if few else 4 * ROWS))
    elif before.dtype.kind != "f" or not _on_floats(inputs):
        _lightly(contract, before, after, inputs, ROWS)
    elif contract == "rounding":
        _rounding(before, after, values_of("finite", inputs, 4 * ROWS), ulps)
        _at_infinity(before, after, inputs, nan_may_heal=False)
    elif contract == "stabilising":
        _mathematically_right(before, after, values_of("steep", inputs, 16), absolute)
        _at_infinity(before, after, inputs, nan_may_heal=True)
        _stays_finite(before, after, _finite_values(inputs, stays_finite))
    elif contract == "normwise":
        _close(before, after, values_of("mild", inputs, 200), nan_may_heal=False)
        _keeps_bad_news(before, after, inputs)
        _stays_finite(before, after, _finite_values(inputs, stays_finite))
    else:
        _close(before, after, values_of("mild", inputs, 200), nan_may_heal=True)


def check_sound(before: Tensor, after: Tensor, inputs: list[Tensor]) -> None:
    """A finite-only rule where its facts make it sound: finite results stay finite, others stay."""
    if before.dtype.kind != "f" or not _on_floats(inputs):
        _lightly("finite-only", before, after, inputs, ROWS)
        return
    _stays_finite(before, after, values_of("finite", inputs, 4 * ROWS))
    _at_infinity(before, after, inputs, nan_may_heal=False)
    _close(before, after, values_of("mild", inputs, 200), nan_may_heal=False)


def check_lightly(
    contract: str, before: Tensor, after: Tensor, inputs: list[Tensor], rows: int, times: int
) -> None:
    """The same at few values, for shapes and dtypes that the thorough check does not take."""
    for seed in range(times):
        _lightly(contract, before, after, inputs, rows, seed)


def computes(expression: Tensor, inputs: list[Tensor], rows: int) -> bool:
    """Whether the expression has a value at arrays of this size: its indices are in range."""
    try:
        _run(expression, values_of("mild", inputs, rows))
    except (ShapeError, IndexRangeError):
        return False
    return True


#: sums of as many products as the checks take stay below the largest number
SPARE = 100


def _finite_values(inputs: list[Tensor], whole: bool) -> Values:
    """Values from the whole range, or from where products of two inputs cannot overflow."""
    values = values_of("finite", inputs, 4 * ROWS)
    for v, a in values.items():
        if v.dtype.kind == "f" and not whole:
            limit = np.sqrt(np.finfo(v.dtype).max) / SPARE
            values[v] = np.clip(a, -limit, limit)
    return values


def _lightly(
    contract: str, before: Tensor, after: Tensor, inputs: list[Tensor], rows: int, seed: int = 0
) -> None:
    if contract == "exact" or before.dtype.kind != "f":
        _exact(before, after, values_of("special", inputs, rows, seed))
    else:
        mild = values_of("mild", inputs, rows, seed)
        _close(before, after, mild, contract in ("finite-only", "stabilising"))


def _on_floats(inputs: list[Tensor]) -> bool:
    return any(v.dtype.kind == "f" for v in inputs)


def _run(expression: Tensor, values: Values) -> Array:
    used = {v: a for v, a in values.items() if v.op is leaves.input_}
    return evaluate_graph(Graph([expression], list(used)), used)[0]


def _both(before: Tensor, after: Tensor, values: Values) -> tuple[Array, Array]:
    want, got = _run(before, values), _run(after, values)
    if (want.dtype, want.shape) != (got.dtype, got.shape):
        raise ContractBroken(f"{got.dtype}{got.shape} replaces {want.dtype}{want.shape}")
    return want, got


def _fail(what: str, want: Array, got: Array, good: Array) -> None:
    bad = ~np.asarray(good)
    if not bad.any():
        return
    at = tuple(np.argwhere(bad)[0]) if bad.ndim else ()
    raise ContractBroken(
        f"{what}: {got[at]!r} for {want[at]!r} at {at}; {int(bad.sum())} of {bad.size}"
    )


# ---- the contracts -------------------------------------------------------------------------------


def _exact(before: Tensor, after: Tensor, values: Values) -> None:
    want, got = _both(before, after, values)
    same = want == got
    if want.dtype.kind == "f":
        same = (same & (np.signbit(want) == np.signbit(got))) | (np.isnan(want) & np.isnan(got))
    _fail("not the same bits", want, got, same)


def _rounding(before: Tensor, after: Tensor, values: Values, ulps: float) -> None:
    want, got = _both(before, after, values)
    with np.errstate(all="ignore"):
        unit = np.spacing(np.maximum(np.abs(want), np.abs(got)))
        near = np.abs(want - got) <= ulps * unit
    _fail("beyond rounding", want, got, np.where(np.isfinite(want), near, True))


def _stays_finite(before: Tensor, after: Tensor, values: Values) -> None:
    want, got = _both(before, after, values)
    _fail("no longer finite", want, got, np.isfinite(got) | ~np.isfinite(want))


def _keeps_bad_news(before: Tensor, after: Tensor, inputs: list[Tensor]) -> None:
    """A NaN or infinity that came in and was seen is seen still."""
    values, _ = with_infinities(inputs)
    want, got = _both(before, after, values)
    _fail("hides a NaN or infinity", want, got, np.isfinite(want) | ~np.isfinite(got))


def _at_infinity(before: Tensor, after: Tensor, inputs: list[Tensor], nan_may_heal: bool) -> None:
    """Infinite and NaN inputs; a NaN that no input brought may heal to the limit, others stay."""
    values, clean = with_infinities(inputs)
    want, got = _both(before, after, values)
    with np.errstate(all="ignore"):
        near = np.isclose(want, got, rtol=1e-5, atol=1e-6, equal_nan=True)
    heals = np.isnan(want) & _rows_of(clean, want) & nan_may_heal
    _fail("at infinite or NaN inputs", want, got, near | heals)


def _rows_of(flags: Array, like: Array) -> Array:
    """One flag a row, laid out beside an array whose axis of that length holds the rows."""
    where = [k for k, n in enumerate(like.shape) if n == len(PAIRS)]
    if not where:
        return np.asarray(False)
    return flags.reshape([-1 if k == where[0] else 1 for k in range(like.ndim)])


#: computed minus mathematical value
DIFFERENCE = np.frompyfunc(lambda g, t: float(difference(g, t)), 2, 1)


def _mathematically_right(before: Tensor, after: Tensor, values: Values, absolute: bool) -> None:
    """Close to the mathematical value of what was written: relative to it, and to the inputs'
    rounding.
    """
    used = {v: a for v, a in values.items() if v.op is leaves.input_}
    (truth,) = evaluate_precisely(Graph([before], list(used)), used)
    got = _run(after, values)
    limits = np.finfo(got.dtype)
    steep = 1 + max(float(np.abs(a).max()) for a in values.values() if a.dtype.kind == "f")
    eps = float(limits.eps)
    with np.errstate(over="ignore", invalid="ignore"):
        want = rounded(truth, got.dtype)
        error = np.asarray(DIFFERENCE(got, truth)).astype(float)
        scale = np.maximum(np.abs(want.astype(float)), 1.0 if absolute else 0.0)
        floor = 1e-9 * float(limits.tiny) + 2 * float(limits.smallest_subnormal)
        bound = (16 * eps * scale + floor * steep) * steep
    good = (error <= bound) | (want == got) | (np.isnan(want) & np.isnan(got))
    _fail("not the mathematical value", want, got, good)


def _close(before: Tensor, after: Tensor, values: Values, nan_may_heal: bool) -> None:
    want, got = _both(before, after, values)
    rtol = 1e-5 if want.dtype == np.float32 else 1e-13
    near = np.isclose(want, got, rtol=rtol, atol=rtol, equal_nan=not nan_may_heal)
    _fail("beyond the error of regrouping", want, got, near | (np.isnan(want) & nan_may_heal))
