"""Interning: one node for one operation on the same inputs; keys tell types and bits apart."""

from __future__ import annotations

import copy
import gc
import itertools
import sys
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.functions.variables import number
from symgraph.graph import Graph
from symgraph.tensor import Tensor, private_table

x = sg.vector("x", shape="n")


def test_the_same_operation_is_the_same_node() -> None:
    assert x + 1 is x + 1
    assert sg.sum(sg.exp(x), axis=0) is sg.sum(sg.exp(x), axis=-1)
    assert x[1:3] is x[1:3]


def test_other_inputs_attributes_or_order_are_other_nodes() -> None:
    m = sg.matrix("m", shape=("n", "n"))
    nodes = [m - x, x - m, m.T - x, sg.sum(m, axis=0), sg.sum(m, axis=1), m[0], m[1], sg.exp(m)]
    assert len(set(nodes)) == len(nodes)


LITERALS = [0.0, -0.0, 1, 1.0, True, float("nan"), float("inf"), -1, False, 0]
PAIRS = list(itertools.combinations(LITERALS, 2))


@pytest.mark.parametrize(("a", "b"), PAIRS, ids=str)
def test_literals_of_other_type_or_bits_are_apart(a: float, b: float) -> None:
    assert sg.constant(a) is not sg.constant(b)


@pytest.mark.parametrize("a", LITERALS, ids=str)
def test_a_literal_is_itself(a: float) -> None:
    assert sg.constant(a) is sg.constant(a)


def test_nan_payloads_are_apart() -> None:
    other = np.array([0x7FF8000000000001], np.uint64).view(np.float64)
    assert sg.constant(np.array([np.nan])) is sg.constant(np.array([np.nan]))
    assert sg.constant(np.array([np.nan])) is not sg.constant(other)


def test_signed_zeros_make_different_expressions() -> None:
    assert x * 0.0 is not x * -0.0
    values = [
        np.signbit((x * zero).eval({x: np.ones(1)}, backend="reference")) for zero in (0.0, -0.0)
    ]
    assert values == [[False], [True]]


def test_small_arrays_intern_by_value_and_dtype() -> None:
    assert sg.constant([1.0, 2.0]) is sg.constant([1.0, 2.0])
    assert sg.constant([1.0, 2.0]) is not sg.constant(np.array([1.0, 2.0], np.float32))
    assert sg.constant([1.0, 2.0]) is not sg.constant([[1.0, 2.0]])


def test_large_arrays_have_identity_and_are_copied() -> None:
    array = np.zeros(65)
    constant = sg.constant(array)
    assert constant is not sg.constant(array)
    array[0] = 7.0
    assert constant.eval(backend="reference")[0] == 0.0


def test_inputs_and_shared_variables_have_identity() -> None:
    assert sg.scalar("a") is not sg.scalar("a")
    assert sg.shared(1.0, name="w") is not sg.shared(1.0, name="w")


def test_a_node_nobody_holds_is_forgotten() -> None:
    node = weakref.ref(sg.tanh(x * 31.25))
    gc.collect()
    assert node() is None


def test_the_table_forgets_the_keys_of_nodes_nobody_holds() -> None:
    shared = vars(sys.modules["symgraph.tensor"])["_shared"]
    gc.collect()
    before = len(shared)
    for k in range(100):
        sg.exp(x * (k + 0.25))
    gc.collect()
    assert len(shared) == before


def test_numbers_numpy_takes_for_equal_are_apart() -> None:
    f32 = np.dtype("float32")
    zeros: list[Any] = [np.float32(0), np.float32(-0.0), 0.0, -0.0, 0, False]
    assert [bool(np.signbit(number(z, f32).attrs["value"])) for z in zeros] == [
        False, True, False, True, False, False,
    ]  # fmt: skip
    assert number(True, np.dtype("int64")) is number(1, np.dtype("int64"))
    assert number(1, f32) is not number(1, np.dtype("float64"))


def test_threads_meet_at_one_node() -> None:
    """Sixteen threads build the same expressions at once; each expression is one node."""
    start = threading.Barrier(16)
    made: list[list[Tensor]] = [[] for _ in range(16)]

    def build(mine: list[Tensor]) -> None:
        start.wait()
        y = x
        for k in range(200):
            y = sg.sin(y * (k + 0.5)) + x
            mine.append(y)

    threads = [threading.Thread(target=build, args=(mine,)) for mine in made]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(len({id(y) for y in level}) == 1 for level in zip(*made, strict=True))


def test_a_private_table_is_dropped() -> None:
    with private_table():
        inside = x * 12.5
        assert x * 12.5 is inside
    assert x * 12.5 is not inside


def test_a_private_table_knows_the_nodes_it_is_given() -> None:
    outside = x * 13.5
    with private_table(Graph([outside]).nodes):
        assert x * 13.5 is outside


def test_copies_are_the_node_itself() -> None:
    y = x + 1
    assert copy.copy(y) is y and copy.deepcopy([y])[0] is y


def test_equality_is_elementwise_and_hashing_by_identity() -> None:
    assert (x == x).dtype == np.bool_
    assert len({x: 1, x + 1: 2}) == 2 and {x: 1}[x] == 1
