"""Numbers that every kernel computes for itself, before its loops."""

from __future__ import annotations

import numpy as np
import pytest
from stages import both, clusters_of, nests_of, parts_of

import symgraph as sg
from symgraph.backends.llvm.nest_values import uniform_items
from symgraph.tensor import Tensor

X = sg.tensor("x", shape=("n", "m"))
S = sg.tensor("s", shape=())


def share(x: Tensor) -> Tensor:
    """1 / n, as a float of its own."""
    return sg.divide(1.0, x.shape[0])


def test_a_share_is_no_kernel_of_its_own() -> None:
    y = sg.exp(X) * share(X)
    z = sg.sum(X, axis=0) * share(X)
    assert [c for c in clusters_of(y, z) if c == ["divide"]] == []
    native, reference = both([X], [y, z])
    a = np.arange(6.0).reshape(2, 3)
    for got, want in zip(native(a), reference(a), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-15)


def test_a_share_that_is_a_result_is_stored() -> None:
    y = share(X)
    assert len(parts_of(y).stored) == 1
    native, reference = both([X], [y, X * y])
    a = np.ones((4, 5))
    for got, want in zip(native(a), reference(a), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("literal", [2.0, 0.3])
def test_what_is_the_same_everywhere_is_known_before_the_loops(literal: float) -> None:
    (nest,) = nests_of(X * (S * literal) + 1)
    kinds = {k: i.kind for k, i in enumerate(nest.items)}
    outside = [kinds[k] for k in uniform_items(nest)]
    assert len(kinds) - len(outside) == 3, nest  # the load of x, the product and the sum


def test_an_element_that_the_kernel_writes_is_read_in_its_turn() -> None:
    w = sg.shared(np.array(2.0), name="w")
    f = sg.function([X], X * w, updates={w: w * 3})
    a = np.ones((2, 3))
    for want in (2.0, 6.0, 18.0):
        np.testing.assert_array_equal(f(a), a * want)
