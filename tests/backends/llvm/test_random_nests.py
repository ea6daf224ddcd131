"""Random loop nests against NumPy: strides, offsets, broadcasts, axes of size 0 and 1."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symgraph as sg

Array = np.ndarray[Any, Any]
HERE = Path(__file__).parent
SIZES = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 65)
REDUCTIONS = ("sum", "max", "min", "mean")


def views(rng: np.random.Generator, x: Any) -> Any:
    """A random turn, flip or cut of an array, of NumPy's or ours."""
    kind = rng.integers(0, 5)
    if kind == 0:
        return x.T
    if kind == 1:
        return x[::-1]
    if kind == 2:
        return x[:, ::-1]
    if kind == 3:
        return x[:, ::2]
    return x[1:]


def expression(seed: int, x: Any, y: Any, np_like: Any) -> list[Any]:
    """The same random expressions over NumPy arrays or over tensors."""
    rng = np.random.default_rng(seed)
    z = x
    for _ in range(int(rng.integers(0, 3))):
        z = views(rng, z)
    z = z * 2 + y if rng.integers(0, 2) else z - 1
    axis = (None, 0, 1)[int(rng.integers(0, 3))]
    if rng.integers(0, 2):
        z = z + getattr(np_like, str(rng.choice(REDUCTIONS)))(z, axis=axis, keepdims=True)
    out = [z, np_like.sum(np_like.abs(z), axis=axis)]
    return [*out, views(rng, z) * 1.5]


@pytest.mark.parametrize("seed", range(40))
def test_random_nests_agree_with_numpy(seed: int) -> None:
    rng = np.random.default_rng(1000 + seed)
    n, m = (int(v) for v in rng.choice(SIZES[2:], 2))
    dtype = str(rng.choice(["float32", "float64"]))
    a, b = rng.normal(size=(n, m)).astype(dtype), rng.normal(size=()).astype(dtype)
    static = bool(rng.integers(0, 2))
    x = sg.tensor("x", shape=(n, m) if static else ("n", "m"), dtype=dtype)
    y = sg.tensor("y", shape=(), dtype=dtype)
    compiled = sg.function([x, y], expression(seed, x, y, sg), passes=())
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    for got, want in zip(compiled(a, b), expression(seed, a, b, np), strict=True):
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1), (2, 0, 1)])
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_turned_operands_at_every_size(order: tuple[int, ...], dtype: str) -> None:
    x = sg.tensor("x", shape=("a", "b", "c"), dtype=dtype)
    f = sg.function([x], [sg.permute_dims(x, order) * 2, sg.permute_dims(x, order)])
    rng = np.random.default_rng(6)
    for shape in ((1, 1, 1), (3, 17, 33), (2, 40, 19), (16, 16, 16), (5, 0, 2), (1, 130, 7)):
        a = rng.integers(-50, 50, shape).astype(dtype)
        for got, want in zip(f(a), (a.transpose(order) * 2, a.transpose(order)), strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("bits", [128, 256])
def test_kernels_at_narrower_vectors(bits: int) -> None:
    """The tests of units, chunks, columns and nests, in a process of their own."""
    names = ("test_units.py", "test_two_phase.py", "test_columns.py", "test_random_nests.py")
    environment = {**os.environ, "SYMGRAPH_VECTOR_BITS": str(bits), "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    chosen = ["-k", "not narrower", *(str(HERE / name) for name in names)]
    done = subprocess.run(
        [*command, *chosen], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]
