"""Profiles: every kernel is accounted for, counted right, and nothing changes on the way."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph as sg
from symgraph.backends.llvm.compile import LLVMFunction
from symgraph.backends.llvm.profile.peaks import peaks
from symgraph.errors import SymgraphError, UnsupportedError


def test_bytes_and_operations_of_an_elementwise_kernel() -> None:
    x, b = sg.matrix("x", shape=("n", 5), dtype="float32"), sg.vector("b", 5, dtype="float32")
    f = sg.function([x, b], x * 3 + b)
    (row,) = f.profile(np.ones((7, 5), "f4"), np.ones(5, "f4"), rounds=3).kernels
    assert row.bytes == 4 * (7 * 5 + 5 + 7 * 5)
    assert row.flops == 2 * 7 * 5
    assert row.dtype == "float32"
    assert row.seconds > 0
    assert row.title == "multiply, add"


def test_a_row_value_counts_once_a_row_and_a_sum_once_an_element() -> None:
    x = sg.matrix("x", shape=("n", "m"))
    (row,) = sg.function([x], sg.sum(x, axis=1) * 2).profile(np.ones((6, 9)), rounds=2).kernels
    assert row.flops == 6 * 9 + 6
    assert row.bytes == 8 * (6 * 9 + 6)


def test_an_elementary_function_counts_the_operations_of_its_code() -> None:
    x = sg.vector("x")
    (row,) = sg.function([x], sg.exp(x)).profile(np.ones(10), rounds=2).kernels
    assert 10 * 10 <= row.flops <= 10 * 60


def test_a_product_counts_two_operations_a_term() -> None:
    a, b = sg.matrix("a", shape=("n", 30)), sg.matrix("b", shape=(30, 20))
    (row,) = sg.function([a, b], a @ b).profile(np.ones((40, 30)), np.ones((30, 20))).kernels
    assert row.flops == 2 * 40 * 30 * 20
    assert row.bytes == 8 * (40 * 30 + 30 * 20 + 40 * 20)


def test_kernels_name_the_lines_they_came_from() -> None:
    x = sg.vector("x")
    y = sg.exp(x) + 1
    (row,) = sg.function([x], y).profile(np.ones(3), rounds=1).kernels
    assert len(row.lines) == 1 and row.lines[0].startswith("test_profile.py:")


def test_shared_variables_keep_their_values() -> None:
    w = sg.shared(np.arange(4.0), name="w")
    f = sg.function([], [], updates={w: w * 2 + 1})
    f.profile(rounds=4)
    assert w.get_value().tolist() == [0, 1, 2, 3]
    f()
    assert w.get_value().tolist() == [1, 3, 5, 7]


def test_shared_variables_keep_their_values_when_a_call_fails() -> None:
    w, k = sg.shared(np.zeros(3)), sg.vector("k", dtype="int64")
    f = sg.function([k], (w * 1)[k], updates={w: w + 1})
    with pytest.raises(SymgraphError, match="index 5"):
        f.profile(np.array([5]))
    assert w.get_value().tolist() == [0, 0, 0]


def test_steps_with_a_size_found_on_the_way() -> None:
    x = sg.vector("x")
    f = sg.function([x], sg.sum(x[x > 0]))
    found = f.profile(np.array([0.0, 2.0, 0.0, 3.0]), rounds=2)
    assert isinstance(f, LLVMFunction)
    assert len(found.kernels) == len(f.calls)


def test_the_table_names_kernels_peaks_and_times() -> None:
    x = sg.vector("x")
    text = str(sg.function([x], sg.tanh(x), name="bend").profile(np.ones(1000), rounds=2))
    first, second, head, *rows = text.splitlines()
    assert first.startswith("profile of bend: ") and "in 1 kernels (median of 2" in first
    assert "GFLOP/s in float32" in second
    assert head.split()[:3] == ["step", "time", "share"]
    assert len(rows) == 1 and "tanh" in rows[0] and "100%" in rows[0]


def test_peaks_are_sane_and_measured_once() -> None:
    found = peaks()
    assert found is peaks()
    assert found.flops["float32"] > found.flops["float64"] > 1e8
    assert found.bytes > 1e8


def test_bad_rounds_and_other_backends_are_refused() -> None:
    x = sg.vector("x")
    with pytest.raises(SymgraphError, match="rounds=0 is not a positive int"):
        sg.function([x], x + 1).profile(np.ones(2), rounds=0)
    with pytest.raises(UnsupportedError, match="backend='llvm'"):
        sg.function([x], x + 1, backend="reference").profile(np.ones(2))


def test_a_sum_in_two_phases_reads_its_operand_once() -> None:
    x = sg.vector("x", dtype="float32")
    size = 100_000
    found = sg.function([x], sg.sum(sg.exp(x))).profile(np.ones(size, "f4"), rounds=2)
    one = sg.function([x], sg.exp(x)).profile(np.ones(size, "f4"), rounds=2).kernels[0]
    first, second = sorted(found.kernels, key=lambda k: k.step)
    assert 4 * size <= first.bytes < 4.2 * size
    assert first.flops == one.flops + size
    assert second.bytes < 0.1 * size and second.flops == 0
