"""Programs from the cache: the same bits and the same answers as compiled ones, and live variables.

Everything is compared with the same graph compiled afresh, which `bypassed` makes sure of.
"""

from __future__ import annotations

import marshal
import os
import re
import shutil
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stages import native
from test_cached_objects import HEALED, run

import symgraph as sg
from symgraph.backends.llvm import program_cache
from symgraph.backends.llvm.compile import LLVMFunction
from symgraph.backends.llvm.object_cache import PROGRAM, ObjectCache
from symgraph.backends.llvm.program_cache import bypassed
from symgraph.errors import SymgraphError
from symgraph.op import Op
from symgraph.passes import pipeline
from symgraph.passes.trace import count_warning
from symgraph.tensor import apply
from symgraph.types import TensorType

Array = np.ndarray[Any, Any]
Build = Callable[[], LLVMFunction]


@pytest.fixture(autouse=True)
def nothing_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins without programs in memory, and leaves none."""
    monkeypatch.setattr(program_cache, "_known", OrderedDict())


def again(build: Build, source: str = "memory") -> tuple[LLVMFunction, LLVMFunction]:
    """The function compiled afresh, and from the cache."""
    with bypassed():
        fresh = build()
    build()
    known = build()
    assert (fresh.compile_stats.program, known.compile_stats.program) == ("", source)
    return fresh, known


def layer() -> LLVMFunction:
    x, w = sg.tensor("x", shape=("n", 5)), sg.tensor("w", shape=(5, 3))
    loss = sg.sum(sg.softplus(x @ w) * 0.37)
    return native([x, w], [loss, *sg.grad(loss, [x, w])], name="layer")


def picking() -> LLVMFunction:
    x, k = sg.tensor("x", shape=("n", 4)), sg.tensor("k", shape=("m",), dtype="int64")
    return native([x, k], sg.take(x, k, axis=0) * 2.125, name="picking")


def selection() -> LLVMFunction:
    x, y = sg.vector("x", shape="n"), sg.vector("y", shape="m")
    return native([x, y], x[x > 0] * 1.375 + y, name="selection")


def with_constants() -> LLVMFunction:
    x = sg.vector("x", shape=600)
    table, few = np.linspace(0, 1, 600), np.array([1.5, -0.0, np.nan])
    made = sg.constant(np.arange(600.0)) * 2 + 1  # folded by the passes
    return native([x], [x * table + made, x[:3] * few], name="with_constants")


RNG = np.random.default_rng(3)
CASES: dict[str, tuple[Build, list[Array]]] = {
    "layer": (layer, [RNG.normal(size=(7, 5)), RNG.normal(size=(5, 3))]),
    "picking": (picking, [RNG.normal(size=(6, 4)), np.array([5, 0, 0])]),
    "selection": (selection, [np.array([1.0, -1.0, 2.0]), np.array([3.0, 4.0])]),
    "constants": (with_constants, [RNG.normal(size=600)]),
}


def bits(value: Any) -> list[tuple[Any, ...]]:
    listed = value if isinstance(value, (list, tuple)) else [value]
    return [(a.dtype, a.shape, a.tobytes()) for a in map(np.asarray, listed)]


@pytest.mark.parametrize("case", CASES)
def test_a_known_program_gives_the_same_bits(case: str) -> None:
    build, arrays = CASES[case]
    fresh, known = again(build)
    assert bits(known(*arrays)) == bits(fresh(*arrays))
    assert known.compile_stats.compiled == 0
    first, then = fresh.compile_stats, known.compile_stats
    assert then.kernels == first.kernels and then.compiled == then.from_disk == 0
    assert then.from_memory == first.compiled + first.from_disk + first.from_memory
    for field in ("calls", "kernels", "code_bytes"):
        assert getattr(known.compile_stats, field) == getattr(fresh.compile_stats, field)


@pytest.mark.parametrize("case", CASES)
def test_a_known_program_tells_the_same(case: str) -> None:
    build, arrays = CASES[case]
    fresh, known = again(build)
    assert repr(known) == repr(fresh)
    for name in ("graph", "rewrites", "calls", "arena_bytes", "_assembly"):
        assert name not in vars(known)
    assert str(known) == str(fresh)
    assert [str(r) for r in known.rewrites] == [str(r) for r in fresh.rewrites]
    assert str(known.graph) == str(fresh.graph) and known.graph is known.graph
    assert [c.key for c in known.calls] == [c.key for c in fresh.calls]
    assert known.stages() == fresh.stages() and known.llvm_ir() == fresh.llvm_ir()
    assert str(known.arena_bytes) == str(fresh.arena_bytes)
    if case != "selection":
        assert known.peak_bytes(*arrays) == fresh.peak_bytes(*arrays)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        getattr(known, "noth" + "ing")


def test_a_known_program_can_be_measured_and_checked() -> None:
    fresh, known = again(layer)
    arrays = CASES["layer"][1]
    rows, wanted = known.profile(*arrays, rounds=2), fresh.profile(*arrays, rounds=2)
    assert len(rows.kernels) == len(wanted.kernels) > 1
    assert known.replay(*arrays).passed and "layer" in str(known)


def test_a_known_program_is_called_from_c_and_writes_where_it_is_told() -> None:
    def build() -> LLVMFunction:
        x = sg.scalar("x")
        return native([x], sg.exp(x) * 3.0625)

    fresh, known = again(build)
    assert known.ctypes(0.7) == fresh.ctypes(0.7) == fresh(0.7)
    target = np.zeros(())
    assert known(np.array(0.7), out=target) is target and target == fresh(0.7)


# ---- errors --------------------------------------------------------------------------------------

BAD: dict[str, tuple[Build, list[Any]]] = {
    "index": (picking, [np.zeros((2, 4)), np.array([0, 2])]),
    "size": (layer, [np.zeros((2, 4)), np.zeros((5, 3))]),
    "late size": (selection, [np.array([1.0, 2.0]), np.zeros(3)]),
    "dtype": (layer, [np.zeros((2, 5), complex), np.zeros((5, 3))]),
    "count": (layer, [np.zeros((2, 5))]),
}


def message(f: LLVMFunction, arguments: list[Any]) -> tuple[type, str]:
    with pytest.raises((SymgraphError, TypeError)) as caught:
        f(*arguments)
    return caught.type, re.sub(r"_count\d+", "_count", str(caught.value))


@pytest.mark.parametrize("case", BAD)
def test_errors_read_the_same(case: str) -> None:
    build, arguments = BAD[case]
    fresh, known = again(build)
    assert message(known, arguments) == message(fresh, arguments)


def test_a_program_that_compiles_to_something_else_is_a_clear_error() -> None:
    _, known = again(layer)
    vars(known)["_details"]._codes = ("kernel_of_another",)
    assert len(known.graph) > 1
    with pytest.raises(RuntimeError, match="layer: its program came from the cache, and compiling"):
        known.stages()


# ---- shared variables ----------------------------------------------------------------------------


def counter(start: float, second: float, swap: bool = False) -> tuple[LLVMFunction, list[Any]]:
    a, b = sg.shared(np.full(3, start)), sg.shared(np.full(3, second))
    p, q = (b, a) if swap else (a, b)
    return native([], p * 10 + q, updates={p: p + 1, q: q * 2 + p}), [a, b]


@pytest.mark.parametrize("swap", [False, True])
def test_updates_go_to_the_variables_of_the_function(swap: bool) -> None:
    first, (a1, b1) = counter(1.0, 2.0)
    second, (a2, b2) = counter(5.0, 7.0, swap)
    p, q = (7.0, 5.0) if swap else (5.0, 7.0)
    assert second().tolist() == [p * 10 + q] * 3
    got = [v.get_value()[0] for v in (a2, b2)]
    want = [p + 1, q * 2 + p]
    assert got == (want[::-1] if swap else want)
    assert [v.get_value()[0] for v in (a1, b1)] == [1.0, 2.0]
    assert first().tolist() == [12.0] * 3 and second.compile_stats.program != ""


def test_one_variable_twice_is_not_two() -> None:
    a, b = sg.shared(np.ones(2)), sg.shared(np.full(2, 3.0))
    two, one = native([], a * 2 + b), native([], a * 2 + a)
    assert (two().tolist(), one().tolist()) == ([5.0, 5.0], [3.0, 3.0])


# ---- what is told apart, and what is not kept ----------------------------------------------------


def test_sizes_of_one_name_and_of_two() -> None:
    def build(m: str) -> LLVMFunction:
        x, y = sg.vector("x", shape="n"), sg.vector("y", shape=m)
        return native([x, y], sg.sum(x) * 0.875 + sg.sum(y))

    same, other = build("n"), build("m")
    assert other(np.ones(2), np.ones(3)) == 4.75
    with pytest.raises(SymgraphError):
        same(np.ones(2), np.ones(3))


def test_passes_threads_and_forms_are_told_apart() -> None:
    x = sg.vector("x")
    y = sg.log(sg.exp(x) * 1.0625)
    made = [native([x], y, passes=p) for p in ("strict", "default", "fast", ())]
    assert [f.compile_stats.program for f in made] == [""] * 4
    fewer = sg.rules.default - "exp_log"
    assert native([x], y, passes=fewer).compile_stats.program == ""
    assert native([x], y, passes=fewer).compile_stats.program == "memory"
    assert native([x], y, threads=2).compile_stats.program == ""
    listed = native([x], [y])  # the form of a result is the call's, not the program's
    assert listed.compile_stats.program == "memory" and isinstance(listed(np.ones(2)), list)
    named = native([x], {"y": y})
    assert list(named(np.ones(2))) == ["y"] and named.compile_stats.program == "memory"


def own_op() -> sg.Tensor:
    def infer(types: Any, attrs: Any, equations: Any) -> TensorType:
        return TensorType(types[0].dtype, types[0].shape)

    def lower(b: Any, dtype: Any, v: Any) -> Any:
        return b.fmul(v[0], b.const(v[0].type, 1.5))

    op = Op("sized", infer, lambda x: 1.5 * x, frozenset({"elementwise"}), lower=lower)
    return apply(op, (sg.vector("x"),))


def test_what_a_user_made_is_not_kept() -> None:
    y = own_op()
    for _ in range(2):
        assert native(list(y.inputs), y).compile_stats.program == ""
    x = sg.vector("x")
    for _ in range(2):
        made = native([x], x * 0.6875, passes=(lambda graph: graph,))
        assert made.compile_stats.program == ""
    mine = sg.rule("mine", lambda a: a * 0.6875, lambda a: a * 0.6875 + 0, "exact")
    rules = sg.rules.default + mine
    for _ in range(2):
        assert native([x], sg.exp(x), passes=rules).compile_stats.program == ""


def test_shared_variables_of_varying_shape_and_checked_functions_work_as_before() -> None:
    state = sg.shared(np.ones(3), shape=("k",))
    for _ in range(2):
        assert sg.function([], sg.sum(state) * 0.5)() == 1.5
    x = sg.vector("x")
    for _ in range(2):
        f = sg.function([x], sg.log(x), check_finite=True)
        with pytest.raises(SymgraphError), np.errstate(all="ignore"):
            f(np.zeros(1))


def test_who_was_warned_is_warned_again(monkeypatch: pytest.MonkeyPatch) -> None:
    real = pipeline.run_passes

    def warn(*args: Any) -> Any:
        count_warning()
        return real(*args)

    monkeypatch.setattr("symgraph.compile.run_passes", warn)
    x = sg.vector("x")
    for _ in range(2):
        assert native([x], x * 0.8125).compile_stats.program == ""


def test_errors_are_raised_each_time() -> None:
    other, z = sg.vector("x", shape="n"), sg.vector("z", shape=3)
    for _ in range(2):
        with pytest.raises(SymgraphError, match="cannot be read off the inputs"):
            native([z], z * other.shape[0])


# ---- threads, forks, memory ----------------------------------------------------------------------


def test_threads_that_compile_one_graph() -> None:
    with bypassed():
        want = bits(layer()(*CASES["layer"][1]))

    def work(_: int) -> Any:
        f = layer()
        return bits(f(*CASES["layer"][1])), str(f.graph)

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(work, range(12)))
    assert all(f[0] == want for f in found) and len({f[1] for f in found}) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_knows_the_programs() -> None:
    layer()
    child = os.fork()
    if child == 0:
        known = layer()
        good = known.compile_stats.program == "memory" and len(known.graph) > 3
        os._exit(0 if good and np.isfinite(known(*CASES["layer"][1])[0]) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(("limit", "value", "left"), [("CAPACITY", 2, 2), ("BYTES", 1, 1)])
def test_only_so_many_programs_stay_in_memory(
    limit: str, value: int, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program_cache, limit, value)
    x = sg.vector("x")
    for factor in (3.0, 4.0, 5.0):
        native([x], x * factor)
    assert len(program_cache._known) == left


# ---- on disk -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Any]]:
    folder = tmp_path_factory.mktemp("programs")
    yield folder, run(folder, "models")


def programs(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.program"))


def test_a_new_process_takes_programs_from_disk(filled: tuple[Path, Any]) -> None:
    folder, found = filled
    assert set(found["programs"]) == {""} and len(programs(folder)) >= len(found["programs"])
    there = run(folder, "models", PYTHONHASHSEED="77")
    assert set(there["programs"]) == {"disk"} and there["bits"] == found["bits"]
    off = run(folder, "models", SYMGRAPH_CACHE="0")
    assert set(off["programs"]) == {""} and off["bits"] == found["bits"]


@pytest.mark.parametrize("kind", [*HEALED, "of another shape"])
def test_damaged_programs_are_compiled_and_healed(
    filled: tuple[Path, Any], tmp_path: Path, kind: str
) -> None:
    folder, found = filled
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for file in programs(tmp_path):
        if kind in ("no object file", "no code", "of another shape"):
            text = {"no code": b"", "of another shape": marshal.dumps((1, 2))}.get(kind, b"none")
            ObjectCache(file.parents[1], magic=PROGRAM).store(file.stem, text)
        else:
            HEALED[kind](file)
    healed = run(tmp_path, "models")
    assert set(healed["programs"]) == {""} and healed["bits"] == found["bits"]
    after = run(tmp_path, "models")
    assert set(after["programs"]) == {"disk"} and after["bits"] == found["bits"]


def test_missing_kernels_are_compiled_and_left_there_again(
    filled: tuple[Path, Any], tmp_path: Path
) -> None:
    folder, found = filled
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for file in tmp_path.rglob("*.o"):
        file.unlink()
    healed = run(tmp_path, "models")
    assert "" in healed["programs"] and healed["bits"] == found["bits"]
    assert set(run(tmp_path, "models")["programs"]) == {"disk"}
