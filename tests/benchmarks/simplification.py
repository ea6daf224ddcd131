"""How fast graphs are simplified: nodes per second, level where time is proportional to nodes.

Run ``python tests/benchmarks/simplification.py`` (``--quick`` leaves out the largest). The first
graphs have nothing to simplify, so that only looking is timed; in the last ones every node changes.
A number is the best of three, in processor time.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Sequence

import symgraph as sg
from symgraph import Graph, Tensor

SIZES = (1_000, 10_000, 100_000)


def chain(n: int) -> Tensor:
    """tanh and product in turn."""
    x = y = sg.vector("x", shape="n")
    for _ in range(n // 2):
        y = sg.tanh(y) * x
    return y


def diamonds(n: int) -> Tensor:
    """Every level is used twice by the next."""
    y = sg.vector("x", shape="n")
    for _ in range(n // 3):
        y = sg.sin(y) * sg.cos(y)
    return y


def recurrent(n: int) -> Tensor:
    """A network unrolled over time, with one input a step."""
    h, w, u = (sg.matrix(name, shape=("m", "m")) for name in "hwu")
    b = sg.vector("b", shape="m")
    for k in range(n // 6):
        x = sg.matrix(f"x{k}", shape=("m", "m"))
        h = sg.tanh(h @ w + x @ u + b)
    return h


def wide_sum(n: int) -> Tensor:
    """The sum of many functions of as many inputs."""
    total = sg.vector("x", shape="n")
    for k in range(n // 3):
        total = total + sg.sin(sg.vector(f"x{k}", shape="n"))
    return total


def repeated_terms(n: int) -> Tensor:
    """Terms of a bounded value that come back: they become one for each."""
    xs = [sg.tanh(sg.vector(f"x{k}", shape="n")) for k in range(10)]
    total = xs[0]
    for k in range(1, n // 2):
        total = total + float(k) * xs[k % 10]
    return total


def identities(n: int) -> Tensor:
    """Half of the nodes do nothing."""
    y = sg.vector("x", shape="n")
    for _ in range(n // 4):
        y = sg.negative(-sg.tanh(y)) * 1.0
    return y


GRAPHS: tuple[Callable[[int], Tensor], ...] = (
    chain, diamonds, recurrent, wide_sum, repeated_terms, identities,
)  # fmt: skip


def rate(make: Callable[[int], Tensor], size: int, passes: str) -> float:
    """Nodes per second, the best of three; the collector rests."""
    expression = make(size)
    nodes = len(Graph([expression]))
    best = float("inf")
    for _ in range(3):
        gc.collect()
        gc.disable()
        start = time.process_time()
        sg.simplify(expression, passes)
        best = min(best, time.process_time() - start)
        gc.enable()
    return nodes / best


def main(given: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--quick", action="store_true", help="leave out the largest graphs")
    options.add_argument("--sizes", type=int, nargs="+", help="numbers of nodes")
    chosen = options.parse_args(given)
    sizes = chosen.sizes or (SIZES[:2] if chosen.quick else SIZES)
    print("simplification, thousands of nodes a second")
    print(f"{'graph':16} {'passes':8}" + "".join(f"{n:>10}" for n in sizes))
    for make in GRAPHS:
        for passes in ("strict", "default", "fast"):
            cells = "".join(f"{rate(make, n, passes) / 1000:10.0f}" for n in sizes)
            print(f"{make.__name__:16} {passes:8}{cells}", flush=True)


if __name__ == "__main__":
    main()
