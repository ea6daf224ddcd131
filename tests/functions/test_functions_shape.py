"""Moving elements and making arrays: static and symbolic sizes against NumPy; refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import DTypeError, ShapeError, SymgraphError, UsageError

Array = np.ndarray[Any, Any]
SEED = 20260315


def run(out: Any, *pairs: tuple[sg.Tensor, Any]) -> Any:
    """The value of a graph, given its inputs with their values."""
    return sg.function([i for i, _ in pairs], out, backend="reference", passes=())(
        *[v for _, v in pairs]
    )


def both(build: Callable[[Any], Any], oracle: Callable[[Array], Array], array: Array) -> None:
    """Compare at a static and at a symbolic shape."""
    want = oracle(array)
    names = tuple(f"n{k}" for k in range(array.ndim))
    for shape in (array.shape, names):
        x = sg.tensor("x", shape=shape, dtype=array.dtype)
        got = run(build(x), (x, array))
        np.testing.assert_array_equal(got, want)
        assert got.dtype == want.dtype


@pytest.mark.parametrize("n", [0, 1, 2, 5])
@pytest.mark.parametrize("shift", [0, 1, -1, 3, 7, -12])
def test_roll(n: int, shift: int) -> None:
    array = np.arange(2.0 * n).reshape(n, 2)
    both(lambda x: sg.roll(x, shift, axis=0), lambda a: np.roll(a, shift, axis=0), array)
    both(lambda x: sg.roll(x, shift), lambda a: np.roll(a, shift), array)


def test_roll_by_a_size() -> None:
    x, y = sg.vector("x", shape="n"), sg.vector("y", shape="m")
    got = run(sg.roll(x, y.shape[0], axis=0) + 0 * sg.sum(y), (x, np.arange(5.0)), (y, np.ones(2)))
    assert got.tolist() == [3.0, 4.0, 0.0, 1.0, 2.0]


@pytest.mark.parametrize("repetitions", [0, 1, 3, (2,), (1, 2), (2, 1, 2), (2, 3, 1, 1), ()])
def test_tile(repetitions: Any) -> None:
    array = np.arange(12.0).reshape(2, 3, 2)
    both(lambda x: sg.tile(x, repetitions), lambda a: np.tile(a, repetitions), array)


@pytest.mark.parametrize(
    ("repeats", "axis"), [(2, None), (0, 0), (3, 1), (1, -1), ([1, 0, 2], 1), ([2], 1), ([0, 3], 0)]
)
def test_repeat(repeats: Any, axis: int | None) -> None:
    array = np.arange(12.0).reshape(2, 3, 2)
    both(
        lambda x: sg.repeat(x, repeats, axis=axis),
        lambda a: np.repeat(a, repeats, axis=axis),
        array,
    )


@pytest.mark.parametrize("width", [0, 2, (1, 2), ((1, 2),), ((0, 1), (2, 3)), [[1, 0], [0, 1]]])
@pytest.mark.parametrize("fill", [0, -1.5, np.inf])
def test_pad(width: Any, fill: float) -> None:
    array = np.arange(6.0).reshape(2, 3)
    both(
        lambda x: sg.pad(x, width, constant_values=fill),
        lambda a: np.pad(a, width, constant_values=fill), array,
    )  # fmt: skip


def test_pad_with_a_variable() -> None:
    """Its gradient is the sum of the border, whatever stands inside."""
    x, v = sg.vector("x", shape="n"), sg.scalar("v")
    y = sg.pad(x, (1, 2), constant_values=v)
    weights = np.array([1.0, np.inf, 1e300, 2.0, 3.0])
    out = run([y, sg.vjp(y, v, weights)], (x, np.zeros(2)), (v, 7.0))
    assert out[0].tolist() == [7.0, 0.0, 0.0, 7.0, 7.0]
    assert out[1] == 6.0
    single = sg.pad(x.astype("float32"), 1, constant_values=x.shape[0])
    assert run(single, (x, np.zeros(2))).tolist() == [2.0, 0.0, 0.0, 2.0]


def test_pad_refuses() -> None:
    x = sg.matrix("x", shape=(2, 3))
    with pytest.raises(ShapeError, match="negative"):
        sg.pad(x, -1)
    with pytest.raises(ShapeError, match="3 pairs"):
        sg.pad(x, ((1, 1), (1, 1), (1, 1)))
    with pytest.raises(ShapeError, match=r"\(2,\)"):
        sg.pad(x, 1, constant_values=(0, 1))
    with pytest.raises(DTypeError, match="float32"):
        sg.pad(x.astype("float32"), 1, constant_values=sg.scalar("v"))
    with pytest.raises(UsageError, match="mode='edge'"):
        sg.pad(x, 1, mode="edge")


@pytest.mark.parametrize("k", [-3, -1, 0, 2, 5])
def test_triangles_and_diagonals(k: int) -> None:
    array = np.arange(1.0, 25.0).reshape(2, 4, 3)
    both(lambda x: sg.tril(x, k=k), lambda a: np.tril(a, k), array)
    both(lambda x: sg.triu(x, k=k), lambda a: np.triu(a, k), array)
    both(lambda x: sg.trace(x[0], offset=k), lambda a: np.trace(a[0], offset=k), array)
    np.testing.assert_array_equal(
        sg.eye(4, 3, k=k).eval(backend="reference", passes=()), np.eye(4, 3, k)
    )


@pytest.mark.parametrize("parts", [1, 2, 3, 6, [2], [1, 4], [0, 3, 3], [2, 6]])
def test_split(parts: Any) -> None:
    array = np.arange(12.0).reshape(2, 6)
    x = sg.matrix("x", shape=("n", 6))
    got = run(sg.split(x, parts, axis=1), (x, array))
    for piece, want in zip(got, np.split(array, parts, axis=1), strict=True):
        np.testing.assert_array_equal(piece, want)


def test_split_of_a_symbolic_axis() -> None:
    x = sg.vector("x", shape="n")
    n = x.shape[0]
    first, last = sg.split(x, [n // 2])
    assert run([first, last], (x, np.arange(5.0)))[0].tolist() == [0.0, 1.0]
    doubled = sg.concat([x, x])
    assert run(sg.split(doubled, 2)[1], (x, np.arange(3.0))).tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(ShapeError, match="does not divide"):
        sg.split(x, 2)
    with pytest.raises(ShapeError, match="7 does not divide into 2"):
        sg.split(sg.vector("y", shape=7), 2)


def test_split_past_the_end() -> None:
    array = np.arange(4.0)
    x = sg.vector("x", shape=4)
    for cuts in ([2, 9], [-1], [3, 1]):
        got = run(sg.split(x, cuts), (x, array))
        want = np.split(array, cuts)
        assert [g.tolist() for g in got] == [w.tolist() for w in want]


@pytest.mark.parametrize("shape", [(-1,), (6, -1), (2, -1, 3), (12,), (1, 12, 1), (3, 4, -1)])
def test_reshape(shape: tuple[int, ...]) -> None:
    both(lambda x: sg.reshape(x, shape), lambda a: a.reshape(shape), np.arange(12.0).reshape(4, 3))


def test_reshape_with_sizes() -> None:
    x = sg.tensor("x", shape=("n", "m", 2))
    n, m = x.shape[0], x.shape[1]
    array = np.arange(12.0).reshape(3, 2, 2)
    for shape in ((n * m, 2), (-1, m), (n, -1), (2, n, m), (m, -1, n)):
        numbers = [{"n": 3, "m": 2, "m*n": 6, "n*m": 6}.get(str(d), d) for d in shape]
        np.testing.assert_array_equal(run(x.reshape(*shape), (x, array)), array.reshape(numbers))


@pytest.mark.parametrize("shape", [(5,), (-1, 5), (-1, -1), (-2, 6), (0, -1), (12, 0)])
def test_reshape_refuses(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="reshape"):
        sg.matrix("x", shape=(4, 3)).reshape(shape)


def test_reshape_that_fails_when_called() -> None:
    x = sg.vector("x", shape="n")
    with pytest.raises(ShapeError):
        run(x.reshape(2, -1), (x, np.zeros(5)))
    with pytest.raises(ShapeError):
        run(x.reshape(2, 3), (x, np.zeros(5)))


def test_methods_as_in_numpy() -> None:
    array = np.arange(6.0).reshape(2, 3)
    x = sg.matrix("x", shape=("n", "m"))
    for got, want in (
        (x.T, array.T), (x.mT, array.T), (x.flatten(), array.flatten()), (x.ravel(), array.ravel()),
        (x.transpose(), array.T), (x.transpose(1, 0), array.T), (x.transpose((0, 1)), array),
        (x.reshape(3, 2), array.reshape(3, 2)), (x.reshape((6,)), array.reshape(6)),
        (x[None].squeeze(0), array), (x.cumsum(axis=1), array.cumsum(axis=1)),
        (x.clip(1, 4), array.clip(1, 4)), (x.take([1, 0], axis=1), array.take([1, 0], axis=1)),
        (x.dot(x.T), array.dot(array.T)), (x.std(correction=1), array.std(ddof=1)),
        (x.var(axis=0), array.var(axis=0)), (x.prod(axis=1), array.prod(axis=1)),
        (x.argmax(), array.argmax()), (x.min(axis=0), array.min(axis=0)),
    ):  # fmt: skip
        np.testing.assert_allclose(run(got, (x, array)), want, rtol=1e-15)


def test_moving_axes_refuses() -> None:
    x = sg.tensor("x", shape=(2, 3, 4))
    calls: tuple[Callable[[], Any], ...] = (
        lambda: sg.permute_dims(x, (0, 1)), lambda: sg.permute_dims(x, (0, 0, 1)),
        lambda: sg.permute_dims(x, 0),
        lambda: sg.moveaxis(x, (0, 1), (2, 2)), lambda: sg.moveaxis(x, 0, 3),
        lambda: sg.squeeze(x, 1), lambda: sg.expand_dims(x, 4), lambda: sg.expand_dims(x, (0, 0)),
        lambda: sg.broadcast_to(x, (3, 4)), lambda: sg.broadcast_to(x, (2, 3, 5)),
        lambda: sg.concat([x, sg.zeros((2, 3))]), lambda: sg.concat([x, sg.zeros((2, 2, 4))]),
        lambda: sg.stack([x, sg.zeros((2, 3, 5))]), lambda: sg.matrix_transpose(sg.vector("v")),
        lambda: sg.concat([]), lambda: sg.stack([]), lambda: sg.flip(x, axis=3),
        lambda: sg.concat([sg.scalar("a"), sg.scalar("b")]), lambda: sg.tril(sg.vector("v")),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(SymgraphError):
            call()


def test_squeeze_of_a_size_that_turns_out_larger() -> None:
    x = sg.matrix("x", shape=("n", 2))
    assert run(sg.squeeze(x, 0), (x, np.ones((1, 2)))).tolist() == [1.0, 1.0]
    with pytest.raises(ShapeError):
        run(sg.squeeze(x, 0), (x, np.ones((3, 2))))


# ---- creation ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bounds",
    [(5,), (0,), (-3,), (2, 7), (7, 2), (2, 9, 3), (9, 2, -3), (0, 1, 0.25), (1.5,), (0, 1.1, 0.1),
     (3, 0, -0.5), (5, 5), (1, 10, 20), (-5, 5, 4)],
)  # fmt: skip
def test_arange(bounds: tuple[Any, ...]) -> None:
    want = np.arange(*bounds)
    got = sg.arange(*bounds).eval(backend="reference", passes=())
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-15, atol=1e-15)
    single = sg.arange(*bounds).astype("float32").eval(backend="reference", passes=())
    np.testing.assert_allclose(single, want.astype("float32"), rtol=1e-6)


@pytest.mark.parametrize("n", [0, 1, 2, 5, 8])
def test_arange_of_sizes(n: int) -> None:
    x = sg.vector("x", shape="n")
    size = x.shape[0]
    for made, want in (
        (sg.arange(size), range(n)), (sg.arange(1, size), range(1, n)),
        (sg.arange(size, 0, -1), range(n, 0, -1)),
        (sg.arange(0, size, 3), range(0, n, 3)), (sg.arange(-2, size - 4, 2), range(-2, n - 4, 2)),
        (sg.arange(size - 1, -1, -2), range(n - 1, -1, -2)),
    ):  # fmt: skip
        assert run(made, (x, np.zeros(n))).tolist() == list(want)


def test_arange_refuses() -> None:
    with pytest.raises(UsageError, match="step is 0"):
        sg.arange(0, 5, 0)
    with pytest.raises(UsageError, match="not a number or a size"):
        sg.arange(sg.scalar("a"))


@pytest.mark.parametrize("num", [0, 1, 2, 5, 50])
@pytest.mark.parametrize("endpoint", [True, False])
def test_linspace(num: int, endpoint: bool) -> None:
    want = np.linspace(-1.5, 2.0, num, endpoint=endpoint)
    got = sg.linspace(-1.5, 2.0, num, endpoint=endpoint).eval(backend="reference", passes=())
    np.testing.assert_allclose(got, want, rtol=1e-15, atol=1e-15)
    if endpoint and num > 1:
        assert got[-1] == 2.0


def test_one_hot_counts_from_the_end_and_refuses_what_is_outside() -> None:
    i = sg.vector("i", shape="n", dtype="int64")
    hot = sg.one_hot(i, 3, dtype="float32")
    got = run(hot, (i, [0, 2, -1]))
    assert got.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]
    assert got.dtype == np.float32
    with pytest.raises(IndexError, match="index 3 is out of range"):
        run(hot, (i, [0, 3]))


def test_one_hot_of_more_classes_than_the_index_type_counts() -> None:
    i = sg.vector("i", shape="n", dtype="int8")
    got = run(sg.one_hot(i, 300), (i, np.array([5, 127], "int8")))
    assert got.sum(axis=1).tolist() == [1.0, 1.0]
    assert got.argmax(axis=1).tolist() == [5, 127]


def test_one_hot_refuses() -> None:
    with pytest.raises(UsageError, match="float64"):
        sg.one_hot(sg.vector("x"), 3)


@pytest.mark.parametrize("like", [sg.zeros_like, sg.ones_like])
def test_like_forms_keep_dtype_and_size(like: Any) -> None:
    x = sg.matrix("x", shape=("n", 2), dtype="int16")
    made = like(x)
    assert made.type == x.type
    assert run(made, (x, np.zeros((3, 2), "int16"))).shape == (3, 2)
    assert like(x, dtype="bool").dtype == bool
