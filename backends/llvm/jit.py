"""From LLVM IR text to object code, and from object code to functions in this process.

Several threads may compile at once, each with an LLVM context and a target machine of its own.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
from llvmlite.binding import ffi

from symgraph.errors import UsageError

__all__ = [
    "OPTIMISED", "PLAIN", "Library", "Target", "assembly", "host", "link", "load", "object_code",
    "publish",
]  # fmt: skip

#: Levels of LLVM's code generation. The plain one takes a fifth of the time, for code that runs a
#: few times in a call; more than the other gains nothing.
PLAIN, OPTIMISED = 0, 2

#: By the width of vectors, the processors whose models LLVM schedules instructions by. A closer
#: model takes up to a tenth more time, most of it for a second scheduler, and gains nothing.
MODELS = {128: "x86-64", 256: "x86-64-v3", 512: "x86-64-v4"}

_lock = threading.RLock()  # whoever links, or begins or ends to compile
_ended = threading.Condition(_lock)
_compiling: list[int] = []  # the threads that are compiling


@contextmanager
def compiling() -> Iterator[None]:
    """Meanwhile no other thread forks: its child would wait for locks that this one holds."""
    own = threading.get_ident()
    before = _compiling.count(own)
    try:
        with _lock:
            _compiling.append(own)
        yield
    finally:
        with _ended:
            if _compiling.count(own) > before:  # else an interrupt came first
                _compiling.remove(own)
            _ended.notify_all()


def wait_for_others() -> None:
    """Take the lock once no other thread compiles."""
    _lock.acquire()
    while any(thread != threading.get_ident() for thread in _compiling):
        _ended.wait()


@functools.cache
def llvmlite_lock() -> AbstractContextManager[Any]:
    """The lock that llvmlite holds around each of its calls; none where it is not as we know it."""
    found = getattr(ffi.lib, "_lock", None)
    return found if isinstance(found, AbstractContextManager) else nullcontext()


def before_fork() -> None:
    """Nobody is in LLVM while the process forks, others who use llvmlite neither."""
    wait_for_others()
    llvmlite_lock().__enter__()


def after_fork() -> None:
    llvmlite_lock().__exit__(None, None, None)
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=before_fork, after_in_parent=after_fork, after_in_child=after_fork)


@dataclass(frozen=True, slots=True)
class Target:
    """The CPU that code is emitted for: its name, its features and the width of its vectors in
    bits."""

    cpu: str
    features: str
    vector_bits: int

    def lanes(self, bits: int) -> int:
        """How many scalars of ``bits`` bits one vector register holds."""
        return max(1, self.vector_bits // bits)

    @property
    def registers(self) -> int:
        """Architectural vector registers."""
        return 32 if self.vector_bits == 512 else 16


@functools.cache
def host() -> Target:
    """The machine we run on; ``SYMGRAPH_VECTOR_BITS`` (128, 256 or 512) narrows its vectors."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    flags = llvm.get_host_cpu_features()
    widest = 512 if flags.get("avx512f") else 256 if flags.get("avx2") and flags.get("fma") else 128
    asked = os.environ.get("SYMGRAPH_VECTOR_BITS", str(widest))
    if asked not in ("128", "256", "512"):
        raise UsageError(f"SYMGRAPH_VECTOR_BITS is {asked!r}; 128, 256 or 512 is wanted")
    bits = min(widest, int(asked))
    features = flags.flatten()
    if bits == 512:
        features += ",-prefer-256-bit"
    elif bits == 256:
        features = ",".join(f for f in features.split(",") if not f[1:].startswith("avx512"))
    elif widest > 128:
        features = ",".join(
            f
            for f in features.split(",")
            if not f[1:].startswith(("avx", "fma", "f16c", "vaes", "vpclmul"))
        )
    modelled = llvm.get_process_triple().startswith("x86_64")
    return Target(MODELS[bits] if modelled else llvm.get_host_cpu_name(), features, bits)


def machine(target: Target, level: int = OPTIMISED) -> Any:
    """A fresh LLVM target machine for ``target`` that generates code at ``level``."""
    triple = llvm.Target.from_triple(llvm.get_process_triple())
    return triple.create_target_machine(
        cpu=target.cpu,
        features=target.features,
        opt=level,
        reloc="pic",
        codemodel="small",
        jit=True,
    )


_idle: dict[tuple[Target, int], list[Any]] = {}


@contextmanager
def borrowed(target: Target, level: int) -> Iterator[Any]:
    """A target machine that no other thread uses; used again, as a new one makes its tables
    anew."""
    idle = _idle.setdefault((target, level), [])
    try:
        emitter = idle.pop()
    except IndexError:
        emitter = machine(target, level)
    try:
        yield emitter
    finally:
        idle.append(emitter)


# ---- text to object code -------------------------------------------------------------------------


@contextmanager
def parsed(
    ir: str, target: Target, optimise: bool, level: int = OPTIMISED
) -> Iterator[tuple[Any, Any]]:
    """The module of ``ir`` and the machine it is for, in an LLVM context of its own.

    ``optimise`` runs LLVM's light pipeline, without vectorising and unrolling.
    """
    with (
        compiling(),
        borrowed(target, level) as emitter,
        llvm.create_context() as context,
        llvm.parse_assembly(ir, context) as module,
    ):
        module.triple = llvm.get_process_triple()
        module.data_layout = str(emitter.target_data)
        if optimise:
            options = llvm.create_pipeline_tuning_options(speed_level=1)
            options.loop_vectorization = options.slp_vectorization = False
            options.loop_unrolling = False
            builder = llvm.create_pass_builder(emitter, options)
            builder.getModulePassManager().run(module, builder)
        yield module, emitter


