"""Indexing in every form against NumPy: random reads and writes, gradients, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import DTypeError, IndexRangeError, ShapeError, UsageError

Array = np.ndarray[Any, Any]
SEED = 20260313
SHAPE = (4, 3, 5)
ROUNDS = 40
GROUPS = 8


def random_slice(rng: np.random.Generator, n: int) -> slice:
    """Any slice: bounds inside, outside and negative, steps of either sign."""

    def bound() -> int | None:
        return None if rng.random() < 0.3 else int(rng.integers(-n - 2, n + 3))

    step = int(rng.choice([1, 1, 2, 3, -1, -2]))
    return slice(bound(), bound(), step if rng.random() < 0.8 else None)


def random_entry(rng: np.random.Generator, axis: int, spread: tuple[int, ...]) -> Any:
    """An index of one axis: an int, a slice, or an array that broadcasts to ``spread``."""
    n, kind = SHAPE[axis], rng.choice(["int", "slice", "slice", "array", "array"])
    if kind == "array":
        some = tuple(d if rng.random() < 0.7 else 1 for d in spread)
        return rng.integers(-n, n, some)
    return int(rng.integers(-n, n)) if kind == "int" else random_slice(rng, n)


def random_run(rng: np.random.Generator, axes: range, masks: list[bool], spread: Any) -> list[Any]:
    """Entries for neighbouring axes; ``masks`` holds True while a mask may still be used."""
    out: list[Any] = []
    axis = axes.start
    while axis < axes.stop:
        if rng.random() < 0.15:
            out.append(None)
        width = 1
        if masks[0] and rng.random() < 0.5:
            masks[0] = False
            width = min(int(rng.integers(1, 4)), axes.stop - axis)
            out.append(rng.random(SHAPE[axis : axis + width]) > 0.5)
        else:
            out.append(random_entry(rng, axis, spread))
        axis += width
    return out


def random_index(rng: np.random.Generator) -> tuple[Any, ...]:
    """A valid index of an array of SHAPE, of any mixture of forms; at most one mask."""
    masks = [bool(rng.random() < 0.4)]
    spread = () if masks[0] else tuple(int(d) for d in rng.choice([1, 2, 3], rng.integers(0, 3)))
    head = int(rng.integers(0, 4))
    out = random_run(rng, range(head), masks, spread)
    if rng.random() < 0.4:
        tail = int(rng.integers(0, 4 - head))
        out += [Ellipsis, *random_run(rng, range(3 - tail, 3), masks, spread)]
    return tuple(out)


def symbolic(index: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[sg.Tensor], list[Array]]:
    """The index with its arrays as declared inputs, those inputs, and their values."""
    made: list[Any] = []
    declared: list[sg.Tensor] = []
    values: list[Array] = []
    for k, e in enumerate(index):
        if isinstance(e, np.ndarray):
            shape = tuple(f"i{k}_{axis}" if d != 1 else 1 for axis, d in enumerate(e.shape))
            if e.dtype == bool:
                shape = e.shape
            declared.append(sg.tensor(f"i{k}", shape=shape, dtype=e.dtype))
            values.append(e)
            made.append(declared[-1])
        else:
            made.append(e)
    return tuple(made), declared, values


def names(static: bool) -> tuple[int | str, ...]:
    """The declared shape of the indexed array."""
    return SHAPE if static else ("a", 3, "c")


@pytest.mark.parametrize("static", [True, False], ids=["static", "sized"])
@pytest.mark.parametrize("group", range(GROUPS))
def test_read(group: int, static: bool) -> None:
    """x[index], and its gradient: the cotangent added back where it was read."""
    rng = np.random.default_rng([SEED, group])
    array = rng.normal(size=SHAPE)
    for _ in range(ROUNDS):
        index = random_index(rng)
        x = sg.tensor("x", shape=names(static))
        want = array[index]
        weights = rng.normal(size=want.shape)
        y = x[index]
        g = sg.grad(sg.sum(y * weights), x, disconnected="zero")
        got, slope = sg.function([x], [y, g], backend="reference", passes=())(array)
        back = np.zeros(SHAPE)
        np.add.at(back, index, weights)
        np.testing.assert_array_equal(got, want, err_msg=f"{index} (seed {SEED})")
        np.testing.assert_allclose(slope, back, rtol=1e-14, err_msg=f"{index} (seed {SEED})")


@pytest.mark.parametrize("group", range(GROUPS))
def test_read_by_variables(group: int) -> None:
    """Index arrays and masks as inputs: the sizes are known only when called."""
    rng = np.random.default_rng([SEED, 1, group])
    array = rng.normal(size=SHAPE)
    for _ in range(ROUNDS // 2):
        index = random_index(rng)
        spread = np.broadcast_shapes(
            *(e.shape for e in index if isinstance(e, np.ndarray) and e.dtype != bool)
        )
        index = tuple(
            np.array(np.broadcast_to(e, spread))
            if isinstance(e, np.ndarray) and e.dtype != bool
            else e
            for e in index
        )
        made, declared, values = symbolic(index)
        x = sg.tensor("x", shape=("a", 3, "c"))
        run = sg.function([x, *declared], x[made], backend="reference", passes=())
        np.testing.assert_array_equal(
            run(array, *values), array[index], err_msg=f"{index} (seed {SEED})"
        )


def _repeats(index: tuple[Any, ...]) -> bool:
    serial = np.arange(np.prod(SHAPE)).reshape(SHAPE)[index].ravel()
    return len(set(serial.tolist())) < len(serial)


@pytest.mark.parametrize("static", [True, False], ids=["static", "sized"])
@pytest.mark.parametrize("how", ["set", "add"])
@pytest.mark.parametrize("group", range(GROUPS // 2))
def test_write(group: int, how: str, static: bool) -> None:
    """x.at[index].set and .add, with both gradients, against assignment and np.add.at."""
    rng = np.random.default_rng([SEED, 2, group])
    array = rng.normal(size=SHAPE)
    for _ in range(ROUNDS):
        index = random_index(rng)
        value = rng.normal(size=array[index].shape)
        x, v = sg.tensor("x", shape=names(static)), sg.tensor("v", shape=value.shape)
        y = getattr(x.at[index], how)(v)
        weights = rng.normal(size=SHAPE)
        gradients = sg.grad(sg.sum(y * weights), [x, v], disconnected="zero")
        got, gx, gv = sg.function([x, v], [y, *gradients], backend="reference", passes=())(
            array, value
        )
        want = array.copy()
        kept = weights.copy()
        if how == "add":
            np.add.at(want, index, value)
        else:
            want[index] = value
            kept[index] = 0
        note = f"{how} {index} (seed {SEED})"
        np.testing.assert_allclose(got, want, rtol=1e-14, err_msg=note)
        np.testing.assert_array_equal(gx, kept, err_msg=note)
        if how == "add" or not _repeats(index):
            np.testing.assert_array_equal(gv, weights[index], err_msg=note)


def run(out: sg.Tensor, /, *pairs: tuple[sg.Tensor, Any]) -> Any:
    """The value of a graph, given its inputs with their values."""
    inputs = [i for i, _ in pairs]
    return sg.function(inputs, out, backend="reference", passes=())(*[v for _, v in pairs])


def test_pick_one_of_each_row() -> None:
    p, y = sg.tensor("p", shape=("n", 4)), sg.tensor("y", shape="n", dtype="int64")
    at = p[sg.arange(p.shape[0]), y]
    table, labels = np.arange(12.0).reshape(3, 4), np.array([3, 0, 2])
    np.testing.assert_array_equal(run(at, (p, table), (y, labels)), table[np.arange(3), labels])
    both = run(sg.grad(sg.sum(at), p), (p, table), (y, labels))
    np.testing.assert_array_equal(both, np.eye(4)[labels])


def test_repeated_writes() -> None:
    """Added, they accumulate; set, the last one stays and alone gets a gradient."""
    x, v = sg.vector("x", shape=3), sg.vector("v", shape=4)
    at = [1, 1, 2, 1]
    added, last = x.at[at].add(v), x.at[at].set(v)
    data = (x, [1.0, 2.0, 3.0]), (v, [10.0, 20.0, 30.0, 40.0])
    assert run(added, *data).tolist() == [1.0, 72.0, 33.0]
    assert run(last, *data).tolist() == [1.0, 40.0, 30.0]
    weights = np.array([5.0, 6.0, 7.0])
    gv = sg.grad(sg.sum(last * weights), v)
    assert run(gv, *data).tolist() == [0.0, 0.0, 7.0, 6.0]


def test_masks_of_one_length_agree() -> None:
    """Two reads by one mask have one size, so they combine; the gradient flows back."""
    x, y = sg.vector("x", shape="n"), sg.vector("y", shape="n")
    keep = x > 0
    product = x[keep] * y[keep]
    data = (x, [1.0, -2.0, 3.0]), (y, [4.0, 5.0, 6.0])
    assert run(product, *data).tolist() == [4.0, 18.0]
    assert run(sg.grad(sg.sum(product), y), *data).tolist() == [1.0, 0.0, 3.0]
    assert run(sg.mean(x[keep]), (x, [1.0, -2.0, 3.0])) == 2.0
    assert run(sg.sum(x[keep]) / x[keep].shape[0], (x, [1.0, -2.0, 3.0])) == 2.0


def test_mask_over_two_axes() -> None:
    x = sg.matrix("x", shape=("n", "m"))
    array = np.arange(6.0).reshape(2, 3) - 2
    assert run(x[x > 0], (x, array)).tolist() == [1.0, 2.0, 3.0]
    assert run(x.at[x < 0].set(0.0), (x, array)).tolist() == [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]


def test_write_through_a_mask() -> None:
    x = sg.vector("x", shape="n")
    out = x.at[x < 0].set(0.0)
    assert run(out, (x, [1.0, -2.0, 3.0])).tolist() == [1.0, 0.0, 3.0]
    assert run(sg.grad(sg.sum(out**2), x), (x, [1.0, -2.0, 3.0])).tolist() == [2.0, 0.0, 6.0]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 7])
@pytest.mark.parametrize(
    "bounds",
    [
        (None, None, -1), (1, -1, None), (-3, None, 2), (None, -2, None), (5, None, None),
        (None, 5, 2), (-2, None, -2), (None, -4, -1), (2, 6, None), (6, 2, -1), (-9, 9, 3),
        (3, -9, -1), (0, 0, None), (-1, -1, None), (None, 1, -3),
    ],
)  # fmt: skip
def test_slices_of_a_symbolic_axis(bounds: tuple[Any, ...], n: int) -> None:
    """Bounds clip as Python's do, for every size."""
    x = sg.vector("x", shape="n")
    cut = slice(*bounds)
    y = x[cut]
    assert run(y, (x, np.arange(float(n)))).tolist() == list(range(n))[cut]
    g = run(sg.grad(sg.sum(y), x, disconnected="zero"), (x, np.arange(float(n))))
    assert g.tolist() == [float(k in range(n)[cut]) for k in range(n)]


