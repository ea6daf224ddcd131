"""Promotion is NumPy 2's: every pair of dtypes and every Python scalar, for every kind of function.

The oracle is NumPy itself: the dtype that the same expression has there.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import DTypeError, SymgraphError
from symgraph.types import DTYPES, promote

NAMES = list(DTYPES)
PAIRS = list(itertools.product(NAMES, repeat=2))
SCALARS: list[bool | int | float] = [True, 2, 2.5]

#: ours, NumPy's
BINARY: dict[str, tuple[Any, Any]] = {
    "add": (sg.add, np.add),
    "subtract": (sg.subtract, np.subtract),
    "multiply": (sg.multiply, np.multiply),
    "divide": (sg.divide, np.divide),
    "floor_divide": (sg.floor_divide, np.floor_divide),
    "remainder": (sg.remainder, np.remainder),
    "pow": (sg.pow, np.power),
    "maximum": (sg.maximum, np.maximum),
    "minimum": (sg.minimum, np.minimum),
    "less": (sg.less, np.less),
    "equal": (sg.equal, np.equal),
    "bitwise_and": (sg.bitwise_and, np.bitwise_and),
    "bitwise_left_shift": (sg.bitwise_left_shift, np.left_shift),
    "logical_or": (sg.logical_or, np.logical_or),
    "logaddexp": (sg.logaddexp, np.logaddexp),
    "atan2": (sg.atan2, np.arctan2),
    "matmul": (sg.matmul, np.matmul),
    "where": (
        lambda a, b: sg.where(np.array([[True]]), a, b),
        lambda a, b: np.where(np.array([[True]]), a, b),
    ),
    "concat": (lambda a, b: sg.concat([a, b]), lambda a, b: np.concatenate([a, b])),
}


def numpy_dtype(function: Any, a: Any, b: Any) -> str | None:
    """The dtype NumPy gives, or None where it refuses."""
    try:
        with np.errstate(all="ignore"):
            return np.asarray(function(a, b)).dtype.name
    except TypeError:
        return None


def our_dtype(function: Any, a: Any, b: Any) -> str | None:
    """The dtype symgraph gives, or None where it refuses."""
    try:
        return str(function(a, b).dtype.name)
    except SymgraphError:
        return None


def differs_on_purpose(
    name: str, dtypes: tuple[str, ...], theirs: str | None, ours: str | None
) -> bool:
    if name in (
        "divide",
        "logaddexp",
        "atan2",
    ):  # integers: float64, where NumPy picks float16 or 32
        return ours == "float64" and all(DTYPES[d].kind != "f" for d in dtypes)
    if set(dtypes) == {"bool"}:  # NumPy's int8 arithmetic of bool with bool
        return name in ("floor_divide", "remainder", "pow", "bitwise_left_shift") and ours is None
    return False


@pytest.mark.parametrize("name", BINARY)
def test_arrays(name: str) -> None:
    ours, theirs = BINARY[name]
    for a, b in PAIRS:
        found = our_dtype(ours, sg.matrix(shape=(1, 1), dtype=a), sg.matrix(shape=(1, 1), dtype=b))
        wanted = numpy_dtype(theirs, np.ones((1, 1), a), np.ones((1, 1), b))
        assert found == wanted or differs_on_purpose(name, (a, b), wanted, found), (a, b)


@pytest.mark.parametrize("name", [n for n in BINARY if n not in ("matmul", "concat")])
@pytest.mark.parametrize("scalar", SCALARS, ids=["bool", "int", "float"])
def test_python_scalars(name: str, scalar: bool | int | float) -> None:
    ours, theirs = BINARY[name]
    kind = type(scalar).__name__
    for d in NAMES:
        x, array = sg.matrix(shape=(1, 1), dtype=d), np.ones((1, 1), d)
        pure = (d, {"bool": "bool", "int": "int64", "float": "float64"}[kind])
        for one, two, left, right in ((x, scalar, array, scalar), (scalar, x, scalar, array)):
            found, wanted = our_dtype(ours, one, two), numpy_dtype(theirs, left, right)
            assert found == wanted or differs_on_purpose(name, pure, wanted, found), (left, right)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_the_common_type_is_numpys(a: str, b: str) -> None:
    common, weak = promote((DTYPES[a], False), (DTYPES[b], False))
    assert common == np.result_type(DTYPES[a], DTYPES[b]) and not weak


def test_the_common_type_does_not_depend_on_the_order() -> None:
    for kinds in itertools.product(
        [(DTYPES[d], w) for d in NAMES for w in (False, True)], repeat=2
    ):
        assert promote(*kinds) == promote(*kinds[::-1])


@pytest.mark.parametrize("d", NAMES)
@pytest.mark.parametrize("scalar", SCALARS, ids=["bool", "int", "float"])
def test_weak_operands_follow_result_type(d: str, scalar: bool | int | float) -> None:
    weak = {bool: "bool", int: "int64", float: "float64"}[type(scalar)]
    common, _ = promote((DTYPES[d], False), (DTYPES[weak], True))
    assert common == np.result_type(DTYPES[d], scalar)


def test_weak_stays_weak_among_weak() -> None:
    assert promote((DTYPES["int64"], True), (DTYPES["float64"], True)) == (DTYPES["float64"], True)
    assert sg.constant(2).type.weak and (sg.constant(2) + 1.5).type.weak


def test_a_size_is_weak() -> None:
    h = sg.vector("h", dtype="float32")
    i = sg.vector("i", dtype="int8")
    n = h.shape[0]
    assert (sg.sum(h) / n).dtype == np.float32
    assert (h * n).dtype == np.float32 and (i + i.shape[0]).dtype == np.int8
    assert (n / h).dtype == np.float32


def test_numpy_scalars_are_strong() -> None:
    h = sg.vector("h", dtype="float32")
    assert (h * np.float64(2)).dtype == np.float64
    assert (np.float64(2) * h).dtype == np.float64
    assert (h * np.float32(2)).dtype == np.float32
    assert (sg.vector("i", dtype="int8") + np.int64(1)).dtype == np.int64


def test_values_do_not_change_types() -> None:
    i = sg.vector("i", dtype="int8")
    assert (i + 1).dtype == (i + 127).dtype == np.int8


@pytest.mark.parametrize(("dtype", "number"), [("int8", 128), ("uint8", -1), ("int64", 2**63)])
def test_integers_that_do_not_fit_are_refused(dtype: str, number: int) -> None:
    with pytest.raises(DTypeError, match=f"the Python int {number} does not fit {dtype}"):
        sg.vector("i", dtype=dtype) + number


UNARY = (
    "exp", "log", "sqrt", "sin", "floor", "ceil", "abs", "negative", "square", "sign", "isnan",
    "cbrt", "tanh",
)  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_operand(name: str) -> None:
    for d in NAMES:
        try:
            ours = getattr(sg, name)(sg.vector(dtype=d)).dtype.name
        except SymgraphError:
            ours = None
        try:
            theirs = getattr(np, name)(np.ones(1, d)).dtype.name
        except TypeError:
            theirs = None
        if theirs in ("float16", "float32") and DTYPES[d].kind != "f":
            theirs = "float64"  # small integers: NumPy computes in half and single precision
        assert ours == theirs or (d == "bool" and ours is None), d


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "max", "any", "argmax", "cumulative_sum"])
def test_reductions(name: str) -> None:
    theirs = {"cumulative_sum": np.cumsum}.get(name) or getattr(np, name)
    for d in NAMES:
        ours = getattr(sg, name)(sg.vector(dtype=d)).dtype
        assert ours == theirs(np.ones(2, d)).dtype, d
