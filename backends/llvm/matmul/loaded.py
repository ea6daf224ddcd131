"""The code of each path of the product; `libraries` loads it, as much of it as is needed.

Register tiles and sums along vectors are different code, and a product one vector wide needs little
of the former. Where the sizes tell which of them a product takes, only that is compiled; where they
do not, or where more is there already, more.
"""

from __future__ import annotations

from symgraph.sizes import Dim

from ..builder import Module
from ..jit import Target
from ..libraries import ANY, TILE, library
from .blocking import blocking
from .driver import PATHS, emit_matmul
from .finish import outside
from .tile import emit_tile, is_tile
from .unrolled import Form, emit_unrolled, unrolled_form

__all__ = ["library", "path_of", "plain_functions", "product_module"]

#: What is compiled without optimisation, which takes a fifth of the time: all but the loops that
#: multiply, copy, or go from tile to tile. A small product takes 10 ns longer.
PLAIN = ("across", "edge", "finish", "gather", "one", "rest", "small", "sums", "tile", "units")


def path_of(
    scalar: str,
    target: Target,
    shape: tuple[Dim, Dim, Dim],
    left: tuple[Dim, ...],
    right: tuple[Dim, ...],
    batch: Dim = 1,
) -> str:
    """The path of a product: ``lines``, ``tile`` (`is_tile`), the path of a `Form` that is written
    out, ``blocks``, or ``any``.

    ``shape`` is M, N, K; ``left`` and ``right`` are the strides of A and B from row to row and from
    column to column; C is stored by rows. Where M or N is open, so is the path, unless the other
    is 1.
    """
    m, n, _ = shape
    if any(isinstance(d, int) and d == 1 for d in (m, n)):
        return "lines"
    if is_tile(scalar, target, shape, right[1], batch):
        return TILE
    if (form := unrolled_form(scalar, target, shape, left, right, batch)) is not None:
        return form.path()
    return "blocks" if isinstance(m, int) and isinstance(n, int) else ANY


def plain_functions(scalar: str, target: Target, path: str) -> list[str]:
    """The functions of a path that are compiled without optimisation."""
    blk = blocking(scalar, target)
    parts = [*PLAIN, f"pack{blk.width}", f"pack{blk.strip_rows}"]
    ends = ["matmul", "matmul.fused", "matmul.fused.outside"]
    return ends + [f"matmul.{scalar}.{part}" for part in parts]


def product_module(scalar: str, target: Target, path: str) -> Module:
    """The code of a path. Raises KeyError for one that does not exist."""
    made = Module()
    if path == TILE:
        emit_tile(made, scalar, target)
        return made
    if (form := Form.parsed(path)) is not None:
        emit_unrolled(made, scalar, target, form)
        return made
    if path not in (ANY, *PATHS):
        raise KeyError(f"matmul: no path {path!r}")
    paths = PATHS if path == ANY else (path,)
    emit_matmul(made, "matmul", scalar, target, paths=paths)
    emit_matmul(made, "matmul.fused", scalar, target, outside, extra_args=1, paths=paths)
    return made
