"""Rounding errors of float32 sums beside NumPy: over a row, and over columns.

Run ``python tests/benchmarks/summation.py``. The unit is 2**-24 times the sum of magnitudes, so
that 1 is about one rounding of the result; a number is a mean of errors against ``math.fsum``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import symgraph as sg

Array = np.ndarray[Any, Any]


def error(found: Any, a: Array) -> float:
    """The distance of ``found`` from the sum of ``a`` in the unit above."""
    values = a.tolist()
    return abs(float(found) - math.fsum(values)) / (math.fsum(map(abs, values)) * 2.0**-24)


def main() -> None:
    row = sg.tensor("row", shape=("n",), dtype="float32")
    table = sg.tensor("table", shape=("n", 4), dtype="float32")
    rows, columns = sg.function([row], sg.sum(row)), sg.function([table], sg.sum(table, axis=0))
    rng = np.random.default_rng(0)
    titles = ("n", "symgraph row", "NumPy row", "symgraph column", "NumPy column")
    print("{:>8} {:>14} {:>14} {:>17} {:>14}".format(*titles))
    for n in (100, 1_000, 10_000, 100_000, 1_000_000):
        found = []
        for _ in range(10):
            a = rng.random(n).astype(np.float32)
            side = np.ascontiguousarray(np.broadcast_to(a[:, None], (n, 4)))
            sums = (rows(a), a.sum(), columns(side)[0], side.sum(axis=0)[0])
            found.append([error(s, a) for s in sums])
        print("{:8} {:14.2f} {:14.2f} {:17.2f} {:14.2f}".format(n, *np.mean(found, axis=0)))


if __name__ == "__main__":
    main()
