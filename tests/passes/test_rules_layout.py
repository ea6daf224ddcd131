"""Transposes, reshapes and broadcasts: chains become one, and computing sinks below them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from before_after import Arrays, Before, check, computed, operations

import symgraph as sg
from symgraph import Graph, Tensor
from symgraph.passes.rules.regions import Groups, groups
from symgraph.passes.simplify import simplify
from symgraph.sizes import SizeTuple, symbol

x, y = sg.tensor("x", shape=(6, 4)), sg.tensor("y", shape=(6, 4))
v = sg.tensor("v", shape=("n", 4))
u = sg.tensor("u", shape=("n", "m"))
s = sg.scalar("s")


def _arrays(n: int = 5) -> Arrays:
    rng = np.random.default_rng(21)
    pool = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 0.5, -2.0, 3.0, 1e300, 5e-324])
    return {
        x: rng.choice(pool, size=(6, 4)),
        y: rng.choice(pool, size=(6, 4)),
        v: rng.choice(pool, size=(n, 4)),
        u: rng.choice(pool, size=(n, 3)),
        s: np.array(1.5),
    }


# fmt: off
EXACT: dict[str, Before] = {
    # ---- chains ----------------------------------------------------------------------------------
    "transposed back":       Before(lambda: v.T.T, lambda: v,
        lambda x, y, v, u, s: v),
    "expanded and moved":    Before(
        lambda: v[:, None].transpose((2, 1, 0)), lambda: v.T[:, None],
        lambda x, y, v, u, s: v.T[:, None]),
    "expanded, moved, dropped": Before(
        lambda: sg.squeeze(v[:, None].transpose((2, 1, 0)), 1), lambda: v.T,
        lambda x, y, v, u, s: v.T),
    "dropped after a move":  Before(
        lambda: sg.squeeze(x[:, :1, None].transpose((2, 0, 1)), (0, 2)), lambda: x[:, 0],
        lambda x, y, v, u, s: x[:, 0]),
    "axes of size 1 moved":  Before(
        lambda: v[:, None].transpose((1, 0, 2)), lambda: v[None],
        lambda x, y, v, u, s: v[None]),
    "reshaped there and back": Before(
        lambda: u.reshape((-1,)).reshape(u.shape), lambda: u,
        lambda x, y, v, u, s: u),
    # ---- stretching ------------------------------------------------------------------------------
    "stretched and moved":   Before(
        lambda: sg.broadcast_to(x[0], (3, 4)).T,
        lambda: sg.broadcast_to(sg.expand_dims(x[0], 1), (4, 3)),
        lambda x, y, v, u, s: np.broadcast_to(x[0], (3, 4)).T),
    "stretched and dropped": Before(
        lambda: sg.squeeze(sg.broadcast_to(v[:, None], (v.shape[0], 1, 4)), 1), lambda: v,
        lambda x, y, v, u, s: v),
    "stretched and reshaped": Before(
        lambda: sg.broadcast_to(x[:, :1], (6, 4)).reshape((6, 2, 2)),
        lambda: sg.broadcast_to(x[:, None, :1], (6, 2, 2)),
        lambda x, y, v, u, s: np.broadcast_to(x[:, :1, None], (6, 2, 2))),
    "tiled":                 Before(
        lambda: sg.tile(s, (2, 3)), lambda: sg.broadcast_to(s, (2, 3)),
        lambda x, y, v, u, s: np.full((2, 3), s)),
    "function of stretched": Before(
        lambda: sg.abs(sg.broadcast_to(x[0], (3, 4))),
        lambda: sg.broadcast_to(sg.abs(x[0]), (3, 4)),
        lambda x, y, v, u, s: np.broadcast_to(np.abs(x[0]), (3, 4))),
    # ---- sinking ---------------------------------------------------------------------------------
    "choice of transposes":  Before(
        lambda: sg.where(x.T > 0, x.T, y.T), lambda: sg.where(x > 0, x, y).T,
        lambda x, y, v, u, s: np.transpose(np.where(x > 0, x, y))),
    "scalar with a transpose": Before(
        lambda: sg.maximum(u.T, s).T, lambda: sg.maximum(u, s),
        lambda x, y, v, u, s: np.maximum(u, s)),
    "chain with scalars":    Before(
        lambda: sg.abs(1 - sg.abs(v.T + s)).T, lambda: sg.abs(1 - sg.abs(v + s)),
        lambda x, y, v, u, s: np.abs(1 - np.abs(v + s))),
    "divided transpose":     Before(
        lambda: (1 / v.T).T, lambda: 1 / v,
        lambda x, y, v, u, s: 1 / v),
    "bounds of a transpose": Before(
        lambda: (-(x.T)).T, lambda: -x,
        lambda x, y, v, u, s: -x),
}
KEPT: dict[str, Callable[[], Tensor]] = {
    "one transpose":            lambda: x.T,
    "different layouts":        lambda: u.T + v[0, 0] * sg.exp(u).T[::-1],
    "repeated rows cut through": lambda: sg.broadcast_to(x[:, :1], (6, 4)).reshape((12, 2)),
    "reshape that mixes axes":  lambda: x.T.reshape((3, 8)),
    "sizes that may agree":     lambda: sg.broadcast_to(v[0], (u.shape[1], 4)),
    "marker below a transpose": lambda: sg.stop_gradient(x.T),
}
# fmt: on


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("n", [5, 1, 0])
def test_exact_rewrite_in_every_pipeline(name: str, n: int) -> None:
    with np.errstate(divide="ignore"):
        for passes in ("strict", "default"):
            check(EXACT[name], passes, _arrays(n))


@pytest.mark.parametrize("name", KEPT)
def test_what_stays(name: str) -> None:
    before = KEPT[name]()
    assert len(operations(simplify(before))) == len(operations(before))


def test_a_scalar_factor_rises_through_layouts() -> None:
    assert simplify((s * x).T + 1) is simplify(1 + s * x.T)


def test_a_layout_of_thousands_of_steps_is_one() -> None:
    out = v
    for _ in range(3000):
        out = sg.exp(out.T)[None]
        out = sg.log(sg.squeeze(out, 0))
    assert Graph([simplify(out)]).count("permute_dims", "expand_dims", "squeeze") == 0


@pytest.mark.parametrize("passes", ["strict", "default", "fast"])
def test_layouts_of_empty_arrays(passes: str) -> None:
    t = sg.tensor("t", shape=(0, 4))
    out = sg.concat([t.T[:, None].transpose((2, 1, 0))[:, 0], t]).reshape((0, 2, 2))
    assert computed(simplify(out, passes), {t: np.zeros((0, 4))}).shape == (0, 2, 2)


# ---- which axes of a reshape belong together -----------------------------------------------------

n, m = symbol("n"), symbol("m")


@pytest.mark.parametrize(
    ("before", "after", "want"),
    [
        ((n, 3), (3 * n,), [([0, 1], [0])]),
        ((n, 3, 4), (n, 12), [([0], [0]), ([1, 2], [1])]),
        ((n, m), (n, m, 1), [([0], [0]), ([1], [1]), ([], [2])]),
        ((1, n), (n,), [([0], []), ([1], [0])]),
        ((3 * n, 4), (n, 12), [([0, 1], [0, 1])]),
        ((), (1,), [([], [0])]),
        ((n, m), (m, n), None),
        ((0, 3), (3, 0), None),
    ],
)
def test_groups_of_axes(before: SizeTuple, after: SizeTuple, want: Groups | None) -> None:
    assert groups(before, after) == want
