"""Textbook formulas at hard points: symgraph's own column of the comparison, and its measuring."""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "benchmarks"
sys.path.insert(0, str(FOLDER))

formulas: Any = importlib.import_module("formulas")
libraries: Any = importlib.import_module("stability.libraries")
textbook: Any = importlib.import_module("stability.textbook")
truth: Any = importlib.import_module("stability.truth")

#: What nothing repairs: a sum that overflows beside its mean.
BEYOND = ("mean of huge numbers",)
BY_NAME = {f.name: f for f in textbook.FORMULAS}


def own_cell(formula: Any) -> Any:
    rows = []
    for point in formula.points:
        value, gradient = libraries.LIBRARIES["symgraph"](formula.f, point)
        rows.append([value, *gradient])
    return formulas.cell(formula, rows)


@pytest.mark.parametrize("name", [name for name in BY_NAME if name not in BEYOND])
def test_value_and_gradient_are_right(name: str) -> None:
    """Finite, and within 1e-10 of mpmath (relative to the largest number wanted)."""
    assert max(own_cell(BY_NAME[name])) <= formulas.RIGHT


def test_truth_is_that_of_closed_forms() -> None:
    """The measuring itself: log(1 + exp x) and its slope, where floats would lose everything."""
    value, gradient = truth.truth(BY_NAME["softplus"], (-50.0,))
    assert value == pytest.approx(math.exp(-50), rel=1e-15)
    assert gradient == pytest.approx(math.exp(-50), rel=1e-15)
    assert truth.truth(BY_NAME["norm"], (3e200, 4e200)) == pytest.approx([5e200, 0.6, 0.8])


def test_a_result_that_is_not_finite_is_the_worst() -> None:
    assert math.isnan(truth.error([1.0, math.nan], [1.0, 2.0]))
    assert truth.error(math.inf, 1.0) == math.inf
    assert truth.error([2.0, 1.0], [2.0, 1.5]) == 0.25
    assert math.isnan(formulas.worst([1.0, math.nan, 3.0]))


def test_table_counts_what_is_right() -> None:
    """Only libraries that gave results have a column; failures leave a cell empty."""
    cells: dict[str, Any] = {f.name: (0.0, 1e-3) for f in textbook.FORMULAS}
    cells["norm"] = (math.nan, math.inf)
    cells["softplus"] = None
    shown = formulas.table({"symgraph": cells}).splitlines()
    total = len(textbook.FORMULAS)
    assert shown[0] == "| value / gradient | symgraph |"
    assert "| norm | nan / inf |" in shown and "| softplus |  |" in shown
    assert shown[-2] == f"| **finite** | **{total - 2} / {total - 2} of {total - 1}** |"
    assert shown[-1] == f"| **right** | **{total - 2} / 0 of {total - 1}** |"
