"""The reference backend as a function: results of their own, updates, finite checks."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph as sg
from symgraph.backends.reference.program import ReferenceFunction, finite_observer
from symgraph.errors import NonFiniteError, UnsupportedError


def test_results_are_arrays_of_their_own() -> None:
    x = sg.tensor("x", shape=("n", 2))
    a = np.arange(4.0).reshape(2, 2)
    f = sg.function([x], [x, sg.matrix_transpose(x), x], backend="reference")
    assert isinstance(f, ReferenceFunction)
    first, turned, again = f(a)
    first[:] = 9
    assert a[0, 0] == 0 and again[0, 0] == 0 and turned.flags.c_contiguous


def test_updates_happen_after_everything_is_computed() -> None:
    a, b = sg.shared(np.array(1.0), name="a"), sg.shared(np.array(2.0), name="b")
    sg.function([], None, updates={a: b, b: a + b}, backend="reference")()
    assert (float(a.get_value()), float(b.get_value())) == (2.0, 3.0)


def test_the_finite_observer_points_at_the_first_bad_element() -> None:
    x = sg.vector("x")
    y = sg.log(x)
    with pytest.raises(NonFiniteError, match=r"log .*gave -inf at index \(1,\); 2 of 3 elements"):
        finite_observer(y, np.array([0.0, -np.inf, np.nan]))
    finite_observer(y, np.array([0.0, 1.0]))


@pytest.mark.parametrize("node", [sg.vector("x"), sg.vector("y") > 0])
def test_inputs_and_other_dtypes_are_not_looked_at(node: sg.Tensor) -> None:
    values = np.array([np.inf]) if node.dtype.kind == "f" else np.array([True])
    finite_observer(node, values)


def test_there_is_no_machine_code_to_show() -> None:
    x = sg.vector("x")
    f = sg.function([x], x * 2, backend="reference")
    with pytest.raises(UnsupportedError, match="backend='llvm'"):
        f.llvm_ir()
    with pytest.raises(UnsupportedError, match="backend='llvm'"):
        f.assembly()
