"""Object code of what a process needs, from disk where it is there, and loaded."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from symgraph.backends.llvm import jit
from symgraph.backends.llvm.builder import Module
from symgraph.backends.llvm.fingerprint import fingerprint
from symgraph.backends.llvm.jit import Library, Target
from symgraph.backends.llvm.object_cache import digest_of, open_cache

__all__ = ["Loaded", "Part", "cache_state", "load_parts", "precompiled"]

OWN = "#"  # in a key: code of a user's, named by a number of this process only


@dataclass(frozen=True, slots=True)
class Part:
    """Code to be had: ``key`` says all it depends on beside our sources and the target, ``names``
    are the functions it defines, ``text`` writes its LLVM IR. ``level``: see `jit`."""

    key: str
    names: tuple[str, ...]
    text: Callable[[], str]
    level: int = jit.OPTIMISED


@dataclass(frozen=True, slots=True)
class Loaded:
    """The library of some parts, the bytes of object code of each, and how many came from disk."""

    library: Library
    sizes: tuple[int, ...]
    from_disk: int


@dataclass(frozen=True, slots=True)
class _Object:
    part: Part
    digest: str
    code: bytes
    from_disk: bool


def cache_state() -> str:
    """The folder of the cache on disk, or why there is none."""
    cache, why = open_cache()
    if cache is None:
        return why
    return cache.state if fingerprint() else "off: the sources of symgraph cannot be read"


def _digest(part: Part, target: Target) -> str:
    """The name of a part's entry."""
    key = part.text() if OWN in part.key else part.key
    return digest_of("\n".join((fingerprint(), repr(target), *part.names, str(part.level), key)))


def _compiled(part: Part, target: Target, digest: str) -> _Object:
    # written as it should run: LLVM's passes double the time and gain nothing (see decisions)
    code = jit.object_code(part.text(), target, level=part.level)
    cache, _ = open_cache()
    if cache is not None and digest:
        cache.store(digest, code)
    return _Object(part, digest, code, False)


def _found(part: Part, target: Target) -> _Object:
    cache, _ = open_cache()
    if cache is None or not fingerprint():
        return _compiled(part, target, "")
    digest = _digest(part, target)
    code = cache.fetch(digest)
    if code is None:
        return _compiled(part, target, digest)
    return _Object(part, digest, code, True)


def load_parts(parts: Sequence[Part], target: Target) -> Loaded:
    """All parts as one library; what is not on disk is compiled and left there."""
    objects = [_found(p, target) for p in parts]
    names = [n for p in parts for n in p.names]
    try:
        library = jit.link([o.code for o in objects], names)
    except RuntimeError:
        if not any(o.from_disk for o in objects):
            raise
        # sound files that do not load here: made anew, and so are their entries
        objects = [_compiled(o.part, target, o.digest) if o.from_disk else o for o in objects]
        library = jit.link([o.code for o in objects], names)
    sizes = tuple(len(o.code) for o in objects)
    return Loaded(library, sizes, sum(o.from_disk for o in objects))


def precompiled(
    key: str,
    names: tuple[str, ...],
    module: Callable[[], Module],
    target: Target,
    plain: Collection[str] = (),
) -> Library:
    """The library of the functions ``names`` (see `Part`).

    The functions ``plain`` of the module do their work elsewhere or seldom; they are compiled
    quickly.
    """
    if not plain:
        return load_parts([Part(key, names, lambda: str(module()))], target).library
    halves = functools.cache(lambda: module().split(plain))
    hot = Part(key, names, lambda: halves()[0])
    rest = Part(key, (), lambda: halves()[1], jit.PLAIN)
    return load_parts([hot, rest], target).library
