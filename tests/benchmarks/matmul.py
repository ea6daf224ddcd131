"""Speed of the matrix-product kernels beside NumPy and JAX and the machine's peak, on one core.

Run as ``python tests/benchmarks/matmul.py [float|double ...]``. The script starts itself again with
one OpenBLAS thread and without the variables that pin OpenBLAS to other kernels than it would
choose. Ours and NumPy's calls alternate; a line gives the processor time of the best of several
rounds as GFLOP/s (GB/s of the operands for a vector, ns per product for a batch), its share of the
peak of fused multiply-adds measured beside it, and the quotients of NumPy's and JAX's time to ours.
JAX runs in the interpreter that ``SYMGRAPH_BENCH_JAX`` names, if any, just before; its processor
time counts all its threads.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgraph.backends.llvm.builder import Builder, Module, Value
from symgraph.backends.llvm.jit import Library, host, load
from symgraph.backends.llvm.matmul import MatmulKernel, argument_table, library, path_of
from symgraph.backends.llvm.matmul.blocking import blocking
from symgraph.backends.llvm.matmul.workspace import largest_workspace

DTYPES: dict[str, np.dtype[Any]] = {"float": np.dtype(np.float32), "double": np.dtype(np.float64)}
ROUNDS, ROUND_SECONDS = 9, 0.02
Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Case:
    """(``batch`` times) M x K by K x N; N in ``layouts`` is stored by rows, T by columns."""

    m: int
    k: int
    n: int
    layouts: str = "NN"
    batch: int = 0

    def __str__(self) -> str:
        head = f"{self.batch} of " if self.batch else ""
        return f"{head}{self.m}x{self.k}x{self.n} {self.layouts}"

    def operands(self, dtype: np.dtype[Any]) -> tuple[Array, Array]:
        rng = np.random.default_rng(0)
        out = []
        for rows, cols, layout in (
            (self.m, self.k, self.layouts[0]),
            (self.k, self.n, self.layouts[1]),
        ):
            size = (cols, rows) if layout == "T" else (rows, cols)
            lead = (self.batch,) if self.batch else ()
            x = rng.standard_normal((*lead, *size)).astype(dtype)
            out.append(x.swapaxes(-1, -2) if layout == "T" else x)
        return out[0], out[1]

    @property
    def is_line(self) -> bool:
        return not self.batch and 1 in (self.m, self.n)


def squares(sizes: Sequence[int], layouts: str = "NN") -> list[Case]:
    return [Case(n, n, n, layouts) for n in sizes]


SECTIONS: dict[str, list[Case]] = {
    "squares": squares((64, 128, 256, 512, 1024, 2048)),
    "other sizes": squares((67, 100, 500, 1000, 2000)),
    "transposed": [c for order in ("NT", "TN", "TT") for c in squares((128, 512, 1024), order)],
    "a network 784-512-512-10": [
        Case(32, 784, 512),
        Case(32, 512, 784, "NT"),
        Case(784, 32, 512, "TN"),
        Case(256, 784, 512),
        Case(256, 512, 784, "NT"),
        Case(784, 256, 512, "TN"),
        Case(256, 512, 10),
    ],
    "tall and skinny": [Case(10000, 16, 16), Case(2048, 64, 64), Case(64, 2048, 64)],
    "vectors": [
        case
        for n in (64, 256, 1024, 4096)
        for case in (Case(n, n, 1), Case(n, n, 1, "TN"), Case(1, n, n))
    ]
    + [Case(1, 1_000_000, 1)],
    "small": [Case(16, 20, 64), Case(16, 64, 64), Case(16, 64, 2), *squares((4, 8, 16, 32))],
    "batched": [Case(n, n, n, batch=500) for n in (2, 4, 8, 16, 32)],
}


def best_pair(ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float]:
    """Processor seconds per call of both, the best of alternating rounds."""
    best, counts = [float("inf"), float("inf")], [1, 1]
    for trial in range(ROUNDS + 1):
        for i, run in enumerate((ours, theirs)):
            start = time.thread_time()
            for _ in range(counts[i]):
                run()
            each = max(1e-9, (time.thread_time() - start) / counts[i])
            best[i] = min(best[i], each) if trial else best[i]
            counts[i] = max(1, int(ROUND_SECONDS / each))
    return best[0], best[1]


# ---- the machine ---------------------------------------------------------------------------------


def peak(scalar: str) -> float:
    """GFLOP/s of independent multiply-adds in registers, fused where the target can."""
    target = host()
    fused = blocking(scalar, target).fused
    lanes, chains, count = target.lanes(8 * DTYPES[scalar].itemsize), 12, 1_000_000
    kind = f"<{lanes} x {scalar}>"
    b = Builder(Module(), "peak", "void", [("ptr", "out")])
    factor, term = b.const(kind, 0.999), b.const(kind, 0.001)

    def step(x: Value) -> Value:
        return b.fma(x, factor, term) if fused else b.fadd(b.fmul(x, factor), term)

    with b.loop(b.i64(0), b.i64(count), 1, [b.const(kind, i) for i in range(chains)]) as loop:
        loop.next = [step(x) for x in loop.carry]
    for i, value in enumerate(loop.result):
        b.store(value, b.gep(scalar, b.args[0], i * lanes), 8)
    b.ret()
    library, out = load(str(b.module), target, optimise=False), np.empty(chains * lanes)
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library.address("peak"))
    seconds = best_pair(lambda: run(out.ctypes.data), lambda: run(out.ctypes.data))
    return 2e-9 * lanes * chains * count / min(seconds)


# ---- ours and the peers --------------------------------------------------------------------------


class Kernel:
    """The kernels that graphs use, with scratch memory; ``bind`` gives a call without arguments."""

    def __init__(self, scalar: str) -> None:
        start = time.process_time()
        self.library: Library = library(scalar, host())
        self.compile_ms = (time.process_time() - start) * 1e3
        size = largest_workspace(blocking(scalar, host()), fused=False)
        self.kernel = MatmulKernel("matmul", scalar, scalar, size, 0)
        memory = np.empty(self.kernel.workspace_bytes + 64, np.uint8)
        skip = -memory.ctypes.data % 64
        self.room = memory[skip : skip + self.kernel.workspace_bytes]

    def code(self, c: Array, a: Array, b: Array) -> Library:
        """The library for operands like these, of known sizes, as in a batch of tiny products."""
        scalar, shape = self.kernel.scalar, (c.shape[-2], c.shape[-1], a.shape[-1])
        left, right = (tuple(s // x.itemsize for s in x.strides[-2:]) for x in (a, b))
        batch = math.prod(c.shape[:-2])
        return library(scalar, host(), path_of(scalar, host(), shape, left, right, batch))

    def bind(self, c: Array, a: Array, b: Array) -> Callable[[], object]:
        table = argument_table(self.kernel, c, a, b, self.room)
        pointer = ctypes.c_void_p(table.ctypes.data)
        address = self.code(c, a, b).address("matmul")
        run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        keep = (table, c, a, b, run(address), pointer)
        return lambda: keep[4](keep[5], 0, 1 << 40)  # more units than there are: all of them


JAX = """
import json, sys, time
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_enable_x64", True)
out = []
for name, lefts, rights in json.loads(sys.argv[1]):
    a, b = (jnp.asarray(np.random.default_rng(0).standard_normal(s).astype(name))
            for s, _ in (lefts, rights))
    run = jax.jit(lambda a, b, l=lefts[1], r=rights[1]: (a.mT if l else a) @ (b.mT if r else b))
    run(a, b).block_until_ready()
    best, count = float("inf"), 1
    for trial in range(6):
        start = time.process_time()
        for _ in range(count):
            run(a, b).block_until_ready()
        each = max(1e-9, (time.process_time() - start) / count)
        best, count = min(best, each), max(1, int(0.02 / each))
    out.append(best)
