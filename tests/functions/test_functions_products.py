"""Products: every rank of matmul, random einsum specifications, tensordot, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import ShapeError, SymgraphError, UsageError

Array = np.ndarray[Any, Any]
SEED = 20260314
SIZES = {"a": 2, "b": 3, "c": 4, "d": 1, "e": 5}


def declared(arrays: list[Array], static: bool) -> list[sg.Tensor]:
    """Inputs of the arrays' shapes; sizes are named after the extent, a 1 stays literal."""
    out = []
    for k, a in enumerate(arrays):
        shape = a.shape if static else tuple(d if d == 1 else f"n{d}" for d in a.shape)
        out.append(sg.tensor(f"x{k}", shape=shape, dtype=a.dtype))
    return out


def value(xs: list[sg.Tensor], y: sg.Tensor, arrays: list[Array]) -> Any:
    """y with the arrays for xs."""
    return sg.function(xs, y, backend="reference", passes=())(*arrays)


# ---- matmul --------------------------------------------------------------------------------------

BATCHES: tuple[tuple[int, ...], ...] = ((), (3,), (1,), (2, 3), (2, 1), (1, 3), (4, 1, 3), (0,))


def _stackable(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return True


PAIRS = [(a, b) for a in BATCHES for b in BATCHES if _stackable(a, b)]


@pytest.mark.parametrize("static", [True, False], ids=["static", "sized"])
@pytest.mark.parametrize(("left", "right"), PAIRS, ids=[f"{a}@{b}" for a, b in PAIRS])
def test_matmul_batches(left: tuple[int, ...], right: tuple[int, ...], static: bool) -> None:
    """Leading axes broadcast; the gradients sum over what was stretched."""
    rng = np.random.default_rng(SEED)
    arrays = [rng.normal(size=(*left, 2, 4)), rng.normal(size=(*right, 4, 5))]
    xs = declared(arrays, static)
    y = xs[0] @ xs[1]
    want = arrays[0] @ arrays[1]
    weights = rng.normal(size=want.shape)
    ga, gb = sg.grad(sg.sum(y * weights), xs)
    got = sg.function(xs, [y, ga, gb], backend="reference", passes=())(*arrays)
    np.testing.assert_allclose(got[0], want, rtol=1e-13, atol=1e-14)
    back_a = _sum_to(weights @ np.swapaxes(arrays[1], -1, -2), arrays[0].shape)
    back_b = _sum_to(np.swapaxes(arrays[0], -1, -2) @ weights, arrays[1].shape)
    np.testing.assert_allclose(got[1], back_a, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(got[2], back_b, rtol=1e-12, atol=1e-13)


def _sum_to(a: Array, shape: tuple[int, ...]) -> Array:
    lead = a.ndim - len(shape)
    a = a.sum(axis=tuple(range(lead)))
    stretched = tuple(k for k, d in enumerate(shape) if d == 1 != a.shape[k])
    return np.asarray(a.sum(axis=stretched, keepdims=True))


@pytest.mark.parametrize(
    "shapes", [((0, 3), (3, 2)), ((2, 0), (0, 3)), ((2, 3), (3, 0)), ((0,), (0,))]
)
def test_matmul_of_nothing(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    arrays = [np.ones(s) for s in shapes]
    xs = declared(arrays, static=False)
    np.testing.assert_array_equal(value(xs, xs[0] @ xs[1], arrays), arrays[0] @ arrays[1])


@pytest.mark.parametrize(
    "shapes", [((2, 3), (4, 2)), ((3,), (4, 2)), ((5, 2, 3), (4, 3, 2)), ((), (3,))]
)
def test_matmul_refuses(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    a, b = (sg.tensor(n, shape=s) for n, s in zip("ab", shapes, strict=True))
    with pytest.raises(ShapeError, match="matmul"):
        a @ b


def test_matmul_with_arrays() -> None:
    x, a = sg.matrix("x", shape=(2, 3)), np.arange(6.0).reshape(3, 2)
    point = np.ones((2, 3))
    np.testing.assert_array_equal(value([x], x @ a, [point]), point @ a)
    left: Any = a @ x
    np.testing.assert_array_equal(value([x], left, [point]), a @ point)


# ---- einsum --------------------------------------------------------------------------------------


def random_spec(rng: np.random.Generator) -> tuple[str, list[tuple[int, ...]]]:
    """Subscripts of one to three operands; output, ellipsis and repeated indices may occur."""
    letters = list("abcde")
    terms, shapes = [], []
    lead = tuple(int(d) for d in rng.choice([2, 3], rng.integers(0, 3)))
    dotted = rng.random() < 0.3
    for _ in range(int(rng.integers(1, 4))):
        term = "".join(rng.choice(letters, int(rng.integers(0, 4))))
        shape = tuple(SIZES[c] for c in term)
        if dotted and rng.random() < 0.7:
            cut = int(rng.integers(0, len(term) + 1))
            own = tuple(
                1 if rng.random() < 0.2 else d for d in lead[int(rng.integers(0, len(lead) + 1)) :]
            )
            term, shape = f"{term[:cut]}...{term[cut:]}", (*shape[:cut], *own, *shape[cut:])
        terms.append(term)
        shapes.append(shape)
    text = ",".join(terms)
    if rng.random() < 0.3:
        return text, shapes
    known = sorted({c for c in text if c.isalpha()})
    kept = [str(c) for c in rng.permutation(known) if rng.random() < 0.5] if known else []
    if "..." in text:
        kept.insert(int(rng.integers(0, len(kept) + 1)), "...")
    return f"{text}->{''.join(kept)}", shapes


@pytest.mark.parametrize("group", range(10))
def test_einsum(group: int) -> None:
    """Values and gradients of random specifications against np.einsum."""
    rng = np.random.default_rng([SEED, group])
    for _ in range(25):
        spec, shapes = random_spec(rng)
        arrays = [rng.normal(size=s) for s in shapes]
        note = f"{spec} {shapes} (seed {SEED})"
        want = np.asarray(np.einsum(spec, *arrays))
        for static in (True, False):
            xs = declared(arrays, static)
            y = sg.einsum(spec, *xs)
            np.testing.assert_allclose(
                value(xs, y, arrays), want, rtol=1e-11, atol=1e-11, err_msg=note
            )
        _check_slope(spec, xs, y, arrays, rng, note)


def _check_slope(
    spec: str, xs: list[sg.Tensor], y: sg.Tensor, arrays: list[Array], rng: Any, note: str
) -> None:
    """einsum is linear in each operand: its slope along a direction is einsum of that direction."""
    weights = rng.normal(size=np.einsum(spec, *arrays).shape)
    gradients = sg.grad(sg.sum(y * weights), xs)
    found = sg.function(xs, gradients, backend="reference", passes=())(*arrays)
    for k, g in enumerate(found):
        direction = rng.normal(size=arrays[k].shape)
        moved = np.einsum(spec, *arrays[:k], direction, *arrays[k + 1 :])
        left, right = float(np.sum(g * direction)), float(np.sum(moved * weights))
        assert left == pytest.approx(right, rel=1e-9, abs=1e-9), note


@pytest.mark.parametrize(
    "spec",
    [
        "ij,jk->ikk",
        "ij->ijk",
        "ij",
        "ij,jk,kl",
        "ijk,jk",
        "ij,jk->iz",
        "i,j->i->j",
        "i1,j",
        "...i...,j",
    ],
)
def test_einsum_refuses(spec: str) -> None:
    a, b = sg.matrix("a", shape=(2, 3)), sg.matrix("b", shape=(3, 4))
    with pytest.raises(UsageError, match="einsum"):
        sg.einsum(spec, a, b)


def test_einsum_sizes_that_differ() -> None:
    a, b = sg.matrix("a", shape=(2, 3)), sg.matrix("b", shape=(4, 5))
    with pytest.raises(SymgraphError):
        sg.einsum("ij,jk->ik", a, b)
    with pytest.raises(SymgraphError):
        sg.einsum("ii->i", a)


# ---- tensordot, vecdot, outer --------------------------------------------------------------------


@pytest.mark.parametrize(
    "axes", [0, 1, 2, 3, (0, 0), ((0, 1), (1, 0)), ((-1,), (-1,)), ([2, 0], [2, 1]), ((), ())]
)
def test_tensordot(axes: Any) -> None:
    rng = np.random.default_rng(SEED)
    arrays = [rng.normal(size=(3, 3, 3)), rng.normal(size=(3, 3, 3))]
    want = np.tensordot(arrays[0], arrays[1], axes=axes)
    for static in (True, False):
        xs = declared(arrays, static)
        got = value(xs, sg.tensordot(xs[0], xs[1], axes=axes), arrays)
        np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-13)


def test_tensordot_refuses() -> None:
    a, b = sg.tensor("a", shape=(2, 3)), sg.tensor("b", shape=(3, 4))
    with pytest.raises(ShapeError, match="tensordot"):
        sg.tensordot(a, b, axes=((0,), (0,)))
    with pytest.raises(SymgraphError, match="tensordot"):
        sg.tensordot(a, b, axes=3)
    with pytest.raises(ShapeError, match="tensordot"):
        sg.tensordot(a, b, axes=((0, 1), (0,)))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_vecdot_broadcasts(axis: int) -> None:
    rng = np.random.default_rng(SEED)
    arrays = [rng.normal(size=(3, 3)), rng.normal(size=(3,))]
    xs = declared(arrays, static=True)
    if axis == 1:
        with pytest.raises(ShapeError):
            sg.vecdot(xs[0], xs[1], axis=axis)
        return
    got = value(xs, sg.vecdot(xs[0], xs[1], axis=axis), arrays)
    other = arrays[1][:, None] if axis == 0 else arrays[1]
    np.testing.assert_allclose(got, np.sum(arrays[0] * other, axis=axis), rtol=1e-14)
