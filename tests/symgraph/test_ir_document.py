"""docs/ir.md: its examples run."""

from __future__ import annotations

import doctest
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "ir.md"


def test_the_examples_run() -> None:
    failed, attempted = doctest.testfile(str(DOCUMENT), module_relative=False, encoding="utf-8")
    assert failed == 0 and attempted > 10
