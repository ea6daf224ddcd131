"""Equal clusters: their calls are those they would have alone."""

from __future__ import annotations

import numpy as np
import pytest
from stages import calls_of, native, parts_of

import symgraph as sg
from symgraph.backends.llvm.clusters import Cluster
from symgraph.backends.llvm.copies import nest_call
from symgraph.backends.llvm.equal_nests import EqualNests
from symgraph.backends.llvm.kernel import Call
from symgraph.backends.llvm.loops import build_nest
from symgraph.backends.llvm.views import viewer
from symgraph.tensor import Tensor

X = sg.tensor("x", shape=("n", 6))
Y = sg.tensor("y", shape=("n", 6))


def row_sums(x: Tensor) -> Tensor:
    """A step of its own, since a product reads it."""
    return sg.sum(sg.exp(x) * x, axis=0)


LAYERS: dict[str, list[Tensor]] = {
    "maps": [sg.cumsum(sg.tanh(v * 3.5) + 1, axis=0) for v in (X, Y)],
    "reductions": [sg.cumsum(row_sums(v), axis=0) for v in (X, Y)],
    "views": [sg.cumsum(v[1:].T * v.T[:, 1:], axis=0) for v in (X, Y)],
}


def alone(outputs: list[Tensor]) -> list[Call]:
    """The calls of every cluster, each built for itself."""
    parts, views = parts_of(*outputs), viewer()
    clusters = [s for s in parts.steps if isinstance(s, Cluster)]
    return [nest_call(build_nest(c, parts.stored, views), next(reversed(c.maps))) for c in clusters]


def together(outputs: list[Tensor]) -> tuple[list[Call], int]:
    """The calls of every cluster, and how many were built."""
    parts, views = parts_of(*outputs), viewer()
    equal, built = EqualNests(parts.stored, views), list[Cluster]()

    def make(c: Cluster) -> list[Call]:
        built.append(c)
        return [nest_call(build_nest(c, parts.stored, views), next(reversed(c.maps)))]

    clusters = [s for s in parts.steps if isinstance(s, Cluster)]
    return [call for c in clusters for call in equal.calls(c, make)], len(built)


@pytest.mark.parametrize("name", LAYERS)
def test_an_equal_cluster_is_not_built(name: str) -> None:
    calls, built = together(LAYERS[name])
    assert len(calls) == 2 and built == 1


def test_another_literal_is_another_form() -> None:
    _, built = together([sg.cumsum(sg.tanh(v * s), axis=0) for v, s in ((X, 3.5), (Y, 4.5))])
    assert built == 2


def test_one_operand_twice_is_not_two_operands() -> None:
    z = sg.tensor("z", shape=("n", 6))
    _, built = together([sg.cumsum(sg.exp(X) * X, axis=0), sg.cumsum(sg.exp(Y) * z, axis=0)])
    assert built == 2


def test_other_strides_are_another_form() -> None:
    square = sg.tensor("s", shape=(4, 4))
    _, built = together([sg.cumsum(sg.exp(v), axis=0) for v in (square, square.T)])
    assert built == 2


def test_what_is_looked_up_is_built_each_time() -> None:
    index = sg.tensor("i", shape=(3,), dtype="int64")
    _, built = together([sg.cumsum(sg.exp(v[index]), axis=0) for v in (X, Y)])
    assert built == 2


@pytest.mark.parametrize("name", LAYERS)
def test_the_call_is_the_one_it_would_have_alone(name: str) -> None:
    for found, wanted in zip(together(LAYERS[name])[0], alone(LAYERS[name]), strict=True):
        assert found.key == wanted.key and found.node.op is wanted.node.op
        assert (found.units, found.work) == (wanted.units, wanted.work)
        assert found.nest is not None and wanted.nest is not None
        assert found.nest.key() == wanted.nest.key()
        assert list(found.params) == found.nest.params == wanted.nest.params
        assert all(a is b for a, b in zip(found.nest.sources, wanted.nest.sources, strict=True))
        for item, other in zip(found.nest.items, wanted.nest.items, strict=True):
            assert item.node is other.node


def test_the_second_layer_reads_its_own_variables() -> None:
    f = native([X, Y], LAYERS["maps"])
    x, y = np.random.default_rng(3).normal(size=(2, 5, 6))
    for got, v in zip(f(x, y), (x, y), strict=True):
        np.testing.assert_allclose(
            got, np.cumsum(np.tanh(v * 3.5) + 1, axis=0), rtol=1e-12, atol=1e-15
        )


def test_every_step_of_a_chain_has_its_own_node() -> None:
    h = X
    for k in range(5):
        h = sg.cumsum(sg.tanh(h * X) + k % 2, axis=0)
    nodes = [c.node for c in calls_of(h)]
    assert len({id(n) for n in nodes}) == len(nodes)
