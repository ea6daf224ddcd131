"""Graphs with nothing to stabilise are known to later processes, and only they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import symgraph as sg
from symgraph.backends.llvm import stable_graphs
from symgraph.backends.llvm.object_cache import STABLE, ObjectCache
from symgraph.backends.llvm.stable_graphs import digest_of_graph
from symgraph.passes import stabilise

PROGRAM = """
import json, sys
import numpy as np
import symgraph as sg
x, w = sg.matrix("x", shape=("n", 3)), sg.shared(np.ones(3), "w")
z = x * w
cost = sg.sum(sg.log(sg.sum(sg.exp(z), axis=1))) if {unstable} else sg.sum(sg.logsumexp(z, axis=1))
g = sg.grad(cost, w)
loaded = "symgraph.passes.rules.table" in sys.modules
value = g.eval({{x: np.full((2, 3), 800.0) * np.arange(3)}}, backend="reference")
print(json.dumps([loaded, sg.pprint(g), value.tolist(), "llvmlite" in sys.modules]))
"""


def run(folder: Path, unstable: bool = False, **environment: str) -> Any:
    """Whether a new process loaded the rules for its gradient, what that is and its value."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(unstable=unstable)],
        env={**os.environ, "SYMGRAPH_CACHE_DIR": str(folder), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def entries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.stable"))


def test_a_later_process_loads_no_rules_for_a_stable_graph(tmp_path: Path) -> None:
    first, second = run(tmp_path), run(tmp_path, PYTHONHASHSEED="77")
    assert (first[0], second[0]) == (True, False)
    assert first[1:3] == second[1:3] == run(tmp_path, SYMGRAPH_CACHE="0")[1:3]
    assert len(entries(tmp_path)) == 1
    assert not first[3] and not second[3]  # nobody compiled: LLVM is not loaded


def test_what_has_to_be_stabilised_is_so_in_every_process(tmp_path: Path) -> None:
    found = [run(tmp_path, unstable=True) for _ in range(2)]
    assert [loaded for loaded, *_ in found] == [True, True] and entries(tmp_path) == []
    for _, _, value, _ in found:  # as written: infinity by infinity
        assert value == [0, 0, 3200]  # two rows of x times softmax(0, 800, 1600)


@pytest.mark.parametrize("damage", ["cut off", "another mark"])
def test_a_damaged_entry_counts_as_none_and_is_written_again(tmp_path: Path, damage: str) -> None:
    first = run(tmp_path)
    (file,) = entries(tmp_path)
    whole = file.read_bytes()
    if damage == "cut off":
        file.write_bytes(whole[:-1])
    else:
        ObjectCache(file.parents[1], magic=STABLE).store(file.stem, b"something else")
    assert run(tmp_path)[:3] == first[:3]
    assert file.read_bytes() == whole


def digest(*outputs: sg.Tensor) -> str:
    found = digest_of_graph(outputs)
    assert found
    return found


def test_equal_graphs_share_an_entry_and_others_do_not() -> None:
    x, v = sg.vector("x", shape="n"), sg.vector("x", shape="n")
    assert digest(sg.exp(x) + 1) == digest(sg.exp(v) + 1)
    others = [sg.exp(x) + 1, sg.exp(x) + 2, sg.exp(x) - 1, sg.exp(sg.vector("x", shape=4)) + 1]
    assert len({digest(o) for o in others}) == len(others)


def test_another_version_of_the_sources_has_entries_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    y = sg.exp(sg.vector("x"))
    before = digest(y)
    monkeypatch.setattr(stable_graphs, "others", lambda: "changed")
    assert digest(y) != before
    monkeypatch.setattr(stable_graphs, "others", lambda: "")
    assert digest_of_graph([y]) == "" and stable_graphs.look_up([y]) is None


def test_once_the_rules_are_loaded_they_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    stabilise.deriving()
    asked: list[Any] = []

    monkeypatch.setattr(stabilise, "_look_up", [asked.append])
    sg.grad(sg.sum(sg.vector("x") ** 2), [])
    assert asked == []
