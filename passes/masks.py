"""Strong zeros: derivatives on their way, with the elements off which nothing was selected.

``where``, ``maximum``, ``relu`` and their like select; what they leave out contributes exactly
nothing, whatever the local derivative there. A derivative that travels (a cotangent flowing back, a
tangent flowing forward) therefore carries a mask, and is multiplied by a factor that may be
infinite or NaN only under that mask. Masks are built only where one is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.ops import leaves
from symgraph.ops.elementwise import multiply
from symgraph.ops.shape import broadcast_to, expand_dims
from symgraph.passes.derivatives.forms import Selected
from symgraph.tensor import Tensor

__all__ = ["Flow", "Mask", "added", "indicator", "is_known_finite", "is_zero", "scaled"]


class Mask:
    """A boolean tensor, made from other masks when first asked for."""

    __slots__ = ("_make", "_needs", "_value")

    def __init__(self, make: Callable[..., Tensor], *needs: Mask) -> None:
        self._make, self._needs = make, needs
        self._value: Tensor | None = None

    def get(self) -> Tensor:
        """The mask; those it is made from come first, without recursion."""
        waiting = [self]
        while waiting:
            mask = waiting[-1]
            missing = [n for n in mask._needs if n._value is None]
            if missing and mask._value is None:
                waiting.extend(missing)
                continue
            waiting.pop()
            if mask._value is None:
                mask._value = mask._make(*[n._value for n in mask._needs])
                mask._needs = ()
        assert self._value is not None
        return self._value


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """A cotangent or tangent: its value, and the mask off which it is a strong zero."""

    value: Tensor
    mask: Mask | None = None


def added(a: Flow, b: Flow) -> Flow:
    """The sum; it is a strong zero where both are."""
    mask = None
    if a.mask is not None and b.mask is not None:
        mask = Mask(f.logical_or, a.mask, b.mask)
    return Flow(f.add(a.value, b.value), mask)


def scaled(g: Flow, p: Any) -> Flow:
    """The derivative times a local partial: a tensor, a number, or a selected branch."""
    if isinstance(p, Selected):
        return _selected(g, p)
    if not isinstance(p, Tensor) and p in (1, -1):
        return Flow(g.value if p == 1 else f.negative(g.value), g.mask)
    value = _times(g.value, p)
    if g.mask is None or is_known_finite(p):
        return Flow(value, g.mask)
    return Flow(f.where(g.mask.get(), value, number(0, g.value.dtype)), g.mask)


def _times(g: Tensor, p: Any) -> Tensor:
    """g p. A literal factor of p joins a scalar g: lambda (2 W) is one scaling, (2 lambda) W."""
    scalar = g
    while scalar.op is broadcast_to or scalar.op is expand_dims:
        scalar = scalar.inputs[0]
    if isinstance(p, Tensor) and p.op is multiply and scalar.ndim == 0 and p.shape == g.shape:
        literal, rest = p.inputs
        if literal.op is leaves.constant and literal.ndim == 0 and rest.shape == p.shape:
            return f.multiply(f.multiply(literal, scalar), rest)
    return f.multiply(g, p)


def _selected(g: Flow, p: Selected) -> Flow:
    keep = p.mask
    if g.mask is not None and not is_known_finite(p.weight):
        keep = f.logical_and(keep, g.mask.get())
    value = f.multiply(g.value, p.weight) if isinstance(p.weight, Tensor) else g.value
    chosen = Mask(lambda: p.mask)
    both = chosen if g.mask is None else Mask(f.logical_and, chosen, g.mask)
    return Flow(f.where(keep, value, number(0, value.dtype)), both)


def indicator(mask: Tensor, like: Tensor) -> Tensor:
    """The mask as numbers 0 and 1, of the shape and dtype of ``like``."""
    return f.astype(f.broadcast_to(mask, like.shape), like.dtype)


_KEEP_FINITE = frozenset({"astype", "negative", "broadcast_to", "sin", "cos"})


def is_zero(p: Any) -> bool:
    """Whether a partial derivative is zero as it stands: stated so, or a literal 0.

    What is multiplied by a literal 0 has no influence, so not even an undefined derivative counts.
    """
    if p is None:
        return True
    return isinstance(p, Tensor) and p.op is leaves.constant and not p.attrs["value"].any()


def is_known_finite(x: Any) -> bool:
    """Whether a value is finite whatever the inputs are: a finite number, literal or size."""
    if not isinstance(x, Tensor):
        return bool(np.isfinite(x))
    for _ in range(8):  # a few steps: this is asked once a node, so it must not walk the graph
        if x.op is leaves.size or x.dtype.kind != "f":
            return True
        if x.op is leaves.constant:
            return bool(np.isfinite(x.attrs["value"]).all())
        if x.op.name not in _KEEP_FINITE:
            return False
        x = x.inputs[0]
    return False
