"""Programs: where results live, simultaneous updates, and calls that fail changing nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from stages import native

import symgraph as sg
from symgraph.errors import IndexRangeError, ShapeError, SymgraphError, UsageError

Array = np.ndarray[Any, Any]
A = np.arange(6.0).reshape(2, 3)


def test_outputs_that_are_inputs_views_and_repeats() -> None:
    """Every result is an array of its own."""
    x, w = sg.tensor("x", shape=("n", 3)), sg.shared(np.ones(3), name="w")
    y = x * 2
    f = sg.function([x], [x, x, y, y, sg.matrix_transpose(y), y[0], w, x[::-1], sg.constant(1.5)])
    results = f(A)
    wanted = [A, A, A * 2, A * 2, (A * 2).T, A[0] * 2, np.ones(3), A[::-1], np.array(1.5)]
    for got, want in zip(results, wanted, strict=True):
        np.testing.assert_array_equal(got, want)
        assert got.flags.writeable and not np.shares_memory(got, A)
    for k, first in enumerate(results):
        assert not any(np.shares_memory(first, other) for other in results[k + 1 :])
    results[6][:] = 9
    assert w.get_value().tolist() == [1, 1, 1]


def test_two_variables_swap() -> None:
    a, b = sg.shared(np.zeros(5), name="a"), sg.shared(np.ones(5), name="b")
    swap = sg.function([], None, updates={a: b, b: a})
    for k in range(4):
        assert a.get_value()[0] == k % 2 and b.get_value()[0] == 1 - k % 2
        swap()


def test_three_variables_rotate_through_work() -> None:
    a, b, c = (sg.shared(np.full(3, float(k)), name=n) for k, n in enumerate("abc"))
    f = sg.function([], [a + b + c], updates={a: b * 10, b: c * 10, c: a * 10})
    assert f()[0].tolist() == [3, 3, 3]
    assert [v.get_value()[0] for v in (a, b, c)] == [10, 20, 0]
    assert f()[0].tolist() == [30, 30, 30]


def in_place(w: sg.SharedVariable, f: sg.Function) -> bool:
    """Whether a call leaves the variable's memory where it was."""
    before = w.get_value(borrow=True).ctypes.data
    f()
    return bool(w.get_value(borrow=True).ctypes.data == before)


def test_one_new_value_for_two_variables() -> None:
    a, b = sg.shared(np.ones(4), name="a"), sg.shared(np.ones(4), name="b")
    new = a + b
    sg.function([], new, updates={a: new, b: new})()
    sg.function([], None, updates={a: a + 1})()
    assert a.get_value().tolist() == [3] * 4 and b.get_value().tolist() == [2] * 4


def test_a_plain_step_is_written_in_place() -> None:
    w = sg.shared(np.zeros(100), name="w")
    f = native([], None, updates={w: w + 1})
    assert in_place(w, f) and f.arena_bytes == 0
    assert w.get_value()[99] == 1


def test_an_old_value_read_later_is_not_overwritten() -> None:
    """The product needs the old matrix after the new one could have been written."""
    start = np.arange(16.0).reshape(4, 4)
    w = sg.shared(start.copy(), name="w")
    new = w * 2
    f = sg.function([], [new @ w, w @ new], updates={w: new})
    first, second = f()
    np.testing.assert_array_equal(first, (start * 2) @ start)
    np.testing.assert_array_equal(second, start @ (start * 2))
    np.testing.assert_array_equal(w.get_value(), start * 2)


# ---- calls that fail -----------------------------------------------------------------------------


def snapshot(*shared: sg.SharedVariable) -> list[bytes]:
    return [s.get_value().tobytes() for s in shared]


@pytest.mark.parametrize("passes", [(), "default"])
def test_an_index_out_of_range_leaves_every_variable(passes: Any) -> None:
    """The checked gather comes after, before or inside the kernel that makes a new value."""
    i = sg.tensor("i", shape=("k",), dtype="int64")
    a = sg.shared(np.random.default_rng(0).normal(size=8), name="a")
    b = sg.shared(np.random.default_rng(1).normal(size=8), name="b")
    steps = [
        {a: a * 2, b: b + sg.sum(a[i])},
        {a: a + sg.sum(sg.exp(a)[i]), b: b * 3},
        {a: a.at[i].add(1.0), b: b.at[i].set(0.0)},
        {b: b + 1, a: a @ sg.ones((8, 8)) + sg.sum(b[i] * 2)},
    ]
    for updates in steps:
        f = sg.function([i], sg.sum(a), updates=updates, passes=passes)
        before = snapshot(a, b)
        for bad in ([0, 8], [-9], [1, 2, 2**62]):
            with pytest.raises(IndexRangeError):
                f(bad)
            assert snapshot(a, b) == before
        f([0, 7, -8])
        assert snapshot(a, b) != before


def test_sizes_that_disagree_leave_every_variable() -> None:
    x, y = sg.vector("x", shape="n"), sg.vector("y", shape="m")
    w = sg.shared(np.zeros(3), name="w")
    f = sg.function([x, y], None, updates={w: w + sg.sum(x + y)})
    with pytest.raises(ShapeError, match="sizes differ"):
        f(np.ones(3), np.ones(4))
    assert not w.get_value().any()
    f(np.ones(3), np.ones(3))
    assert w.get_value().tolist() == [6, 6, 6]


def test_an_array_of_the_wrong_kind_leaves_every_variable() -> None:
    x = sg.tensor("x", shape=("n",), dtype="int64")
    w = sg.shared(np.zeros(3), name="w")
    f = sg.function([x], None, updates={w: w + sg.sum(x)})
    for bad in (np.ones(3), np.ones((2, 2), "int64"), "text", None, [[1], [2, 3]]):
        with pytest.raises((SymgraphError, TypeError, ValueError)):
            f(bad)
    assert not w.get_value().any()


