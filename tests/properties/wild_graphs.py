"""Random graphs over every operation, on ordinary and on extreme values, NaN and -0.0 included.

The language of :mod:`random_graphs`, with the functions that have poles and ends of domains, 5 to
60 nodes, and arrays whose elements shrink one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from exactness import SAME
from hypothesis import strategies as st
from random_graphs import STEPS, Draw, Example, Grower

import symgraph as sg
from symgraph.graph import topological
from symgraph.types import TensorType

__all__ = ["EXTREME", "FINITE", "ORDINARY", "UNDEFINED", "wild_examples"]

UNARY = (
    sg.tan, sg.asin, sg.acos, sg.sinh, sg.cosh, sg.asinh, sg.acosh, sg.atanh, sg.log10, sg.logit,
    sg.erfc, sg.erfcx, sg.log_erfc, sg.log1mexp, sg.exp, sg.exp, sg.log, sg.log, sg.sqrt,
    sg.sigmoid, sg.softplus, sg.silu, sg.gelu, lambda x: 1 / (1 + sg.exp(-x)),
    lambda x: sg.log(1 + sg.exp(x)),
    lambda x: sg.exp(x) / sg.sum(sg.exp(x)), lambda x: sg.log(sg.sum(sg.exp(x))),
    lambda x: 1 - sg.exp(x), lambda x: sg.sqrt(x * x), lambda x: 1 - sg.sigmoid(x), lambda x: 1 - x,
    lambda x: x - sg.max(x), lambda x: x * 0.0, lambda x: x * 1e300, lambda x: x * 2.0, sg.norm,
)  # fmt: skip
PAIRS = (
    sg.xlogy, sg.hypot, sg.pow, sg.divide, sg.multiply, sg.add, sg.subtract, sg.subtract,
    sg.logaddexp,
    lambda a, b: sg.log(sg.exp(a) + sg.exp(b)), lambda a, b: (a + b) - a, lambda a, b: a * b / b,
    lambda a, b: a * b + a, lambda a, b: sg.exp(a) * sg.exp(b), lambda a, b: sg.log(a) - sg.log(b),
    lambda a, b: sg.log(a * b),
)  # fmt: skip

ORDINARY = (0.0, 1.0, -1.0, 0.5, 2.0, -0.0, -0.25, 3.0, -2.5)
FINITE = (*ORDINARY, 1e300, -1e300, 1e-300, 5e-324, -5e-324, 1e160, 800.0, -800.0, 1.7e308)
UNDEFINED = (*ORDINARY, float("nan"))
EXTREME = (*FINITE, float("inf"), -float("inf"), float("nan"))


class Wild(Grower):
    """Grows with poles; what jumps is applied only where nothing has been rounded."""

    table: tuple[Any, ...] = ()

    def exact(self, x: sg.Tensor) -> bool:
        return all(
            not n.inputs or n.op.name in SAME or n.dtype.kind != "f"
            for n in topological([x])
            if isinstance(n.type, TensorType)
        )

    def pole(self) -> Any:
        x = self.operand()
        return None if x is None else self.one(UNARY)(x)

    def pole_pair(self) -> Any:
        x = self.operand()
        return None if x is None else self.one(PAIRS)(x, self.partner(x))

    def test(self) -> Any:
        """A condition on values that no rounding has touched."""
        x = self.operand("f")
        if x is None or not self.exact(x):
            return None
        return self.one((sg.isinf, sg.isfinite, sg.isnan, lambda v: v <= 1, lambda v: v > 0))(x)

    def negate(self) -> Any:
        x = self.operand("b")
        return None if x is None else sg.logical_not(x)

    def shift(self) -> Any:
        x = self.operand("i")
        if x is None:
            return None
        return self.one((sg.bitwise_left_shift, sg.bitwise_right_shift))(x, self.number(0, 3))

    def choose(self) -> Any:
        """A masked branch, the mask from the inputs."""
        x = self.operand()
        if x is None or not self.exact(self.pool[0]):
            return None
        return sg.where(self.pool[0] > 0, x, self.partner(x))

    def grow(self, steps: int) -> None:
        before = len(self.pool)
        for _ in range(3 * steps):
            if len(self.pool) - before >= steps:
                return
            try:
                made = self.one(self.table)(self)
            except sg.errors.SymgraphError:
                continue  # the drawn operands do not fit this function
            for v in made if isinstance(made, (list, tuple)) else [made]:
                if v is not None and v.ndim <= 3 and all(v is not p for p in self.pool):
                    self.pool.append(v)


WILD_STEPS = (
    Wild.pole, Wild.pole_pair, Wild.unary, Wild.binary, Wild.reduce, Wild.rows, Wild.choose,
    Wild.pole, Wild.pole_pair, Wild.swapped, Wild.test, Wild.negate, Wild.shift, *STEPS,
)  # fmt: skip


def _array(draw: Draw, x: sg.Tensor, values: tuple[float, ...]) -> Any:
    shape = tuple(d if isinstance(d, int) else 3 for d in x.shape)
    count = int(np.prod(shape))
    if x.dtype.kind == "f":
        drawn = draw(st.lists(st.sampled_from(values), min_size=count, max_size=count))
    else:
        drawn = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    numbers = np.array(drawn, np.float64)
    if x.dtype == np.float32:  # what float64 holds, float32 holds: as its largest number
        largest = float(np.finfo(np.float32).max)
        numbers = np.where(np.isinf(numbers), numbers, np.clip(numbers, -largest, largest))
    return numbers.astype(x.dtype).reshape(shape)


SHAPES: tuple[tuple[int | str, ...], ...] = ((2,), (3,), (1,), (), (2, 2), ("n",), (2, 3), (0,))


@st.composite
def wild_examples(
    draw: Draw,
    values: tuple[float, ...] = EXTREME,
    least: int = 1,
    most: int = 30,
    table: tuple[Any, ...] = WILD_STEPS,
) -> Example:
    """A graph with one output, grown by steps of ``table``, and arrays of these values."""
    dtype = draw(st.sampled_from(("float64", "float64", "float32")))
    shape = draw(st.sampled_from(SHAPES))
    kinds = {"x": dtype, "y": dtype, "k": "int64", "p": "bool"}
    inputs = [sg.tensor(name, shape=shape, dtype=kind) for name, kind in kinds.items()]
    g = Wild(draw, smooth=False)
    g.table = table
    g.pool += inputs
    g.grow(draw(st.integers(least, most)))
    grown = [v for v in g.pool if v.inputs and v.dtype.kind == "f"] or inputs[:1]
    outputs = [grown[-1]] if table is WILD_STEPS else g.pool
    return Example(inputs, outputs, [_array(draw, x, values) for x in inputs])
