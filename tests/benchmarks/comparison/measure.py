"""Interleaved timing: every library gets a slot in every round; the order turns each time."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from comparison import oracles
from comparison.cases import Case
from comparison.process import Worker

__all__ = ["Cell", "Plan", "Row", "measure_calls", "measure_cold"]

Start = Callable[[str, str], Worker]


@dataclass(slots=True)
class Cell:
    """One library in one row: seconds (all samples), the worst error, and what went wrong."""

    samples: list[float] = field(default_factory=list)
    error: float = 0.0
    wrong: str = ""
    failed: str = ""
    left_out: bool = False

    @property
    def median(self) -> float | None:
        """The median of the samples in seconds; None where there are none."""
        return statistics.median(self.samples) if self.samples else None

    def take(self, answer: Mapping[str, Any]) -> None:
        """Note how a request went; the first failure stays."""
        self.failed = self.failed or answer.get("failed", "")
        self.left_out = self.left_out or answer.get("left_out", False)
        self.error = max(self.error, answer.get("error", 0.0))
        self.wrong = self.wrong or answer.get("wrong", "")


@dataclass(slots=True)
class Row:
    """One row of the table."""

    name: str
    cells: dict[str, Cell]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure: rounds, seconds of a slot, seconds allowed for one build."""

    rounds: int
    slot: float
    limit: float


class _Arrays:
    """The inputs of a case and the right answer, as files for every worker."""

    def __init__(self, case: Case) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="symgraph-bench-")
        given = oracles.inputs(case)
        np.savez(Path(self.folder.name) / "inputs.npz", **given)  # type: ignore[arg-type]
        right = oracles.expected(case, given)
        np.savez(Path(self.folder.name) / "expected.npz", **right)  # type: ignore[arg-type]

    def __enter__(self) -> str:
        return self.folder.name

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()


def in_turn(names: Sequence[str], rounds: int) -> Iterable[tuple[int, str]]:
    """A B C, then C B A, and so on: a drift of the machine's speed meets all alike."""
    for k in range(rounds):
        for name in names if k % 2 == 0 else reversed(names):
            yield k, name


def measure_calls(case: Case, workers: Mapping[str, Worker], plan: Plan) -> Row:
    """Time per call. Results are checked first; wrong ones are timed all the same."""
    row = Row(case.name, {name: Cell() for name in workers})
    with _Arrays(case) as folder:
        for name, worker in workers.items():
            row.cells[name].take(worker.ask("build", plan.limit, case=case.name, folder=folder))
    live = [name for name in workers if not row.cells[name].failed]
    for name in live:
        row.cells[name].take(workers[name].ask("settle", plan.limit))
    for _, name in in_turn([n for n in live if not row.cells[n].failed], plan.rounds):
        answer = workers[name].ask("time", plan.limit, seconds=plan.slot)
        row.cells[name].take(answer)
        row.cells[name].samples += answer.get("samples", [])
    return row


class _Fresh:
    """Fresh processes: what they say of themselves, and how long their first steps take."""

    def __init__(self, names: Sequence[str]) -> None:
        self.imports = Row("import", {n: Cell() for n in names})
        self.setup = Row("first trivial function", {n: Cell() for n in names})
        self.compiles: dict[str, bool] = {}

    def opened(self, worker: Worker) -> bool:
        """Import the library and make its first function; False where that fails."""
        for row, do in ((self.imports, "load"), (self.setup, "warm_up")):
            cell, answer = row.cells[worker.name], worker.ask(do)
            cell.take(answer)
            if cell.failed:
                return False
            if self.compiles.setdefault(worker.name, answer.get("compiles", False)) or do == "load":
                cell.samples.append(answer["seconds"])
        return True


def _cold_row(case: Case, names: Sequence[str], start: Start, plan: Plan, fresh: _Fresh) -> Row:
    row = Row(case.name, {n: Cell() for n in names})
    with _Arrays(case) as folder, contextlib.ExitStack() as stack:

        def build(name: str, cache: str) -> dict[str, Any]:
            with start(name, cache) as worker:
                if not fresh.opened(worker):
                    return {}
                return worker.ask("build", plan.limit, case=case.name, folder=folder)

        caches = dict.fromkeys(names, "")
        if case.cached:
            for name in names:
                made = tempfile.TemporaryDirectory(prefix="symgraph-bench-")
                caches[name] = stack.enter_context(made)
                row.cells[name].take(build(name, caches[name]))
        for _, name in in_turn(names, plan.rounds):
            cell = row.cells[name]
            if cell.failed or sum(cell.samples) > 3:
                continue  # slow ones need no second look
            answer = build(name, caches[name])
            cell.take(answer)
            cell.samples += [answer["seconds"]] if "seconds" in answer else []
    return row


def measure_cold(
    cases: Sequence[Case], names: Sequence[str], start: Start, plan: Plan
) -> list[Row]:
    """Import, one-off set-up, and each case from expression to first result, in fresh processes.

    Libraries that make no functions ahead of the call have no compile times.
    """
    fresh = _Fresh(names)
    for _, name in in_turn(names, plan.rounds):
        with start(name, "") as worker:
            fresh.opened(worker)
    rows = [fresh.imports, fresh.setup]
    for case in cases:
        compiling = [n for n in names if fresh.compiles.get(n)]
        rows.append(_cold_row(case, compiling, start, plan, fresh))
    return rows
