"""The arrays that rewrites are checked on: special and ordinary numbers of every dtype."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from symgraph import Tensor

__all__ = ["PAIRS", "is_labels", "rows_of_values", "values_of", "with_infinities"]

Array = np.ndarray[Any, Any]

ORDINARY = [0.5, -0.5, 1.0, -1.0, 1.5, -2.25, 3.0, 0.1, -0.7, 40.0, -40.0, 1e-3, -1e-9, 2.0]
STEEP = [0.0, 1e-20, -1e-20, 0.3, -0.9, 1.0, -1.0, 5.0, -17.0, 89.0, -104.0]
STEEP += [720.0, -760.0, 1000.0, -1000.0]
MILD = [0.5, 0.75, 1.25, 1.5, 2.0, 2.5, 3.0]


def _specials(dtype: Any) -> list[float]:
    limits = np.finfo(dtype)
    big = 1e300 if dtype == np.float64 else 1e37
    tiny = float(limits.smallest_subnormal)
    ends = [float(limits.max), -float(limits.max), float(limits.tiny), tiny, -tiny]
    return [0.0, -0.0, np.inf, -np.inf, np.nan, big, -big, *ends]


def _whole(dtype: Any, kind: str) -> list[int]:
    """Integers; the special ones are those where arithmetic wraps around."""
    limits = np.iinfo(dtype)
    if kind in ("special", "finite"):
        ends = [limits.min, limits.min + 1, limits.max, limits.max - 1, limits.max // 2 + 1]
        return [v for v in (*ends, -7, -2, -1, 0, 1, 2, 3, 16) if v >= limits.min]
    return [v for v in range(-5, 6) if v >= limits.min]


def rows_of_values(kind: str, dtype: Any, shape: Sequence[int], rng: Any) -> Array:
    """An array of values: ``special``, ``finite``, ``steep`` (for exponentials) or ``mild``."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return np.asarray(rng.random(tuple(shape)) > 0.5)
    if dtype.kind in "iu":
        return np.asarray(rng.choice(np.array(_whole(dtype, kind), dtype), size=tuple(shape)))
    specials = [v for v in _specials(dtype) if kind == "special" or np.isfinite(v)]
    pool = {"steep": STEEP, "mild": MILD}.get(kind, specials + ORDINARY)
    return np.asarray(rng.choice(np.array(pool, dtype), size=tuple(shape)))


def is_labels(v: Tensor) -> bool:
    """Whether an input holds the labels 0, 1, 2 of an example."""
    return v.name == "k"


def values_of(kind: str, inputs: Sequence[Tensor], rows: int, seed: int = 0) -> dict[Tensor, Array]:
    """Values for every input, ``rows`` being the size n."""
    out: dict[Tensor, Array] = {}
    for k, v in enumerate(inputs):
        rng = np.random.default_rng(1000 * seed + k)
        shape = [rows if type(d) is not int else d for d in v.shape]
        if is_labels(v):
            out[v] = rng.integers(0, 3, size=shape)
        else:
            out[v] = rows_of_values(kind, v.dtype, shape, rng)
    return out


PAIRS = np.array(list(itertools.product([np.inf, -np.inf, np.nan, 0.5, -1.5, 3.0], repeat=2)))


def with_infinities(inputs: Sequence[Tensor]) -> tuple[dict[Tensor, Array], Array]:
    """Mild values, but rows that hold infinities or NaNs, never both; which rows hold no NaN."""
    values = values_of("mild", inputs, len(PAIRS))
    floats = [v for v in inputs if v.dtype.kind == "f"]
    columns = list(_columns(len(floats)))
    clean = ~np.any([np.isnan(c) for c in columns], axis=0)
    for k, (v, column) in enumerate(zip(floats, columns, strict=True)):
        settled = np.where(clean | np.isnan(column), column, 0.5)
        third = np.where(clean, np.roll(np.where(np.isnan(column), 2.0, column), k), 0.5)
        rows = np.stack([settled, np.full(len(PAIRS), 0.5), third], axis=1)
        values[v] = rows.astype(v.dtype)
    return values, clean


def _columns(count: int) -> Iterator[Array]:
    first, second = PAIRS.T
    yield from (first, second, np.roll(first, 1))[:count]
