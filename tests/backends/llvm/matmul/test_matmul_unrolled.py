"""Batches of tiny products: the bits of the general product, in every layout, and no other memory.

The oracle for bits is the general kernel, which the other tests hold against NumPy.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from symgraph.backends.llvm.builder import Module
from symgraph.backends.llvm.jit import Library, Target, load
from symgraph.backends.llvm.matmul import MatmulKernel, argument_table, call
from symgraph.backends.llvm.matmul.finish import SIGNATURE
from symgraph.backends.llvm.matmul.unrolled import Form, emit_unrolled, unrolled_form
from symgraph.sizes import symbol

Array = NDArray[Any]
Compiled = Callable[[str, int], tuple[Library, MatmulKernel]]

TYPES = {"float": "f4", "double": "f8", "i1": "?", "i16": "i2", "i64": "i8"}
SIZES = [(2, 2, 2), (8, 2, 8), (5, 2, 1), (2, 3, 16), (4, 4, 4), (3, 7, 5), (8, 8, 8), (16, 15, 9)]
LAYOUTS = ["rows", "columns", "apart", "reversed"]


def laid_out(values: Array, layout: str) -> Array:
    """The values, in an array of threes."""
    *lead, rows, cols = values.shape
    sizes = {"columns": (cols, rows), "apart": (2 * rows, 3 * cols)}
    memory = np.full((*lead, *sizes.get(layout, (rows, cols))), 3).astype(values.dtype)
    views = {
        "rows": memory,
        "columns": memory.swapaxes(-1, -2),
        "apart": memory[..., ::2, ::3],
        "reversed": memory[..., ::-1, ::-1],
    }
    views[layout][...] = values
    return views[layout]


def operands(scalar: str, lead: tuple[int, ...], m: int, n: int, k: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(23)
    found = (rng.standard_normal((*lead, *s)) * 9 for s in ((m, k), (k, n)))
    left, right = (x > 9 if scalar == "i1" else x.astype(TYPES[scalar]) for x in found)
    return left, right


def unrolled(scalar: str, chosen: Target, a: Array, b: Array, name: str) -> tuple[Library, Any]:
    """The code for operands like these."""
    left, right = ([s // x.itemsize for s in x.strides[-2:]] for x in (a, b))
    form = Form(a.shape[-2], b.shape[-1], a.shape[-1], *left, *right)
    assert Form.parsed(form.path()) == form
    module = Module()
    emit_unrolled(module, scalar, chosen, form)
    kernel = MatmulKernel(name, scalar, scalar, 0, int(name != "matmul"))
    return load(str(module), chosen, optimise=False), kernel


@pytest.mark.parametrize("scalar", TYPES)
@pytest.mark.parametrize("left", LAYOUTS)
@pytest.mark.parametrize("right", LAYOUTS)
def test_bits_are_those_of_the_general_product(
    scalar: str,
    left: str,
    right: str,
    bits: int,
    compiled: Compiled,
    target: Callable[[int], Target],
) -> None:
    if scalar not in ("float", "double") and left != right:
        return
    for m, n, k in SIZES:
        if right != "rows" and m * k > 64:
            continue
        plain = operands(scalar, (5,), m, n, k)
        a, b = (laid_out(x, o) for x, o in zip(plain, (left, right), strict=True))
        want = np.zeros((5, m, n), a.dtype)
        call(*compiled(scalar, bits), want, *plain)
        wide = np.full((5, m, n + 1), 3).astype(a.dtype)
        call(*unrolled(scalar, target(bits), a, b, "matmul"), wide[..., :n], a, b)
        assert wide[..., :n].tobytes() == want.tobytes(), (m, n, k)
        assert (wide[..., n] == wide.dtype.type(3)).all(), (m, n, k)


BATCHES = [((7,), (7,)), ((2, 3), (1, 3)), ((2, 1, 3), (2, 4, 1)), ((5,), ()), ((0, 2), (1,))]


@pytest.mark.parametrize(("left", "right"), BATCHES)
def test_batches_and_their_ranges(
    left: tuple[int, ...], right: tuple[int, ...], target: Callable[[int], Target]
) -> None:
    rng = np.random.default_rng(29)
    a, b = rng.standard_normal((*left, 3, 4)), rng.standard_normal((*right, 4, 2))
    want = a @ b
    c = np.full(want.shape, np.nan)
    library, kernel = unrolled("double", target(512), a, b, "matmul")
    table = argument_table(kernel, c, a, b, np.empty(1))
    run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(
        library.address("matmul")
    )
    count = math.prod(want.shape[:-2])
    flat = c.reshape(count, 3, 2)
    for begin in range(count):
        for end in range(begin, count + 2):
            flat[...] = np.nan
            assert run(table.ctypes.data, begin, end) == 0
            entries = np.arange(count)
            inside = (begin <= entries) & (entries < end)
            np.testing.assert_allclose(flat[inside], want.reshape(flat.shape)[inside], rtol=1e-13)
            assert np.isnan(flat[~inside]).all()


def test_an_epilogue_gets_every_entry_once(target: Callable[[int], Target]) -> None:
    a, b = operands("float", (70, 2), 3, 4, 5)
    library, kernel = unrolled("float", target(512), a, b, "matmul.fused")
    c, seen = np.full((70, 2, 3, 4), np.nan, np.float32), list[int]()

    def doubled(_: int, tile: int, tile_row: int, out: int, *rest: int) -> None:
        assert rest == (4, 1, 3, 4, 0, 0, 0, 1)
        assert (tile, tile_row) == (out, 4)
        entry = (out - c.ctypes.data) // 48
        seen.append(entry)
        c.reshape(140, 3, 4)[entry] *= 2

    kinds = {"ptr": ctypes.c_void_p, "i64": ctypes.c_int64, "i1": ctypes.c_bool}
    callback = ctypes.CFUNCTYPE(None, *(kinds[kind] for kind, _ in SIGNATURE))(doubled)
    call(library, kernel, c, a, b, extra=[ctypes.cast(callback, ctypes.c_void_p).value or 0])
    assert seen == list(range(140))
    np.testing.assert_allclose(c, 2 * (a @ b), rtol=1e-5, atol=1e-3)


def test_only_tiny_products_in_large_batches(target: Callable[[int], Target]) -> None:
    s = symbol("s")

    def found(m: Any, n: Any, k: Any, row: Any = 9, b_col: int = 1, batch: Any = s) -> bool:
        shape, left, right = (m, n, k), (row, 1), (9, b_col)
        return unrolled_form("double", target(512), shape, left, right, batch) is not None

    lanes = target(512).lanes(64)
    assert found(8, 2 * lanes, 8)
    assert found(2, 2, 32, batch=9)
    assert found(16, 16, 64)
    assert not found(9, 2, 8, b_col=2)
    assert not found(2, 2, 2, batch=8)
    others = [(17, 2, 8), (2, 2 * lanes + 1, 2), (1, 2, 2), (2, 1, 2), (2, 2, 65), (2, 2, 0)]
    assert not any(found(*shape) for shape in [*others, (s, 2, 2)])
    assert not found(2, 2, 2, row=s)
