"""`matmul.loaded`: one library of a scalar and target for the whole process."""

from __future__ import annotations

from symgraph.backends.llvm.jit import host
from symgraph.backends.llvm.matmul import library
from symgraph.backends.llvm.matmul.loaded import fused_symbol, path_of
from symgraph.sizes import Dim, symbol


def test_library_is_made_once() -> None:
    assert library("double", host()) is library("double", host())
    assert library("double", host()).address("matmul")
    assert library("double", host()).address("matmul.fused")


def chosen(m: Dim, n: Dim, k: Dim = 8, b_col: Dim = 1, batch: Dim = 1) -> str:
    return path_of("float", host(), (m, n, k), b_col, batch)


def test_only_the_path_that_sizes_ask_for_is_compiled() -> None:
    n = symbol("n")
    assert chosen(8, 90) == "blocks"
    assert [chosen(*sizes) for sizes in ((1, 9), (n, 1), (1, 1))] == ["lines"] * 3
    assert chosen(n, 9) == chosen(n, n) == "any"


def test_one_vector_of_columns_needs_less_code() -> None:
    lanes = host().lanes(32)
    assert chosen(48, lanes, 512) == "tile"
    assert chosen(2, lanes, 64 // lanes, lanes) == "tile"
    wide = ((49, lanes), (8, lanes + 1), (8, lanes, 769), (8, lanes, 65, 2), (8, lanes, 8, 1, 2))
    assert [chosen(*sizes) for sizes in wide] == ["blocks"] * len(wide)
    assert path_of("float", host(), (8, lanes, 8), 1, fused=True) == "blocks"


def test_two_units_need_more_code() -> None:
    lanes = host().lanes(8)
    assert path_of("i8", host(), (8, max(49, lanes), 8), 1) == "blocks"


def test_open_sizes_and_strides_need_all_code() -> None:
    lanes, s = host().lanes(32), symbol("s")
    assert chosen(8, lanes, s) == chosen(8, lanes, 64, s) == chosen(8, lanes, 8, 1, s) == "blocks"


def test_one_library_serves_every_path() -> None:
    whole = library("i32", host())
    assert library("i32", host(), "blocks") is library("i32", host(), "lines") is whole
    assert library("i32", host(), "tile") is whole


def test_scalars_have_names_of_their_own() -> None:
    assert fused_symbol("double", host()) == fused_symbol("double", host())
    assert fused_symbol("double", host()) != fused_symbol("float", host())
