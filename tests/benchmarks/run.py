"""symgraph beside NumPy and, where installed, JAX, PyTensor and PyTorch: one table, one run.

Run ``python tests/benchmarks/run.py`` (``--help`` lists the options). Every library runs in a
process of its own with one thread; results are checked against NumPy in float64 before anything is
timed; slots of the libraries alternate; a cell is the median. A library in another environment is
given by ``--python jax=/path/to/python`` or the variable ``SYMGRAPH_BENCH_JAX``. The exit status is
1 if a result of symgraph is wrong or missing.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comparison.cases import CASES, COLD, Case
from comparison.library import TITLES
from comparison.measure import Plan, Row, measure_calls, measure_cold
from comparison.process import Worker, environment
from comparison.report import machine, remarks, table


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    p = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    p.add_argument(
        "--cases", default="", help="only cases whose name contains one of these (a,b,c)"
    )
    p.add_argument("--peers", default="all", help="which peers to run (numpy,jax,...), or none")
    p.add_argument("--rounds", type=int, default=7, help="rounds of slots, and fresh processes")
    p.add_argument("--slot", type=float, default=0.06, help="seconds of one slot")
    p.add_argument("--limit", type=float, default=60, help="seconds allowed for building one case")
    p.add_argument("--quick", action="store_true", help="small cases only, three short rounds")
    p.add_argument("--no-cold", action="store_true", help="leave out imports and compile times")
    p.add_argument("--json", metavar="FILE", help="write all samples to a file as well")
    p.add_argument(
        "--python", action="append", default=[], metavar="NAME=PATH", help="a peer's interpreter"
    )
    options = p.parse_args(given)
    if options.quick:
        options.rounds, options.slot = min(options.rounds, 3), min(options.slot, 0.03)
    return options


def interpreters(options: argparse.Namespace) -> dict[str, str]:
    """The interpreter of every column: this one, an environment variable's, or an option's."""
    found = {n: os.environ.get(f"SYMGRAPH_BENCH_{n.upper()}", sys.executable) for n in TITLES}
    for pair in options.python:
        name, _, path = pair.partition("=")
        if name not in TITLES or not path:
            raise SystemExit(f"--python {pair}: write one of {', '.join(TITLES)}, =, and a path")
        found[name] = path
    return found


def installed(options: argparse.Namespace) -> dict[str, str]:
    """The wanted columns that can be imported, with their interpreters."""
    peers = [n for n in TITLES if n != "symgraph"]
    wanted = (
        peers if options.peers == "all" else [p for p in options.peers.split(",") if p != "none"]
    )
    if unknown := [p for p in wanted if p not in peers]:
        raise SystemExit(f"--peers {unknown[0]}: not one of {', '.join(peers)}")
    find = "import importlib.util as u, sys; sys.exit(u.find_spec(sys.argv[1]) is None)"

    def works(name: str, python: str) -> bool:
        command = [python, "-c", find, name]
        return subprocess.run(command, env=environment(""), check=False).returncode == 0

    chosen = {n: p for n, p in interpreters(options).items() if n in ("symgraph", *wanted)}
    return {n: p for n, p in chosen.items() if works(n, p)}


def chosen(cases: Sequence[Case], options: argparse.Namespace) -> list[Case]:
    """The cases that the options ask for."""
    parts = options.cases.split(",")
    return [c for c in cases if any(p in c.name for p in parts) and (c.quick or not options.quick)]


def measure(options: argparse.Namespace, log: Path) -> tuple[list[Row], dict[str, dict[str, Any]]]:
    """All rows, and what each library says of itself."""
    pythons = installed(options)
    names, plan = list(pythons), Plan(options.rounds, options.slot, options.limit)

    def start(name: str, cache: str = "") -> Worker:
        return Worker(name, pythons[name], log, cache)

    rows: list[Row] = []
    with contextlib.ExitStack() as stack:
        workers = {name: stack.enter_context(start(name)) for name in names}
        about = {name: worker.ask("load") for name, worker in workers.items()}
        for worker in workers.values():
            worker.ask("warm_up")
        for case in chosen(CASES, options):
            print(f"{case.name} ...", file=sys.stderr, flush=True)
            rows.append(measure_calls(case, workers, plan))
    cold = [] if options.no_cold else chosen(COLD, options)
    if cold or (not options.no_cold and "import" in options.cases):
        print("fresh processes ...", file=sys.stderr, flush=True)
        rows += measure_cold(cold, names, start, plan)
    return rows, about


def main(given: Sequence[str] | None = None) -> int:
    options = arguments(given)
    with tempfile.TemporaryDirectory(prefix="symgraph-bench-") as folder:
        rows, about = measure(options, Path(folder) / "workers.log")
    names = list(about)
    print(machine(about), "", table(rows, names), sep="\n")
    if notes := remarks(rows):
        print("", *(f"- {note}" for note in notes), sep="\n")
    if options.json:
        stored = {"about": about, "rows": [dataclasses.asdict(r) for r in rows]}
        Path(options.json).write_text(json.dumps(stored, indent=1), encoding="utf-8")
    own = [row.cells["symgraph"] for row in rows if "symgraph" in row.cells]
    return int(any(cell.wrong or cell.failed for cell in own))


if __name__ == "__main__":
    sys.exit(main())
