"""Object code of what a process needs, from disk where it is there, and loaded.

What is compiled at once is compiled together: one object file for several parts takes LLVM a
quarter less time than one for each. Each part still has an entry of its own on disk, which names
the entry of the object that it is in. So whoever needs some of the parts finds them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symgraph.backends.llvm import jit
from symgraph.backends.llvm.fingerprint import fingerprint
from symgraph.backends.llvm.jit import Library, Target
from symgraph.backends.llvm.object_cache import digest_of, open_cache
from symgraph.backends.llvm.workers import all_of, cores

if TYPE_CHECKING:
    from symgraph.backends.llvm.builder import Module
    from symgraph.backends.llvm.object_cache import ObjectCache

__all__ = ["Loaded", "Part", "cache_state", "load_entries", "load_parts", "precompiled"]

OWN = "#"  # in a key: code of a user's, named by a number of this process only
TOGETHER = 16  # parts of one object at most: who needs one of them loads them all
LARGE = 60_000  # characters of IR, some 40 ms of LLVM's time: as much is worth another thread
WITHIN = b"within "  # begins the entry of a part of a larger object: its entry, the part's bytes


@dataclass(frozen=True, slots=True)
class Part:
    """Code to be had: ``key`` says all it depends on beside our sources and the target, ``names``
    are the functions it defines, ``module`` writes them. ``level``: see `jit`."""

    key: str
    names: tuple[str, ...]
    module: Callable[[], Module]
    level: int = jit.OPTIMISED


@dataclass(frozen=True, slots=True)
class Loaded:
    """The library of some parts, the bytes of object code of each, how many came from disk, and
    the entries there of the objects that they are in (empty where nothing is kept)."""

    library: Library
    sizes: tuple[int, ...]
    from_disk: int
    digests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a part is: the object it is in, the entry of that (empty: none), its own bytes."""

    code: bytes
    entry: str
    size: int
    from_disk: bool


def cache_state() -> str:
    """The folder of the cache on disk, or why there is none."""
    cache, why = open_cache()
    if cache is None:
        return why
    return cache.state if fingerprint() else "off: the sources of symgraph cannot be read"


def _digest(part: Part, target: Target) -> str:
    """The name of a part's entry."""
    key = str(part.module()) if OWN in part.key else part.key
    return digest_of("\n".join((fingerprint(), repr(target), *part.names, str(part.level), key)))


def _fetched(digests: Sequence[str], cache: ObjectCache) -> list[_Place | None]:
    """The parts that are on disk."""
    whole = functools.cache(cache.fetch)  # the same bytes for all parts in it

    def place(digest: str) -> _Place | None:
        found = cache.fetch(digest)
        if found is None or not found.startswith(WITHIN):
            return None if found is None else _Place(found, digest, len(found), True)
        _, entry, size = found.decode("ascii").split(" ")
        code = whole(entry)
        return None if code is None else _Place(code, entry, int(size), True)

    return [place(digest) for digest in digests]


def _groups(parts: Sequence[Part]) -> list[tuple[list[int], Module]]:
    """Parts to be compiled together, by number, with their functions: no more groups than needed,
    but some for every core where there is much to do."""
    modules = [part.module() for part in parts]
    room = max(LARGE, sum(m.size for m in modules) // cores())
    groups: list[tuple[list[int], Module]] = []
    open_: dict[int, tuple[list[int], Module]] = {}
    for k, (part, module) in enumerate(zip(parts, modules, strict=True)):
        group = open_.get(part.level)
        fits = group and len(group[0]) < TOGETHER and group[1].size + module.size // 2 <= room
        if group and fits and group[1].join(module):
            group[0].append(k)
            continue
        open_[part.level] = [k], module
        groups.append(open_[part.level])
    return groups


def _compiled(
    parts: Sequence[Part], digests: Sequence[str], target: Target, cache: ObjectCache | None
) -> list[_Place]:
    """The parts compiled now, and kept on disk."""

    def compile_(members: Sequence[int], module: Module) -> dict[int, _Place]:
        # written as it should run: LLVM's passes double the time and gain nothing (see decisions)
        code = jit.object_code(str(module), target, level=parts[members[0]].level)
        own, entry, size = [digests[k] for k in members], "", len(code) // len(members)
        if cache is not None:
            entry = own[0] if len(own) == 1 else digest_of("\n".join(("together", *own)))
            cache.store(entry, code)
            for digest in own if len(own) > 1 else ():
                cache.store(digest, WITHIN + f"{entry} {size}".encode("ascii"))
        return dict.fromkeys(members, _Place(code, entry, size, False))

    made = all_of([functools.partial(compile_, *group) for group in _groups(parts)])
    places = {k: place for group in made for k, place in group.items()}
    return [places[k] for k in range(len(parts))]


def _linked(places: Sequence[_Place], names: Sequence[str]) -> Library:
    return jit.link(list({id(p.code): p.code for p in places}.values()), names)


def load_parts(parts: Sequence[Part], target: Target) -> Loaded:
    """All parts as one library; what is not on disk is compiled and left there."""
    cache = open_cache()[0] if fingerprint() else None
    digests = [_digest(p, target) if cache is not None else "" for p in parts]
    found = _fetched(digests, cache) if cache is not None else [None] * len(parts)
    names = [n for p in parts for n in p.names]

    def complete(found: Sequence[_Place | None]) -> list[_Place]:
        missing = [k for k, place in enumerate(found) if place is None]
        made = _compiled([parts[k] for k in missing], [digests[k] for k in missing], target, cache)
        fresh = dict(zip(missing, made, strict=True))
        return [place or fresh[k] for k, place in enumerate(found)]

    places = complete(found)
    try:
        library = _linked(places, names)
    except RuntimeError:
        if not any(p.from_disk for p in places):
            raise
        # sound files that do not load here: made anew, and so are their entries
        places = complete([None if p.from_disk else p for p in places])
        library = _linked(places, names)
    sizes, entries = tuple(p.size for p in places), tuple(p.entry for p in places)
    return Loaded(library, sizes, sum(p.from_disk for p in places), entries)


def load_entries(entries: Sequence[str], names: Sequence[str]) -> Loaded | None:
    """The functions ``names`` as one library, each from the entry of its object; None if one is
    not there, or does not load."""
    cache, _ = open_cache()
    found = {} if cache is None else {e: cache.fetch(e) for e in dict.fromkeys(entries)}
    codes = {e: code for e, code in found.items() if code is not None}
    if cache is None or len(codes) < len(found):
        return None
    try:
        library = jit.link(list(codes.values()), names)
    except RuntimeError:
        return None
    sizes = tuple(len(codes[e]) // entries.count(e) for e in entries)
    return Loaded(library, sizes, len(entries), tuple(entries))


def precompiled(
    key: str,
    names: tuple[str, ...],
    module: Callable[[], Module],
    target: Target,
    plain: Collection[str] | Callable[[], Collection[str]] = (),
) -> Library:
    """The library of the functions ``names`` (see `Part`).

    ``plain`` names those of the module's functions that do their work elsewhere or seldom; they
    are compiled quickly.
    """
    if plain == ():
        return load_parts([Part(key, names, module)], target).library
    halves = functools.cache(lambda: module().split(plain() if callable(plain) else plain))
    hot = Part(key, names, lambda: halves()[0])
    rest = Part(key, (), lambda: halves()[1], jit.PLAIN)
    return load_parts([hot, rest], target).library
