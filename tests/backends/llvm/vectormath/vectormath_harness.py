"""Runs one vector-math function over arrays, and measures errors in units in the last place."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from symgraph.backends.llvm import jit
from symgraph.backends.llvm.builder import Builder, Module, Value, vector_type
from symgraph.backends.llvm.vectormath import MATH, MATH2

Array = np.ndarray[Any, np.dtype[Any]]

NAMES = (*MATH, *MATH2)
SCALARS = {"float32": ("float", 32), "float64": ("double", 64)}


def bound(name: str, dtype: str, target: jit.Target | None = None) -> float:
    """The accuracy promised for a target (this machine's by default), in ulps."""
    if name == "logaddexp" and dtype == "float64":
        return 2.0 if "+avx512dq" in (target or jit.host()).features else 6.0
    return 1.0 if dtype == "float32" else 2.0


@functools.cache
def narrowed(bits: int) -> jit.Target:
    """The target that this machine becomes under ``SYMGRAPH_VECTOR_BITS``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYMGRAPH_VECTOR_BITS", str(bits))
        return jit.host.__wrapped__()


# Where a function is finite and real, if not everywhere; and where its interesting part lies.
DOMAINS = {
    "acos": (-1.0, 1.0),
    "acosh": (1.0, np.inf),
    "asin": (-1.0, 1.0),
    "atanh": (-1.0, 1.0),
    "log": (0.0, np.inf),
    "log10": (0.0, np.inf),
    "log1p": (-1.0, np.inf),
    "log2": (0.0, np.inf),
}


def arity(name: str) -> int:
    return 1 if name in MATH else 2


def emit_map(name: str, scalar: str, lanes: int, features: str = "") -> str:
    """IR of ``run(in, [in,] out, n)``: full vectors first, the rest one lane at a time."""
    module = Module(features)
    pointers = [("ptr", f"in{k}") for k in range(arity(name))] + [("ptr", "out")]
    b = Builder(module, "run", "void", [*pointers, ("i64", "n")])
    *sources, out, n = b.args
    whole = b.mul(b.binary("sdiv", n, b.i64(lanes)), b.i64(lanes))
    for start, stop, width in ((b.i64(0), whole, lanes), (whole, n, 1)):
        type_, align = vector_type(scalar, width), 4 if scalar == "float" else 8
        with b.loop(start, stop, width) as loop:
            values = [b.load(type_, b.gep(scalar, p, loop.index), align) for p in sources]
            b.store(apply(b, name, values), b.gep(scalar, out, loop.index), align)
    b.ret()
    return str(module)


def apply(b: Builder, name: str, values: list[Value]) -> Value:
    return MATH[name](b, *values) if name in MATH else MATH2[name](b, *values)


@dataclass(frozen=True, slots=True)
class Compiled:
    """One function for one dtype, called on 1-d arrays; ``entry`` takes addresses and a length."""

    library: jit.Library
    entry: Callable[..., None]
    dtype: str

    def __call__(self, *arrays: Array) -> Array:
        sources = [np.ascontiguousarray(a, self.dtype) for a in arrays]
        result = np.empty(sources[0].shape, self.dtype)
        self.entry(*[a.ctypes.data for a in (*sources, result)], result.size)
        return result


def build(name: str, dtype: str, target: jit.Target) -> Compiled:
    scalar, bits = SCALARS[dtype]
    library = jit.load(
        emit_map(name, scalar, target.lanes(bits), target.features), target, optimise=False
    )
    prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (arity(name) + 1), ctypes.c_int64)
    return Compiled(library, prototype(library.address("run")), dtype)


@functools.cache
def compiled(name: str, dtype: str, bits: int = 0) -> Compiled:
    """The function ``name`` for ``dtype``, compiled once for this machine or narrower vectors."""
    return build(name, dtype, narrowed(bits) if bits else jit.host())


def ulp_errors(got: Array, high: Array, low: Array | float = 0.0) -> Array:
    """Errors of ``got`` against ``high + low`` (float64), in ulps of ``got``'s format.

    Two NaNs and equal infinities have no error, other non-finite pairs an infinite one.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        rounded = high.astype(got.dtype)
        size = np.minimum(np.abs(rounded), np.ldexp(1.0, np.finfo(got.dtype).maxexp - 1))
        size = size.astype(got.dtype)
        error = np.abs((got.astype("float64") - high) - low) / np.spacing(size).astype("float64")
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    unequal = np.where(np.isfinite(error), error, np.inf)
    return np.where(same & ~np.isfinite(error), 0.0, unequal)


def samples(name: str, dtype: str, count: int, seed: int) -> Array:
    """Random bit patterns, magnitudes near one, and a linear stretch, all within the domain."""
    rng = np.random.default_rng(seed)
    width = np.uint32 if dtype == "float32" else np.uint64
    third = count // 3
    patterns = rng.integers(0, np.iinfo(width).max, third, dtype=width).view(dtype)
    central = rng.choice([-1.0, 1.0], third) * np.exp2(rng.uniform(-8.0, 5.0, third))
    edge = 110.0 if dtype == "float32" else 760.0
    low, high = DOMAINS.get(name, (-edge, edge))
    stretch = rng.uniform(max(low, -edge), min(high, edge), count - 2 * third)
    x = np.concatenate([patterns, central.astype(dtype), stretch.astype(dtype)])
    x[~np.isfinite(x)] = 0.5
    if name in DOMAINS:
        x = np.where(x < low, np.abs(x), x)
        with np.errstate(divide="ignore", over="ignore"):
            x = np.where((x < low) | (x > high), 1 / x, x).astype(dtype)
    return x


def pairs(name: str, dtype: str, count: int, seed: int) -> tuple[Array, Array]:
    """Two arguments: unrelated, and (for pow) with results spread over the whole range."""
    half = count // 2
    a, b = samples(name, dtype, half, seed), samples(name, dtype, half, seed + 1)
    rng = np.random.default_rng(seed + 2)
    b = rng.permutation(b)
    spread = np.clip(rng.standard_normal(half) * 10.0 ** rng.uniform(-4, 2, half), -149, 127)
    base = np.exp2(spread).astype(dtype)
    if name != "pow":
        return np.concatenate([a, base]), np.concatenate([b, rng.permutation(base)])
    top = 150.0 if dtype == "float32" else 1075.0
    with np.errstate(divide="ignore", invalid="ignore"):
        exponent = (rng.uniform(-top, top, half) / np.log2(base.astype("float64"))).astype(dtype)
    exponent[~np.isfinite(exponent)] = 2.0
    return np.concatenate([a, base]), np.concatenate([b, exponent])


def arguments(name: str, dtype: str, count: int, seed: int) -> tuple[Array, ...]:
    return (samples(name, dtype, count, seed),) if name in MATH else pairs(name, dtype, count, seed)