print(json.dumps(out))
"""


def jax_seconds(scalar: str, cases: Sequence[Case]) -> list[float]:
    """Seconds per call of JAX for every case; empty where no interpreter is named."""
    interpreter = os.environ.get("SYMGRAPH_BENCH_JAX")
    if not interpreter:
        return []
    asked = []
    for case in cases:
        lead, (left, right) = [case.batch] if case.batch else [], (x == "T" for x in case.layouts)
        a = [*lead, *((case.k, case.m) if left else (case.m, case.k))]
        b = [*lead, *((case.n, case.k) if right else (case.k, case.n))]
        asked.append((DTYPES[scalar].name, (a, left), (b, right)))
    environment = {**os.environ, "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
    done = subprocess.run(
        [interpreter, "-c", JAX, json.dumps(asked)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(x) for x in json.loads(done.stdout)]


# ---- the table -----------------------------------------------------------------------------------


def line(kernel: Kernel, scalar: str, case: Case, top: float, jax: float | None) -> str:
    """Measure one case."""
    a, b = case.operands(DTYPES[scalar])
    c, reference = np.empty_like(a @ b), np.empty_like(a @ b)
    pair = best_pair(kernel.bind(c, a, b), lambda: np.matmul(a, b, out=reference))
    if np.abs(c - reference).max() > 1e3 * np.finfo(DTYPES[scalar]).eps * case.k:
        raise AssertionError(f"wrong product: {case}")
    flops = 2e-9 * max(1, case.batch) * case.m * case.k * case.n / pair[0]
    speed = f"{flops:8.1f} GFLOP/s {flops / top:6.0%} of peak"
    if case.is_line:
        moved = (case.m * case.k + case.k * case.n) * DTYPES[scalar].itemsize
        speed = f"{1e-9 * moved / pair[0]:8.1f} GB/s               "
    elif case.batch:
        speed = f"{1e9 * pair[0] / case.batch:8.1f} ns/product {flops / top:4.0%} of peak"
    quotients = f"numpy {pair[1] / pair[0]:5.2f}" + (f"  jax {jax / pair[0]:5.2f}" if jax else "")
    return f"{scalar} {case!s:22s} {speed}  {quotients}"


def main(scalars: list[str]) -> None:
    """Every section for each scalar."""
    for scalar in scalars or list(DTYPES):
        cases = [case for section in SECTIONS.values() for case in section]
        jax = dict(zip(cases, jax_seconds(scalar, cases), strict=False))
        kernel, top = Kernel(scalar), peak(scalar)
        print(f"{scalar}: peak {top:.0f} GFLOP/s; emit and load {kernel.compile_ms:.0f} ms")
        for name, section in SECTIONS.items():
            print(f"-- {name}")
            for case in section:
                print(line(kernel, scalar, case, top, jax.get(case)), flush=True)


def fair_environment() -> dict[str, str]:
    """The environment with one OpenBLAS thread, its own choice of kernels and nothing on disk."""
    pins = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    ours = {"OPENBLAS_NUM_THREADS": "1", "SYMGRAPH_CACHE": "0"}
    return {k: v for k, v in os.environ.items() if k not in pins} | ours


if __name__ == "__main__":
    if fair_environment() != dict(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.argv], fair_environment())
    main(sys.argv[1:])
