"""Nanoseconds per call through the LLVM backend's entry, beside NumPy, in one run.

Run ``python tests/benchmarks/call_overhead.py``. Each line is the best of several repetitions, less
an empty statement's time. OPENBLAS_* settings have no part in it.
"""

from __future__ import annotations

import sys
import timeit
from pathlib import Path
from typing import Any

import numpy as np

import symgraph as sg

KERNELS = Path(__file__).resolve().parents[1] / "backends" / "llvm" / "runtime"


def nanoseconds(statement: str, names: dict[str, Any], number: int = 200_000) -> float:
    """Best time of one execution, less that of ``pass``."""

    def best(text: str) -> float:
        return min(timeit.repeat(text, globals=names, number=number, repeat=5))

    return (best(statement) - best("pass")) / number * 1e9


def product() -> Any:
    """A number times a vector."""
    s, x = sg.scalar("s"), sg.vector("x")
    return sg.function([s, x], s * x)


def functions() -> dict[str, Any]:
    """The functions under test and their arguments."""
    sys.path.insert(0, str(KERNELS))
    kernels: Any = __import__("runtime_kernels")
    layouts: Any = __import__("test_runtime_errors")
    return {
        "f": kernels.compiled(kernels.vector_program(), lambda x: (x.copy(),)),
        "pair": kernels.compiled(layouts.failing("list")),
        "x": np.arange(8, dtype=np.float32),
        "y": np.arange(9, dtype=np.float32),
        "out": np.empty(8, np.float32),
        "strided": np.zeros(16, np.float32)[::2],
        "z": np.ones(8),
        "s": np.float64(2),
        "g": product(),
        "kind": np.dtype(np.float32),
        "empty": np.empty,
    }


def main() -> None:
    names = functions()
    for label, statement, calls in (
        ("entry, 2 x + 1 on 8 floats", "f(x)", 1),
        ("entry, sizes change every call", "f(x); f(y)", 2),
        ("entry, a list of 2 outputs, 3 steps", "pair(x)", 1),
        ("entry, keyword", "f(x=x)", 1),
        ("entry, out=", "f(x, out=out)", 1),
        ("a number and an array, s x", "g(2.0, z)", 1),
        ("a number of NumPy's and an array", "g(s, z)", 1),
        ("an array with a stride (through Python)", "f(strided)", 1),
        ("NumPy, x * 2 + 1", "x * 2 + 1", 1),
        ("NumPy, empty(8, kind)", "empty(8, kind)", 1),
    ):
        print(f"{label:38s} {nanoseconds(statement, names) / calls:8.1f} ns")


if __name__ == "__main__":
    main()
