"""Rows of the operation table: moving elements, and arrays from nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from op_case import ALL, FLOATS, INTEGERS, Arg, Array, Case, row

import symgraph as sg
from symgraph.functions.shape import place_node, slice_node
from symgraph.functions.variables import size_value
from symgraph.sizes import symbol
from symgraph.types import DTYPES

N = symbol("n")
BOX = ("n", 3, 2)
FEW = ("float64", "float32", "int8", "bool")

Rule = Callable[..., Any]

# name, label, build, oracle: one argument of shape (n, 3, 2)
MOVES: tuple[tuple[str, str, Rule, Rule], ...] = (
    ("reshape", "flat", lambda x: sg.reshape(x, (-1,)), lambda x: x.reshape(len(x) * 6)),
    ("reshape", "sized", lambda x: sg.reshape(x, (2, N, 3)), lambda x: x.reshape(2, len(x), 3)),
    ("reshape", "rest", lambda x: sg.reshape(x, (3, -1)), lambda x: x.reshape(3, len(x) * 2)),
    ("expand_dims", "0", lambda x: sg.expand_dims(x, 0), lambda x: np.expand_dims(x, 0)),
    (
        "expand_dims", "two",
        lambda x: sg.expand_dims(x, (1, -1)), lambda x: np.expand_dims(x, (1, -1)),
    ),
    ("permute_dims", "", lambda x: sg.permute_dims(x, (2, 0, 1)), lambda x: x.transpose(2, 0, 1)),
    ("transpose", "", sg.transpose, np.transpose),
    ("transpose", "axes", lambda x: sg.transpose(x, (1, -1, 0)), lambda x: x.transpose(1, 2, 0)),
    ("matrix_transpose", "", sg.matrix_transpose, lambda x: np.swapaxes(x, 1, 2)),
    ("moveaxis", "one", lambda x: sg.moveaxis(x, 0, -1), lambda x: np.moveaxis(x, 0, -1)),
    (
        "moveaxis", "two",
        lambda x: sg.moveaxis(x, (0, 2), (1, 0)), lambda x: np.moveaxis(x, (0, 2), (1, 0)),
    ),
    ("swapaxes", "", lambda x: sg.swapaxes(x, 0, -1), lambda x: np.swapaxes(x, 0, -1)),
    (
        "broadcast_to", "lead",
        lambda x: sg.broadcast_to(x, (4, N, 3, 2)), lambda x: np.broadcast_to(x, (4, *x.shape)),
    ),
    ("flip", "all", sg.flip, np.flip),
    ("flip", "one", lambda x: sg.flip(x, axis=1), lambda x: np.flip(x, 1)),
    ("flip", "two", lambda x: sg.flip(x, axis=(0, -1)), lambda x: np.flip(x, (0, -1))),
    ("roll", "flat", lambda x: sg.roll(x, 2), lambda x: np.roll(x, 2)),
    ("roll", "sized", lambda x: sg.roll(x, -7, axis=0), lambda x: np.roll(x, -7, axis=0)),
    (
        "roll", "two",
        lambda x: sg.roll(x, (1, -2), axis=(0, 1)), lambda x: np.roll(x, (1, -2), (0, 1)),
    ),
    ("tile", "int", lambda x: sg.tile(x, 2), lambda x: np.tile(x, 2)),
    ("tile", "more", lambda x: sg.tile(x, (2, 1, 3, 1)), lambda x: np.tile(x, (2, 1, 3, 1))),
    ("tile", "sized", lambda x: sg.tile(x, (N, 1, 1)), lambda x: np.tile(x, (len(x), 1, 1))),
    ("repeat", "flat", lambda x: sg.repeat(x, 2), lambda x: np.repeat(x, 2)),
    ("repeat", "axis", lambda x: sg.repeat(x, 3, axis=1), lambda x: np.repeat(x, 3, axis=1)),
    ("repeat", "sized", lambda x: sg.repeat(x, N, axis=2), lambda x: np.repeat(x, len(x), axis=2)),
    (
        "repeat", "each",
        lambda x: sg.repeat(x, [2, 0, 1], axis=1), lambda x: np.repeat(x, [2, 0, 1], axis=1),
    ),
    ("pad", "one", lambda x: sg.pad(x, 1), lambda x: np.pad(x, 1)),
    (
        "pad", "each", lambda x: sg.pad(x, ((1, 2), (0, 1), (3, 0)), constant_values=1),
        lambda x: np.pad(x, ((1, 2), (0, 1), (3, 0)), constant_values=1),
    ),
    (
        "pad", "sized", lambda x: sg.pad(x, ((N, 0), (0, 0), (0, 0))),
        lambda x: np.pad(x, ((len(x), 0), (0, 0), (0, 0))),
    ),
    ("tril", "", sg.tril, np.tril),
    ("tril", "k", lambda x: sg.tril(x, k=-1), lambda x: np.tril(x, -1)),
    ("triu", "", sg.triu, np.triu),
    ("triu", "k", lambda x: sg.triu(x, k=1), lambda x: np.triu(x, 1)),
    ("split", "parts", lambda x: sg.split(x, 3, axis=1)[2], lambda x: np.split(x, 3, 1)[2]),
    (
        "split", "cuts",
        lambda x: sg.split(x, [1, 2], axis=1)[1], lambda x: np.split(x, [1, 2], 1)[1],
    ),
    ("stack", "twice", lambda x: sg.stack([x, x], axis=1), lambda x: np.stack([x, x], 1)),
    ("concat", "twice", lambda x: sg.concat([x, x], axis=-1), lambda x: np.concatenate([x, x], -1)),
    (
        "concat", "flat",
        lambda x: sg.concat([x, x], axis=None), lambda x: np.concatenate([x, x], None),
    ),
    (
        "slice", "", lambda x: slice_node(x, (0, 2, 1), (1, -2, 1), (N, 2, 1)),
        lambda x: x[:, 2::-2, 1:2],
    ),
)  # fmt: skip


def _move_rows() -> Iterator[Case]:
    for name, label, build, oracle in MOVES:
        yield row(name, build, oracle, Arg(BOX), label=label, dtypes=FEW)


def _joined(x: Array, y: Array) -> Array:
    return np.concatenate([x, y[:, None], x[:, ::-1]], axis=1)


def _placed(x: Array, fill: Array) -> Array:
    out = np.full((len(x), 7), fill)
    out[:, 5::-2] = x
    return out


def _place(x: Any, fill: Any) -> Any:
    return place_node(x, fill, (0, 5), (1, -2), (N, 7))


def _join_rows() -> Iterator[Case]:
    pair = (Arg(("n", 3)), Arg(("n",)))
    yield row(
        "concat", lambda x, y: sg.concat([x, y[:, None], x[:, ::-1]], axis=1), _joined, *pair,
        label="three", dtypes=FEW,
    )  # fmt: skip
    ends = (Arg(("n", 2)), Arg((4, 2)))
    yield row(
        "concat", lambda x, y: sg.concat([x, y, x]), lambda x, y: np.concatenate([x, y, x]), *ends,
        label="sized", dtypes=FEW,
    )  # fmt: skip
    yield row(
        "stack", lambda x, y: sg.stack([x, y, y], axis=-1), lambda x, y: np.stack([x, y, y], -1),
        Arg(("n", 2)), Arg(("n", 2)), label="last", dtypes=FEW,
    )  # fmt: skip
    yield row("place", _place, _placed, Arg(("n", 3)), Arg(()), dtypes=FEW)
    yield row(
        "pad", lambda x, v: sg.pad(x, (1, 2), constant_values=v),
        lambda x, v: np.pad(x, (1, 2), constant_values=v), Arg(("n",)), Arg(()), label="tensor",
    )  # fmt: skip
    thin = Arg(("n", 1, 2))
    yield row("squeeze", sg.squeeze, lambda x: x[:, 0], thin, label="all", dtypes=FEW)
    yield row("squeeze", lambda x: sg.squeeze(x, -2), lambda x: x[:, 0], thin, label="axis")
    yield row(
        "broadcast_to", lambda x: sg.broadcast_to(x, (2, N, 3, 2)),
        lambda x: np.broadcast_to(x, (2, len(x), 3, 2)), thin, label="middle", dtypes=FEW,
    )  # fmt: skip
    yield row(
        "broadcast_arrays", lambda x, y: sg.broadcast_arrays(x, y)[1],
        lambda x, y: np.broadcast_arrays(x, y)[1], Arg(("n", 3)), Arg((3,)),
    )  # fmt: skip
    yield row("diag", sg.diag, np.diag, Arg(("n",)), label="vector", dtypes=FEW)
    yield row("diag", sg.diag, np.diag, Arg(("n", 3)), label="matrix", dtypes=FEW)


# name, label, build, oracle: the argument gives only the size n (and its dtype)
FILLED: tuple[tuple[str, str, Rule, Rule], ...] = (
    ("zeros", "", lambda x: sg.zeros((N, 2)), lambda x: np.zeros((len(x), 2))),
    ("ones", "", lambda x: sg.ones(N, dtype="int8"), lambda x: np.ones(len(x), "int8")),
    ("full", "", lambda x: sg.full((2, N), 1.5), lambda x: np.full((2, len(x)), 1.5)),
    ("full", "int", lambda x: sg.full((N,), 7), lambda x: np.full(len(x), 7)),
    ("zeros_like", "", sg.zeros_like, np.zeros_like),
    ("ones_like", "", sg.ones_like, np.ones_like),
    ("full_like", "", lambda x: sg.full_like(x, 1), lambda x: np.full_like(x, 1)),
    ("eye", "", lambda x: sg.eye(N), lambda x: np.eye(len(x))),
    ("eye", "k", lambda x: sg.eye(3, N, k=1), lambda x: np.eye(3, len(x), 1)),
    ("arange", "", lambda x: sg.arange(N), lambda x: np.arange(len(x))),
    ("arange", "steps", lambda x: sg.arange(2, N * 3, 4), lambda x: np.arange(2, len(x) * 3, 4)),
    ("arange", "down", lambda x: sg.arange(N, -2, -2), lambda x: np.arange(len(x), -2, -2)),
    ("arange", "float", lambda x: sg.arange(0.5, 3, 0.25), lambda x: np.arange(0.5, 3, 0.25)),
    ("linspace", "", lambda x: sg.linspace(-1, 2, 7), lambda x: np.linspace(-1, 2, 7)),
    ("constant", "", lambda x: sg.constant([1.0, 2.0]), lambda x: np.array([1.0, 2.0])),
    ("iota", "", lambda x: sg.arange(N), lambda x: np.arange(len(x))),
    (
        "size",
        "",
        lambda x: size_value(N * N - 1, DTYPES["int64"]),
        lambda x: np.array(len(x) ** 2 - 1),
    ),
    ("input", "", lambda x: x, np.copy),
    ("as_tensor", "", lambda x: sg.as_tensor(x), np.copy),
)


def _filled_rows() -> Iterator[Case]:
    for name, label, build, oracle in FILLED:
        arg = Arg(("n", 3))
        yield row(name, build, oracle, arg, label=label or "plain", dtypes=ALL, order=0)
    hot = Arg(("n", 2), ints=(0, 4))
    kinds = tuple(k for k in INTEGERS)
    yield row(
        "one_hot", lambda i: sg.one_hot(i, 4), lambda i: np.eye(4)[i], hot, dtypes=kinds, order=0
    )
    yield row(
        "one_hot", lambda i: sg.one_hot(i, N, dtype="int8", axis=0),
        lambda i: (np.arange(len(i))[:, None, None] == i).astype("int8"),
        Arg(("n", 2), ints=(0, 1)), label="sized",
        dtypes=("int64",), order=0,
    )  # fmt: skip
    yield row(
        "linspace", lambda a, b: sg.linspace(a, b, 5), lambda a, b: np.linspace(a, b, 5), Arg(()),
        Arg(()), label="tensors", ulps=4, regrouped=True,
    )  # fmt: skip
    like = (Arg(()), Arg(("n",)))
    yield row("full", _full, _filled, *like, label="tensor", dtypes=FLOATS)


def _full(v: sg.Tensor, like: sg.Tensor) -> sg.Tensor:
    return sg.full((like.shape[0], 2), v)


def _filled(v: Array, like: Array) -> Array:
    return np.full((len(like), 2), v)


ROWS: tuple[Case, ...] = (*_move_rows(), *_join_rows(), *_filled_rows())
