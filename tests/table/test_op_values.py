"""Every operation's value against NumPy and SciPy: dtypes, sizes, layouts, special values."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from comparing import assert_agrees
from op_case import Array, Case, draw, variables
from op_cases import BACKENDS, CASES, PASSES

import symgraph as sg
from symgraph.ops import OPS

SEED = 20260311


def compiled(case: Case, dtype: str, backend: str) -> Any:
    """The case as a function of all its arguments."""
    xs = variables(case, dtype)
    return sg.function(xs, case.build(*xs), backend=backend, passes=PASSES, name=case.id)


def expected(case: Case, arrays: list[Array]) -> Array:
    """The oracle's value."""
    with np.errstate(all="ignore"):
        return np.asarray(case.oracle(*arrays))


def check(case: Case, dtype: str, f: Any, arrays: list[Array], what: str) -> None:
    """One call against the oracle."""
    got, want = f(*arrays), expected(case, [np.array(a) for a in arrays])
    ulps = case.ulps
    assert_agrees(got, want, ulps, case.regrouped, f"{case.id} {dtype} {what} (seed {SEED})")


def fortran(a: Array) -> Array:
    """The same elements, first axis fastest."""
    return np.array(a, order="F")


def strided(a: Array) -> Array:
    """The same elements, every second one of a larger array along each axis."""
    wide = np.zeros(tuple(2 * d for d in a.shape), a.dtype)
    index: Any = (..., *(slice(None, None, 2),) * a.ndim)
    wide[index] = a
    return np.asarray(wide[index])


def reversed_strides(a: Array) -> Array:
    """The same elements, strides negative."""
    back: Any = (..., *(slice(None, None, -1),) * a.ndim)
    return np.asarray(np.array(a[back])[back])


LAYOUTS = (fortran, strided, reversed_strides)
PAIRS = [(c, d) for c in CASES for d in c.dtypes]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("case", "dtype"), PAIRS, ids=[f"{c.id}-{d}" for c, d in PAIRS])
def test_value(case: Case, dtype: str, backend: str) -> None:
    rng = np.random.default_rng(SEED)
    f = compiled(case, dtype, backend)
    for n in case.sizes:
        arrays = draw(case, rng, n, dtype)
        check(case, dtype, f, arrays, f"n={n}")
    arrays = draw(case, rng, case.sizes[0], dtype)
    for layout in LAYOUTS:
        check(case, dtype, f, [layout(a) for a in arrays], layout.__name__)


# ---- special values ------------------------------------------------------------------------------


def specials(dtype: str) -> Array:
    """The values where functions break: zeros, infinities, NaN, the largest and the smallest."""
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return np.array([False, True])
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        some = [limits.min, limits.min + 1, -7, -2, -1, 0, 1, 2, 3, 7, limits.max - 1, limits.max]
        return np.array([v for v in some if v >= limits.min], kind)
    edges = np.finfo(kind)
    half = [0.0, 0.5, 1.0, 1.5, 2.5, 3.0, 30.0, 1e-5, 1e5, np.inf]
    half += [float(edges.max), float(edges.tiny), float(edges.smallest_subnormal)]
    return np.array([*half, *(-v for v in half), np.nan], kind)


ELEMENTWISE = [
    (c, d)
    for c in CASES
    if c.op in OPS and OPS[c.op].elementwise and not c.label
    for d in c.dtypes
    if all(a.dtype is None for a in c.args)
]

#: Where NumPy refuses, or two right answers exist; their special values have tests of their own.
SPECIAL_ELSEWHERE = {"pow", "clip", "bitwise_left_shift", "bitwise_right_shift"}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("case", "dtype"), ELEMENTWISE, ids=[f"{c.id}-{d}" for c, d in ELEMENTWISE]
)
def test_special_values(case: Case, dtype: str, backend: str) -> None:
    if case.op in SPECIAL_ELSEWHERE and np.dtype(dtype).kind != "f":
        return
    names = tuple(f"m{k}" for k in range(len(case.args)))
    xs = [sg.tensor(name, shape=("m",), dtype=dtype) for name in names]
    grid = itertools.product(specials(dtype), repeat=len(xs))
    columns = [np.array(column, dtype) for column in zip(*grid, strict=True)]
    got = sg.function(xs, case.build(*xs), backend=backend, passes=PASSES)(*columns)
    assert_agrees(got, expected(case, columns), case.ulps, False, f"{case.id} {dtype}", columns)
