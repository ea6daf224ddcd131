"""Tasks at once: results in order, errors in the caller, and the same machine code from threads."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import llvmlite.binding as llvm
import pytest

from symgraph.backends.llvm import jit, objects, workers
from symgraph.backends.llvm.builder import Builder, Module
from symgraph.backends.llvm.objects import Part
from symgraph.backends.llvm.workers import all_of


@pytest.fixture(params=[1, 2, 5])
def some_cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    count = int(request.param)
    monkeypatch.setattr(workers, "cores", lambda: count)
    monkeypatch.setattr(objects, "cores", lambda: count)
    return count


def number(k: int) -> Callable[[], int]:
    return lambda: k


def test_results_stand_in_the_order_of_the_tasks(some_cores: int) -> None:
    assert all_of([number(k) for k in range(9)]) == list(range(9))
    assert all_of([]) == []


def test_one_core_needs_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "cores", lambda: 1)
    assert set(all_of([threading.get_ident] * 3)) == {threading.get_ident()}


def test_two_tasks_that_meet_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "cores", lambda: 2)
    gate = threading.Barrier(2, timeout=30)
    assert sorted(all_of([gate.wait] * 2)) == [0, 1]


def test_an_error_reaches_the_caller_when_all_have_ended(some_cores: int) -> None:
    ended: list[int] = []

    def slow() -> None:
        time.sleep(0.02)
        ended.append(1)

    def wrong() -> None:
        raise ValueError("no such thing")

    with pytest.raises(ValueError, match="no such thing"):
        all_of([slow, wrong])
    assert ended == [1]


def test_no_task_begins_after_an_interrupt(some_cores: int) -> None:
    begun: list[int] = []
    reached = threading.Barrier(some_cores, timeout=30)

    def interrupted() -> None:
        reached.wait()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        all_of([*[interrupted] * some_cores, lambda: begun.append(1)])
    assert begun == []


def test_without_threads_the_caller_does_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(workers, "cores", lambda: 4)
    monkeypatch.setattr(threading.Thread, "start", none_left)
    assert all_of([number(k) for k in range(3)]) == [0, 1, 2]


def test_the_child_of_a_fork_does_what_threads_were_at() -> None:
    program = (
        "import os, time, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "from symgraph.backends.llvm import workers\n"
        "workers.cores = lambda: 3\n"
        "main, children = os.getpid(), []\n"
        "def fork():\n"
        "    time.sleep(0.05); children.append(os.fork()); return 0\n"
        "def slow(k): time.sleep(0.2); return k\n"
        "found = workers.all_of([fork, lambda: slow(1), lambda: slow(2)])\n"
        "assert found == [0, 1, 2], found\n"
        "if os.getpid() != main: os._exit(7)\n"
        "print([os.waitstatus_to_exitcode(os.waitpid(c, 0)[1]) for c in children])\n"
    )
    if hasattr(os, "fork"):
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.stdout, done.stderr) == ("[7]\n", "")


# ---- LLVM in several threads ---------------------------------------------------------------------


def polynomial(name: str, terms: int) -> Module:
    """A module whose function ``name`` has ``terms`` additions and multiplications."""
    module = Module()
    b = Builder(module, name, "i64", [("i64", "n")])
    total = b.args[0]
    for k in range(terms):
        total = b.add(b.mul(total, b.args[0]), b.i64(k))
    b.ret(total)
    return module


def polynomials(count: int, terms: int) -> list[Part]:
    names = [f"f{k}" for k in range(count)]
    return [Part(n, (n,), functools.partial(polynomial, n, terms)) for n in names]


def test_threads_emit_the_same_code_as_one() -> None:
    """Four threads beside another user of llvmlite, with its lock and its global context."""
    texts = [str(polynomial("f", 50 + 10 * k)) for k in range(4)]
    expected = [jit.object_code(text, jit.host()) for text in texts]
    wrong: list[int] = []
    stop = threading.Event()

    def emit(k: int) -> None:
        made = [jit.object_code(texts[k], jit.host()) for _ in range(25)]
        wrong.append(sum(code != expected[k] for code in made))

    def other_user() -> None:
        while not stop.is_set():
            llvm.parse_assembly(texts[0]).verify()

    threads = [threading.Thread(target=emit, args=(k,)) for k in range(4)]
    other = threading.Thread(target=other_user)
    for t in (other, *threads):
        t.start()
    for t in threads:
        t.join()
    stop.set()
    other.join()
    assert wrong == [0] * 4


def test_text_that_is_refused_leaves_no_thread_compiling() -> None:
    with pytest.raises(RuntimeError):
        jit.object_code("define i64 @f() { nonsense }", jit.host())
    assert jit._compiling == []


def test_without_emission_of_our_own_llvmlites_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    text = str(polynomial("f", 5))
    ours = jit.object_code(text, jit.host())
    monkeypatch.setattr(jit, "emission", lambda: None)
    assert jit.object_code(text, jit.host()) == ours


def test_much_code_is_split_over_the_cores(
    some_cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "LARGE", 1000)
    groups = objects._groups(polynomials(10, 40))
    assert sorted(k for members, _ in groups for k in members) == list(range(10))
    assert len(groups) == some_cores


def test_little_code_is_one_module(some_cores: int) -> None:
    assert len(objects._groups(polynomials(5, 4))) == 1
