"""From steps to kernel calls."""

from __future__ import annotations

from typing import Any

import pytest
from stages import calls_of, prepared

import symgraph as sg
from symgraph.backends.llvm.clusters import REDUCTIONS
from symgraph.backends.llvm.lower import LOWER_STEPS
from symgraph.backends.llvm.prepare import EXPANSIONS
from symgraph.backends.llvm.views import VIEWS, viewer
from symgraph.errors import UnsupportedError
from symgraph.op import Op
from symgraph.ops import OPS, index, product
from symgraph.tensor import apply
from symgraph.types import TensorType

X = sg.tensor("x", shape=("n", "m"))


def test_every_op_is_lowered_somewhere() -> None:
    leaves = {op for op in OPS.values() if "leaf" in op.traits}
    spelled = {op for op in EXPANSIONS if op not in REDUCTIONS}
    fused = {op for op in OPS.values() if op.elementwise} | REDUCTIONS | {index.gather}
    steps = {*LOWER_STEPS, product.matmul}
    rest = set(OPS.values()) - leaves - spelled - fused - VIEWS - steps
    assert {op.name for op in rest} <= {"iota", "max_and_argmax"}


def test_a_view_is_looked_up_once() -> None:
    view = viewer()
    y = sg.matrix_transpose(X)[1:]
    assert view(y) is view(y)


def test_views_of_a_long_chain_need_no_recursion() -> None:
    y = X
    for _ in range(5000):
        y = sg.matrix_transpose(y)[::-1]
    assert viewer()(y).base is X


def test_an_op_without_native_code_is_named() -> None:
    def infer(types: Any, attrs: Any, equations: Any) -> TensorType:
        return TensorType(types[0].dtype, types[0].shape)

    odd = Op("sorted_oddly", infer, lambda x: x)
    with pytest.raises(UnsupportedError, match=r"sorted_oddly.*backend='reference'"):
        calls_of(apply(odd, (X,)))
    assert sg.function([X], apply(odd, (X,)), backend="reference")([[1.0]]) == 1.0


def test_a_call_names_what_it_computes() -> None:
    calls = calls_of(sg.exp(X) @ sg.matrix_transpose(X))
    assert [c.node.op.name for c in calls] == ["exp", "matmul"]
    assert prepared(X)[0].op.name == "input"
