"""Accuracy and speed of the vector-math functions, beside NumPy, SciPy and libm: one table.

    python tests/benchmarks/vectormath.py                       one row per function and dtype
    python tests/benchmarks/vectormath.py --only exp,tanh --samples 1000000
    python tests/benchmarks/vectormath.py --exhaustive exp tanh   all 2**32 float32 arguments
    python tests/benchmarks/vectormath.py --dense exp tanh        millions of float64 arguments

Errors are the largest found, in ulps, against float64 NumPy/SciPy (float32) and mpmath (float64).
``--dense`` looks for the worst arguments with the C library's long double functions, where those
have 64 bits, and measures the worst with mpmath.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "backends" / "llvm" / "vectormath"))

from vectormath_harness import (
    DOMAINS,
    NAMES,
    SCALARS,
    Array,
    Compiled,
    arguments,
    arity,
    compiled,
    ulp_errors,
)
from vectormath_oracles import double_reference, exact, reference

from symgraph.backends.llvm import jit
from symgraph.backends.llvm.builder import Builder, Module
from symgraph.backends.llvm.vectormath import MATH

C_LIBRARY = ctypes.CDLL(ctypes.util.find_library("m"))

BYTES = 32768  # one array: argument and result stay in the first two caches
CHUNK = 1 << 15
DENSE_CHUNK = 1 << 18
# SciPy has no long double error functions; that of logaddexp is no better near a result of zero.
DENSE = [name for name in NAMES if name not in ("erf", "erfc", "erfcx", "logaddexp")]


def typical(name: str, dtype: str) -> list[Array]:
    """Arguments of ordinary size within the domain."""
    rng = np.random.default_rng(0)
    low, high = DOMAINS.get(name, (-8.0, 8.0))
    low, high = max(low, -8.0) if name != "pow" else 0.1, min(high, 8.0)
    count = BYTES // np.dtype(dtype).itemsize
    return [rng.uniform(low, high, count).astype(dtype) for _ in range(arity(name))]


def nanoseconds(calls: Sequence[Callable[[], object]], count: int) -> list[float]:
    """The fastest of several runs of each, per element."""
    best = [np.inf] * len(calls)
    for _ in range(15):
        for k, call in enumerate(calls):
            start = time.perf_counter()
            for _ in range(4):
                call()
            best[k] = min(best[k], time.perf_counter() - start)
    return [float(b / 4 / count * 1e9) for b in best]


def libm(name: str, dtype: str) -> Compiled | None:
    """A loop of scalar calls into the C library, if it has the function."""
    spelled = name + ("f" if dtype == "float32" else "")
    if not hasattr(C_LIBRARY, spelled):
        return None
    scalar, _ = SCALARS[dtype]
    module = Module()
    pointers = [("ptr", f"in{k}") for k in range(arity(name))] + [("ptr", "out")]
    b = Builder(module, "run", "void", [*pointers, ("i64", "n")])
    *sources, out, n = b.args
    with b.loop(b.i64(0), n, 1) as loop:
        values = [b.load(scalar, b.gep(scalar, p, loop.index)) for p in sources]
        b.store(b.call(spelled, scalar, values), b.gep(scalar, out, loop.index))
    b.ret()
    library = jit.load(str(module), jit.host(), optimise=False)
    prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (arity(name) + 1), ctypes.c_int64)
    return Compiled(library, prototype(library.address("run")), dtype)


def largest_error(name: str, dtype: str, samples: int) -> float:
    arrays = arguments(name, dtype, samples * (30 if dtype == "float32" else 1), seed=11)
    got = compiled(name, dtype)(*arrays)
    truth = (reference(name, *arrays), 0.0) if dtype == "float32" else exact(name, *arrays)
    return float(np.max(ulp_errors(got, *truth)))


def report(name: str, dtype: str, samples: int) -> None:
    """One row: the largest error, and nanoseconds per element, the runs of all three in turn."""
    arrays = typical(name, dtype)
    out = np.empty_like(arrays[0])
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in (*arrays, out)]
    ours, loop, function = compiled(name, dtype).entry, libm(name, dtype), double_reference(name)
    calls = [lambda: ours(*pointers, out.size), lambda: function(*arrays)]
    if loop is not None:
        calls.append(lambda: loop.entry(*pointers, out.size))
    times = [f"{t:.2f}" for t in nanoseconds(calls, out.size)] + ["-"] * (3 - len(calls))
    error = largest_error(name, dtype, samples)
    print(f"| {name} | {dtype} | {error:.2f} | {' | '.join(times)} |", flush=True)


def exhaustive(name: str) -> None:
    """The largest error over every float32 argument, against float64 NumPy or SciPy.

    A chunk is small enough for the second cache. Results that are not finite must be the same.
    """
    worst, where, bits = 0.0, 0.0, np.arange(CHUNK, dtype=np.uint32)
    for start in range(0, 1 << 32, CHUNK):
        x = (bits + np.uint32(start)).view(np.float32)
        with np.errstate(all="ignore"):
            got, high = compiled(name, "float32")(x), reference(name, x)
            error = np.abs(got - high) / np.spacing(np.abs(high.astype(np.float32)))
        irregular = ~np.isfinite(error)
        if irregular.any():
            error[irregular] = ulp_errors(got[irregular], high[irregular])
        k = int(np.argmax(error))
        if error[k] > worst:
            worst, where = float(error[k]), float(x[k])
    print(f"{name:10} float32, all 2**32 arguments: {worst:.4f} ulp at {where!r}", flush=True)


def long_double_errors(name: str, arrays: Sequence[Array]) -> Array:
    """Errors of float64 results against long double NumPy, in ulps."""
    wide = [a.astype(np.longdouble) for a in arrays]
    with np.errstate(all="ignore"):
        if name == "sigmoid":
            truth = 1 / (1 + np.exp(-wide[0]))
        else:
            truth = double_reference(name)(*wide)
        high = truth.astype("float64")
        low = np.where(np.isfinite(high), (truth - high).astype("float64"), 0.0)
    return ulp_errors(compiled(name, "float64")(*arrays), high, low)


def dense(name: str, samples: int) -> None:
    """The largest error over so many float64 arguments, as mpmath sees the worst of each chunk."""
    points: list[list[Array]] = []
    for seed in range(max(1, samples // DENSE_CHUNK)):
        arrays = arguments(name, "float64", DENSE_CHUNK, seed=100 + seed)
        worst = np.argsort(long_double_errors(name, arrays))[-4:]
        points.append([a[worst] for a in arrays])
    kept = [np.concatenate(column) for column in zip(*points, strict=True)]
    errors = ulp_errors(compiled(name, "float64")(*kept), *exact(name, *kept))
    k = int(np.argmax(errors))
    where = ", ".join(repr(float(a[k])) for a in kept)
    print(f"{name:10} float64, {samples} arguments: {errors[k]:.3f} ulp at {where}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", help="comma-separated names")
    parser.add_argument(
        "--exhaustive",
        metavar="name",
        nargs="*",
        choices=[*MATH],
        help="all float32 arguments of these functions (of every one of one argument)",
    )
    parser.add_argument(
        "--dense",
        metavar="name",
        nargs="*",
        choices=DENSE,
        help="many float64 arguments of these functions (of every one)",
    )
    parser.add_argument(
        "--samples", type=int, default=10_000, help="for float64; 30 times in float32"
    )
    options = parser.parse_args()
    if options.exhaustive is not None:
        for name in options.exhaustive or MATH:
            exhaustive(name)
        return
    if options.dense is not None:
        for name in options.dense or DENSE:
            dense(name, options.samples)
        return
    print("| function | dtype | worst error, ulp | ours, ns | NumPy or SciPy, ns | libm, ns |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in options.only.split(",") if options.only else NAMES:
        for dtype in ("float32", "float64"):
            report(name, dtype, options.samples)


if __name__ == "__main__":
    main()
