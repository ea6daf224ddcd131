"""Masks before and after: what merges, what moves, what must stay; values and derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph import Tensor
from symgraph.backends.reference.evaluate import evaluate_graph
from symgraph.passes.simplify import simplify

Array = np.ndarray[Any, Any]
Builder = Callable[[], Tensor]

x, y, z = (sg.tensor(name, shape=("n", 3)) for name in "xyz")
c, d = (sg.tensor(name, shape=("n", 3), dtype="bool") for name in "cd")
rows = sg.tensor("rows", shape=("n", 1), dtype="bool")
no = sg.logical_not
steady = sg.tanh(sg.where(sg.isfinite(y), y, 0.5))  # finite, whatever y is

# fmt: off
STRICT: dict[str, tuple[Builder, Builder]] = {
    "same condition":        (lambda: sg.where(c, x, 2.0) - sg.where(c, y, 3.0),
                              lambda: sg.where(c, x - y, -1.0)),
    "same, multiplied":      (lambda: sg.where(c, x, 0.0) * sg.where(c, y, 0.0),
                              lambda: sg.where(c, x * y, 0.0)),
    "opposite condition":    (lambda: sg.where(c, x, 2.0) - sg.where(no(c), 3.0, y),
                              lambda: sg.where(c, x - y, -1.0)),
    "both numbers":          (lambda: sg.abs(sg.where(c, -2.0, 3.0)),
                              lambda: sg.where(c, sg.constant([2.0])[0], sg.constant([3.0])[0])),
    "same function":         (lambda: sg.where(c, sg.exp(x), sg.exp(y)),
                              lambda: sg.exp(sg.where(c, x, y))),
    "same factor":           (lambda: sg.where(c, x * z, y * z),
                              lambda: sg.where(c, x, y) * z),
    "nested, same branch":   (lambda: sg.where(c, sg.where(d, x, y), y),
                              lambda: sg.where(c & d, x, y)),
    "nested, other branch":  (lambda: sg.where(c, x, sg.where(d, x, y)),
                              lambda: sg.where(c | d, x, y)),
    "implied":               (lambda: sg.where(c & d, sg.where(d, x, y), z),
                              lambda: sg.where(c & d, x, z)),
    "excluded":              (lambda: sg.where(c | d, z, sg.where(d, x, y)),
                              lambda: sg.where(c | d, z, y)),
    "condition inside":      (lambda: sg.where(c, sg.exp(sg.where(c, x, y)) - z, z),
                              lambda: sg.where(c, sg.exp(x) - z, z)),
    "condition as a number": (lambda: sg.where(c, y, x - c.astype("float64")),
                              lambda: sg.where(c, y, x - 0.0)),
    "rows":                  (lambda: sg.sum(sg.where(rows, x, 0.0), axis=1),
                              lambda: sg.where(rows[:, 0], sg.sum(x, axis=1), 0.0)),
    "rows of a product":     (lambda: sg.prod(sg.where(rows, x, 1.0), axis=1),
                              lambda: sg.where(rows[:, 0], sg.prod(x, axis=1), 1.0)),
    "product of masks":      (lambda: c.astype("float64") * d.astype("float64"),
                              lambda: (c & d).astype("float64")),
    "one minus mask":        (lambda: 1 - c.astype("float64"),
                              lambda: no(c).astype("float64")),
    "square of mask":        (lambda: sg.square(c.astype("float32")),
                              lambda: c.astype("float32")),
    "bool branches":         (lambda: sg.where(c, d, sg.constant(False)), lambda: c & d),
    "bool branch true":      (lambda: sg.where(c, sg.constant(True), d), lambda: c | d),
    "de Morgan":             (lambda: no(no(c) & no(d)), lambda: c | d),
    "absorption":            (lambda: c & (c | d), lambda: c),
    "absorption of not":     (lambda: c | (no(c) & d), lambda: c | d),
    "opposite inside":       (lambda: sg.where(x > 0, sg.where(x <= 0, y, z), y),
                              lambda: sg.where(x > 0, z, y)),
    "weaker inside":         (lambda: sg.where(x > y, sg.where(y <= x, y, z), z),
                              lambda: sg.where(x > y, y, z)),
}
DEFAULT: dict[str, tuple[Builder, Builder]] = {
    "sum of opposites":      (lambda: sg.where(c, x, 0.0) + sg.where(no(c), y, 0.0),
                              lambda: sg.where(c, x, y)),
    "finite factor":         (lambda: sg.where(c, x, 0.0) * steady,
                              lambda: sg.where(c, x * steady, 0.0)),
    "safe divisor":          (lambda: sg.where(c, x, 0.0) / (2 + steady),
                              lambda: sg.where(c, x / (2 + steady), 0.0)),
    "mask as a factor":      (lambda: c.astype("float64") * steady,
                              lambda: sg.where(c, steady, 0.0)),
    "each of both":          (lambda: sg.where(c, x, y) + sg.where(c, y, x), lambda: x + y),
    "each of both, product": (lambda: sg.where(c, x, y) * sg.where(no(c), x, y), lambda: x * y),
    "opposites of ordered":  (lambda: sg.where(steady > 0, x, 0.0) + sg.where(steady <= 0, y, 0.0),
                              lambda: sg.where(steady > 0, x, y)),
    "larger plus smaller":   (lambda: sg.maximum(x, y) + sg.minimum(x, y), lambda: x + y),
    "larger times smaller":  (lambda: sg.maximum(x, y) * sg.minimum(y, x), lambda: x * y),
    "larger less smaller":   (lambda: sg.maximum(x, y) - sg.minimum(x, y), lambda: sg.abs(x - y)),
    "parts by sign":         (lambda: sg.relu(x) + sg.minimum(x, 0.0), lambda: x),
    "relu or another":       (lambda: sg.relu(x) + sg.where(x <= 0, y, 0.0),
                              lambda: sg.where(x <= 0, y, x)),
}
FAST: dict[str, tuple[Builder, Builder]] = {
    "any factor":            (lambda: sg.where(c, x, 0.0) * y,
                              lambda: sg.where(c, x * y, 0.0)),
    "any divisor":           (lambda: sg.where(c, x, 0.0) / y,
                              lambda: sg.where(c, x / y, 0.0)),
    "mask of anything":      (lambda: c.astype("float64") * x,
                              lambda: sg.where(c, x, 0.0)),
    "opposites":             (lambda: sg.where(x > 0, y, 0.0) + sg.where(x <= 0, z, 0.0),
                              lambda: sg.where(x > 0, y, z)),
    "by sign":               (lambda: sg.where(x > 0, x, 0.0) + sg.where(x > 0, 0.0, y),
                              lambda: sg.where(x > 0, x, y)),
}
UNTOUCHED: dict[str, Builder] = {
    "factor may be NaN":     lambda: sg.where(c, x, 0.0) * y,
    "factor may be infinite": lambda: sg.where(c, x, 0.0) * sg.exp(sg.where(sg.isnan(y), 0.0, y)),
    "divisor may be zero":   lambda: sg.where(c, x, 0.0) / sg.sigmoid(y),
    "mask of a NaN":         lambda: c.astype("float64") * x,
    "other conditions":      lambda: sg.where(c, x, 2.0) - sg.where(d, y, 3.0),
    "neither for NaN":       lambda: sg.where(x > 0, y, 0.0) + sg.where(x <= 0, z, 0.0),
    "NaN outside":           lambda: sg.where(x > 0, 3.0, sg.where(x <= 0, y, z)),
    "nothing is known":      lambda: sg.where(c, x, y) * sg.where(c, y, z),
    "element by element":    lambda: sg.sum(sg.where(c, x, 0.0), axis=1),
    "not a neutral number":  lambda: sg.sum(sg.where(rows, x, 2.0), axis=1),
    "one number":           lambda: sg.abs(sg.where(c, x, -2.0)),
    "markers":               lambda: sg.stop_gradient(sg.where(c, x, 2.0)),
}
# fmt: on


def _cases(table: dict[str, Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", table.values(), ids=list(table))


@_cases(STRICT)
@pytest.mark.parametrize("passes", ["strict", "default"])
def test_exact(case: tuple[Builder, Builder], passes: str) -> None:
    before, after = case
    assert simplify(before(), passes) is simplify(after(), passes)


@_cases(DEFAULT)
def test_default(case: tuple[Builder, Builder]) -> None:
    before, after = case
    assert simplify(before()) is simplify(after())
    assert simplify(before(), "strict") is not simplify(after(), "strict")


@_cases(FAST)
def test_fast(case: tuple[Builder, Builder]) -> None:
    before, after = case
    assert simplify(before(), "fast") is simplify(after(), "fast")


@_cases(UNTOUCHED)
def test_untouched(case: Builder) -> None:
    assert sg.pprint(simplify(case())) == sg.pprint(simplify(case(), ()))


def test_the_mask_of_a_derivative_is_applied_once() -> None:
    v = sg.vector("v")
    first = sg.grad(sg.sum(sg.where(v > 0, sg.log(v), 0.0)), v)
    assert sg.pprint(simplify(first)) == "where(v > 0, 1 / v, 0)"
    second = sg.Graph([simplify(sg.grad(sg.sum(first), v))])
    assert second.count("where") == 1 and second.count("greater") == 1


def test_opposite_conditions_as_numbers() -> None:
    inside = sg.where(x > 0, x + (x < 0).astype("float64"), y)
    assert simplify(inside) is simplify(sg.where(x > 0, x + 0.0, y))
    k = sg.vector("k", dtype="int64")
    one = simplify((k > 1).astype("float64") + (k <= 1).astype("float64"))
    assert simplify(sg.ones_like(k.astype("float64"))) is one
    v = sg.vector("v")
    both = simplify((v > 1).astype("float64") + (v <= 1).astype("float64"))
    assert sg.Graph([both]).count("greater", "less_equal") == 2  # 0 where v is NaN


def test_a_shared_branch_is_not_computed_twice() -> None:
    p, q = sg.exp(x), sg.exp(y)
    found = simplify([sg.where(c, p, q), p, q])
    assert sg.Graph(found).count("exp") == 2


SPECIAL = [0.0, -0.0, 1.0, -2.5, 1e300, -1e-300, np.inf, -np.inf, np.nan]


def _values(dtype: str, seed: int = 3) -> dict[Tensor, Array]:
    rng = np.random.default_rng(seed)
    pool = np.array(SPECIAL)
    with np.errstate(over="ignore"):
        out: dict[Tensor, Array] = {v: rng.choice(pool, (60, 3)).astype(dtype) for v in (x, y, z)}
    return out | {c: rng.random((60, 3)) > 0.5, d: rng.random((60, 3)) > 0.5,
                  rows: rng.random((60, 1)) > 0.5}  # fmt: skip


def _run(expression: Tensor) -> Array:
    graph = sg.Graph([expression])
    values = _values("float64")
    with np.errstate(all="ignore"):
        return evaluate_graph(graph, {v: a for v, a in values.items() if v in graph})[0]


@_cases(STRICT | DEFAULT)
def test_special_values_are_kept(case: tuple[Builder, Builder]) -> None:
    before = case[0]()
    np.testing.assert_array_equal(_run(simplify(before)), _run(before))


@_cases({k: v for k, v in (STRICT | DEFAULT).items() if v[0]().dtype.kind == "f"})
def test_derivatives_are_kept(case: tuple[Builder, Builder]) -> None:
    before = case[0]()
    rng = np.random.default_rng(5)
    values = {v: rng.normal(size=(7, 3)) for v in (x, y, z)} | {
        v: rng.random((7, v.shape[1])) > 0.5 for v in (c, d, rows)
    }
    for wrt in (x, y):
        slopes = [
            sg.grad(sg.sum(e), wrt, disconnected="zero", stabilise=False)
            for e in (before, simplify(before))
        ]
        got = [evaluate_graph(sg.Graph([g], list(values)), values)[0] for g in slopes]
        np.testing.assert_allclose(got[1], got[0], rtol=1e-12)


def test_strong_zero_survives() -> None:
    """sqrt of what was not chosen has no say, at any order."""
    v = sg.vector("v")
    inside = sg.where(v > 0, sg.sqrt(v), 0.0) * sg.where(v > 0, sg.log(v), 0.0)
    slope = sg.function([v], sg.grad(sg.sum(simplify(inside)), v))
    at = np.array([0.0, -1.0, 4.0])
    np.testing.assert_allclose(slope(at), [0, 0, np.log(4) / 4 + 0.5])
