"""NumPy's own functions on tensors: they build graphs, or refuse with the name to use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import UnsupportedError
from symgraph.functions.numpy_protocol import FUNCTIONS, INSTEAD

Array = np.ndarray[Any, Any]
A = np.array([[0.5, -1.25, 2.0], [0.75, 0.25, -0.5]])
V = np.array([1.0, 2.0, 3.0])

# What a user writes; the same lambda runs on arrays and on tensors.
CALLS: dict[str, Callable[[Any], Any]] = {
    "exp": lambda x: np.exp(x),
    "add left": lambda x: A + x,
    "subtract left": lambda x: A - x,
    "maximum": lambda x: np.maximum(A * 0, x),
    "minimum right": lambda x: np.minimum(x, 0.25),
    "power": lambda x: np.power(x, 3),
    "true divide": lambda x: np.true_divide(x, V),
    "array @": lambda x: A.T @ x,
    "@ array": lambda x: x @ A.T,
    "matmul": lambda x: np.matmul(x, V),
    "array comparison": lambda x: x > A * 0,
    "float32 scalar": lambda x: np.float32(2) * x,
    "int64 scalar": lambda x: np.int64(2) + x,
    "arctan2": lambda x: np.arctan2(x, V),
    "logical": lambda x: np.logical_and(x > 0, x < 1),
    "isfinite": lambda x: np.isfinite(x),
    "absolute": lambda x: np.abs(x),
    "rint": lambda x: np.rint(x),
    "dtype": lambda x: np.add(x, 1, dtype="float32"),
    "reduce": lambda x: np.add.reduce(x, axis=1),
    "reduce default": lambda x: np.maximum.reduce(x),
    "reduce all": lambda x: np.multiply.reduce(x, axis=None),
    "accumulate": lambda x: np.add.accumulate(x, axis=1),
    "sum": lambda x: np.sum(x, axis=0),
    "sum all": lambda x: np.sum(x),
    "sum keyword": lambda x: np.sum(a=x, axis=(0, 1), keepdims=True),
    "sum positions": lambda x: np.sum(x, 1),
    "mean": lambda x: np.mean(x, axis=-1, keepdims=True),
    "std": lambda x: np.std(x, axis=0, ddof=1),
    "std positions": lambda x: np.std(x, 1, None, None, 1),
    "var": lambda x: np.var(x),
    "max": lambda x: np.max(x, axis=0),
    "amin": lambda x: np.amin(x),
    "argmax": lambda x: np.argmax(x, axis=1),
    "any": lambda x: np.any(x > 1, axis=0),
    "count_nonzero": lambda x: np.count_nonzero(x, axis=1),
    "cumsum": lambda x: np.cumsum(x, axis=1),
    "cumprod": lambda x: np.cumprod(x, 0),
    "prod": lambda x: np.prod(x, axis=1),
    "clip": lambda x: np.clip(x, -1, 1),
    "clip keywords": lambda x: np.clip(x, a_min=None, a_max=0.5),
    "clip new keywords": lambda x: np.clip(x, min=0.0),
    "where": lambda x: np.where(x > 0, x, 0.0),
    "where condition": lambda x: np.where(A > 0, x, -x),
    "reshape": lambda x: np.reshape(x, (3, 2)),
    "reshape keyword": lambda x: (
        np.reshape(x, shape=-1) if np.__version__ >= "2.1" else x.reshape(-1)
    ),
    "transpose": lambda x: np.transpose(x),
    "transpose axes": lambda x: np.transpose(x, axes=(1, 0)),
    "concatenate": lambda x: np.concatenate([x, A], axis=1),
    "concatenate flat": lambda x: np.concatenate((x, A), axis=None),
    "stack": lambda x: np.stack([A, x], axis=-1),
    "split": lambda x: np.split(x, 3, axis=1)[1],
    "tile": lambda x: np.tile(x, (2, 1)),
    "repeat": lambda x: np.repeat(x, 2, axis=0),
    "roll": lambda x: np.roll(x, 1, axis=1),
    "flip": lambda x: np.flip(x, axis=0),
    "pad": lambda x: np.pad(x, 1, constant_values=2.0),
    "squeeze": lambda x: np.squeeze(np.expand_dims(x, 1), axis=1),
    "moveaxis": lambda x: np.moveaxis(x, 0, 1),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 2, 3)),
    "tril": lambda x: np.tril(x, k=1),
    "diag": lambda x: np.diag(x[0]),
    "trace": lambda x: np.trace(x, offset=1),
    "take": lambda x: np.take(x, [2, 0], axis=1),
    "take_along_axis": lambda x: np.take_along_axis(x, np.array([[0], [2]]), axis=1),
    "dot": lambda x: np.dot(x, V),
    "dot left": lambda x: np.dot(A.T, x),
    "outer": lambda x: np.outer(V, x),
    "tensordot": lambda x: np.tensordot(x, A, axes=((1,), (1,))),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, A),
    "nan_to_num": lambda x: np.nan_to_num(x / 0.0),
    "zeros_like": lambda x: np.zeros_like(x),
    "full_like": lambda x: np.full_like(x, 2.5),
    "round": lambda x: np.round(x),
    "fix": lambda x: np.fix(x),
}


@pytest.mark.parametrize("name", CALLS)
def test_builds_the_graph(name: str) -> None:
    call = CALLS[name]
    x = sg.tensor("x", shape=(2, 3))
    y = call(x)
    assert isinstance(y, sg.Tensor)
    with np.errstate(all="ignore"):
        want = np.asarray(call(A))
    got = sg.function([x], y, backend="reference", passes=())(A)
    np.testing.assert_allclose(got, want, rtol=1e-14)
    assert got.dtype == want.dtype


def test_facts() -> None:
    x = sg.matrix("x", shape=("n", 3))
    assert np.shape(x) == x.shape
    assert np.ndim(x) == 2
    assert np.size(x) == x.size


def test_derivatives_flow_through() -> None:
    """A function written for NumPy differentiates."""

    def loss(w: Any) -> Any:
        return np.mean(np.log1p(np.exp(-(A @ w))) ** 2) + np.sum(np.square(w))

    w = sg.vector("w", shape=3)
    g = sg.function([w], sg.grad(loss(w), w), backend="reference", passes=())(V)
    step = 1e-6
    slopes = [(loss(V + step * e) - loss(V - step * e)) / (2 * step) for e in np.eye(3)]
    np.testing.assert_allclose(g, slopes, rtol=1e-8)


REFUSED: tuple[tuple[str, Callable[[Any], Any], str], ...] = (
    ("fmax", lambda x: np.fmax(x, 0), "sg.maximum"),
    ("vstack", lambda x: np.vstack([x, x]), "sg.concat"),
    ("ravel", lambda x: np.ravel(x), "flatten"),
    ("nonzero", lambda x: np.nonzero(x), "mask"),
    ("allclose", lambda x: np.allclose(x, 0), "sg.all"),
    ("sort", lambda x: np.sort(x), "symgraph"),
    ("linalg.inv", lambda x: np.linalg.inv(x), "symgraph"),
    ("linalg.norm", lambda x: np.linalg.norm(x, 2), "sg.norm"),
    ("modf", lambda x: np.modf(x), "symgraph"),
    ("add.outer", lambda x: np.add.outer(x, x), "x[:, None]"),
    ("subtract.reduce", lambda x: np.subtract.reduce(x), "symgraph"),
    ("out", lambda x: np.exp(x, out=np.zeros(3)), "out="),
    ("where", lambda x: np.exp(x, where=np.ones(3, bool)), "where="),
    ("sum out", lambda x: np.sum(x, out=np.zeros(())), "out="),
    ("sum initial", lambda x: np.sum(x, initial=3.0), "initial="),
    ("mean dtype", lambda x: np.mean(x, dtype="float32"), "dtype="),
    ("reshape order", lambda x: np.reshape(x, (3, 2), order="F"), "order="),
    ("round decimals", lambda x: np.round(x, 2), "decimals="),
    ("take mode", lambda x: np.take(x, [0], mode="clip"), "mode="),
)


@pytest.mark.parametrize(("name", "call", "hint"), REFUSED, ids=[r[0] for r in REFUSED])
def test_refuses_with_the_name_to_use(name: str, call: Any, hint: str) -> None:
    with pytest.raises(UnsupportedError, match="not supported") as caught:
        call(sg.tensor("x", shape=(2, 3)))
    assert hint in str(caught.value)
    assert f"np.{name.split()[0]}" in str(caught.value) or hint.endswith("=")


def test_no_array_can_be_made_of_a_tensor() -> None:
    x = sg.vector("x", shape=3)
    for call in (lambda: np.asarray(x), lambda: np.array([x, x]), lambda: float(x[0])):
        with pytest.raises(TypeError):
            call()


def test_in_place_into_an_array_is_refused() -> None:
    a = np.zeros(3)
    with pytest.raises(UnsupportedError, match="out="):
        a += sg.vector("x", shape=3)


def test_tables_name_what_exists() -> None:
    """Every name in the tables is NumPy's on one side and ours on the other."""
    for name, entry in FUNCTIONS.items():
        assert entry.split()[0] in sg.__all__
        assert hasattr(np, name) or name in (
            "permute_dims",
            "matrix_transpose",
            "cumulative_sum",
            "cumulative_prod",
        )
    for name, text in INSTEAD.items():
        found: Any = np
        for part in name.split("."):
            found = getattr(found, part)
        for word in text.replace("(", " ").replace(",", " ").split():
            if word.startswith("sg."):
                assert word[3:] in sg.__all__, f"{name}: {word}"
