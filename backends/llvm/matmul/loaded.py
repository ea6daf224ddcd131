"""The product of each scalar, loaded once for the whole process: as much of it as is needed.

Register tiles and sums along vectors are different code. Where the sizes tell which of them a
product takes, only that is compiled; where they do not, or where both are there already, both.
"""

from __future__ import annotations

import zlib

from symgraph.sizes import Dim

from ..builder import Module
from ..jit import Library, Target, publish
from ..objects import precompiled
from .driver import PATHS, emit_matmul
from .finish import outside

__all__ = ["fused_symbol", "library", "path_of"]

ANY = "any"

#: What runs once for each batch entry or rectangle, and leaves the loops over items to others. (So
#: do ``tiles`` and ``sums``, but small products would be 3 % and 15 % slower.)
ONCE = ("units", "one")

_libraries: dict[tuple[str, Target, str], Library] = {}


def path_of(m: Dim, n: Dim) -> str:
    """The path of an ``m`` x ``n`` product: ``blocks``, ``lines``, or ``any`` if a size is open."""
    if any(isinstance(d, int) and d == 1 for d in (m, n)):
        return "lines"
    return "blocks" if isinstance(m, int) and isinstance(n, int) else ANY


def library(scalar: str, target: Target, path: str = ANY) -> Library:
    """Machine code of the product; ``matmul`` has no epilogue, ``matmul.fused`` calls one."""
    found = _libraries.get((scalar, target, ANY)) or _libraries.get((scalar, target, path))
    if found is None:
        paths = PATHS if path == ANY else (path,)

        def module() -> Module:
            made = Module()
            emit_matmul(made, "matmul", scalar, target, paths=paths)
            emit_matmul(made, "matmul.fused", scalar, target, outside, extra_args=1, paths=paths)
            return made

        names = ("matmul", "matmul.fused")
        plain = [f"matmul.{scalar}.{name}" for name in ONCE]
        found = precompiled(f"matmul {scalar} {path}", names, module, target, plain)
        found = _libraries.setdefault((scalar, target, path), found)
    return found


def fused_symbol(scalar: str, target: Target, path: str = ANY) -> str:
    """The name by which emitted code calls ``matmul.fused`` of the loaded library."""
    number = zlib.crc32(f"{target.cpu} {target.features} {target.vector_bits}".encode())
    name = f"symgraph.matmul.{scalar}.{path}.{number:08x}"
    publish(name, library(scalar, target, path).address("matmul.fused"))
    return name
