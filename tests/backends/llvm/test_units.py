"""Units: however a kernel's work is dealt out, every result has the same bits."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from stages import calls_of

import symgraph as sg
from symgraph.backends.llvm import jit
from symgraph.backends.llvm.builder import Module
from symgraph.backends.llvm.loops import PointerParam
from symgraph.backends.reference.evaluate import bind_sizes
from symgraph.ops import leaves
from symgraph.sizes import evaluate
from symgraph.tensor import Tensor

Array = np.ndarray[Any, Any]
Split = Callable[[int], Sequence[tuple[int, int]]]
KERNEL = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


class Program:
    """The kernel calls of some outputs, run one range of units after another."""

    def __init__(self, *outputs: Tensor) -> None:
        self.calls = calls_of(*outputs)
        module = Module()
        for k, call in enumerate(self.calls):
            assert call.emit is not None
            call.emit(module, f"kernel{k}", jit.host())
        self.library = jit.load(str(module), optimise=False)

    def run(self, inputs: dict[Tensor, Array], split: Split) -> list[Array]:
        """What every call writes, in order."""
        sizes = bind_sizes(inputs.items())
        memory: dict[Any, Array] = dict(inputs)
        for k, call in enumerate(self.calls):
            units = evaluate(call.units, sizes)
            kernel = KERNEL(self.library.address(f"kernel{k}"))
            for begin, end in split(units):
                self.scratch: list[Array] = []
                table = [self._argument(p, memory, sizes) for p in call.params]
                assert kernel((ctypes.c_int64 * len(table))(*table), begin, end) == 0
        return [a for v, a in memory.items() if v not in inputs and a.size]

    def _argument(self, p: Any, memory: dict[Any, Array], sizes: Any) -> int:
        if not isinstance(p, PointerParam):
            return int(evaluate(p.dim, sizes))
        if p.node is None:
            self.scratch.append(np.zeros(64 * evaluate(p.bytes, sizes) + 64, np.uint8))
            return int(self.scratch[-1].ctypes.data)
        if p.node.op is leaves.constant:
            memory.setdefault(p.node, p.node.attrs["value"])
        if p.node not in memory:
            shape = [evaluate(d, sizes) for d in p.node.shape]
            memory[p.node] = np.full(shape, 85, p.node.dtype.name)
        return int(memory[p.node].ctypes.data + evaluate(p.offset, sizes) * p.node.dtype.itemsize)


def whole(units: int) -> list[tuple[int, int]]:
    return [(0, units)]


def backwards(units: int) -> list[tuple[int, int]]:
    return [(k, k + 1) for k in reversed(range(units))]


def in_three(units: int) -> list[tuple[int, int]]:
    cuts = [0, units // 3, (2 * units + 1) // 3, units]
    return [(a, b) for a, b in itertools.pairwise(cuts)][::-1]


def cases(x: Tensor) -> dict[str, list[Tensor]]:
    return {
        "map": [sg.exp(x) * 2 + x],
        "map of rows": [x - x[:1], x * 2],
        "turned": [sg.matrix_transpose(x) + 1],
        "sums of rows": [sg.sum(x, axis=1), sg.argmax(x, axis=1)],
        "sums of columns": [sg.sum(x * x, axis=0), sg.max(x, axis=0)],
        "softmax": [sg.softmax(x, axis=1)],
        "softmax of columns": [sg.softmax(x, axis=0)],
        "sum": [sg.sum(x)],
        "mean of a map": [sg.mean(sg.exp(x)), sg.exp(x)],
        "several": [sg.max(x) - sg.min(x), sg.mean(x), sg.prod(x), sg.any(x > 3)],
        "softmax of all": [sg.softmax(x, axis=(0, 1))],
    }


X = sg.tensor("x", shape=("n", "m"), dtype="float32")
SHAPES = [(0, 3), (3, 0), (1, 1), (2, 5000), (5000, 2), (37, 101), (300, 300), (401, 3)]


@pytest.mark.parametrize("case", list(cases(X)))
@pytest.mark.parametrize("static", [False, True])
def test_any_split_gives_the_same_bits(case: str, static: bool) -> None:
    draw = np.random.default_rng(4)
    for shape in SHAPES:
        if static and 0 in shape:
            continue
        x = sg.tensor("x", shape=shape, dtype="float32") if static else X
        program = Program(*cases(x)[case])
        array = draw.normal(size=shape).astype("float32")
        first = [a.tobytes() for a in program.run({x: array}, whole)]
        for split in (backwards, in_three):
            assert [a.tobytes() for a in program.run({x: array}, split)] == first, shape


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (2, 3, 0), (2, 5, 7), (1, 40, 33)])
@pytest.mark.parametrize("batch", ["b", 2])
def test_units_of_two_axes(shape: tuple[int, ...], batch: str | int) -> None:
    if batch == 2 and shape[0] != 2:
        shape = (2, *shape[1:])
    x = sg.tensor("x", shape=(batch, "n", "m"), dtype="float32")
    w = sg.tensor("w", shape=("m",), dtype="float32")
    outputs = [sg.softmax(x, axis=2), sg.permute_dims(x, (1, 2, 0)) * 2, x[:, ::-1, ::2] + 1]
    draw = np.random.default_rng(8)
    inputs = {x: draw.normal(size=shape).astype("float32"), w: np.ones(shape[2], "float32")}
    for y in (*outputs, sg.sum(x * w, axis=1), x + w):
        program = Program(y)
        first = [a.tobytes() for a in program.run(inputs, whole)]
        for split in (backwards, in_three):
            assert [a.tobytes() for a in program.run(inputs, split)] == first


@pytest.mark.parametrize("sizes", [(1, 1), (5, 7), (3, 70), (33, 2), (0, 4), (4, 0)])
def test_units_of_pairs_of_points(sizes: tuple[int, int]) -> None:
    """Three coordinates of a number that shows at run time: ranges begin within a run. Seed 9."""
    x, y = (sg.tensor(c, shape=(c, "k"), dtype="float32") for c in "xy")
    apart = x[:, None, :] - y[None, :, :]
    draw = np.random.default_rng(9)
    inputs = {
        v: draw.normal(size=(k, 3)).astype("float32") for v, k in zip((x, y), sizes, strict=True)
    }
    program = Program(sg.sqrt(sg.sum(apart * apart, axis=2)), sg.softmax(apart, axis=2))
    first = [a.tobytes() for a in program.run(inputs, whole)]
    for split in (backwards, in_three):
        assert [a.tobytes() for a in program.run(inputs, split)] == first


def test_a_batch_of_one_is_dealt_out_by_rows() -> None:
    x = sg.tensor("x", shape=("b", "n", 30))
    (call,) = calls_of(sg.softmax(x, axis=2))
    assert evaluate(call.units, bind_sizes([(x, np.zeros((1, 50, 30)))])) == 50


def units(y: Tensor) -> list[Any]:
    return [c.units for c in calls_of(y)]


def test_the_units_of_a_map_are_blocks_of_whole_vectors() -> None:
    x = sg.tensor("x", shape=(10, 1000))
    assert units(x * 2) == [10]  # of 1024 elements
    assert units(sg.tensor("x", shape=(1000,)) * 2) == [1]


def test_a_short_first_loop_is_dealt_out_with_the_second() -> None:
    x, b = sg.tensor("x", shape=(3, 5000)), sg.tensor("b", shape=(5000,))
    assert units(x + b) == [15]


def test_rows_and_columns() -> None:
    x = sg.tensor("x", shape=(100, 1000))
    assert units(sg.softmax(x, axis=1)) == [100]
    assert units(sg.softmax(x, axis=0)) == [4]


def test_work_grows_with_functions() -> None:
    (cheap,), (dear,) = calls_of(X + 1), calls_of(sg.exp(X))
    sizes = bind_sizes([(X, np.zeros((10, 20)))])
    assert 1000 <= evaluate(cheap.work, sizes) < 4000 < evaluate(dear.work, sizes) < 10_000


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
def test_a_product_of_two_vectors(dtype: str) -> None:
    """The sum of many products falls into units, as other long sums do."""
    a, b = sg.vector("a", dtype=dtype), sg.vector("b", dtype=dtype)
    rng = np.random.default_rng(3)
    x, y = (rng.integers(0, 3, size=50_000).astype(dtype) for _ in range(2))
    assert sg.function([a, b], a @ b)(x, y) == x @ y
    if dtype.startswith("float"):
        sizes = bind_sizes([(a, x), (b, y)])
        assert evaluate(calls_of(a @ b)[0].units, sizes) > 1
