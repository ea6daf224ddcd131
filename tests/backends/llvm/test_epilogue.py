"""What follows a product element by element runs with it: the same bits, in fewer steps."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from stages import native

import symgraph as sg
from symgraph.backends.llvm import compile as compilation
from symgraph.backends.llvm.compile import LLVMFunction
from symgraph.backends.llvm.program_cache import bypassed

Build = Callable[[], LLVMFunction]


def both_ways(monkeypatch: pytest.MonkeyPatch, build: Build) -> tuple[LLVMFunction, LLVMFunction]:
    """The function with products that take neighbours along, and with every step for itself."""
    together = build()
    with monkeypatch.context() as patch, bypassed():
        patch.setattr(compilation, "fuse_products", lambda parts, *_: list(parts.steps))
        return together, build()


def layer(m: Any, k: Any, n: Any, dtype: str = "float32") -> list[sg.Tensor]:
    """x (m, k), w (k, n), b (n,) and a matrix c (m, n)."""
    shapes = {"x": (m, k), "w": (k, n), "b": (n,), "c": (m, n)}
    return [sg.tensor(name, shape=s, dtype=dtype) for name, s in shapes.items()]


def numbers(seed: int, m: int, k: int, n: int, dtype: str = "float32") -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(s).astype(dtype) for s in ((m, k), (k, n), (n,), (m, n))]


def chains(x: sg.Tensor, w: sg.Tensor, b: sg.Tensor, c: sg.Tensor) -> dict[str, tuple[Any, int]]:
    """What follows a product, by name, and whether that saves a step."""
    z = x @ w
    velocity = 0.9 * c + (z + 1e-4 * c)
    return {
        "bias": (z + b, 1),
        "bias and relu": (sg.maximum(z + b, 0), 1),
        "relu and mask": ([sg.maximum(z + b, 0), z + b > 0], 1),
        "scaling": (3.5 * z, 1),
        "stored mask": (z * sg.astype(c > 0, z.dtype), 1),
        "L2 term": (z + 1e-4 * c, 1),
        "momentum": ([velocity, c - 0.01 * velocity], 1),
        "cast": (sg.astype(z, "int32"), 1),
        "the product too": ([z, sg.maximum(z, 0)], 1),
        "read again later": ([sg.maximum(z, 0), sg.sum(sg.exp(z), axis=0)], 1),
        "two products": (z + x @ w[::-1, ::-1], 1),
        "elementary": (sg.tanh(z + b), 1),
        "square of itself": (z * z, 1),
        "column of factors": (z * b[0] + sg.expand_dims(c[:, 0], 1), 1),
        "reversed": (z + c[::-1, ::-1], 1),
        "transposed": (sg.matrix_transpose(z) + 1, 0),
        "shifted": (z[1:] + 1, 0),
        "reduced": (sg.sum(sg.maximum(z, 0), axis=1), 0),
    }


NAMES = tuple(chains(*layer("m", 4, 8)))
SIZES = [
    (1, 5, 48), (3, 0, 64), (8, 32, 48), (17, 33, 50), (32, 800, 64), (9, 1700, 64), (0, 3, 32),
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bits_are_those_of_separate_steps(
    name: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, (m, k, n) in enumerate(SIZES):
        inputs = layer("m", k, n, dtype)
        outputs, saved = chains(*inputs)[name]
        build = functools.partial(native, inputs, outputs, passes=())
        together, separate = both_ways(monkeypatch, build)
        assert len(separate.calls) - len(together.calls) == saved, together.stages()
        values = numbers(seed, m, k, n, dtype)
        for got, want in zip(listed(together(*values)), listed(separate(*values)), strict=True):
            assert got.dtype == want.dtype
            np.testing.assert_array_equal(got, want, err_msg=f"m {m}, k {k}, n {n}, seed {seed}")


BATCHES = [((2,), (2,)), ((2, 3), (1, 3)), ((2, 1, 3), (2, 4, 1)), ((5,), ()), ((0, 2), (1,))]


@pytest.mark.parametrize(("left", "right"), BATCHES)
@pytest.mark.parametrize(("m", "n"), [(9, 50), (1, 71), (60, 100)])
def test_batches(
    left: tuple[int, ...],
    right: tuple[int, ...],
    m: int,
    n: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, w = sg.tensor("x", shape=(*left, m, 5)), sg.tensor("w", shape=(*right, 5, n))
    batch = np.broadcast_shapes(left, right)
    c, b = (
        sg.tensor("c", shape=(*batch, m, n)),
        sg.tensor("b", shape=(*batch[:1], *[1] * len(batch[1:]), m, 1)),
    )
    y = x @ w + c
    build = functools.partial(native, [x, w, c, b], [sg.maximum(y, b), y * b], passes=())
    together, separate = both_ways(monkeypatch, build)
    assert len(together.calls) == 1
    rng = np.random.default_rng(7)
    values = [rng.standard_normal([int(d) for d in v.shape]) for v in (x, w, c, b)]
    for got, want in zip(together(*values), separate(*values), strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_batch_of_tiny_products(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = sg.tensor("x", shape=(4, 35, 3, 5)), sg.tensor("w", shape=(35, 6, 5))
    c = sg.tensor("c", shape=(35, 1, 6))
    z = sg.matrix_transpose(w)
    build = functools.partial(native, [x, w, c], sg.maximum(x @ z + c, 0), passes=())
    together, separate = both_ways(monkeypatch, build)
    assert len(together.calls) == 1
    rng = np.random.default_rng(19)
    values = [rng.standard_normal([int(d) for d in v.shape]) for v in (x, w, c)]
    got = together(*values)
    np.testing.assert_array_equal(got, separate(*values))
    want = np.maximum(values[0] @ values[1].swapaxes(1, 2) + values[2], 0)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def listed(x: Any) -> list[Any]:
    return x if isinstance(x, list) else [x]


def test_equal_layers_share_one_kernel() -> None:
    x = sg.tensor("x", shape=("n", 64), dtype="float32")
    ws = [sg.tensor(f"w{k}", shape=(64, 64), dtype="float32") for k in range(3)]
    b = sg.tensor("b", shape=(64,), dtype="float32")
    y = x
    for w in ws:
        y = sg.maximum(y @ w + b, 0)
    f = native([x, *ws, b], y)
    assert (len(f.calls), f.compile_stats.kernels) == (3, 1)


def test_a_tiny_product_stays_alone() -> None:
    for n, steps in ((8, 2), (9, 1)):
        x, w, b, _ = layer(n, 8, 8)
        assert len(native([x, w, b], sg.maximum(x @ w + b, 0)).calls) == steps


def test_a_kernel_names_no_address() -> None:
    x, w, b, _ = layer("n", 64, 64)
    text = native([x, w, b], sg.maximum(x @ w + b, 0)).llvm_ir()
    assert "symgraph.matmul" not in text
    assert "inttoptr" not in text


@pytest.mark.parametrize(("k", "batch"), [(40, ()), (1100, ()), (40, (3,))])
def test_threads_share_the_epilogue(k: int, batch: tuple[int, ...]) -> None:
    rng = np.random.default_rng(17)
    x, w = sg.tensor("x", shape=(*batch, "m", k)), sg.tensor("w", shape=(k, 150))
    c = sg.tensor("c", shape=(*batch, "m", 150))
    z = x @ w + sg.sum(w, axis=0)
    outputs = [sg.maximum(z, 0) * c, z > 0]
    values = [rng.standard_normal(s) for s in ((*batch, 333, k), (k, 150), (*batch, 333, 150))]
    one, two = (native([x, w, c], outputs, threads=t, passes=()) for t in (1, 2))
    assert "then" in two.calls[-1].key
    for got, want in zip(two(*values), one(*values), strict=True):
        np.testing.assert_array_equal(got, want)


# ---- updates -------------------------------------------------------------------------------------


def trained(batch: Any = "n") -> tuple[list[sg.Tensor], sg.SharedVariable, sg.SharedVariable, Any]:
    """A layer in the middle of a network: its weight, their velocity, and a step of both."""
    rng = np.random.default_rng(11)
    w = sg.shared(rng.standard_normal((800, 704)).astype("float32"), name="w")
    v = sg.shared(np.zeros((800, 704), "float32"), name="v")
    x = sg.tensor("x", shape=(batch, 800), dtype="float32")
    d = sg.tensor("d", shape=(batch, 704), dtype="float32")
    g = sg.matrix_transpose(2 * x) @ sg.tanh(d)
    velocity = 0.9 * v + (g + 1e-3 * w)
    return [x, d], w, v, {v: velocity, w: w - 0.01 * velocity}


@pytest.mark.parametrize("batch", ["n", 24])
def test_a_training_step_updates_in_the_product(
    batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(12)
    n = 24 if batch == 24 else 900  # more than one block of k
    x, d = (rng.standard_normal((n, k)).astype("float32") for k in (800, 704))
    seen = []
    for fused in (True, False):
        inputs, w, v, updates = trained(batch)
        build = functools.partial(native, inputs, [], updates=updates, passes=())
        f = both_ways(monkeypatch, build)[0 if fused else 1]
        for _ in range(3):
            f(x, d)
        seen.append((len(f.calls), w.get_value(), v.get_value()))
    (few, *together), (many, *separate) = seen
    assert few == many - 1
    for got, want in zip(together, separate, strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_product_that_reads_the_variable_elsewhere_overwrites_nothing() -> None:
    a = np.random.default_rng(13).standard_normal((544, 544))
    w = sg.shared(a, name="w")
    f = native([], [], updates={w: w - 0.1 * (w @ w)}, passes=())
    assert len(f.calls) == 1
    f()
    np.testing.assert_allclose(w.get_value(), a - 0.1 * (a @ a), atol=1e-11)


def test_an_input_may_be_the_memory_of_the_updated_variable() -> None:
    a = np.random.default_rng(14).standard_normal((544, 544))
    w, x = sg.shared(a, name="w"), sg.tensor("x", shape=(544, 544))
    f = native([x], [], updates={w: w - 0.1 * (x @ x)}, passes=())
    assert len(f.calls) == 1
    f(w.get_value(borrow=True))
    once = a - 0.1 * (a @ a)
    np.testing.assert_allclose(w.get_value(), once, atol=1e-11)
    f(w.get_value(borrow=True)[::-1])
    np.testing.assert_allclose(w.get_value(), once - 0.1 * (once[::-1] @ once[::-1]), atol=1e-9)


def test_a_failed_call_changes_nothing() -> None:
    a = np.random.default_rng(15).standard_normal((544, 544))
    w = sg.shared(a, name="w")
    k, table = sg.tensor("k", shape=(), dtype="int64"), sg.tensor("t", shape=(5,))
    new = w - 0.1 * (sg.tanh(w) @ sg.exp(w))
    f = native([k, table], table[k], updates={w: new}, passes=())
    with pytest.raises(IndexError):
        f(9, np.arange(5.0))
    np.testing.assert_array_equal(w.get_value(), a)
    assert f(3, np.arange(5.0)) == 3
    assert not np.array_equal(w.get_value(), a)


# ---- random graphs -------------------------------------------------------------------------------


def grown(rng: np.random.Generator, leaves: list[sg.Tensor], square: sg.Tensor) -> list[sg.Tensor]:
    """Matrices of one shape, each made of earlier ones: products and what may follow them."""
    pool = list(leaves)

    def pick() -> sg.Tensor:
        return pool[int(rng.integers(max(0, len(pool) - 5), len(pool)))]

    makes: list[Callable[[], sg.Tensor]] = [
        lambda: pick() @ square,
        lambda: pick()[::-1] @ sg.matrix_transpose(square),
        lambda: 0.1 * (pick() @ (sg.matrix_transpose(pick()) @ pick())),
        lambda: pick() + pick(),
        lambda: pick() * pick(),
        lambda: sg.maximum(pick(), 0.25),
        lambda: sg.where(pick() > pick(), pick(), 0.5 * pick()),
        lambda: sg.tanh(pick()),
        lambda: pick() - sg.mean(pick(), axis=0),
        lambda: pick() * sg.max(pick(), axis=1, keepdims=True),
        lambda: sg.astype(sg.astype(pick(), "float32"), "float64"),
        lambda: pick()[:, ::-1] + pick(),
    ]
    for _ in range(12):
        made = makes[int(rng.integers(len(makes)))]()
        pool.append(made / 4)
    return pool


@pytest.mark.parametrize("seed", range(24))
def test_random_graphs_have_the_same_bits(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng([16, seed])
    m, n = (int(rng.choice([1, 2, 7, 8, 17, 49, 70])) for _ in range(2))
    shape = (m if rng.integers(2) else "m", n if rng.integers(2) else "n")
    first, second = (sg.tensor(name, shape=shape) for name in "xy")
    square = sg.tensor("s", shape=(shape[1], shape[1]))
    pool = grown(rng, [first, second], square)
    outputs = [pool[-1], *(pool[int(k)] for k in rng.integers(2, len(pool), 2))]
    build = functools.partial(native, [first, second, square], outputs, passes=())
    together, separate = both_ways(monkeypatch, build)
    values = [rng.standard_normal(s) for s in ((m, n), (m, n), (n, n))]
    for got, want in zip(together(*values), separate(*values), strict=True):
        np.testing.assert_array_equal(got, want, err_msg=f"seed {seed}")
