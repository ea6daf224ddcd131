"""Rows of the operation table: matrix products in every rank, and sums of products."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from op_case import ALL, FLOATS, Arg, Case, row

import symgraph as sg

Shape = tuple[int | str, ...]

_LOOSE: dict[str, Any] = {"ulps": 16, "regrouped": True}

# the shapes of the two operands
MATMULS: tuple[tuple[Shape, Shape], ...] = (
    (("n",), ("n",)),
    ((3,), (3, "n")),
    (("n", 3), (3,)),
    (("n", 3), (3, 2)),
    ((2, "n"), ("n", 3)),
    ((4, "n", 3), (4, 3, 2)),
    ((4, "n", 3), (3, 2)),
    (("n", 3), (4, 3, 2)),
    ((4, 1, 2, "n"), (3, "n", 2)),
    ((4, 2, "n"), ("n",)),
    (("n",), (4, "n", 2)),
    ((1, 2, 3), ("n", 3, 2)),
)

EINSUMS: tuple[tuple[str, tuple[Shape, ...]], ...] = (
    ("ij,jk->ik", (("n", 3), (3, 2))),
    ("ij,jk", (("n", 3), (3, 2))),
    ("ij->ji", (("n", 3),)),
    ("ii->i", ((3, 3),)),
    ("ii", ((3, 3),)),
    ("ij->", (("n", 3),)),
    ("bij,bjk->bik", ((2, "n", 3), (2, 3, 2))),
    ("bij,bjk->ik", ((2, "n", 3), (2, 3, 2))),
    ("i,j->ij", (("n",), (3,))),
    ("...i,...i->...", ((2, "n", 3), ("n", 3))),
    ("...ij,j", (("n", 3, 2), (2,))),
    ("ij,jk,kl->il", (("n", 3), (3, 2), (2, "n"))),
    ("i,ij,j", (("n",), ("n", 3), (3,))),
    ("iij,jk->ik", ((3, 3, "n"), ("n", 2))),
    ("ij,ij->ij", (("n", 3), ("n", 3))),
    ("ij,kl->i", (("n", 3), (2, 4))),
)


def _dims(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _matmul_rows() -> Iterator[Case]:
    for a, b in MATMULS:
        kinds = ALL if a == ("n", 3) and b == (3, 2) else FLOATS
        args = (Arg(a), Arg(b))
        label = f"{_dims(a)}@{_dims(b)}"
        yield row("matmul", sg.matmul, np.matmul, *args, label=label, dtypes=kinds, **_LOOSE)


def _einsum_rows() -> Iterator[Case]:
    for spec, shapes in EINSUMS:
        build, oracle = functools.partial(sg.einsum, spec), functools.partial(np.einsum, spec)
        yield row("einsum", build, oracle, *map(Arg, shapes), label=spec, dtypes=FLOATS, **_LOOSE)


def _other_rows() -> Iterator[Case]:
    two = (Arg(("n", 3)), Arg(("n", 3)))
    yield row("vecdot", sg.vecdot, np.vecdot, *two, label="last", dtypes=FLOATS, **_LOOSE)
    first = functools.partial(sg.vecdot, axis=0)
    oracle = functools.partial(np.vecdot, axis=0)
    yield row("vecdot", first, oracle, *two, label="first", dtypes=FLOATS, **_LOOSE)
    yield row("outer", sg.outer, np.outer, Arg(("n",)), Arg((3,)), dtypes=FLOATS)
    yield row("outer", sg.outer, np.outer, Arg(("n", 2)), Arg((3,)), label="flattened")
    for a, b in (
        (("n", 3), (3, 2)),
        (("n",), ("n",)),
        ((), ("n",)),
        ((2, "n"), ("n",)),
        ((2, 3), (4, 3, 5)),
    ):
        yield row("dot", sg.dot, np.dot, Arg(a), Arg(b), label=f"{_dims(a)}.{_dims(b)}", **_LOOSE)
    for axes in (0, 1, 2, ((0, 2), (1, 0)), ((-1,), (0,))):
        args = (
            (Arg((3, "n", 3)), Arg((3, 3)))
            if axes == ((0, 2), (1, 0))
            else (Arg(("n", 3, 2)), Arg((2, 4)))
        )
        if axes == 2:
            args = (Arg(("n", 3, 2)), Arg((3, 2, 4)))
        build = functools.partial(sg.tensordot, axes=axes)
        plain = functools.partial(np.tensordot, axes=axes)
        label = str(axes).replace(" ", "")
        yield row("tensordot", build, plain, *args, label=label, dtypes=FLOATS, **_LOOSE)


ROWS: tuple[Case, ...] = (*_matmul_rows(), *_einsum_rows(), *_other_rows())
