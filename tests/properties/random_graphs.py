"""A strategy for small random graphs over the public language, with arrays to call them on.

A graph grows step by step from a few inputs. Every step picks a function and operands that fit it,
so that examples shrink by dropping steps. Functions that jump are applied only to exact values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from exactness import is_exact
from hypothesis import strategies as st

import symgraph as sg
from symgraph.errors import SymgraphError
from symgraph.sizes import Size

__all__ = ["Example", "examples"]

Array = np.ndarray[Any, Any]
Draw = Callable[..., Any]

FLOATS = ("float64", "float32")
INTEGERS = ("int64", "int32", "int8", "uint8")
SIZES = {"n": (3, 1, 2, 7, 17, 0), "m": (2, 5, 1, 0)}
DIMS: tuple[int | str, ...] = ("n", 3, 1, 2, "m", 8, 0)

SMOOTH = (
    sg.negative, sg.square, sg.exp, sg.tanh, sg.sigmoid, sg.sin, sg.softplus, sg.log, sg.sqrt,
    sg.erf,
    sg.abs, sg.relu, sg.reciprocal, sg.expm1, sg.log1p, sg.atan, sg.cos, sg.log2, sg.cbrt, sg.exp2,
)  # fmt: skip
JUMPS = (sg.floor, sg.ceil, sg.trunc, sg.round, sg.sign, sg.isfinite, sg.isnan)
SMOOTH_PAIRS = (
    sg.add, sg.multiply, sg.subtract, sg.divide, sg.maximum, sg.minimum, sg.logaddexp, sg.atan2,
)  # fmt: skip
JUMP_PAIRS = (sg.less, sg.equal, sg.greater_equal, sg.not_equal, sg.floor_divide, sg.remainder)
INT_PAIRS = (
    sg.add, sg.multiply, sg.subtract, sg.maximum, sg.minimum, sg.less, sg.equal, sg.floor_divide,
    sg.remainder, sg.bitwise_and, sg.bitwise_or, sg.bitwise_xor, sg.bitwise_left_shift,
    sg.bitwise_right_shift,
)  # fmt: skip
LOGIC = (sg.logical_and, sg.logical_or, sg.logical_xor, sg.equal)
REDUCTIONS = (sg.sum, sg.max, sg.mean, sg.min, sg.prod, sg.var, sg.logsumexp)
INT_REDUCTIONS = (sg.sum, sg.max, sg.min, sg.prod, sg.count_nonzero)
ROWS = (sg.softmax, sg.log_softmax, sg.cumulative_sum, sg.cumulative_prod)
RECENT = 3  # how many of the last values most operands are drawn from
LARGEST = 1 << 19  # elements of a value, named sizes aside
CONSTANTS = (1.0, 2.0, 0.5, -1.0, 0.0, -2.5, 3.0)


@dataclass(frozen=True)
class Example:
    """A graph (``inputs`` to ``outputs``) and one array per input."""

    inputs: list[sg.Tensor]
    outputs: list[sg.Tensor]
    arrays: list[Array]

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{i.name}={a.dtype}{a.shape}{a.ravel()[:20].tolist()}" for i, a in self.pairs()
        )
        return f"{shown}: {[sg.pprint(o) for o in self.outputs]}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What hypothesis shows of a failure."""
        printer.text(repr(self))

    def pairs(self) -> list[tuple[sg.Tensor, Array]]:
        return list(zip(self.inputs, self.arrays, strict=True))


