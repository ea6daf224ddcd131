"""Rows of a few elements: one vector each, many side by side, and blocks of them.

However a row is walked, its bits are those of the documented order: each lane of a vector adds,
lanes are folded in halves, and up to a block of vectors nothing is compensated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from stages import calls_of, nests_of

import symgraph as sg
from symgraph.backends.llvm.builder import Module
from symgraph.backends.llvm.emit import emit_nest, may_be_points
from symgraph.backends.llvm.jit import host
from symgraph.backends.llvm.reduction import BLOCK
from symgraph.backends.llvm.units import has_tiny_rows, vector_axis
from symgraph.tensor import Tensor

Array = np.ndarray[Any, Any]
DTYPES = ("float32", "float64")


def norm(x: Tensor) -> Tensor:
    return sg.sqrt(sg.sum(x * x, axis=-1))


def layer_norm(x: Tensor) -> Tensor:
    centred = x - sg.mean(x, axis=-1, keepdims=True)
    return centred / sg.sqrt(sg.mean(centred * centred, axis=-1, keepdims=True) + 1e-5)


ROWS: dict[str, Callable[[Tensor], Any]] = {
    "sum": lambda x: sg.sum(x, axis=-1),
    "product": lambda x: sg.prod(x, axis=-1),
    "extremes": lambda x: [sg.max(x, axis=-1), sg.argmin(x, axis=-1), sg.argmax(x, axis=-1)],
    "norm": norm,
    "unit rows": lambda x: x / sg.expand_dims(norm(x), -1),
    "softmax": lambda x: sg.softmax(x, axis=-1),
    "log-softmax": lambda x: sg.log_softmax(x, axis=-1),
    "log-sum-exp": lambda x: sg.logsumexp(x, axis=-1),
    "layer norm": layer_norm,
    "a sum beside its terms": lambda x: [sg.sum(sg.exp(x), axis=-1), sg.exp(x)],
}


def results(inputs: list[Tensor], outputs: Any, *arrays: Array) -> list[bytes]:
    got = sg.function(inputs, outputs)(*arrays)
    return [np.asarray(a).tobytes() for a in (got if isinstance(got, list | tuple) else [got])]


def lengths(dtype: str) -> list[int]:
    """Row lengths around a tiny row, half a vector, a vector, and a block of vectors."""
    lanes = 2 * host().lanes(8 * np.dtype(dtype).itemsize)
    marks = (lanes // 2, lanes, BLOCK * lanes)
    return sorted({1, 2, 3, 4, 5, 10, *(m + d for m in marks for d in (-1, 0, 1)), 3 * lanes + 2})


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", ROWS)
def test_a_length_that_shows_at_run_time_gives_the_bits_of_a_declared_one(
    case: str, dtype: str
) -> None:
    """Seed 3; a declared length of 1 is no axis, and left out."""
    rng = np.random.default_rng(3)
    x = sg.tensor("x", shape=("n", "m"), dtype=dtype)
    f = sg.function([x], ROWS[case](x))
    for m in [m for m in lengths(dtype) if m > 1]:
        a = rng.normal(size=(37, m)).astype(dtype)
        y = sg.tensor("y", shape=("n", m), dtype=dtype)
        got = f(a)
        wanted = results([y], ROWS[case](y), a)
        found = [np.asarray(g).tobytes() for g in (got if isinstance(got, list | tuple) else [got])]
        assert found == wanted, m


def folded(row: Array, lanes: int) -> Any:
    """The sum of a row of one block in the documented order, in NumPy's arithmetic."""
    vectors = np.zeros((-(-len(row) // lanes), lanes), row.dtype)
    vectors.ravel()[: len(row)] = row
    total = np.zeros(lanes, row.dtype)
    for vector in vectors:
        total = total + vector
    while len(total) > 1:
        total = total[: len(total) // 2] + total[len(total) // 2 :]
    return total[0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sum_of_one_block_is_folded_in_halves_without_compensation(dtype: str) -> None:
    """Seed 4, against the order written out in NumPy."""
    rng, lanes = np.random.default_rng(4), 2 * host().lanes(8 * np.dtype(dtype).itemsize)
    for m in [m for m in lengths(dtype) if 1 < m <= BLOCK * lanes]:
        x = sg.tensor("x", shape=("n", m), dtype=dtype)
        a = rng.normal(size=(5, m)).astype(dtype)
        want = np.array([folded(row, lanes) for row in a])
        np.testing.assert_array_equal(sg.function([x], sg.sum(x, axis=1))(a), want)


@pytest.mark.parametrize("m", [0, 1, 2, 40])
def test_rows_of_symbolic_length_may_be_empty(m: int) -> None:
    x = sg.tensor("x", shape=("n", "m"))
    outputs = [sg.sum(x, axis=1), sg.any(x > 0, axis=1), sg.exp(x) / sg.sum(x, axis=1)[:, None]]
    total, some, rest = sg.function([x], outputs)(np.ones((3, m)))
    assert total.tolist() == [float(m)] * 3 and some.tolist() == [m > 0] * 3
    assert rest.shape == (3, m)


def text_of(output: Tensor) -> str:
    (nest,) = nests_of(output)
    module = Module()
    emit_nest(module, "kernel", nest, host())
    return str(module)


def test_a_long_kernel_is_not_written_twice_for_short_rows() -> None:
    x = sg.tensor("x", shape=("n", "m"))
    short, long = x, x
    for _ in range(4):
        short, long = sg.tanh(short), sg.tanh(sg.sin(sg.exp(sg.tanh(long))))
    one, four = (text_of(sg.sum(y, axis=1)) for y in (short, long))
    assert len(four) < 3.5 * len(one)


@pytest.mark.parametrize("shape", [("n", 3), (100, 4), ("k", "n", 2)])
def test_tiny_rows_are_side_by_side(shape: tuple[Any, ...]) -> None:
    (nest,) = nests_of(sg.sum(sg.tensor("x", shape=shape), axis=-1))
    assert has_tiny_rows(nest)
    assert vector_axis(nest) == len(nest.extents) - 2


@pytest.mark.parametrize("shape", [("n", 5), (3, 4), ("n", "m")])
def test_other_rows_are_not(shape: tuple[Any, ...]) -> None:
    (nest,) = nests_of(sg.sum(sg.tensor("x", shape=shape), axis=-1))
    assert not has_tiny_rows(nest)


def test_tiny_rows_in_any_units() -> None:
    """A range of units that begins at no multiple of a vector: seed 5."""
    x = sg.tensor("x", shape=("n", 3))
    outputs = [sg.softmax(x, axis=1), sg.sum(x, axis=1)]
    (call,) = calls_of(*outputs)
    assert call.units != 1
    a = np.random.default_rng(5).normal(size=(2500, 3))
    one, two = (sg.function([x], outputs, threads=t)(a) for t in (1, 2))
    for got, want in zip(two, one, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(1, 1), (1, 40), (40, 1), (5, 7), (33, 65), (0, 4), (4, 0)])
def test_points_of_a_length_that_shows_at_run_time(dtype: str, sizes: tuple[int, int]) -> None:
    """Distances of pairs have the bits of a declared length, and NumPy's values. Seed 6."""
    rng = np.random.default_rng(6)
    arrays = [rng.normal(size=(k, 3)).astype(dtype) for k in sizes]
    found = []
    for length in ("k", 3):
        x, y = (sg.tensor(c, shape=(c, length), dtype=dtype) for c in "xy")
        found += results([x, y], norm(x[:, None] - y[None]), *arrays)
    assert found[0] == found[1]
    want = np.linalg.norm(arrays[0][:, None] - arrays[1][None], axis=2)
    np.testing.assert_allclose(np.frombuffer(found[0], dtype), want.ravel(), rtol=1e-5)


def test_rows_of_a_light_kernel_have_code_of_their_own_for_points() -> None:
    x = sg.tensor("x", shape=("n", "m"))
    light, heavy = sg.sum(x * x, axis=1), sg.sum(sg.tanh(sg.exp(sg.sin(x))), axis=1)
    found = [may_be_points(nest, host()) for y in (light, heavy) for nest in nests_of(y)]
    assert found == [True, False]


def test_rows_in_blocks_store_what_every_pass_makes() -> None:
    """Values before, at and after the log of a sum, rows and elements: seed 6, against NumPy."""
    x, v = sg.tensor("x", shape=("n", 9)), sg.tensor("v", shape=("n",))
    high = sg.max(x, axis=1)
    total = sg.sum(sg.exp(x - high[:, None]) * v[:, None], axis=1)
    log = sg.log(total)
    outputs = [high, total, log, log > 1, x - log[:, None], sg.sum(x * log[:, None], axis=1)]
    f = sg.function([x, v], outputs, passes=())
    rng = np.random.default_rng(6)
    for n in (0, 1, 31, 32, 33, 100):
        a, w = rng.normal(size=(n, 9)), rng.uniform(1, 2, size=n)
        sums = np.sum(np.exp(a - a.max(axis=1, keepdims=True)) * w[:, None], axis=1)
        logs = np.log(sums)
        wanted = [
            a.max(axis=1), sums, logs, logs > 1, a - logs[:, None], np.sum(a * logs[:, None], 1)
        ]  # fmt: skip
        for got, want in zip(f(a, w), wanted, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
