"""Shared variables, simultaneous updates, givens, and eval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import (
    DTypeError,
    IndexRangeError,
    NonFiniteError,
    ShapeError,
    SymgraphError,
    UsageError,
)


def test_updates_are_simultaneous() -> None:
    """All new values come from the old ones: two variables swap."""
    a, b = sg.shared(np.array([1.0, 2.0]), name="a"), sg.shared(np.array([3.0, 4.0]), name="b")
    swap = sg.function([], None, updates={a: b, b: a}, backend="reference")
    assert swap() is None
    assert (a.get_value().tolist(), b.get_value().tolist()) == ([3.0, 4.0], [1.0, 2.0])
    swap()
    assert a.get_value().tolist() == [1.0, 2.0]


def test_outputs_see_the_old_values() -> None:
    w = sg.shared(np.array(1.0), name="w")
    step = sg.function([], [w, w + 0], updates={w: w * 2}, backend="reference")
    assert [float(v) for v in step()] == [1.0, 1.0]
    assert float(w.get_value()) == 2.0


def test_swapped_values_are_not_one_memory() -> None:
    """After a = b the two variables are still two."""
    a, b = sg.shared(np.zeros(2), name="a"), sg.shared(np.ones(2), name="b")
    sg.function([], None, updates={a: b}, backend="reference")()
    sg.function([], None, updates={b: b + 1}, backend="reference")()
    assert (a.get_value().tolist(), b.get_value().tolist()) == ([1.0, 1.0], [2.0, 2.0])


def test_a_failed_call_changes_nothing() -> None:
    a, b = sg.shared(np.zeros(3), name="a"), sg.shared(np.zeros(3), name="b")
    i = sg.scalar("i", dtype="int64")
    f = sg.function(
        [i], None, updates={a: a + 1, b: b + a[sg.reshape(i, (1,))]}, backend="reference"
    )
    with pytest.raises(IndexRangeError):
        f(5)
    assert not a.get_value().any() and not b.get_value().any()


def test_a_call_that_fails_its_finite_check_changes_nothing() -> None:
    w = sg.shared(np.ones(2), name="w")
    x = sg.vector("x", shape=2)
    f = sg.function([x], None, updates={w: w / x}, backend="reference", check_finite=True)
    with pytest.raises(NonFiniteError, match="divide"):
        f(np.zeros(2))
    assert w.get_value().tolist() == [1.0, 1.0]


def test_update_values_are_cast_or_refused() -> None:
    w = sg.shared(np.ones(2, "float32"), name="w")
    f = sg.function([], None, updates={w: sg.full(2, 2.0, dtype="float32")}, backend="reference")
    f()
    n = sg.shared(np.float32(1.0), name="n")
    sg.function([], None, updates={n: sg.constant(2) * 3}, backend="reference")()
    assert n.get_value() == 6.0 and n.get_value().dtype == np.float32
    assert w.get_value().tolist() == [2.0, 2.0] and w.get_value().dtype == np.float32
    with pytest.raises(DTypeError, match="float64"):
        sg.function([], None, updates={w: w.astype("float64")}, backend="reference")
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        sg.function([], None, updates={w: sg.zeros(3, dtype="float32")}, backend="reference")
    wrong: Any = {sg.vector("x"): w}
    with pytest.raises(UsageError, match="not a shared variable"):
        sg.function([], None, updates=wrong, backend="reference")
    twice: Any = [(w, w), (w, w)]
    with pytest.raises(UsageError, match="updated twice"):
        sg.function([], None, updates=twice, backend="reference")


def test_shared_value_is_a_copy_both_ways() -> None:
    array = np.zeros(3)
    w = sg.shared(array, name="w")
    array[0] = 5.0
    taken = w.get_value()
    taken[1] = 7.0
    assert w.get_value().tolist() == [0.0, 0.0, 0.0]
    view = w.get_value(borrow=True)
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1.0


def test_set_value_is_checked() -> None:
    w = sg.shared(np.zeros((2, 3)), name="w")
    w.set_value(np.ones((2, 3), "float32"))
    assert w.get_value().sum() == 6.0
    with pytest.raises(ShapeError, match=r"\(3, 2\)"):
        w.set_value(np.ones((3, 2)))
    with pytest.raises(DTypeError, match="complex128"):
        w.set_value(np.ones((2, 3), complex))
    with pytest.raises(DTypeError, match="float64"):
        sg.shared(np.zeros(2, "float32"), name="v").set_value(np.ones(2))
    assert w.get_value().sum() == 6.0


def test_shared_with_a_symbolic_size() -> None:
    w = sg.shared(np.zeros(2), name="w", shape="n")
    f = sg.function([], sg.sum(w), backend="reference")
    w.set_value(np.ones(5))
    assert f() == 5.0
    with pytest.raises(ShapeError):
        w.set_value(np.ones((2, 2)))


def test_a_shared_size_must_agree_with_the_inputs() -> None:
    w, x = sg.shared(np.zeros(2), name="w", shape="n"), sg.vector("x", shape="n")
    f = sg.function([x], w + x, backend="reference")
    assert f(np.ones(2)).tolist() == [1.0, 1.0]
    with pytest.raises(ShapeError, match="n"):
        f(np.ones(3))


def test_shared_updates_from_gradients() -> None:
    """Gradient descent on a quadratic converges to its minimum."""
    w = sg.shared(np.array([5.0, -3.0]), name="w")
    goal = sg.vector("goal", shape=2)
    cost = sg.sum((w - goal) ** 2)
    step = sg.function([goal], cost, updates={w: w - 0.25 * sg.grad(cost, w)}, backend="reference")
    costs = [float(step(np.array([1.0, 2.0]))) for _ in range(60)]
    np.testing.assert_allclose(w.get_value(), [1.0, 2.0], atol=1e-12)
    assert costs[0] == 41.0 and costs[-1] < 1e-20


# ---- givens, eval --------------------------------------------------------------------------------


def test_givens_replace_variables() -> None:
    x, y = sg.vector("x", shape="n"), sg.vector("y", shape="n")
    f = sg.function([y], sg.sum(x * x), givens={x: y + 1}, backend="reference")
    assert f([1.0, 2.0]) == 13.0


def test_givens_replace_expressions_and_shared() -> None:
    x = sg.vector("x", shape=2)
    hidden = sg.exp(x)
    h = sg.vector("h", shape=2)
    f = sg.function([h], hidden * 2, givens={hidden: h}, backend="reference")
    assert f([1.0, 2.0]).tolist() == [2.0, 4.0]
    w = sg.shared(np.ones(2), name="w")
    g = sg.function([h], w * 3, givens={w: h}, backend="reference")
    assert g([1.0, 2.0]).tolist() == [3.0, 6.0]
    constant = sg.function([], sg.sum(x), givens={x: np.array([1.0, 2.0])}, backend="reference")
    assert constant() == 3.0


def test_givens_are_simultaneous() -> None:
    x, y = sg.scalar("x"), sg.scalar("y")
    f = sg.function([x, y], x - 2 * y, givens={x: y, y: x}, backend="reference")
    assert f(1.0, 10.0) == 8.0


def test_givens_refuses() -> None:
    x = sg.vector("x", shape=2)
    with pytest.raises(SymgraphError):
        sg.function([], sg.sum(x), givens={x: np.zeros((2, 2))}, backend="reference")
    with pytest.raises(SymgraphError):
        sg.function([], sg.sum(x), givens={x: np.zeros(2, "float32")}, backend="reference")


def test_eval() -> None:
    x, w = sg.vector("x"), sg.shared(np.array([1.0, 2.0]), name="w")
    assert (x + 1).eval({x: [1.0, 2.0]}, backend="reference").tolist() == [2.0, 3.0]
    assert sg.sum(w).eval(backend="reference") == 3.0
    with pytest.raises(UsageError, match="no value for x"):
        (x + 1).eval(backend="reference")
    named: Any = {"x": [1.0]}
    with pytest.raises(UsageError, match="not a variable"):
        (x + 1).eval(named, backend="reference")
