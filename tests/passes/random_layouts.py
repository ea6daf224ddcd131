"""Random expressions of the operations that move, write and reduce elements."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np

import symgraph as sg
from symgraph import Tensor
from symgraph.errors import ShapeError

__all__ = ["random_layout"]

Step = Callable[[Tensor, np.random.Generator], Tensor]


def _axis(t: Tensor, rng: np.random.Generator) -> int:
    return int(rng.integers(t.ndim))


def _cut(t: Tensor, rng: np.random.Generator) -> Tensor:
    at = [slice(None)] * t.ndim
    step = int(rng.choice([1, 1, 2, -1, -2]))
    start, stop = (None if rng.random() < 0.4 else int(rng.integers(-3, 5)) for _ in range(2))
    at[_axis(t, rng)] = slice(start, stop, step)
    return t[tuple(at)]


def _permute(t: Tensor, rng: np.random.Generator) -> Tensor:
    return sg.permute_dims(t, rng.permutation(t.ndim).tolist())


def _expand(t: Tensor, rng: np.random.Generator) -> Tensor:
    return sg.expand_dims(t, int(rng.integers(t.ndim + 1))) if t.ndim < 4 else t


def _drop(t: Tensor, rng: np.random.Generator) -> Tensor:
    return sg.squeeze(t)


def _flatten(t: Tensor, rng: np.random.Generator) -> Tensor:
    k = _axis(t, rng)
    return sg.reshape(t, (*t.shape[:k], *([] if k else [1]), -1)) if rng.random() < 0.5 else t


def _repeat(t: Tensor, rng: np.random.Generator) -> Tensor:
    return sg.repeat(t, 2, axis=_axis(t, rng)) if rng.random() < 0.5 else sg.tile(t, 2)


def _stretch(t: Tensor, rng: np.random.Generator) -> Tensor:
    k = int(rng.integers(t.ndim + 1))
    wide = sg.expand_dims(t, k)
    return sg.broadcast_to(wide, (*t.shape[:k], 3, *t.shape[k:])) if t.ndim < 4 else t


def _pad(t: Tensor, rng: np.random.Generator) -> Tensor:
    width = [(0, 0)] * t.ndim
    width[_axis(t, rng)] = (int(rng.integers(3)), int(rng.integers(3)))
    return sg.pad(t, width, constant_values=float(rng.choice([0.0, 0.0, 1.5])))


def _join(t: Tensor, rng: np.random.Generator) -> Tensor:
    k = _axis(t, rng)
    parts = [t, sg.flip(t, axis=k), -t, _cut_along(t, k, rng)]
    return sg.concat([parts[i] for i in rng.integers(4, size=2)], axis=k)


def _cut_along(t: Tensor, k: int, rng: np.random.Generator) -> Tensor:
    at = [slice(None)] * t.ndim
    at[k] = slice(int(rng.integers(3)), None)
    return t[tuple(at)]


def _split(t: Tensor, rng: np.random.Generator) -> Tensor:
    k, p = _axis(t, rng), int(rng.integers(4))
    return sg.concat(sg.split(t, [p], axis=k)[:: int(rng.choice([1, -1]))], axis=k)


def _map(t: Tensor, rng: np.random.Generator) -> Tensor:
    return [sg.abs, sg.negative, sg.relu, sg.ceil][int(rng.integers(4))](t)


def _combine(t: Tensor, rng: np.random.Generator) -> Tensor:
    other = sg.flip(t, axis=_axis(t, rng))
    return [sg.maximum, sg.add, sg.minimum][int(rng.integers(3))](t, other)


def _pick(t: Tensor, rng: np.random.Generator) -> Tensor:
    return sg.where(t > 0, t, sg.flip(t, axis=_axis(t, rng)))


def _write(t: Tensor, rng: np.random.Generator) -> Tensor:
    at = [slice(None)] * t.ndim
    k = _axis(t, rng)
    at[k] = slice(int(rng.integers(2)), int(rng.integers(1, 4)))
    place = t.at[tuple(at)]
    part = t[tuple(at)]
    out: Tensor = place.set(part if rng.random() < 0.3 else -part)
    return out


def _reduce(t: Tensor, rng: np.random.Generator) -> Tensor:
    if t.ndim < 2:
        return t
    op = [sg.max, sg.min][int(rng.integers(2))]
    return op(t, axis=_axis(t, rng), keepdims=bool(rng.random() < 0.3))


def _take(t: Tensor, rng: np.random.Generator) -> Tensor:
    k = _axis(t, rng)
    if type(t.shape[k]) is not int or t.shape[k] == 0:
        return sg.take(t, sg.arange(t.shape[k]), axis=k)
    count = int(rng.integers(1, 4))
    return sg.take(t, rng.integers(-t.shape[k], t.shape[k], size=count), axis=k)


def _scatter(t: Tensor, rng: np.random.Generator) -> Tensor:
    if type(t.shape[0]) is not int or t.shape[0] == 0:
        return t
    at = sg.constant(rng.integers(0, t.shape[0], size=2))
    out: Tensor = t.at[at].set(t[at] if rng.random() < 0.3 else -t[at])
    return out


def _total(t: Tensor, rng: np.random.Generator) -> Tensor:
    if t.ndim < 2:
        return t
    return sg.sum(t, axis=_axis(t, rng), keepdims=bool(rng.random() < 0.3))


def _running(t: Tensor, rng: np.random.Generator) -> Tensor:
    return sg.cumulative_sum(t, axis=_axis(t, rng))


def _add_parts(t: Tensor, rng: np.random.Generator) -> Tensor:
    """A sum of writes into zeros, as slices leave in a gradient."""
    k = _axis(t, rng)
    n = t.shape[k]
    total = t if rng.random() < 0.5 else t * 0
    for _ in range(int(rng.integers(2, 5))):
        p = int(rng.integers(3))
        part = _cut_along(t, k, rng) if type(n) is not int or n <= p else sg.flip(t, axis=k)
        if type(n) is not int or n <= p:
            continue
        at = [slice(None)] * t.ndim
        at[k] = slice(p, p + int(rng.integers(1, 3)))
        part = part[tuple(at)]
        total = total + sg.zeros_like(t).at[tuple(at)].add(part)
    return total


def _product(t: Tensor, rng: np.random.Generator) -> Tensor:
    return t @ t.mT if t.ndim >= 2 else t


STEPS: tuple[Step, ...] = (
    _cut, _cut, _permute, _permute, _expand, _drop, _flatten, _repeat, _stretch, _pad, _pad, _join,
    _split, _map, _combine, _pick, _write, _reduce, _reduce, _take, _scatter,
)  # fmt: skip

#: what rounds, unless all elements are small integers
SUMS: tuple[Step, ...] = (_total, _total, _running, _add_parts, _add_parts, _product)


def random_layout(x: Tensor, steps: int, seed: int, sums: bool = False) -> Tensor:
    """x after ``steps`` random operations; those that may round only with ``sums``."""
    rng = np.random.default_rng(seed)
    t, choices = x, STEPS + SUMS if sums else STEPS
    for _ in range(steps):
        if t.ndim == 0:
            break
        with suppress(ShapeError):  # the largest of nothing
            t = choices[int(rng.integers(len(choices)))](t, rng)
    return t
