"""Products: matmul in every rank, vecdot, outer, tensordot, einsum."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import ShapeError, UsageError
from symgraph.functions.axes import one_axis
from symgraph.functions.creation import eye, iota
from symgraph.functions.elementwise import multiply, where
from symgraph.functions.index import getitem
from symgraph.functions.reduction import sum
from symgraph.functions.shape import expand_dims, moveaxis, permute_dims, reshape, squeeze
from symgraph.functions.variables import as_tensor, number, promoted
from symgraph.ops.product import matmul as matmul_op
from symgraph.sizes import differ, product
from symgraph.tensor import Tensor, apply, describe
from symgraph.types import shape_text


def matmul(x1: Any, x2: Any, /) -> Tensor:
    """The matrix product as NumPy's ``@``: vectors are rows or columns, leading axes broadcast."""
    a, b = promoted("matmul", x1, x2)
    axes = a.ndim, b.ndim
    if 0 in axes:
        scalar = a if a.ndim == 0 else b
        raise ShapeError(f"matmul: {describe(scalar)} is a scalar; use * to scale")
    left, right = axes[0] == 1, axes[1] == 1
    if differ(a.shape[-1], b.shape[0 if right else -2]):
        raise ShapeError(
            f"matmul: {describe(a)} has shape {shape_text(a.shape)} and {describe(b)} "
            f"{shape_text(b.shape)}: the "
            f"inner sizes are {a.shape[-1]} and {b.shape[0 if right else -2]}; transpose one with "
            ".T or .mT"
        )
    if not left and not right:
        return apply(matmul_op, (a, b))
    out = apply(matmul_op, (expand_dims(a, 0) if left else a, expand_dims(b, 1) if right else b))
    drop = tuple(k for k, one in ((out.ndim - 2, left), (out.ndim - 1, right)) if one)
    return squeeze(out, drop) if drop else out


def dot(x1: Any, x2: Any, /) -> Tensor:
    """NumPy's dot for operands of at most two axes; scalars multiply."""
    a, b = as_tensor(x1, "dot"), as_tensor(x2, "dot")
    if a.ndim == 0 or b.ndim == 0:
        return multiply(a, b)
    if b.ndim > 2:
        return tensordot(a, b, axes=((a.ndim - 1,), (b.ndim - 2,)))
    return (
        matmul(a, b)
        if a.ndim <= 2
        else tensordot(a, b, axes=((a.ndim - 1,), (b.ndim - 2 if b.ndim > 1 else 0,)))
    )


def vecdot(x1: Any, x2: Any, /, axis: int = -1) -> Tensor:
    """The sum of products along one axis."""
    a, b = promoted("vecdot", x1, x2)
    if a.ndim == 0 or b.ndim == 0:
        scalar = a if a.ndim == 0 else b
        raise ShapeError(f"vecdot: {describe(scalar)} is a scalar and has no axis; use * to scale")
    return sum(multiply(moveaxis(a, axis, -1), moveaxis(b, axis, -1)), axis=-1)


inner = vecdot


def outer(x1: Any, x2: Any, /) -> Tensor:
    """All products of the elements of two (flattened) operands."""
    a, b = promoted("outer", x1, x2)
    return multiply(expand_dims(reshape(a, (-1,)), 1), reshape(b, (-1,)))


def trace(x: Any, /, offset: int = 0) -> Tensor:
    """The sum of the diagonal of the last two axes."""
    t = as_tensor(x, "trace")
    if t.ndim < 2:
        raise ShapeError(
            f"trace: {describe(t)} has {t.ndim} axes, needs at least 2; use sg.sum for vectors"
        )
    mask = eye(t.shape[-2], t.shape[-1], k=offset, dtype="bool")
    return sum(where(mask, t, number(0, t.dtype)), axis=(-2, -1))


def tensordot(x1: Any, x2: Any, /, axes: Any = 2) -> Tensor:
    """The sum of products over pairs of axes: an int (last of x1, first of x2) or two sequences."""
    a, b = promoted("tensordot", x1, x2)
    if isinstance(axes, (int, np.integer)):
        k = int(axes)
        left, right = tuple(range(a.ndim - k, a.ndim)), tuple(range(k))
    else:
        left, right = (tuple(np.atleast_1d(s).tolist()) for s in axes)
    left = tuple(one_axis("tensordot", s, a.ndim, a) for s in left)
    right = tuple(one_axis("tensordot", s, b.ndim, b) for s in right)
    if len(left) != len(right):
        raise ShapeError(
            f"tensordot: {len(left)} axes of {describe(a)} against {len(right)} of {describe(b)}; "
            "give as many"
        )
    free_a = [k for k in range(a.ndim) if k not in left]
    free_b = [k for k in range(b.ndim) if k not in right]
    rows, cols = tuple(a.shape[k] for k in free_a), tuple(b.shape[k] for k in free_b)
    for i, j in zip(left, right, strict=True):
        if differ(a.shape[i], b.shape[j]):
            raise ShapeError(
                f"tensordot: axis {i} of {describe(a)} has size {a.shape[i]}, axis {j} of "
                f"{describe(b)} "
                f"{b.shape[j]}; name pairs of axes with axes=((...), (...))"
            )
    inner_a = product(a.shape[k] for k in left)
    inner_b = product(b.shape[k] for k in right)
    am = reshape(permute_dims(a, (*free_a, *left)), (product(rows), inner_a))
    bm = reshape(permute_dims(b, (*right, *free_b)), (inner_b, product(cols)))
    return reshape(matmul(am, bm), rows + cols)