def test_symbolic_bounds() -> None:
    x, y = sg.vector("x", shape="n"), sg.vector("y", shape="m")
    n, m = x.shape[0], y.shape[0]
    a, b = np.arange(6.0), np.zeros(2)
    assert run(x[m:] + 0 * sg.sum(y), (x, a), (y, b)).tolist() == [2.0, 3.0, 4.0, 5.0]
    assert run(x[: n - m] + 0 * sg.sum(y), (x, a), (y, b)).tolist() == [0.0, 1.0, 2.0, 3.0]
    assert run(x[n // 2], (x, a)) == 3.0
    assert run(x[n - 1] + 0 * sg.sum(y), (x, a), (y, b)) == 5.0


# ---- what is refused -----------------------------------------------------------------------------


def test_literal_index_out_of_range() -> None:
    x = sg.matrix("x", shape=(4, 3))
    for index in (4, -5, (0, 3), (slice(None), -4)):
        with pytest.raises(IndexRangeError, match="out of range"):
            x[index]


@pytest.mark.parametrize("bad", [3, -4])
def test_index_out_of_range_when_called(bad: int) -> None:
    x, i = sg.vector("x", shape="n"), sg.vector("i", shape="k", dtype="int64")
    for y in (x[i], sg.take(x, i), x.at[i].add(1.0), x.at[i].set(1.0), sg.take_along_axis(x, i)):
        with pytest.raises(IndexRangeError, match=f"index {bad} is out of range .* 3"):
            run(y, (x, np.zeros(3)), (i, [0, bad]))


def test_single_index_out_of_range_when_called() -> None:
    x = sg.vector("x", shape="n")
    for y in (x[3], x[-4], x.at[3].set(0.0)):
        with pytest.raises(IndexRangeError, match="out of range"):
            run(y, (x, np.zeros(3)))


def test_literal_list_out_of_range() -> None:
    x = sg.matrix("x", shape=("n", 3))
    with pytest.raises(IndexRangeError, match="index 3 is out of range"):
        run(x[:, [0, 3]], (x, np.zeros((2, 3))))


def test_literal_mask_of_another_length_when_called() -> None:
    """Too short is refused as well as too long, also where only the product of sizes agrees."""
    x, y = sg.vector("x", shape="n"), sg.matrix("y", shape=("n", "m"))
    keep = np.array([True, False, True])
    assert run(x[keep], (x, np.arange(3.0))).tolist() == [0.0, 2.0]
    for n in (2, 4):
        with pytest.raises(ShapeError):
            run(x[keep], (x, np.arange(float(n))))
    with pytest.raises(ShapeError):
        run(y[np.ones((2, 3), bool)], (y, np.zeros((3, 2))))
    with pytest.raises(ShapeError, match="must agree"):
        x[np.array([True])]


def test_tuples_and_numpy_numbers_as_indices() -> None:
    array = np.arange(12.0).reshape(3, 4)
    x = sg.matrix("x", shape=("n", 4))
    for index in (
        ((0, 2),),
        (slice(None), (3, 1)),
        np.int64(1),
        True,
        np.bool_(False),
        (None, True),
    ):
        np.testing.assert_array_equal(run(x[index], (x, array)), array[index])


def test_mask_of_another_length() -> None:
    x, m = sg.vector("x", shape="n"), sg.vector("m", shape="k", dtype="bool")
    with pytest.raises(ShapeError):
        run(x[m], (x, np.zeros(3)), (m, np.ones(4, bool)))
    with pytest.raises(ShapeError):
        sg.vector("x", shape=3)[np.ones(4, bool)]


@pytest.mark.parametrize(
    ("index", "error"),
    [(1.5, UsageError), ("a", UsageError), ((0, 0, 0), UsageError), ((..., ...), UsageError),
     ([0.5], UsageError), (slice(None, None, 0), UsageError)],
)  # fmt: skip
def test_not_an_index(index: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        sg.matrix("x", shape=(4, 3))[index]


def test_float_index_tensor() -> None:
    with pytest.raises(DTypeError, match="integers or bool"):
        sg.vector("x", shape=3)[sg.vector("i", shape=2)]
