"""Sharing out units: the same bits, memory of one's own per range, failures, forks, the end."""

from __future__ import annotations

import functools
import gc
import multiprocessing
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from at_once import at_once
from range_kernels import (
    LONG,
    compiled,
    count,
    counter,
    mark,
    pause,
    ranged,
    reader,
    refuse,
    square,
    step,
)
from runtime_kernels import F4, Unexpected, vector

from symgraph.backends.llvm.runtime.abi import Api, table
from symgraph.backends.llvm.runtime.program import Base, Pointer, Program
from symgraph.backends.llvm.threads import pool
from symgraph.backends.llvm.threads.code import BUSY
from symgraph.cell import SharedCell, holding

HERE = Path(__file__).parent
LIMIT = 60.0  # seconds that nothing here takes
in_threads = functools.partial(at_once, limit=LIMIT)


def repeat(times: int, one: Callable[[], Any]) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            one()

    return run


# ---- ranges --------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 7])
def test_every_number_of_threads_gives_the_same(threads: int) -> None:
    f = ranged(square, threads)
    for n in (0, 1, 2, 3, 5, 100, 4099):
        x = np.arange(n, dtype=F4)
        assert np.array_equal(f(x), x * x), f"{threads} threads, {n} units"


def test_units_are_dealt_out_evenly() -> None:
    firsts = ranged(mark, 4)(np.zeros(10, F4))
    assert firsts.tolist() == [0, 0, 0, 3, 3, 3, 6, 6, 8, 8]


def test_the_lowest_range_that_failed_is_reported() -> None:
    f = ranged(refuse, 4)
    x = np.ones(100, F4)
    f(x)
    x[[30, 60, 90]] = -1
    with pytest.raises(Unexpected) as caught:
        f(x)
    assert caught.value.args[1:3] == (0, 31) and caught.value.args[3][:2] == (30, 7)
    x[10] = -1
    with pytest.raises(Unexpected, match=r"'fail', 0, 11, \(10, 7"):
        f(x)
    f(np.ones(100, F4))


def test_who_finds_the_pool_in_use_does_all_alone() -> None:
    f, g = ranged(mark, 4), ranged(square, 3)
    words = pool.state.pool.words if pool.state.pool is not None else None
    assert words is not None
    words[BUSY] = 1
    try:
        assert f(np.ones(10, F4)).tolist() == [0.0] * 10
        assert g(vector(2, 3, 4)).tolist() == [4, 9, 16]
    finally:
        words[BUSY] = 0
    assert f(np.ones(10, F4)).tolist() != [0.0] * 10


def test_the_pool_grows_to_the_largest_call() -> None:
    ranged(square, 3)
    before = pool.size()
    assert before >= 2
    ranged(square, before + 2)
    assert pool.size() == before + 1


def test_workers_fall_asleep_and_wake() -> None:
    f, x = ranged(square, 3), np.arange(50, dtype=F4)
    rest = pause()
    for _ in range(20):
        assert np.array_equal(f(x), x * x)
        rest()


# ---- several threads of Python -------------------------------------------------------------------


def test_many_threads_call_one_function() -> None:
    f = ranged(square, 2)

    def call(seed: int) -> None:
        x = np.random.default_rng(seed).random(1000 + seed, F4)
        for _ in range(200):
            assert np.array_equal(f(x), x * x)

    in_threads(*(functools.partial(call, seed) for seed in range(4)))


def test_other_threads_run_meanwhile() -> None:
    """Two sleepers in machine code are there at once: the GIL is not held."""
    rest, ends = pause(), []
    in_threads(*[lambda: ends.append(rest())] * 2)
    assert ends == [None, None]


def test_no_update_of_a_counter_is_lost() -> None:
    cell = SharedCell(vector(0.0))
    f, g = counter(cell), counter(cell)
    in_threads(repeat(25, f), repeat(25, f), repeat(25, g), repeat(25, g))
    assert cell.copy().tolist() == [100.0]


def test_a_reader_sees_no_half_of_an_update() -> None:
    cell = SharedCell(vector(0.0))
    add, read = counter(cell), reader(cell)

    def look() -> None:
        first, second = read().tolist()
        assert first == second

    in_threads(repeat(30, add), repeat(30, look), repeat(30, look))
    assert cell.copy().tolist() == [30.0]


def test_a_value_set_meanwhile_is_seen_whole() -> None:
    cell = SharedCell(vector(0.0))
    add, read, seen = counter(cell), reader(cell), []

    def put() -> None:
        cell.replace(vector(1000.0))
        seen.append(float(cell.copy()[0]))

    def look() -> None:
        first, second = read().tolist()
        assert first == second

    in_threads(repeat(30, add), repeat(30, put), repeat(30, look))
    assert all(1000 <= value <= 1030 for value in seen)


