"""Kernels that are already compiled: shared by all functions of the process, and kept on disk."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from symgraph.backends.llvm.builder import Module
from symgraph.backends.llvm.jit import Library, Target
from symgraph.backends.llvm.kernel import Call
from symgraph.backends.llvm.object_cache import digest_of
from symgraph.backends.llvm.objects import Part, load_parts

__all__ = ["Compiled", "Kernel", "compile_kernels", "emit_module"]

#: Kernels kept though no function may need them any more; each takes some 30 kB of memory.
CAPACITY = 1024


@dataclass(frozen=True, slots=True)
class Kernel:
    """Machine code of one kernel, its size in bytes and the library that owns it."""

    address: int
    library: Library | None
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Compiled:
    """The kernels of a program, and where the distinct ones came from."""

    kernels: list[Kernel]
    compiled: int
    from_disk: int
    from_memory: int


_known: OrderedDict[tuple[str, Target], Kernel] = OrderedDict()
_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


def emit_module(calls: Sequence[Call], target: Target) -> tuple[Module, dict[str, str]]:
    """One module with the distinct kernels of ``calls``; returns it and each key's function
    name."""
    module, names = Module(target.features), dict[str, str]()
    for call in calls:
        if call.emit is not None and call.key not in names:
            names[call.key] = f"kernel{len(names)}"
            call.emit(module, names[call.key], target)
    return module, names


def _part(call: Call, target: Target) -> Part:
    name = f"kernel_{digest_of(call.key)}"

    def text() -> str:
        module = Module(target.features)
        assert call.emit is not None
        call.emit(module, name, target)
        return str(module)

    return Part(f"kernel\n{call.key}", (name,), text)


def compile_kernels(calls: Sequence[Call], target: Target) -> Compiled:
    """The machine code of every call, compiled once for each distinct key."""
    with _lock:
        wanted = {c.key: c for c in calls if c.emit is not None}
        fresh = {k: _part(c, target) for k, c in wanted.items() if (k, target) not in _known}
        from_disk = 0
        if fresh:
            loaded = load_parts(list(fresh.values()), target)
            from_disk, library = loaded.from_disk, loaded.library
            for (key, part), size in zip(fresh.items(), loaded.sizes, strict=True):
                _known[key, target] = Kernel(library.address(*part.names), library, size)
        for key in wanted:
            _known.move_to_end((key, target))
        kernels = [
            Kernel(c.address, None) if c.emit is None else _known[c.key, target] for c in calls
        ]
        while len(_known) > CAPACITY:
            _known.popitem(last=False)
        return Compiled(kernels, len(fresh) - from_disk, from_disk, len(wanted) - len(fresh))
