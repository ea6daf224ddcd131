"""The benchmark's cases are right at tiny sizes and its runner prints a table; nothing is timed."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph import Graph

FOLDER = Path(__file__).parent / "benchmarks"
sys.path.insert(0, str(FOLDER))

cases: Any = importlib.import_module("comparison.cases")
library: Any = importlib.import_module("comparison.library")
measure: Any = importlib.import_module("comparison.measure")
oracles: Any = importlib.import_module("comparison.oracles")
report: Any = importlib.import_module("comparison.report")
simplification: Any = importlib.import_module("simplification")


def judged(column: str, case: Any) -> str:
    """What is wrong with a library's results."""
    opened = library.open_library(column)
    opened.load()
    given = oracles.inputs(case)
    call, fetch = opened.prepare(case, given)
    return str(oracles.compare(case, fetch(call()), oracles.expected(case, given))[1])


@pytest.mark.parametrize("case", cases.TINY, ids=lambda c: c.name)
def test_symgraph_is_right(case: Any) -> None:
    assert judged("symgraph", case) == ""


@pytest.mark.parametrize("case", [c for c in cases.TINY if c.spread < 1e3], ids=lambda c: c.name)
def test_numpy_is_right(case: Any) -> None:
    assert judged("numpy", case) == ""


def test_a_wrong_result_is_found() -> None:
    (case,) = (c for c in cases.TINY if c.name == "tiny digits step")
    right = oracles.expected(case, oracles.inputs(case))
    off = {**right, "W1": right["W1"] * (1 + 1e-3)}
    assert "W1 is off by" in oracles.compare(case, off, right)[1]


@pytest.mark.parametrize(
    ("got", "words"),
    [
        ({}, "y is missing"),
        ({"y": np.zeros(2)}, "shape (2,), not (3,)"),
        ({"y": np.array([0, np.nan, 1])}, "1 of 3 not finite"),
    ],
)
def test_a_bad_result_is_named(got: dict[str, Any], words: str) -> None:
    case = cases.BY_NAME["map f64 1e3"]
    assert words in oracles.compare(case, got, {"y": np.arange(3.0)})[1]


@pytest.mark.parametrize(
    ("t", "text"), [(1.5, "1.5 s"), (0.0123, "12.3 ms"), (123.4e-6, "123 us"), (4.6e-8, "46 ns")]
)
def test_times_are_readable(t: float, text: str) -> None:
    assert report.seconds(t) == text


def test_wrong_peers_are_shown_and_not_counted() -> None:
    cell = measure.Cell
    row = measure.Row(
        "case",
        {
            "symgraph": cell([2.0]),
            "numpy": cell([4.0]),
            "jax": cell([1.0], wrong="y is off"),
            "torch": cell(failed="the process ended with status 1"),
        },
    )
    shown = report.table([row], ["symgraph", "numpy", "jax", "torch"])
    assert "1 s WRONG" in shown
    assert "| failed" in shown
    assert "0.50 (NumPy)" in shown
    assert len(report.remarks([row])) == 2


def test_the_runner_prints_a_table_and_writes_samples(tmp_path: Path) -> None:
    stored = tmp_path / "samples.json"
    options = [
        "--cases",
        "2x + 1 of a 0-d value",
        "--peers",
        "numpy",
        "--rounds",
        "1",
        "--slot",
        "0.001",
    ]
    done = subprocess.run(
        [sys.executable, str(FOLDER / "run.py"), *options, "--json", str(stored)],
        capture_output=True,
        text=True,
        env={**os.environ},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "| 2x + 1 of a 0-d value |" in done.stdout
    names = [row["name"] for row in json.loads(stored.read_text(encoding="utf-8"))["rows"]]
    assert names == ["2x + 1 of a 0-d value"]


# ---- simplification ------------------------------------------------------------------------------


def test_nodes_per_second_of_all_graphs_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    simplification.main(["--sizes", "30", "60"])
    _, head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["graph", "passes", "30", "60"]
    names = [(g.__name__, p) for g in simplification.GRAPHS for p in ("strict", "default", "fast")]
    assert [tuple(row.split()[:2]) for row in rows] == names
    assert all(float(n) > 0 for row in rows for n in row.split()[2:])


@pytest.mark.parametrize("make", simplification.GRAPHS, ids=lambda make: make.__name__)
def test_graphs_to_simplify_have_about_as_many_nodes_as_asked_for(make: Any) -> None:
    assert 0.8 * 300 <= len(Graph([make(300)])) <= 1.6 * 300


def test_what_does_nothing_is_gone_and_terms_that_come_back_are_one() -> None:
    left = Graph([sg.simplify(simplification.identities(40))])
    assert len(left) == 1 + left.count("tanh")
    left = Graph([sg.simplify(simplification.repeated_terms(120))])
    assert left.count("tanh") == 10 and left.count("add") == 9
