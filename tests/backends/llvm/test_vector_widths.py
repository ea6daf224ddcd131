"""A selection of the table of all operations at narrower vectors, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TABLE = Path(__file__).parents[2] / "table" / "test_op_values.py"
SELECTION = (
    "llvm and (float32 or int8 or bool) and (exp or sum or max or softmax or take or matmul)"
)


@pytest.mark.parametrize("bits", [128, 256])
def test_the_table_holds_at_this_width(bits: int) -> None:
    environment = {**os.environ, "SYMGRAPH_VECTOR_BITS": str(bits), "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TABLE)]
    done = subprocess.run(
        [*command, "-k", SELECTION], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert " passed" in done.stdout or "[100%]" in done.stdout
