"""Element-wise lowering: IEEE corners, integers that would trap, conversions at their ends."""

from __future__ import annotations

import gc
import itertools
import weakref
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.backends.llvm.elementwise import LOWER
from symgraph.errors import UnsupportedError
from symgraph.op import Op
from symgraph.ops import OPS, elementwise
from symgraph.tensor import apply
from symgraph.types import TensorType

INF, NAN = np.inf, np.nan
Array = np.ndarray[Any, Any]


def test_every_elementwise_op_has_native_code() -> None:
    named = {op for op in OPS.values() if op.elementwise}
    assert named - set(LOWER) == {elementwise.astype}  # a conversion needs both dtypes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("fn", "operands", "want"),
    [
        (sg.divide, (1.0, 0.0), INF),
        (sg.divide, (1.0, -0.0), -INF),
        (sg.divide, (0.0, 0.0), NAN),
        (sg.log, (0.0,), -INF),
        (sg.log, (-1.0,), NAN),
        (sg.subtract, (INF, INF), NAN),
        (sg.multiply, (0.0, INF), NAN),
        (sg.sqrt, (-1.0,), NAN),
        (sg.sqrt, (-0.0,), -0.0),
        (sg.exp, (-INF,), 0.0),
        (sg.exp, (1e4,), INF),
        (sg.reciprocal, (-0.0,), -INF),
        (sg.maximum, (NAN, 1.0), NAN),
        (sg.maximum, (1.0, NAN), NAN),
        (sg.minimum, (NAN, -INF), NAN),
        (sg.maximum, (-0.0, 0.0), 0.0),
        (sg.minimum, (0.0, -0.0), -0.0),
        (sg.relu, (NAN,), NAN),
        (sg.relu, (-0.0,), 0.0),
        (sg.sign, (NAN,), NAN),
        (sg.abs, (-0.0,), 0.0),
        (sg.add, (-0.0, 0.0), 0.0),
        (sg.add, (-0.0, -0.0), -0.0),
        (sg.pow, (0.0, 0.0), 1.0),
        (sg.pow, (NAN, 0.0), 1.0),
        (sg.pow, (-8.0, 1 / 3), NAN),
        (sg.remainder, (1.0, 0.0), NAN),
        (sg.remainder, (-1.0, 3.0), 2.0),
        (sg.remainder, (1.0, -INF), -INF),
        (sg.floor_divide, (1.0, 0.0), INF),
        (sg.floor_divide, (-1.0, 3.0), -1.0),
        (sg.round, (2.5,), 2.0),
        (sg.round, (-0.4,), -0.0),
        (sg.floor, (-0.0,), -0.0),
        (sg.logaddexp, (-INF, -INF), -INF),
        (sg.logaddexp, (INF, -INF), INF),
        (sg.xlogy, (0.0, 0.0), 0.0),
        (sg.xlogy, (0.0, NAN), NAN),
        (sg.sigmoid, (-INF,), 0.0),
        (sg.softplus, (1e4,), 1e4),
        (sg.tanh, (INF,), 1.0),
    ],
)
def test_ieee(fn: Any, operands: tuple[float, ...], want: float, dtype: str) -> None:
    """In a whole vector, in its tail, and for a scalar."""
    for shape in ((), (3,), (64,)):
        arrays = [np.full(shape, v, dtype) for v in operands]
        xs = [
            sg.tensor(f"x{k}", shape=(None,) * len(shape), dtype=dtype) for k in range(len(arrays))
        ]
        got = sg.function(xs, fn(*xs), passes=())(*arrays)
        expected = np.full(shape, want, dtype)
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(np.signbit(got) & ~np.isnan(got), np.signbit(expected))


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint64"])
def test_integer_division_never_traps(dtype: str) -> None:
    limits = np.iinfo(dtype)
    values = sorted({int(limits.min), -7, -1, 0, 1, 2, 7, int(limits.max)})
    kept = [v for v in values if v >= limits.min]
    a, b = (np.array([pair[k] for pair in itertools.product(kept, kept)], dtype) for k in (0, 1))
    xs = [sg.tensor(n, shape=("n",), dtype=dtype) for n in "ab"]
    quotient, rest = sg.function(xs, [sg.floor_divide(*xs), sg.remainder(*xs)], passes=())(a, b)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(quotient, np.floor_divide(a, b))
        np.testing.assert_array_equal(rest, np.remainder(a, b))


