"""How far two right results of one graph may lie apart.

The graph is evaluated again with every rounded value moved a little; an element may differ by a
multiple of what that changed. Where it changed a lot, or made or lost a NaN, anything goes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from exactness import update_bits

import symgraph as sg
from symgraph.backends.reference.evaluate import evaluate_graph

__all__ = ["allowances", "assert_close"]

Array = np.ndarray[Any, Any]
TRIES = 3
UNITS = 24  # how many units in the last place a rounded value is moved
GATHERED = (
    "sum",
    "prod",
    "matmul",
    "cumulative_sum",
    "linear_recurrence",
    "logsumexp",
    "scatter_add",
)


def _moved(node: sg.Tensor, value: Array, operands: list[Array], rng: np.random.Generator) -> None:
    unit = UNITS * float(np.finfo(value.dtype).eps)
    noise = rng.uniform(-1.0, 1.0, value.shape)
    scale = np.abs(value)
    if node.op.name in GATHERED:
        largest = [np.abs(a).max() for a in operands if a.size and a.dtype.kind == "f"]
        scale = scale + max(largest, default=0.0)
    value += (unit * noise * scale).astype(value.dtype)


def allowances(f: sg.Function, arrays: list[Array]) -> list[Array]:
    """For every output how far its elements may be off (infinite: no telling)."""
    bits: dict[sg.Tensor, int | None] = {}
    update_bits(list(f.graph.outputs), bits)
    given = dict(zip(f.signature.inputs, arrays, strict=True))
    plain = [np.array(v) for v in evaluate_graph(f.graph, given)]
    out = [np.zeros(v.shape) for v in plain]
    for seed in range(TRIES):
        for total, before, after in zip(out, plain, _perturbed(f, given, bits, seed), strict=True):
            if before.dtype.kind == "f":
                total += _distance(before, after)
            else:
                total[before != after] = np.inf
    return out


def _perturbed(
    f: sg.Function, given: dict[sg.Tensor, Array], bits: dict[sg.Tensor, int | None], seed: int
) -> list[Array]:
    rng = np.random.default_rng(seed)
    values: dict[sg.Tensor, Array] = {}

    def observe(node: sg.Tensor, value: Any) -> None:
        values[node] = value
        if isinstance(value, tuple) or not node.inputs or "moves" in node.op.traits:
            return
        if value.dtype.kind == "f" and bits[node] is None and value.flags.writeable:
            operands = [values[i] for i in node.inputs if not isinstance(values[i], tuple)]
            with np.errstate(all="ignore"):
                _moved(node, value, operands, rng)

    return evaluate_graph(f.graph, given, observe)


def _distance(a: Array, b: Array) -> Array:
    with np.errstate(all="ignore"):
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        gap = np.abs(a.astype(np.float64) - b.astype(np.float64))
    return np.where(same, 0.0, np.where(np.isnan(gap), np.inf, gap))


def assert_close(got: Any, want: Array, allowed: Array, factor: float = 4.0) -> None:
    """Fail where an element of ``got`` is further from ``want`` than is allowed."""
    got = np.asarray(got)
    assert got.dtype == want.dtype, f"dtype {got.dtype}, expected {want.dtype}"
    assert got.shape == want.shape, f"shape {got.shape}, expected {want.shape}"
    if want.dtype.kind != "f":
        wrong = (got != want) & np.isfinite(allowed)
    else:
        tiny = 8 * float(np.finfo(want.dtype).tiny)
        wrong = _distance(got, want) > factor * allowed + tiny
    assert not wrong.any(), (
        f"{int(wrong.sum())} elements differ: {got[wrong][:4]}, expected {want[wrong][:4]}"
    )
