"""Graphs that stabilising leaves as they are, kept on disk for other processes.

Loading all rules and trying them takes longer than all else that a known program needs. An entry
says one thing: no stabilising rule fired on this graph (`canonical_bytes`) under these sources.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from symgraph.backends.llvm.object_cache import digest_of, open_stable
from symgraph.backends.llvm.sources import emitting, others
from symgraph.canonical import canonical_bytes
from symgraph.graph import topological
from symgraph.tensor import Tensor

__all__ = ["digest_of_graph", "look_up"]

MARK = b"nothing to stabilise"


def look_up(outputs: Sequence[Tensor]) -> tuple[bool, Callable[[], object]] | None:
    """Whether a graph is known to have nothing to stabilise, and what tells other processes so.

    None where nothing is kept.
    """
    cache, digest = open_stable(), digest_of_graph(outputs)
    if cache is None or not digest:
        return None
    return cache.fetch(digest) == MARK, functools.partial(cache.store, digest, MARK)


def digest_of_graph(outputs: Sequence[Tensor]) -> str:
    """The name of a graph's entry; empty if it has no canonical form or our sources none."""
    ours, more = emitting(), others()
    whole = canonical_bytes(topological(outputs), outputs, (), ()) if ours and more else None
    if whole is None:
        return ""
    graph = hashlib.blake2b(whole, digest_size=20).hexdigest()
    return digest_of(f"stable {np.__version__} {ours} {more} {graph}")
