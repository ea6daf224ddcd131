"""Native functions from outside: their texts, their checks, their errors, their memory."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
from stages import native

import symgraph as sg
from symgraph.backends.llvm.compile import CheckedFunction
from symgraph.errors import IndexRangeError, NonFiniteError, ShapeError, UsageError

X = sg.tensor("x", shape=("n", "m"))


# ---- texts ---------------------------------------------------------------------------------------


def test_stages_name_every_kernel_in_order() -> None:
    f = native([X], sg.sum(sg.exp(X) @ sg.matrix_transpose(X), axis=1), passes=())
    text = f.stages()
    heads = [line for line in text.splitlines() if line.startswith("# ")]
    assert heads == ["# 0: exp", "# 1: matmul", "# 2: sum"]
    assert "space (p0, p0) inner [1]" in text and "matmul double" in text


def test_the_ir_holds_every_kernel_once() -> None:
    y = sg.tanh(sg.tanh(X @ sg.matrix_transpose(X)) @ X)
    f = native([X], y, passes=())
    ir = f.llvm_ir()
    assert ir.count("define i64 @kernel") == len({c.key for c in f.calls if c.emit is not None})
    assert "@kernel0(ptr %args, i64 %begin, i64 %end)" in ir


def test_assembly_is_for_this_machine() -> None:
    text = native([X], X * 2).assembly()
    assert "kernel0:" in text and "ret" in text


def test_compile_stats_account_for_the_calls() -> None:
    f = native([X], [sg.exp(X) * 0.3125, sg.exp(X) @ sg.matrix_transpose(X)])
    stats = f.compile_stats
    assert stats.calls == len(f.calls) and stats.kernels <= stats.calls
    assert all(seconds >= 0 for seconds in stats.seconds.values())


def test_a_function_around_a_native_one_tells_what_that_cost() -> None:
    f = sg.function([X], sg.exp(X) * 0.375, check_finite=True)
    assert isinstance(f, CheckedFunction)
    assert f.compile_stats.calls == f.compile_stats.kernels >= 1


def test_the_arena_is_known_before_running() -> None:
    """Two rows of exponentials are never alive at once: one room serves both."""
    y = sg.exp(X) @ sg.matrix_transpose(X)
    f = native([X], sg.exp(y * 0.1) @ y, passes=())
    assert "n" in str(f.arena_bytes)


# ---- check_finite --------------------------------------------------------------------------------


def test_check_finite_names_the_operation_and_the_line() -> None:
    x = sg.vector("x")
    safe = sg.exp(x)
    f = sg.function([x], sg.sum(sg.log(x) * safe), check_finite=True, passes=())
    assert np.isfinite(f([1.0, 2.0]))
    with pytest.raises(NonFiniteError, match=rf"log.*{Path(__file__).name}") as caught:
        f([1.0, 0.0])
    assert "index (1,)" in str(caught.value) and "-inf" in str(caught.value)


def test_check_finite_leaves_shared_variables() -> None:
    w = sg.shared(np.ones(2), name="w")
    x = sg.vector("x", shape=2)
    f = sg.function([x], None, updates={w: w / x}, check_finite=True)
    with pytest.raises(NonFiniteError):
        f([1.0, 0.0])
    assert w.get_value().tolist() == [1, 1]
    f([2.0, 4.0])
    assert w.get_value().tolist() == [0.5, 0.25]


def test_check_finite_shows_its_code() -> None:
    f = sg.function([X], X * 2, check_finite=True)
    assert "@kernel0" in f.llvm_ir() and "kernel0:" in f.assembly()


# ---- sizes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (1, 1), (1, 4), (4, 1)])
def test_empty_and_single_axes_everywhere(shape: tuple[int, int]) -> None:
    outputs = [
        sg.exp(X), sg.sum(X, axis=0), sg.all(X > -1, axis=1), sg.softmax(X, axis=1),
        sg.logsumexp(X, axis=0), X @ sg.matrix_transpose(X), sg.concat([X, X]),
        sg.cumulative_sum(X, axis=1), X[::-1, ::2], sg.reshape(X, (-1,)), sg.mean(X * 0 + 1),
        sg.where(X > 0, X, -X), sg.any(X > 0, axis=0),
        sg.grad(sg.sum(sg.square(sg.softmax(X, axis=0))), X),
    ]  # fmt: skip
    f = sg.function([X], outputs, passes=())
    g = sg.function([X], outputs, passes=(), backend="reference")
    a = np.random.default_rng(0).normal(size=shape)
    for got, want in zip(f(a), g(a), strict=True):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15)


def test_sizes_that_must_agree_are_checked_before_any_work() -> None:
    y = sg.tensor("y", shape=("k", "m"))
    f = sg.function([X, y], X + y)
    with pytest.raises(ShapeError, match="sizes differ"):
        f(np.ones((2, 3)), np.ones((4, 3)))
    with pytest.raises(ShapeError, match=r"m"):
        f(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ShapeError, match="broadcast"):
        f(np.ones((2, 3)), np.ones((1, 3)))


def test_a_size_no_input_shows_is_refused() -> None:
    n = sg.tensor("other", shape=("n",)).shape[0]
    with pytest.raises(UsageError, match=r"the size n cannot be read off the inputs"):
        sg.function([], sg.zeros((n,)))


def test_a_mask_feeding_a_second_one_through_work() -> None:
    """The backend remakes the node that finds a size; what only has that size follows."""
    x = sg.vector("x", shape=4)
    y = sg.reshape(sg.matrix_transpose(sg.reshape(x, (2, 2))), (4,))
    f = sg.function([x], y.at[y < 0].set(1.0), passes=())
    np.testing.assert_array_equal(f([1.0, -2.0, -3.0, 4.0]), [1, 1, 1, 4])
    np.testing.assert_array_equal(f([1.0, 2.0, 3.0, 4.0]), [1, 3, 2, 4])


# ---- memory --------------------------------------------------------------------------------------


def resident() -> int:
    """Pages of memory this process holds."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])


def test_thousands_of_calls_keep_no_memory() -> None:
    """Calls that succeed, fail in a kernel, fail in a size check, and take the slow path."""
    i, y = sg.tensor("i", shape=("k",), dtype="int64"), sg.tensor("y", shape=("k", "m"))
    w = sg.shared(np.zeros((50, 40)), name="w")
    f = sg.function([X, i, y], [sg.exp(X)[i] + y, X[X[:, 0] > 0]], updates={w: w + sg.sum(X)})
    x, rows = np.ones((50, 40)), np.zeros(30, "int64")
    bad = rows + 50
    fortran, small = np.asfortranarray(x), np.ones((29, 40))
    good = np.ones((30, 40))

    def burst(times: int) -> None:
        for _ in range(times):
            f(x, rows, good)
            f(fortran, rows.tolist(), good.astype("float32"))
            with pytest.raises(IndexRangeError):
                f(x, bad, good)
            with pytest.raises(ShapeError):
                f(x, rows, small)

    burst(200)
    gc.collect()
    before = resident()
    burst(1500)
    gc.collect()
    assert resident() - before < 500  # pages; one lost result a call would be 4 000
