"""Axis maps: which axis of the space an operand's axis runs along."""

from __future__ import annotations

import symgraph as sg
from symgraph.backends.llvm.axis_maps import (
    complete,
    fit_map,
    operand_axes,
    own_space,
    pull,
    reach,
)
from symgraph.sizes import symbol

N, M = symbol("n"), symbol("m")


def test_operands_align_at_the_right() -> None:
    x, y = sg.tensor("x", shape=("n", "m")), sg.tensor("y", shape=("m",))
    assert operand_axes(x + y, (4, 2), y) == (2,)


def test_stretched_axes_run_along_nothing() -> None:
    x, y = sg.tensor("x", shape=("n", "m")), sg.tensor("y", shape=("n", 1))
    assert operand_axes(x + y, (0, 1), y) == (0, None)


def test_a_transposed_operand_is_pulled_through_its_view() -> None:
    x, y = sg.tensor("x", shape=("n", "m")), sg.tensor("y", shape=("m", "n"))
    node = x + sg.matrix_transpose(y)
    assert pull(node, (0, 1), node.inputs[1], y) == (1, 0)
    assert reach(node, node.inputs[1], y) == (1, 0)


def test_the_positions_of_a_gather_run_along_its_leading_axes() -> None:
    x, i = sg.tensor("x", shape=("n", "m")), sg.tensor("i", shape=("k",), dtype="int64")
    node = x[i]
    assert operand_axes(node, (5, 6), node.inputs[1]) == (5,)


def test_unknown_axes_are_completed_in_order_of_equal_extent() -> None:
    assert complete((N, 1, M), {}, (N, M)) == (0, None, 1)
    assert complete((M,), {}, (N, M)) == (1,)


def test_an_axis_that_fits_nowhere_is_refused() -> None:
    assert complete((M,), {}, (N,)) is None
    assert complete((N, N), {}, (N, M)) is None


def test_known_axes_must_have_the_extent_they_run_along() -> None:
    assert complete((3,), {0: 0}, (4,)) is None
    assert complete((N,), {0: 0}, (M,)) == (0,)  # an equation makes them equal when called


def test_a_space_of_its_own_has_no_axes_of_size_one() -> None:
    assert own_space((N, 1, M)) == ((N, M), (0, None, 1))


def test_a_node_runs_where_its_operands_run() -> None:
    turned = ((1, 0), (0, 1))  # its axes 1 and 0 are the operand's, which run along 0 and 1
    assert fit_map((M, N), (turned,), (N, M)) == (1, 0)


def test_a_node_whose_operands_run_otherwise_fits_nowhere() -> None:
    straight, turned = ((0, 1), (0, 1)), ((0, 1), (1, 0))
    assert fit_map((N, N), (straight, turned), (N, N)) is None
    assert fit_map((N,), (((0,), (0,)), ((0,), (1,))), (N, M)) is None


def test_two_axes_never_run_along_one() -> None:
    assert fit_map((N, N), (((0,), (0,)), ((1,), (0,))), (N, N)) is None
