"""What machine code depends on beside its own text: our emitters, LLVM, the interpreter.

Sources are read, not asked for the time of their last change: that takes two milliseconds longer
and proves something.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator, Sequence
from importlib.machinery import EXTENSION_SUFFIXES

import llvmlite
import llvmlite.binding as llvm
import numpy as np

from symgraph import op

__all__ = ["fingerprint", "program_fingerprint"]

ROOT = os.path.dirname(os.path.abspath(op.__file__))

#: Below the package: modules whose text decides what is emitted for a kernel.
SOURCES = ("op.py", "sizes.py", "types.py", "ops", os.path.join("backends", "llvm"))


def source_files(root: str) -> list[str]:
    """The files of ``SOURCES`` below ``root``, in a fixed order."""
    found = []
    for name in SOURCES:
        path = os.path.join(root, name)
        if name.endswith(".py"):
            found.append(path)
        else:
            found += python_files(path)
    return sorted(found)


def python_files(folder: str) -> Iterator[str]:
    """Every source below a folder; none where there is no folder."""
    if not os.path.isdir(folder):
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                yield entry.path
            elif entry.name != "__pycache__" and entry.is_dir():
                yield from python_files(entry.path)


def other_files(root: str) -> list[str]:
    """All other sources below ``root``: they decide which kernels a program calls."""
    return sorted(set(python_files(root)).difference(source_files(root)))


def sources_digest(root: str, files: Sequence[str] | None = None) -> str:
    """A digest of the names and texts of ``files``, those of ``SOURCES`` unless they are given.

    Raises OSError if one cannot be read.
    """
    digest = hashlib.blake2b(digest_size=20)
    for path in source_files(root) if files is None else files:
        with open(path, "rb", buffering=0) as file:
            text = file.read()
        digest.update(f"{path[len(root) :]} {len(text)}\n".encode())
        digest.update(text)
    return digest.hexdigest()


@functools.cache
def fingerprint() -> str:
    """Our sources and the versions of all that takes part; empty if the sources cannot be read
    (then nothing may be kept on disk)."""
    try:
        ours = sources_digest(ROOT)
    except OSError:
        return ""
    versions = (
        llvmlite.__version__,
        llvm.llvm_version_info,
        llvm.get_process_triple(),
        EXTENSION_SUFFIXES[0],  # names the interpreter's ABI
        np.__version__,
    )
    return f"{ours} {versions}"


@functools.cache
def program_fingerprint() -> str:
    """The same with all our sources: what a whole program depends on beside its graph."""
    kernels = fingerprint()
    try:
        return f"{kernels} {sources_digest(ROOT, other_files(ROOT))}" if kernels else ""
    except OSError:
        return ""
