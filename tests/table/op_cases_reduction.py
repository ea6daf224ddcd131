"""Rows of the operation table: reductions, row functions, running sums."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from op_case import ALL, FLOATS, Arg, Array, Case, distinct, nonzero, normal, rounded, row
from scipy import special

import symgraph as sg
from symgraph.functions.reduction import item
from symgraph.ops import OPS
from symgraph.tensor import apply

BOX = ("n", 3, 2)
AXES: tuple[Any, ...] = (None, 0, 1, -1, (0, 2), (1, -1))


def _quietly(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def quiet(*args: Any, **options: Any) -> Any:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return function(*args, **options)

    return quiet


def _logsumexp(x: Array, axis: Any, keepdims: bool) -> Any:
    if x.size == 0:
        return np.sum(x, axis=axis, keepdims=keepdims) - np.inf
    out = special.logsumexp(x.astype(np.float64), axis=axis, keepdims=keepdims)
    return np.asarray(out).astype(x.dtype)


def _wide_mean(x: Array, **options: Any) -> Any:
    out = np.asarray(_quietly(np.mean)(x, dtype=np.float64, **options))
    return out.astype(x.dtype if x.dtype.kind == "f" else np.float64)


_LOOSE = {"ulps": 8, "regrouped": True}
_SMALL = Arg(BOX, nonzero, (-2, 3))
_FEW = ("bool", "float32", "int8")

# name, oracle, argument, dtypes, how it is compared and differentiated
REDUCTIONS: tuple[tuple[str, Callable[..., Any], Arg, tuple[str, ...], dict[str, Any]], ...] = (
    ("sum", np.sum, Arg(BOX), ALL, _LOOSE),
    ("prod", np.prod, _SMALL, ALL, _LOOSE),
    ("max", np.max, Arg(BOX, distinct), ALL, {"sizes": (5, 1)}),  # of nothing: test_empty_axes.py
    ("min", np.min, Arg(BOX, distinct), ALL, {"sizes": (5, 1)}),
    ("any", np.any, Arg(BOX, rounded), _FEW, {"order": 0}),
    ("all", np.all, Arg(BOX, rounded), _FEW, {"order": 0}),
    ("count_nonzero", np.count_nonzero, Arg(BOX, rounded), ALL, {"order": 0}),
    ("mean", _wide_mean, Arg(BOX), (*FLOATS, "int16", "bool"), _LOOSE),
    ("logsumexp", _logsumexp, Arg(BOX), FLOATS, _LOOSE),
)


def _reduction_rows() -> Iterator[Case]:
    for name, oracle, arg, dtypes, facts in REDUCTIONS:
        for axis in AXES:
            for keepdims in (False, True):
                some = {"axis": axis, "keepdims": keepdims}
                label = f"axis={axis}{'-kept' * keepdims}".replace(" ", "")
                build = functools.partial(getattr(sg, name), **some)
                value = functools.partial(oracle, **some)
                kinds = dtypes if axis in (None, 1) else dtypes[:1]
                yield row(name, build, value, arg, label=label, dtypes=kinds, **facts)


def _moment_rows() -> Iterator[Case]:
    for name in ("var", "std"):
        for axis in (None, 0, (1, -1)):
            for k, correction in enumerate((0, 1, 0.5)):
                build = functools.partial(
                    getattr(sg, name), axis=axis, keepdims=k == 1, correction=correction
                )
                plain = functools.partial(
                    getattr(np, name), axis=axis, keepdims=k == 1, ddof=correction
                )
                label = f"axis={axis}-correction={correction}".replace(" ", "")
                facts: dict[str, Any] = {"sizes": (5, 3) if name == "std" else (5, 1, 0), **_LOOSE}
                arg = Arg(BOX, distinct)
                yield row(name, build, _quietly(plain), arg, label=label, dtypes=FLOATS, **facts)


def _position_rows() -> Iterator[Case]:
    for name in ("argmax", "argmin"):
        for axis in (None, 1, -1):
            for keepdims in (False, True):
                some = {"axis": axis, "keepdims": keepdims}
                build = functools.partial(getattr(sg, name), **some)
                value = functools.partial(getattr(np, name), **some)
                label = f"axis={axis}{'-kept' * keepdims}"
                facts: dict[str, Any] = {"order": 0, "sizes": (5, 1)}
                arg = Arg(BOX, rounded)
                yield row(name, build, value, arg, label=label, dtypes=ALL, **facts)
    both = Arg(BOX, distinct)
    facts = {"dtypes": ALL, "label": "argmax", "order": 0}
    yield row(
        "max_and_argmax", lambda x: sg.max_and_argmax(x, axis=1)[0], lambda x: np.max(x, axis=1),
        both, label="max", dtypes=ALL,
    )  # fmt: skip
    yield row(
        "max_and_argmax", lambda x: sg.max_and_argmax(x, axis=-1)[1],
        lambda x: np.argmax(x, axis=-1), both, **facts,
    )  # fmt: skip
    yield row(
        "item", lambda x: item(apply(OPS["max_and_argmax"], (x,), (("axis", (1,)),)), 0),
        lambda x: np.max(x, axis=1), both,
    )  # fmt: skip


def _rowwise(function: Callable[..., Any], axis: Any) -> Callable[[Array], Array]:
    def oracle(x: Array) -> Array:
        return (
            np.asarray(function(x.astype(np.float64), axis=axis)).astype(x.dtype) if x.size else x
        )

    return oracle


def _row_function_rows() -> Iterator[Case]:
    for name in ("softmax", "log_softmax"):
        for axis in (-1, 0, (0, 2), None):
            build = functools.partial(getattr(sg, name), axis=axis)
            value = _rowwise(getattr(special, name), axis)
            label = f"axis={axis}".replace(" ", "")
            yield row(name, build, value, Arg(BOX), label=label, dtypes=FLOATS, **_LOOSE)
    declared = functools.partial(sg.assume_normalised, axis=-1)
    yield row("assume_normalised", declared, np.copy, Arg(BOX), dtypes=FLOATS)
    for order in (1, 2, float("inf")):
        build = functools.partial(sg.norm, axis=1, ord=order)
        plain = functools.partial(np.linalg.norm, axis=1, ord=order)
        arg = Arg(("n", 3), distinct)
        yield row("norm", build, plain, arg, label=f"ord={order}", dtypes=FLOATS, **_LOOSE)


def _initial(running: Callable[..., Any], value: float) -> Callable[[Array], Array]:
    def oracle(x: Array) -> Array:
        return np.asarray(running(np.pad(x, ((0, 0), (1, 0)), constant_values=value), axis=1))

    return oracle


def _recurrence(a: Array, b: Array, reverse: bool) -> Array:
    out: list[Array] = []
    for x, y in zip(a[::-1], b[::-1], strict=True) if reverse else zip(a, b, strict=True):
        out.append(x * out[-1] + y if out else y)
    return np.array(out[::-1] if reverse else out, b.dtype).reshape(b.shape)


def _running_rows() -> Iterator[Case]:
    for name, plain, arg, start in (
        ("cumulative_sum", np.cumsum, Arg(BOX, normal), 0.0),
        ("cumulative_prod", np.cumprod, _SMALL, 1.0),
    ):
        for axis in (0, 1, -1):
            build = functools.partial(getattr(sg, name), axis=axis)
            value = functools.partial(plain, axis=axis)
            kinds = ALL if axis == 1 else FLOATS
            yield row(name, build, value, arg, label=f"axis={axis}", dtypes=kinds, **_LOOSE)
        build = functools.partial(getattr(sg, name), axis=1, include_initial=True)
        flat = Arg(("n", 3), arg.draw)
        yield row(name, build, _initial(plain, start), flat, label="initial", **_LOOSE)
    for reverse in (False, True):
        yield _recurrence_row(reverse)


def _recurrence_row(reverse: bool) -> Case:
    op, attrs = OPS["linear_recurrence"], (("axis", 0), ("reverse", reverse))
    return row(
        "linear_recurrence", lambda a, b: apply(op, (a, b), attrs),
        functools.partial(_recurrence, reverse=reverse), Arg(("n", 2)), Arg(("n", 2)),
        label="reverse" if reverse else "forward", dtypes=(*FLOATS, "int64"), **_LOOSE,
    )  # fmt: skip


ROWS: tuple[Case, ...] = (
    *_reduction_rows(),
    *_moment_rows(),
    *_position_rows(),
    *_row_function_rows(),
    *_running_rows(),
)
