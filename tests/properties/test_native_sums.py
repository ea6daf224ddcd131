"""Sums of hard data are as accurate as NumPy's pairwise sums, whatever kernel makes them.

NumPy adds pairwise only along the last axis of contiguous memory, so its sums are taken there;
`math.fsum` is exact. Errors are counted in half units of the last place of the sum of magnitudes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from variants import shared_out

import symgraph as sg

Array = np.ndarray[Any, Any]
Rng = np.random.Generator
SEEDS = 4

DATA: dict[str, Callable[[int, Rng], Array]] = {
    "normal": lambda n, rng: rng.normal(size=n),
    "positive": lambda n, rng: rng.uniform(size=n),
    "of no finite binary form": lambda n, rng: 0.1 * rng.integers(1, 4, n),
    "falling": lambda n, rng: rng.uniform(0.5, 2) / np.arange(1, n + 1),
    "rising": lambda n, rng: rng.uniform(0.5, 2) / np.arange(n, 0, -1),
    "spikes": lambda n, rng: rng.normal(size=n) * np.where(np.arange(n) % 997, 1, 1e6),
    "of two signs": lambda n, rng: (1 - 2 * (np.arange(n) % 2)) * (1e4 + rng.normal(size=n)),
    "cancelling": lambda n, rng: _cancelling(n, rng),
}


def _cancelling(n: int, rng: Rng) -> Array:
    half = rng.normal(size=(n + 1) // 2) * 10.0 ** rng.integers(0, 6, (n + 1) // 2)
    return rng.permutation(np.concatenate([half, -half])[:n]) + rng.normal(size=n) * 1e-3


#: Shape, axes, and what is summed. Few rows are walked in chunks, columns in tiles.
KERNELS: dict[str, tuple[tuple[int, ...], Any, Callable[[sg.Tensor], sg.Tensor]]] = {
    "everything": ((70_001,), None, lambda x: x),
    "everything of a matrix": ((300, 217), None, lambda x: x),
    "short rows in all": ((20_011, 3), None, lambda x: x),
    "rows": ((33, 5001), 1, lambda x: x),
    "rows of a few vectors": ((100, 300), 1, lambda x: x),
    "rows below a vector": ((900, 9), 1, lambda x: x),
    "columns": ((5001, 33), 0, lambda x: x),
    "few columns": ((20_001, 3), 0, lambda x: x),
    "many columns": ((40, 1030), 0, lambda x: x),
    "an axis in the middle": ((7, 1500, 9), 1, lambda x: x),
    "outer axes": ((200, 90, 3), (0, 1), lambda x: x),
    "ends": ((90, 5, 211), (0, 2), lambda x: x),
    "turned rows": ((5001, 33), 1, sg.matrix_transpose),
    "masked": ((20_003,), None, lambda x: sg.where(x != 0, x, 1.0)),
    "picked": ((9001,), None, lambda x: sg.take(x, sg.arange(x.shape[0]), axis=0)),
    "walked twice": ((3, 20_001), 1, lambda x: x * (sg.max(x, axis=1, keepdims=True) < np.inf)),
}


def rows_of(a: Array, axis: Any) -> Array:
    """The elements that each sum adds, as contiguous rows."""
    axes = range(a.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    rest = [k for k in range(a.ndim) if k not in axes]
    turned = a.transpose(*rest, *axes)
    count = math.prod(a.shape[k] for k in axes)
    return np.ascontiguousarray(turned.reshape(a.size // count, count))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernel", list(KERNELS))
def test_sums_are_as_accurate_as_pairwise_ones(kernel: str, dtype: str) -> None:
    shape, axis, view = KERNELS[kernel]
    half = float(np.finfo(dtype).eps) / 2
    named, fixed = (
        sg.tensor("x", shape=s, dtype=dtype) for s in (tuple("abc"[: len(shape)]), shape)
    )
    functions = [sg.function([x], sg.sum(view(x), axis=axis), passes=()) for x in (named, fixed)]
    with shared_out():
        functions.append(sg.function([named], sg.sum(view(named), axis=axis), passes=(), threads=2))
    for name, data in DATA.items():
        ours, pairwise = list[Array](), list[Array]()
        for seed in range(SEEDS):
            a = data(math.prod(shape), np.random.default_rng(seed)).astype(dtype).reshape(shape)
            rows = rows_of(a.T if kernel == "turned rows" else a, axis)
            exact = np.array([math.fsum(row) for row in rows])
            scale = half * np.abs(rows.astype(np.float64)).sum(axis=1)
            found = [np.ravel(f(a)).astype(np.float64) for f in functions]
            assert found[0].tobytes() == found[2].tobytes(), "threads change the bits"
            ours += [(f - exact) / scale for f in found]
            pairwise.append((rows.sum(axis=1).astype(np.float64) - exact) / scale)
        mine, numpys = (np.concatenate(e) for e in (ours, pairwise))
        # rounding the exact sum costs up to 1; twelve additions in a row of one block
        assert np.abs(mine).max() <= 8, (name, np.abs(mine).max())
        # up to 0.6 is the last rounding alone, which no order avoids
        assert _size(mine) <= max(1.1 * _size(numpys), 0.8), (name, _size(mine), _size(numpys))


def _size(errors: Array) -> float:
    """The root mean square."""
    return float(np.sqrt(np.mean(errors**2)))
