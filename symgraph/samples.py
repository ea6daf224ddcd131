"""Small arrays for the inputs of a graph: ordinary ones, and those where formulas break."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from symgraph.backends.reference.evaluate import bind_sizes, check_equations, evaluate_graph
from symgraph.errors import IndexRangeError, ShapeError, UnsupportedError, UsageError
from symgraph.functions import SharedVariable
from symgraph.graph import Graph
from symgraph.sizes import Atom, Dim, evaluate, symbols_of
from symgraph.tensor import Tensor

__all__ = ["KINDS", "draw", "given_values", "whole_number"]

Array = np.ndarray[Any, Any]
Values = dict[Tensor, Array]

#: How floats are drawn: near one, across the range of exponentials, at the ends of the format.
KINDS = ("ordinary", "steep", "extreme")

STEEP: tuple[float, ...] = (
    0.0, -0.0, 1e-20, -1e-9, 0.3, -0.9, 1.0, -1.0, 5.0, -17.0, 37.0, 89.0, -104.0, 720.0, -760.0,
    1e3, -1e4,
)  # fmt: skip
#: The smallest size a symbol stands for.
SMALLEST = 5


def draw(graph: Graph, kind: str = "ordinary", seed: int = 0) -> Values:
    """Values for all inputs and shared variables of a graph; shared ones keep their own.

    Symbolic sizes become small numbers that satisfy the graph's equations; integers are small, so
    that they may serve as indices.

    Raises:
        UnsupportedError: no small sizes were found that fit.
    """
    leaves = list(graph.inputs)
    shared = [n for n in graph.nodes if isinstance(n, SharedVariable)]
    kept = {s: s.cell.array for s in shared}
    reasons: Exception | None = None
    for sizes in _candidates([d for v in leaves for d in v.shape], bind_sizes(kept.items())):
        for top in (3, 1):
            rng = np.random.default_rng(seed)
            try:
                values = {v: _array(v, kind, sizes, rng, top) for v in leaves} | kept
                check_equations(graph, bind_sizes(values.items()), complete=False)
                evaluate_graph(graph, values)
            except (ShapeError, IndexRangeError, UsageError, ValueError) as error:
                reasons = error
            else:
                return values
    raise UnsupportedError(
        f"no small arrays were found that fit the inputs; f.replay(arrays) takes some: {reasons}"
    )


def given_values(graph: Graph, arrays: list[Array]) -> Values:
    """The caller's arrays by input, with the shared variables' own values."""
    shared = [n for n in graph.nodes if isinstance(n, SharedVariable)]
    return dict(zip(graph.inputs, arrays, strict=True)) | {s: s.cell.array for s in shared}


def _candidates(dims: list[Dim], known: dict[Atom, int]) -> Iterator[dict[Atom, int]]:
    """Assignments of small sizes to the symbols: all different, then all equal."""
    free = [a for a in dict.fromkeys(a for d in dims for a in _sorted(d)) if a not in known]
    yield {**known, **{a: SMALLEST + k for k, a in enumerate(free)}}
    for size in (4, 3, 2, 1, 16, 64):
        yield {**known, **dict.fromkeys(free, size)}


def _sorted(d: Dim) -> list[Atom]:
    return sorted((a for a in symbols_of(d) if a.kind == "symbol"), key=lambda a: a.name)


def _array(v: Tensor, kind: str, sizes: dict[Atom, int], rng: Any, top: int) -> Array:
    shape = tuple(evaluate(d, sizes) for d in v.shape)
    if v.dtype.kind == "b":
        return np.asarray(rng.random(shape) > 0.5)
    if v.dtype.kind in "iu":
        return np.asarray(rng.integers(0, top, shape)).astype(v.dtype)
    normal = rng.normal(0.0, 1.0, shape)
    if kind == "ordinary":
        return np.asarray(normal.astype(v.dtype))
    limits = np.finfo(v.dtype)
    ends = (float(limits.max), float(limits.tiny), float(limits.smallest_subnormal), 1e30, 1e-30)
    pool = STEEP if kind == "steep" else (*STEEP, *ends, *(-e for e in ends))
    chosen = rng.choice(np.array(pool), shape)
    return np.asarray(np.where(rng.random(shape) < 0.6, chosen, normal).astype(v.dtype))


def whole_number(value: Any, what: str, least: int) -> int:
    """The argument as an int.

    Raises:
        UsageError: it is not a whole number, or below ``least``.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise UsageError(f"{what}={value!r} is not a whole number from {least} on")
    return int(value)
