"""``verify_grad``, and operations users add with their own derivative: rows G32 and G34."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from derivative_oracles import BACKEND, IN_NUMPY, Array, compiled, run

import symgraph as sg
from symgraph.errors import GradientError, UsageError
from symgraph.tensor import Tensor, apply

RNG = np.random.default_rng(5)
A, B = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2))


def _same(types: Any, attrs: Any, equations: Any) -> Any:
    return types[0]


# An operation as a user writes it: a type rule, a NumPy value, a derivative in the language itself.

swish = sg.Op(
    "swish",
    _same,
    lambda x: x / (1 + np.exp(-x)),
    frozenset({"elementwise"}),
    sg.Derivative(partials=lambda node: (_swish_slope(node.inputs[0], node),)),
)


def _swish_slope(x: Tensor, y: Tensor) -> Tensor:
    s = sg.sigmoid(x)
    return s + y * (1 - s)


def _projection_bprop(node: Tensor, g: Tensor) -> tuple[Tensor]:
    x = node.inputs[0]
    norm = sg.sqrt(sg.sum(x * x, axis=-1, keepdims=True))
    return ((g - node * sg.sum(g * node, axis=-1, keepdims=True)) / norm,)


def _projection_jvp(node: Tensor, tangents: tuple[Tensor, ...]) -> Tensor:
    return _projection_bprop(node, tangents[0])[0]  # the Jacobian is symmetric


def _project(x: Array) -> Array:
    return np.asarray(x / np.sqrt((x * x).sum(axis=-1, keepdims=True)))


only_bprop = sg.Op(
    "project_b", _same, _project, derivative=sg.Derivative(bprop=_projection_bprop)
)  # fmt: skip
only_jvp = sg.Op("project_j", _same, _project, derivative=sg.Derivative(jvp=_projection_jvp))
both = sg.Op(
    "project_bj", _same, _project,
    derivative=sg.Derivative(bprop=_projection_bprop, jvp=_projection_jvp),
)  # fmt: skip
wrong = sg.Op(
    "wrong_square", _same, np.square, frozenset({"elementwise"}),
    sg.Derivative(partials=lambda node: (3 * node.inputs[0],)),
)  # fmt: skip
inconsistent = sg.Op(
    "half_right", _same, np.square,
    derivative=sg.Derivative(
        bprop=lambda node, g: (2 * node.inputs[0] * g,), jvp=lambda node, t: node.inputs[0] * t[0]
    ),
)  # fmt: skip


# ---- the checker ---------------------------------------------------------------------------------


def test_accepts_right_derivatives_to_second_order() -> None:
    sg.verify_grad(lambda a, b: sg.tanh(a @ b), [A, B], order=2, backend=BACKEND)


def test_several_results_and_integer_arguments() -> None:
    sg.verify_grad(
        lambda x, i: [x[i], sg.sum(x**2), sg.argmax(x, axis=0)], [A[0], np.array([2, 0, 2])],
        backend=BACKEND,
    )  # fmt: skip


def test_large_arguments_are_sampled() -> None:
    sg.verify_grad(
        lambda x: sg.sum(x * x), [RNG.normal(size=2000)], max_elements=5, backend=BACKEND
    )


def test_G34_a_wrong_bprop_is_caught_with_a_table() -> None:
    with pytest.raises(GradientError) as caught:
        sg.verify_grad(
            lambda x: sg.sum(apply(wrong, (x,))), [np.array([[1.0, 2.0]])], backend=IN_NUMPY
        )
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(
        "verify_grad: reverse mode differs from central differences at 2 places"
    )
    assert lines[1].split() == ["argument", "index", "reverse", "mode", "central", "differences"]
    argument, row, column, symbolic, numeric = lines[2].split()
    assert (argument, row + column) == ("0", "(0,1)")
    np.testing.assert_allclose(float(symbolic) / float(numeric), 1.5, rtol=1e-6)


def test_G34_a_wrong_jvp_is_caught() -> None:
    with pytest.raises(
        GradientError, match="forward mode differs from central differences at 1 places"
    ):
        sg.verify_grad(lambda x: apply(inconsistent, (x,)), [A], backend=IN_NUMPY)


def test_a_wrong_second_derivative_is_caught() -> None:
    cheat = sg.Op(
        "cheat", _same, np.exp, frozenset({"elementwise"}),
        sg.Derivative(partials=lambda node: (sg.stop_gradient(node),)),
    )  # fmt: skip
    sg.verify_grad(lambda x: apply(cheat, (x,)), [A], backend=IN_NUMPY)
    with pytest.raises(GradientError, match="reverse mode of order 2"):
        sg.verify_grad(lambda x: apply(cheat, (x,)), [A], order=2, backend=IN_NUMPY)


def test_a_nan_is_a_difference() -> None:
    with pytest.raises(GradientError, match="nan"):
        sg.verify_grad(lambda x: sg.sqrt(x), [np.array([-1.0])], backend=IN_NUMPY)


@pytest.mark.parametrize(
    ("fn", "arrays", "options", "message"),
    [
        (lambda i: i, [np.array([1])], {}, "none of the arrays is floating-point"),
        (lambda x: sg.argmax(x, axis=0), [A[0]], {}, "no floating-point result"),
        (lambda x: x, [A[0]], {"order": 0}, "order=0"),
    ],
)
def test_misuse(fn: Any, arrays: Any, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sg.verify_grad(fn, arrays, backend=IN_NUMPY, **options)


# ---- operations of a user's own ------------------------------------------------------------------


@pytest.mark.parametrize("op", [swish, only_bprop, only_jvp, both], ids=lambda op: op.name)
def test_G32_G34_a_user_op_works_unmodified(op: sg.Op) -> None:
    sg.verify_grad(lambda x: sg.sin(apply(op, (x * x + 0.5,))), [A], order=2, backend=IN_NUMPY)


@pytest.mark.parametrize("op", [only_bprop, only_jvp, both], ids=lambda op: op.name)
def test_G32_hessian_product_of_a_user_op(op: sg.Op) -> None:
    x, v = sg.vector("x", 4), sg.vector("v", 4)
    norm = sg.sqrt(sg.sum(x * x))

    def cost(y: sg.Tensor) -> sg.Tensor:
        return sg.sum(sg.exp(y))

    found = compiled([x, v], sg.hvp(cost(apply(op, (x,))), x, v), backend=IN_NUMPY)(A[0], A[1])
    wanted = run([x, v], sg.hvp(cost(x / norm), x, v), A[0], A[1])
    np.testing.assert_allclose(found, wanted, rtol=1e-11)


def test_G32_no_derivative_is_said_with_the_cure() -> None:
    mute = sg.Op("mute", _same, np.tanh)
    x = sg.vector("x")
    with pytest.raises(GradientError, match="mute has no derivative; give the Op a Derivative"):
        sg.grad(sg.sum(apply(mute, (x,))), x)
    with pytest.raises(GradientError, match="mute has no derivative; give the Op a Derivative"):
        sg.jvp(apply(mute, (x,)), x, x)


def test_G32_an_empty_derivative_is_said() -> None:
    hollow = sg.Op("hollow", _same, np.tanh, derivative=sg.Derivative())
    x = sg.vector("x")
    with pytest.raises(GradientError, match="the Derivative of hollow is empty"):
        sg.grad(sg.sum(apply(hollow, (x,))), x)
    with pytest.raises(GradientError, match="the Derivative of hollow is empty"):
        sg.jvp(apply(hollow, (x,)), x, x)
