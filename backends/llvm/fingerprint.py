"""What machine code depends on beside its own text: our emitters, LLVM, the interpreter."""

from __future__ import annotations

import functools
import hashlib
import os
from importlib.machinery import EXTENSION_SUFFIXES

import llvmlite
import llvmlite.binding as llvm
import numpy as np

from symgraph import op

__all__ = ["fingerprint"]

#: Below the package: modules whose text decides what is emitted for a kernel.
SOURCES = ("op.py", "sizes.py", "types.py", "ops", os.path.join("backends", "llvm"))


def source_files(root: str) -> list[str]:
    """The files of ``SOURCES`` below ``root``, in a fixed order."""
    found = []
    for name in SOURCES:
        path = os.path.join(root, name)
        if name.endswith(".py"):
            found.append(path)
        for folder, _, files in os.walk(path):
            found += [os.path.join(folder, f) for f in files if f.endswith(".py")]
    return sorted(found)


def sources_digest(root: str) -> str:
    """A digest of the names and texts of our sources. Raises OSError if one cannot be read."""
    digest = hashlib.blake2b(digest_size=20)
    for path in source_files(root):
        with open(path, "rb", buffering=0) as file:
            text = file.read()
        digest.update(f"{os.path.relpath(path, root)} {len(text)}\n".encode())
        digest.update(text)
    return digest.hexdigest()


@functools.cache
def fingerprint() -> str:
    """Our sources and the versions of all that takes part; empty if the sources cannot be read
    (then nothing may be kept on disk)."""
    try:
        ours = sources_digest(os.path.dirname(os.path.abspath(op.__file__)))
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
