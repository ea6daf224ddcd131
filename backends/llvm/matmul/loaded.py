"""The plain product of each scalar, compiled once for the whole process."""

from __future__ import annotations

import functools

from ..builder import Module
from ..jit import Library, Target, load
from .driver import emit_matmul

__all__ = ["library"]


@functools.cache
def library(scalar: str, target: Target) -> Library:
    """Machine code of the product without epilogue; its function is ``matmul``.

    The text is written as it should run: LLVM's passes would double the time and gain nothing.
    """
    module = Module()
    emit_matmul(module, "matmul", scalar, target)
    return load(str(module), target, optimise=False)
