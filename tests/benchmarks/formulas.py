"""Textbook formulas at hard points: value and gradient in symgraph and, where installed, in peers.

Run ``python tests/benchmarks/formulas.py``. Every formula is written naively, as in a textbook, and
computed in float64; a cell shows the worst error of the value and of the gradient against mpmath,
relative to the largest number wanted. A library in another environment is found through a variable
such as ``SYMGRAPH_BENCH_JAX``, which holds the path of its interpreter.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from comparison.process import environment
from stability.libraries import TITLES
from stability.textbook import FORMULAS, Formula
from stability.truth import error, truth

#: A result is right where the relative error is below this; errors beyond it are losses of digits.
RIGHT = 1e-10
Cell = tuple[float, float]


def answers(name: str) -> dict[str, Any] | None:
    """What a library computes, from a process of its own; None where it is not installed."""
    python = os.environ.get(f"SYMGRAPH_BENCH_{name.upper()}", sys.executable)
    find = "import importlib.util as u, sys; sys.exit(u.find_spec(sys.argv[1]) is None)"
    with tempfile.TemporaryDirectory(prefix="symgraph-bench-") as cache:
        env = environment(cache)
        if subprocess.run([python, "-c", find, name], env=env, check=False).returncode:
            return None
        command = [python, "-W", "ignore", "-m", "stability.worker", name]
        done = subprocess.run(
            command, env=env, cwd=cache, check=False, capture_output=True, text=True
        )
    if done.returncode:
        print(f"{name}: {done.stderr.strip()[-300:]}", file=sys.stderr)
        return None
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def cell(formula: Formula, found: Sequence[Any]) -> Cell | None:
    """The worst errors of value and gradient over the points; None where there are no results."""
    if any(isinstance(row, str) for row in found):
        return None
    pairs = [(row, truth(formula, at)) for row, at in zip(found, formula.points, strict=True)]
    values = [error(row[0], want[0]) for row, want in pairs]
    gradients = [error(row[1:], want[1:]) for row, want in pairs]
    return worst(values), worst(gradients)


def worst(errors: Sequence[float]) -> float:
    """The largest, NaN and infinity before all."""
    return max(errors, key=lambda e: math.inf if math.isnan(e) else e)


def shown(e: float) -> str:
    """An error, or that the result is not finite.

    >>> shown(0.0), shown(2.3e-16), shown(float("nan"))
    ('0', '2e-16', 'nan')
    """
    return "0" if e == 0 else f"{e:.0e}" if math.isfinite(e) else f"{e}"


def text(found: Cell | None) -> str:
    return "" if found is None else " / ".join(shown(e) for e in found)


def table(cells: dict[str, dict[str, Cell | None]]) -> str:
    """Markdown: a row a formula, a column a library; then how many results are finite and right."""
    names = list(cells)
    lines = ["| value / gradient | " + " | ".join(TITLES[n] for n in names) + " |"]
    lines.append("|---" * (len(names) + 1) + "|")
    for formula in FORMULAS:
        row = [text(cells[n][formula.name]) for n in names]
        lines.append(f"| {formula.name} | " + " | ".join(row) + " |")
    for label, test in (("finite", math.isfinite), ("right", lambda e: e <= RIGHT)):
        row = []
        for n in names:
            made = [c for c in cells[n].values() if c is not None]
            counts = [sum(test(c[k]) for c in made) for k in (0, 1)]
            row.append(f"**{counts[0]} / {counts[1]} of {len(made)}**")
        lines.append(f"| **{label}** | " + " | ".join(row) + " |")
    return "\n".join(lines)


def main(given: Sequence[str] | None = None) -> int:
    """Print the table; the exit status is 1 where a result of symgraph is not finite."""
    p = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    p.add_argument("--peers", default=",".join(TITLES), help="which libraries to run (jax,torch)")
    wanted = p.parse_args(given).peers.split(",")
    cells: dict[str, dict[str, Cell | None]] = {}
    versions = []
    for name in (n for n in TITLES if n == "symgraph" or n in wanted):
        if (found := answers(name)) is not None:
            versions.append(f"{TITLES[name]} {found['version']}".strip())
            cells[name] = {f.name: cell(f, found["rows"][f.name]) for f in FORMULAS}
    print(", ".join(versions), "", table(cells), sep="\n")
    print(f"\nRelative errors of value / gradient at the worst point; right: at most {RIGHT:.0e}.")
    own = cells.get("symgraph", {})
    return int(not own or any(c is None or not all(map(math.isfinite, c)) for c in own.values()))


if __name__ == "__main__":
    sys.exit(main())
