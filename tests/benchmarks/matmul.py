"""Speed of the matrix-product kernels beside NumPy, interleaved in one process on one core.

Run as ``python tests/benchmarks/matmul.py [float|double ...]``. The script starts itself again with
one OpenBLAS thread and without the variables that pin OpenBLAS to other kernels than it would
choose. Each line gives the best of several rounds: GFLOP/s (or GB/s of the operands, for vectors)
for ours and for NumPy, and the quotient of the two.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgraph.backends.llvm.builder import Module
from symgraph.backends.llvm.jit import Library, host, load
from symgraph.backends.llvm.matmul import MatmulKernel, argument_table, emit_matmul

DTYPES: dict[str, np.dtype[Any]] = {"float": np.dtype(np.float32), "double": np.dtype(np.float64)}
SQUARES = (64, 128, 256, 512, 1024, 2048)
ROUNDS = 7
Array = NDArray[Any]


def best_pair(ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float]:
    """Seconds per call of both, the best of interleaved rounds of about 20 ms each."""
    best = [float("inf"), float("inf")]
    counts = [1, 1]
    for trial in range(ROUNDS + 1):
        for i, run in enumerate((ours, theirs)):
            start = time.perf_counter()
            for _ in range(counts[i]):
                run()
            each = (time.perf_counter() - start) / counts[i]
            best[i] = min(best[i], each) if trial else best[i]
            counts[i] = max(1, int(0.02 / each))
    return best[0], best[1]


class Kernel:
    """One compiled kernel with scratch memory; ``bind`` gives a call without arguments."""

    def __init__(self, scalar: str) -> None:
        start = time.perf_counter()
        module = Module()
        self.kernel: MatmulKernel = emit_matmul(module, "matmul", scalar, host())
        self.library: Library = load(str(module), host(), optimise=False)
        self.compile_ms = (time.perf_counter() - start) * 1e3
        memory = np.empty(self.kernel.workspace_bytes + 64, np.uint8)
        skip = -memory.ctypes.data % 64
        self.room = memory[skip : skip + self.kernel.workspace_bytes]
        address = self.library.address(self.kernel.name)
        self.run = ctypes.CFUNCTYPE(
            ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64
        )(address)

    def bind(self, c: Array, a: Array, b: Array) -> Callable[[], object]:
        table = argument_table(self.kernel, c, a, b, self.room)
        pointer = ctypes.c_void_p(table.ctypes.data)
        keep = (table, c, a, b, self.run, pointer)
        return lambda: keep[4](keep[5], 0, 1)


def report(label: str, unit: str, amount: float, pair: tuple[float, float]) -> None:
    """One line: ``amount`` (flops or bytes) per second for both."""
    ours, theirs = (amount / seconds / 1e9 for seconds in pair)
    print(f"{label:28s} {unit} {ours:8.1f}  numpy {theirs:8.1f}  ratio {ours / theirs:5.2f}")


def operand(
    rng: np.random.Generator, rows: int, cols: int, layout: str, dtype: np.dtype[Any]
) -> Array:
    """A random matrix, stored by rows (N) or by columns (T)."""
    if layout == "T":
        return rng.standard_normal((cols, rows)).astype(dtype).T
    return rng.standard_normal((rows, cols)).astype(dtype)


def product(kernel: Kernel, scalar: str, shape: tuple[int, int, int], layouts: str = "NN") -> None:
    """C = A @ B of (M, K, N), the layouts of A and B given."""
    rng, dtype = np.random.default_rng(0), DTYPES[scalar]
    m, k, n = shape
    a, b = operand(rng, m, k, layouts[0], dtype), operand(rng, k, n, layouts[1], dtype)
    c, reference = np.empty((m, n), dtype), np.empty((m, n), dtype)
    ours = kernel.bind(c, a, b)
    pair = best_pair(ours, lambda: np.matmul(a, b, out=reference))
    if np.abs(c - reference).max() > 1e3 * np.finfo(dtype).eps * k:
        raise AssertionError(f"wrong product at {shape} {layouts}")
    line = 1 in (m, n)
    amount = (m * k + k * n) * dtype.itemsize if line else 2.0 * m * k * n
    report(f"{scalar} {m}x{k}x{n} {layouts}", "GB/s" if line else "GF/s", amount, pair)


def main(scalars: list[str]) -> None:
    """Everything for each scalar."""
    for scalar in scalars or list(DTYPES):
        kernel = Kernel(scalar)
        print(f"{scalar}: emit and load {kernel.compile_ms:.0f} ms")
        for n in SQUARES:
            product(kernel, scalar, (n, n, n))
        for layouts in ("NT", "TN", "TT"):
            for n in (64, 128, 512, 1024):
                product(kernel, scalar, (n, n, n), layouts)
        for shape in ((32, 784, 512), (67, 67, 67), (100, 100, 100), (16, 16, 16), (8, 300, 2000)):
            product(kernel, scalar, shape)
        for n in (64, 256, 1024, 4096):
            for layouts in ("NN", "TN"):
                product(kernel, scalar, (n, n, 1), layouts)
            product(kernel, scalar, (1, n, n), "NN")
        product(kernel, scalar, (1, 1_000_000, 1))


def fair_environment() -> dict[str, str]:
    """The environment with one OpenBLAS thread and its own choice of kernels."""
    pins = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    return {k: v for k, v in os.environ.items() if k not in pins} | {"OPENBLAS_NUM_THREADS": "1"}


if __name__ == "__main__":
    if fair_environment() != dict(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.argv], fair_environment())
    main(sys.argv[1:])
