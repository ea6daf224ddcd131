"""Compile, call and drop functions many times, and watch the memory of the process.

Run ``python tests/benchmarks/compile_cycles.py [cycles]`` (default 10000). Every cycle builds a
graph of its own, so that kernels are new, compiles it, calls it, and drops it. The
table shows what the process holds: resident memory, traced memory of Python and NumPy, objects the
garbage collector knows, nodes of graphs. Exit status 1 where the second half of the run grew by
more than 1 kB a cycle.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import symgraph as sg
from symgraph.backends.llvm import kernels
from symgraph.tensor import Tensor

PAGE = os.sysconf("SC_PAGE_SIZE")
ALLOWED = 1024  # bytes a cycle
KEPT = 64  # kernels that stay loaded though no function needs them
MAPS = (sg.tanh, sg.sin, sg.arctan, sg.sigmoid)


def resident() -> int:
    """Resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def cycle(number: int) -> None:
    """One function of a new graph: a small network with a gradient, an update and new kernels."""
    x = sg.tensor("x", shape=("n", 4))
    w = sg.shared(np.full((4, 3), 0.1), name="w")
    h = x @ w
    while number:  # the digits of the number choose the operations
        number, digit = divmod(number, len(MAPS))
        h = MAPS[digit](h) + x[0, 0]
    loss = sg.mean(h**2)
    f: Any = sg.function([x], loss, updates={w: w - 0.1 * sg.grad(loss, w)})
    f(np.ones((3, 4)))


def census() -> tuple[int, int]:
    """Objects the collector knows, and nodes among them."""
    objects = gc.get_objects()
    return len(objects), sum(isinstance(o, Tensor) for o in objects)


def run(cycles: int, rows: int = 10) -> float:
    """Bytes that a cycle of the second half left behind; prints a table."""
    print(f"{'cycles':>8} {'resident MB':>12} {'objects':>9} {'nodes':>7} {'ms a cycle':>11}")
    every = max(1, cycles // rows)
    sizes: list[tuple[int, int]] = []
    start = time.perf_counter()
    for number in range(1, cycles + 1):
        cycle(number)
        if number % every:
            continue
        gc.collect()
        objects, nodes = census()
        sizes.append((number, resident()))
        spent = (time.perf_counter() - start) / number * 1e3
        print(
            f"{number:8d} {resident() / 1e6:12.1f} {objects:9d} {nodes:7d} {spent:11.2f}",
            flush=True,
        )
    (first, before), (last, after) = sizes[len(sizes) // 2 - 1], sizes[-1]
    return (after - before) / max(1, last - first)


def main() -> None:
    kernels.CAPACITY = KEPT  # what is kept for later functions is no leak
    grown = run(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
    print(f"{grown:.0f} bytes a cycle in the second half ({ALLOWED} allowed)")
    sys.exit(grown > ALLOWED)


if __name__ == "__main__":
    main()
