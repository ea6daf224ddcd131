"""Whole programs that are already compiled: kept in the process, and on disk for others.

A program is found by its graph before any pass (`canonical_bytes`), the passes, the threads and the
target; on disk also by all our sources. What is kept is plain data and the names of kernels, which
have entries of their own and are shared by programs. Whatever is missing or broken counts as
absent: the graph is compiled, and all of it is kept again.
"""

from __future__ import annotations

import functools
import hashlib
import marshal
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from symgraph.backends.llvm.details import Later, Made, build_function, count_slots
from symgraph.backends.llvm.fingerprint import program_fingerprint
from symgraph.backends.llvm.function import CompileStats, LLVMFunction
from symgraph.backends.llvm.jit import Target, host
from symgraph.backends.llvm.kernels import recall_kernels
from symgraph.backends.llvm.object_cache import digest_of, open_programs
from symgraph.backends.llvm.objects import cache_state
from symgraph.backends.llvm.stored import (
    Bound,
    Facts,
    Stored,
    decode,
    encode,
    kernel_entries,
)
from symgraph.canonical import canonical_bytes, shared_variables
from symgraph.collection import paused_collection
from symgraph.functions import SharedVariable
from symgraph.graph import Graph
from symgraph.locks import lock_across_forks
from symgraph.program import Function, Signature
from symgraph.sizes import Size

__all__ = ["Ticket", "bypassed", "forget", "keep", "recall", "ticket_of"]

#: Programs kept in memory, and the bytes of their entries on disk in all.
CAPACITY, BYTES = 256, 64 << 20

_known: OrderedDict[str, tuple[bytes | Stored, int]] = OrderedDict()
_lock = lock_across_forks()


class _State(threading.local):
    bypassed: bool = False


_state = _State()


@contextmanager
def bypassed() -> Iterator[None]:
    """Inside, this thread compiles every graph, and keeps no program."""
    before, _state.bypassed = _state.bypassed, True
    try:
        yield
    finally:
        _state.bypassed = before


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a program is found by, with the variables it will be bound to."""

    key: str
    target: Target
    shared: Sequence[SharedVariable]
    started: float


def forget() -> None:
    """Drop the programs in memory."""
    with _lock:
        _known.clear()


def ticket_of(signature: Signature, original: Graph, passes: str, threads: int) -> Ticket | None:
    """The ticket of a program; ``passes`` tells what the passes do.

    None for one that is not kept: with something of a user's own in it, or too large constants, or
    shared variables whose shapes vary; and where the cache is `bypassed`.
    """
    if _state.bypassed:
        return None
    started = time.perf_counter()
    shared = shared_variables(original.nodes, signature.updated)
    if any(isinstance(d, Size) for s in shared for d in s.shape):
        return None
    whole = canonical_bytes(original.nodes, original.outputs, signature.inputs, signature.updated)
    if whole is None:
        return None
    target = host()
    digest = hashlib.blake2b(f"{passes}\n{threads}\n{target!r}\n".encode())
    digest.update(whole)
    return Ticket(digest.hexdigest(), target, shared, started)


# ---- to the cache --------------------------------------------------------------------------------


def keep(ticket: Ticket, f: Function) -> None:
    """Keep the program of a function just compiled."""
    if not isinstance(f, LLVMFunction):
        return
    made, graph = f._details.made, f.graph
    facts = Facts(
        f.compile_stats.calls,
        f.compile_stats.kernels,
        f.compile_stats.code_bytes,
        len(graph),
        count_slots(graph, made.assembly),
    )
    bound = _bound(f.signature, f.original, ticket.shared)
    assembly = made.assembly
    entry = encode(assembly.program, made.codes, assembly.codes, made.entries, bound, facts)
    if entry is None:
        return
    _remember(ticket.key, entry, len(entry))
    programs, digest = open_programs(), _digest(ticket)
    if programs is not None and digest and all(made.entries.values()):
        programs.store(digest, entry)


def _digest(ticket: Ticket) -> str:
    """The name of the entry on disk; empty if none may be kept."""
    ours = program_fingerprint()
    return digest_of(f"program\n{ours}\n{ticket.key}") if ours else ""


def _remember(key: str, entry: bytes | Stored, size: int) -> None:
    """Keep an entry of ``size`` bytes; those used longest ago go, down to the last."""
    with _lock:
        _known[key] = entry, size
        _known.move_to_end(key)
        while len(_known) > CAPACITY or (
            len(_known) > 1 and sum(n for _, n in _known.values()) > BYTES
        ):
            _known.popitem(last=False)


# ---- from the cache ------------------------------------------------------------------------------


def recall(
    ticket: Ticket,
    signature: Signature,
    original: Graph,
    run_passes: Callable[[], tuple[Graph, Sequence[Any]]],
    options: dict[str, Any],
) -> LLVMFunction | None:
    """The function of a program that is kept; None if it is not, or not wholly.

    ``run_passes`` makes its graph again, should somebody ask for more than calls.
    """
    seconds = {"key": time.perf_counter() - ticket.started}
    start = time.perf_counter()
    with _lock:
        known, size = _known.get(ticket.key, (None, 0))
    source, from_disk = "memory", 0
    if not isinstance(known, Stored):
        if known is None:
            source, known = "disk", _fetch(ticket)
        if known is None:
            return None
        size = len(known)
        loaded = _load(known, ticket.target)
        if loaded is None:
            return None
        known, from_disk = loaded
    _remember(ticket.key, known, size)
    seconds["load"] = time.perf_counter() - start
    start = time.perf_counter()
    facts = known.facts
    program = known.bind(_bound(signature, original, ticket.shared))
    build = functools.partial(_build_again, signature, options)
    later = Later(signature.name, run_passes, build, facts.nodes, known.codes)
    f = build_function(signature, original, program, later, facts.counts, facts.nodes)
    seconds["assemble"] = time.perf_counter() - start
    own = {code for code in known.codes if isinstance(code, str)}  # the others are of libraries
    f.compile_stats = CompileStats(
        facts.calls, facts.kernels, 0, seconds, from_disk, len(own) - from_disk,
        facts.code_bytes, cache_state(), source,
    )  # fmt: skip
    return f


def _build_again(signature: Signature, options: dict[str, Any], graph: Graph) -> Made:
    from symgraph.backends.llvm.compile import build_again  # not needed for calls alone

    with paused_collection():
        return build_again(signature, options, graph)


def _fetch(ticket: Ticket) -> bytes | None:
    programs = open_programs()
    digest = _digest(ticket) if programs is not None else ""
    return programs.fetch(digest) if programs is not None and digest else None


def _load(entry: bytes, target: Target) -> tuple[Stored, int] | None:
    """The program of an entry with its kernels, and how many of these came from disk."""
    try:
        data = marshal.loads(entry)
        found = recall_kernels(kernel_entries(data), target)
        return None if found is None else (decode(data, found.kernels, target), found.from_disk)
    except (ValueError, TypeError, EOFError, LookupError):
        return None  # sound, yet nothing that we wrote


def _bound(signature: Signature, original: Graph, shared: Sequence[SharedVariable]) -> Bound:
    names = [(v.name or f"#{k}", v.dtype) for k, v in enumerate(signature.inputs)]
    values = [n.attrs["value"] if n.op.name == "constant" else None for n in original.nodes]
    cells = [s.cell for s in shared]
    return Bound(tuple(names), cells, values, signature.form, signature.keys)
