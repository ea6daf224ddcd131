"""`matmul.loaded`: one library of a scalar and target for the whole process."""

from __future__ import annotations

from symgraph.backends.llvm.jit import host
from symgraph.backends.llvm.matmul import library
from symgraph.backends.llvm.matmul.loaded import fused_symbol, path_of
from symgraph.sizes import symbol


def test_library_is_made_once() -> None:
    assert library("double", host()) is library("double", host())
    assert library("double", host()).address("matmul")
    assert library("double", host()).address("matmul.fused")


def test_only_the_path_that_sizes_ask_for_is_compiled() -> None:
    n = symbol("n")
    assert path_of(8, 9) == "blocks"
    assert [path_of(*sizes) for sizes in ((1, 9), (n, 1), (1, 1))] == ["lines"] * 3
    assert path_of(n, 9) == path_of(n, n) == "any"


def test_one_library_serves_every_path() -> None:
    whole = library("i32", host())
    assert library("i32", host(), "blocks") is library("i32", host(), "lines") is whole


def test_scalars_have_names_of_their_own() -> None:
    assert fused_symbol("double", host()) == fused_symbol("double", host())
    assert fused_symbol("double", host()) != fused_symbol("float", host())
