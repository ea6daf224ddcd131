"""The package's own sources, which decide what it makes: their digests tell two versions apart.

Sources are read, not asked for the time of their last change: that takes two milliseconds longer
and proves something.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator, Sequence

from symgraph import op

__all__ = ["emitting", "others", "source_files", "sources_digest"]

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
def emitting() -> str:
    """The digest of what decides the text of kernels; empty if it cannot be read."""
    try:
        return sources_digest(ROOT)
    except OSError:
        return ""


@functools.cache
def others() -> str:
    """The digest of all other sources; empty if they cannot be read."""
    try:
        return sources_digest(ROOT, other_files(ROOT))
    except OSError:
        return ""
