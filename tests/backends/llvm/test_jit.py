"""Targets, loading, and that a failed compilation leaves nothing behind."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys

import pytest

from symgraph.backends.llvm import jit
from symgraph.backends.llvm.jit import Target, assembly, host, load, publish
from symgraph.errors import UsageError

IR = "define i64 @answer() { ret i64 42 }"


def test_loaded_code_runs() -> None:
    library = load(IR)
    assert ctypes.CFUNCTYPE(ctypes.c_int64)(library.address("answer"))() == 42


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError, match="nothing"):
        load(IR).address("nothing")


def test_assembly_is_text_with_labels() -> None:
    assert "answer:" in assembly(IR)


def test_bad_ir_is_refused_with_its_place() -> None:
    with pytest.raises(RuntimeError, match="parsing error"):
        load("define i64 @broken() { ret i32 1 }")
    assert load(IR).address("answer")


def test_code_calls_what_was_published_and_the_process() -> None:
    seven = load("define i64 @seven() { ret i64 7 }")
    publish("symgraph.test.seven", seven.address("seven"))
    program = (
        "declare i64 @symgraph.test.seven()\ndeclare double @fmod(double, double)\n"
        "define double @run() {\n  %n = call i64 @symgraph.test.seven()\n"
        "  %x = sitofp i64 %n to double\n  %r = call double @fmod(double %x, double 4.0)\n"
        "  ret double %r\n}"
    )
    library = load(program)
    assert ctypes.CFUNCTYPE(ctypes.c_double)(library.address("run"))() == 3.0


def test_code_that_calls_nothing_known_is_refused() -> None:
    with pytest.raises(RuntimeError):
        load(
            "declare i64 @symgraph.none()\ndefine i64 @f() { %r = call i64 @symgraph.none() "
            "ret i64 %r }"
        )
    assert load(IR).address("answer")


def test_a_library_outlives_its_linker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "LIBRARIES_PER_LINKER", 2)
    kept = [load(f"define i64 @f() {{ ret i64 {k} }}") for k in range(7)]
    gc.collect()
    assert [ctypes.CFUNCTYPE(ctypes.c_int64)(x.address("f"))() for x in kept] == list(range(7))


def test_dropped_libraries_give_their_memory_back() -> None:
    """Contexts, modules and machine code of 1500 compilations are gone when they are."""
    program = (
        "import resource, sys\n"
        "from symgraph.backends.llvm.jit import load\n"
        "def run(start, stop):\n"
        "    for k in range(start, stop):\n"
        "        load(f'define i64 @f() {{ ret i64 {k} }}', optimise=False).address('f')\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "scale = 1 if sys.platform == 'darwin' else 1024\n"
        "before = run(0, 300)\n"
        "print((run(300, 1800) - before) * scale)\n"
    )
    if os.name == "posix":
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
        assert int(done.stdout) < 6_000_000


def get_done(program: str) -> None:
    """Run a program that forks, and see that it ends well."""
    if hasattr(os, "fork"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("done\n", "")


def test_a_fork_in_the_midst_of_compiling_leaves_the_child_able_to() -> None:
    program = (
        "import os, threading, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "import numpy as np, symgraph as sg\n"
        "x = sg.vector('x')\n"
        "def compile(k): return sg.function([x], sg.sin(x * (k + 0.5)) @ x)\n"
        "compile(-1)\n"
        "stop = False\n"
        "def work():\n"
        "    k = 0\n"
        "    while not stop: compile(k); k += 1\n"
        "t = threading.Thread(target=work); t.start()\n"
        "for n in range(6):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        value = compile(1000 + n)(np.ones(3))\n"
        "        os._exit(int(not np.allclose(value, 3 * np.sin(1000.5 + n))))\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "stop = True; t.join(); print('done')\n"
    )
    get_done(program)


def in_child_of_a_fork(busy: str, lines: str) -> None:
    """Fork while a thread is ``busy``, then run ``lines`` in the child."""
    program = (
        "import os, threading, time, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "import numpy as np, symgraph as sg, symgraph.backends.llvm.jit\n"
        "x = sg.vector('x')\n"
        f"def work():\n    {busy}\n"
        "t = threading.Thread(target=work, daemon=True)\n"
        "t.start(); time.sleep(0.05)\n"
        "child = os.fork()\n"
        f"if child == 0:\n    {lines}\n    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "t.join(); print('done')\n"
    )
    get_done(program)


def test_a_fork_waits_for_others_who_are_in_llvm() -> None:
    in_child_of_a_fork(
        "from llvmlite.binding import ffi\n    with ffi.lib._lock: time.sleep(0.5)",
        "assert sg.function([x], x * 2)(np.ones(2))[0] == 2",
    )


def test_a_fork_waits_for_others_who_import() -> None:
    in_child_of_a_fork(
        "from symgraph.loading import loading\n    with loading: time.sleep(0.5)",
        "from symgraph.loading import loading\n    assert loading.acquire(timeout=5)",
    )


def test_the_collector_runs_in_the_child_of_a_fork() -> None:
    in_child_of_a_fork(
        "from symgraph.collection import paused_collection\n"
        "    with paused_collection(): time.sleep(0.5)",
        "import gc; assert gc.isenabled()",
    )


def test_lanes_are_at_least_one() -> None:
    target = Target("x86-64", "", 128)
    assert [target.lanes(b) for b in (8, 32, 64, 256)] == [16, 4, 2, 1]


@pytest.mark.parametrize("bits", [128, 256])
def test_narrower_vectors_on_request(bits: int) -> None:
    """Nothing wider than what was asked for is in the machine code."""
    program = (
        "import numpy as np, symgraph as sg\n"
        "from symgraph.backends.llvm.jit import host\n"
        "x = sg.tensor('x', shape=('n', 'm'), dtype='float32')\n"
        "f = sg.function([x], [sg.softmax(x, axis=1), sg.exp(x).T + 1, sg.argmax(x, axis=0)])\n"
        "a = np.random.default_rng(0).normal(size=(9, 37)).astype('float32')\n"
        "s, e, at = f(a)\n"
        "p = np.exp(a.astype('float64')); p /= p.sum(axis=1, keepdims=True)\n"
        "assert np.allclose(s, p, rtol=1e-5) and np.allclose(e, np.exp(a).T + 1, rtol=1e-6)\n"
        "assert (at == a.argmax(axis=0)).all()\n"
        "text = f.assembly()\n"
        "print(host().vector_bits, '%ymm' in text, '%zmm' in text)\n"
    )
    environment = {**os.environ, "SYMGRAPH_VECTOR_BITS": str(bits)}
    out = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    available = min(bits, host().vector_bits)
    assert out.stdout.split() == [str(available), str(available >= 256), "False"]


@pytest.mark.parametrize("asked", ["abc", "64", ""])
def test_an_impossible_width_is_named(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMGRAPH_VECTOR_BITS", asked)
    with pytest.raises(UsageError, match=r"SYMGRAPH_VECTOR_BITS is .*; 128, 256 or 512 is wanted"):
        jit.host.__wrapped__()
