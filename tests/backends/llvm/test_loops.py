"""Loop nests: strides, stages of a row, what is saved, and equal texts for equal work."""

from __future__ import annotations

import numpy as np
import pytest
from stages import both, nests_of

import symgraph as sg
from symgraph.backends.llvm.loops import pass_items

X = sg.tensor("x", shape=("n", "m"))
Y = sg.tensor("y", shape=("n", "m"))


def test_the_nest_of_a_row_softmax() -> None:
    """Three walks of a row: the maximum, the exponentials and their sum, the quotients."""
    (nest,) = nests_of(sg.softmax(X, axis=1))
    assert nest.passes() == 3
    exps = [k for k, i in enumerate(nest.items) if i.node is not None and i.node.op.name == "exp"]
    assert list(nest.scratch) == exps


def test_a_nest_prints() -> None:
    (nest,) = nests_of(sg.sum(X * 2, axis=1))
    assert str(nest).splitlines() == [
        "space (p0, p1) inner [1]",
        "%0 = load(p2[p1, 1] float64) : float64 full 0",
        "%1 = literal(0000000000000040) : float64 row 0",
        "%2 = multiply(%0, %1) of float64 : float64 full 0",
        "%3 = sum(%2, p1) : float64 row 1",
        "store %3 -> p3[1, 0] float64",
    ]


def test_cheap_values_are_computed_again_costly_ones_saved() -> None:
    cheap, costly = X * 2, sg.tanh(X)
    for value, saved in ((cheap, 0), (costly, 1)):
        (nest,) = nests_of(value - sg.max(value, axis=1, keepdims=True))
        assert len(nest.scratch) == saved


def test_a_stored_value_needs_no_scratch() -> None:
    t = sg.tanh(X)
    (nest,) = nests_of(t - sg.max(t, axis=1, keepdims=True), t)
    assert not nest.scratch and len(nest.stores) == 2


def test_what_saving_needs_is_saved_too() -> None:
    """Each value saved for a later pass can be computed where it is saved."""
    log_p = sg.log_softmax(X, axis=1)
    gradient = sg.grad(sg.sum(log_p * log_p * Y), X, stabilise=False)
    for nest in nests_of(gradient):
        for stage in range(nest.passes()):
            for k in pass_items(nest, stage):
                for a in nest.items[k].args:
                    early = nest.items[a].full and nest.items[a].stage < stage
                    known = a in pass_items(nest, stage) or a in nest.scratch
                    assert not early or known or a in dict(nest.stores)


def test_the_gradient_of_a_squared_log_softmax() -> None:
    log_p = sg.log_softmax(X, axis=1)
    native, reference = both([X, Y], sg.grad(sg.sum(log_p * log_p * Y), X))
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(2, 4, 9))
    np.testing.assert_allclose(native(*arrays), reference(*arrays), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("view", "strides"),
    [
        (lambda x: x, "p1, 1"),
        (lambda x: sg.matrix_transpose(x), "1, p0"),
        (lambda x: x[:, ::-1], "p1, -1"),
        (lambda x: sg.broadcast_to(x[:, 0][:, None], x.shape), "p1, 0"),
    ],
)
def test_views_are_strides(view: object, strides: str) -> None:
    assert callable(view)
    (nest,) = nests_of(view(X) * 2)
    first = str(nest.items[0])
    assert f"[{strides}]" in first.replace("p2[", "[").replace("p3[", "["), first


def test_equal_work_has_an_equal_text() -> None:
    a, b = sg.tensor("a", shape=("u", "v")), sg.tensor("b", shape=("v",))
    (first,), (second,) = nests_of(sg.tanh(X @ Y.T) + 1)[-1:], nests_of(sg.tanh(a @ a.T) + 1)[-1:]
    assert first.key() == second.key()
    assert nests_of(a * 2)[0].key() != nests_of(b * 2)[0].key()


@pytest.mark.parametrize("pair", [(0.0, -0.0), (1.0, 1.0000000000000002)])
def test_constants_differ_by_bits(pair: tuple[float, float]) -> None:
    first, second = (nests_of(X + value)[0].key() for value in pair)
    assert first != second


def test_kernels_that_differ_in_a_literal_are_one() -> None:
    first, second = (nests_of(sg.tanh(X * value))[0] for value in (0.3, 0.7))
    assert first.key() == second.key() and first.params != second.params


def test_literals_that_are_equal_in_one_kernel_only_make_two() -> None:
    first, second = (nests_of((X + 0.3) * (X - value))[0] for value in (0.3, 0.7))
    assert first.key() != second.key()


def looked_up(*positions: sg.Tensor) -> list[int]:
    """How many positions each gather of ``X[positions]`` looks up in memory."""
    return [len(i.args) for n in nests_of(X[positions] * 2) for i in n.items if i.kind == "gather"]


def test_a_position_that_counts_an_axis_is_a_stride() -> None:
    """It cannot be out of range: only what it goes with is looked up and checked."""
    i, n = sg.tensor("i", shape=("n",), dtype="int64"), X.shape[0]
    assert looked_up(i, i) == [2]
    assert looked_up(sg.arange(n), i) == [1]
    assert looked_up(sg.arange(n)) == []


def test_a_position_that_may_be_out_of_range_is_looked_up() -> None:
    """Another length, a start, turned round, or in wider steps."""
    (n, m), i = X.shape, sg.tensor("i", shape=("n",), dtype="int64")
    assert looked_up(sg.arange(m)) == [1]
    for position in (sg.arange(n) + 1, sg.arange(n)[::-1], 2 * sg.arange(n), sg.arange(n) % 3):
        assert looked_up(position, i) == [2]


@pytest.mark.parametrize("value", [0.0, -1.0, 2.0, 0.5, float("inf"), float("nan")])
def test_plain_literals_stay_in_the_code(value: float) -> None:
    (nest,) = nests_of(sg.maximum(X, value))
    assert [i.kind for i in nest.items] == ["load", "literal", "op"]


def test_literals_that_code_depends_on_stay_in_it() -> None:
    i = sg.tensor("i", shape=("n",), dtype="int32")
    for y in (X**2.3, i // 7, i % 7, i << 3):
        (nest,) = nests_of(y)
        assert "parameter" not in [i.kind for i in nest.items]


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint64"]
)
@pytest.mark.parametrize("size", [1, 3, 64])
def test_literals_as_arguments_keep_their_value(dtype: str, size: int) -> None:
    x = sg.tensor("x", shape=("n",), dtype=dtype)
    value = {"i": -119, "u": 251, "f": -1.7}[np.dtype(dtype).kind]
    native, reference = both([x], [sg.maximum(x, value), sg.sum(x * 0 + value, axis=0)])
    a = np.arange(size).astype(dtype)
    for got, want in zip(native(a), reference(a), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_operands_of_another_dtype_make_another_text() -> None:
    x = sg.tensor("x", shape=("n",), dtype="int8")
    y = sg.tensor("y", shape=("n",), dtype="int16")
    assert nests_of(sg.astype(x, "float64"))[0].key() != nests_of(sg.astype(y, "float64"))[0].key()


def test_comparisons_of_another_dtype_make_another_text() -> None:
    x = [sg.tensor("x", shape=("n",), dtype=d) for d in ("int64", "uint64")]
    assert nests_of(x[0] < 3)[0].key() != nests_of(x[1] < 3)[0].key()


def test_one_array_read_twice_is_loaded_once() -> None:
    (nest,) = nests_of(X * X + X)
    assert [i.kind for i in nest.items].count("load") == 1
