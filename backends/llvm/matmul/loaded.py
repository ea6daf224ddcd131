"""The product of each scalar, loaded once for the whole process: as much of it as is needed.

Register tiles and sums along vectors are different code, and a product one vector wide needs little
of the former. Where the sizes tell which of them a product takes, only that is compiled; where they
do not, or where more is there already, more.
"""

from __future__ import annotations

import functools
import zlib

from symgraph.sizes import Dim

from ..builder import Module
from ..jit import Library, Target, publish
from ..objects import precompiled
from .driver import PATHS, emit_matmul
from .finish import outside
from .tile import emit_tile, is_tile

__all__ = ["fused_symbol", "library", "path_of"]

ANY = "any"
TILE = "tile"

#: What else can compute the products of a path, if it is there already.
WIDER = {ANY: (ANY,), "lines": (ANY, "lines"), "blocks": (ANY, "blocks")}
WIDER[TILE] = (*WIDER["blocks"], TILE)

#: What runs once for each batch entry or rectangle, and leaves the loops over items to others. (So
#: do ``tiles`` and ``sums``, but small products would be 3 % and 15 % slower.)
ONCE = ("units", "one")

_libraries: dict[tuple[str, Target, str], Library] = {}


def path_of(
    scalar: str,
    target: Target,
    shape: tuple[Dim, Dim, Dim],
    b_col: Dim,
    batch: Dim = 1,
    *,
    fused: bool = False,
) -> str:
    """The path of a product: ``lines``, ``tile`` (`is_tile`), ``blocks``, or ``any``.

    ``shape`` is M, N, K; ``b_col`` is the stride of B from column to column; C is stored by rows.
    ``fused``: with an epilogue. Where M or N is open, so is the path, unless the other is 1.
    """
    m, n, _ = shape
    if any(isinstance(d, int) and d == 1 for d in (m, n)):
        return "lines"
    if not fused and is_tile(scalar, target, shape, b_col, batch):
        return TILE
    return "blocks" if isinstance(m, int) and isinstance(n, int) else ANY


def library(scalar: str, target: Target, path: str = ANY) -> Library:
    """Machine code of the product; ``matmul`` has no epilogue, ``matmul.fused`` calls one (there is
    none for the path ``tile``)."""
    there = [_libraries.get((scalar, target, other)) for other in WIDER[path]]
    found = next((known for known in there if known is not None), None)
    if found is None:
        names: tuple[str, ...] = ("matmul",) if path == TILE else ("matmul", "matmul.fused")
        plain = () if path == TILE else [f"matmul.{scalar}.{name}" for name in ONCE]
        module = functools.partial(_module, scalar, target, path)
        found = precompiled(f"matmul {scalar} {path}", names, module, target, plain)
        found = _libraries.setdefault((scalar, target, path), found)
    return found


def _module(scalar: str, target: Target, path: str) -> Module:
    """The code of a path."""
    made = Module()
    if path == TILE:
        emit_tile(made, scalar, target)
        return made
    paths = PATHS if path == ANY else (path,)
    emit_matmul(made, "matmul", scalar, target, paths=paths)
    emit_matmul(made, "matmul.fused", scalar, target, outside, extra_args=1, paths=paths)
    return made


def fused_symbol(scalar: str, target: Target, path: str = ANY) -> str:
    """The name by which emitted code calls ``matmul.fused`` of the loaded library."""
    number = zlib.crc32(f"{target.cpu} {target.features} {target.vector_bits}".encode())
    name = f"symgraph.matmul.{scalar}.{path}.{number:08x}"
    publish(name, library(scalar, target, path).address("matmul.fused"))
    return name
