"""A table of misuse of a call: wrong arguments, sizes that disagree, indices out of range."""

from __future__ import annotations

import array
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from misuse import Misuse, check

import symgraph as sg
from symgraph.errors import DTypeError, IndexRangeError, NonFiniteError, ShapeError, UsageError

BACKENDS = ("reference", "llvm")

x = sg.matrix("x", shape=("n", 3))
y = sg.vector("y", shape="n")
i = sg.tensor("i", shape=("n",), dtype="int64")
v = sg.vector("v", shape=5)
u = sg.vector("u")
r = sg.vector("r")
b8 = sg.vector("b8", shape=3, dtype="int8")
byte = sg.scalar("byte", dtype="uint8")
flag = sg.scalar("flag", dtype="bool")
h = sg.vector("h", shape=2, dtype="float32")
A = sg.matrix("A")
B = sg.matrix("B")
k1 = sg.scalar("k")
k2 = sg.scalar("k")

Build = Callable[[], tuple[list[Any], Any]]

FUNCTIONS: dict[str, Build] = {
    "rows": lambda: ([x, y], x.T @ y),
    "twice": lambda: ([v], v * 2),
    "bytes": lambda: ([b8], b8 + b8),
    "byte": lambda: ([byte], byte + byte),
    "flip": lambda: ([flag], ~flag),
    "half": lambda: ([h], h * 2),
    "two": lambda: ([u, r], u + r),
    "same": lambda: ([k1, k2], k1 - k2),
    "product": lambda: ([A, B], A @ B),
    "join": lambda: ([A, B], sg.concat([A, B], axis=1)),
    "pick": lambda: ([u, i], u[i]),
    "fourth": lambda: ([u], u[3]),
    "from_end": lambda: ([u], u[-4]),
    "from_size": lambda: ([y], y[y.shape[0] - 5]),
    "collect": lambda: ([u, i], u.at[i].add(1.0)),
    "store": lambda: ([u, i], u.at[i].set(1.0)),
    "triples": lambda: ([u], sg.reshape(u, (-1, 3))),
    "sixes": lambda: ([u], sg.reshape(u, (2, 3))),
    "first": lambda: ([A], sg.squeeze(A, 0)),
    "masked": lambda: ([u, r], u[r > 0]),
    "counts": lambda: ([u, r], u[u > 0] + r[r > 0]),
}


@functools.cache
def function(name: str, backend: str) -> Any:
    inputs, outputs = FUNCTIONS[name]()
    return sg.function(inputs, outputs, backend=backend, name=name)


rows = np.zeros((4, 3))
four = np.zeros(4)


def call(name: str, *args: Any, **kwargs: Any) -> Callable[[str], Any]:
    return lambda backend: function(name, backend)(*args, **kwargs)


ARGUMENTS: list[tuple[Any, ...]] = [
    ("missing argument", call("rows", rows), UsageError,
     "rows() is missing y", "its inputs are", "x, y", False),
    ("extra argument", call("rows", rows, four, 1), UsageError,
     "rows() takes 2 arguments", "3 were given", "drop the last 1", False),
    ("unknown keyword", call("rows", rows, z=four), UsageError,
     "rows() has no input named 'z'", "its inputs are", "x, y", False),
    ("given twice", call("rows", rows, four, x=rows), UsageError,
     "rows()", "'x' was given", "by position and by name", False),
    ("ambiguous keyword", call("same", 1.0, k=2.0), UsageError,
     "same()", "2 inputs are named 'k'", "pass them by position", False),
    ("rank too high", call("twice", np.zeros((5, 1))), ShapeError,
     "twice: argument v", "2 axes, shape (5, 1); declared (5,)", "array.squeeze()"),
    ("rank too low", call("rows", four, four), ShapeError,
     "rows: argument x", "1 axes, shape (4,); declared (n, 3)", "array[None]"),
    ("other static size", call("rows", np.zeros((4, 2)), four), ShapeError,
     "x (made at", "has size 2", "declared (n, 3)"),
    ("floats for integers", call("bytes", np.zeros(3)), DTypeError,
     "bytes: argument b8", "dtype float64; declared int8", "array.astype('int8')"),
    ("wider integers", call("bytes", np.zeros(3, np.int64)), DTypeError,
     "bytes: argument b8", "dtype int64; declared int8", "array.astype('int8')"),
    ("double for single", call("half", np.zeros(2)), DTypeError,
     "half: argument h", "dtype float64; declared float32", "array.astype('float32')"),
    ("numbers of a list too large", call("bytes", [1, 2, 300]), DTypeError,
     "bytes: argument b8", "that int8 cannot hold", "declare another dtype"),
    ("fractions in a list", call("bytes", [1, 2, 3.5]), DTypeError,
     "bytes: argument b8", "that int8 cannot hold", "declare another dtype"),
    ("number too large", call("byte", 300), DTypeError,
     "byte: argument byte", "300 does not fit uint8 (0 to 255)", "declare a wider dtype"),
    ("negative number for unsigned", call("byte", -1), DTypeError,
     "byte: argument byte", "-1 does not fit uint8", "pass one in that range"),
    ("fraction for an integer", call("byte", 1.5), DTypeError,
     "byte: argument byte", "the float 1.5; declared uint8", "pass an int"),
    ("number for a bool", call("flip", 1), DTypeError,
     "flip: argument flag", "the number 1; declared bool", "True or False is wanted"),
    ("text", call("twice", "abc"), DTypeError,
     "twice: argument v", "str of dtype <U3", "pass an array of real numbers"),
    ("None", call("twice", None), DTypeError,
     "twice: argument v", "NoneType of dtype object", "pass an array of real numbers"),
    ("object array", call("twice", np.array([None] * 5)), DTypeError,
     "twice: argument v", "ndarray of dtype object", "pass an array of real numbers"),
    ("complex array", call("twice", np.zeros(5, complex)), DTypeError,
     "twice: argument v", "complex128; declared float64", "pass an array of real numbers"),
    ("array of text", call("twice", np.array(["a"] * 5)), DTypeError,
     "twice: argument v", "dtype <U1", "pass an array of real numbers"),
    ("dates", call("twice", np.zeros(5, "M8[D]")), DTypeError,
     "twice: argument v", "datetime64[D]", "pass an array of real numbers"),
    ("structured array", call("twice", np.zeros(5, [("a", float)])), DTypeError,
     "twice: argument v", "[('a', '<f8')]", "pass an array of real numbers"),
    ("masked array", call("twice", np.ma.array(np.zeros(5), mask=[True] + [False] * 4)), UsageError,
     "twice: argument v", "a masked array with masked elements", "array.filled(value)"),
    ("ragged list", call("twice", [[1, 2], [3]]), UsageError,
     "twice: argument v", "list, which is not an array", "make its rows equally long"),
    ("dictionary", call("twice", {}), DTypeError,
     "twice: argument v", "dict of dtype object", "pass an array of real numbers"),
    ("tensor", call("twice", v), UsageError,
     "twice: argument v", "the symbolic v", "use .eval()"),
]  # fmt: skip

