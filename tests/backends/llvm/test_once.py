"""What a process has once is one thing, also where threads come for it together."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from at_once import at_once

from symgraph.backends.llvm.once import once

TOGETHER = """
import threading, numpy as np, symgraph as sg
start = threading.Barrier(4)
def work(k):
    start.wait()
    x = sg.vector("x", shape="n")
    f = sg.function([x], sg.sum(sg.tanh(x) + k), threads=1 + k % 2)
    for _ in range(500):
        assert f(np.zeros(8)) == 8 * k
    {more}
threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print("done")
"""


def test_all_get_the_value_that_is_kept() -> None:
    """Two threads make a value each, for neither finds one there."""
    both = threading.Barrier(2)

    @once
    def made(key: int) -> object:
        both.wait(10)
        return object()

    found: list[object] = []
    at_once(*[lambda: found.append(made(1))] * 2)
    assert found[0] is found[1] is made(1)


def test_arguments_have_values_of_their_own() -> None:
    made = once(lambda key: [key])
    assert made(1) is made(1) and made(1) == [1] and made(2) == [2]


@pytest.mark.parametrize("more", ["", "f.profile(np.zeros(8), rounds=1)"], ids=["call", "profile"])
def test_threads_may_make_the_first_functions_of_a_process(more: str, tmp_path: Path) -> None:
    """With nothing on disk, so that all of them compile the code of the call."""
    done = subprocess.run(
        [sys.executable, "-c", TOGETHER.replace("{more}", more)],
        env={**os.environ, "SYMGRAPH_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
