"""Rewrites as data: an expression, what it becomes, and its value by NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import symgraph as sg
from symgraph import Graph, Tensor
from symgraph.passes.simplify import simplify

__all__ = ["Array", "Arrays", "Before", "check", "computed", "operations"]

Array = np.ndarray[Any, Any]
Arrays = dict[Tensor, Array]


@dataclass(frozen=True, slots=True)
class Before:
    """An expression, its simplified form (the same one: it stays), and its value of arrays."""

    made: Callable[[], Tensor]
    becomes: Callable[[], Tensor]
    value: Callable[..., Any]


def operations(expression: Tensor) -> list[str]:
    """The operations in order, leaves left out."""
    nodes = Graph([expression]).nodes
    return [n.op.name for n in nodes if "leaf" not in n.op.traits]


def computed(expression: Tensor, arrays: Arrays, passes: Any = ()) -> Array:
    """The value by the reference backend."""
    f = sg.function(list(arrays), expression, passes=passes, backend="reference")
    return np.asarray(f(*arrays.values()))


def check(case: Before, passes: str, arrays: Arrays, rtol: float = 0) -> None:
    """The expression simplifies to what the case says, is then at rest, and has NumPy's value."""
    before, after = case.made(), case.becomes()
    found = simplify(before, passes)
    assert found is simplify(after, passes)
    assert simplify(found, passes) is found
    with np.errstate(all="ignore"):
        want = case.value(*arrays.values())
    for expression in (before, found):
        np.testing.assert_allclose(computed(expression, arrays), want, rtol=rtol, atol=0)
