"""Golden texts: the graphs of Fig. 6.8 and the derivative graph of Fig. 6.10."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

import symgraph as sg
from symgraph.graph import Graph
from symgraph.op import Attrs, Equations, Op, partials
from symgraph.printer import pprint, print_graph
from symgraph.tensor import Tensor, apply
from symgraph.types import TensorType
from symgraph.views import to_dot

Golden = Callable[[str, str], None]


def lines_left_out(text: str) -> str:
    """The text without line numbers of this file, which have a test of their own."""
    return re.sub(r"test_printer_golden\.py:\d+", "figures.py:_", text)


def product() -> Tensor:
    return sg.scalar("x") * sg.scalar("y")


def logistic() -> Tensor:
    x, w = sg.vector("x", shape="n"), sg.vector("w", shape="n")
    return sg.sigmoid(x @ w + sg.scalar("b"))


def rectified() -> Tensor:
    X, W = sg.matrix("X", shape=("m", "n")), sg.matrix("W", shape=("n", "k"))
    return sg.maximum(0, X @ W + sg.vector("b", shape="k"))


def penalised() -> list[Tensor]:
    x, w = sg.vector("x", shape="n"), sg.vector("w", shape="n")
    return [x @ w, sg.scalar("lambda") * sg.sum(w**2)]


FIGURES: dict[str, Callable[[], Tensor | list[Tensor]]] = {
    "figure_6_8_a": product,
    "figure_6_8_b": logistic,
    "figure_6_8_c": rectified,
    "figure_6_8_d": penalised,
}


@pytest.mark.parametrize("name", FIGURES)
def test_figure_6_8(name: str, golden: Golden) -> None:
    made = FIGURES[name]()
    outputs = made if isinstance(made, list) else [made]
    formulas = [pprint(o) for o in outputs]
    graph = Graph(outputs)
    f = sg.function(list(graph.inputs), made, name=name, backend="reference")
    parts = [
        *formulas, "\nbefore optimisation\n", print_graph(graph), "\nafter optimisation\n",
        str(f), "", to_dot(f.graph).rstrip(),
    ]  # fmt: skip
    golden(name, lines_left_out("\n".join(parts)))


def _same(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    return types[0]


f_prime = Op("f'", _same, np.cos)
f = Op("f", _same, np.sin, derivative=partials(lambda x, y: (apply(f_prime, (x,)),)))


def test_figure_6_10(golden: Golden) -> None:
    """The graph of z = f(f(f(w))), and again with dz/dw appended; no number is involved."""
    w = sg.scalar("w")
    z = apply(f, (apply(f, (apply(f, (w,)),)),))
    graph = Graph([z])
    before = print_graph(graph)
    slope = sg.build_grad(graph, z, [w])[w]
    assert isinstance(slope, Tensor)
    text = "\n".join([before, "", print_graph(graph), "", pprint(slope)])
    golden("figure_6_10", lines_left_out(text))


def test_q_minus_p(golden: Golden) -> None:
    """Section 6.5.9: what backpropagation leaves of softmax and cross-entropy, and q - p."""
    z = sg.matrix("z", shape=("n", "k"))
    p = sg.matrix("p", shape=("n", "k"))
    exps = sg.exp(z)
    parts = []
    for kind, targets in (("any", p), ("normalised", sg.assume_normalised(p, axis=1))):
        cost = -sg.sum(targets * sg.log(exps / sg.sum(exps, axis=1, keepdims=True)))
        raw = sg.grad(cost, z, stabilise=False)
        parts += [f"{kind} targets, as backpropagation leaves it", pprint(raw), ""]
        parts += [f"{kind} targets, simplified", pprint(sg.simplify(sg.grad(cost, z))), ""]
    golden("q_minus_p", "\n".join(parts).rstrip())