class Grower:
    """Draws one graph; ``smooth`` keeps to differentiable functions of float64 inputs."""

    def __init__(self, draw: Draw, smooth: bool) -> None:
        self.draw, self.smooth = draw, smooth
        self.bits: dict[sg.Tensor, int | None] = {}
        self.pool: list[sg.Tensor] = []

    def one(self, options: Any) -> Any:
        return self.draw(st.sampled_from(list(options)))

    def number(self, low: int, high: int) -> int:
        return int(self.draw(st.integers(low, high)))

    def exact(self, x: sg.Tensor) -> bool:
        return is_exact(x, self.bits)

    # ---- operands ----------------------------------------------------------------------------

    def operand(self, kinds: str = "f", rank: int = 0) -> sg.Tensor | None:
        """A value of one of the dtype kinds with at least ``rank`` axes; later ones come first."""
        fitting = [v for v in reversed(self.pool) if v.dtype.kind in kinds and v.ndim >= rank]
        if len(fitting) > RECENT and self.number(0, 3):
            fitting = fitting[:RECENT]
        return self.one(fitting) if fitting else None

    def partner(self, x: sg.Tensor) -> sg.Tensor:
        """An operand that broadcasts with x."""
        fitting = [v for v in reversed(self.pool) if v.dtype == x.dtype and _fits(v, x)]
        if self.number(0, 3) == 3 or not fitting:
            value = self.one(CONSTANTS)
            return sg.constant(value if x.dtype.kind == "f" else int(value), x.dtype)
        return self.one(fitting)  # type: ignore[no-any-return]

    def axis(self, x: sg.Tensor) -> int:
        return self.number(0, x.ndim - 1) - self.number(0, 1) * x.ndim

    def some_axes(self, x: sg.Tensor) -> Any:
        if x.ndim == 0 or self.number(0, 2) == 0:
            return None
        if self.number(0, 3) == 3:
            return tuple(self.draw(st.permutations(range(x.ndim)))[: self.number(1, x.ndim)])
        return self.axis(x)

    # ---- steps -------------------------------------------------------------------------------

    def is_small(self, x: sg.Tensor) -> bool:
        """Whether a value is quick to compute."""
        return x.ndim <= 4 and math.prod(d for d in x.shape if type(d) is int) <= LARGEST

    def grow(self, steps: int) -> None:
        table = SMOOTH_STEPS if self.smooth else STEPS
        before = len(self.pool)
        for _ in range(4 * steps):
            step = self.one(table)
            try:
                made = step(self)
            except SymgraphError:
                continue  # the drawn operands do not fit this function
            for v in made if isinstance(made, (list, tuple)) else [made]:
                if v is not None and self.is_small(v) and all(v is not p for p in self.pool):
                    self.pool.append(v)
            if len(self.pool) - before >= steps:
                return

    def unary(self) -> Any:
        x = self.operand()
        return None if x is None else self.one(SMOOTH)(x)

    def jump(self) -> Any:
        x = self.operand()
        return self.one(JUMPS)(x) if x is not None and self.exact(x) else None

    def binary(self) -> Any:
        x = self.operand()
        return None if x is None else self.one(SMOOTH_PAIRS)(x, self.partner(x))

    def swapped(self) -> Any:
        x = self.operand()
        return None if x is None else self.one(SMOOTH_PAIRS)(self.partner(x), x)

    def power(self) -> Any:
        x = self.operand()
        return None if x is None else sg.pow(x, self.one((2, 3, -1, 0.5, 1, 0)))

    def jump_pair(self) -> Any:
        x = self.operand()
        if x is None:
            return None
        y = self.partner(x)
        return self.one(JUMP_PAIRS)(x, y) if self.exact(x) and self.exact(y) else None

    def integer(self) -> Any:
        x = self.operand("iu")
        return None if x is None else self.one(INT_PAIRS)(x, self.partner(x))

    def integer_unary(self) -> Any:
        x = self.operand("iu")
        return None if x is None else self.one((sg.abs, sg.square, sg.sign, sg.bitwise_invert))(x)

    def logic(self) -> Any:
        x = self.operand("b")
        return None if x is None else self.one(LOGIC)(x, self.partner(x))

    def convert(self) -> Any:
        x = self.operand("biuf")
        if x is None or not self.exact(x):
            return None
        wide = FLOATS + (("int64", "bool") if x.dtype.kind == "f" else (*INTEGERS, "bool"))
        return sg.astype(x, self.one(wide))

    def select(self) -> Any:
        mask, x = self.operand("b"), self.operand("fi")
        if mask is None or x is None:
            return None
        return sg.where(mask, x, self.partner(x))

    def limit(self) -> Any:
        x = self.operand("fi")
        return None if x is None else sg.clip(x, self.one((-1, 0)), self.one((1, 3)))

    def reduce(self) -> Any:
        x = self.operand()
        if x is None:
            return None
        return self.one(REDUCTIONS)(x, axis=self.some_axes(x), keepdims=bool(self.number(0, 1)))

    def reduce_integers(self) -> Any:
        x = self.operand("iu")
        if x is None:
            return None
        return self.one(INT_REDUCTIONS)(x, axis=self.some_axes(x), keepdims=bool(self.number(0, 1)))

    def reduce_logic(self) -> Any:
        x = self.operand("b")
        if x is None:
            return None
        return self.one((sg.any, sg.all, sg.count_nonzero))(x, axis=self.some_axes(x))

    def position(self) -> Any:
        x = self.operand("fi", rank=1)
        if x is None or not self.exact(x):
            return None
        axis = self.axis(x)
        return self.one(
            (sg.argmax, sg.argmin, lambda x, axis: list(sg.max_and_argmax(x, axis=axis)))
        )(x, axis=axis)

    def rows(self) -> Any:
        x = self.operand(rank=1)
        return None if x is None else self.one(ROWS)(x, axis=self.axis(x))

    def permute(self) -> Any:
        x = self.operand("biuf", rank=2)
        return (
            None
            if x is None
            else sg.permute_dims(x, tuple(self.draw(st.permutations(range(x.ndim)))))
        )

    def reshape(self) -> Any:
        x = self.operand("biuf")
        if x is None:
            return None
        forms: list[tuple[Any, ...]] = [(-1,), (1, *x.shape), (*x.shape, 1)]
        if x.ndim >= 2:
            forms += [(x.shape[0], -1), (x.shape[0] * x.shape[1], *x.shape[2:]), x.shape[::-1]]
        return sg.reshape(x, self.one(forms))

    def stretch(self) -> Any:
        x = self.operand("biuf")
        return None if x is None else sg.broadcast_to(x, (self.one((2, 3)), *x.shape))

    def cut(self) -> Any:
        x = self.operand("biuf", rank=1)
        if x is None:
            return None
        index = [self.slice() for _ in range(self.number(1, x.ndim))]
        return x[(..., *index)] if self.number(0, 1) else x[tuple(index)]

    def slice(self) -> Any:
        kind = self.number(0, 3)
        if kind == 0:
            return slice(None, None, self.one((-1, 2, -2)))
        if kind == 1:
            return slice(self.one((1, -2)), None)
        if kind == 2:
            return self.one((0, -1, None))
        return slice(self.one((0, 1)), self.one((-1, 2)), self.one((1, 2)))

    def join(self) -> Any:
        x = self.operand("biuf", rank=1)
        if x is None:
            return None
        alike = [v for v in self.pool if v.dtype == x.dtype and v.shape == x.shape]
        return self.one((sg.concat, sg.stack))([x, self.one(alike)], axis=self.axis(x))

    def move(self) -> Any:
        x = self.operand("biuf", rank=1)
        if x is None:
            return None
        axis = self.axis(x)
        kind = self.number(0, 4)
        if kind == 0:
            return sg.flip(x, axis=axis)
        if kind == 1:
            return sg.roll(x, self.one((1, -2)), axis=axis)
        if kind == 2:
            return sg.repeat(x, 2, axis=axis)
        if kind == 3:
            return sg.pad(x, self.one((1, (0, 2), (1, 0))))
        return sg.tril(x) if x.ndim >= 2 else sg.tile(x, 2)

    def indices(self, n: Any) -> Any:
        """Positions on an axis of size n; sometimes out of range when called."""
        made = self.operand("i", rank=0)
        if made is not None and made.ndim <= 2 and self.number(0, 1):
            return made if self.number(0, 5) == 5 else sg.remainder(sg.astype(made, "int64"), n)
        low = self.one(([0, 0], [0, 1, 0], [-1], [[0, 1], [1, 0]], []))
        return np.array(low, dtype=np.int64)

    def take(self) -> Any:
        x = self.operand("biuf", rank=1)
        if x is None:
            return None
        axis = self.axis(x)
        index = self.indices(x.shape[axis])
        if self.number(0, 2) == 0 and x.ndim >= 2:
            return x[index, ..., self.one((0, -1))]
        return sg.take(x, index, axis=axis)

    def scatter(self) -> Any:
        x = self.operand("iuf", rank=1)
        if x is None:
            return None
        index = self.one((self.indices(x.shape[0]), slice(None, None, 2), 0, slice(1, None)))
        place, value = x.at[index], self.one((1, 2))
        if self.number(0, 1) and not isinstance(index, (int, slice)):
            value = sg.take(x, self.indices(x.shape[0]) if self.number(0, 1) else index, axis=0)
        return place.set(value) if self.number(0, 1) else place.add(value)

    def masked(self) -> Any:
        x, mask = self.operand("fi", rank=1), self.operand("b", rank=1)
        if x is None or mask is None or mask.shape != x.shape[: mask.ndim]:
            return None
        return x[mask] if self.number(0, 2) else x.at[mask].set(1)

    def hot(self) -> Any:
        i = self.operand("i")
        return None if i is None else sg.one_hot(sg.remainder(i, 3), 3)

    def multiply_matrices(self) -> Any:
        a = self.operand("fi", rank=1)
        if a is None:
            return None
        fitting = [
            v for v in self.pool if v.dtype == a.dtype and v.ndim and v.shape[-1] == a.shape[-1]
        ]
        b = self.one(fitting)
        return sg.matmul(a, sg.matrix_transpose(b) if b.ndim >= 2 else b)

    def stop(self) -> Any:
        x = self.operand()
        return None if x is None else sg.stop_gradient(x)


