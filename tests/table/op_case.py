"""What a row of the operation table is, and where its numbers are drawn.

One row says everything the table tests need: the graph (``build``), the value by NumPy or SciPy
(``oracle``), the arguments with their symbolic shapes and where numbers are drawn, the dtypes, how
exact the value must be, and how often it is differentiated. ``n`` is the one symbolic size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import symgraph as sg

Array = np.ndarray[Any, Any]
Generator = np.random.Generator
Draw = Callable[[Generator, tuple[int, ...]], Array]

FLOATS = ("float64", "float32")
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INTEGERS = SIGNED + UNSIGNED
NUMBERS = FLOATS + INTEGERS
ALL = (*NUMBERS, "bool")

# ---- where numbers are drawn ---------------------------------------------------------------------


def normal(rng: Generator, shape: tuple[int, ...]) -> Array:
    """Anywhere on the line."""
    return rng.normal(0.0, 1.5, shape)


def positive(rng: Generator, shape: tuple[int, ...]) -> Array:
    """Above 0.3, mostly below 3."""
    return rng.uniform(0.3, 3.0, shape)


def unit(rng: Generator, shape: tuple[int, ...]) -> Array:
    """Between 0 and 1, not near the ends."""
    return rng.uniform(0.1, 0.9, shape)


def inside(rng: Generator, shape: tuple[int, ...]) -> Array:
    """Between -1 and 1, not near the ends."""
    return rng.uniform(-0.8, 0.8, shape)


def beyond(rng: Generator, shape: tuple[int, ...]) -> Array:
    """Above 1."""
    return rng.uniform(1.3, 4.0, shape)


def apart(rng: Generator, shape: tuple[int, ...]) -> Array:
    """Away from integers and halves, so from every kink of the rounding functions."""
    return np.asarray(rng.integers(-3, 4, shape) + rng.uniform(0.15, 0.35, shape))


def apart_too(rng: Generator, shape: tuple[int, ...]) -> Array:
    """Like ``apart``, and never near a number drawn there."""
    return rng.integers(-3, 4, shape) + rng.uniform(0.65, 0.85, shape)


def distinct(rng: Generator, shape: tuple[int, ...]) -> Array:
    """No two elements closer than 0.3."""
    count = int(np.prod(shape))
    return np.asarray((rng.permutation(count) - count // 2).reshape(shape) * 0.37 + 0.1)


def nonzero(rng: Generator, shape: tuple[int, ...]) -> Array:
    """Away from zero, either sign."""
    return np.asarray(rng.uniform(0.4, 3.0, shape) * rng.choice([-1.0, 1.0], shape))


def rounded(rng: Generator, shape: tuple[int, ...]) -> Array:
    """Whole and half numbers, where rounding has to decide."""
    return rng.integers(-8, 9, shape) / 2.0


# ---- the rows ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument: its shape, where floats are drawn, the range of integers, or its own dtype."""

    shape: tuple[int | str, ...] = ("n", 3)
    draw: Draw = normal
    ints: tuple[int, int] = (-6, 7)
    dtype: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One row. ``ulps`` 0 is bit for bit; ``regrouped`` measures against the largest element."""

    op: str
    label: str
    build: Callable[..., Any]
    oracle: Callable[..., Any]
    args: tuple[Arg, ...]
    dtypes: tuple[str, ...] = ("float64",)
    ulps: float = 0
    regrouped: bool = False
    order: int = 2
    sizes: tuple[int, ...] = (5, 1, 0)

    @property
    def id(self) -> str:
        return f"{self.op}-{self.label}" if self.label else self.op


def row(
    op: str,
    build: Callable[..., Any],
    oracle: Callable[..., Any],
    *args: Arg,
    label: str = "",
    **facts: Any,
) -> Case:
    """A row; without arguments it takes one of the default shape."""
    return Case(op, label, build, oracle, args or (Arg(),), **facts)


def draw(case: Case, rng: Generator, n: int, dtype: str) -> list[Array]:
    """Arrays for a case, with n for the symbolic size."""
    return [sample(a, rng, n, dtype) for a in case.args]


def sample(arg: Arg, rng: Generator, n: int, dtype: str) -> Array:
    """One argument's array."""
    shape = tuple(n if d == "n" else int(d) for d in arg.shape)
    kind = np.dtype(arg.dtype or dtype)
    if kind.kind == "f":
        return np.asarray(arg.draw(rng, shape)).astype(kind)
    if kind.kind == "b":
        return rng.random(shape) > 0.5
    low, high = arg.ints
    return rng.integers(max(low, 0) if kind.kind == "u" else low, high, shape).astype(kind)


def variables(case: Case, dtype: str) -> list[sg.Tensor]:
    """Declared inputs for a case."""
    return [
        sg.tensor(f"x{k}", shape=a.shape, dtype=a.dtype or dtype) for k, a in enumerate(case.args)
    ]
