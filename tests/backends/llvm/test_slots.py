"""Sizes as slots: the bytecode computes what the polynomial says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgraph.backends.llvm.runtime.program import SizeOp
from symgraph.backends.llvm.slots import FOLDS, SlotTable, upper_bound
from symgraph.sizes import Dim, Size, count_symbol, evaluate, maximum, minimum, symbol

N, M = symbol("n"), symbol("m")


def run(table: SlotTable) -> list[int]:
    """The slots after the size code has run."""
    slots = list(table.initial)
    compute: dict[SizeOp, Callable[[int, int], int]] = {
        SizeOp.ADD: lambda a, b: a + b,
        SizeOp.SUB: lambda a, b: a - b,
        SizeOp.MUL: lambda a, b: a * b,
        SizeOp.FLOORDIV: lambda a, b: a // b,
        SizeOp.MIN: min,
        SizeOp.MAX: max,
        SizeOp.ALIGN64: lambda a, b: -(-a // 64) * 64,
    }
    for op, out, a, b in table.code:
        slots[out] = compute[SizeOp(op)](slots[a], slots[b])
    return slots


def bound(n: int, m: int) -> SlotTable:
    """A table in which n and m are known."""
    table = SlotTable()
    for size, value in ((N, n), (M, m)):
        ((((atom, _),), _),) = size.terms
        table.bind(atom, table.new(value))
    return table


FORMS: list[Dim] = [
    5, N, N + 1, N * M, 3 * N * N - 2 * M + 7, (N + 1) // 2, minimum(N, 4) * 2, maximum(N - M, 0),
    (N * M) // (M + 1), -N, maximum(minimum(N, M), 3) - 1,
]  # fmt: skip


@pytest.mark.parametrize("dim", FORMS, ids=str)
@settings(derandomize=True, max_examples=10, deadline=None)
@given(n=st.integers(0, 50), m=st.integers(0, 50))
def test_the_code_computes_the_size(dim: Dim, n: int, m: int) -> None:
    table = bound(n, m)
    slot = table.slot(dim)
    ((((a, _),), _),) = N.terms
    ((((b, _),), _),) = M.terms
    assert run(table)[slot] == evaluate(dim, {a: n, b: m})


def test_equal_sizes_share_a_slot() -> None:
    table = bound(2, 3)
    assert table.slot(N * 2 + M) == table.slot(M + N + N)
    assert table.slot(7) == table.slot(7) != table.slot(8)


def test_blocks_are_rounded_up_to_64_bytes() -> None:
    table = bound(0, 0)
    slots = [table.align64(table.slot(k)) for k in (0, 1, 64, 65)]
    assert [run(table)[s] for s in slots] == [0, 64, 64, 128]


@pytest.mark.parametrize("op", FOLDS, ids=lambda op: op.name)
def test_known_numbers_need_no_code(op: SizeOp) -> None:
    table, other = SlotTable(), SlotTable()
    slot = table.emit(op, table.slot(-70), table.slot(9))
    other.emit(op, other.new(-70), other.new(9))
    assert not table.code and run(table)[slot] == run(other)[-1]


def test_what_overflows_is_left_to_the_call() -> None:
    table = SlotTable()
    table.emit(SizeOp.MUL, table.slot(1 << 40), table.slot(1 << 40))
    assert len(table.code) == 1


def test_nothing_is_added_to_zero() -> None:
    table = bound(2, 3)
    n, zero = table.slot(N), table.slot(0)
    assert table.emit(SizeOp.ADD, n, zero) == table.emit(SizeOp.ADD, zero, n) == n


def test_a_count_is_bounded_by_what_is_counted() -> None:
    count = count_symbol(N)
    assert upper_bound(count) == N
    assert upper_bound(3 * count + M) == 3 * N + M
    assert upper_bound(count * count) == N * N


def test_a_count_that_is_taken_away_is_bounded_by_zero() -> None:
    assert upper_bound(N - count_symbol(N)) == N


def test_a_count_inside_a_minimum_is_bounded() -> None:
    bounded = upper_bound(minimum(count_symbol(N), 5))
    assert isinstance(bounded, Size) and not bounded.counts
