"""Derivatives that do not exist, and types: rows G04, G08, G46, G48 and G49."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from derivative_oracles import nodes_of, run

import symgraph as sg
from symgraph.errors import GradientError
from symgraph.graph import Graph
from symgraph.op import Undefined
from symgraph.passes.build_grad import build_grad

# ---- G04 -----------------------------------------------------------------------------------------

UNDEFINED: list[tuple[str, Callable[[Any], Any], str]] = [
    ("argmax", lambda x: sg.argmax(x, axis=0).astype("float64"), "derivative of argmax.*position"),
    ("argmin", lambda x: sg.argmin(x, axis=0).astype("float64"), "derivative of argmin.*position"),
    ("cast", lambda x: sg.sum(x.astype("int64").astype("float64")), "derivative of astype.*int64"),
    ("greater", lambda x: sg.sum((x > 0).astype("float64")), "derivative of greater.*comparison"),
    ("isnan", lambda x: sg.sum(sg.isnan(x).astype("float64")), "derivative of isnan.*discrete"),
    (
        "index_of_max", lambda x: sg.max_and_argmax(x, axis=0)[1].astype("float64"),
        "max_and_argmax.*int64",
    ),
    ("any", lambda x: sg.any(x > 0).astype("float64"), "derivative of (any|greater)"),
]  # fmt: skip


@pytest.mark.parametrize("name", [u[0] for u in UNDEFINED])
def test_G04_undefined_derivatives_name_operation_and_reason(name: str) -> None:
    build, message = next(u[1:] for u in UNDEFINED if u[0] == name)
    x = sg.vector("x", 3)
    with pytest.raises(GradientError, match=rf"grad with respect to x.*{message}"):
        sg.grad(build(x), x)
    with pytest.raises(GradientError, match=message):
        sg.jvp(build(x), x, [1.0, 0.0, 0.0])


def test_G04_the_message_names_the_users_line() -> None:
    x = sg.vector("x", 3)
    cost = sg.sum((x > 0).astype("float64"))  # the line that is to be found
    with pytest.raises(GradientError, match=r"greater \(made at test_undefined.py:\d+\)"):
        sg.grad(cost, x)


def test_G04_integer_variables_have_no_gradient() -> None:
    x, i = sg.vector("x", 3), sg.vector("i", 2, dtype="int64")
    with pytest.raises(GradientError, match=r"i .*is int64; only floating-point variables"):
        sg.grad(sg.sum(x[i]), i)


def test_G04_rounding_has_derivative_zero() -> None:
    x = sg.vector("x", 2)
    cost = sg.sum(sg.floor(x) + sg.round(x) + sg.trunc(x) + sg.sign(x) + sg.ceil(x))
    np.testing.assert_array_equal(run([x], sg.grad(cost, x), [0.3, 1.7]), [0, 0])


# ---- G49: only what reaches the request matters --------------------------------------------------


def test_G49_the_smooth_part_is_fine_beside_an_undefined_branch() -> None:
    a, b = sg.vector("a", 3), sg.vector("b", 3)
    cost = sg.sum(a**2) + sg.argmax(b, axis=0).astype("float64")
    np.testing.assert_array_equal(run([a], sg.grad(cost, a), [1.0, 2.0, 3.0]), [2, 4, 6])
    with pytest.raises(GradientError, match=r"with respect to b.*argmax"):
        sg.grad(cost, b)


def test_G49_the_table_carries_the_reason() -> None:
    a, b = sg.vector("a", 3), sg.vector("b", 3)
    cost = sg.sum(a) + sg.argmax(b, axis=0).astype("float64")
    table = build_grad(Graph([cost]), cost, [a, b])
    assert isinstance(table[a], sg.Tensor)
    assert isinstance(table[b], Undefined)


def test_G49_a_constant_cuts_the_undefined_branch() -> None:
    x = sg.vector("x", 3)
    position = sg.argmax(x, axis=0)
    cost = sg.sum(x**2) * position.astype("float64")
    found = run([x], sg.grad(cost, x, consider_constant=[position]), [1.0, 3.0, 2.0])
    np.testing.assert_array_equal(found, [2, 6, 4])


def test_G49_positions_and_conditions_carry_nothing() -> None:
    x = sg.vector("x", 3)
    cost = x[sg.argmax(x, axis=0)] + sg.sum(sg.where(x > 1.5, x, 0.0))
    at = [1.0, 3.0, 2.0]
    np.testing.assert_array_equal(run([x], sg.grad(cost, x), at), [0, 2, 1])
    np.testing.assert_array_equal(run([x], sg.jvp(cost, x, [1.0, 10.0, 100.0]), at), 120)


# ---- G46: several results ------------------------------------------------------------------------


def test_G46_gradient_goes_to_the_position_of_the_maximum() -> None:
    x = sg.matrix("x", (2, 3))
    top, place = sg.max_and_argmax(x, axis=1)
    at = [[1.0, 5.0, 2.0], [7.0, 7.0, 0.0]]
    found = run([x], [top, place, sg.grad(sg.sum(top * [10.0, 20.0]), x)], at)
    np.testing.assert_array_equal(found[1], [1, 0])
    np.testing.assert_array_equal(found[2], [[0, 10, 0], [20, 0, 0]])  # the first of two equal ones


def test_G46_forward_mode_of_the_maximum() -> None:
    x = sg.matrix("x", (2, 3))
    top, _ = sg.max_and_argmax(x, axis=1)
    t = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(run([x], sg.jvp(top, x, t), [[1.0, 5, 2], [7, 0, 0]]), [1, 3])


def test_G46_an_unused_result_costs_nothing() -> None:
    x = sg.matrix("x", (2, 3))
    top, _ = sg.max_and_argmax(x, axis=1)
    items = [n.attrs["index"] for n in nodes_of(top) if n.op.name == "item"]
    assert items == [0]


def test_G46_parts_of_a_split_some_unused() -> None:
    x = sg.vector("x", 6)
    first, _, last = sg.split(x, 3)
    cost = sg.sum(first * [1.0, 2.0]) + sg.sum(last**2)
    found = run([x], sg.grad(cost, x), np.arange(6.0))
    np.testing.assert_array_equal(found, [1, 2, 0, 0, 8, 10])


# ---- G08, G48: types -----------------------------------------------------------------------------


def test_G08_integer_and_bool_nodes_beside_floats() -> None:
    x, i, keep = (
        sg.vector("x", 4),
        sg.vector("i", 2, dtype="int32"),
        sg.vector("keep", 2, dtype="bool"),
    )
    cost = sg.sum(sg.where(keep, x[i + 1], 2 * x[i]) * sg.astype(i * 3, "float64"))
    found = run(
        [x, i, keep], sg.grad(cost, x), np.arange(4.0), np.array([1, 2], np.int32), [True, False]
    )
    np.testing.assert_array_equal(found, [0, 0, 3 + 12, 0])


def _float32_program() -> tuple[sg.Tensor, list[sg.Tensor]]:
    x, y = sg.matrix("x", ("m", 5), "float32"), sg.vector("y", "m", "int64")
    w1, b1 = sg.matrix("w1", (5, 4), "float32"), sg.vector("b1", 4, "float32")
    w2 = sg.matrix("w2", (4, 3), "float32")
    h = sg.gelu(x @ w1 + b1) + sg.leaky_relu(x @ w1) + sg.silu(x[:, :4]) + sg.elu(b1)
    h = h / sg.std(h, axis=1, keepdims=True) + sg.cumulative_prod(h, axis=1) ** 3
    h = sg.clip(h, -2.0, 2.0) + sg.maximum(h, 0.5) + sg.log1p(sg.exp2(h)) + sg.atan2(h, 2.0)
    cost = sg.cross_entropy(h @ w2, y) + 0.1 * sg.nn.l2_penalty([w1, w2]) / x.shape[0]
    return cost, [w1, b1, w2]


def test_G48_no_float64_node_in_a_float32_program() -> None:
    cost, parameters = _float32_program()
    gradients = sg.grad(cost, parameters)
    products = sg.hvp(cost, parameters, parameters)
    wide = [n for n in nodes_of(cost, *gradients, *products) if n.type.dtype == np.float64]
    assert [str(n) for n in wide] == []
    assert {g.dtype.name for g in (*gradients, *products)} == {"float32"}


def test_G48_no_float64_in_jacobians() -> None:
    x = sg.vector("x", "n", "float32")
    for mode in ("reverse", "forward"):
        j = sg.jacobian(sg.softmax(x) * sg.prod(x), x, mode)
        assert j.dtype == np.float32
        assert [str(n) for n in nodes_of(j) if n.type.dtype == np.float64] == []


def test_G48_gradients_return_to_the_dtype_of_the_variable() -> None:
    x = sg.vector("x", 3, "float32")
    g = sg.grad(sg.sum(x.astype("float64") ** 2), x)
    assert g.dtype == np.float32
    np.testing.assert_array_equal(run([x], g, np.array([1, 2, 3], np.float32)), [2, 4, 6])


def test_G48_an_integer_cost_is_refused() -> None:
    x = sg.vector("x", 3)
    with pytest.raises(GradientError, match=r"the cost .* is int64; a float is needed"):
        sg.grad(sg.argmax(x, axis=0), x)


def test_G49_a_literal_zero_weight_hides_what_is_undefined() -> None:
    x = sg.vector("x")
    cost = sg.sum(x * x) + 0.0 * sg.argmax(x)
    gradient = sg.grad(cost, x)
    np.testing.assert_array_equal(run([x], gradient, np.array([1.0, 2.0])), [2.0, 4.0])
