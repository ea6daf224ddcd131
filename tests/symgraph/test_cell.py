"""The lock of a shared variable, from Python; calls of compiled functions are tested elsewhere."""

from __future__ import annotations

import ctypes
import threading

import numpy as np
import pytest

from symgraph.cell import CLAIM, LOCK, SharedCell, holding, wait_until_free

LIMIT = 30.0  # seconds that nothing here takes


def words(cell: SharedCell) -> ctypes.Array[ctypes.c_int64]:
    return (ctypes.c_int64 * 3).from_address(cell.location)


def cell() -> SharedCell:
    return SharedCell(np.zeros(2))


def test_a_variable_is_claimed_and_given_free() -> None:
    one, two = cell(), cell()
    with holding((one, two, one)):
        assert words(one)[CLAIM] and words(two)[CLAIM]
    assert not words(one)[CLAIM] and not words(two)[CLAIM]


def test_an_error_gives_it_free() -> None:
    one = cell()
    with pytest.raises(KeyError), holding((one,)):
        raise KeyError
    assert not words(one)[CLAIM]


def test_a_thread_may_take_again_what_it_holds() -> None:
    one, two = cell(), cell()
    with holding((one,)):
        with holding((one, two)):
            one.replace(np.ones(2))
        assert words(one)[CLAIM] and not words(two)[CLAIM]
    assert one.copy().tolist() == [1, 1]


def test_another_thread_waits() -> None:
    one, order = cell(), []

    def other() -> None:
        with holding((one,)):
            order.append("other")

    thread = threading.Thread(target=other, daemon=True)
    with holding((one,)):
        thread.start()
        thread.join(0.05)
        order.append("first")
    thread.join(LIMIT)
    assert order == ["first", "other"]


def test_a_call_under_way_is_waited_for() -> None:
    one, over = cell(), threading.Event()
    words(one)[LOCK] = 1

    def replace() -> None:
        one.replace(np.ones(2))
        over.set()

    thread = threading.Thread(target=replace, daemon=True)
    thread.start()
    assert not over.wait(0.05) and one.array.tolist() == [0, 0]
    words(one)[LOCK] = 0
    thread.join(LIMIT)
    assert over.is_set() and one.array.tolist() == [1, 1]


def test_a_call_inside_a_change_cannot_wait() -> None:
    one, two = cell(), cell()
    with holding((one,)):
        with pytest.raises(RuntimeError, match="while it is being changed"):
            wait_until_free((two, one))
        wait_until_free((two,))


def test_threads_that_take_two_in_different_orders_come_to_an_end() -> None:
    one, two = cell(), cell()

    def run(cells: tuple[SharedCell, SharedCell]) -> None:
        for _ in range(300):
            with holding(cells):
                for c in cells:
                    c.array[0] += 1

    threads = [
        threading.Thread(target=run, args=(pair,), daemon=True)
        for pair in ((one, two), (two, one), (one, two))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert not any(thread.is_alive() for thread in threads)
    assert one.array[0] == two.array[0] == 900
