"""``pprint``: the text of an expression; Python reads it back as the same node."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symgraph as sg
from symgraph.printer import pprint
from symgraph.tensor import Tensor

x = sg.matrix("x", shape=("n", 3))
y = sg.matrix("y", shape=("n", 3))
h = sg.matrix("h", shape=("n", 3), dtype="float32")
W = sg.matrix("W", shape=(3, 2))
b = sg.vector("b", shape=2)
v = sg.vector("v", shape="m")
i = sg.tensor("i", shape=("n", 3), dtype="int64")
j = sg.tensor("j", shape=("n",), dtype="int64")
c = sg.tensor("c", shape=("n", 3), dtype="bool")
t = sg.tensor("t", shape=("n", 3, 4))
n = x.shape[0]

TEXTS: list[tuple[Any, str]] = [
    # precedence
    (x + y * x, "x + y * x"),
    ((x + y) * x, "(x + y) * x"),
    (x - (y - x), "x - (y - x)"),
    ((x - y) - x, "x - y - x"),
    (x / (y * x), "x / (y * x)"),
    (-(x**2), "-x ** 2"),
    ((-x) ** 2, "(-x) ** 2"),
    (sg.negative(-x), "-(-x)"),
    (x**y**2.5, "x ** y ** 2.5"),
    ((x**y) ** 2.5, "(x ** y) ** 2.5"),
    (x**-y, "x ** -y"),
    (2.0**x, "2 ** x"),
    (x * -2, "x * -2"),
    (sg.pow(-2.0, x), "(-2) ** x"),
    ((x < y) == c, "(x < y) == c"),
    ((x < y) & ~c | (x == 0), "(x < y) & ~c | (x == 0)"),
    ((i >> 1) + 3, "(i >> 1) + 3"),
    (i >> (i + 3), "i >> i + 3"),
    (x @ W + b, "x @ W + b"),
    ((x + y) @ W, "(x + y) @ W"),
    ((x + y).T, "(x + y).T"),
    (x.T, "x.T"),
    (t.mT, "t.mT"),
    # numbers
    (x * 2, "x * 2"),
    (x * 0.1, "x * 0.1"),
    (h * 0.1, "h * 0.1"),
    (x * -0.0, "x * -0.0"),
    (x * float("nan"), "x * nan"),
    (x * 1e300, "x * 1e+300"),
    (sg.where(c, True, c), "where(c, True, c)"),
    # sizes as values
    (x / n, "x / n"),
    (v * (n + 1), "v * (n + 1)"),
    (v * (2 * n), "v * (2*n)"),
    (sg.mean(x), "sum(x) / (3*n)"),
    # calls
    (sg.sum(sg.exp(x), axis=0), "sum(exp(x), axis=0)"),
    (sg.sum(x), "sum(x)"),
    (sg.max(x, axis=1, keepdims=True), "max(x, axis=1, keepdims=True)"),
    (sg.sum(t, axis=(0, 2)), "sum(t, axis=(0, 2))"),
    (sg.maximum(0, x @ W), "max(0, x @ W)"),
    (sg.minimum(x, y), "min(x, y)"),
    (sg.where(c, x, y), "where(c, x, y)"),
    (sg.clip(x, 0, 1), "clip(x, 0, 1)"),
    (sg.softmax(x, axis=1), "softmax(x, axis=1)"),
    (sg.softmax(v), "softmax(v)"),
    (sg.reciprocal(x), "1 / x"),
    (sg.cumulative_sum(x, axis=1), "cumulative_sum(x, axis=1)"),
    (sg.max_and_argmax(x, axis=1)[1], "max_and_argmax(x, axis=1)[1]"),
    # products of vectors
    (v @ v, "v @ v"),
    (x @ sg.vector("u", shape=3), "x @ u"),
    (sg.vector("u", shape="n") @ x, "u @ x"),
    # indexing
    (x[0], "x[0]"),
    (x[-1], "x[-1]"),
    (x[:, -1], "x[:, 2]"),
    (x[1:-1, ::-1], "x[1:-1, ::-1]"),
    (x[::2], "x[::2]"),
    (v[::-1], "v[::-1]"),
    (x[1:], "x[1:]"),
    (x[:, 1:], "x[:, 1:]"),
    (v[:-2], "v[:-2]"),
    (v[:2], "v[:2]"),
    (v[1:5:2], "v[1:5:2]"),
    (v[3:1:-1], "v[3:1:-1]"),
    (v[::-2], "v[::-2]"),
    (v[6:1:-2], "v[6:1:-2]"),
    (x[:, None], "x[:, None]"),
    (t[j], "t[j]"),
    (t[sg.arange(n), j], "t[arange(n), j]"),
    (sg.take(t, j, axis=1), "t[:, j]"),
    (v[v > 0], "v[nonzero(v > 0)]"),
    (x.at[j].add(1.0), "x.at[j].add(ones((n, 3)))"),
    (sg.pad(x, ((1, 1), (0, 0))), "zeros((n + 2, 3)).at[1:-1].set(x)"),
    # shapes
    (sg.reshape(t, (-1, 12)), "reshape(t, (n, 12))"),
    (sg.concat([x, y], axis=1), "concat([x, y], axis=1)"),
    (sg.stack([v, v]), "stack([v, v])"),
    (sg.zeros(("n", 3)[1:]), "zeros(3)"),
    (sg.full((2, 3), 7.5), "full((2, 3), 7.5)"),
    (sg.broadcast_to(v, (2, v.shape[0])), "broadcast_to(v, (2, m))"),
    (x + sg.ones(x.shape), "x + 1"),
    (sg.permute_dims(t, (1, 0, 2)), "permute_dims(t, (1, 0, 2))"),
    # constants and conversions
    (sg.constant(np.arange(3)), "array([0, 1, 2])"),
    (sg.constant([[1.0, 2.5]]), "array([[1, 2.5]])"),
    (sg.constant(np.ones((3, 4))), "array(3x4)"),
    (i * 2.5, "i * 2.5"),
    (i * x, "i * x"),
    (i.astype("float64") * 2, "float64(i) * 2"),
    (i / 2, "i / 2"),
    (sg.exp(i), "exp(i)"),
    (sg.sum(c), "sum(c)"),
    (x.astype("float32"), "float32(x)"),
    (sg.one_hot(j, 10), "one_hot(j, 10)"),
    (sg.one_hot(j, 10, "float32") * 2, "one_hot(j, 10, float32) * 2"),
]


@pytest.mark.parametrize(("expr", "text"), TEXTS, ids=[text for _, text in TEXTS])
def test_text(expr: Tensor, text: str) -> None:
    assert pprint(expr) == text


def test_str_is_pprint() -> None:
    assert str(x + 1) == f"{x + 1}" == "x + 1"
    assert f"{x + 1:>8}" == "   x + 1"


# ---- read back -----------------------------------------------------------------------------------


def _extreme(name: str) -> Any:
    def call(first: Any, *rest: Any, **options: Any) -> Any:
        chosen = getattr(sg, f"{name}imum") if rest else getattr(sg, name)
        return chosen(first, *rest, **options)

    return call


READ: dict[str, Any] = {
    **{name: getattr(sg, name) for name in sg.__all__},
    "float64": lambda value: sg.astype(value, "float64"),
    "float32": lambda value: sg.astype(value, "float32"),
    "array": lambda values: sg.constant(np.array(values)),
    "max": _extreme("max"),
    "min": _extreme("min"),
    "nan": float("nan"),
    **{str(e.name): e for e in (x, y, h, W, b, v, i, j, c, t)},
    "n": n,
    "m": v.shape[0],
}

UNARY = (sg.negative, sg.exp, sg.tanh, sg.square, sg.abs, sg.sqrt)
BINARY = (sg.add, sg.subtract, sg.multiply, sg.divide, sg.pow, sg.maximum, sg.minimum, sg.logaddexp)
LEAVES: tuple[Any, ...] = (x, y, h, i, x[:1], x[0], h.T.T, x.T.mT, 3, -2.5, 0.1, n)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 4) -> Tensor:
    """A tensor expression of at most ``depth`` operations on a path."""
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        return sg.as_tensor(draw(st.sampled_from(LEAVES[:8])))
    if draw(st.booleans()):
        operand: Tensor = draw(expressions(depth=depth - 1))
        return draw(st.sampled_from(UNARY))(operand)
    left, right = draw(expressions(depth=depth - 1)), draw(expressions(depth=depth - 1))
    if draw(st.integers(0, 2)) == 0:
        right = draw(st.sampled_from(LEAVES[8:]))
    if draw(st.integers(0, 3)) == 0:
        left, right = right, left
    out: Tensor = draw(st.sampled_from(BINARY))(left, right)
    return out


@settings(max_examples=150, deadline=None)
@given(expressions())
def test_python_reads_the_text_as_the_same_node(expr: Tensor) -> None:
    lines = pprint(expr).splitlines()
    names = dict(READ)
    for line in lines[:-1]:
        name, _, value = line.partition(" = ")
        names[name.replace("%", "part")] = eval(value.replace("%", "part"), {}, names)
    assert eval(lines[-1].replace("%", "part"), {}, names) is expr


# ---- names ---------------------------------------------------------------------------------------


def test_two_inputs_of_one_name_are_told_apart() -> None:
    first, second, taken = sg.scalar("a"), sg.scalar("a"), sg.scalar("a_2")
    assert pprint(first * second + taken) == "a * a_3 + a_2"


def test_unnamed_inputs_are_numbered_in_order() -> None:
    first, second = sg.scalar(), sg.scalar()
    assert pprint(second - first) == "in1 - in2"
    assert pprint(sg.shared(1.0) * second) == "shared1 * in1"


def test_unnamed_sizes_are_numbered_in_order() -> None:
    def text() -> str:
        u, w = sg.vector("u"), sg.vector("w")
        return pprint(sg.sum(u) / u.shape[0] - sg.sum(w) / w.shape[0])

    assert text() == text() == "sum(u) / _1 - sum(w) / _2"