def einsum(subscripts: str, /, *operands: Any) -> Tensor:
    """Einstein summation with explicit or implicit output, ``...`` and repeated indices.

    Contracted pair by pair, left to right; each pair becomes one matrix product.

    Raises:
        UsageError: the subscripts do not fit the operands.
    """
    parts = promoted("einsum", *operands)
    inputs, output = _parse(subscripts, parts)
    terms = [_diagonal(t, labels) for t, labels in zip(parts, inputs, strict=True)]
    current, labels = terms[0]
    later = [set(l) for _, l in terms[1:]]
    current, labels = _drop(current, labels, set(output).union(*later))
    for k, (other, names) in enumerate(terms[1:]):
        needed = set(output).union(*later[k + 1 :])
        other, names = _drop(other, names, needed | set(labels))
        current, labels = _contract(current, labels, other, names, needed)
    return permute_dims(current, [labels.index(c) for c in output])


def _parse(subscripts: str, parts: tuple[Tensor, ...]) -> tuple[list[list[str]], list[str]]:
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(parts):
        raise UsageError(
            f"einsum: {subscripts!r} has {len(inputs)} terms for {len(parts)} operands; "
            "give one each"
        )
    spelled = []
    widest = 0
    odd = [c for c in text.replace("->", "").replace("...", "") if not (c.isalpha() or c == ",")]
    if odd:
        raise UsageError(
            f"einsum: {odd[0]!r} in {subscripts!r} is not an index; use letters, commas, ... and ->"
        )
    for term, t in zip(inputs, parts, strict=True):
        extra = t.ndim - len(term.replace("...", ""))
        if extra < 0 or ("..." not in term and extra):
            raise UsageError(
                f"einsum: the term {term!r} does not fit the {t.ndim} axes of {describe(t)}; "
                "write one letter for each axis, or ..."
            )
        widest = max(widest, extra if "..." in term else 0)
    dots = [f".{k}" for k in range(widest)]
    for term, t in zip(inputs, parts, strict=True):
        extra = t.ndim - len(term.replace("...", ""))
        head, _, tail = term.partition("...")
        spelled.append([*head, *(dots[widest - extra :] if "..." in term else []), *tail])
    letters = sorted(c for c in set("".join(inputs)) if c != ".")
    if arrow:
        head, found, tail = right.partition("...")
        output = [*head, *(dots if found else []), *tail]
    else:
        output = dots + [c for c in letters if sum_count(inputs, c) == 1]
    known = {c for s in spelled for c in s}
    if not set(output) <= known or len(set(output)) != len(output):
        raise UsageError(
            f"einsum: the output of {subscripts!r} repeats an index or names an unknown one; "
            "name indices of the inputs, each once"
        )
    return spelled, output


def sum_count(terms: list[str], letter: str) -> int:
    """How often a letter stands in the terms."""
    return "".join(terms).count(letter)


def _diagonal(t: Tensor, labels: list[str]) -> tuple[Tensor, list[str]]:
    while len(set(labels)) < len(labels):
        c = next(c for c in labels if labels.count(c) > 1)
        i = labels.index(c)
        j = labels.index(c, i + 1)
        if differ(t.shape[i], t.shape[j]):
            raise ShapeError(
                f"einsum: index {c} of {describe(t)}, shape {shape_text(t.shape)}, is {t.shape[i]} "
                "and "
                f"{t.shape[j]}; use two letters"
            )
        t = getitem(moveaxis(t, (i, j), (0, 1)), (iota(t.shape[i]), iota(t.shape[j])))
        labels = [c, *(l for k, l in enumerate(labels) if k not in (i, j))]
    return t, labels


def _drop(t: Tensor, labels: list[str], needed: set[str]) -> tuple[Tensor, list[str]]:
    gone = tuple(k for k, c in enumerate(labels) if c not in needed)
    return (sum(t, axis=gone), [c for c in labels if c in needed]) if gone else (t, labels)


def _contract(
    a: Tensor, la: list[str], b: Tensor, lb: list[str], needed: set[str]
) -> tuple[Tensor, list[str]]:
    both = [c for c in la if c in lb]
    batch = [c for c in both if c in needed]
    inner_labels = [c for c in both if c not in needed]
    rows, cols = [c for c in la if c not in both], [c for c in lb if c not in both]
    if not inner_labels:  # nothing to sum: an outer or element-wise product
        whole = batch + rows + cols
        return multiply(_aligned(a, la, whole), _aligned(b, lb, whole)), whole
    size_of = {**dict(zip(lb, b.shape, strict=True)), **dict(zip(la, a.shape, strict=True))}
    dims = [tuple(size_of[c] for c in group) for group in (batch, rows, cols)]
    k = product(size_of[c] for c in inner_labels)
    am = permute_dims(a, [la.index(c) for c in batch + rows + inner_labels])
    bm = permute_dims(b, [lb.index(c) for c in batch + inner_labels + cols])
    bdims = tuple(b.shape[lb.index(c)] for c in batch)
    kb = product(b.shape[lb.index(c)] for c in inner_labels)
    out = matmul(
        reshape(am, (*dims[0], product(dims[1]), k)), reshape(bm, (*bdims, kb, product(dims[2])))
    )
    return reshape(out, dims[0] + dims[1] + dims[2]), batch + rows + cols


def _aligned(t: Tensor, labels: list[str], whole: list[str]) -> Tensor:
    present = [c for c in whole if c in labels]
    t = permute_dims(t, [labels.index(c) for c in present])
    return expand_dims(t, tuple(k for k, c in enumerate(whole) if c not in labels))