@functools.cache
def emission() -> Any:
    """LLVM's code generation without the lock that llvmlite holds around each of its calls, so that
    other threads may enter LLVM meanwhile; None where llvmlite is not as we know it."""
    try:
        shared = ffi.lib.LLVMPY_TargetMachineEmitToMemory
        own = ctypes.CDLL(ffi.lib._name).LLVMPY_TargetMachineEmitToMemory
        own.argtypes, own.restype = shared.argtypes, shared.restype
    except (AttributeError, OSError):
        return None
    return own


def object_of(module: Any, emitter: Any) -> bytes:
    """The object file of a module; RuntimeError if LLVM fails."""
    emit = emission()
    if emit is None:
        return bytes(emitter.emit_object(module))
    with ffi.OutputString() as error:
        buffer = emit(emitter, module, 1, error)
        if not buffer:
            raise RuntimeError(str(error))
    try:
        start, size = ffi.lib.LLVMPY_GetBufferStart(buffer), ffi.lib.LLVMPY_GetBufferSize(buffer)
        return ctypes.string_at(start, size)
    finally:
        ffi.lib.LLVMPY_DisposeMemoryBuffer(buffer)


def object_code(
    ir: str, target: Target, *, optimise: bool = False, level: int = OPTIMISED
) -> bytes:
    """The object file of LLVM IR text, its code generated at ``level``.

    Raises RuntimeError for text that LLVM refuses.
    """
    with parsed(ir, target, optimise, level) as (module, emitter):
        return object_of(module, emitter)


def assembly(ir: str, target: Target | None = None) -> str:
    """LLVM IR text as assembly for this machine, as it would be loaded."""
    with parsed(ir, target or host(), False) as (module, emitter):
        return str(emitter.emit_assembly(module))


# ---- object code to functions --------------------------------------------------------------------


class Linker:
    """Makes up to ``LIBRARIES_PER_LINKER`` libraries; all of them must be gone before it goes."""

    __slots__ = ("dropped", "engine", "made")

    def __init__(self) -> None:
        # the old way of loading on Windows: the new one is young there
        modern = sys.platform != "win32"
        self.engine = llvm.create_lljit_compiler(
            machine(host()), use_jit_link=modern, suppress_errors=True
        )
        self.made = 0
        self.dropped: list[None] = []  # one entry for each; appending is safe in a finaliser


class Library:
    """Loaded machine code, unloaded with this object: whoever calls into it keeps it alive."""

    __slots__ = ("_addresses", "_linker", "_tracker")

    def __init__(self, linker: Linker, tracker: Any, addresses: dict[str, int]) -> None:
        self._linker, self._tracker, self._addresses = linker, tracker, addresses

    def __del__(self) -> None:
        # a fork while LLVM unloads would leave the child with a lock that nobody opens; but no
        # waiting without end, for a thread that is no more
        lock = _lock
        held = lock is not None and lock.acquire(timeout=1.0)  # None once the module is taken down
        self._tracker = None  # unloads, before the linker may go
        self._linker.dropped.append(None)
        if held:
            lock.release()

    def address(self, name: str) -> int:
        """The address of an emitted function."""
        found = self._addresses.get(name, 0)
        if not found:
            raise KeyError(f"no function {name!r} in this library")
        return found


LIBRARIES_PER_LINKER = 128  # a linker keeps 10 kB of each, and walks them all to make one more
_linkers: list[Linker] = []  # the last is in use; the others wait for their libraries to go
_numbers = itertools.count()


def current_linker() -> Linker:
    """The linker of the next library; those whose libraries are all gone are freed."""
    _linkers[:-1] = [k for k in _linkers[:-1] if len(k.dropped) < k.made]
    if not _linkers or _linkers[-1].made >= LIBRARIES_PER_LINKER:
        _linkers.append(Linker())
    return _linkers[-1]


_published: dict[str, int] = {}


def publish(name: str, address: int) -> None:
    """Let code that is loaded later call the function at ``address`` by ``name``; it must stay."""
    _published[name] = address


def link(objects: Sequence[bytes], names: Sequence[str]) -> Library:
    """Load object files as one library with the functions ``names``; what they miss is looked up
    among the published functions and in this process.

    Raises RuntimeError if they do not fit together.
    """
    with _lock:
        builder = llvm.JITLibraryBuilder().add_current_process()
        for code in objects:
            builder.add_object_img(code)
        for name in names:
            builder.export_symbol(name)
        for name, address in tuple(_published.items()):
            builder.import_symbol(name, address)
        linker = current_linker()
        tracker = builder.link(linker.engine, f"library{next(_numbers)}")
        linker.made += 1
        del builder  # LLVM is entered for its end, too
        return Library(linker, tracker, {name: int(tracker[name]) for name in names})


def load(ir: str, target: Target | None = None, *, optimise: bool = True) -> Library:
    """Compile LLVM IR text and load it into this process."""
    wanted = target or host()
    with parsed(ir, wanted, optimise) as (module, emitter):
        public = [
            f.name
            for f in module.functions
            if not f.is_declaration and f.linkage.name == "external"
        ]
        code = object_of(module, emitter)
    return link([code], public)
