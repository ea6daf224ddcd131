"""What an instance owns is freed with it, and not before."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tracemalloc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from runtime_kernels import F4, X, affine, compiled, step, vector, vector_program

from symgraph.backends.llvm.runtime.program import Base, Pointer, Program, Size, SizeOp
from symgraph.cell import SharedCell


def big_program(constant: np.ndarray[Any, Any], cell: SharedCell) -> Program:
    """A program with an arena, a constant and a shared variable."""
    return vector_program(
        initial=(0, 0, 4, 0),
        size_code=((SizeOp.MUL, 3, 0, 2),),
        arena_slot=3,
        constants=(constant,),
        shared=(cell,),
        steps=(
            step(affine, Pointer(X, 1), Pointer(Base("arena"), 1), Size(0)),
            step(affine, Pointer(Base("arena"), 1), Pointer(Base("output"), 1), Size(0)),
        ),
    )


def test_an_instance_keeps_its_program_alive_and_frees_it() -> None:
    constant, cell = vector(1), SharedCell(vector(2))
    watched: list[weakref.ref[Any]] = [weakref.ref(constant), weakref.ref(cell)]
    f = compiled(big_program(constant, cell))
    watched.append(weakref.ref(f))
    del constant, cell
    gc.collect()
    assert f(vector(1)).tolist() == [7] and all(ref() is not None for ref in watched)
    del f
    assert [ref() for ref in watched] == [None] * 3


def test_results_outlive_the_instance() -> None:
    f = compiled(vector_program())
    result = f(vector(1, 2))
    del f
    assert result.tolist() == [3, 5]


def test_a_cycle_through_a_callback_is_collected() -> None:
    class Explanation:
        """A callback that knows the function it explains."""

        f: Any = None

        def __call__(self, kind: int, index: int, slots: tuple[int, ...]) -> BaseException:
            return ValueError(self.f)

    explain = Explanation()
    explain.f = compiled(vector_program(), explain=explain)
    watched = [weakref.ref(explain), weakref.ref(explain.f)]
    del explain
    gc.collect()
    assert [ref() for ref in watched] == [None, None]


def test_a_cycle_through_the_instance_itself_is_collected() -> None:
    f = compiled(vector_program())
    f.itself = f
    watched = weakref.ref(f)
    del f
    gc.collect()
    assert watched() is None


def test_a_finaliser_in_a_cycle_may_still_call() -> None:
    seen = []

    class Last:
        def __init__(self, f: Any) -> None:
            self.f = f

        def __del__(self) -> None:
            seen.append(self.f(vector(1)).tolist())

    f = compiled(vector_program())
    f.last = Last(f)
    del f
    gc.collect()
    assert seen == [[3]]


def test_the_arena_is_freed() -> None:
    f = compiled(big_program(vector(1), SharedCell(vector(2))))
    tracemalloc.start()
    f(np.zeros(1 << 20, F4))
    held = tracemalloc.get_traced_memory()[0]
    del f
    left = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held > 4 << 20 > 1 << 16 > left


def test_making_and_dropping_many_leaks_nothing() -> None:
    constant, cell = vector(1), SharedCell(vector(2))

    def one() -> None:
        compiled(big_program(constant, cell))(vector(1, 2))

    for _ in range(20):
        one()
    gc.collect()
    objects = len(gc.get_objects())
    tracemalloc.start()
    one()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(2000):
        one()
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000 and len(gc.get_objects()) - objects < 50


SCRIPT = """
import gc
from test_runtime_errors import PATHS, compiled, convert, misfit, outcome, with_check
from test_runtime_sizes import compress
from runtime_kernels import vector
for form in ("one", "list", "tuple", "dict"):
    f = compiled(with_check(form), convert)
    for path, call in PATHS.items():
        for _ in range(200):
            misfit(f) if path == "misfit" else outcome(lambda: call(f))
    del f
    gc.collect()
for _ in range(50):
    f = compiled(compress())
    for n in (3, 100, 0, 7):
        f(vector(*range(-n, n)))
print("survived")
"""


def test_under_the_debug_allocator() -> None:
    here = Path(__file__).parent
    root = str(here.parents[3])
    paths = os.pathsep.join([str(here), root])
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", SCRIPT],
        env={**os.environ, "PYTHONMALLOC": "debug", "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "survived\n", done.stderr
