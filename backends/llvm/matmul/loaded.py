"""The plain product of each scalar, loaded once for the whole process."""

from __future__ import annotations

import functools
import zlib

from ..builder import Module
from ..jit import Library, Target, publish
from ..objects import precompiled
from .driver import emit_matmul
from .finish import outside

__all__ = ["fused_symbol", "library"]


@functools.cache
def library(scalar: str, target: Target) -> Library:
    """Machine code of the product; ``matmul`` has no epilogue, ``matmul.fused`` calls one."""

    def text() -> str:
        module = Module()
        emit_matmul(module, "matmul", scalar, target)
        emit_matmul(module, "matmul.fused", scalar, target, epilogue=outside, extra_args=1)
        return str(module)

    return precompiled(f"matmul {scalar}", ("matmul", "matmul.fused"), text, target)


@functools.cache
def fused_symbol(scalar: str, target: Target) -> str:
    """The name by which emitted code calls ``matmul.fused`` of the loaded library."""
    number = zlib.crc32(f"{target.cpu} {target.features} {target.vector_bits}".encode())
    name = f"symgraph.matmul.{scalar}.{number:08x}"
    publish(name, library(scalar, target).address("matmul.fused"))
    return name
