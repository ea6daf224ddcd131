"""The numerical checker of derivatives: symbolic results against central differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph import functions as f
from symgraph.compile import function
from symgraph.errors import GradientError, UsageError
from symgraph.passes.gradient import jvp, vjp
from symgraph.tensor import Tensor
from symgraph.types import DTYPES

__all__ = ["verify_grad"]

Array = np.ndarray[Any, Any]
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One derivative that is not what differences say."""

    argument: str
    index: str
    symbolic: float
    numeric: float

    @property
    def size(self) -> float:
        gap = abs(self.symbolic - self.numeric)
        return gap if np.isfinite(gap) else np.inf


def verify_grad(
    fn: Callable[..., Any],
    arrays: Sequence[Any],
    *,
    order: int = 1,
    step: float = 1e-3,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    max_elements: int = 100,
    seed: int = 0,
    backend: str = "llvm",
) -> None:
    """Check the derivatives of ``fn`` at ``arrays`` against central differences in float64.

    ``fn`` is called with one symbolic variable for each array (floats as float64; integer and bool
    arrays keep their dtype and are not differentiated) and returns a tensor or several. With a
    random projection of the outputs, reverse mode is compared element by element (at most
    ``max_elements`` a variable, drawn at random), forward mode along a random direction, and each
    with the other (the adjoint identity <u, J t> = <J^T u, t>). ``order=2`` checks the derivatives
    of the derivatives.

    Choose points further than a few ``step`` (relative to each element, at least to 0.1) from kinks
    and from the edge of the domain.

    Raises:
        GradientError: with a table of argument, index and both values where they differ.

    >>> import symgraph as sg
    >>> verify_grad(lambda x: sg.sum(sg.sin(x) ** 2), [np.array([0.3, 0.5])], backend="reference")
    """
    if not isinstance(order, int) or order < 1:
        raise UsageError(f"verify_grad: order={order!r} is not a positive int")
    if not isinstance(arrays, (list, tuple)):
        raise UsageError(
            f"verify_grad: arrays is {type(arrays).__name__}, not a list with one array for each "
            "argument; write [array]"
        )
    values = [_as_float64(a) for a in arrays]
    floats = [k for k, v in enumerate(values) if v.dtype.kind == "f"]
    if not floats:
        raise UsageError("verify_grad: none of the arrays is floating-point")
    inputs = [f.tensor(f"x{k}", shape=v.shape, dtype=v.dtype) for k, v in enumerate(values)]
    outputs = _outputs(fn(*inputs))
    tolerance = _Tolerance(step, rtol, atol)
    check = _Check(
        inputs, values, floats, tolerance, max_elements, np.random.default_rng(seed), backend
    )
    for level in range(1, order + 1):
        outputs = check.compare(outputs, "" if level == 1 else f" of order {level}")


def _as_float64(value: Any) -> Array:
    array = np.asarray(value)
    return np.array(
        array, np.float64 if array.dtype.kind == "f" else DTYPES[array.dtype.name], order="C"
    )


def _outputs(found: Any) -> list[Tensor]:
    given = [found] if isinstance(found, Tensor) else list(found)
    outputs = [y for y in given if y.dtype.kind == "f"]
    if not outputs:
        raise UsageError("verify_grad: the function has no floating-point result")
    return outputs


@dataclass(frozen=True, slots=True, eq=False)
class _Tolerance:
    """How far a symbolic derivative may be from a difference with steps of ``step``."""

    step: float
    rtol: float
    atol: float

    def accepts(self, symbolic: float, numeric: float, size: float) -> bool:
        """Whether they agree; ``size`` is the value whose cancellation limits the difference."""
        cancelled = 1e-12 * size / self.step
        allowed = self.atol + cancelled + self.rtol * max(abs(symbolic), abs(numeric))
        return abs(symbolic - numeric) <= allowed  # false for NaN


