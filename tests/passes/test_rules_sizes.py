"""Sizes: a shape never computes what it is the shape of, and sizes fold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import symgraph as sg
from symgraph import Tensor
from symgraph.functions.variables import size_value
from symgraph.passes.simplify import simplify

x, y = sg.tensor("x", shape=("n", 3)), sg.tensor("y", shape=("m", 3))
n, m = x.shape[0], y.shape[0]

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "exp": sg.exp,
    "product": lambda v: v @ v.T,
    "softmax": lambda v: sg.softmax(v, axis=1),
    "rows": lambda v: sg.sum(v, axis=1),
    "joined": lambda v: sg.concat([v, v], axis=0),
    "sliced": lambda v: v[1:],
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=list(FUNCTIONS))
def test_a_shape_never_computes_the_value(function: Callable[[Tensor], Tensor]) -> None:
    scaled = x / function(x).shape[0]
    assert {node.op.name for node in sg.Graph([scaled]).nodes} <= {"input", "size", "divide"}


def _size(value: object) -> Tensor:
    return sg.constant(value)


# fmt: off
FOLDED: dict[str, tuple[Callable[[], Tensor], Callable[[], Tensor]]] = {
    "sum":              (lambda: _size(n) + _size(m),           lambda: _size(n + m)),
    "product":          (lambda: _size(n) * _size(m),           lambda: _size(n * m)),
    "difference":       (lambda: _size(n + m) - _size(m),       lambda: _size(n)),
    "maximum":          (lambda: sg.maximum(_size(n), _size(n + 1)), lambda: _size(n + 1)),
    "minimum":          (lambda: sg.minimum(_size(n), _size(n + 1)), lambda: _size(n)),
    "conversion":       (lambda: sg.astype(_size(n), "float32"),
                         lambda: size_value(n, np.dtype("float32"))),
    "nonnegative":      (lambda: _size(n) >= 0,                 lambda: sg.constant(True)),
    "equal":            (lambda: sg.equal(_size(n), _size(n)),  lambda: sg.constant(True)),
    "one more":         (lambda: _size(n) < _size(n + 1),       lambda: sg.constant(True)),
    "one more, equal":  (lambda: sg.equal(_size(n), _size(n + 1)), lambda: sg.constant(False)),
    "known":            (lambda: _size(3) * _size(n),           lambda: _size(3 * n)),
}
KEPT: dict[str, Callable[[], Tensor]] = {
    "sizes may be zero":       lambda: _size(n) > 0,
    "zero over zero":          lambda: sg.astype(_size(n), "float64") / _size(n),
    "sizes may agree":         lambda: sg.equal(_size(n), _size(m)),
    "float32 rounds":          lambda: sg.less(*(size_value(d, np.dtype("float32"))
                                                 for d in (n, n + 1))),
}
# fmt: on


@pytest.mark.parametrize(("before", "after"), FOLDED.values(), ids=list(FOLDED))
def test_sizes_fold(before: Callable[[], Tensor], after: Callable[[], Tensor]) -> None:
    assert sg.pprint(simplify(before(), "strict")) == sg.pprint(after())


@pytest.mark.parametrize("before", KEPT.values(), ids=list(KEPT))
def test_sizes_that_are_not_known(before: Callable[[], Tensor]) -> None:
    assert simplify(before()).op.name not in ("constant", "size")


def test_broadcast_and_sum_to_equal_shapes_vanish() -> None:
    assert simplify(sg.broadcast_to(sg.exp(x), (n, 3))).op.name == "exp"
    slope = simplify(sg.grad(sg.sum(x * sg.exp(x)), x))
    assert not {"sum", "broadcast_to"} & {node.op.name for node in sg.Graph([slope]).nodes}


def test_sizes_count_when_called() -> None:
    f = sg.function([x, y], [x * (x.shape[0] * y.shape[0]), sg.maximum(_size(n), _size(m))])
    scaled, larger = f(np.ones((2, 3)), np.ones((5, 3)))
    assert scaled[0, 0] == 10 and larger == 5
