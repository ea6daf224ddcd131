"""Rows of the operation table: reading and writing by index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from op_case import ALL, Arg, Array, Case, row

import symgraph as sg
from symgraph.functions.index import nonzero_positions
from symgraph.functions.product import trace
from symgraph.ops import OPS
from symgraph.sizes import symbol
from symgraph.tensor import apply

N = symbol("n")
FEW = ("float64", "float32", "int8", "bool")
X = Arg((4, "n", 3))
ROWS_AT = Arg((2, 5), ints=(-4, 4), dtype="int64")
LAST_AT = Arg((5,), ints=(-3, 3), dtype="int64")
EACH_AT = Arg(("n",), ints=(-3, 3), dtype="int64")
KEEP = Arg(("n",), dtype="bool")

Rule = Callable[..., Any]

# label, build, oracle, arguments (indices are int64 data)
READS: tuple[tuple[str, Rule, Rule, tuple[Arg, ...]], ...] = (
    ("int", lambda x: x[1], lambda x: x[1], (X,)),
    ("ints", lambda x: x[-1, :, 2], lambda x: x[-1, :, 2], (X,)),
    ("steps", lambda x: x[::-2, :, 2:0:-1], lambda x: x[::-2, :, 2:0:-1], (X,)),
    ("sized", lambda x: x[:, 1:-1], lambda x: x[:, 1:-1], (X,)),
    ("back", lambda x: x[:, ::-1], lambda x: x[:, ::-1], (X,)),
    ("back2", lambda x: x[:, -2::-2], lambda x: x[:, -2::-2], (X,)),
    ("bound", lambda x: x[:, : N // 2], lambda x: x[:, : x.shape[1] // 2], (X,)),
    ("new", lambda x: x[None, ..., None, 0], lambda x: x[None, ..., None, 0], (X,)),
    ("array", lambda x, i: x[i], lambda x, i: x[i], (X, ROWS_AT)),
    ("last", lambda x, i: x[..., i], lambda x, i: x[..., i], (X, LAST_AT)),
    ("apart", lambda x, i, j: x[i, :, j], lambda x, i, j: x[i, :, j], (X, ROWS_AT, LAST_AT)),
    ("beside", lambda x, j: x[:, :, j][:, None], lambda x, j: x[:, :, j][:, None], (X, LAST_AT)),
    ("mixed", lambda x, j: x[1, ::-1, j], lambda x, j: x[1, ::-1, j], (X, LAST_AT)),
    (
        "pick",
        lambda x, i: x[0, sg.arange(N), i],
        lambda x, i: x[0, np.arange(len(i)), i],
        (X, EACH_AT),
    ),
    ("mask", lambda x, m: x[:, m], lambda x, m: x[:, m], (X, KEEP)),
    ("mask-int", lambda x, m: x[2, m, 0], lambda x, m: x[2, m, 0], (X, KEEP)),
)

# label, index, the value's shape at n = any, arguments after x and v
WRITES: tuple[tuple[str, Callable[..., Any], tuple[int | str, ...], tuple[Arg, ...]], ...] = (
    ("int", lambda: (1,), ("n", 3), ()),
    ("slice", lambda: (slice(None, None, -2), slice(None), slice(0, 2)), (2, "n", 2), ()),
    ("stretched", lambda: (Ellipsis, slice(1, None)), (2,), ()),
    ("array", lambda i: (i,), (2, 5, "n", 3), (ROWS_AT,)),
    ("apart", lambda i, j: (i, slice(None), j), (2, 5, "n"), (ROWS_AT, LAST_AT)),
    ("part", lambda j: (slice(1, 3), slice(None), j), (2, "n", 5), (LAST_AT,)),
    ("new", lambda j: (Ellipsis, None, j), (4, "n", 1, 5), (LAST_AT,)),
)


def _read_rows() -> Iterator[Case]:
    for label, build, oracle, args in READS:
        yield row("getitem", build, oracle, *args, label=label, dtypes=FEW, sizes=(5, 2, 1, 0))


def _writer(index: Rule, how: str) -> Rule:
    def build(x: sg.Tensor, v: sg.Tensor, *at: sg.Tensor) -> Any:
        return getattr(x.at[index(*at)], how)(v)

    return build


def _written(index: Rule, how: str) -> Rule:
    def oracle(x: Array, v: Array, *at: Array) -> Array:
        out = x.copy()
        if how == "add":
            np.add.at(out, index(*at), v)
        else:
            out[index(*at)] = v
        return out

    return oracle


def _write_rows() -> Iterator[Case]:
    for label, index, shape, more in WRITES:
        for how in ("set", "add"):
            build, oracle = _writer(index, how), _written(index, how)
            args = (X, Arg(shape), *more)
            name, facts = f"{how}-{label}", {"dtypes": FEW, "ulps": 4, "regrouped": True}
            yield row("at", build, oracle, *args, label=name, **facts)


def _along(x: Array, i: Array) -> Array:
    return np.take_along_axis(x, i, axis=1)


def _scattered(how: str) -> Rule:
    return _written(lambda i: (i,), how)


def _op_rows() -> Iterator[Case]:
    flat, at = Arg(("n", 3)), Arg((6,), ints=(-4, 4), dtype="int64")
    base, values = Arg((4, "n")), Arg((6, "n"))
    attrs = (("axes", (0,)),)
    yield row(
        "gather", lambda x, i: apply(OPS["gather"], (x, i), attrs), lambda x, i: x[i], base, at,
        dtypes=ALL,
    )  # fmt: skip
    for how in ("add", "set"):
        op = OPS[f"scatter_{how}"]
        yield row(
            op.name, lambda x, v, i, op=op: apply(op, (x, v, i), attrs), _scattered(how), base,
            values, at, dtypes=ALL, ulps=4, regrouped=True,
        )  # fmt: skip
    yield row("nonzero", nonzero_positions, np.flatnonzero, Arg(("n",), dtype="bool"), order=0)
    yield row(
        "take", lambda x, i: sg.take(x, i, axis=1), lambda x, i: np.take(x, i, axis=1), flat,
        Arg((2, 2), ints=(-3, 3), dtype="int64"), label="axis", dtypes=FEW,
    )  # fmt: skip
    yield row(
        "take", lambda x, i: sg.take(x, i), lambda x, i: np.take(x, i), flat,
        Arg((4,), ints=(-3, 3), dtype="int32"), label="flat", sizes=(5, 1),
    )  # fmt: skip
    yield row(
        "take_along_axis", lambda x, i: sg.take_along_axis(x, i, axis=1), _along, flat,
        Arg(("n", 2), ints=(-3, 3), dtype="int64"), dtypes=FEW,
    )  # fmt: skip
    yield row("trace", trace, np.trace, Arg(("n", 3)), ulps=4, regrouped=True)


ROWS: tuple[Case, ...] = (*_read_rows(), *_write_rows(), *_op_rows())
