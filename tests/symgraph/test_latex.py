"""LaTeX: notation by operation, names, numbers, parentheses, long expressions."""

from __future__ import annotations

from typing import Any

import pytest

import symgraph as sg
from symgraph.errors import UsageError
from symgraph.latex import latex

x, y = sg.matrix("x", shape=("n", 3)), sg.matrix("y", shape=("n", 3))
W, b = sg.matrix("W_1", shape=(3, 2)), sg.vector("beta", shape=2)
a, k = sg.scalar("a"), sg.vector("k", shape="n", dtype="int64")

NOTATION: list[tuple[sg.Tensor, str]] = [
    (x + y, "x + y"),
    (x - (y - x), r"x - \left(y - x\right)"),
    (x - (-y), r"x - \left(-y\right)"),
    (-(x + y), r"-\left(x + y\right)"),
    (x * y, r"x \odot y"),
    (a * x, r"a\, x"),
    (2 * x, r"2\, x"),
    (x * 3.5, r"x \cdot 3.5"),
    (x / (y + 1), r"\frac{x}{y + 1}"),
    ((x + y) ** 2, r"\left(x + y\right)^{2}"),
    (x**2.5, "x^{2.5}"),
    (sg.sqrt(sg.abs(x)), r"\sqrt{\left|x\right|}"),
    (sg.exp(x) + sg.log(y), r"\exp\left(x\right) + \log\left(y\right)"),
    (sg.sigmoid(x), r"\sigma\left(x\right)"),
    (sg.maximum(x, y), r"\max\left(x, y\right)"),
    (sg.expm1(x), r"\operatorname{expm1}\left(x\right)"),
    (x @ W + b, r"x\, W_{1} + \beta"),
    (x.T @ y, r"x^{\top}\, y"),
    (x @ (y.T @ x), r"x\, \left(y^{\top}\, x\right)"),
    (sg.sum(x), r"\sum x"),
    (sg.sum(x + y, axis=1), r"\sum_{\text{axis }1} \left(x + y\right)"),
    (sg.max(x, axis=0), r"\max_{\text{axis }0} x"),
    (sg.softmax(x), r"\operatorname{softmax}_{\text{axis }1}\left(x\right)"),
    (x > 0, "x > 0"),
    (x != y, r"x \neq y"),
    (sg.floor(x), r"\left\lfloor x \right\rfloor"),
    (sg.one_hot(k, 3), r"\operatorname{one\_hot}(k, 3)"),
    (x[:, 1:], "x[:, 1:]"),
    (sg.concat([x, y]), r"\operatorname{concat}([x, y])"),
]


@pytest.mark.parametrize(("expression", "text"), NOTATION, ids=[t for _, t in NOTATION])
def test_notation(expression: sg.Tensor, text: str) -> None:
    assert latex(expression) == text


def test_selection_is_a_case_distinction() -> None:
    text = latex(sg.where(x > 0, x, 1e-5))
    cases = r"x & \text{if } x > 0 \\ 1 \cdot 10^{-5} & \text{otherwise}"
    assert text == rf"\begin{{cases}} {cases} \end{{cases}}"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x", "x"),
        ("W1", "W_{1}"),
        ("W_12", "W_{12}"),
        ("lambda", r"\lambda"),
        ("theta_2", r"\theta_{2}"),
        ("loss", r"\mathrm{loss}"),
        ("x_hat", r"x_{\mathrm{hat}}"),
        ("50%", r"\mathrm{50\%}"),
    ],
)
def test_names(name: str, text: str) -> None:
    assert latex(sg.scalar(name)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.0, "2"), (-1.5, "-1.5"), (1e30, r"1 \cdot 10^{30}"), (float("inf"), r"\infty")],
)
def test_numbers(value: float, text: str) -> None:
    assert latex(sg.constant(value)) == text


def test_a_long_expression_names_its_parts() -> None:
    z = sg.tanh(x @ W + b)
    for _ in range(60):
        z = sg.exp(z) / (1 + z * z)
    text = latex(z)
    assert text.startswith("\\begin{aligned}\n") and text.endswith("\n\\end{aligned}")
    assert "t_{1} &= " in text and len(text) < 60 * 200


def test_a_deep_expression_needs_no_recursion() -> None:
    z = x
    for _ in range(5000):
        z = sg.sin(z)
    assert latex(z).count(r"\sin") == 5000


def test_braces_and_fences_balance() -> None:
    for expression, _ in NOTATION:
        text = latex(expression).replace(r"\{", "").replace(r"\}", "")
        assert text.count("{") == text.count("}")
        assert text.count(r"\left") == text.count(r"\right")


def test_what_is_no_tensor_is_refused() -> None:
    thing: Any = "x"
    with pytest.raises(UsageError, match="latex: 'x' is not a tensor"):
        latex(thing)
