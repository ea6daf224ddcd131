"""Compiled kernels for every vector width of this machine, and operands in awkward layouts."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from symgraph.backends.llvm.builder import Module
from symgraph.backends.llvm.jit import Library, Target, host, load
from symgraph.backends.llvm.matmul import MatmulKernel, emit_matmul

Array: TypeAlias = NDArray[Any]
LAYOUTS = ("rows", "columns", "strided", "strided columns", "reversed", "mirrored")


@functools.cache
def target_of(bits: int) -> Target:
    """The host with its vectors narrowed to ``bits``, or to what it has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYMGRAPH_VECTOR_BITS", str(bits))
        return host.__wrapped__()


WIDTHS = [bits for bits in (128, 256, 512) if target_of(bits).vector_bits == bits]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that ask for ``bits`` at every width, and for ``layout`` in every layout."""
    for name, values in (("bits", WIDTHS), ("layout", LAYOUTS)):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, values)


@functools.cache
def _compiled(scalar: str, bits: int) -> tuple[Library, MatmulKernel]:
    module = Module()
    kernel = emit_matmul(module, "product", scalar, target_of(bits))
    return load(str(module), target_of(bits), optimise=False), kernel


@pytest.fixture
def compiled() -> Callable[[str, int], tuple[Library, MatmulKernel]]:
    """``compiled(scalar, bits)``: the library and the plain kernel, made once."""
    return _compiled


@pytest.fixture
def target() -> Callable[[int], Target]:
    """``target(bits)``: the host at that vector width."""
    return target_of


class Opened:
    """The functions of a module, also its internal ones, callable with addresses and integers."""

    def __init__(self, module: Module, bits: int) -> None:
        self.library = load(str(module).replace("define internal", "define"), target_of(bits))

    def __call__(self, name: str, *args: Array | int, returns: Any = None) -> Any:
        values = [x if isinstance(x, int) else x.ctypes.data for x in args]
        kinds = [ctypes.c_int64] * len(values)
        return ctypes.CFUNCTYPE(returns, *kinds)(self.library.address(name))(*values)


@pytest.fixture
def opened() -> Callable[[Module, int], Opened]:
    """``opened(module, bits)(name, *args)`` compiles the module and calls one of its functions."""
    return Opened


def _laid_out(values: Array, layout: str, shift: int, filler: Any) -> tuple[Array, Array]:
    rows, cols = values.shape
    sizes = {
        "rows": (rows, cols + 5),
        "columns": (cols, rows + 3),
        "strided": (2 * rows, 3 * cols),
        "strided columns": (3 * cols, 2 * rows),
        "reversed": (rows, cols),
        "mirrored": (rows, cols + 1),
    }
    height, width = sizes[layout]
    memory = np.full(64 + shift + height * width + 64, filler, values.dtype)
    whole = memory[64 + shift : 64 + shift + height * width].reshape(height, width)
    views = {
        "rows": whole[:, :cols],
        "columns": whole[:, :rows].T,
        "strided": whole[::2, ::3],
        "strided columns": whole[::3, ::2].T,
        "reversed": whole[::-1, ::-1],
        "mirrored": whole[:, :cols][:, ::-1],
    }
    view = views[layout]
    view[...] = values
    return view, memory


@pytest.fixture
def laid_out() -> Callable[[Array, str, int, Any], tuple[Array, Array]]:
    """``laid_out(values, layout, shift, filler)``: a view holding the values, and all its memory.

    The memory around and between the elements holds ``filler``; ``shift`` elements spoil the
    alignment.
    """
    return _laid_out
