"""Kernels that are already compiled, shared by all functions of the process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from symgraph.backends.llvm import jit
from symgraph.backends.llvm.builder import Module
from symgraph.backends.llvm.jit import Library, Target
from symgraph.backends.llvm.kernel import Call

__all__ = ["Kernel", "compile_kernels", "emit_module"]

#: Each library holds about a megabyte of LLVM's own; functions keep theirs alive themselves.
CAPACITY = 256


@dataclass(frozen=True, slots=True)
class Kernel:
    """Machine code of one kernel and the library that owns it."""

    address: int
    library: Library | None


_known: OrderedDict[tuple[str, Target], Kernel] = OrderedDict()
_lock = threading.Lock()


def emit_module(calls: Sequence[Call], target: Target) -> tuple[Module, dict[str, str]]:
    """One module with the distinct kernels of ``calls``; returns it and each key's function
    name."""
    module, names = Module(), dict[str, str]()
    for call in calls:
        if call.emit is not None and call.key not in names:
            names[call.key] = f"kernel{len(names)}"
            call.emit(module, names[call.key], target)
    return module, names


def compile_kernels(calls: Sequence[Call], target: Target) -> tuple[list[Kernel], int]:
    """The machine code of every call, and how many kernels had to be compiled."""
    with _lock:
        fresh = [c for c in calls if c.emit is not None and (c.key, target) not in _known]
        module, names = emit_module(fresh, target)
        if names:
            # written as it should run: LLVM's passes double the time and gain nothing (see
            # decisions)
            library = jit.load(str(module), target, optimise=False)
            for key, name in names.items():
                _known[key, target] = Kernel(library.address(name), library)
        out = []
        for call in calls:
            if call.emit is None:
                out.append(Kernel(call.address, None))
            else:
                _known.move_to_end((call.key, target))
                out.append(_known[call.key, target])
        while len(_known) > CAPACITY:
            _known.popitem(last=False)
        return out, len(names)
