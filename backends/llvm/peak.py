"""How many bytes a call needs, known before it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.backends.llvm.memory import ALIGNMENT
from symgraph.backends.llvm.slots import upper_bound
from symgraph.backends.reference.evaluate import Extents, bind_sizes, check_equations
from symgraph.errors import UsageError
from symgraph.graph import Graph
from symgraph.sizes import Atom, Dim, evaluate, product, symbols_of
from symgraph.tensor import Tensor, describe

__all__ = ["argument_sizes", "peak_bytes"]


def argument_sizes(
    name: str, inputs: Sequence[Tensor], arrays: Sequence[Any], sizes: Mapping[str, int]
) -> dict[Atom, int]:
    """The value of every size symbol, from arguments (arrays or shapes) or from their names.

    Raises:
        UsageError: the wrong number of arguments, an unknown or missing name, a value that is no
            size.
        ShapeError: extents that disagree with the declared shapes.
    """
    if arrays:
        if sizes or len(arrays) != len(inputs):
            raise UsageError(
                f"{name}.peak_bytes() takes either {len(inputs)} arguments (arrays or shapes), or "
                f"sizes by name; got {len(arrays)} and {len(sizes)}"
            )
        shapes = [a if isinstance(a, tuple) else np.shape(a) for a in arrays]
        for variable, shape in zip(inputs, shapes, strict=True):
            if len(shape) != variable.ndim:
                raise UsageError(
                    f"{name}.peak_bytes(): {describe(variable)} has {variable.ndim} axes; got the "
                    f"shape {shape}"
                )
        return bind_sizes(zip(inputs, map(Extents, shapes), strict=True))
    atoms = {a.name: a for v in inputs for d in v.shape for a in symbols_of(d)}
    unknown, missing = sizes.keys() - atoms.keys(), atoms.keys() - sizes.keys()
    if unknown or missing:
        wanted = ", ".join(sorted(atoms)) or "none"
        raise UsageError(
            f"{name}.peak_bytes() wants the sizes {wanted}; "
            + (f"it knows no {', '.join(sorted(unknown))}" if unknown else "")
            + ("; " if unknown and missing else "")
            + (f"{', '.join(sorted(missing))} is missing" if missing else "")
        )
    for key, value in sizes.items():
        if type(value) is not int or value < 0:
            raise UsageError(f"{name}.peak_bytes(): {key}={value!r} is not a size")
    return {atoms[key]: value for key, value in sizes.items()}


def peak_bytes(
    graph: Graph, outputs: Sequence[Tensor], arena: Dim, sizes: Mapping[Atom, int]
) -> int:
    """The arena, with what its alignment costs, and the results; run-time counts at their largest.

    Raises:
        ShapeError: sizes that no call can have.
    """
    check_equations(graph, sizes, complete=False)
    room = evaluate(arena, sizes)
    results = (upper_bound(product(node.shape)) * node.dtype.itemsize for node in outputs)
    return room + (ALIGNMENT if room else 0) + sum(evaluate(r, sizes) for r in results)