def _fits(v: sg.Tensor, x: sg.Tensor) -> bool:
    """Whether shapes broadcast for sure."""
    pairs = zip(reversed(v.shape), reversed(x.shape), strict=False)
    return all(
        a == b or (type(a) is int and a == 1) or (type(b) is int and b == 1) for a, b in pairs
    )


G = Grower
SMOOTH_STEPS = (
    G.unary, G.binary, G.reduce, G.binary, G.reduce, G.swapped, G.permute, G.cut, G.reshape, G.rows,
    G.multiply_matrices,
    G.join, G.move, G.take, G.scatter, G.limit, G.power, G.stretch, G.select, G.masked,
)  # fmt: skip
STEPS = (
    *SMOOTH_STEPS, G.jump_pair, G.jump, G.integer, G.convert, G.position, G.logic,
    G.reduce_integers, G.reduce_logic, G.hot, G.integer_unary, G.stop,
)  # fmt: skip


def _array(draw: Draw, x: sg.Tensor, sizes: dict[str, int], smooth: bool) -> Array:
    shape = tuple(sizes[str(d)] if isinstance(d, Size) else d for d in x.shape)
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    if x.dtype.kind == "b":
        return rng.random(shape) < 0.5
    if smooth:
        return np.asarray(rng.uniform(-2.0, 2.0, shape)).astype(x.dtype)
    values = rng.integers(-8, 9, shape)
    if x.dtype.kind == "f":
        return np.asarray(values / 4).astype(x.dtype)
    return np.asarray(np.abs(values) if x.dtype.kind == "u" else values).astype(x.dtype)


