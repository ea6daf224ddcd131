"""The backend of the tests in this folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import symgraph as sg

BACKEND = "llvm"
#: And the pipeline.
PASSES = "default"


def run(inputs: Sequence[sg.Tensor], outputs: Any, *arrays: Any) -> Any:
    """The outputs for these arrays."""
    return sg.function(inputs, outputs, backend=BACKEND, passes=PASSES)(*arrays)


def step(inputs: Sequence[sg.Tensor], updates: Any, outputs: Any = None) -> Any:
    """A training step."""
    return sg.function(inputs, outputs, updates=updates, backend=BACKEND, passes=PASSES)
