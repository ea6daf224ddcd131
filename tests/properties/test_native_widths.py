"""A selection of the native properties at narrower vectors, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = ("test_native_bits.py", "test_native_layouts.py", "test_native_sums.py")
SELECTION = (
    "fusion_of_large or layouts_do_not_matter or around_the_vector_width or (overlapping and int8) "
    "or (pairwise and float32 and (matrix or many or walked or ends))"
)


@pytest.mark.parametrize("bits", [128, 256])
def test_the_properties_hold_at_this_width(bits: int) -> None:
    environment = {**os.environ, "SYMGRAPH_VECTOR_BITS": str(bits), "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-k", SELECTION, *(str(HERE / name) for name in FILES)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
