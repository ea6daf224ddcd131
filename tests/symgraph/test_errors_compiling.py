"""A table of misuse of ``function``, ``eval`` and shared variables, before any call."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from misuse import Misuse, check

import symgraph as sg
from symgraph.errors import DTypeError, ShapeError, UnsupportedError, UsageError
from symgraph.tensor import Tensor

x = sg.matrix("x", shape=("n", 3))
h = sg.matrix("h", shape=("n", 3), dtype="float32")
v = sg.vector("v", shape=5)
anything_with_eval: Any = x + 1
s = sg.scalar("s")
w = sg.shared(np.zeros(3), name="w")
single = sg.shared(np.zeros(3, np.float32), name="single")


def compiled(inputs: Any, outputs: Any, **options: Any) -> Any:
    return sg.function(inputs, outputs, **{"backend": "reference", **options})


FUNCTION = [
    Misuse("inputs that are no list", lambda: compiled(x, x), UsageError,
           "function: inputs=<x", "is not a list of variables", "function([x], ...)"),
    Misuse("a number as input", lambda: compiled([1.0], x), UsageError,
           "inputs[0] is 1.0", "not a variable", "declare one with sg.tensor", where=False),
    Misuse("a shared variable as input", lambda: compiled([x, w], x), UsageError,
           "inputs[1] is the shared variable w", "read shared variables by themselves",
           "leave it out"),
    Misuse("an expression as input", lambda: compiled([x + 1], x), UsageError,
           "inputs[0] is the result of add", "not a declared input", "givens={expression: input}"),
    Misuse("an input twice", lambda: compiled([x, x], x), UsageError,
           "function: x", "is listed twice", "list it once"),
    Misuse("an input left out", lambda: compiled([x], x + s), UsageError,
           "the outputs depend on s", "which is not among the inputs", "add it"),
    Misuse("a string as output", lambda: compiled([x], "x"), UsageError,
           "outputs: 'x'", "is not a tensor", "sg.tensor", where=False),
    Misuse("None among the outputs", lambda: compiled([x], [x, None]), UsageError,
           "outputs[1]: None", "is not a tensor", "sg.tensor", where=False),
    Misuse("unknown backend", lambda: compiled([x], x, backend="cuda"), UsageError,
           "backend='cuda'", "is not one of", "'llvm', 'reference'", where=False),
    Misuse("unknown pipeline", lambda: compiled([x], x, passes="O3"), UsageError,
           "passes='O3'", "is not one of", "'strict', 'default', 'fast'", where=False),
    Misuse("names as passes", lambda: compiled([x], x, passes=("fold",)), UsageError,
           "passes=('fold',)", "is not a pipeline's name", "or a tuple of passes", where=False),
    Misuse("no threads", lambda: compiled([x], x, threads=0), UsageError,
           "threads=0", "is not a", "positive int", where=False),
    Misuse("update of an input", lambda: compiled([x], x, updates={x: x}), UsageError,
           "updates has the key <x", "not a shared variable", "make one with sg.shared"),
    Misuse("update of another dtype", lambda: compiled([], None, updates={single: w}), DTypeError,
           "the update of single", "is float64, not float32", "cast it with astype"),
    Misuse("update of another shape", lambda: compiled([], None, updates={w: np.zeros(4)}),
           ShapeError,
           "the update of w", "has shape (4,), not (3,)", "broadcast or reduce"),
    Misuse("update twice", lambda: compiled([], None, updates=[(w, w), (w, w + 1)]), UsageError,
           "function: w", "is updated twice", "keep one new value"),
    Misuse("updates that are no dictionary", lambda: compiled([], None, updates=w), UsageError,
           "updates=<w", "is not a dictionary", "write {shared: new value}"),
    Misuse("a name as given", lambda: compiled([x], x, givens={"x": x}), UsageError,
           "givens has the key 'x'", "is not a variable", "use the variable itself", where=False),
    Misuse("givens of another dtype", lambda: compiled([h], x, givens={x: h}), DTypeError,
           "givens replaces x", "(float64[n, 3]) by float32[n, 3]", "cast it with astype"),
    Misuse("givens of another rank", lambda: compiled([v], x, givens={x: v}), ShapeError,
           "givens replaces x", "(float64[n, 3]) by float64[5]", "the shapes must agree"),
    Misuse("givens of another size", lambda: compiled([], x, givens={x: np.zeros((2, 4))}),
           ShapeError,
           "givens replaces x", "(float64[n, 3]) by float64[2, 4]", "the shapes must agree"),
    Misuse("givens that are no dictionary", lambda: compiled([v], x, givens=[x]), UsageError,
           "givens=[<x", "is not a dictionary", "write {variable: expression}"),
    Misuse("IR of a backend without it", lambda: compiled([x], x).llvm_ir(), UnsupportedError,
           "f was compiled by a backend", "without LLVM IR", "backend='llvm'", where=False),
]  # fmt: skip

EVAL = [
    Misuse("eval without a value", lambda: (x + 1).eval(), UsageError,
           "eval", "no value for x", "{x: array}"),
    Misuse("eval by name", lambda: anything_with_eval.eval({"x": 1}), UsageError,
           "eval: 'x'", "is not a variable", "{x: array}", where=False),
    Misuse("eval of a list", lambda: anything_with_eval.eval([1]), UsageError,
           "eval: [1]", "is not a dictionary", "{x: array}", where=False),
]  # fmt: skip

SHARED = [
    Misuse("value of another shape", lambda: w.set_value(np.zeros(4)), ShapeError,
           "set_value of w", "the value has shape (4,)", "the variable (3,)"),
    Misuse("value of a wider dtype", lambda: single.set_value(np.zeros(3)), DTypeError,
           "set_value of single", "the value is float64, the variable float32",
           ".astype('float32')"),
    Misuse("value of complex numbers", lambda: w.set_value(np.zeros(3, complex)), DTypeError,
           "set_value of w", "complex128", "symgraph has bool, integers"),
    Misuse("value that is symbolic", lambda: w.set_value(v), UsageError,
           "set_value of w", "v (made at", "use .eval()"),
    Misuse("value that is text", lambda: w.set_value("abc"), DTypeError,
           "set_value of w", "<U3", "symgraph has bool, integers"),
    Misuse("shared objects", lambda: sg.shared([None]), DTypeError,
           "shared", "dtype object", "symgraph has bool, integers", where=False),
    Misuse("shared of a tensor", lambda: sg.shared(v), UsageError,
           "shared: v", "is symbolic", "use .eval()"),
    Misuse("shared of another shape", lambda: sg.shared(np.zeros(3), shape=(4,)), ShapeError,
           "shared", "has shape (3,)", "not the declared (4,)", where=False),
]  # fmt: skip

TABLE = [*FUNCTION, *EVAL, *SHARED]


@pytest.mark.parametrize("misuse", TABLE, ids=[m.name for m in TABLE])
def test_misuse(misuse: Misuse) -> None:
    check(misuse, "test_errors_compiling")


def test_a_refused_value_leaves_the_variable_as_it_was() -> None:
    variable = sg.shared(np.arange(3.0), name="variable")
    for bad in (np.zeros(4), np.zeros(3, complex), "abc", v):
        with pytest.raises((TypeError, ValueError)):
            variable.set_value(bad)
    assert variable.get_value().tolist() == [0.0, 1.0, 2.0]


def test_a_borrowed_value_is_read_only() -> None:
    view = w.get_value(borrow=True)
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1.0


def test_an_error_names_the_variable_that_is_wrong() -> None:
    """Two variables of one kind: the message speaks of the second one."""
    good, bad = sg.shared(np.zeros(3), name="good"), sg.shared(np.zeros(3), name="bad")
    updates: dict[sg.SharedVariable, Tensor] = {good: good + 1, bad: sg.zeros(2)}
    with pytest.raises(ShapeError, match="the update of bad"):
        compiled([], None, updates=updates)
