"""Nothing leaks, and nothing is touched that was freed: calls of every kind, good and bad."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tracemalloc
import weakref
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.backends.llvm import kernels
from symgraph.errors import SymgraphError
from symgraph.tensor import Tensor

ROOT = Path(__file__).resolve().parents[3]


def everything() -> list[Any]:
    """Calls of one function with an index, updates, work memory and large results."""
    x, s = sg.tensor("x", shape=("n", 8)), sg.scalar("s")
    i = sg.tensor("i", shape=("k",), dtype="int64")
    w, v = sg.shared(np.eye(8), name="w"), sg.shared(np.zeros(8), name="v")
    h = sg.tanh(x @ w) @ w * s
    outputs = {"h": h[:, ::-1] + 1, "rows": sg.exp(x)[i], "total": sg.sum(h)}
    f = sg.function([x, s, i], outputs, updates={w: w * 0.999, v: v + sg.sum(x, axis=0)[i[0] % 8]})
    small, large = np.ones((5, 8)), np.ones((1500, 8))
    good, bad = np.array([0, 4, -1]), np.array([0, 99999])
    room = {"h": np.empty((5, 8)), "rows": np.empty((3, 8)), "total": np.empty(())}
    wrong = {**room, "rows": np.empty((3, 9))}
    odd: list[Any] = [small[:, ::-1], small.tolist(), small.astype("f4"), np.asfortranarray(large)]
    return [
        lambda: f(small, 1.0, good),
        lambda: f(large, 2, good),
        lambda: f(large, np.float64(2), good),
        lambda: f(i=good, x=small, s=np.array(0.5)),
        lambda: f(small, 1.0, good, out=room),
        lambda: f(small, 1.0, i=good, out={k: a[...] for k, a in room.items()}),
        *(lambda a=a: f(a, 1.0, good) for a in odd),
        lambda: f(small, 1.0, bad),
        lambda: f(large, 1.0, bad),
        lambda: f(small, 1.0, bad, out=room),
        lambda: f(small, 1.0, good, out=wrong),
        lambda: f(small, 1.0, good, out=3),
        lambda: f(small, "text", good),
        lambda: f(small, 1j, good),
        lambda: f(small, 1.0),
        lambda: f(small, 1.0, good, good),
        lambda: f(small, 1.0, good, x=small),
        lambda: f(small, 1.0, j=good),
        lambda: f(np.ones((5, 9)), 1.0, good),
        lambda: f(np.ones(5), 1.0, good),
        lambda: f(None, 1.0, good),
        lambda: f(small, 10**400, good),
        f.release,
    ]


def attempt(call: Any) -> None:
    """Call, whatever comes of it."""
    try:
        call()
    except (SymgraphError, TypeError, ValueError, OverflowError):
        return


def test_thousands_of_calls_leak_nothing() -> None:
    calls = everything()

    def round_() -> None:
        for call in calls:
            attempt(call)

    for _ in range(20):
        round_()
    gc.collect()
    objects = len(gc.get_objects())
    tracemalloc.start()
    for _ in range(100):  # until free lists hold only what was traced
        round_()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(150):
        round_()
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000 and len(gc.get_objects()) - objects < 200


def test_functions_that_are_dropped_leave_nothing() -> None:
    """Graph, kernels, tables and arrays of a function go with it; the collector need not run."""

    def cycle(number: int) -> None:
        x = sg.vector("x", shape="n")
        w = sg.shared(np.ones(300), name="w")
        y = sg.sum(sg.tanh(x * number)) * w
        f = sg.function([x], y, updates={w: y * 0.5})
        f(np.ones(3 + number % 5))
        attempt(lambda: f("text"))
        f(np.ones(3), out=np.empty(300))

    for number in range(30):
        cycle(number % 3)
    gc.collect()
    nodes = sum(isinstance(o, Tensor) for o in gc.get_objects())
    tracemalloc.start()
    cycle(0)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(120):
        cycle(number % 3)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 60_000
    assert sum(isinstance(o, Tensor) for o in gc.get_objects()) <= nodes


def test_a_function_is_freed_without_the_collector() -> None:
    x = sg.vector("x")
    f = sg.function([x], sg.exp(x))
    f(np.ones(3), out=np.empty(3))
    watched = weakref.ref(f)
    gc.disable()
    try:
        del f
        assert watched() is None
    finally:
        gc.enable()


def test_machine_code_lives_as_long_as_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that Python can take from a function owns the code that its calls run."""
    monkeypatch.setattr(kernels, "_known", OrderedDict())
    x = sg.vector("x")
    f: Any = sg.function([x], sg.exp(x) * 123.25)
    libraries = list({id(code): code for code in f._assembly.program.code}.values())
    want = f(np.ones(2)).tolist()
    vars(f).clear()
    kernels._known.clear()
    here = 3  # the list, the variable of the loop and the argument
    assert libraries and all(sys.getrefcount(code) > here for code in libraries)
    assert f(np.ones(2)).tolist() == want


SCRIPT = """
import gc
from test_memory_safety import attempt, everything
from test_reuse import test_random_chains
for _ in range(3):
    calls = everything()
    for _ in range(40):
        for call in calls:
            attempt(call)
    del calls, call
    gc.collect()
for seed in range(2):
    test_random_chains(seed)
print("survived")
"""


@pytest.mark.parametrize("allocator", ["debug", "malloc"])
def test_in_a_process_of_its_own(allocator: str) -> None:
    """Python's debug allocator fills what is freed; malloc's own checks fill it too."""
    paths = os.pathsep.join([str(Path(__file__).parent), str(ROOT)])
    settings = {"PYTHONMALLOC": allocator, "PYTHONPATH": paths, "MALLOC_PERTURB_": "165"}
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "ignore", "-c", SCRIPT],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "survived\n", done.stderr
