"""Fusion, units and threads: however a graph is compiled and run, results have the same bits."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from random_graphs import FLOATS, Example, examples
from variants import assert_same_bits, outcome, shared_out, shuffled_units, unfused

import symgraph as sg

SETTINGS: dict[str, Any] = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}
#: Around vectors, blocks of columns and units; sums of more than one chunk.
LARGE = (
    (3, 1030), (1025, 5), (2, 17, 65), (40, 300), (20_011,), ("n", 700), (5, "n"), (), (1,), (300,),
    (2, 9000), (9000, 2), (0, 7),
)  # fmt: skip


def compiled(example: Example, **options: Any) -> sg.Function:
    return sg.function(example.inputs, example.outputs, passes=(), **options)


def compare(example: Example, way: contextlib.AbstractContextManager[None], **options: Any) -> None:
    """The outputs compiled as usual and in another way have the same bits."""
    want = outcome(compiled(example), example.arrays)
    with way, np.errstate(all="ignore"):
        assert_same_bits(outcome(compiled(example, **options), example.arrays), want)


@settings(max_examples=100, **SETTINGS)
@given(examples())
def test_fusion_changes_no_bit(example: Example) -> None:
    compare(example, unfused())


@settings(max_examples=40, **SETTINGS)
@given(examples(shapes=LARGE, first=FLOATS))
def test_fusion_of_large_arrays_changes_no_bit(example: Example) -> None:
    compare(example, unfused())


@settings(max_examples=60, **SETTINGS)
@given(examples(shapes=LARGE, first=FLOATS))
def test_units_in_any_order_give_the_same_bits(example: Example) -> None:
    compare(example, shuffled_units())


@settings(max_examples=60, **SETTINGS)
@given(examples(shapes=LARGE, first=FLOATS))
def test_threads_give_the_same_bits(example: Example) -> None:
    for threads in (2, 3):
        compare(example, shared_out(), threads=threads)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("sizes", [(300, 700, 260), (65, 1500, 33), (17, 9, 2100), (700, 40, 1)])
def test_products_and_their_epilogues(dtype: str, sizes: tuple[int, int, int]) -> None:
    """Products of more than one block, with all that may follow in the same kernel."""
    m, k, n = sizes
    shapes = {"x": (m, k), "w": (k, n), "b": (n,), "y": (m, n), "z": (2, m, k)}
    inputs = {s: sg.tensor(s, shape=("batch", *d[1:]) if s == "z" else d, dtype=dtype)
              for s, d in shapes.items()}  # fmt: skip
    x, w, b, y, z = inputs.values()
    rng = np.random.default_rng(m)
    arrays = [np.asarray(rng.normal(size=d)).astype(dtype) for d in shapes.values()]
    hidden = sg.relu(x @ w + b)
    outputs = [
        hidden, sg.tanh(z @ w + b), w - 0.1 * sg.matrix_transpose(x) @ y, (x @ w) * y, x @ w,
        sg.where(hidden > 0, y @ sg.matrix_transpose(w) @ w, 0), sg.sum(sg.square(x @ w)),
    ]  # fmt: skip
    example = Example(list(inputs.values()), outputs, arrays)
    compare(example, unfused())
    compare(example, shuffled_units())
    for threads in (2, 3):
        compare(example, shared_out(), threads=threads)