def test_two_functions_that_take_two_variables_each_come_to_an_end() -> None:
    one, two = SharedCell(vector(0.0)), SharedCell(vector(0.0))
    both = [counter(one), counter(two), reader(one), reader(two)]
    in_threads(*(repeat(20, f) for f in both))
    assert one.copy().tolist() == two.copy().tolist() == [20.0]


def test_a_call_within_a_change_of_its_variable_is_refused() -> None:
    cell = SharedCell(vector(0.0))
    add = counter(cell)
    with holding((cell,)), pytest.raises(RuntimeError, match="while it is being changed"):
        add()
    add()
    assert cell.copy().tolist() == [1.0]


def test_a_pool_is_made_while_the_variables_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python runs then, and with it finalisers, which may look at a variable of the call."""
    cell, seen = SharedCell(vector(5.0)), list[float]()
    steps = (step(count, Pointer(Base("shared"), 0), work=1),)
    parts: dict[str, Any] = {
        "steps": steps,
        "shared": (cell,),
        "updated": (0,),
        "form": "none",
        "threads": 2,
    }
    monkeypatch.setattr(pool, "ensure", lambda threads: seen.append(float(cell.copy()[0])))
    f = compiled(Program((0, LONG), outputs=(), **parts))
    words, seen[:] = table(), []
    before, words[Api.POOL] = words[Api.POOL], 0
    try:
        in_threads(f)
    finally:
        words[Api.POOL] = before
    assert seen == [5.0] and cell.copy().tolist() == [6.0]


def test_workers_hear_of_faults() -> None:
    """A worker that blocked them would end the process without a word of faulthandler's."""
    ranged(square, 3)
    for status in Path("/proc/self/task").glob("*/status"):
        (blocked,) = re.findall(r"SigBlk:\s*(\w+)", status.read_text())
        faults = [s.name for s in pool.FAULTS if int(blocked, 16) >> (s - 1) & 1]
        assert not faults


def test_copies_of_a_program_are_as_many_as_calls_in_threads() -> None:
    """Nothing grows with the number of calls."""
    f, x = ranged(square, 2), np.arange(5000, dtype=F4)
    call = repeat(100, lambda: f(x))
    in_threads(call, call, call)
    gc.collect()
    objects = len(gc.get_objects())
    for _ in range(5):
        in_threads(call, call, call)
    gc.collect()
    assert len(gc.get_objects()) - objects < 300


# ---- forks ---------------------------------------------------------------------------------------


def forked(work: Callable[[], Any]) -> Any:
    """What ``work`` returns in a forked child."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=lambda: theirs.send(work()))
    child.start()
    theirs.close()
    try:
        assert ours.poll(LIMIT), "the child does not answer"
        answer = ours.recv()
        child.join(LIMIT)
        assert child.exitcode == 0
        return answer
    finally:
        child.kill()


def test_a_forked_child_makes_a_pool_of_its_own() -> None:
    f, g, x = ranged(mark, 3), ranged(mark, 4), np.zeros(9, F4)
    here = f(x).tolist(), g(x).tolist()

    def there() -> tuple[int, list[float], int, list[float], int]:
        return pool.size(), f(x).tolist(), pool.size(), g(x).tolist(), pool.size()

    assert forked(there) == (0, here[0], 2, here[1], 3)
    assert (f(x).tolist(), g(x).tolist()) == here


def test_a_child_forked_during_a_long_call_finds_its_variables_free() -> None:
    cell = SharedCell(vector(0.0))
    add, ready, over = counter(cell), threading.Event(), threading.Event()

    def keep_adding() -> None:
        while not over.is_set():
            add()
            ready.set()

    def there() -> bool:
        before = float(cell.copy()[0])
        add()
        return float(cell.copy()[0]) == before + 1

    thread = threading.Thread(target=keep_adding, daemon=True)
    thread.start()
    try:
        assert ready.wait(LIMIT)
        assert all(forked(there) for _ in range(5))
    finally:
        over.set()
        thread.join(LIMIT)


# ---- the end of the interpreter ------------------------------------------------------------------

ENDS = {
    "sleeping workers": "f(x); time.sleep(0.05)",
    "waking workers": "f(x)",
    "a call in atexit": "f(x); import atexit; atexit.register(lambda: f(x))",
    "a call at the very end": "class Last:\n    def __del__(self): f(x)\nlast = Last(); f(x)",
    "a daemon that calls for ever": (
        "import threading\n"
        "def call():\n    while True: f(x)\n"
        "threading.Thread(target=call, daemon=True).start(); time.sleep(0.05)"
    ),
    "a daemon in a long call": (
        "import threading\n"
        "def call():\n    while True: rest()\n"
        "threading.Thread(target=call, daemon=True).start(); time.sleep(0.05)"
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_interpreter_ends(end: str) -> None:
    head = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "import numpy as np\n"
        "from range_kernels import pause, ranged, square\n"
        "f, rest, x = ranged(square, 3), pause(), np.ones(100_000, np.float32)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", head + ENDS[end], str(HERE)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
