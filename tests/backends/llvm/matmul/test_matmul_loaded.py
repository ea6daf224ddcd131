"""`matmul.loaded`: one library of a scalar and target for the whole process."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from symgraph.backends.llvm import libraries
from symgraph.backends.llvm.jit import Library, Target, host
from symgraph.backends.llvm.matmul import MatmulKernel, call, library
from symgraph.backends.llvm.matmul.loaded import path_of
from symgraph.sizes import Dim, symbol


def test_library_is_made_once() -> None:
    assert library("double", host()) is library("double", host())
    assert library("double", host()).address("matmul")
    assert library("double", host()).address("matmul.fused")


def chosen(m: Dim, n: Dim, k: Dim = 8, b_col: Dim = 1, batch: Dim = 1) -> str:
    return path_of("float", host(), (m, n, k), (k, 1), (n, b_col), batch)


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


def test_two_units_need_more_code() -> None:
    lanes = host().lanes(8)
    assert path_of("i8", host(), (8, max(49, lanes), 8), (8, 1), (lanes, 1)) == "blocks"


def test_open_sizes_and_strides_need_all_code() -> None:
    lanes, s = host().lanes(32), symbol("s")
    assert chosen(8, lanes, s) == chosen(8, lanes, 64, s) == chosen(17, lanes, 8, 1, s) == "blocks"


def test_one_library_serves_every_path() -> None:
    whole = library("i32", host())
    assert library("i32", host(), "blocks") is library("i32", host(), "lines") is whole
    assert library("i32", host(), "tile") is whole


def test_every_path_can_call_an_epilogue() -> None:
    for path in ("tile", "lines", "blocks", "any"):
        assert library("i16", host(), path).address("matmul.fused")


SHAPES = [(1, 70, 33), (67, 1, 90), (1, 1, 300), (9, 50, 800), (8, 8, 8), (100, 49, 20), (48, 7, 5)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layouts", ["NN", "NT", "TN", "TT"])
def test_what_is_compiled_quickly_has_the_same_bits(
    shape: tuple[int, int, int],
    layouts: str,
    bits: int,
    compiled: Callable[[str, int], tuple[Library, MatmulKernel]],
    target: Callable[[int], Target],
) -> None:
    rng, (m, n, k) = np.random.default_rng(16), shape
    sides = [rng.standard_normal(s).astype(np.float32) for s in ((m, k), (k, n))]
    a, b = (np.asfortranarray(x) if o == "T" else x for x, o in zip(sides, layouts, strict=True))
    want, got = np.empty((m, n), np.float32), np.empty((m, n), np.float32)
    whole, kernel = compiled("float", bits)
    call(whole, kernel, want, a, b)
    path = path_of("float", target(bits), (m, n, k), (1, 1), (1, b.strides[1] // 4))
    named = MatmulKernel("matmul", "float", "float", kernel.workspace_bytes, 0)
    for chosen in (path, "any"):
        got[...] = np.nan
        call(library("float", target(bits), chosen), named, got, a, b)
        assert got.tobytes() == want.tobytes(), chosen


def test_a_program_loads_no_code_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "_libraries", {})
    paths = ("tile", "lines", "blocks")
    codes = [libraries.Code(("matmul", "i8", path), "matmul") for path in paths]
    found = libraries.locate_all(codes, host())
    assert [path for _, _, path in libraries._libraries] == ["any"]
    assert len(set(found.values())) == 1


def test_the_wider_code_is_loaded_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "_libraries", {})
    codes = [libraries.Code(("matmul", "i8", path), "matmul") for path in ("tile", "blocks")]
    libraries.locate_all(codes, host())
    assert [path for _, _, path in libraries._libraries] == ["blocks"]