@st.composite
def examples(
    draw: Draw, smooth: bool = False, steps: int = 16, dims: tuple[int | str, ...] = DIMS,
    shapes: tuple[tuple[int | str, ...], ...] = (), first: tuple[str, ...] = ("float64",),
) -> Example:  # fmt: skip
    """A random graph of up to ``steps`` functions; with ``smooth`` of float64 only.

    The inputs have one of the ``shapes``, if there are any, or up to three of the ``dims``; the
    dtype of the first is one of ``first``.
    """
    sizes = {name: draw(st.sampled_from(values)) for name, values in SIZES.items()}
    g = Grower(draw, smooth)
    dtypes = ("float64",) if smooth else (*FLOATS, "int64", "bool", *INTEGERS[1:])
    inputs = []
    for k in range(draw(st.integers(1, 3))):
        if shapes:
            shape = draw(st.sampled_from(shapes))
        else:
            shape = tuple(draw(st.sampled_from(dims)) for _ in range(draw(st.integers(0, 3))))
        dtype = draw(st.sampled_from(dtypes if k else first))
        inputs.append(sg.tensor(f"x{k}", shape=shape, dtype=dtype))
    masks = [sg.tensor("p", shape=inputs[0].shape[:1], dtype="bool")] if smooth else []
    g.pool += inputs + masks
    g.grow(draw(st.integers(1, steps)))
    grown = [v for v in g.pool if v.inputs] or g.pool
    outputs = [grown[-1]]
    if not smooth:
        outputs += draw(st.lists(st.sampled_from(g.pool), max_size=2))
    everything = inputs + masks
    return Example(everything, outputs, [_array(draw, x, sizes, smooth) for x in everything])