@dataclass(frozen=True, slots=True, eq=False)
class _Check:
    """One point at which derivatives are checked."""

    inputs: list[Tensor]
    values: list[Array]
    floats: list[int]
    tolerance: _Tolerance
    max_elements: int
    rng: np.random.Generator
    backend: str

    def compare(self, outputs: list[Tensor], of_order: str) -> list[Tensor]:
        """Check the first derivatives of the outputs; returns the expressions that were checked."""
        at_point = self._function(self.inputs, outputs)(*self.values)
        u = [np.asarray(self.rng.normal(size=y.shape), y.dtype) for y in at_point]
        t = [_along(self.values[k], self.rng) for k in self.floats]
        wanted = [self.inputs[k] for k in self.floats]
        weights = _like("u", outputs)
        directions = _like("t", wanted)
        back = vjp(outputs, wanted, weights)
        pushed = _dot(weights, jvp(outputs, wanted, directions))
        project = self._function([*self.inputs, *weights], _dot(weights, outputs))
        run = self._function([*self.inputs, *weights, *directions], [pushed, *back])
        forward, *reverse = run(*self.values, *u, *t)

        def value(*moved: Array) -> float:
            return float(project(*moved, *u))

        self._judge(value, forward, reverse, t, of_order)
        found: list[Tensor] = vjp(outputs, wanted, [f.constant(a) for a in u])
        return found

    def _function(self, inputs: list[Tensor], outputs: Any) -> Any:
        """Compiled as it stands: the derivatives are on trial, not the rewrite rules."""
        return function(inputs, outputs, passes=(), backend=self.backend)

    def _judge(
        self,
        value: Callable[..., float],
        forward: Array,
        reverse: list[Array],
        t: list[Array],
        of_order: str,
    ) -> None:
        size = abs(value(*self.values))
        wrong = []
        for k, g in zip(self.floats, reverse, strict=True):
            wrong += self._elements(k, g, value, size)
        self._report("reverse mode" + of_order, "central differences", wrong)
        numeric = _difference(lambda h: value(*self._moved(t, h)), self.tolerance.step)
        wrong = self._unequal("all", "along t", float(forward), numeric, size)
        self._report("forward mode" + of_order, "central differences", wrong)
        adjoint = float(sum(np.vdot(g, d) for g, d in zip(reverse, t, strict=True)))
        wrong = self._unequal("all", "<J^T u, t>", adjoint, float(forward), size)
        self._report("reverse mode" + of_order, "forward mode", wrong)

    def _moved(self, t: list[Array], h: float) -> list[Array]:
        moved = list(self.values)
        for k, direction in zip(self.floats, t, strict=True):
            moved[k] = moved[k] + h * direction
        return moved

    def _elements(
        self, k: int, g: Array, value: Callable[..., float], size: float
    ) -> list[Mismatch]:
        """The elements of one argument whose derivative differs."""
        x = self.values[k]
        places = np.arange(x.size)
        if x.size > self.max_elements:
            places = np.sort(self.rng.choice(x.size, self.max_elements, replace=False))
        wrong: list[Mismatch] = []
        for place in places:
            index = tuple(int(i) for i in np.unravel_index(place, x.shape))

            def moved(h: float, index: tuple[int, ...] = index) -> float:
                shifted = x.copy()
                shifted[index] += h
                return value(*self.values[:k], shifted, *self.values[k + 1 :])

            numeric = _difference(moved, self.tolerance.step * max(abs(float(x[index])), 0.1))
            wrong += self._unequal(str(k), str(index), float(g[index]), numeric, size)
        return wrong

    def _unequal(
        self, argument: str, index: str, symbolic: float, numeric: float, size: float
    ) -> list[Mismatch]:
        if self.tolerance.accepts(symbolic, numeric, size):
            return []
        return [Mismatch(argument, index, symbolic, numeric)]

    def _report(self, mode: str, beside: str, wrong: list[Mismatch]) -> None:
        if not wrong:
            return
        worst = sorted(wrong, key=lambda m: -m.size)[:SHOWN]
        rows = [
            f"  {m.argument:<9} {m.index:<14} {m.symbolic:<24.16g} {m.numeric:.16g}" for m in worst
        ]
        more = f"\n  and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise GradientError(
            f"verify_grad: {mode} differs from {beside} at {len(wrong)} places "
            f"(rtol={self.tolerance.rtol:g}, atol={self.tolerance.atol:g})\n"
            f"  {'argument':<9} {'index':<14} {mode.partition(' of')[0]:<24} {beside}\n"
            + "\n".join(rows)
            + more
        )


def _along(x: Array, rng: np.random.Generator) -> Array:
    """A random direction, each element in proportion to its variable."""
    return np.asarray(rng.normal(size=x.shape) * np.maximum(np.abs(x), 0.1))


def _like(name: str, xs: list[Tensor]) -> list[Tensor]:
    return [f.tensor(f"{name}{k}", shape=x.shape, dtype=x.dtype) for k, x in enumerate(xs)]


def _dot(weights: list[Tensor], ys: list[Tensor]) -> Tensor:
    """The sum of all products, in float64."""
    parts = [f.sum(f.astype(w * y, "float64")) for w, y in zip(weights, ys, strict=True)]
    return f.sum(f.stack(parts))


def _difference(value: Callable[[float], float], h: float) -> float:
    """The central difference, extrapolated once (Richardson): its error is of order h**4."""
    wide = (value(h) - value(-h)) / (2 * h)
    narrow = (value(h / 2) - value(-h / 2)) / h
    return (4 * narrow - wide) / 3