@pytest.mark.parametrize("dtype", ["int32", "uint8", "int64"])
def test_shifts_by_the_width_and_beyond(dtype: str) -> None:
    x, n = sg.tensor("x", shape=("k",), dtype=dtype), sg.tensor("n", shape=("k",), dtype=dtype)
    bits = 8 * np.dtype(dtype).itemsize
    amounts = np.array([0, 1, bits - 1, bits, bits + 3], dtype)
    values = np.full(5, np.iinfo(dtype).max, dtype)
    left, right = sg.function([x, n], [x << n, x >> n], passes=())(values, amounts)
    np.testing.assert_array_equal(left, values << amounts)
    np.testing.assert_array_equal(right, values >> amounts)


def test_the_least_integer_has_no_opposite() -> None:
    x = sg.tensor("x", shape=("n",), dtype="int64")
    least = np.full(3, np.iinfo("int64").min)
    negated, absolute = sg.function([x], [-x, sg.abs(x)], passes=())(least)
    assert (negated == least).all() and (absolute == least).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("wanted", ["int8", "uint8", "int16", "int32", "uint32", "uint64"])
def test_floats_out_of_range_saturate(wanted: str, dtype: str) -> None:
    """In whole vectors and in a tail."""
    x = sg.tensor("x", shape=("n",), dtype=dtype)
    limits = np.iinfo(wanted)
    values = np.array([-1e30, -INF, 1e30, INF, NAN, 3.99, float(limits.max) / 2], dtype)
    got = sg.function([x], sg.astype(x, wanted))(np.tile(values, 9))
    want = [limits.min, limits.min, limits.max, limits.max, 0, 3, int(values[-1])]
    assert got.tolist() == want * 9


def test_integers_raised_to_negative_powers() -> None:
    x, p = (sg.tensor(n, shape=("n",), dtype="int64") for n in "xp")
    got = sg.function([x, p], sg.pow(x, p), passes=())(
        [1, -1, -1, 2, 0, -3], [-5, -3, -4, -1, -1, -2]
    )
    assert got.tolist() == [1, -1, 1, 0, 0, 0]


def test_an_op_of_the_user_is_lowered_by_its_own_function() -> None:
    def infer(types: Any, attrs: Any, equations: Any) -> TensorType:
        return TensorType(types[0].dtype, types[0].shape)

    traits = frozenset({"elementwise"})
    thrice = Op(
        "thrice", infer, lambda x: 3 * x, traits,
        lower=lambda b, dtype, v: b.fmul(v[0], b.const(v[0].type, 3.0)),
    )  # fmt: skip
    x = sg.vector("x")
    np.testing.assert_array_equal(
        sg.function([x], apply(thrice, (x,)) + 1)(np.arange(9.0)), 3 * np.arange(9.0) + 1
    )


def test_compiled_kernels_do_not_keep_an_op_of_the_user() -> None:
    """Nor what its functions hold, such as nodes."""

    def infer(types: Any, attrs: Any, equations: Any) -> TensorType:
        return TensorType(types[0].dtype, types[0].shape)

    traits, x = frozenset({"elementwise"}), sg.vector("x")
    same = Op("same", infer, lambda x: x, traits, lower=lambda b, dtype, v: v[0])
    sg.function([x], apply(same, (x,)) + 1, passes=())(np.ones(2))
    gone = weakref.ref(same)
    del x, same
    gc.collect()
    assert gone() is None


def test_an_op_of_the_user_without_code_is_named() -> None:
    def infer(types: Any, attrs: Any, equations: Any) -> TensorType:
        return TensorType(types[0].dtype, types[0].shape)

    x, traits = sg.vector("x"), frozenset({"elementwise"})
    without = Op("fourfold", infer, lambda x: 4 * x, traits)
    with pytest.raises(UnsupportedError, match=r"fourfold.*float64.*lower="):
        sg.function([x], apply(without, (x,)))
