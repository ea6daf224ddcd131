"""Comparisons, minimum, maximum and conversions before and after: what ranges decide, and NaN."""

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

x, y = (sg.tensor(name, shape=("n", 3)) for name in "xy")
single = sg.tensor("single", shape=("n", 3), dtype="float32")
i, j = (sg.tensor(name, shape=("n", 3), dtype="int32") for name in "ij")
c = sg.tensor("c", shape=("n", 3), dtype="bool")
unsigned = sg.tensor("unsigned", shape=("n", 3), dtype="uint8")
no = sg.logical_not
whole = sg.astype(i, "float64")
clean = sg.where(sg.isnan(x), 0.0, x)  # never NaN


def _all(value: bool) -> Tensor:
    return sg.full(x.shape, value, dtype="bool")


# fmt: off
STRICT: dict[str, tuple[Builder, Builder]] = {
    "relu below zero":       (lambda: sg.relu(x) < 0,                lambda: _all(False)),
    "square below zero":     (lambda: x * x < 0,                     lambda: _all(False)),
    "literal first":         (lambda: sg.less(2.0, sg.tanh(x)),      lambda: _all(False)),
    "disjoint":              (lambda: sg.equal(sg.tanh(x), 2.0),     lambda: _all(False)),
    "disjoint, unequal":     (lambda: sg.not_equal(sg.tanh(x), 2.0), lambda: _all(True)),
    "clean square":          (lambda: sg.square(clean) >= 0,         lambda: _all(True)),
    "count of rows":         (lambda: sg.full(x.shape, x.shape[0]) >= 0, lambda: _all(True)),
    "less or equal":         (lambda: (x < y) | sg.equal(y, x),      lambda: x <= y),
    "both ways":             (lambda: (x <= y) & (x >= y),           lambda: sg.equal(x, y)),
    "neither way":           (lambda: (x < y) & (y < x),             lambda: _all(False)),
    "equal, not less":       (lambda: (x <= y) & sg.not_equal(x, y), lambda: x < y),
    "not less, integers":    (lambda: no(i < j),                     lambda: i >= j),
    "not less, no NaN":      (lambda: no(clean < 2.0),               lambda: clean >= 2.0),
    "any order, integers":   (lambda: (i < j) | (i >= j),            lambda: _all(True)),
    "itself":                (lambda: sg.equal(x, x),                lambda: no(sg.isnan(x))),
    "mask above zero":       (lambda: sg.astype(c, "float64") > 0,   lambda: c),
    "mask equals zero":      (lambda: sg.equal(sg.astype(c, "int8"), 0), lambda: no(c)),
    "mask below two":        (lambda: sg.astype(c, "int64") < 2,     lambda: _all(True)),
    "converted integers":    (lambda: whole < 2.0,                   lambda: i < 2),
    "both converted":        (lambda: whole < sg.astype(j, "float64"), lambda: i < j),
    "isnan":                 (lambda: sg.isnan(whole),               lambda: _all(False)),
    "isinf":                 (lambda: sg.isinf(sg.sigmoid(x)),       lambda: _all(False)),
    "isfinite":              (lambda: sg.isfinite(sg.tanh(clean)),   lambda: _all(True)),
    "maximum settled":       (lambda: sg.maximum(sg.exp(x), -1.0),   lambda: sg.exp(x)),
    "maximum of clean":      (lambda: sg.maximum(sg.tanh(clean), 2.0),
                              lambda: sg.full(x.shape, 2.0)),
    "minimum settled":       (lambda: sg.minimum(sg.sigmoid(x), 1.0), lambda: sg.sigmoid(x)),
    "maximum of literals":   (lambda: sg.maximum(sg.maximum(x, 1.0), 2.0),
                              lambda: sg.maximum(x, 2.0)),
    "maximum of negative":   (lambda: sg.maximum(x, -x),             lambda: sg.abs(x)),
    "minimum of negative":   (lambda: sg.minimum(x, -x),             lambda: -sg.abs(x)),
    "clip inside":           (lambda: sg.clip(sg.sigmoid(x), 0, 1),  lambda: sg.sigmoid(x)),
    "clip of clip":          (lambda: sg.clip(sg.clip(x, -2, 2), -1, 3),
                              lambda: sg.clip(x, -1, 2)),
    "relu of relu":          (lambda: sg.relu(sg.relu(x)),           lambda: sg.relu(x)),
    "relu of a sum":         (lambda: sg.relu(sg.exp(x) + 1),        lambda: sg.exp(x) + 1),
    "abs of square":         (lambda: sg.abs(x * x),                 lambda: x * x),
    "sign of positive":      (lambda: sg.sign(1 + sg.exp(clean)),
                              lambda: sg.full(x.shape, 1.0)),
    "floor of whole":        (lambda: sg.floor(whole + sg.round(x)), lambda: whole + sg.round(x)),
    "trunc, then int":       (lambda: sg.astype(sg.trunc(x), "int64"),
                              lambda: sg.astype(x, "int64")),
    "integer over one":      (lambda: i // 1,                        lambda: i),
    "integer modulo one":    (lambda: i % 1,                         lambda: sg.zeros_like(i)),
    "small modulo":          (lambda: sg.argmax(x, axis=1) % 3,      lambda: sg.argmax(x, axis=1)),
}
DEFAULT: dict[str, tuple[Builder, Builder]] = {
    "maximum with zero":     (lambda: sg.maximum(x, 0.0),            lambda: sg.relu(x)),
    "negative relu":         (lambda: -sg.relu(-x),                  lambda: sg.minimum(x, 0.0)),
    "relu both ways":        (lambda: sg.relu(x) - sg.relu(-x),      lambda: x),
    "relu, summed":          (lambda: sg.relu(x) + sg.relu(-x),      lambda: sg.abs(x)),
    "relu by where":         (lambda: sg.where(x < 0, 0.0, x),       lambda: sg.relu(x)),
    "relu of clean":         (lambda: sg.where(clean > 0, clean, 0.0), lambda: sg.relu(clean)),
    "abs by where":          (lambda: sg.where(x > 0, x, -x),        lambda: sg.abs(x)),
    "abs by where, below":   (lambda: sg.where(x < 0, -x, x),        lambda: sg.abs(x)),
    "abs of negative":       (lambda: sg.abs(sg.minimum(x, -1.0)),   lambda: -sg.minimum(x, -1.0)),
    "sign and abs":          (lambda: sg.sign(x) * sg.abs(x),        lambda: x),
    "sign times itself":     (lambda: sg.sign(x) * x,                lambda: sg.abs(x)),
    "clip without bottom":   (lambda: sg.clip(sg.exp(x), -1.0, 5.0),
                              lambda: sg.minimum(sg.exp(x), 5.0)),
    "clip without top":      (lambda: sg.clip(sg.tanh(x), 0.5, 5.0),
                              lambda: sg.maximum(sg.tanh(x), 0.5)),
    "clip of clip, apart":   (lambda: sg.clip(sg.clip(x, -2, -1), 1, 2),
                              lambda: sg.maximum(sg.clip(x, -2, -1), 1.0)),
}
UNTOUCHED: dict[str, Builder] = {
    "square may be NaN":     lambda: x * x >= 0,
    "not less, floats":      lambda: no(x < y),
    "any order, floats":     lambda: (x < y) | (x >= y),
    "relu by where of NaN":  lambda: sg.where(x > 0, x, 0.0),
    "maximum hides no NaN":  lambda: sg.maximum(sg.tanh(x), 2.0),
    "unsigned negation":     lambda: sg.maximum(unsigned, sg.negative(unsigned)),
    "integers beyond":       lambda: sg.astype(i, "float32") < 2.0**30,
    "division by itself":    lambda: i // i,
    "sizes may be zero":     lambda: sg.full(x.shape, x.shape[0]) > 0,
    "sign of what may vanish": lambda: sg.sign(sg.exp(clean)),
    "clip of NaN":           lambda: sg.isnan(sg.clip(x, 0, 1)),
    "different operands":    lambda: (x < y) | sg.equal(x, x + y),
}
# fmt: on


def _cases(table: dict[str, Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", table.values(), ids=list(table))


@_cases(STRICT)
@pytest.mark.parametrize("passes", ["strict", "default"])
def test_exact(case: tuple[Builder, Builder], passes: str) -> None:
    before, after = (sg.pprint(simplify(build(), passes)) for build in case)
    assert before == after


@_cases(DEFAULT)
def test_default(case: tuple[Builder, Builder]) -> None:
    assert sg.pprint(simplify(case[0]())) == sg.pprint(simplify(case[1]()))
    assert sg.pprint(simplify(case[0](), "strict")) != sg.pprint(simplify(case[1](), "strict"))


@_cases(UNTOUCHED)
def test_untouched(case: Builder) -> None:
    after = sg.Graph([simplify(case())])
    assert len(after.nodes) == len(sg.Graph([case()]).nodes)


SPECIAL = [0.0, -0.0, 1.0, -2.5, 1e300, 5e-324, np.inf, -np.inf, np.nan]


def _values() -> dict[Tensor, Array]:
    rng = np.random.default_rng(4)
    ends = np.iinfo(np.int32)
    whole = np.array([0, 1, -1, 5, ends.max, ends.min], np.int32)
    out: dict[Tensor, Array] = {v: rng.choice(np.array(SPECIAL), (90, 3)) for v in (x, y)}
    out |= {v: rng.choice(whole, (90, 3)) for v in (i, j)}
    return out | {c: rng.random((90, 3)) > 0.5}


@_cases(STRICT | DEFAULT)
def test_special_values_are_kept(case: tuple[Builder, Builder]) -> None:
    before = case[0]()
    values = _values()
    with np.errstate(all="ignore"):
        want, got = (
            evaluate_graph(sg.Graph([e], list(values)), values)[0]
            for e in (before, simplify(before))
        )
    np.testing.assert_array_equal(got, want)


KINKED = ("maximum with zero", "relu by where", "abs by where", "clip without top")


@pytest.mark.parametrize("name", KINKED)
def test_derivatives_away_from_kinks(name: str) -> None:
    before = DEFAULT[name][0]()
    at = np.array([[-3.0, 0.2, 4.0], [0.7, -0.1, -9.0]])
    slopes = [sg.grad(sg.sum(e), x, stabilise=False) for e in (before, simplify(before))]
    got = [evaluate_graph(sg.Graph([g], [x]), {x: at})[0] for g in slopes]
    np.testing.assert_allclose(got[1], got[0], rtol=1e-14)


def test_a_tie_of_maximum_still_shares_equally() -> None:
    """relu'(0) is 0, maximum's share at a tie 1/2: maximum is differentiated as it was written."""
    v = sg.vector("v")
    slope = sg.function([v], sg.grad(sg.sum(sg.maximum(v, 0.0)), v))
    np.testing.assert_array_equal(slope(np.array([0.0, 1.0])), [0.5, 1.0])
