"""``peak_bytes`` is what a call really allocates, and is known before it runs."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import Any

import numpy as np
import pytest
from stages import native

import symgraph as sg
from symgraph.errors import ShapeError, UnsupportedError, UsageError

#: Array objects, a container, a few Python numbers: nothing that grows with the sizes.
OBJECTS = 4096


def measured(f: Any, *arrays: Any) -> int:
    """The largest growth of traced memory during a first call."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    f(*arrays)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - before


def programs() -> dict[str, Any]:
    x, y = sg.tensor("x", shape=("n", "m")), sg.vector("y", shape="m")
    e = sg.exp(x)
    return {
        "a map": ([x, y], e * y),
        "a sum": ([x, y], sg.sum(e * y)),
        "several": ([x, y], [e, sg.sum(e, axis=0), e @ y]),
        "products": ([x, y], sg.tanh(x @ sg.matrix_transpose(x)) @ x * y),
        "a gradient": ([x, y], sg.grad(sg.sum(sg.tanh(x @ y) ** 2), [x, y])),
        "softmax": ([x, y], sg.softmax(x * y, axis=1)),
        "mixed types": ([x, y], [sg.argmax(x, axis=1), sg.astype(x, "float32"), x > y]),
    }


@pytest.mark.parametrize("name", list(programs()))
@pytest.mark.parametrize("threads", [1, 2])
def test_what_a_call_allocates(name: str, threads: int) -> None:
    inputs, outputs = programs()[name]
    f = sg.function(inputs, outputs, threads=threads)
    rng = np.random.default_rng(0)
    warm = [rng.normal(size=s) for s in ((3, 5), (5,))]
    f(*warm)
    f.release()
    for n, m in ((700, 300), (1, 200_000), (1000, 1)):
        arrays = [rng.normal(size=(n, m)), rng.normal(size=m)]
        told = f.peak_bytes(n=n, m=m)
        assert told == f.peak_bytes(*arrays) == f.peak_bytes((n, m), (m,))
        got = measured(f, *arrays)
        assert told <= got <= told + OBJECTS
        f.release()


def test_an_arena_of_known_size() -> None:
    w = sg.shared(np.eye(40), name="w")
    f = native([], sg.sum(sg.exp(w @ w) @ w))
    assert isinstance(f.arena_bytes, int) and f.arena_bytes >= 8 * 1600
    assert f.peak_bytes() == f.arena_bytes + 64 + 8


def test_release_gives_everything_back() -> None:
    f = native(*programs()["products"])
    rng = np.random.default_rng(0)
    small, large = ([rng.normal(size=(n, 30)), rng.normal(size=30)] for n in (2, 600))
    f(*small)
    f.release()
    tracemalloc.start()
    f(*large)
    held = tracemalloc.get_traced_memory()[0]
    f.release()
    left = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held > f.peak_bytes(*large) > OBJECTS > left
    x, y = large
    np.testing.assert_allclose(f(x, y), np.tanh(x @ x.T) @ x * y, rtol=1e-9, atol=1e-9)


def test_a_count_has_its_largest_value() -> None:
    x = sg.vector("x", shape="n")
    f = native([x], x[x > 0])
    assert f.peak_bytes(n=1000) >= 8 * 1000 + f.peak_bytes(n=0)
    assert measured(f, np.ones(1000)) <= f.peak_bytes(n=1000) + OBJECTS


def test_a_hessian_vector_product_holds_a_few_copies_of_its_parameters() -> None:
    """Ten million parameters; nothing is run."""
    sizes = (784, 3000, 2400, 10)
    x = sg.tensor("x", shape=("batch", sizes[0]), dtype="float32")
    t = sg.tensor("t", shape=("batch", sizes[-1]), dtype="float32")
    shapes = list(itertools.pairwise(sizes))
    w = [sg.tensor(f"w{k}", shape=s, dtype="float32") for k, s in enumerate(shapes)]
    v = [sg.tensor(f"v{k}", shape=s, dtype="float32") for k, s in enumerate(shapes)]
    h = x
    for k, weight in enumerate(w):
        h = h @ weight
        h = sg.tanh(h) if k < len(w) - 1 else h
    loss = sg.mean((h - t) ** 2)
    f = native([x, t, *w, *v], sg.hvp(loss, w, v))
    copy = 4 * sum(a * b for a, b in shapes)
    assert copy > 3.8e7
    assert f.peak_bytes(batch=32) < 2.5 * copy


def test_functions_around_a_program() -> None:
    x = sg.vector("x", shape="n")
    checked = sg.function([x], sg.exp(x) * 2, check_finite=True)
    assert checked.peak_bytes(n=100) >= 2 * 800
    w = sg.shared(np.ones(50), name="w", shape=("k",))
    varying = sg.function([x], sg.exp(x) * sg.sum(w))
    assert varying.peak_bytes(n=100) == varying.peak_bytes(np.ones(100)) >= 800
    varying.release()


@pytest.mark.parametrize(
    ("arrays", "sizes", "message"),
    [
        ((), {}, "wants the sizes m, n; m, n is missing"),
        ((), {"n": 3, "k": 1, "m": 2}, "it knows no k"),
        ((), {"n": 3, "k": 1}, "it knows no k; m is missing"),
        ((), {"n": -3, "m": 1}, "n=-3 is not a size"),
        ((), {"n": 2.0, "m": 1}, "n=2.0 is not a size"),
        ((np.ones((2, 3)),), {}, "takes either 2 arguments"),
        ((np.ones((2, 3)), np.ones(3)), {"n": 1}, "got 2 and 1"),
        ((np.ones(3), np.ones(3)), {}, r"has 2 axes; got the shape \(3,\)"),
    ],
)
def test_sizes_that_are_not_right(arrays: Any, sizes: Any, message: str) -> None:
    f = native(*programs()["a map"])
    with pytest.raises(UsageError, match=message):
        f.peak_bytes(*arrays, **sizes)


def test_sizes_that_disagree() -> None:
    f = native(*programs()["a map"])
    with pytest.raises(ShapeError, match="m is 3"):
        f.peak_bytes((2, 3), (4,))


def test_the_reference_backend_plans_nothing() -> None:
    x = sg.vector("x")
    f = sg.function([x], x * 2, backend="reference")
    f.release()
    with pytest.raises(UnsupportedError, match="does not plan its memory"):
        f.peak_bytes(np.ones(3))


def test_a_checked_function_with_shared_variables_knows_its_bytes() -> None:
    x, w = sg.vector("x", shape="n"), sg.shared(np.ones(3))
    f = sg.function([x], sg.sum(x) * w, check_finite=True)
    assert f.peak_bytes(np.ones(5)) == f.peak_bytes(n=5) > 0