SIZES: list[tuple[Any, ...]] = [
    ("a named size that differs", call("rows", rows, np.zeros(5)), ShapeError,
     "axis 0 of y", "has size 5, but n is 4", "from axis 0 of x"),
    ("sizes that must agree", call("two", four, np.zeros(5)), ShapeError,
     "sizes differ in add made at", "is 4 (axis 0 of u", "is 5 (axis 0 of r"),
    ("a size of 1 does not stretch", call("two", four, np.zeros(1)), ShapeError,
     "sizes differ in add", "is 1 (axis 0 of r", "use expand_dims or broadcast_to"),
    ("inner sizes", call("product", rows, rows), ShapeError,
     "sizes differ in matmul", "is 3 (axis 1 of A", "is 4 (axis 0 of B"),
    ("rows to be joined", call("join", rows, np.zeros((5, 3))), ShapeError,
     "sizes differ in concat", "is 4 (axis 0 of A", "is 5 (axis 0 of B"),
    ("reshape that does not divide", call("triples", four), ShapeError,
     "sizes differ in reshape", "is 4 (axis 0 of u", "sizes agree"),
    ("reshape to a fixed count", call("sixes", four), ShapeError,
     "sizes differ in reshape", "is 4 (axis 0 of u", "6 is wanted"),
    ("squeeze of a longer axis", call("first", rows), ShapeError,
     "sizes differ in squeeze", "is 4 (axis 0 of A", "1 is wanted"),
    ("mask of another length", call("masked", four, np.zeros(5)), ShapeError,
     "sizes differ in", "is 5", "is 4"),
    ("counts that differ", call("counts", np.ones(3), np.array([1.0, -1.0])), ShapeError,
     "sizes differ in add", "is 3 (axis 0 of the result of gather", "is 1 (axis 0 of"),
]  # fmt: skip

INDICES: list[tuple[Any, ...]] = [
    ("index too large", call("pick", np.zeros(3), np.array([0, 3])), IndexRangeError,
     "index 3", "is out of range", "for an axis of size 3"),
    ("index too negative", call("pick", np.zeros(3), np.array([-4])), IndexRangeError,
     "index -4", "is out of range", "for an axis of size 3"),
    ("index of an addition", call("collect", np.zeros(3), np.array([7])), IndexRangeError,
     "index 7", "is out of range", "for an axis of size 3"),
    ("index of a write", call("store", np.zeros(3), np.array([-7])), IndexRangeError,
     "index -7", "is out of range", "for an axis of size 3"),
    ("literal index beyond the axis", call("fourth", np.zeros(3)), IndexRangeError,
     "an index in slice", "out of range for an axis of size 3", "at least 4 elements"),
    ("literal index before the axis", call("from_end", np.zeros(3)), IndexRangeError,
     "an index in slice", "out of range for an axis of size 3", "at least 4 elements"),
    ("index that is a size", call("from_size", np.zeros(3)), IndexRangeError,
     "an index in slice", "out of range for an axis of size 3", "at least 5 elements"),
]  # fmt: skip

