"""Evaluation in arithmetic of hundreds or thousands of bits: what the formulas mean, not what
floats make of them. Needs mpmath, which is imported when first used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from symgraph.errors import UnsupportedError
from symgraph.graph import Graph
from symgraph.tensor import Tensor

__all__ = ["PRECISIONS", "evaluate_precisely", "precise_difference", "rounded"]

#: The bits that are tried in turn until two results agree. Sums of float64 numbers are exact from
#: 2100 bits on, so a zero that stays one from ``SETTLED`` bits on is taken to be one.
PRECISIONS = (256, 1280, 2560, 5120, 16384)
SETTLED = 2560


def evaluate_precisely(
    graph: Graph, values: Mapping[Tensor, Any], precision: int | None = None
) -> list[Any]:
    """The mathematical values of the outputs: object arrays of mpmath numbers where they are
    floats, plain arrays of integers or bools elsewhere.

    ``values`` are arrays for the inputs and shared variables. ``precision`` is the number of bits;
    by default it grows until two results agree in their first 64 bits. Conversions between floats
    change nothing; integers wrap around and are exact. Infinities and NaNs follow IEEE rules, poles
    and limits included; a zero has no sign, so ``1 / -0.0`` is +inf.

    Raises:
        UnsupportedError: mpmath is not installed, or an operation has no mathematical value here.

    >>> import symgraph as sg, numpy as np
    >>> x = sg.scalar("x")
    >>> (value,) = evaluate_precisely(Graph([(1 + x) - 1]), {x: np.array(1e-300)})
    >>> float(value)
    1e-300
    """
    evaluate = _evaluation()
    if precision is not None:
        return list(evaluate.at_precision(graph, values, precision))
    before: list[Any] | None = None
    for bits in PRECISIONS:
        found: list[Any] = evaluate.at_precision(graph, values, bits)
        if before is not None and evaluate.agree(before, found, bits >= SETTLED):
            return found
        before = found
    assert before is not None
    return before


def rounded(values: Any, dtype: Any) -> Any:
    """Mathematical values as an array of ``dtype``, each rounded to the nearest float."""
    return _evaluation().rounded(values, dtype)


def precise_difference(got: Any, truth: Any) -> Any:
    """How far a float is from the mathematical value: 0 where both are the same infinity or NaN,
    infinite where only one of them is finite."""
    return _evaluation().difference(got, truth)


def _evaluation() -> Any:
    try:
        return importlib.import_module("symgraph.backends.precise.evaluate")
    except ModuleNotFoundError as error:
        if error.name != "mpmath":
            raise
        raise UnsupportedError(
            "arithmetic of many digits needs mpmath, which is not installed: "
            "pip install 'symgraph[audit]'"
        ) from None
