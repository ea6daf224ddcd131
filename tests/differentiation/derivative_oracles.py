"""What the tests of derivatives share: the backend, and differences computed by NumPy alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import symgraph as sg
from symgraph.graph import Graph, topological

Array = np.ndarray[Any, Any]

#: The backend of every test in this folder.
BACKEND = "llvm"
#: And the pipeline.
PASSES = "default"
#: Where an operation has no native code, only a NumPy value.
IN_NUMPY = "reference"


def run(inputs: Sequence[sg.Tensor], outputs: Any, *arrays: Any) -> Any:
    """The outputs for these arrays."""
    return compiled(inputs, outputs)(*arrays)


def compiled(inputs: Sequence[sg.Tensor], outputs: Any, **options: Any) -> Any:
    """A function on the backend under test."""
    return sg.function(inputs, outputs, **{"backend": BACKEND, "passes": PASSES, **options})


def differences(value: Callable[..., Any], arrays: Sequence[Any], at: int = 0) -> Array:
    """d value / d arrays[at] by extrapolated central differences; value.shape + x.shape."""
    x = np.array(arrays[at], np.float64)
    columns = []
    for index in np.ndindex(x.shape):
        h = 1e-3 * max(1.0, abs(float(x[index])))
        slopes = []
        for width in (h, h / 2):
            ends = []
            for sign in (1, -1):
                moved = x.copy()
                moved[index] += sign * width
                ends.append(np.asarray(value(*arrays[:at], moved, *arrays[at + 1 :])))
            slopes.append((ends[0] - ends[1]) / (2 * width))
        columns.append((4 * slopes[1] - slopes[0]) / 3)
    shape = np.asarray(value(*arrays)).shape
    return (
        np.moveaxis(np.array(columns).reshape(x.shape + shape), range(x.ndim), range(-x.ndim, 0))
        if shape
        else np.array(columns).reshape(x.shape)
    )


def nodes_of(*outputs: sg.Tensor) -> list[sg.Tensor]:
    """Every node the outputs depend on."""
    return topological(outputs)


def count(outputs: sg.Tensor | Sequence[sg.Tensor], *names: str) -> int:
    """How many nodes under the outputs are one of the named operations."""
    roots = [outputs] if isinstance(outputs, sg.Tensor) else list(outputs)
    return Graph(roots).count(*names)


def spelled(outputs: Sequence[sg.Tensor]) -> list[tuple[Any, ...]]:
    """The graph under the outputs as plain data: equal data, equal graphs (leaves by name)."""
    place: dict[sg.Tensor, int] = {}
    lines: list[tuple[Any, ...]] = []
    for k, n in enumerate(topological(outputs)):
        place[n] = k
        lines.append(
            (n.op.name, n.name, [place[i] for i in n.inputs], repr(dict(n.attrs)), str(n.type))
        )
    return [*lines, tuple(place[o] for o in outputs)]
