"""Emitted loops: whole vectors, masked tails, long kernels, deep programs, stages as text."""

from __future__ import annotations

import numpy as np
import pytest
from stages import both, native, nests_of

import symgraph as sg
from symgraph.backends.llvm.builder import Builder, Module
from symgraph.backends.llvm.clusters import LIMIT
from symgraph.backends.llvm.emit import NestEmitter, choose_lanes, emit_nest
from symgraph.backends.llvm.jit import host
from symgraph.backends.llvm.join_axes import join_axes
from symgraph.backends.llvm.loops import PointerParam

X = sg.tensor("x", shape=("n", "m"))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "bool", "int64", "uint16"])
def test_every_length_around_a_vector(dtype: str) -> None:
    """A map with a use of its row sum, at every length up to two vectors and a bit."""
    x = sg.tensor("x", shape=("n", "m"), dtype=dtype)
    outputs = [
        x == x[::-1],
        sg.sum(x, axis=1),
        sg.max(x, axis=0),
        sg.where(x == x[0], x, x[:, ::-1]),
    ]
    compiled, reference = both([x], outputs)
    rng = np.random.default_rng(0)
    for m in (*range(1, 20), 31, 32, 33, 63, 65, 129):
        a = rng.integers(0, 2, (3, m)).astype(dtype)
        for got, want in zip(compiled(a), reference(a), strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("extent", [2, 3, 8, 9, 16, 17, 100])
@pytest.mark.parametrize("axis", [0, 1])
def test_static_extents(extent: int, axis: int) -> None:
    x = sg.tensor("x", shape=("n", extent))
    compiled, reference = both([x], [sg.softmax(x, axis=axis), sg.argmax(x, axis=axis), x * 2])
    a = np.random.default_rng(extent).normal(size=(5, extent))
    for got, want in zip(compiled(a), reference(a), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_static_extents_of_zero_touch_no_memory(shape: tuple[int, int]) -> None:
    x = sg.tensor("x", shape=shape)
    i = np.zeros(0, dtype="int64")
    outputs = [
        sg.sum(sg.exp(x), axis=0), sg.sum(x, axis=1), sg.log_softmax(x, axis=1), sg.prod(x),
        sg.sum(-sg.ones(1)[i]), sg.max(sg.concat([x, x]), axis=0) if shape[0] else x,
    ]  # fmt: skip
    compiled, reference = both([x], outputs)
    for got, want in zip(compiled(np.zeros(shape)), reference(np.zeros(shape)), strict=True):
        np.testing.assert_array_equal(got, want)


def test_five_axes() -> None:
    x = sg.tensor("x", shape=("a", 2, "b", 1, 3))
    y = (
        sg.permute_dims(x, (4, 0, 3, 2, 1)) * 2
        + sg.sum(x, axis=(1, 4), keepdims=True)[0, 0, 0, 0, 0]
    )
    compiled, reference = both([x], [y, sg.sum(y, axis=(0, 3)), sg.softmax(y, axis=(1, 4))])
    a = np.random.default_rng(5).normal(size=(4, 2, 5, 1, 3))
    for got, want in zip(compiled(a), reference(a), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13)


def test_lanes_where_the_vector_axis_is_reduced_follow_the_sums() -> None:
    x = sg.tensor("x", shape=("n", "m"), dtype="float32")
    alone, beside = (
        nests_of(sg.sum(x, axis=1))[0],
        nests_of(sg.sum(x, axis=1), sg.argmax(x, axis=1))[0],
    )
    assert choose_lanes(alone, host(), 1) == choose_lanes(beside, host(), 1) == 2 * host().lanes(32)


def test_a_short_static_axis_takes_no_more_lanes_than_it_has() -> None:
    (nest,) = nests_of(sg.tensor("x", shape=("n", 3)) * 2)
    assert choose_lanes(nest, host(), 1) == 4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shape", [("n", 3, 2), ("n", 2, 3), (100, 50, 3), ("n", "m", "k")])
def test_values_between_passes_have_room_for_all_rows_side_by_side(
    shape: tuple[int | str, ...], axis: int, dtype: str
) -> None:
    """Also where the rows lie along two axes that the kernel walks as one."""
    x = sg.tensor("x", shape=shape, dtype=dtype)
    f = native([x], sg.softmax(x, axis=axis))
    for call in f.calls:
        if call.nest is None or not call.nest.scratch:
            continue
        e = NestEmitter(
            Builder(Module(), "room", "i64", [("ptr", "args")]), join_axes(call.nest), host()
        )
        rows = 1 if e.inner_vector else e.lanes
        kept = [p.bytes for p in call.params if isinstance(p, PointerParam) and p.role == "scratch"]
        assert kept == [x.shape[axis] * 8 * rows]  # the widest dtype


def test_the_text_of_a_kernel() -> None:
    """Explicit vectors, a masked tail, no fast-math, no contraction."""
    (nest,) = nests_of(X * X + 1)
    module = Module()
    emit_nest(module, "kernel", nest, host())
    text = str(module)
    assert "define i64 @kernel(ptr %args, i64 %begin, i64 %end)" in text
    assert "x double>, ptr" in text and "llvm.masked.load" in text
    assert "fast" not in text and "contract" not in text and "fma" not in text


def test_a_long_chain_of_elements_splits_and_is_right() -> None:
    x = sg.vector("x")
    y = x
    for k in range(3000):
        y = y * 0.999 if k % 3 else y + 0.25
    f = native([x], y, passes=())
    assert len(f.calls) == -(-3000 // LIMIT)
    a = np.linspace(-2.0, 2.0, 37)
    want = a.copy()
    for k in range(3000):
        want = want * 0.999 if k % 3 else want + 0.25
    np.testing.assert_array_equal(f(a), want)


def test_a_chain_of_3000_layers() -> None:
    """One kernel and one product, or both in one where rows are whole vectors, 3 000 times."""
    x, w = sg.tensor("x", shape=("n", 4)), sg.tensor("w", shape=(4, 4))
    y = x
    for _ in range(3000):
        y = sg.tanh(y @ w)
    f = native([x, w], y)
    assert f.compile_stats.kernels <= 3 and f.compile_stats.calls in (3000, 6000)
    a, weights = np.full((3, 4), 0.5), np.eye(4) * 1.2
    want = a
    for _ in range(3000):
        want = np.tanh(want @ weights)
    np.testing.assert_allclose(f(a, weights), want, rtol=1e-9)
