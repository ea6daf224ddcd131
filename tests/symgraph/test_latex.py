"""LaTeX: notation by operation, names, numbers, parentheses, long expressions."""

from __future__ import annotations

import re
from typing import Any

import pytest
from traced_models import MODELS

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
    (x[:, 1:], r"x_{:,\, 1:}"),
    (W[1:], "{W_{1}}_{1:}"),
    ((x + y)[0], r"{\left(x + y\right)}_{0}"),
    (b[:, None] * b, r"\beta_{:,\, \ast} \odot \beta"),
    (x[sg.arange(x.shape[0]), k], r"x_{\operatorname{arange}(n),\, k}"),
    (x.at[k].add(y), r"\operatorname{add}_{k}\left(x, y\right)"),
    (sg.ones((4, 3)), r"\mathbf{1}_{4 \times 3}"),
    ((x / y) ** 2, r"\left(\frac{x}{y}\right)^{2}"),
    (2 * 3.0**x, r"2 \cdot 3^{x}"),
    (sg.constant(2e-5) ** x, r"\left(2 \cdot 10^{-5}\right)^{x}"),
    (sg.sum(x, axis=1, keepdims=True) * x, r"\left(\sum_{\text{axis }1} x\right) \odot x"),
    (sg.sum(x) * y, r"\left(\sum x\right)\, y"),
    (x + (-y), r"x + \left(-y\right)"),
    ((x > 0) & (y > 0), r"\left(x > 0\right) \land \left(y > 0\right)"),
    (~(x > 0), r"\lnot (x > 0)"),
    (x % y, r"x \bmod y"),
    (x // y, r"\left\lfloor \frac{x}{y} \right\rfloor"),
    (sg.argmax(x, axis=1), r"\operatorname{argmax}_{\text{axis }1}\left(x\right)"),
    (sg.mean(x), r"\frac{\sum x}{3\, n}"),
    (b @ b, r"\beta\, \beta"),
    (sg.one_hot(k, 3, dtype="float32"), r"\operatorname{one\_hot}(k, 3, \mathrm{float32})"),
    (sg.concat([x, y]), r"\operatorname{concat}([x, y])"),
]


@pytest.mark.parametrize(("expression", "text"), NOTATION, ids=[t for _, t in NOTATION])
def test_notation(expression: sg.Tensor, text: str) -> None:
    assert latex(expression) == text


def test_selection_is_a_case_distinction() -> None:
    text = latex(sg.where(x > 0, x, 1e-5))
    cases = r"x & \text{if } x > 0 \\ 10^{-5} & \text{otherwise}"
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
        ("W1_velocity", r"W_{1,\, \mathrm{velocity}}"),
        ("50%", r"\mathrm{50\%}"),
        ("\N{GREEK SMALL LETTER LAMDA}", r"\lambda"),
        ("a\\b c", r"\mathrm{a\backslash b\ c}"),
    ],
)
def test_names(name: str, text: str) -> None:
    assert latex(sg.scalar(name)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.0, "2"),
        (-1.5, "-1.5"),
        (1e30, "10^{30}"),
        (2e30, r"2 \cdot 10^{30}"),
        (float("inf"), r"\infty"),
    ],
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


@pytest.mark.parametrize("model", MODELS, ids=[m.__name__ for m in MODELS])
def test_derivatives_of_models_are_well_formed(model: Any) -> None:
    for o in model().graph.outputs:
        assert_well_formed(latex(o))


def test_notation_is_well_formed() -> None:
    for expression, _ in NOTATION:
        assert_well_formed(latex(expression))


def test_parts_take_a_letter_that_is_free() -> None:
    t = sg.matrix("t_1", shape=("n", 3))
    for _ in range(60):
        t = sg.exp(t) / (1 + t * t)
    assert "s_{1} &= " in latex(t)


COMMANDS = {
    "aligned", "ast", "begin", "beta", "bmod", "cases", "cdot", "cos", "end", "exp", "frac", "geq",
    "infty", "land", "lceil", "left", "leq", "lfloor", "lnot", "log", "lor", "mathbf", "mathrm",
    "max", "min", "neq", "odot", "operatorname", "prod", "rceil", "rfloor", "right", "sigma", "sin",
    "sqrt", "sum", "tan", "tanh", "text", "times", "top",
}  # fmt: skip


def assert_well_formed(text: str) -> None:
    """Braces and fences balance, commands are LaTeX's own, no script stands twice."""
    depth = 0
    for c in re.sub(r"\\[{}_%\\,]", "", text):
        depth += (c == "{") - (c == "}")
        assert depth >= 0, text
    assert depth == 0, text
    assert text.count(r"\left") == text.count(r"\right"), text
    assert set(re.findall(r"\\([A-Za-z]+)", text)) <= COMMANDS, text
    assert not re.search(r"__|\^\^", _without_groups(text)), text


def _without_groups(text: str) -> str:
    """The text with its groups emptied, scripts by their signs alone."""
    text = re.sub(r"\\[{}_%]", "", text)
    while "{" in text:
        text = re.sub(r"([_^])\{[^{}]*\}", r"\1", text)
        text = re.sub(r"(?<![_^])\{[^{}]*\}", "()", text)
    return text


@pytest.mark.parametrize("bad", ["2^{a}^{b}", "W_{1}_{x^{2}}", "{a", r"\left(a", r"\foo"])
def test_the_check_of_the_form_finds(bad: str) -> None:
    with pytest.raises(AssertionError):
        assert_well_formed(bad)


def test_what_is_no_tensor_is_refused() -> None:
    thing: Any = "x"
    with pytest.raises(UsageError, match="latex: 'x' is not a tensor"):
        latex(thing)


def test_a_unit_matrix_has_its_letter() -> None:
    m = sg.matrix("M", shape=(3, 3))
    assert sg.latex(sg.eye(3)) == r"\mathbf{I}" and sg.latex(m + sg.eye(3)) == r"M + \mathbf{I}"
    for other in (sg.eye(3, 4), sg.eye(3, k=1)):
        assert r"\mathbf{I}" not in sg.latex(other)


def test_a_factor_of_one_is_not_shown() -> None:
    v = sg.vector("v")
    assert sg.latex(v * sg.ones(())) == "v" and r"\odot" in sg.latex(v * v)
