"""Speed of ``threads=k`` over one thread, and what it costs to wake a worker.

Run as ``python tests/benchmarks/threads.py [k]`` (k: 2). Calls with one and with k threads take
turns; a line gives the least time of each and their quotient, after a look that the bits agree. A
machine whose cores are busy otherwise shows quotients near 1: watch the load it prints.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import symgraph as sg

RUNTIME = Path(__file__).resolve().parents[1] / "backends" / "llvm" / "runtime"
SLOTS = 60  # turns of each
Array = np.ndarray[Any, Any]
Case = tuple[list[Any], Any, list[Array]]


def best(functions: Sequence[Callable[..., Any]], arrays: list[Array]) -> list[float]:
    """Seconds per call, the least of many slots in turn."""
    least = [float("inf")] * len(functions)
    for slot in range(SLOTS):
        for k, f in enumerate(functions):
            start = time.perf_counter()
            f(*arrays)
            f(*arrays)
            each = (time.perf_counter() - start) / 2
            least[k] = min(least[k], each) if slot else least[k]
    return least


def normal(*shape: int) -> Array:
    return np.random.default_rng(len(shape)).normal(size=shape).astype("f4")


def elementwise(n: int) -> Case:
    x = sg.vector("x", dtype="float32")
    return [x], sg.exp(-x * x / 2) * sg.tanh(x) + sg.log1p(x * x), [normal(n)]


def total(n: int) -> Case:
    (x,), value, arrays = elementwise(n)
    return [x], sg.sum(value), arrays


def cross_entropy(rows: int, classes: int) -> Case:
    x = sg.matrix("x", dtype="float32")
    shifted = x - sg.max(x, axis=1, keepdims=True)
    loss = -sg.mean(shifted - sg.log(sg.sum(sg.exp(shifted), axis=1, keepdims=True)))
    return [x], [loss, sg.grad(loss, x)], [normal(rows, classes)]


def columns(rows: int, width: int) -> Case:
    x = sg.matrix("x", dtype="float32")
    return [x], sg.sum(x, axis=0), [normal(rows, width)]


def product(n: int) -> Case:
    a, b = sg.matrix("a", dtype="float32"), sg.matrix("b", dtype="float32")
    return [a, b], a @ b, [normal(n, n), normal(n, n)]


def network(batch: int) -> Case:
    x, sizes = sg.matrix("x", dtype="float32"), (784, 512, 512, 10)
    weights = [sg.shared(normal(a, b) / 30) for a, b in itertools.pairwise(sizes)]
    hidden = x
    for w in weights[:-1]:
        hidden = sg.maximum(hidden @ w, 0)
    loss = sg.mean((hidden @ weights[-1]) ** 2)
    return [x], [loss, *sg.grad(loss, weights)], [normal(batch, 784)]


CASES: dict[str, Callable[[], Case]] = {
    "map, 1e5": lambda: elementwise(10**5),
    "map, 1e6": lambda: elementwise(10**6),
    "map, 1e7": lambda: elementwise(10**7),
    "sum of map, 1e6": lambda: total(10**6),
    "sum of map, 1e7": lambda: total(10**7),
    "cross entropy, 1024 x 1000": lambda: cross_entropy(1024, 1000),
    "sum of columns, 4000 x 1000": lambda: columns(4000, 1000),
    "product, 256": lambda: product(256),
    "product, 1024": lambda: product(1024),
    "product, 2048": lambda: product(2048),
    "network, gradient, batch 32": lambda: network(32),
    "network, gradient, batch 256": lambda: network(256),
}


def same(first: Any, second: Any) -> bool:
    pairs = zip(first, second, strict=True) if isinstance(first, list) else [(first, second)]
    return all(np.array_equal(a, b) for a, b in pairs)


def compare(threads: int) -> None:
    print(f"{'float32, ms':32s}{'1 thread':>10s}{f'{threads} threads':>12s}{'quotient':>10s}")
    for label, make in CASES.items():
        inputs, outputs, arrays = make()
        pair = [sg.function(inputs, outputs, threads=k) for k in (1, threads)]
        if not same(pair[0](*arrays), pair[1](*arrays)):
            raise SystemExit(f"{label}: {threads} threads give other bits than one")
        one, more = best(pair, arrays)
        print(f"{label:32s}{one * 1e3:10.3f}{more * 1e3:12.3f}{one / more:10.2f}", flush=True)


def waking() -> None:
    """Microseconds of a call that does nothing much, its single step shared out or not."""
    sys.path.insert(0, str(RUNTIME))
    kernels: Any = __import__("range_kernels")
    x = np.zeros(4, np.float32)
    rows = (("alone, without the GIL", 1, 0.0), ("worker awake", 2, 0.0), ("asleep", 2, 1e-3))
    print(f"{'a call, us':32s}{'least':>10s}{'median':>12s}{'90%':>10s}")
    for label, threads, pause in rows:
        f = kernels.ranged(kernels.mark, threads)
        times = []
        for _ in range(1000):
            time.sleep(pause)
            start = time.perf_counter()
            f(x)
            times.append((time.perf_counter() - start) * 1e6)
        least, median, most = np.quantile(times, (0, 0.5, 0.9))
        print(f"{label:32s}{least:10.2f}{median:12.2f}{most:10.2f}")


def main() -> None:
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    compare(threads)
    waking()


if __name__ == "__main__":
    main()
