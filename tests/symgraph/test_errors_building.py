"""A table of misuse while an expression is built: errors say what, where, why, and the cure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from misuse import Misuse, check

import symgraph as sg
from symgraph.errors import (
    DTypeError,
    GradientError,
    IndexRangeError,
    ShapeError,
    UnsupportedError,
    UsageError,
)

anything: Any = sg  # misuse is what type checkers are there to prevent

x = sg.matrix("x", shape=("n", 3))
y = sg.matrix("y", shape=("n", 4))
h = sg.matrix("h", shape=("n", 3), dtype="float32")
c = sg.tensor("c", shape=("n", 3), dtype="bool")
i = sg.tensor("i", shape=("n",), dtype="int64")
b = sg.tensor("b", shape=(4,), dtype="int8")
v = sg.vector("v", shape=5)
z = sg.vector("z", shape=3)
q = sg.matrix("q", shape=(4, 2))
t = sg.tensor("t", shape=(2, 3, 4))
s = sg.scalar("s")
e = sg.vector("e", shape=0)
w = sg.shared(np.zeros(3), name="w")
n = x.shape[0]

DECLARING = [
    Misuse("unknown dtype", lambda: sg.vector("a", dtype="flaot"), DTypeError,
           "dtype='flaot'", "is not an element type", "use one of bool, int8", where=False),
    Misuse("float16", lambda: sg.vector("a", dtype="float16"), DTypeError,
           "float16", "is not supported", "float32, float64", where=False),
    Misuse("complex dtype", lambda: sg.vector("a", dtype=complex), DTypeError,
           "complex128", "is not supported", "use one of", where=False),
    Misuse("foreign byte order", lambda: sg.vector("a", dtype=">f8"), DTypeError,
           ">f8", "is not supported", "in native byte order", where=False),
    Misuse("negative size", lambda: sg.vector("a", shape=-2), ShapeError,
           "shape=(-2,)", "the size -2 is negative", "use a name or None", where=False),
    Misuse("size that is no name", lambda: sg.vector("a", shape="2n"), ShapeError,
           "'2n'", "is not a size name", "use an identifier", where=False),
    Misuse("size of a float", lambda: sg.matrix("a", shape=(2.5, 2)), ShapeError,
           "shape=(2.5, 2)", "2.5 is not a size", "use an int, a name, or None", where=False),
    Misuse("shape of a float", lambda: sg.vector("a", shape=2.5), ShapeError,
           "shape=2.5", "is not a shape", "a tuple of them", where=False),
    Misuse("rank and shape", lambda: sg.matrix("a", shape=(2, 3, 4)), ShapeError,
           "matrix", "has 3 axes, not 2", "use sg.tensor", where=False),
    Misuse("shape as name", lambda: anything.tensor((2, 3)), UsageError,
           "tensor", "(2, 3), not a string", "shape and dtype come after it", where=False),
]  # fmt: skip

OPERANDS = [
    Misuse("sizes do not broadcast", lambda: x + y, ShapeError,
           "add: shapes (n, 3) and (n, 4)", "axis -1: 3 against 4", "x (n, 3) was made at"),
    Misuse("static sizes differ", lambda: v * z, ShapeError,
           "multiply: shapes (5,) and (3,)", "5 against 3", "z (3,) was made at"),
    Misuse("string operand", lambda: v + "a", UsageError,
           "add: 'a'", "is not a tensor, array or number", "sg.tensor", where=False),
    Misuse("None operand", lambda: sg.maximum(v, None), UsageError,
           "maximum: None", "is not a tensor", "sg.tensor", where=False),
    Misuse("complex number", lambda: v + 1j, DTypeError,
           "complex128", "is not supported", "float32 and float64", where=False),
    Misuse("float16 array", lambda: v * np.zeros(5, np.float16), DTypeError,
           "float16", "is not supported", "convert it to float32", where=False),
    Misuse("object array", lambda: v * np.array([None] * 5), DTypeError,
           "dtype object", "is not supported", "symgraph has bool, integers", where=False),
    Misuse("string array", lambda: v * np.array(["a"] * 5), DTypeError,
           "<U1", "is not supported", "symgraph has bool, integers", where=False),
    Misuse("ragged list", lambda: sg.constant([[1, 2], [3]]), UsageError,
           "this list", "is not an array", "make its rows equally long", where=False),
    Misuse("list of tensors", lambda: v + [s, s], UsageError,
           "a list of tensors", "is not an array", "sg.stack or sg.concat", where=False),
    Misuse("int too large for the dtype", lambda: b + 200, DTypeError,
           "add: the Python int 200", "does not fit int8 (-128 to 127)",
           "sg.constant with a wider dtype",
           where=False),
    Misuse("int too large for floats", lambda: s + 10**400, DTypeError,
           "add", "too large for float64", "write a float", where=False),
    Misuse("integer to a negative power", lambda: i**-1, UsageError,
           "pow: i", "no integer", "astype('float64')"),
    Misuse("negative of bool", lambda: -c, DTypeError,
           "negative", "is not defined for bool", "cast with astype first; c (n, 3) was made at"),
    Misuse("bits of floats", lambda: v & 1, DTypeError,
           "bitwise_and", "is not defined for float64", "cast with astype"),
    Misuse("condition that is not bool", lambda: sg.where(x, x, 0), DTypeError,
           "where: the condition x", "is float64, not bool", "write condition != 0"),
    Misuse("clip by a string", lambda: sg.clip(v, "a", 1), UsageError,
           "clip: 'a'", "is not a tensor", "sg.tensor", where=False),
    Misuse("astype to nothing known", lambda: v.astype("int7"), DTypeError,
           "dtype='int7'", "is not an element type", "use one of", where=False),
]  # fmt: skip

AXES = [
    Misuse("axis out of range", lambda: sg.sum(x, axis=2), ShapeError,
           "sum: axis 2", "out of range for the 2 axes of x", "use -2 to 1"),
    Misuse("axis of a float", lambda: sg.sum(x, axis=1.0), UsageError,
           "sum of x", "axis=1.0 is not an int", "count axes from 0"),
    Misuse("axis of a bool", lambda: sg.mean(x, axis=True), UsageError,
           "mean of x", "axis=True is not an int", "count axes from 0"),
    Misuse("axis twice", lambda: sg.sum(x, axis=(0, -2)), ShapeError,
           "sum: axis (0, -2)", "names an axis twice", "name each once", where=False),
    Misuse("argmax over two axes", lambda: sg.argmax(x, axis=(0, 1)), UsageError,
           "argmax of x", "axis=(0, 1) is not an int", "count axes"),
    Misuse("maximum of nothing", lambda: sg.max(e), ShapeError,
           "max of e", "axis 0 is empty", "sg.concat"),
    Misuse("softmax of a scalar", lambda: sg.softmax(s), ShapeError,
           "softmax: s", "has no axis to normalise over", "sg.sigmoid"),
    Misuse("cumulative sum without axis", lambda: sg.cumulative_sum(x), UsageError,
           "cumulative_sum of x", "it has 2 axes", "axis="),
    Misuse("norm of another order", lambda: sg.norm(x, ord=3), UsageError,
           "norm: ord=3", "is not one of 1, 2, inf", "sg.sum(abs(x) ** p)", where=False),
]  # fmt: skip

SHAPES = [
    Misuse("reshape to another count", lambda: t.reshape(5, 5), ShapeError,
           "reshape: (2, 3, 4)", "has 24 elements, (5, 5) has 25", "t (2, 3, 4) was made at"),
    Misuse("two -1", lambda: t.reshape(-1, -1), ShapeError,
           "reshape of t", "several negative sizes", "leave a single -1"),
    Misuse("-1 that does not divide", lambda: t.reshape(-1, 5), ShapeError,
           "reshape of t", "24 elements, not a multiple of the 5", "change the other sizes"),
    Misuse("-1 beside 0", lambda: e.reshape(-1, 0), ShapeError,
           "reshape of e", "ambiguous beside a size 0", "write the size"),
    Misuse("a name in a shape", lambda: sg.zeros((2, "n")), UsageError,
           "'n' in the shape", "is not a size", "x.shape[0]", where=False),
    Misuse("a negative size", lambda: sg.ones((2, -1)), ShapeError,
           "full: the size -1", "is negative", "count from 0", where=False),
    Misuse("squeeze of a longer axis", lambda: sg.squeeze(t, 0), ShapeError,
           "squeeze: axis 0 of (2, 3, 4)", "has size 2, not 1", "t (2, 3, 4) was made at"),
    Misuse("broadcast to another size", lambda: sg.broadcast_to(v, (3, 4)), ShapeError,
           "broadcast_to: (5,)", "does not stretch to (3, 4) (5 against 4)", "v (5,) was made at"),
    Misuse("broadcast to fewer axes", lambda: sg.broadcast_to(t, (4,)), ShapeError,
           "broadcast_to: (2, 3, 4)", "has more axes than (4,)", "t (2, 3, 4) was made at"),
    Misuse("no permutation", lambda: sg.permute_dims(t, (0, 1, 1)), ShapeError,
           "permute_dims: axes=(0, 1, 1)", "is not a permutation of the 3 axes",
           "t (2, 3, 4) was made at"),
    Misuse("transpose of a vector", lambda: v.mT, ShapeError,
           "matrix_transpose: v", "has 1 axes, needs at least 2", "add one with x[None]"),
    Misuse("moveaxis in unequal numbers", lambda: sg.moveaxis(t, (0, 1), (0,)), ShapeError,
           "moveaxis of t", "do not pair up", "name every axis once"),
    Misuse("split that does not divide", lambda: sg.split(v, 2), ShapeError,
           "split of v", "does not divide into 2 equal parts", "give the indices to cut at"),
    Misuse("negative padding", lambda: sg.pad(v, -1), ShapeError,
           "pad of v", "holds a negative width", "use slicing to cut"),
    Misuse("padding of other axes", lambda: sg.pad(t, ((1, 1), (1, 1))), ShapeError,
           "pad of t", "2 pairs of widths for 3 axes", "give one for each axis"),
    Misuse("padding with reflections", lambda: sg.pad(v, 1, mode="reflect"), UsageError,
           "pad: mode='reflect'", "is not supported", "use 'constant'", where=False),
    Misuse("concat of other sizes", lambda: sg.concat([x, y]), ShapeError,
           "concat: parts (n, 3) and (n, 4)", "differ in axis 1 (joined along 0)",
           "y (n, 4) was made at"),
    Misuse("concat of other ranks", lambda: sg.concat([v, t]), ShapeError,
           "concat", "parts have 1 and 3 axes", "v (5,) was made at"),
    Misuse("concat of scalars", lambda: sg.concat([s, s]), ShapeError,
           "concat: s", "is a scalar and has no axis", "use sg.stack"),
    Misuse("concat of one tensor", lambda: anything.concat(x), UsageError,
           "concat: x", "is not a non-empty list", "write concat([a, b])"),
    Misuse("stack of other shapes", lambda: sg.stack([v, z]), ShapeError,
           "stack: v", "(5,) and z", "use sg.concat"),
    Misuse("repeat by a negative number", lambda: sg.repeat(v, -1), ShapeError,
           "repeat: the size -1", "is negative", "count from 0", where=False),
    Misuse("arange without end", lambda: sg.arange(0, 5, 0), UsageError,
           "arange", "the step is 0", "use another step", where=False),
    Misuse("arange to a value of the graph", lambda: sg.arange(i[0]), UsageError,
           "arange: <the result of", "is not a number or a size", "only be known when called"),
    Misuse("linspace of half a point", lambda: anything.linspace(0, 1, 2.5), UsageError,
           "linspace: num=2.5", "is not a nonnegative int", "the number of points", where=False),
    Misuse("triangle of a vector", lambda: sg.tril(v), UsageError,
           "tril: v", "has 1 axes", "sg.diag"),
    Misuse("one_hot of floats", lambda: sg.one_hot(v, 3), UsageError,
           "one_hot: v", "is float64; integers are needed", "astype('int64')"),
]  # fmt: skip

PRODUCTS = [
    Misuse("inner sizes", lambda: y @ sg.matrix("k", shape=(3, 2)), ShapeError,
           "matmul: y", "the inner sizes are 4 and 3", "transpose one with .T"),
    Misuse("product with a scalar", lambda: x @ s, ShapeError,
           "matmul: s", "is a scalar", "use * to scale"),
    Misuse("vector times stack", lambda: v @ t, ShapeError,
           "matmul: v", "the inner sizes are 5 and 3", "transpose"),
    Misuse("tensordot of other sizes", lambda: sg.tensordot(t, v, axes=1), ShapeError,
           "tensordot: axis 2 of t", "has size 4, axis 0 of v", "name pairs of axes"),
    Misuse("tensordot in unequal numbers", lambda: sg.tensordot(t, v, axes=((0, 1), (0,))),
           ShapeError,
           "tensordot: 2 axes of t", "against 1 of v", "give as many"),
    Misuse("einsum with a term too many", lambda: sg.einsum("ij,jk->ik", x), UsageError,
           "einsum: 'ij,jk->ik'", "has 2 terms for 1 operands", "give one each", where=False),
    Misuse("einsum of another rank", lambda: sg.einsum("ijk->i", x), UsageError,
           "einsum: the term 'ijk'", "does not fit the 2 axes of x", "one letter for each axis"),
    Misuse("einsum to an unknown index", lambda: sg.einsum("ij->iz", x), UsageError,
           "einsum: the output of 'ij->iz'", "names an unknown one",
           "name indices of the inputs", where=False),
    Misuse("einsum with a sign", lambda: sg.einsum("i!->i", x), UsageError,
           "einsum: '!'", "is not an index", "use letters", where=False),
    Misuse("einsum of a diagonal that is none", lambda: sg.einsum("ii->i", q), ShapeError,
           "einsum: index i of q", "is 4 and 2", "use two letters"),
    Misuse("einsum of other sizes", lambda: sg.einsum("ij,jk->ik", y, z[:, None] * 1), ShapeError,
           "y", "the inner sizes are 4 and 3", "transpose"),
]  # fmt: skip

INDEXING = [
    Misuse("index out of range", lambda: v[5], IndexRangeError,
           "index of v", "5 is out of range for axis 0 of size 5", "use -5 to 4"),
    Misuse("negative index out of range", lambda: v[-6], IndexRangeError,
           "index of v", "-6 is out of range", "use -5 to 4"),
    Misuse("too many indices", lambda: v[0, 1], UsageError,
           "index of v", "2 indices for 1 axes", "drop some"),
    Misuse("two ellipses", lambda: t[..., ...], UsageError,
           "index of t", "more than one ellipsis", "write :"),
    Misuse("float index", lambda: v[1.5], UsageError,
           "index of v", "1.5 is not an index", "use ints, slices"),
    Misuse("float tensor as index", lambda: v[s], DTypeError,
           "index of v", "s (made at", "astype('int64')"),
    Misuse("slice step 0", lambda: v[::0], UsageError,
           "index of v", "the slice step is 0", "use another step"),
    Misuse("slice to a value of the graph", lambda: v[: i[0]], UsageError,
           "index of v", "known only at run time", "use sizes, or sg.take with sg.arange"),
    Misuse("mask of another size", lambda: v[np.array([True, False])], ShapeError,
           "index of v", "a mask of shape (2,)", "they must agree"),
    Misuse("take by floats", lambda: sg.take(v, z), DTypeError,
           "take: z", "is float64; integers are needed", "astype('int64')"),
    Misuse("take_along_axis of another rank", lambda: sg.take_along_axis(x, i), ShapeError,
           "take_along_axis: x", "has 2 axes, the indices i", "add axes"),
    Misuse("write without an index", lambda: v.at.set(1), UsageError,
           "x.at.set", "index first", "x.at[0].set(value)", where=False),
    Misuse("write of another dtype", lambda: i.at[0].set(1.5), DTypeError,
           "at.set", "a float64 value does not fit i", "use astype"),
    Misuse("write of another shape", lambda: v.at[:2].set(z), ShapeError,
           "at.set of v", "the value has shape (3,), the place (2,)",
           "must broadcast to the place"),
    Misuse("assignment", lambda: v.__setitem__(0, 1.0), UnsupportedError,
           "assignment to an element of v", "tensors are values", "x.at[index].set(v)"),
]  # fmt: skip

NUMBERS = [
    Misuse("truth", lambda: bool(v > 0), UsageError,
           "bool() of the result of greater", "no value before the call", "sg.where"),
    Misuse("float()", lambda: float(s), UsageError,
           "float() of s", "no value before the call", ".eval()"),
    Misuse("int()", lambda: int(s), UsageError,
           "int() of s", "no value before the call", ".eval()"),
    Misuse("complex()", lambda: complex(s), UsageError,
           "complex() of s", "no value before the call", "not supported"),
    Misuse("as a list index", lambda: [1, 2][i[0]], UsageError,
           "int() of the result of", "no value before the call", ".eval()"),
    Misuse("len of a symbolic axis", lambda: len(x), UsageError,
           "len() of x", "no value before the call", "x.shape[0]"),
    Misuse("len of a scalar", lambda: len(s), UsageError,
           "len() of s", "it has no axes", "made at"),
    Misuse("iteration over a symbolic axis", lambda: list(x), UsageError,
           "iteration of x", "no value before the call", "declare a static first axis"),
    Misuse("iteration over a scalar", lambda: list(s), UsageError,
           "iteration over s", "it has no axes", "made at"),
    Misuse("np.asarray", lambda: np.asarray(v), UsageError,
           "np.asarray() of v", "no value before the call", ".eval()"),
    Misuse("in", lambda: 1.0 in v, UsageError,
           "'in' of v", "no value before the call", "sg.any(x == value)"),
]  # fmt: skip

NUMPY = [
    Misuse("function without counterpart", lambda: np.sort(v), UnsupportedError,
           "np.sort", "is not supported", ".eval()", where=False),
    Misuse("function under another name", lambda: np.hstack([v, v]), UnsupportedError,
           "np.hstack", "is not supported", "use sg.concat", where=False),
    Misuse("ufunc under another name", lambda: np.fmax(v, 1), UnsupportedError,
           "np.fmax", "is not supported", "use sg.maximum", where=False),
    Misuse("out=", lambda: np.add(v, 1, out=np.zeros(5)), UnsupportedError,
           "np.add", "with out=", "use sg.add", where=False),
    Misuse("method of a ufunc", lambda: np.multiply.at(v, 0, 1), UnsupportedError,
           "np.multiply.at", "is not supported", ".eval()", where=False),
]  # fmt: skip

GRADIENTS = [
    Misuse("cost that is not a scalar", lambda: sg.grad(x * 2, x), ShapeError,
           "the cost the result of multiply", "has shape (n, 3), not a scalar",
           "sg.sum or sg.mean"),
    Misuse("integer cost", lambda: sg.grad(sg.sum(i), v), GradientError,
           "grad: the cost the result of sum", "is int64", "a float is needed"),
    Misuse("integer target", lambda: sg.grad(sg.sum(v), i), GradientError,
           "grad: i", "is int64", "only floating-point variables"),
    Misuse("disconnected target", lambda: sg.grad(sg.sum(v), s), GradientError,
           "grad: the cost", "does not depend on s", "disconnected='zero'"),
    Misuse("undefined derivative", lambda: sg.grad(sg.sum(sg.argmax(x, axis=0) * 1.0), x),
           GradientError,
           "grad with respect to x", "piecewise constant", "argmax (made at"),
    Misuse("unknown policy", lambda: sg.grad(sg.sum(v), v, disconnected="ignore"), UsageError,
           "disconnected='ignore'", "is not one of", "'raise', 'zero', 'none'", where=False),
    Misuse("no cost", lambda: sg.grad(None, v), UsageError,
           "grad", "needs a cost", "or known_grads", where=False),
    Misuse("target by name", lambda: sg.grad(sg.sum(v), "v"), UsageError,
           "grad: 'v'", "is not a tensor", "or a list of tensors", where=False),
    Misuse("cotangents in another number", lambda: sg.vjp([v, v * 2], v, [v]), UsageError,
           "vjp", "1 cotangents", "for 2 outputs", where=False),
    Misuse("cotangent of another shape", lambda: sg.vjp(v * 2, v, z), ShapeError,
           "vjp: the cotangent of the result of multiply", "(3,) and (5,)", "3 against 5"),
    Misuse("cotangent of another dtype", lambda: sg.vjp(h, h, x), DTypeError,
           "vjp: the cotangent of h", "is float64", "not float32"),
    Misuse("tangents in another number", lambda: sg.jvp(v * 2, [v], [v, v]), UsageError,
           "jvp", "2 tangents", "for 1 variables", where=False),
]  # fmt: skip

TABLE = [
    *DECLARING, *OPERANDS, *AXES, *SHAPES, *PRODUCTS, *INDEXING, *NUMBERS, *NUMPY, *GRADIENTS,
]  # fmt: skip


@pytest.mark.parametrize("misuse", TABLE, ids=[m.name for m in TABLE])
def test_misuse(misuse: Misuse) -> None:
    check(misuse, "test_errors_building")


def test_the_table_is_long_and_has_no_row_twice() -> None:
    assert len(TABLE) == len({m.name for m in TABLE}) >= 60


def test_symbolic_sizes_are_no_numbers() -> None:
    """Python asks for a number where a size stands; the error is Python's own kind."""
    with pytest.raises(TypeError, match="the size n is only known when the function is called"):
        range(n)
    with pytest.raises(TypeError, match="the truth of the size n is not known before the call"):
        bool(n)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (ShapeError, ValueError),
        (DTypeError, TypeError),
        (IndexRangeError, IndexError),
        (GradientError, ValueError),
        (UsageError, TypeError),
        (UnsupportedError, TypeError),
    ],
    ids=lambda kind: kind.__name__,
)
def test_errors_are_the_builtin_a_caller_expects(
    error: type[Exception], builtin: type[Exception]
) -> None:
    assert issubclass(error, builtin)
