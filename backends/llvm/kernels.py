"""Kernels that are already compiled: shared by all functions of the process, and kept on disk."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symgraph.backends.llvm.jit import Library, Target
from symgraph.backends.llvm.libraries import Code, is_loaded, locate_all
from symgraph.backends.llvm.object_cache import digest_of
from symgraph.backends.llvm.objects import Loaded, Part, load_entries, load_parts
from symgraph.backends.llvm.workers import all_of
from symgraph.locks import lock_across_forks

if TYPE_CHECKING:  # kernels are recalled by name without what emits them
    from symgraph.backends.llvm.builder import Module
    from symgraph.backends.llvm.kernel import Call

__all__ = ["Compiled", "Kernel", "Recalled", "compile_kernels", "emit_module", "recall_kernels"]

#: Kernels kept though no function may need them any more; each takes some 30 kB of memory.
CAPACITY = 1024


@dataclass(frozen=True, slots=True)
class Kernel:
    """Machine code of one kernel, its size in bytes and the library that owns it.

    ``name`` is that of its function, ``entry`` of its entry on disk (empty: it has none).
    """

    address: int
    library: Library | None
    bytes: int = 0
    name: str = ""
    entry: str = ""


@dataclass(frozen=True, slots=True)
class Compiled:
    """The kernels of a program, and where the distinct ones came from."""

    kernels: list[Kernel]
    compiled: int
    from_disk: int
    from_memory: int


_known: OrderedDict[tuple[str, Target], Kernel] = OrderedDict()
_lock = lock_across_forks()


def emit_module(calls: Sequence[Call], target: Target) -> tuple[Module, dict[str, str]]:
    """One module with the distinct kernels of ``calls``; returns it and each key's function
    name."""
    from symgraph.backends.llvm.builder import Module

    module, names = Module(target.features), dict[str, str]()
    for call in calls:
        if call.emit is not None and call.key not in names:
            names[call.key] = f"kernel{len(names)}"
            call.emit(module, names[call.key], target)
    return module, names


def _part(call: Call, name: str, target: Target) -> Part:
    def module() -> Module:
        from symgraph.backends.llvm.builder import Module

        made = Module(target.features)
        assert call.emit is not None
        call.emit(made, name, target)
        return made

    return Part(f"kernel\n{call.key}", (name,), module)


def compile_kernels(calls: Sequence[Call], target: Target) -> Compiled:
    """The machine code of every call, compiled once for each distinct key."""
    with _lock:
        by_key = {c.key: c for c in calls if c.emit is not None}
        names = {key: f"kernel_{digest_of(key)}" for key in by_key}
        wanted = {names[key]: c for key, c in by_key.items()}
        fresh = {n: _part(c, n, target) for n, c in wanted.items() if (n, target) not in _known}
        needed = _codes(calls)
        if fresh and not all(is_loaded(code, target) for code in needed):
            loading = functools.partial(_located, needed, target)
            loaded, shared = all_of([functools.partial(_load, fresh, target), loading])
        else:
            loaded, shared = _load(fresh, target), _located(needed, target)
        from_disk = 0 if loaded is None else loaded.from_disk
        if loaded is not None:
            _register(loaded, list(fresh), target)
        kernels = [shared[c.code] if c.code else _known[names[c.key], target] for c in calls]
        _forget(wanted, target)
        return Compiled(kernels, len(fresh) - from_disk, from_disk, len(wanted) - len(fresh))


def _codes(calls: Sequence[Call]) -> list[Code]:
    """The functions of libraries that calls are, or get as an argument."""
    from symgraph.backends.llvm.kernel import CodeParam

    steps = [c.code for c in calls if c.code]
    given = [p.code for c in calls for p in c.params if isinstance(p, CodeParam)]
    return list(dict.fromkeys([*steps, *given]))


def _located(needed: Collection[Code], target: Target) -> dict[Code, Kernel]:
    """Functions of libraries, which are loaded if they are not there."""
    return {code: Kernel(at, None) for code, at in locate_all(needed, target).items()}


def _load(fresh: Mapping[str, Part], target: Target) -> Loaded | None:
    return load_parts(list(fresh.values()), target) if fresh else None


@dataclass(frozen=True, slots=True)
class Recalled:
    """Kernels by name, and how many of them came from disk."""

    kernels: dict[str, Kernel]
    from_disk: int


def recall_kernels(entries: Mapping[str, str], target: Target) -> Recalled | None:
    """The kernels of these names, from memory or from their entries on disk; None if one is
    neither here nor there."""
    with _lock:
        missing = {n: e for n, e in entries.items() if (n, target) not in _known}
        if missing:
            if not all(missing.values()):
                return None
            loaded = load_entries(tuple(missing.values()), tuple(missing))
            if loaded is None:
                return None
            _register(loaded, tuple(missing), target)
        found = {name: _known[name, target] for name in entries}
        _forget(entries, target)
        return Recalled(found, len(missing))


def _register(loaded: Loaded, names: Sequence[str], target: Target) -> None:
    """Keep what has been loaded."""
    for name, size, entry in zip(names, loaded.sizes, loaded.digests, strict=True):
        address = loaded.library.address(name)
        _known[name, target] = Kernel(address, loaded.library, size, name, entry)


def _forget(used: Iterable[str], target: Target) -> None:
    """The kernels just used are kept longest; those used longest ago go."""
    for name in used:
        _known.move_to_end((name, target))
    while len(_known) > CAPACITY:
        _known.popitem(last=False)
