"""What machine code depends on beside its own text: our emitters, LLVM, the interpreter."""

from __future__ import annotations

import functools
from importlib.machinery import EXTENSION_SUFFIXES

import llvmlite
import llvmlite.binding as llvm
import numpy as np

from symgraph.backends.llvm.sources import emitting, others

__all__ = ["fingerprint", "program_fingerprint"]


@functools.cache
def fingerprint() -> str:
    """Our sources and the versions of all that takes part; empty if the sources cannot be read
    (then nothing may be kept on disk)."""
    ours = emitting()
    versions = (
        llvmlite.__version__,
        llvm.llvm_version_info,
        llvm.get_process_triple(),
        EXTENSION_SUFFIXES[0],  # names the interpreter's ABI
        np.__version__,
    )
    return f"{ours} {versions}" if ours else ""


@functools.cache
def program_fingerprint() -> str:
    """The same with all our sources: what a whole program depends on beside its graph."""
    kernels, more = fingerprint(), others()
    return f"{kernels} {more}" if kernels and more else ""
