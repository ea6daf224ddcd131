"""Views: where an element of a view stands in the buffer, against NumPy's strides."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import symgraph as sg
from symgraph.backends.llvm.views import (
    compose,
    contiguous_strides,
    follow,
    is_contiguous,
    viewer,
    whole,
)
from symgraph.sizes import symbol
from symgraph.tensor import Tensor

X = sg.tensor("x", shape=(4, 1, 6))
BUFFER = np.arange(24.0).reshape(4, 1, 6)

CHAINS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[np.ndarray], np.ndarray]]] = {
    "permute": (lambda x: sg.permute_dims(x, (2, 0, 1)), lambda a: a.transpose(2, 0, 1)),
    "slice": (lambda x: x[1::2, :, ::-2], lambda a: a[1::2, :, ::-2]),
    "expand": (lambda x: sg.expand_dims(x, (0, 2)), lambda a: a[None, :, None]),
    "squeeze": (lambda x: sg.squeeze(x, 1), lambda a: a[:, 0]),
    "broadcast": (
        lambda x: sg.broadcast_to(x, (2, 4, 3, 6)),
        lambda a: np.broadcast_to(a, (2, 4, 3, 6)),
    ),
    "reshape": (lambda x: sg.reshape(x, (2, 12)), lambda a: a.reshape(2, 12)),
    "mixed": (
        lambda x: sg.permute_dims(sg.squeeze(x, 1)[::-1, 2:], (1, 0))[:, None, 1:],
        lambda a: a[:, 0][::-1, 2:].T[:, None, 1:],
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_view_finds_every_element(name: str) -> None:
    build, numpy = CHAINS[name]
    view, want = viewer()(build(X)), numpy(BUFFER)
    assert view.base is X and view.shape == want.shape
    assert isinstance(view.offset, int) and all(isinstance(s, int) for s in view.strides)
    for at in np.ndindex(want.shape):
        place = view.offset + sum(i * s for i, s in zip(at, view.strides, strict=True))
        assert BUFFER.ravel()[place] == want[at]


def test_strides_of_symbolic_shapes_are_sizes() -> None:
    n, m = symbol("n"), symbol("m")
    assert contiguous_strides((2, n, m)) == (n * m, m, 1)


def test_a_transposed_array_cannot_be_reshaped_without_a_copy() -> None:
    x = sg.tensor("x", shape=(2, 3))
    turned = sg.matrix_transpose(x)
    seen = compose(turned, whole(x))
    assert seen is not None and not is_contiguous(seen)
    assert compose(sg.reshape(turned, (6,)), seen) is None


def test_axes_of_size_one_do_not_spoil_contiguity() -> None:
    x = sg.tensor("x", shape=(4, 1, 6))
    turned = sg.permute_dims(x, (1, 0, 2))
    seen = compose(turned, whole(x))
    assert seen is not None and is_contiguous(seen)
    flat = compose(sg.reshape(turned, (24,)), seen)
    assert flat is not None and flat.strides == (1,)


def test_a_reshape_that_adds_axes_of_size_one_keeps_strange_strides() -> None:
    x = sg.tensor("x", shape=("n", 3))
    turned = sg.matrix_transpose(x)
    seen = compose(turned, whole(x))
    assert seen is not None
    wide = compose(sg.reshape(turned, (3, 1, x.shape[0])), seen)
    assert wide is not None and wide.strides == (1, 0, 3)


@pytest.mark.parametrize(
    ("view", "axes", "want"),
    [
        (lambda x: sg.permute_dims(x, (2, 0, 1)), (0, 1, 2), (1, 2, 0)),
        (lambda x: sg.expand_dims(x, (0,)), (0, 1, 2, 3), (1, 2, 3)),
        (lambda x: sg.squeeze(x, 1), (5, 7), (5, None, 7)),
        (lambda x: sg.broadcast_to(x, (2, 4, 3, 6)), (0, 1, 2, 3), (1, None, 3)),
        (sg.stop_gradient, (2, 1, 0), (2, 1, 0)),
    ],
)
def test_axis_maps_follow_views(
    view: Callable[[Tensor], Tensor], axes: tuple[int, ...], want: tuple[int | None, ...]
) -> None:
    assert follow(axes, view(X)) == want
