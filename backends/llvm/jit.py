"""From LLVM IR text to loaded machine code: target, optimisation pipeline, execution engine."""

from __future__ import annotations

import functools
import os
import threading
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm

__all__ = ["Library", "Target", "host", "load"]

_lock = threading.RLock()


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
    bits = min(widest, int(os.environ.get("SYMGRAPH_VECTOR_BITS", widest)))
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
    return Target(llvm.get_host_cpu_name() if bits == widest else "x86-64", features, bits)


class Library:
    """Loaded machine code; keeps the engine alive, and is kept alive by whoever calls into it."""

    __slots__ = ("_engine", "_machine", "assembly", "ir")

    def __init__(self, engine: Any, machine: Any, ir: str, assembly: str) -> None:
        self._engine, self._machine, self.ir, self.assembly = engine, machine, ir, assembly

    def address(self, name: str) -> int:
        """The address of an emitted function."""
        found = int(self._engine.get_function_address(name))
        if not found:
            raise KeyError(f"no function {name!r} in this library")
        return found


def machine(target: Target) -> Any:
    """A fresh LLVM target machine for ``target``."""
    triple = llvm.Target.from_triple(llvm.get_process_triple())
    return triple.create_target_machine(
        cpu=target.cpu, features=target.features, opt=2, reloc="pic", codemodel="small", jit=True
    )


def load(
    ir: str, target: Target | None = None, *, optimise: bool = True, keep_assembly: bool = False
) -> Library:
    """Compile LLVM IR text and load it into this process. Each compilation has its own LLVM
    context."""
    with _lock:
        wanted = target or host()
        context = llvm.create_context()
        module = llvm.parse_assembly(ir, context)
        module.triple = llvm.get_process_triple()
        engine_machine = machine(wanted)
        module.data_layout = str(engine_machine.target_data)
        if optimise:
            options = llvm.create_pipeline_tuning_options(speed_level=1)
            options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
            builder = llvm.create_pass_builder(engine_machine, options)
            builder.getModulePassManager().run(module, builder)
        assembly = engine_machine.emit_assembly(module) if keep_assembly else ""
        engine = llvm.create_mcjit_compiler(module, engine_machine)
        engine.finalize_object()
        return Library(engine, engine_machine, ir, assembly)
