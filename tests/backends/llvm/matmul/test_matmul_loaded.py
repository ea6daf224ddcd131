"""`matmul.loaded`: one library of a scalar and target for the whole process."""

from __future__ import annotations

from symgraph.backends.llvm.jit import host
from symgraph.backends.llvm.matmul import library
from symgraph.backends.llvm.matmul.loaded import fused_symbol


def test_library_is_made_once() -> None:
    assert library("double", host()) is library("double", host())
    assert library("double", host()).address("matmul")
    assert library("double", host()).address("matmul.fused")


def test_scalars_have_names_of_their_own() -> None:
    assert fused_symbol("double", host()) == fused_symbol("double", host())
    assert fused_symbol("double", host()) != fused_symbol("float", host())
