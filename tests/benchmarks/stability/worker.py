"""One library in a process of its own: ``python -m stability.worker NAME`` prints its results."""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

from stability.libraries import LIBRARIES
from stability.textbook import FORMULAS

__all__ = ["main", "results"]


def results(name: str) -> dict[str, list[Any]]:
    """For every formula and point the value and gradient, or why there is none."""
    compute, out = LIBRARIES[name], {}
    for formula in FORMULAS:
        rows: list[Any] = []
        for point in formula.points:
            try:
                value, gradient = compute(formula.f, point)
                rows.append([value, *gradient])
            except Exception as problem:
                rows.append(f"{type(problem).__name__}: {problem}"[:200])
        out[formula.name] = rows
    return out


def main() -> None:
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the answer
    name = sys.argv[1]
    version = getattr(importlib.import_module(name), "__version__", "")
    print(json.dumps({"version": version, "rows": results(name)}), file=answer)


if __name__ == "__main__":
    main()
