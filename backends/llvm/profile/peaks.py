"""What this machine can do at best: multiply-adds and bytes from memory per second, measured."""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass

import numpy as np

from symgraph.backends.llvm.once import once

from ..builder import Builder, Module, Value, kernel_function, vector_type
from ..jit import Target, host
from ..objects import precompiled

__all__ = ["Peaks", "peaks"]

CHAINS = 12  # independent sums: more than a multiply-add takes cycles times how many start at once
STEPS = 40_000
READ_BYTES = 1 << 26  # far beyond the caches
READS = 8
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Peaks:
    """The best of one core: ``flops`` by dtype name and ``bytes`` read from memory, per second."""

    flops: dict[str, float]
    bytes: float


def _multiply_adds(module: Module, scalar: str, target: Target) -> None:
    """A kernel of ``CHAINS`` sums of ``begin`` .. ``end`` multiply-adds; args: where they go."""
    bits = {"float": 32, "double": 64}[scalar]
    kind = vector_type(scalar, target.lanes(bits))
    b = kernel_function(module, f"fma_{scalar}")
    factor = b.load(kind, b.load("ptr", b.args[0]))
    zeros = [Value("zeroinitializer", kind)] * CHAINS
    with b.loop(b.args[1], b.args[2], 1, zeros) as loop:
        loop.next = [b.fma(factor, factor, s) for s in loop.carry]
    _store_all(b, loop.result)


def _reads(module: Module, target: Target) -> None:
    """A kernel that adds up the vectors from ``begin`` to ``end``; args: result, memory."""
    lanes = target.lanes(64)
    kind = vector_type("i64", lanes)
    b = kernel_function(module, "read")
    start = b.load("ptr", b.gep("i64", b.args[0], 1))
    zeros = [Value("zeroinitializer", kind)] * READS
    with b.loop(b.args[1], b.args[2], READS, zeros) as loop:
        places = [b.gep(kind, start, b.add(loop.index, b.i64(k))) for k in range(READS)]
        loop.next = [b.add(s, b.load(kind, p)) for s, p in zip(loop.carry, places, strict=True)]
    _store_all(b, loop.result)


def _store_all(b: Builder, values: list[Value]) -> None:
    place = b.load("ptr", b.args[0])
    for k, value in enumerate(values):
        b.store(value, b.gep(value.type, place, k))
    b.ret(b.i64(0))


def _fastest(address: int, table: list[int], units: int) -> float:
    """Seconds of the fastest of some runs."""
    kernel = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(
        address
    )
    args = (ctypes.c_int64 * len(table))(*table)
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        kernel(ctypes.addressof(args), 0, units)
        best = min(best, time.perf_counter() - start)
    return best


@once
def peaks() -> Peaks:
    """The peaks of this machine, measured once per process (some 50 ms)."""
    target = host()

    def loops() -> Module:
        module = Module()
        for scalar in ("float", "double"):
            _multiply_adds(module, scalar, target)
        _reads(module, target)
        return module

    library = precompiled("profile peaks", ("fma_float", "fma_double", "read"), loops, target)
    room = np.ones(64 * max(CHAINS, READS) + 64, np.uint8)
    place = room.ctypes.data + -room.ctypes.data % 64
    flops = {}
    for scalar, name, bits in (("float", "float32", 32), ("double", "float64", 64)):
        spent = _fastest(library.address(f"fma_{scalar}"), [place], STEPS)
        flops[name] = 2 * CHAINS * STEPS * target.lanes(bits) / spent
    memory = np.ones(READ_BYTES // 8 + 8, np.int64)
    start = memory.ctypes.data + -memory.ctypes.data % 64
    vectors = READ_BYTES // (8 * target.lanes(64))
    spent = _fastest(library.address("read"), [place, start], vectors)
    return Peaks(flops, READ_BYTES / spent)
