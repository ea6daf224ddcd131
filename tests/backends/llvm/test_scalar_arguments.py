"""Arguments of rank 0: arrays, NumPy's scalars and Python's numbers, with the same results."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import DTypeError, SymgraphError, UsageError

KINDS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float32", "float64")
NUMBERS: list[Any] = [
    *(0, 1, -1, 127, 128, -128, -129, 255, 256, 2**15, 2**16, 2**24 + 1, 2**31, 2**32, 2**53),
    *(2**53 + 1, -(2**53) - 1, 2**60 + 2**35 + 1, 2**62 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64),
    *(-(2**63), -(2**63) - 1, 10**400, True, False, np.True_),
    *(0.0, -0.0, 0.1, 1.5, 1e300, -1e300, 1e-300, 3.4028235677973366e38, float("inf")),
    *(float("-inf"), float("nan"), 16777217.0, 1 + 2**-24, 1 + 2**-24 + 2**-50),
    *(np.dtype(k).type(3) for k in (*KINDS, *FLOATS, "float16", "longdouble", "complex128")),
    *(np.array(2, k) for k in (*KINDS, *FLOATS, ">f8", "float16")),
    *(np.float64(0.1), np.float32(0.1), np.array(-7.5), np.ma.array(2.5), "text", None, 1j, [1.0]),
]


def outcome(f: Any, value: Any) -> Any:
    """The bits of the result, or the error."""
    try:
        return f(value).tobytes()
    except (SymgraphError, TypeError, ValueError, OverflowError) as error:
        return type(error), str(error)


@pytest.mark.parametrize("dtype", [*KINDS, *FLOATS])
def test_both_backends_take_and_refuse_the_same(dtype: str) -> None:
    x = sg.scalar("x", dtype=dtype)
    native, plain = (sg.function([x], +x, backend=b, name="f") for b in ("llvm", "reference"))
    for value in NUMBERS:
        assert outcome(native, value) == outcome(plain, value), (dtype, value)


def test_a_subclass_of_float_may_say_otherwise() -> None:
    class Odd(float):
        def __array__(self, *args: Any, **kwargs: Any) -> Any:
            return np.array(3.0)

    x = sg.scalar("x")
    native, plain = (sg.function([x], +x, backend=b) for b in ("llvm", "reference"))
    assert native(Odd(5.0)) == plain(Odd(5.0))


def test_scalars_beside_arrays_and_by_name() -> None:
    x, a, b = sg.vector("x"), sg.scalar("a"), sg.scalar("b", dtype="int32")
    f = sg.function([x, a, b], x * a + b)
    given = np.arange(5.0)
    firsts = [2.0, 2, np.float64(2), np.array(2.0)]
    for first, second in itertools.product(firsts, [3, np.int32(3), np.array(3, np.int32)]):
        for result in (f(given, first, second), f(given, b=second, a=first)):
            np.testing.assert_array_equal(result, given * 2 + 3)


def test_a_value_is_read_when_the_call_begins() -> None:
    """An update in place changes the memory that the argument came from."""
    w = sg.shared(np.array(3.0), name="w")
    v = sg.shared(np.arange(4.0), name="v")
    x = sg.scalar("x")
    f = sg.function([x], x * 10, updates={w: w + x, v: v * x})
    assert f(w.get_value(borrow=True)) == 30
    assert w.get_value() == 6 and v.get_value().tolist() == [0, 3, 6, 9]
    element = v.get_value(borrow=True)[1:2].reshape(())
    assert f(element) == 30
    assert w.get_value() == 9 and v.get_value().tolist() == [0, 9, 18, 27]


def test_many_updates_by_one_number_that_is_itself_updated() -> None:
    rate = sg.shared(np.array(0.5), name="rate")
    many = [sg.shared(np.ones(3) * k, name=f"w{k}") for k in range(6)]
    x = sg.scalar("x")
    f = sg.function([x], None, updates={rate: rate * 0 + 9, **{w: w - x for w in many}})
    f(rate.get_value(borrow=True))
    for k, w in enumerate(many):
        assert w.get_value().tolist() == [k - 0.5] * 3


def test_reference_counts() -> None:
    x, k = sg.scalar("x"), sg.scalar("k", dtype="int64")
    f = sg.function([x, k], x * k)
    values: list[Any] = [0.123456, np.float64(0.5), 123456789, np.int64(7), 2**70, "no"]

    def calls() -> None:
        for a, b in itertools.product(values, values):
            try:
                f(a, b)
                f(x=a, k=b)
            except (DTypeError, UsageError):
                continue

    calls()
    before = [sys.getrefcount(v) for v in values]
    for _ in range(100):
        calls()
    assert [sys.getrefcount(v) for v in values] == before


def test_a_conversion_does_not_import_masked_arrays() -> None:
    """The import takes longer than most compilations."""
    script = (
        "import sys, symgraph as sg\n"
        "x = sg.vector('x')\n"
        "assert sg.function([x], x + 1)([1, 2]).tolist() == [2, 3]\n"
        "print('numpy.ma' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