def test_a_size_only_part_of_an_axis_tells_is_refused() -> None:
    x = sg.tensor("x", shape=("n",))
    with pytest.raises((UsageError, ShapeError)):
        sg.function([], sg.zeros((x.shape[0],)))


# ---- arguments -----------------------------------------------------------------------------------


def layouts(a: Array) -> dict[str, Any]:
    wide = np.zeros((2 * a.shape[0], 3 * a.shape[1]))
    wide[::2, ::3] = a
    fixed = a.copy()
    fixed.flags.writeable = False
    return {
        "contiguous": a,
        "fortran": np.asfortranarray(a),
        "strided": wide[::2, ::3],
        "reversed": np.array(a[::-1, ::-1])[::-1, ::-1],
        "read-only": fixed,
        "list": a.tolist(),
        "safe cast": a.astype("float32"),
        "integers": a.astype("int32"),
    }


@pytest.mark.parametrize("layout", list(layouts(A)))
def test_arguments_in_any_layout(layout: str) -> None:
    x = sg.tensor("x", shape=("n", "m"))
    f = sg.function([x], [x + 1, sg.sum(x, axis=0), x @ sg.matrix_transpose(x)], passes=())
    sums, columns, product = f(layouts(A)[layout])
    np.testing.assert_array_equal(sums, A + 1)
    np.testing.assert_array_equal(columns, A.sum(axis=0))
    np.testing.assert_array_equal(product, A @ A.T)


def test_stretched_arguments() -> None:
    x = sg.tensor("x", shape=("n", "m"))
    f = sg.function([x], x * 2)
    np.testing.assert_array_equal(
        f(np.broadcast_to(np.arange(3.0), (4, 3))), np.tile(np.arange(3.0) * 2, (4, 1))
    )


def test_one_array_for_two_inputs() -> None:
    x, y = sg.vector("x"), sg.vector("y")
    a = np.arange(5.0)
    np.testing.assert_array_equal(sg.function([x, y], [x - y, x * y + x])(a, a)[1], a * a + a)


@pytest.mark.parametrize("new", ["w + x", "reversed", "product"])
def test_the_memory_of_a_shared_variable_as_an_argument(new: str) -> None:
    """An input may alias what the call updates; the call sees the old values."""
    start = np.arange(9.0).reshape(3, 3) + 1
    w = sg.shared(start.copy(), name="w")
    x = sg.tensor("x", shape=(3, 3))
    value = {"w + x": w + x, "reversed": w + x[::-1], "product": sg.matmul(x, w) + x}[new]
    want = {"w + x": start * 2, "reversed": start + start[::-1], "product": start @ start + start}[
        new
    ]
    f = sg.function([x], x * 1, updates={w: value}, passes=())
    kept = f(w.get_value(borrow=True))
    np.testing.assert_array_equal(kept, start)
    np.testing.assert_array_equal(w.get_value(), want)


VIEWS: dict[str, Callable[[Array], Array]] = {
    "all of it": lambda a: a,
    "a part": lambda a: a[1:3],
    "reversed": lambda a: a[::-1],
    "a transpose": lambda a: a.T,
    "every other": lambda a: a[::2, ::2],
    "one row": lambda a: a[2:3],
    "none of it": lambda a: a[:0],
}


@pytest.mark.parametrize("view", list(VIEWS))
@pytest.mark.parametrize("way", ["position", "keyword", "out"])
def test_parts_of_an_updated_variable_as_arguments(view: str, way: str) -> None:
    """Every update is in place, and every argument is what it was when the call began."""
    start = np.random.default_rng(0).normal(size=(4, 4))
    w, v = sg.shared(start.copy(), name="w"), sg.shared(start * 2, name="v")
    x, y = sg.tensor("x", shape=("n", "m")), sg.tensor("y", shape=("k", "l"))
    total = sg.sum(sg.exp(x)) + sg.sum(y)
    f = native(
        [x, y], sg.cumsum(x, axis=0) + 1, updates={w: w * total, v: v * 1.5 + total}, passes=()
    )
    assert not f._assembly.program.commits
    first, second = (VIEWS[view](s.get_value(borrow=True)) for s in (w, v))
    a, b = first.copy(), second.copy()
    out = np.empty(a.shape)
    calls: dict[str, Callable[[], Array]] = {
        "position": lambda: f(first, second),
        "keyword": lambda: f(y=second, x=first),
        "out": lambda: f(first, second, out=out),
    }
    got, scale = calls[way](), np.exp(a).sum() + b.sum()
    np.testing.assert_allclose(got, np.cumsum(a, axis=0) + 1, rtol=1e-14)
    np.testing.assert_allclose(w.get_value(), start * scale, rtol=1e-12)
    np.testing.assert_allclose(v.get_value(), start * 3 + scale, rtol=1e-12, atol=1e-12)


def test_a_training_step_is_in_place_however_late_an_input_is_read() -> None:
    x, t = sg.tensor("x", shape=("n", 6)), sg.tensor("t", shape=("n", 2))
    rng = np.random.default_rng(1)
    weights = [sg.shared(rng.normal(size=s), name="w") for s in ((6, 5), (5, 5), (5, 2))]
    h: Any = x
    for w in weights:
        h = sg.tanh(h @ w)
    loss = sg.mean((h - t) ** 2)
    gradients = sg.grad(loss, weights)
    new = {w: w - 0.1 * g for w, g in zip(weights, gradients, strict=True)}
    f = native([x, t], loss, updates=new)
    assert not f._assembly.program.commits
