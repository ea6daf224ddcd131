"""Other ways to compile and run one graph, none of which may change a bit of its results."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np

from symgraph.backends.llvm import compile as stages
from symgraph.backends.llvm import prepare
from symgraph.backends.llvm.assemble import assemble
from symgraph.backends.llvm.kernel import Call
from symgraph.backends.llvm.kernels import Compiled, Kernel, compile_kernels
from symgraph.backends.llvm.partition import partition
from symgraph.backends.llvm.program_cache import bypassed
from symgraph.errors import SymgraphError
from symgraph.ops import index, shape

__all__ = ["assert_same_bits", "outcome", "shared_out", "shuffled_units", "unfused"]

Array = np.ndarray[Any, Any]
KERNEL = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
UNSIGNED = {2: np.uint16, 4: np.uint32, 8: np.uint64}


@contextlib.contextmanager
def unfused() -> Iterator[None]:
    """Functions compiled here have a kernel for each operation.

    Joins and placed slices are copied part by part, elements are picked from arrays in memory,
    products have no epilogues.
    """
    alone = functools.partial(partition, fuse=False)
    moving = (shape.place, index.gather)
    plain = {op: rule for op, rule in prepare.EXPANSIONS.items() if op not in moving}
    with (
        bypassed(),
        mock.patch.object(stages, "partition", alone),
        mock.patch.object(stages, "fuse_products", lambda parts, *_: parts.steps),
        mock.patch.object(prepare, "EXPANSIONS", plain),
        mock.patch.object(prepare, "joinable", lambda parts: False),
    ):
        yield


class _Shuffled:
    """A kernel's address whose units are done in ranges drawn at random, in random order."""

    def __init__(self, kernel: Kernel, seed: int) -> None:
        self.kernel, self.draw = kernel, random.Random(seed)
        self.real, self.entry = KERNEL(kernel.address), KERNEL(self.run)
        self.address = ctypes.cast(self.entry, ctypes.c_void_p).value or 0

    def run(self, frame: int, begin: int, end: int) -> int:
        inner = range(begin + 1, end)
        cuts = self.draw.sample(inner, min(len(inner), self.draw.randint(0, 5)))
        ends = [begin, *sorted(cuts), end]
        ranges = list(itertools.pairwise(ends))
        self.draw.shuffle(ranges)
        failed = [self.real(frame, a, b) for a, b in ranges]
        # the lowest range's failure is the one that counts: its record, too
        return self.real(frame, begin, end) if any(failed) else 0


@contextlib.contextmanager
def shuffled_units(seed: int = 0) -> Iterator[None]:
    """Functions compiled here do the units of every kernel in ranges of random order.

    They may be called inside only.
    """
    kept: list[_Shuffled] = []

    def compiled(calls: Sequence[Call], target: Any) -> Compiled:
        found = compile_kernels(calls, target)
        made = [_Shuffled(k, seed + n) for n, k in enumerate(found.kernels)]
        kept.extend(made)
        kernels = [replace(m.kernel, address=m.address) for m in made]
        return replace(found, kernels=kernels)

    with bypassed(), mock.patch.object(stages, "compile_kernels", compiled):
        yield
    kept.clear()


@contextlib.contextmanager
def shared_out() -> Iterator[None]:
    """Functions compiled here take their work for so much that threads share out every step."""

    def heavy(signature: Any, outputs: Any, calls: Sequence[Call], *rest: Any) -> Any:
        more = [replace(c, work=c.work * (1 << 30)) if c.work != 0 else c for c in calls]
        return assemble(signature, outputs, more, *rest)

    with bypassed(), mock.patch.object(stages, "assemble", heavy):
        yield


def outcome(f: Any, arrays: Sequence[Array]) -> Any:
    """The results, or the class and text of the error the call raised."""
    try:
        return [np.array(r) for r in f(*arrays)]
    except SymgraphError as error:
        return type(error), str(error)


def _bits(a: Array) -> Array:
    """The bits of an array, every NaN alike."""
    if a.dtype.kind != "f":
        return a
    return np.where(np.isnan(a), a.dtype.type("nan"), a).view(UNSIGNED[a.dtype.itemsize])


def assert_same_bits(got: Any, want: Any) -> None:
    """Fail unless two outcomes are the same bit by bit (a NaN is a NaN), or the same error."""
    if isinstance(got, tuple) or isinstance(want, tuple):
        assert isinstance(got, tuple) and isinstance(want, tuple), (got, want)
        assert got == want
        return
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        assert (g.dtype, g.shape) == (w.dtype, w.shape)
        wrong = _bits(g) != _bits(w)
        assert not wrong.any(), (
            f"result {k}: {int(wrong.sum())} of {wrong.size} elements differ, first at "
            f"{np.argwhere(wrong)[0]}: {g[wrong][:3]!r}, not {w[wrong][:3]!r}"
        )
