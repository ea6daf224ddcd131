"""Accuracy and speed of the vector-math functions, beside NumPy and SciPy.

    python tests/benchmarks/vectormath.py                       one line per function and dtype
    python tests/benchmarks/vectormath.py --only exp,tanh
    python tests/benchmarks/vectormath.py --exhaustive exp      all 2**32 float32 arguments

Errors are the largest found, in ulps, against float64 NumPy/SciPy (float32) and mpmath (float64).
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "backends" / "llvm" / "vectormath"))

from vectormath_harness import DOMAINS, NAMES, Array, arguments, arity, compiled, ulp_errors
from vectormath_oracles import double_reference, exact, reference

from symgraph.backends.llvm.vectormath import MATH

BYTES = 32768  # one array: argument and result stay in the first two caches
CHUNK = 1 << 22


def typical(name: str, dtype: str) -> list[Array]:
    """Arguments of ordinary size within the domain."""
    rng = np.random.default_rng(0)
    low, high = DOMAINS.get(name, (-8.0, 8.0))
    low, high = max(low, -8.0) if name != "pow" else 0.1, min(high, 8.0)
    count = BYTES // np.dtype(dtype).itemsize
    return [rng.uniform(low, high, count).astype(dtype) for _ in range(arity(name))]


def nanoseconds(call: Callable[[], object], count: int) -> float:
    """The fastest of several runs, per element."""
    best = np.inf
    for _ in range(15):
        start = time.perf_counter()
        for _ in range(10):
            call()
        best = min(best, time.perf_counter() - start)
    return float(best / 10 / count * 1e9)


def largest_error(name: str, dtype: str) -> float:
    arrays = arguments(name, dtype, 300_000 if dtype == "float32" else 10_000, seed=11)
    got = compiled(name, dtype)(*arrays)
    truth = (reference(name, *arrays), 0.0) if dtype == "float32" else exact(name, *arrays)
    return float(np.max(ulp_errors(got, *truth)))


def report(name: str, dtype: str) -> None:
    ours, arrays = compiled(name, dtype), typical(name, dtype)
    out = np.empty_like(arrays[0])
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in (*arrays, out)]
    mine = nanoseconds(lambda: ours.entry(*pointers, out.size), out.size)
    numpy_function = double_reference(name)
    theirs = nanoseconds(lambda: numpy_function(*arrays), out.size)
    print(
        f"{name:10} {dtype}  {largest_error(name, dtype):8.3f} ulp "
        f"{mine:8.3f} ns {theirs:8.3f} ns {theirs / mine:7.2f}x",
        flush=True,
    )


def exhaustive(name: str) -> None:
    """The largest error over every float32 argument."""
    worst, where = 0.0, 0.0
    for start in range(0, 1 << 32, CHUNK):
        x = np.arange(start, start + CHUNK, dtype=np.uint64).astype(np.uint32).view(np.float32)
        with np.errstate(invalid="ignore"):
            errors = ulp_errors(compiled(name, "float32")(x), reference(name, x))
        k = int(np.argmax(errors))
        if errors[k] > worst:
            worst, where = float(errors[k]), float(x[k])
    print(f"{name} float32, all 2**32 arguments: {worst:.4f} ulp at {where!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", help="comma-separated names")
    parser.add_argument("--exhaustive", choices=sorted(MATH), help="a function of one argument")
    options = parser.parse_args()
    if options.exhaustive:
        exhaustive(options.exhaustive)
        return
    print(f"{'function':10} {'dtype':7}  {'max error':>12} {'ours':>11} {'NumPy':>11} {'ratio':>8}")
    for name in options.only.split(",") if options.only else NAMES:
        for dtype in ("float32", "float64"):
            report(name, dtype)


if __name__ == "__main__":
    main()