TABLE = [*ARGUMENTS, *SIZES, *INDICES]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_misuse(row: tuple[Any, ...], backend: str) -> None:
    name, use, *rest = row
    check(Misuse(name, lambda: use(backend), *rest), "test_errors_calling")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_function_works_after_an_error(backend: str) -> None:
    f = function("two", backend)
    with pytest.raises(ShapeError):
        f(np.zeros(4), np.zeros(5))
    np.testing.assert_array_equal(f(np.ones(5), np.ones(5)), np.full(5, 2.0))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((np.zeros(4), np.zeros(2, np.int64)), ShapeError),  # found at entry
        ((np.zeros(3), np.array([0, 1, 9])), IndexRangeError),  # found while running
        ((np.zeros(3, complex), np.zeros(3, np.int64)), DTypeError),
    ],
    ids=["size", "index", "dtype"],
)
def test_a_failed_call_changes_no_shared_variable(
    args: tuple[Any, ...], error: type[Exception], backend: str
) -> None:
    first, second = sg.shared(1.0, name="first"), sg.shared(np.arange(3.0), name="second")
    updates = {first: first + 1, second: second + sg.sum(y[i])}
    f = sg.function([y, i], None, updates=updates, backend=backend)
    with pytest.raises(error):
        f(*args)
    assert first.get_value() == 1.0 and second.get_value().tolist() == [0.0, 1.0, 2.0]
    f(np.ones(3), np.zeros(3, np.int64))
    assert first.get_value() == 2.0 and second.get_value().tolist() == [3.0, 4.0, 5.0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_first_bad_operation_is_named(backend: str) -> None:
    a = sg.vector("a")
    f = sg.function([a], sg.sum(sg.log(a)) * 0.0, backend=backend, check_finite=True)
    assert f(np.ones(2)) == 0.0
    with pytest.raises(
        NonFiniteError, match=r"log \(made at test_errors_calling\.py:\d+\) gave -inf"
    ):
        f(np.array([1.0, 0.0]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_unused_inputs_are_checked_too(backend: str) -> None:
    f = sg.function([v, y], y + 1, backend=backend)
    np.testing.assert_array_equal(f(np.zeros(5), np.zeros(2)), [1.0, 1.0])
    with pytest.raises(ShapeError, match=r"v \(made at"):
        f(np.zeros(4), np.zeros(2))


# ---- what looks odd and works --------------------------------------------------------------------


def read_only(a: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    a.flags.writeable = False
    return a


def unaligned(a: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    raw = np.zeros(a.nbytes + 1, np.uint8)
    raw[1:] = np.frombuffer(a.tobytes(), np.uint8)
    return raw[1:].view(a.dtype)


whole = np.arange(5.0)
ACCEPTED: dict[str, Any] = {
    "read-only": read_only(np.arange(5.0)),
    "negative stride": np.arange(5.0)[::-1].copy()[::-1],
    "strided": np.repeat(np.arange(5.0), 2)[::2],
    "swapped byte order": np.arange(5.0).astype(">f8"),
    "unaligned": unaligned(np.arange(5.0)),
    "list": [0, 1, 2, 3, 4.0],
    "tuple": (0, 1, 2, 3, 4),
    "list of NumPy numbers": list(np.arange(5.0)),
    "integers": np.arange(5),
    "small integers": np.arange(5, dtype=np.uint8),
    "single precision": np.arange(5, dtype=np.float32),
    "half precision": np.arange(5, dtype=np.float16),
    "bool and numbers": [False, True, 2, 3, 4],
    "masked array without masked elements": np.ma.array(np.arange(5.0)),
    "matrix row": np.arange(10.0).reshape(2, 5)[0],
    "column": np.arange(10.0).reshape(5, 2).copy(order="F")[:, 0] / 2,
    "range": range(5),
    "array of the standard library": array.array("d", range(5)),
}  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ACCEPTED)
def test_accepted(kind: str, backend: str) -> None:
    np.testing.assert_array_equal(function("twice", backend)(ACCEPTED[kind]), 2 * whole)


@pytest.mark.parametrize("backend", BACKENDS)
def test_stretched_arrays_are_accepted(backend: str) -> None:
    given = np.broadcast_to(np.float64(3.0), 5)
    np.testing.assert_array_equal(function("twice", backend)(given), np.full(5, 6.0))


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_array_for_two_inputs(backend: str) -> None:
    a = np.arange(4.0)
    np.testing.assert_array_equal(function("two", backend)(a, a), 2 * a)
    np.testing.assert_array_equal(function("two", backend)(a, a[::-1]), np.full(4, 3.0))
    np.testing.assert_array_equal(a, np.arange(4.0))


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_output_is_never_the_argument(backend: str) -> None:
    f = sg.function([u], [u, u[:2]], backend=backend)
    a = np.arange(3.0)
    whole_copy, part = f(a)
    whole_copy[:] = part[:] = 9.0
    np.testing.assert_array_equal(a, [0.0, 1.0, 2.0])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "value", [3, np.uint8(3), np.array(3, np.uint8), True + True + True], ids=repr
)
def test_numbers_that_fit(value: Any, backend: str) -> None:
    assert function("byte", backend)(value) == 6
